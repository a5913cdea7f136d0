"""The server, asked over a real socket."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bigtop_builder.adapter.http_server import _client
from bigtop_builder.flow.publish.server import Handler, RepositoryServer
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
    (root / ".pool").mkdir()
    (root / ".pool" / "secret").write_text("secret")
    (root / "in").symlink_to(".pool/secret")
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


@pytest.mark.parametrize(
    "wanted",
    [
        *("bytes=9-2", "bytes=-", "lines=1-2", "bytes=x-y", "bytes=²-", "bytes=", "bytes", "bytes=,,", "bytes=0-1,x"),
        *("bytes=0-9,5-15", "bytes=0-1,9-2", "bytes= 1 - 2", "bytes=" + ",".join(f"{n}-{n}" for n in range(100))),
    ],
)
def test_ranges_that_are_ignored(server: RepositoryServer, wanted: str) -> None:
    status, _, body = ask(server, FILE, Range=wanted)
    assert (status, body) == (200, CONTENT)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("bytes=0-1,4-5", [("0-1", CONTENT[:2]), ("4-5", CONTENT[4:6])]),
        ("bytes=-3, 10-11 ,,", [("5119997-5119999", CONTENT[-3:]), ("10-11", CONTENT[10:12])]),
        ("Bytes=0-0,7-" + "9" * 5000, [("0-0", CONTENT[:1]), ("7-5119999", CONTENT[7:])]),
    ],
)
def test_several_ranges(server: RepositoryServer, wanted: str, expected: list[tuple[str, bytes]]) -> None:
    status, headers, body = ask(server, FILE, Range=wanted)
    kind, _, boundary = headers["Content-Type"].partition("; boundary=")
    assert (status, kind) == (206, "multipart/byteranges")
    parts = [part.removesuffix(b"\r\n") for part in body.split(f"--{boundary}".encode())]
    assert (parts[0], parts[-1]) == (b"", b"--")
    heads = [f"\r\nContent-Type: application/x-rpm\r\nContent-Range: bytes {place}/5120000" for place, _ in expected]
    assert parts[1:-1] == [
        f"{head}\r\n\r\n".encode() + content for head, (_, content) in zip(heads, expected, strict=True)
    ]


def test_one_of_several_ranges_that_is_there(server: RepositoryServer) -> None:
    status, headers, body = ask(server, FILE, Range="bytes=6000000-,1-2,-0")
    assert (status, headers["Content-Range"], body) == (206, "bytes 1-2/5120000", CONTENT[1:3])


def test_head_has_no_ranges(server: RepositoryServer) -> None:
    status, headers, _ = ask(server, FILE, "HEAD", Range="bytes=0-1")
    assert (status, headers["Content-Length"]) == (200, str(len(CONTENT)))


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (FILE, "bytes=5120000-"),
        (FILE, "bytes=-0"),
        ("empty", "bytes=0-0"),
        (FILE, "bytes=6000000-,-0"),
        (FILE, "bytes=" + "9" * 5000 + "-"),
    ],
)
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
        "/in",
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
    top = ask(server, "/")[2]
    assert b"bigtop-3.2.0/" in top
    assert not [name for name in (b".snapshots", b".pool", b"out", b"in<", b"loop") if name in top]


def test_people_see_how_to_use_a_repository(server: RepositoryServer) -> None:
    (server.root / "bigtop-3.2.0" / "el8" / "repodata").mkdir()
    (server.root / "bigtop-3.2.0" / "el8" / "repodata" / "repomd.xml").touch()
    host = server.address.removeprefix("http://")
    page = ask(server, "/bigtop-3.2.0/el8/")[2].decode()
    assert f"dnf config-manager --add-repo http://{host}/bigtop-3.2.0/el8/bigtop-3.2.0-el8.repo" in page
    assert '<a href="packages/a%20b%26c.rpm">a b&amp;c.rpm</a>' in page
    assert "default-src 'none'" in page
    published = server.root / "bigtop-3.2.0" / "el8" / "bigtop-3.2.0-el8.repo"
    published.write_text("[bigtop]\nbaseurl=file:///srv/rpm/bigtop-3.2.0/el8\n")
    line = f"curl -f -o /etc/yum.repos.d/bigtop-3.2.0-el8.repo http://{host}/bigtop-3.2.0-el8.repo"
    for path in ("/bigtop-3.2.0/el8/", "/"):
        assert line in ask(server, path)[2].decode()
    assert f"baseurl=http://{host}/bigtop-3.2.0/el8\n" in ask(server, "/bigtop-3.2.0-el8.repo")[2].decode()
    published.unlink()
    top = ask(server, "/")[2].decode()
    assert '<a href="bigtop-3.2.0/el8/">bigtop-3.2.0</a>' in top
    assert "<script" not in page + top


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
    monkeypatch.setattr(Handler, "head_seconds", 0.2)
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


def test_a_head_has_a_time_limit_however_it_drips(server: RepositoryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Handler, "head_seconds", 0.3)
    with socket.create_connection(server.server_address[:2], timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        with pytest.raises(OSError):
            for _ in range(400):
                connection.sendall(b"x")
                time.sleep(0.05)


def test_an_idle_connection_has_a_time_limit(server: RepositoryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Handler, "idle_seconds", 0.2)
    with socket.create_connection(server.server_address[:2], timeout=10) as connection:
        assert connection.recv(1) == b""


@pytest.mark.parametrize(
    "head", [b"X: " + b"x" * 70_000, b"X: y\r\n" * 12_000, b"X: " + b"x" * 60_000 + b"\r\n" + b"Y: y" * 9000]
)
def test_a_head_has_a_size(server: RepositoryServer, head: bytes) -> None:
    request = b"GET / HTTP/1.1\r\n" + head + b"\r\n\r\n"
    with socket.create_connection(server.server_address[:2], timeout=10) as connection, contextlib.suppress(OSError):
        connection.sendall(request)
        assert connection.recv(12) == b"HTTP/1.1 431"
    assert ask(server, FILE, "HEAD")[0] == 200


def test_a_client_that_takes_nothing_is_left(server: RepositoryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Handler, "window_seconds", 0.3)
    (server.root / "large").write_bytes(b"x" * (32 << 20))
    with socket.create_connection(server.server_address[:2], timeout=10) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 200"
        for _ in range(400):
            if not server._places:
                break
            time.sleep(0.05)
        assert not server._places
        received = 0
        with contextlib.suppress(OSError):
            while piece := connection.recv(1 << 20):
                received += len(piece)
        assert received < 32 << 20


def test_slow_clients_do_not_shut_others_out(server: RepositoryServer) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(200):
            slow = stack.enter_context(socket.create_connection(server.server_address[:2], timeout=10))
            slow.sendall(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (number % 3))
        for _ in range(5):
            assert ask(server, FILE)[2] == CONTENT
        assert len(server._places) <= server.most_of_client


def test_many_clients_make_place_for_one_more(server: RepositoryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "most_connections", 8)
    with contextlib.ExitStack() as stack:
        for number in range(20):
            slow = stack.enter_context(socket.socket())
            slow.bind((f"127.0.0.{2 + number % 5}", 0))
            slow.connect(server.server_address[:2])
        assert ask(server, FILE)[2] == CONTENT


def test_a_place_is_refused_while_all_are_served(server: RepositoryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "most_of_client", 1)
    (server.root / "large").write_bytes(b"x" * (32 << 20))
    with socket.create_connection(server.server_address[:2], timeout=10) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 200"
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            ask(server, FILE)
        while connection.recv(1 << 20):
            pass
    assert ask(server, FILE)[0] == 200


def test_clients_of_ipv6_count_by_network() -> None:
    assert _client("2001:db8::1") == _client("2001:db8::2:3") != _client("2001:db8:0:1::1")
    assert _client("::ffff:10.0.0.1") == _client("10.0.0.1") != _client("10.0.0.2")
    assert _client("fe80::1%eth0") == _client("fe80::2")
