"""Each kind of alternative, from a server or a repository on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bigtop_builder.adapter.sources import Fetcher, stored, unpack
from bigtop_builder.model.errors import ConfigurationError, SourceError
from bigtop_builder.model.project import ProjectFile
from bigtop_builder.model.source import Source
from tests.fast.misbehaving import File, Handler, Server, redirecting

CONTENT = b"a real source archive" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SHA512 = hashlib.sha512(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _plain_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


def source(**alternative: str) -> Source:
    digest = {} if "git" in alternative or "sha512" in alternative else {"sha256": SHA256}
    return Source.model_validate({"alternatives": [{**alternative, **digest}]})


def fetcher(store: Path, mirrors: dict[str, object] | None = None, **network: object) -> Fetcher:
    document = {"mirrors": {"preset": "none", **(mirrors or {})}, "network": {"connect_timeout": "2s", **network}}
    return Fetcher(store, ProjectFile.model_validate(document))


def test_stored_once_under_its_sha256_and_found_by_its_sha512(tmp_path: Path, server: Server) -> None:
    server.routes["/file"] = File(CONTENT)
    wanted = source(https=server.url("/file"), sha512=SHA512)
    first = fetcher(tmp_path).fetch(wanted, base=tmp_path)
    second = fetcher(tmp_path).fetch(wanted, base=tmp_path)
    assert len(server.seen) == 1
    assert first.path == second.path == tmp_path / "sources/sha256" / SHA256
    assert stored(tmp_path, f"sha512:{SHA512}") == stored(tmp_path, f"sha256:{SHA256}") == first.path
    assert stored(tmp_path, "sha512:" + "0" * 128) is None
    assert first.path.stat().st_mode & 0o777 == 0o444


@pytest.mark.parametrize("has", [True, False])
def test_what_a_team_shares_comes_before_the_address(tmp_path: Path, server: Server, has: bool) -> None:
    server.routes["/file"] = File(CONTENT)
    wanted = source(https=server.url("/file"), sha512=SHA512)
    asked: list[str] = []

    def shared(digest: str) -> bool:
        asked.append(digest)
        if has:
            fetcher(tmp_path).fetch(wanted, base=tmp_path)
            server.seen.clear()
        return has

    project = ProjectFile.model_validate({"mirrors": {"preset": "none"}})
    found = Fetcher(tmp_path, project, shared=shared).fetch(wanted, base=tmp_path)
    assert found.path.read_bytes() == CONTENT and asked == [f"sha512:{SHA512}"]
    assert len(server.seen) == (0 if has else 1)
    assert found.alternative.startswith("shared results") == has
    asked.clear()
    Fetcher(tmp_path, project, shared=shared).fetch(wanted, base=tmp_path)
    assert asked == []


def test_nothing_is_shared_offline(tmp_path: Path) -> None:
    project = ProjectFile.model_validate({"mirrors": {"preset": "none"}})
    asked: list[str] = []
    with pytest.raises(SourceError, match="offline"):
        Fetcher(tmp_path, project, offline=True, shared=lambda digest: bool(asked.append(digest))).fetch(
            source(https="http://127.0.0.1:9/x"), base=tmp_path
        )
    assert asked == []


def test_progress_tells_bytes_total_and_where_from(tmp_path: Path, server: Server) -> None:
    server.routes["/file"] = File(CONTENT)
    told: list[tuple[int, int | None, str]] = []
    wanted = source(https=server.url("/file"))
    fetcher(tmp_path).fetch(wanted, base=tmp_path, progress=lambda *report: told.append(report))
    assert told[0] == (0, len(CONTENT), "127.0.0.1")
    assert told[-1] == (len(CONTENT), len(CONTENT), "127.0.0.1")


def test_apache_mirrors_come_first_and_the_archive_last(tmp_path: Path, server: Server) -> None:
    server.routes["/two/zookeeper/z.tar.gz"] = File(CONTENT)
    mirrors = {"apache": [server.url("/one/"), server.url("/two")]}
    fetched = fetcher(tmp_path, mirrors).fetch(source(apache="zookeeper/z.tar.gz"), base=tmp_path)
    assert server.paths() == ["/one/zookeeper/z.tar.gz", "/two/zookeeper/z.tar.gz"]
    assert fetched.notes == [f"Apache zookeeper/z.tar.gz: {server.url('/one/zookeeper/z.tar.gz')}: 404 Not Found"]


def test_an_address_in_the_apache_archive_is_looked_for_on_the_mirrors(tmp_path: Path, server: Server) -> None:
    server.routes["/dist/zookeeper/z.tar.gz"] = File(CONTENT)
    wanted = source(https="https://archive.apache.org/dist/zookeeper/z.tar.gz")
    fetcher(tmp_path, {"apache": [server.url("/dist")]}).fetch(wanted, base=tmp_path)
    assert server.paths() == ["/dist/zookeeper/z.tar.gz"]


def test_maven_layout_and_credentials(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_USER", "me")
    (tmp_path / "password").write_text("pa55:wörd密\n")
    path = "/m/org/apache/zookeeper/parent/3.5.9/parent-3.5.9-source-release.zip"
    server.routes[path] = File(CONTENT)
    credentials = {"user": "env:NEXUS_USER", "password": f"file:{tmp_path / 'password'}"}
    mirrors = {
        "maven": [
            {"url": server.url("/others"), "mirror_of": "*,!central"},
            {"url": server.url("/m/"), "credentials": credentials},
        ]
    }
    wanted = source(maven="org.apache.zookeeper:parent:3.5.9:zip:source-release")
    fetcher(tmp_path, mirrors).fetch(wanted, base=tmp_path)
    assert server.paths() == [path]
    assert server.seen[0].headers["authorization"] == "Basic " + base64.b64encode("me:pa55:wörd密".encode()).decode()


def test_maven_credentials_that_are_not_set(tmp_path: Path, server: Server) -> None:
    credentials = {"user": "env:BIGTOP_NOT_SET", "password": "env:BIGTOP_NOT_SET"}
    mirrors = {"maven": [{"url": server.url("/m"), "credentials": credentials}]}
    with pytest.raises(SourceError, match="environment variable BIGTOP_NOT_SET is not set"):
        fetcher(tmp_path, mirrors).fetch(source(maven="g:a:1"), base=tmp_path)


def test_debian_pool(tmp_path: Path, server: Server) -> None:
    server.routes["/debian/pool/main/r/redis/redis_7.orig.tar.gz"] = File(CONTENT)
    server.routes["/debian/pool/contrib/libx/libxyz/a"] = File(CONTENT)
    mirrors = {"debian": server.url("/debian/")}
    fetcher(tmp_path / "a", mirrors).fetch(source(debian="redis", file="redis_7.orig.tar.gz"), base=tmp_path)
    wanted = source(debian="libxyz", file="a", section="contrib")
    assert fetcher(tmp_path / "b", mirrors).fetch(wanted, base=tmp_path).path.read_bytes() == CONTENT


def simple_json(handler: Handler) -> None:
    assert "vnd.pypi.simple.v1+json" in handler.headers["Accept"]
    files = [
        {"filename": "my_pkg-1.0-py3-none-any.whl", "url": "/wheel"},
        {"filename": "my-pkg-1.0.1.tar.gz", "url": "/newer"},
        {"filename": "My.Pkg-1.0.tar.gz", "url": "../../files/sdist#sha256=0"},
    ]
    handler.answer(200, json.dumps({"files": files}).encode(), Content_Type="application/vnd.pypi.simple.v1+json")


def simple_html(handler: Handler) -> None:
    page = b"""<!DOCTYPE html><a href="/wheel/my_pkg-1.0-py3-none-any.whl">x</a>
        <a data-requires-python="&gt;=3" href="../../files/my%2dpkg-1.0.tar.gz#sha256=0">x</a>"""
    handler.answer(200, page, Content_Type="text/html; charset=utf-8")


@pytest.mark.parametrize("page", [simple_json, simple_html])
@pytest.mark.parametrize("file", [None, "my_pkg-1.0-py3-none-any.whl"])
def test_pypi(tmp_path: Path, server: Server, page: object, file: str | None) -> None:
    server.routes |= {"/simple/my-pkg/": redirecting("/mirror/simple/my-pkg/")}
    server.routes["/mirror/simple/my-pkg/"] = page  # type: ignore[assignment]
    for path in ("/mirror/files/sdist", "/mirror/files/my-pkg-1.0.tar.gz"):
        server.routes[path] = File(CONTENT if file is None else b"sdist")
    for path in ("/wheel", "/wheel/my_pkg-1.0-py3-none-any.whl"):
        server.routes[path] = File(CONTENT if file else b"wheel")
    wanted = source(pypi="My_Pkg==1.0", **({"file": file} if file else {}))
    fetched = fetcher(tmp_path, {"pip": server.url("/simple")}).fetch(wanted, base=tmp_path)
    assert fetched.path.read_bytes() == CONTENT


def test_pypi_without_that_file(tmp_path: Path, server: Server) -> None:
    server.routes["/simple/my-pkg/"] = simple_json
    broken = fetcher(tmp_path, {"pip": server.url("/simple")})
    with pytest.raises(SourceError, match=r"the index has no sdist of my-pkg==2\.0"):
        broken.fetch(source(pypi="my-pkg==2.0"), base=tmp_path)
    with pytest.raises(SourceError, match="the index answered 404 Not Found for other"):
        broken.fetch(source(pypi="other==2.0"), base=tmp_path)
    server.routes["/simple/my-pkg/"] = lambda handler: handler.answer(200, b"[1]", Content_Type="application/json")
    with pytest.raises(SourceError, match="not valid JSON"):
        broken.fetch(source(pypi="my-pkg==2.0"), base=tmp_path)


def test_file_relative_to_its_recipe_even_offline(tmp_path: Path) -> None:
    (tmp_path / "recipe").mkdir()
    (tmp_path / "recipe/a.tar").write_bytes(CONTENT)
    offline = Fetcher(tmp_path / "store", ProjectFile(), offline=True)
    fetched = offline.fetch(source(file="a.tar"), base=tmp_path / "recipe")
    assert fetched.path.read_bytes() == CONTENT
    (tmp_path / "recipe/b.tar").write_bytes(b"other")
    wanted = Source.model_validate({"alternatives": [{"file": "b.tar", "sha256": "0" * 64}]})
    with pytest.raises(SourceError, match="wrong digest"):
        offline.fetch(wanted, base=tmp_path / "recipe")


def git(folder: Path, *arguments: str) -> str:
    config = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "protocol.file.allow=always"]
    command = ["git", "-C", str(folder), *config, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "project.git"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "b").mkdir()
    (folder / "b/run").write_text("#!/bin/sh\n")
    (folder / "b/run").chmod(0o755)
    (folder / "a.txt").write_text("text\n")
    (folder / "link").symlink_to("b/run")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "one")
    git(folder, "tag", "v1")
    return folder


def test_git_gives_the_same_archive_each_time(tmp_path: Path, repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    wanted = source(git=f"file://{repository}", tag="v1", commit=commit)
    one = fetcher(tmp_path / "one").fetch(wanted, base=tmp_path)
    two = fetcher(tmp_path / "two").fetch(wanted, base=tmp_path)
    assert one.digest == two.digest
    assert stored(tmp_path / "one", f"git:{commit}") == one.path
    unpack(one.path, tmp_path / "tree", strip=1, name="project")
    found = sorted(path.relative_to(tmp_path / "tree").as_posix() for path in (tmp_path / "tree").rglob("*"))
    assert found == ["a.txt", "b", "b/run", "link"]
    assert (tmp_path / "tree/b/run").stat().st_mode & 0o111
    assert (tmp_path / "tree/link").readlink() == Path("b/run")
    assert list((tmp_path / "one/sources/partial").iterdir()) == []


def test_git_without_a_tag_asks_for_the_commit_itself(tmp_path: Path, repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    tagged = fetcher(tmp_path / "one").fetch(source(git=f"file://{repository}", tag="v1", commit=commit), base=tmp_path)
    git(repository, "tag", "-d", "v1")
    git(repository, "commit", "-q", "--allow-empty", "-m", "two")
    bare = fetcher(tmp_path / "two").fetch(source(git=f"file://{repository}", commit=commit), base=tmp_path)
    assert bare.digest == tagged.digest
    assert bare.path.read_bytes() == tagged.path.read_bytes()


def test_git_tag_that_moved_and_repository_that_is_gone(tmp_path: Path, repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    moved = source(git=f"file://{repository}", tag="v1", commit="1" * 40)
    with pytest.raises(SourceError, match=f"v1 points to {commit}, not to the commit 1111"):
        fetcher(tmp_path / "store").fetch(moved, base=tmp_path)
    gone = source(git="https://me:pa55word@127.0.0.1:1/x.git", tag="v1", commit=commit)
    with pytest.raises(SourceError, match="git failed") as caught:
        fetcher(tmp_path / "store").fetch(gone, base=tmp_path)
    assert "pa55word" not in str(caught.value)
    assert list((tmp_path / "store/sources/partial").iterdir()) == []


def test_proxy_with_credentials_and_exceptions(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY_USER", "me")
    monkeypatch.setenv("PROXY_PASSWORD", "p@ss/word")
    server.routes |= {"http://far.example/file": File(CONTENT), "/near": File(CONTENT)}
    proxy = {
        "http": server.url(""),
        "no_proxy": ["127.0.0.1"],
        "credentials": {"user": "env:PROXY_USER", "password": "env:PROXY_PASSWORD"},
    }
    fetcher(tmp_path / "a", proxy=proxy).fetch(source(https="http://far.example/file"), base=tmp_path)
    expected = "Basic " + base64.b64encode(b"me:p@ss/word").decode()
    assert server.seen[0].headers["proxy-authorization"] == expected
    fetcher(tmp_path / "b", proxy=proxy).fetch(source(https=server.url("/near")), base=tmp_path)
    assert server.paths() == ["http://far.example/file", "/near"]


def test_a_certificate_that_nobody_trusts(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "ca.pem"
    ask = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1"
    files = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*ask.split(), *files], check=True, capture_output=True, timeout=60)
    with Server((str(certificate), str(key))) as server:
        server.routes["/file"] = File(CONTENT)
        wanted = source(https=server.url("/file"))
        with pytest.raises(SourceError, match=r"TLS failed: .*CERTIFICATE_VERIFY_FAILED") as caught:
            fetcher(tmp_path / "store").fetch(wanted, base=tmp_path)
        assert "network.ca_bundle" in (caught.value.hint or "")
        trusting = fetcher(tmp_path / "store", ca_bundle=str(certificate))
        assert trusting.fetch(wanted, base=tmp_path).path.read_bytes() == CONTENT


def test_a_ca_bundle_that_is_not_there(tmp_path: Path) -> None:
    broken = fetcher(tmp_path, ca_bundle=str(tmp_path / "none.pem"))
    with pytest.raises(ConfigurationError, match=r"network\.ca_bundle: there is no file"):
        broken.fetch(source(https="http://127.0.0.1:1/x"), base=tmp_path)
