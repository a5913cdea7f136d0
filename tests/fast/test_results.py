"""Results that machines share, in a folder and over HTTP, and what happens to those that somebody altered."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bigtop_builder.adapter.measure import altered
from bigtop_builder.adapter.provenance.dsse import AttestationKey, load_attestation_key
from bigtop_builder.adapter.results.archive import pack, unpack
from bigtop_builder.adapter.results.folder import FolderPlace
from bigtop_builder.adapter.results.http import HttpPlace
from bigtop_builder.adapter.results.place import Place, ResultStoreError, UntrustedResultError
from bigtop_builder.adapter.results.shared_results import SharedResults
from bigtop_builder.adapter.results.upkeep import collect, contents, unsound_files, unsound_records
from bigtop_builder.adapter.sources.download_store import claim, name_source, stored
from bigtop_builder.adapter.sources.web import Web
from bigtop_builder.adapter.store import Store
from bigtop_builder.adapter.tree_digest import tree_digest
from bigtop_builder.model.archive_limits import DEFAULT
from bigtop_builder.model.digest import of_file, of_text
from bigtop_builder.model.project import Network
from bigtop_builder.plan.task import Kind
from tests.fast.real_servers import nginx

COMPILE, PACKAGE = of_text("a compile"), of_text("a package")
RESULTS: tuple[tuple[Kind, str], ...] = (("compile", COMPILE), ("package", PACKAGE))


def new_key() -> AttestationKey:
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return load_attestation_key(pem, None, "signing.attestation_key")


def filled_store(root: Path) -> Store:
    """A store with one compiled tree and one package."""
    store = Store(root).open()
    run = store.start_run()
    tree = run.work / "tree"
    (tree / "stage" / "usr" / "bin").mkdir(parents=True)
    (tree / "stage" / "usr" / "bin" / "tool").write_text("#!/bin/sh\n")
    (tree / "stage" / "usr" / "bin" / "tool").chmod(0o755)
    (tree / "stage" / "usr" / "ä name").write_bytes(os.urandom(3000))
    (tree / "stage" / "etc").symlink_to("/etc/tool")
    os.utime(tree / "stage" / "usr" / "bin" / "tool", (1e9, 1e9))
    (tree / "caches.json").write_text("{}")
    store.commit("compile", COMPILE, tree, {"key": COMPILE, "task": "tool@el8/compile"})
    packages = run.work / "packages"
    (packages / "rpms").mkdir(parents=True)
    (packages / "rpms" / "tool-1.rpm").write_bytes(os.urandom(5000))
    rpms = {"tool-1.rpm": of_file(packages / "rpms" / "tool-1.rpm")}
    store.commit("package", PACKAGE, packages, {"key": PACKAGE, "task": "tool@el8/package", "rpms": rpms, "notes": []})
    run.close()
    return store


class Server(BaseHTTPRequestHandler):
    """What plain servers do: GET, HEAD, PUT of files. ``answer`` replaces it by a status and a body."""

    files: dict[str, bytes]
    answer: tuple[int, bytes] | None
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        data = self.files.get(self.path)
        status, body = self.answer or ((200, data) if data is not None else (404, b"nothing here"))
        start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-")) if "Range" in self.headers else 0
        self.send_response(206 if start else status)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[start:])

    do_HEAD = do_GET  # noqa: N815 (the library's name)

    def do_PUT(self) -> None:
        self.asked.append(f"PUT {self.path}")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.answer[0] if self.answer else 201
        if not self.answer:
            self.files[self.path] = body
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


@contextmanager
def served() -> Iterator[tuple[type[Server], str]]:
    handler = type("Handler", (Server,), {"files": {}, "answer": None, "asked": [], "protocol_version": "HTTP/1.1"})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield handler, f"http://127.0.0.1:{server.server_port}/results"
        server.shutdown()


@pytest.fixture(params=["folder", "http", "nginx"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "folder":
        (tmp_path / "shared").mkdir()
        yield FolderPlace(tmp_path / "shared")
        return
    if request.param == "nginx":
        with nginx(tmp_path / "nginx") as server:
            yield HttpPlace(f"{server.url}/bigtop", Web(Network()))
        return
    with served() as (_, url):
        yield HttpPlace(url, Web(Network()))


def both(shared: SharedResults, store: Store) -> None:
    for kind, key in RESULTS:
        shared.push(kind, key, store)


def test_results_travel_and_are_the_same(tmp_path: Path, place: Place) -> None:
    here, there = filled_store(tmp_path / "here"), Store(tmp_path / "there").open()
    key = new_key()
    both(SharedResults(place, [], key), here)
    taker = SharedResults(place, [key.public.encode()])
    assert taker.present([COMPILE, PACKAGE, of_text("x")]) == {COMPILE, PACKAGE}
    for kind, one in RESULTS:
        assert taker.has(kind, one)
        assert taker.fetch(kind, one, there)
        assert altered(there, kind, one) is None
        assert there.manifest(kind, one) == here.manifest(kind, one)
    without = frozenset({"manifest.json"})
    assert tree_digest(there.folder("compile", COMPILE), without) == tree_digest(
        here.folder("compile", COMPILE), without
    )
    assert not taker.fetch("compile", of_text("unknown"), there)
    assert list((there.root / "sources" / "sha256").iterdir()) == []
    assert list((there.root / "cache" / "results").iterdir()) == []


def with_source(store: Store, content: bytes) -> tuple[str, str, str]:
    """Put a source into a store, and return the digests by which it is found."""
    sha512 = hashlib.sha512(content).hexdigest()
    with claim(store.root, f"sha512:{sha512}", threading.Event(), lambda: None) as part:
        assert part is not None
        part.write(content)
        _, sha256 = part.accept({"sha512": sha512}, {"git": "c" * 40})
    return f"sha256:{sha256}", f"sha512:{sha512}", f"git:{'c' * 40}"


def test_sources_travel_by_each_of_their_digests(tmp_path: Path, place: Place) -> None:
    here, key = filled_store(tmp_path / "here"), new_key()
    digests = with_source(here, b"a source")
    maker, taker = SharedResults(place, [], key), SharedResults(place, [key.public.encode()])
    for number, digest in enumerate(digests):
        there = Store(tmp_path / f"there{number}").open()
        assert not taker.fetch_source(digest, there)
        maker.push_source(digest, here)
        maker.push_source("sha256:" + "0" * 64, here)
        assert taker.fetch_source(digest, there)
        path = stored(there.root, digest)
        assert path is not None and path.read_bytes() == b"a source"


def test_a_source_of_another_digest_is_not_taken(tmp_path: Path) -> None:
    here, key = filled_store(tmp_path / "here"), new_key()
    sha512 = with_source(here, b"a source")[1]
    (tmp_path / "shared").mkdir()
    shared = SharedResults(FolderPlace(tmp_path / "shared"), [], key)
    name_source(here.root, "sha512:" + "1" * 128, of_file(stored(here.root, sha512)))  # type: ignore[arg-type]
    shared.push_source("sha512:" + "1" * 128, here)
    there = Store(tmp_path / "there").open()
    with pytest.raises(UntrustedResultError, match="sha512 differs"):
        shared.fetch_source("sha512:" + "1" * 128, there)
    assert stored(there.root, "sha512:" + "1" * 128) is None


def test_sources_in_use_outlive_a_collection(tmp_path: Path) -> None:
    here, key = filled_store(tmp_path / "here"), new_key()
    digest = with_source(here, b"a source")[0]
    (tmp_path / "shared").mkdir()
    place = FolderPlace(tmp_path / "shared")
    shared = SharedResults(place, [], key)
    shared.push_source(digest, here)
    for path in (tmp_path / "shared" / "cas").iterdir():
        os.utime(path, (0, 0))
    assert not collect(place, 3600)
    assert shared.fetch_source(digest, Store(tmp_path / "there").open())


def test_nothing_travels_twice(tmp_path: Path) -> None:
    here, key = filled_store(tmp_path / "here"), new_key()
    with served() as (server, url):
        for _ in range(2):
            both(SharedResults(HttpPlace(url, Web(Network())), [], key), here)
        puts = [line for line in server.asked if line.startswith("PUT")]
        assert len(puts) == len(set(puts)) == 4
        # Records are last: whoever finds one finds what it names.
        assert ["/ac/" in line for line in puts] == [False, True, False, True]


def test_a_foreign_key_is_not_believed(tmp_path: Path, place: Place) -> None:
    here, there = filled_store(tmp_path / "here"), Store(tmp_path / "there").open()
    both(SharedResults(place, [], new_key()), here)
    taker = SharedResults(place, [new_key().public.encode()])
    with pytest.raises(UntrustedResultError, match="no signature is by the key"):
        taker.fetch("package", PACKAGE, there)
    assert not there.has("package", PACKAGE)


@pytest.mark.parametrize("what", ["record", "other key", "other kind", "blob", "missing blob", "short blob"])
def test_a_store_that_was_tampered_with_gives_nothing(tmp_path: Path, what: str) -> None:
    here, there = filled_store(tmp_path / "here"), Store(tmp_path / "there").open()
    root, key = tmp_path / "shared", new_key()
    root.mkdir()
    shared = SharedResults(FolderPlace(root), [], key)
    both(shared, here)
    record = shared.record("package", PACKAGE)
    assert record is not None
    blob = root / "cas" / record.files["tool-1.rpm"].sha256
    kind: Kind = "package"
    asked = PACKAGE
    if what == "record":
        content = json.loads((root / "ac" / PACKAGE).read_text())
        content["payload"] = content["payload"][:-8] + "AAAAAA=="
        (root / "ac" / PACKAGE).write_text(json.dumps(content))
    elif what == "other key":
        asked = of_text("another")
        (root / "ac" / PACKAGE).rename(root / "ac" / asked)
    elif what == "other kind":
        kind = "compile"
    elif what == "blob":
        blob.write_bytes(b"x" * 5000)
    elif what == "short blob":
        blob.write_bytes(blob.read_bytes()[:100])
    else:
        blob.unlink()
    expected = ResultStoreError if what == "missing blob" else UntrustedResultError
    with pytest.raises(expected, match="result store"):
        shared.fetch(kind, asked, there)
    assert not there.has(kind, asked)
    assert not list((there.root / kind).iterdir())
    assert not list((there.root / "cache" / "results").glob("*"))


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (200, b"<html><body>Sign in</body></html>", "sends something else than results"),
        (401, b"", "401 Unauthorized"),
        (500, b"", "500"),
        (200, b"", "something else"),
    ],
)
def test_servers_that_answer_otherwise(tmp_path: Path, status: int, body: bytes, told: str) -> None:
    with served() as (server, url):
        server.answer = (status, body)
        shared = SharedResults(HttpPlace(url, Web(Network())), [new_key().public.encode()])
        with pytest.raises(ResultStoreError, match=told):
            shared.has("package", PACKAGE)


@pytest.mark.parametrize(("status", "hint"), [(401, "credentials"), (413, "client_max_body_size"), (507, "full")])
def test_uploads_that_are_refused(tmp_path: Path, status: int, hint: str) -> None:
    here = filled_store(tmp_path / "here")
    with served() as (server, url):
        shared = SharedResults(HttpPlace(url, Web(Network())), [], new_key())
        shared.place.has = lambda name: False  # type: ignore[method-assign]
        server.answer = (status, b"")
        with pytest.raises(ResultStoreError) as caught:
            shared.push("package", PACKAGE, here)
        assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("rules", "login", "told", "hint"),
    [
        ("", "builder:word", "401", "results.credentials"),
        ("client_max_body_size 1k;", None, "413", "client_max_body_size"),
        ("if ($request_method = PUT) { return 507; }", None, "507", "full"),
        ("limit_except GET HEAD { deny all; }", None, "403", "lacks permission"),
    ],
)
def test_what_nginx_refuses(tmp_path: Path, rules: str, login: str | None, told: str, hint: str) -> None:
    here = filled_store(tmp_path / "here")
    with nginx(tmp_path / "nginx", rules=rules, login=login) as server:
        shared = SharedResults(HttpPlace(server.url, Web(Network())), [], new_key())
        with pytest.raises(ResultStoreError, match=told) as caught:
            shared.push("package", PACKAGE, here)
        assert hint in (caught.value.hint or "")
        assert not list(server.served.rglob("ac/*"))


def test_what_was_altered_on_nginx_is_not_taken(tmp_path: Path) -> None:
    here, there, key = filled_store(tmp_path / "here"), Store(tmp_path / "there").open(), new_key()
    with nginx(tmp_path / "nginx", login="builder:word") as server:
        shared = SharedResults(HttpPlace(server.url, Web(Network()), ("builder", "word")), [], key)
        both(shared, here)
        for blob in (server.served / "cas").iterdir():
            blob.write_bytes(bytes(blob.stat().st_size))
        for kind, one in RESULTS:
            with pytest.raises(UntrustedResultError):
                shared.fetch(kind, one, there)
            assert not there.has(kind, one)


def test_a_transfer_from_nginx_goes_on_where_it_ended(tmp_path: Path) -> None:
    here, there, key = filled_store(tmp_path / "here"), Store(tmp_path / "there").open(), new_key()
    with nginx(tmp_path / "nginx") as server:
        shared = SharedResults(HttpPlace(server.url, Web(Network())), [], key)
        both(shared, here)
        record = shared.record("package", PACKAGE)
        assert record is not None
        one = record.files["tool-1.rpm"]
        half = there.root / "sources" / "partial" / f"sha256-{one.sha256}.part"
        half.parent.mkdir(parents=True)
        half.write_bytes((server.served / "cas" / one.sha256).read_bytes()[: one.size // 2])
        server.forget()
        assert shared.fetch("package", PACKAGE, there)
        assert altered(there, "package", PACKAGE) is None
        answers = [line.split() for line in server.requests("GET") if "/cas/" in line]
        assert [(answer[2], int(answer[3])) for answer in answers] == [("206", one.size - one.size // 2)]


def test_a_server_that_is_down(tmp_path: Path) -> None:
    shared = SharedResults(HttpPlace("http://127.0.0.1:9/results", Web(Network())), [new_key().public.encode()])
    with pytest.raises(ResultStoreError, match="connection refused"):
        shared.has("compile", COMPILE)


def test_a_folder_that_is_not_mounted(tmp_path: Path) -> None:
    with pytest.raises(ResultStoreError, match="is not a folder"):
        SharedResults(FolderPlace(tmp_path / "absent"), []).has("compile", COMPILE)


def test_a_transfer_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    here, there, key = filled_store(tmp_path / "here"), Store(tmp_path / "there").open(), new_key()
    with served() as (server, url):
        shared = SharedResults(HttpPlace(url, Web(Network())), [], key)
        both(shared, here)
        record = shared.record("package", PACKAGE)
        assert record is not None
        sha256 = record.files["tool-1.rpm"].sha256
        partial = there.root / "sources" / "partial" / f"sha256-{sha256}.part"
        partial.parent.mkdir(parents=True)
        partial.write_bytes(server.files[f"/results/cas/{sha256}"][:3000])
        server.asked.clear()
        assert shared.fetch("package", PACKAGE, there)
        assert altered(there, "package", PACKAGE) is None


def test_leases(tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bigtop_builder.adapter.results.shared_results.LEASE_SETTLES", 0.01)
    one, other = SharedResults(place, []), SharedResults(place, [])
    with one.lease("compile", COMPILE) as mine:
        assert mine
        with other.lease("compile", COMPILE) as theirs:
            assert not theirs
        with other.lease("package", COMPILE) as another:
            assert another
    with other.lease("compile", COMPILE) as afterwards:
        assert afterwards


def test_a_lease_whose_holder_died_ends(tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bigtop_builder.adapter.results.shared_results.LEASE_SETTLES", 0.01)
    dead = SharedResults(place, [])
    name = f"ac/{of_text(f'lease compile {COMPILE}')}"
    dead._write_lease(name, "somebody", seconds=-1)
    with SharedResults(place, []).lease("compile", COMPILE) as mine:
        assert mine


def test_the_same_tree_gives_the_same_archive(tmp_path: Path) -> None:
    store = filled_store(tmp_path / "here")
    tree = store.folder("compile", COMPILE)
    pack(tree, tmp_path / "one", frozenset({"manifest.json"}))
    copy = tmp_path / "copy"
    copy.mkdir()
    unpack(tmp_path / "one", copy, DEFAULT)
    os.utime(copy / "stage" / "etc", (5, 5), follow_symlinks=False)
    pack(copy, tmp_path / "two", frozenset({"manifest.json"}))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert tree_digest(copy, frozenset()) == tree_digest(tree, frozenset({"manifest.json"}))


def test_upkeep_of_a_folder(tmp_path: Path) -> None:
    here, root, key = filled_store(tmp_path / "here"), tmp_path / "shared", new_key()
    root.mkdir()
    place = FolderPlace(root)
    shared = SharedResults(place, [], key)
    both(shared, here)
    found = contents(place)
    assert (found.records, found.files) == (2, 2)
    assert [*unsound_records(shared, place), *unsound_files(place)] == [None] * 4
    # Nothing goes while it is used, and what no record names goes only after a day.
    (root / "cas" / of_text("stray")).write_text("stray")
    assert collect(place, 3600) == []
    os.utime(root / "cas" / of_text("stray"), (0, 0))
    os.utime(root / "ac" / PACKAGE, (1, 1))
    package = shared.record("package", PACKAGE)
    assert package is not None
    os.utime(root / "ac" / PACKAGE, (1, 1))
    blob = f"cas/{package.files['tool-1.rpm'].sha256}"
    os.utime(root / blob, (1, 1))
    would = {name for name, _ in collect(place, 3600, dry_run=True)}
    assert would == {f"ac/{PACKAGE}", blob, f"cas/{of_text('stray')}"} and (root / blob).exists()
    assert {name for name, _ in collect(place, 3600)} == would
    assert shared.has("compile", COMPILE) and not (root / blob).exists()
    assert [*unsound_records(shared, place), *unsound_files(place)] == [None] * 2


def test_upkeep_finds_what_is_unsound(tmp_path: Path) -> None:
    here, root, key = filled_store(tmp_path / "here"), tmp_path / "shared", new_key()
    root.mkdir()
    place, shared = FolderPlace(root), SharedResults(FolderPlace(root), [], key)
    both(shared, here)
    package, tree = shared.record("package", PACKAGE), shared.record("compile", COMPILE)
    assert package is not None and tree is not None
    (root / "cas" / package.files["tool-1.rpm"].sha256).write_bytes(b"other")
    (root / "cas" / tree.files["tree.tar.zst"].sha256).unlink()
    stranger = SharedResults(place, [new_key().public.encode()])
    assert all(one and "no signature" in one.why for one in unsound_records(stranger, place))
    wrong = [one for one in (*unsound_records(shared, place), *unsound_files(place)) if one]
    assert [one.name.partition("/")[0] for one in wrong] == ["ac", "cas"]
