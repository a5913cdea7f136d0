"""The server, asked over a real socket."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bigtop_builder.flow.publish.server import RepositoryServer
from bigtop_builder.model.errors import PublishError

CONTENT = bytes(range(256)) * 20_000
FILE = "/bigtop-3.2.0/el8/packages/demo.rpm"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RepositoryServer]:
    root = tmp_path / "root"
    snapshot = root / ".snapshots" / "bigtop-3.2.0-el8" / "000001-abc"
    (snapshot / "packages").mkdir(parents=True)
    (snapshot / "packages" / "demo.rpm").write_bytes(CONTENT)
    (snapshot / "packages" / "a b&c.rpm").write_bytes(b"odd name")
    (snapshot / ".hidden").write_text("hidden")
    (snapshot / "empty").touch()
    (root / "bigtop-3.2.0").mkdir()
    (root / "bigtop-3.2.0" / "el8").symlink_to("../.snapshots/bigtop-3.2.0-el8/000001-abc")
    (tmp_path / "secret").write_text("secret")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "loop").symlink_to("loop")
    os.mkfifo(root / "pipe")
    with RepositoryServer(root, port=0) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


Answer = tuple[int, dict[str, str], bytes]


def ask(server: RepositoryServer, path: str, method: str = "GET", **headers: str) -> Answer:
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=10)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def raw(server: RepositoryServer, request: bytes) -> bytes:
    with socket.create_connection(server.server_address[:2], timeout=10) as connection:
        connection.sendall(request)
        pieces = []
        while piece := connection.recv(65536):
            pieces.append(piece)
        return b"".join(pieces)


def test_a_file_whole(server: RepositoryServer) -> None:
    status, headers, body = ask(server, FILE)
    assert (status, body) == (200, CONTENT)
    assert headers["Content-Type"] == "application/x-rpm"
    assert headers["Accept-Ranges"] == "bytes"


def test_head_has_the_length_and_no_body(server: RepositoryServer) -> None:
    status, headers, body = ask(server, FILE, "HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(len(CONTENT)), b"")


@pytest.mark.parametrize(
    ("wanted", "expected", "content_range"),
    [
        ("bytes=0-9", CONTENT[:10], "bytes 0-9/5120000"),
        ("bytes=5119990-", CONTENT[-10:], "bytes 5119990-5119999/5120000"),
        ("bytes=-5", CONTENT[-5:], "bytes 5119995-5119999/5120000"),
        ("bytes=100-99999999", CONTENT[100:], "bytes 100-5119999/5120000"),
        ("bytes=-99999999", CONTENT, "bytes 0-5119999/5120000"),
    ],
)
def test_one_range(server: RepositoryServer, wanted: str, expected: bytes, content_range: str) -> None:
    status, headers, body = ask(server, FILE, Range=wanted)
    assert (status, headers["Content-Range"], body) == (206, content_range, expected)


@pytest.mark.parametrize("wanted", ["bytes=0-1,4-5", "bytes=9-2", "bytes=-", "lines=1-2", "bytes=x-y", "bytes=²-"])
def test_ranges_that_are_ignored(server: RepositoryServer, wanted: str) -> None:
    status, _, body = ask(server, FILE, Range=wanted)
    assert (status, body) == (200, CONTENT)


@pytest.mark.parametrize(("path", "wanted"), [(FILE, "bytes=5120000-"), (FILE, "bytes=-0"), ("empty", "bytes=0-0")])
def test_range_that_is_not_there(server: RepositoryServer, path: str, wanted: str) -> None:
    status, headers, _ = ask(server, path.replace("empty", "/bigtop-3.2.0/el8/empty"), Range=wanted)
    assert status == 416
    assert headers["Content-Range"] in ("bytes */5120000", "bytes */0")


def test_conditions(server: RepositoryServer) -> None:
    _, headers, _ = ask(server, FILE)
    etag, modified = headers["ETag"], headers["Last-Modified"]
    assert ask(server, FILE, If_None_Match=etag)[0] == 304
    assert ask(server, FILE, If_None_Match=f'"x", W/{etag}')[0] == 304
    assert ask(server, FILE, If_None_Match='"x"', If_Modified_Since=modified)[0] == 200
    assert ask(server, FILE, If_Modified_Since=modified)[0] == 304
    assert ask(server, FILE, If_Modified_Since="Thu, 01 Jan 1970 00:00:00 GMT")[0] == 200
    assert ask(server, FILE, If_Modified_Since="not a date")[0] == 200
    assert ask(server, FILE, If_Range=etag, Range="bytes=0-1")[0] == 206
    assert ask(server, FILE, If_Range='"old"', Range="bytes=0-1")[0] == 200


def test_connection_is_kept_after_304_and_416(server: RepositoryServer) -> None:
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=10)
    for headers, status in (({"If-None-Match": "*"}, 304), ({"Range": "bytes=9999999-"}, 416), ({}, 200)):
        connection.request("GET", FILE, headers=headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    connection.close()


@pytest.mark.parametrize(
    "path",
    [
        "/none",
        "/out",
        "/loop",
        "/pipe",
        "/.snapshots/",
        "/bigtop-3.2.0/el8/.hidden",
        "/../secret",
        "/%2e%2e/secret",
        "/bigtop-3.2.0/el8/../../../secret",
        "/bigtop-3.2.0/el8/%2e%2e/%2e%2e/%2e%2e/%2e%2e/secret",
        "/..%2fsecret",
        "/%00",
        "/" + "x" * 5000,
        FILE + "/below",
    ],
)
def test_nothing_hidden_and_nothing_outside(server: RepositoryServer, path: str) -> None:
    status, _, body = ask(server, path)
    assert status == 404
    assert b"secret" not in body


def test_listing(server: RepositoryServer) -> None:
    status, headers, _ = ask(server, "/bigtop-3.2.0/el8")
    assert (status, headers["Location"]) == (301, "/bigtop-3.2.0/el8/")
    status, headers, body = ask(server, "/bigtop-3.2.0/el8/")
    assert status == 200
    assert b'href="./packages/"' in body
    assert b"hidden" not in body
    assert b'<a href="./a%20b%26c.rpm">a b&amp;c.rpm</a>' in ask(server, "/bigtop-3.2.0/el8/packages/")[2]
    assert ask(server, "/bigtop-3.2.0/el8/packages/a%20b%26c.rpm")[2] == b"odd name"
    assert b".snapshots" not in ask(server, "/")[2]


def test_redirect_stays_on_this_host(server: RepositoryServer) -> None:
    answer = raw(server, b"GET //bigtop-3.2.0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"Location: //" not in answer


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_read_only(server: RepositoryServer, method: str) -> None:
    status, headers, _ = ask(server, FILE, method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_a_body_is_not_taken_for_a_request(server: RepositoryServer) -> None:
    smuggled = b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = raw(server, b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(smuggled) + smuggled)
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_switch_shows_at_once(server: RepositoryServer) -> None:
    new = server.root / ".snapshots" / "bigtop-3.2.0-el8" / "000002-def"
    new.mkdir()
    (new / "new").write_text("new")
    link = server.root / "bigtop-3.2.0" / ".el8.new"
    link.symlink_to("../.snapshots/bigtop-3.2.0-el8/000002-def")
    link.rename(server.root / "bigtop-3.2.0" / "el8")
    assert ask(server, "/bigtop-3.2.0/el8/new")[2] == b"new"
    assert ask(server, FILE)[0] == 404


def test_many_at_once(server: RepositoryServer) -> None:
    wrong: list[int] = []
    threads = [
        threading.Thread(target=lambda: wrong.append(1) if ask(server, FILE)[2] != CONTENT else None) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_clients_that_vanish_or_sleep_leave_no_trace(
    server: RepositoryServer, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bigtop_builder.flow.publish.server.Handler.timeout", 0.2)
    with socket.create_connection(server.server_address[:2], timeout=10) as connection:
        connection.sendall(f"GET {FILE} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        connection.recv(100)
    with socket.create_connection(server.server_address[:2], timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHo")
        assert connection.recv(100) == b""
    assert ask(server, FILE)[0] == 200
    assert capfd.readouterr() == ("", "")


def test_log_lines_have_no_control_characters(server: RepositoryServer) -> None:
    lines: list[str] = []
    server.log = lines.append
    raw(server, b"GET /\x1b[31mred HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert lines
    assert all(line.isprintable() for line in lines)


def test_port_in_use_and_missing_root(server: RepositoryServer, tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="cannot listen"):
        RepositoryServer(server.root, port=server.server_address[1])
    with pytest.raises(PublishError, match="no repository"):
        RepositoryServer(tmp_path / "none")


def test_interrupt_ends_it_cleanly(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from bigtop_builder.flow.publish.server import serve\n"
        "serve(Path(sys.argv[1]), port=0, ready=lambda address: print(address, flush=True)); print('ended')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        # A shell that runs tests in the background has them ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("http://127.0.0.1:")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (out, err, process.returncode) == ("ended\n", "", 0)
