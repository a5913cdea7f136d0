"""Everything that can go wrong on the way: a clear reason, the next alternative, nothing half-written."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bigtop_builder.adapter.sources import Fetcher, download, stored, web
from bigtop_builder.adapter.sources.errors import TransferError
from bigtop_builder.model.errors import InterruptedRunError, SourceError
from bigtop_builder.model.project import ProjectFile
from bigtop_builder.model.source import Source
from tests.fast.misbehaving import (
    Behaviour,
    File,
    Server,
    always,
    dripping,
    failing_first,
    in_turn,
    raw,
    redirecting,
    silent,
    stalling,
    trickling,
)

CONTENT = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SHA512 = hashlib.sha512(CONTENT).hexdigest()
OTHER = "0" * 64


@pytest.fixture(autouse=True)
def _plain_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(download, "PAUSE", 0.01)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


def project(**network: object) -> ProjectFile:
    return ProjectFile.model_validate({"network": {"stall_timeout": "1s", "connect_timeout": "2s", **network}})


def source(*alternatives: dict[str, str]) -> Source:
    return Source.model_validate({"alternatives": list(alternatives)})


def https(url: str, sha256: str = SHA256) -> dict[str, str]:
    return {"https": url, "sha256": sha256}


def partial_files(store: Path) -> list[Path]:
    return list((store / "sources/partial").iterdir())


def failure(store: Path, url: str, **network: object) -> SourceError:
    with pytest.raises(SourceError) as caught:
        Fetcher(store, project(**network)).fetch(source(https(url)), base=store)
    assert stored(store, f"sha256:{SHA256}") is None
    return caught.value


def test_wrong_digest_tells_both_and_the_next_alternative_is_taken(tmp_path: Path, server: Server) -> None:
    server.routes |= {"/bad": File(b"something else"), "/good": File(CONTENT)}
    wanted = source(https(server.url("/bad")), {"https": server.url("/good"), "sha512": SHA512})
    fetched = Fetcher(tmp_path, project()).fetch(wanted, base=tmp_path)
    assert fetched.path.read_bytes() == CONTENT
    assert fetched.digest == f"sha256:{SHA256}"
    assert fetched.alternative == server.url("/good")
    got = hashlib.sha256(b"something else").hexdigest()
    assert fetched.notes == [
        f"{server.url('/bad')}: wrong digest: expected sha256:{SHA256}, got sha256:{got} (14 bytes)"
    ]
    assert partial_files(tmp_path) == []
    assert server.paths() == ["/bad", "/good"]


@pytest.mark.parametrize(
    "page",
    [b"<!DOCTYPE html><title>Login</title>", b"\n <html><body>", b"\xef\xbb\xbf<?xml version='1.0'?>\n<!doctype HTML>"],
)
def test_html_instead_of_an_archive(tmp_path: Path, server: Server, page: bytes) -> None:
    server.routes["/file"] = File(page)
    assert "the server sent an HTML page" in failure(tmp_path, server.url("/file")).message
    assert partial_files(tmp_path) == []


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_refused(tmp_path: Path, server: Server, status: int) -> None:
    server.routes["/file"] = failing_first(status, 99, File(CONTENT))
    assert f"/file: {status} " in failure(tmp_path, server.url("/file")).message
    assert len(server.seen) == 1


def test_passing_failures_are_tried_again_within_a_bound(tmp_path: Path, server: Server) -> None:
    server.routes["/file"] = failing_first(503, 2, File(CONTENT))
    assert "503 Service Unavailable" in failure(tmp_path, server.url("/file"), retries=1).message
    assert len(server.seen) == 2
    assert Fetcher(tmp_path, project()).fetch(source(https(server.url("/file"))), base=tmp_path).path.exists()


def test_all_alternatives_are_listed(tmp_path: Path, server: Server) -> None:
    wanted = source(https(server.url("/one")), https(server.url("/two")), {"file": "three", "sha256": SHA256})
    with pytest.raises(SourceError) as caught:
        Fetcher(tmp_path, project()).fetch(wanted, base=tmp_path)
    lines = caught.value.message.splitlines()
    assert [line.partition(": ")[0].strip(" -") for line in lines[1:]] == [
        server.url("/one"),
        server.url("/two"),
        "file three",
    ]


@pytest.mark.parametrize("behaviour", [silent, stalling(CONTENT, 1000), trickling])
def test_stall(tmp_path: Path, server: Server, behaviour: object) -> None:
    server.routes["/file"] = behaviour  # type: ignore[assignment]
    assert "stalled: " in failure(tmp_path, server.url("/file"), retries=0).message


def test_connection_refused(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/file"
        assert f"{url}: connection refused" in failure(tmp_path, url).message


def test_unknown_host(tmp_path: Path) -> None:
    assert "cannot be resolved" in failure(tmp_path, "http://nowhere.invalid/file").message


def test_redirects_are_followed_and_bounded(tmp_path: Path, server: Server) -> None:
    server.routes |= {"/a": redirecting("/b"), "/b": redirecting("a")}
    assert "circular redirects" in failure(tmp_path, server.url("/a")).message
    server.routes |= {f"/r{number}": redirecting(f"/r{number + 1}") for number in range(50)}
    assert "more than 10 redirects" in failure(tmp_path, server.url("/r0")).message
    server.routes |= {"/c": redirecting("/d/e"), "/d/e": redirecting("../f"), "/f": File(CONTENT)}
    fetched = Fetcher(tmp_path, project()).fetch(source(https(server.url("/c"))), base=tmp_path)
    assert fetched.path.read_bytes() == CONTENT


def test_credentials_stay_with_their_host_and_out_of_messages(tmp_path: Path, server: Server) -> None:
    with Server() as elsewhere:
        server.routes["/file"] = redirecting(elsewhere.url("/file") + "?token=hush")
        url = server.url("/file?key=s3cret").replace("://", "://me:pa55word@")
        server.routes["/file?key=s3cret"] = server.routes["/file"]
        error = failure(tmp_path, url)
        assert server.seen[0].headers["authorization"].startswith("Basic ")
        assert "authorization" not in elsewhere.seen[0].headers
    shown = f"{error} {error.__cause__!r}"
    assert not [secret for secret in ("pa55word", "s3cret", "hush", "me:") if secret in shown]


def test_a_cut_transfer_is_resumed(tmp_path: Path, server: Server) -> None:
    server.routes["/file"] = File(CONTENT, cuts=[100_000, 50_000])
    fetched = Fetcher(tmp_path, project()).fetch(source(https(server.url("/file"))), base=tmp_path)
    assert fetched.path.read_bytes() == CONTENT
    ranges = [seen.headers.get("range") for seen in server.seen]
    assert ranges == [None, "bytes=100000-", "bytes=150000-"]
    assert [seen.headers.get("if-range") for seen in server.seen[1:]] == ['"v1"', '"v1"']


def test_what_one_run_received_the_next_goes_on_with(tmp_path: Path, server: Server) -> None:
    server.routes["/file"] = File(CONTENT, cuts=[100_000])
    assert "412000 bytes are missing" in failure(tmp_path, server.url("/file"), retries=0).message
    server.routes["/mirror"] = File(CONTENT, etag='"another"')
    fetched = Fetcher(tmp_path, project()).fetch(source(https(server.url("/mirror"))), base=tmp_path)
    assert fetched.path.read_bytes() == CONTENT
    assert server.seen[1].headers["range"] == "bytes=100000-"
    assert "if-range" not in server.seen[1].headers
    assert partial_files(tmp_path) == []


def test_a_server_that_ignores_ranges(tmp_path: Path, server: Server) -> None:
    server.routes["/file"] = File(CONTENT, ranges=False, cuts=[100_000])
    fetched = Fetcher(tmp_path, project()).fetch(source(https(server.url("/file"))), base=tmp_path)
    assert fetched.path.read_bytes() == CONTENT
    assert len(server.seen) == 2


@pytest.mark.parametrize("etags", [('"v1"', '"v2"'), (None, None)])
def test_a_file_that_changed_in_between(tmp_path: Path, server: Server, etags: tuple[str | None, ...]) -> None:
    server.routes["/file"] = File(b"?" * len(CONTENT), etag=etags[0], cuts=[100_000])
    failure(tmp_path, server.url("/file"), retries=0)
    server.routes["/file"] = File(CONTENT, etag=etags[1])
    fetched = Fetcher(tmp_path, project()).fetch(source(https(server.url("/file"))), base=tmp_path)
    assert fetched.path.read_bytes() == CONTENT


def test_a_file_that_got_shorter_in_between(tmp_path: Path, server: Server) -> None:
    server.routes["/file"] = File(b"?" * len(CONTENT), etag=None, cuts=[len(CONTENT) - 1])
    failure(tmp_path, server.url("/file"), retries=0)
    short = CONTENT[:1000]
    server.routes["/file"] = File(short)
    wanted = https(server.url("/file"), hashlib.sha256(short).hexdigest())
    part = tmp_path / "sources/partial" / f"sha256-{SHA256}.part"
    part.rename(part.with_name(f"sha256-{wanted['sha256']}.part"))
    assert Fetcher(tmp_path, project()).fetch(source(wanted), base=tmp_path).path.read_bytes() == short


def test_a_complete_partial_file_only_wants_verifying(tmp_path: Path, server: Server) -> None:
    partial = tmp_path / "sources/partial"
    partial.mkdir(parents=True)
    (partial / f"sha256-{SHA256}.part").write_bytes(CONTENT)
    server.routes["/file"] = File(CONTENT)
    fetched = Fetcher(tmp_path, project()).fetch(source(https(server.url("/file"))), base=tmp_path)
    assert fetched.path.read_bytes() == CONTENT
    assert len(server.seen) == 1


def test_a_stop_ends_a_stalled_download_and_keeps_its_bytes(tmp_path: Path, server: Server) -> None:
    server.routes["/file"] = stalling(CONTENT, 1000)
    cancelled = threading.Event()
    fetcher = Fetcher(tmp_path, ProjectFile())
    with pytest.raises(InterruptedRunError):
        fetcher.fetch(
            source(https(server.url("/file"))),
            base=tmp_path,
            progress=lambda done, total, note: cancelled.set() if done == 0 and total else None,
            cancelled=cancelled,
        )
    assert stored(tmp_path, f"sha256:{SHA256}") is None


def test_offline_asks_nobody(tmp_path: Path, server: Server) -> None:
    server.routes["/file"] = File(CONTENT)
    wanted = source(https(server.url("/file")))
    with pytest.raises(SourceError) as caught:
        Fetcher(tmp_path, project(), offline=True).fetch(wanted, base=tmp_path)
    assert f"{server.url('/file')}: skipped: offline" in caught.value.message
    assert server.seen == []
    Fetcher(tmp_path, project()).fetch(wanted, base=tmp_path)
    assert Fetcher(tmp_path, project(), offline=True).fetch(wanted, base=tmp_path).path.read_bytes() == CONTENT


SIZE = len(CONTENT)
HALF = SIZE // 2
SHORT = always(200, CONTENT[:HALF], length=SIZE, ETag='"v1"')
"""Ends in the middle of the file, so that the next request is for the rest."""


def resumed(body: bytes, content_range: str, **headers: str) -> Behaviour:
    """Ends a first transfer too early, then answers 206 whatever the request."""
    return in_turn(SHORT, always(206, body, Content_Range=content_range, **headers))


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (always(206, CONTENT, Content_Range=f"bytes 0-{SIZE - 1}/{SIZE}"), "although the whole was requested"),
        (always(206, CONTENT[:10], Content_Range=f"bytes 0-9/{SIZE}"), "although the whole was requested"),
        (resumed(CONTENT[:HALF], f"bytes 0-{HALF - 1}/{SIZE}"), "wrong position|although the whole"),
        (resumed(CONTENT[HALF:], f"bytes {HALF}-3/{SIZE}"), "wrong position|although the whole"),
        (resumed(CONTENT[HALF:], f"bytes {HALF}-{SIZE - 1}/{SIZE - 7}"), "wrong position|although the whole"),
        (resumed(CONTENT[HALF:], "bytes " + "9" * 5000 + "-/*"), "wrong position|although the whole"),
        (resumed(CONTENT[HALF:], "rubbish"), "wrong position|although the whole"),
        (resumed(CONTENT[HALF:] + b"more", f"bytes {HALF}-{SIZE - 1}/{SIZE}"), "more than it had announced|although"),
        (resumed(CONTENT[HALF:], f"bytes {HALF}-{SIZE - 1}/{SIZE}", ETag='"v2"'), "has changed|although the whole"),
        (resumed(b"?" * HALF, f"bytes {HALF}-{SIZE - 1}/{SIZE}"), "although the whole"),
        (in_turn(SHORT, always(416, b"", Content_Range=f"bytes */{HALF + 1}")), "416"),
        (in_turn(SHORT, always(416, b"")), "416"),
        (
            in_turn(SHORT, always(206, b"--x\r\n\r\nx\r\n--x--", Content_Type="multipart/byteranges; boundary=x")),
            "wrong position|although the whole",
        ),
        (always(200, CONTENT, Content_Encoding="gzip", ETag='"\xb2"'), ""),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\n", then=b"x"), "wrong digest"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 6000 + b"\r\n\r\n", then=b"x"), ""),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", then=b"x"), "wrong digest"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", then=b"x"), ""),
        (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", then=b"zz\r\n"), ""),
        (raw(b""), "connection was lost"),
        (raw(b"\0" * 1000), ""),
        (raw(b"HTTP/1.1 200 OK\r\n", then=b"X: " + b"x" * 1000, times=0), "connection was lost"),
        (raw(b"HTTP/1.1 200 OK\r\n", then=b"X: y\r\n", times=0), "connection was lost"),
    ],
)
def test_the_next_alternative_is_taken(tmp_path: Path, server: Server, behaviour: Behaviour, reason: str) -> None:
    server.routes |= {"/bad": behaviour, "/good": File(CONTENT)}
    wanted = source(https(server.url("/bad")), https(server.url("/good")))
    fetched = Fetcher(tmp_path, project()).fetch(wanted, base=tmp_path)
    assert fetched.path.read_bytes() == CONTENT
    if fetched.alternative == server.url("/good"):
        assert re.search(reason, fetched.notes[0])
    else:
        assert not reason
    assert server.paths().count("/bad") <= 6
    assert partial_files(tmp_path) == []


@pytest.mark.parametrize(
    "behaviour",
    [
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x"),
        dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        dripping(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_a_server_that_never_ends_is_left(tmp_path: Path, server: Server, behaviour: Behaviour) -> None:
    server.routes |= {"/bad": behaviour, "/good": File(CONTENT)}
    wanted = source(https(server.url("/bad")), https(server.url("/good")))
    fetched = Fetcher(tmp_path, project(retries=0, connect_timeout="1s")).fetch(wanted, base=tmp_path)
    assert fetched.path.read_bytes() == CONTENT
    assert re.search("stalled|no answer within", fetched.notes[0])
    for thread in threading.enumerate():
        if thread.name == "download":
            thread.join(20)
            assert not thread.is_alive()


@pytest.mark.parametrize(
    "behaviour",
    [
        raw(b"HTTP/1.1 200 OK\r\n\r\n", then=b"x" * 65536, times=0),
        raw(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", then=b"1000\r\n" + b"x" * 4096 + b"\r\n", times=0
        ),
        always(200, b"", length=1 << 40),
    ],
)
def test_more_bytes_than_the_limit(tmp_path: Path, server: Server, behaviour: Behaviour) -> None:
    server.routes |= {"/bad": behaviour, "/good": File(CONTENT)}
    settings = ProjectFile.model_validate({**project().model_dump(), "limits": {"download_size": "1m"}})
    wanted = source(https(server.url("/bad")), https(server.url("/good")))
    fetched = Fetcher(tmp_path, settings).fetch(wanted, base=tmp_path)
    assert fetched.path.read_bytes() == CONTENT
    assert "more than 1048576" in fetched.notes[0]
    assert server.paths() == ["/bad", "/good"]


def test_a_transfer_has_a_time_limit_however_fast_it_is(tmp_path: Path, server: Server) -> None:
    server.routes["/file"] = dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 4096)
    error = failure(tmp_path, server.url("/file"), transfer_timeout="1s")
    assert "not complete after 1 s" in error.message
    assert len(server.seen) == 1


def test_the_same_first_part_again_and_again_is_no_progress(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "WORTHWHILE", 1000)
    server.routes["/file"] = in_turn(*[SHORT, always(206, b"", Content_Range="bytes 1-2/3")] * 20)
    failure(tmp_path, server.url("/file"), retries=3)
    assert len(server.seen) == 4


def test_rubbish_of_an_earlier_run_is_dropped_once(tmp_path: Path, server: Server) -> None:
    partial = tmp_path / "sources/partial"
    partial.mkdir(parents=True)
    (partial / f"sha256-{SHA256}.part").write_bytes(b"?" * 1000)
    server.routes["/file"] = File(CONTENT)
    fetched = Fetcher(tmp_path, project()).fetch(source(https(server.url("/file"))), base=tmp_path)
    assert fetched.path.read_bytes() == CONTENT
    assert [seen.headers.get("range") for seen in server.seen] == ["bytes=1000-", None]


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/file", "gopher://x/", "data:,x", "javascript:x"]
)
def test_redirects_stay_with_http(tmp_path: Path, server: Server, target: str) -> None:
    server.routes |= {"/bad": redirecting(target), "/good": File(CONTENT)}
    wanted = source(https(server.url("/bad")), https(server.url("/good")))
    fetched = Fetcher(tmp_path, project()).fetch(wanted, base=tmp_path)
    assert "a redirect from http to " in fetched.notes[0]


def test_redirects_do_not_give_up_tls() -> None:
    with pytest.raises(TransferError, match="from https to http"):
        web._allowed("https://a/x", "http://a/x")
    assert web._allowed("http://a/x", "https://b/x") == "https://b/x"
    assert web._allowed("https://a/x", "https://b/x") == "https://b/x"


@pytest.mark.parametrize(
    "page",
    [
        b"[" * 200_000,
        b'{"files": ' + b"[" * 200_000,
        b'{"files": [{"filename": 1}]}',
        b"\xff",
        b"NaN",
        b"<!--" * 200_000,
    ],
    ids=["deep", "deep-files", "no-url", "not-utf-8", "not-a-number", "html"],
)
def test_an_index_page_that_is_none(tmp_path: Path, server: Server, page: bytes) -> None:
    kind = "text/html" if page.startswith(b"<") else "application/vnd.pypi.simple.v1+json"
    server.routes["/demo/"] = always(200, page, Content_Type=kind)
    settings = ProjectFile.model_validate({**project().model_dump(), "mirrors": {"pip": server.url("")}})
    with pytest.raises(SourceError, match="index"):
        Fetcher(tmp_path, settings).fetch(source({"pypi": "demo==1.0", "sha256": SHA256}), base=tmp_path)


def test_a_git_server_that_never_ends_is_left(tmp_path: Path, server: Server) -> None:
    refs = "/demo.git/info/refs?service=git-upload-pack"
    kind = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\r\n"
    server.routes[refs] = dripping(kind, b"x")
    wanted = source({"git": server.url("/demo.git"), "tag": "v1", "commit": "0" * 40}, https(server.url("/good")))
    server.routes["/good"] = File(CONTENT)
    fetched = Fetcher(tmp_path, project(transfer_timeout="3s")).fetch(wanted, base=tmp_path)
    assert fetched.path.read_bytes() == CONTENT
    assert "git" in fetched.notes[0]
