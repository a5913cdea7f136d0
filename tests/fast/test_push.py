"""Uploads of publications: to a real nginx, over a real sshd, and to servers that refuse or lie."""

from __future__ import annotations

import getpass
import html
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import createrepo_c
import pytest

from bigtop_builder.adapter.repository import web_destination
from bigtop_builder.adapter.repository.destination import PushError
from bigtop_builder.adapter.repository.seen import Seen
from bigtop_builder.adapter.repository.snapshot import Publications
from bigtop_builder.adapter.rpm.gnupg import Signer
from bigtop_builder.cli.app import run as run_command
from bigtop_builder.flow.publish import push as push_module
from bigtop_builder.flow.publish.publisher import Rules, publish
from bigtop_builder.flow.publish.push import Pushed, push
from bigtop_builder.flow.publish.pushed_pages import LISTED
from bigtop_builder.flow.publish.verifier import verify
from bigtop_builder.model.errors import ConfigurationError, ExitCode, PublishError
from bigtop_builder.model.project import Network, ProjectFile
from bigtop_builder.recipe.document import Document
from bigtop_builder.recipe.validation import validate
from tests.fast.real_servers import nginx, sshd
from tests.fast.test_publisher import EL8, STACK, A, B
from tests.rpmfile import Spec, write_rpm

BELOW = f"{STACK}/el8"
FULL = "set $asked $request_method$uri; if ($asked ~ ^PUT.*/packages/b-) { return 507; }"
PushTo = Callable[..., Pushed]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "repository"


@pytest.fixture
def publish_(signer: Signer, root: Path, tmp_path: Path) -> Callable[..., None]:
    def call(*specs: Spec, **rules: Any) -> None:
        packages = [write_rpm(tmp_path / f"in-{spec.name}-{spec.version}", spec) for spec in specs]
        publish(packages, root, STACK, EL8, signer, Rules(**rules))

    return call


@pytest.fixture
def push_to(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PushTo:
    monkeypatch.setattr(web_destination, "PAUSE", 0.01)

    def call(
        url: str,
        *,
        accept_older: bool = False,
        from_root: Path | None = None,
        stack: str = STACK,
        say: Callable[[str], None] = lambda text: None,
        **given: Any,
    ) -> Pushed:
        data = {"publish": {"push": {"url": url, **given}}}
        settings = validate(Document(data, Path("bigtop-builder.yaml")), ProjectFile).publish.push
        return push(
            Publications(from_root or root, stack, "el8"),
            stack,
            "el8",
            settings,
            network=Network(),
            seen=Seen(tmp_path / "store"),
            say=say,
            accept_older=accept_older,
        )

    return call


def test_what_was_pushed_is_the_publication_and_metadata_came_last(
    publish_: Callable[..., None], push_to: PushTo, root: Path, tmp_path: Path
) -> None:
    publish_(A, B, base_url="http://repo.example.com")
    with nginx(tmp_path / "nginx") as server:
        done = push_to(server.url)
        assert not verify(f"{server.url}/{BELOW}").problems
        ours = {
            path.relative_to(root / BELOW): path.read_bytes() for path in (root / BELOW).rglob("*") if path.is_file()
        }
        theirs = server.served / BELOW
        page = theirs / "index.html"
        ours[Path("index.html")] = page.read_bytes()
        text = html.unescape(page.read_text())
        assert "a-1.0-1.el8.noarch.rpm" in text
        assert f"curl -f -o /etc/yum.repos.d/{STACK}-el8.repo {server.url}/{BELOW}/" in text
        assert ours == {path.relative_to(theirs): path.read_bytes() for path in theirs.rglob("*") if path.is_file()}
        assert (done.files, done.uploaded) == (len(ours), len(ours))
        assert done.size == sum(map(len, ours.values()))
        put = [line.split()[1].removeprefix(f"/{BELOW}/") for line in server.requests("PUT")]
        assert {name.split("/")[0] for name in put[:2]} == {"packages"}
        last = ["repodata/repomd.xml.asc", "repodata/repomd.xml", "manifest.json.asc", "manifest.json", "/index.html"]
        assert put[-5:] == last


@pytest.mark.parametrize(
    "address", ["file:///srv/rpm", "http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]"]
)
def test_an_address_of_this_machine_is_not_handed_to_others(
    address: str, publish_: Callable[..., None], push_to: PushTo, tmp_path: Path
) -> None:
    publish_(A, base_url=address)
    with nginx(tmp_path / "nginx") as server:
        with pytest.raises(PublishError, match=f"names {re.escape(address)}.* other hosts do not reach") as raised:
            push_to(server.url)
        assert "publish.base_url" in (raised.value.hint or "")
        assert not (server.served / BELOW).exists()
        publish_(A, base_url="http://repo.example.com")
        assert push_to(server.url).uploaded


def test_a_second_push_sends_and_reads_nothing_but_the_signed_state(
    publish_: Callable[..., None], push_to: PushTo, tmp_path: Path
) -> None:
    publish_(A, B)
    with nginx(tmp_path / "nginx") as server:
        push_to(server.url)
        server.forget()
        done = push_to(server.url)
        assert (done.uploaded, done.size) == (0, 0)
        assert not server.requests("PUT")
        assert not [line for line in server.requests("GET") if "packages/" in line or "provenance/" in line]


def test_only_what_is_new_travels(publish_: Callable[..., None], push_to: PushTo, tmp_path: Path) -> None:
    with nginx(tmp_path / "nginx") as server:
        publish_(A)
        push_to(server.url)
        server.forget()
        publish_(B)
        push_to(server.url)
        put = [line.split()[1] for line in server.requests("PUT")]
        assert [name for name in put if "/packages/" in name] == [f"/{BELOW}/packages/b-1.0-1.el8.x86_64.rpm"]
        assert not verify(f"{server.url}/{BELOW}").problems


def test_the_page_of_the_root_lists_all_that_was_uploaded_there(
    publish_: Callable[..., None], push_to: PushTo, signer: Signer, tmp_path: Path
) -> None:
    publish_(A)
    other = tmp_path / "other"
    publish([write_rpm(tmp_path / "in-other", B), write_rpm(tmp_path / "in-other", A)], other, "other", EL8, signer)
    with nginx(tmp_path / "nginx") as server:
        page = server.served / "index.html"
        push_to(server.url, from_root=other, stack="other")
        push_to(server.url)
        text = html.unescape(page.read_text())
        rows = LISTED.findall(text)
        assert rows == [(STACK, "el8", "1"), ("other", "el8", "2")]
        assert f"{server.url}/other/el8/other-el8.repo" in text and f"{server.url}/{BELOW}/{STACK}-el8.repo" in text
        publish_(B)
        push_to(server.url)
        assert LISTED.findall(page.read_text()) == [(STACK, "el8", "2"), ("other", "el8", "2")]
        page.write_text("<h1>Our company</h1>")
        push_to(server.url)
        assert page.read_text() == "<h1>Our company</h1>", "somebody else's page stays"


def test_a_server_that_takes_no_page_at_its_root_has_the_publication_all_the_same(
    publish_: Callable[..., None], push_to: PushTo, tmp_path: Path
) -> None:
    publish_(A)
    said: list[str] = []
    with nginx(tmp_path / "nginx", rules="if ($request_uri = /index.html) { return 403; }") as server:
        push_to(server.url, say=said.append)
        assert not verify(f"{server.url}/{BELOW}").problems
    assert any("the page of all repositories is not up to date" in line and "403" in line for line in said)


def test_an_upload_that_stopped_is_continued(publish_: Callable[..., None], push_to: PushTo, tmp_path: Path) -> None:
    publish_(A, B)
    with nginx(tmp_path / "nginx", rules=FULL) as server:
        with pytest.raises(PushError, match=r"b-1.0-1.el8.x86_64.rpm: the server answers 507") as raised:
            push_to(server.url)
        assert "free space" in (raised.value.hint or "")
        assert [line.split()[1] for line in server.requests("PUT") if line.split()[2] == "201"] == [
            f"/{BELOW}/packages/a-1.0-1.el8.noarch.rpm"
        ]
    with nginx(tmp_path / "nginx") as server:
        server.forget()
        push_to(server.url)
        assert f"PUT /{BELOW}/packages/a-1.0-1.el8.noarch.rpm" not in " ".join(server.requests("PUT"))
        assert not verify(f"{server.url}/{BELOW}").problems


def test_a_file_that_another_left_half_is_replaced(
    publish_: Callable[..., None], push_to: PushTo, tmp_path: Path, root: Path
) -> None:
    publish_(A)
    name = "packages/a-1.0-1.el8.noarch.rpm"
    with nginx(tmp_path / "nginx") as server:
        there = server.served / BELOW / name
        there.parent.mkdir(parents=True)
        there.write_bytes(bytes((root / BELOW / name).stat().st_size))
        push_to(server.url)
        assert there.read_bytes() == (root / BELOW / name).read_bytes()


def test_passwords_come_by_reference(
    publish_: Callable[..., None], push_to: PushTo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_(A)
    monkeypatch.setenv("PUSH_USER", "deployer")
    monkeypatch.setenv("PUSH_PASSWORD", "s3cret-word")
    credentials = {"user": "env:PUSH_USER", "password": "env:PUSH_PASSWORD"}
    with nginx(tmp_path / "nginx", login="deployer:s3cret-word") as server:
        with pytest.raises(PushError, match="401") as raised:
            push_to(server.url)
        assert "publish.push.credentials" in (raised.value.hint or "")
        push_to(server.url, credentials=credentials)
        monkeypatch.setenv("PUSH_PASSWORD", "another-word")
        with pytest.raises(PushError, match="401") as raised:
            push_to(server.url, credentials=credentials)
        assert "another-word" not in str(raised.value)


def test_a_limit_of_the_server_is_named(publish_: Callable[..., None], push_to: PushTo, tmp_path: Path) -> None:
    publish_(A)
    with (
        nginx(tmp_path / "nginx", rules="client_max_body_size 1k;") as server,
        pytest.raises(PushError, match="413") as raised,
    ):
        push_to(server.url)
    assert "client_max_body_size" in (raised.value.hint or "")
    assert raised.value.exit_code == ExitCode.PUBLISH


def test_a_newer_publication_is_not_replaced_by_mistake(
    publish_: Callable[..., None], push_to: PushTo, signer: Signer, tmp_path: Path
) -> None:
    publish_(A)
    newer = tmp_path / "newer"
    packages = [write_rpm(tmp_path / "in-newer", Spec(name="c", files={"/c": b"c"}))]
    for number in range(3):
        publish(packages, newer, STACK, EL8, signer, Rules(base_url=f"http://repo{number}.example.com"))
    with nginx(tmp_path / "nginx") as server:
        push_to(server.url, from_root=newer)
        with pytest.raises(PublishError, match=r"has revision .* which is newer") as raised:
            push_to(server.url)
        assert "--accept-older" in (raised.value.hint or "")
        push_to(server.url, accept_older=True)
        assert not verify(f"{server.url}/{BELOW}").problems


def test_a_publication_that_is_not_whole_here_is_not_uploaded(
    publish_: Callable[..., None], push_to: PushTo, root: Path, tmp_path: Path
) -> None:
    publish_(A)
    repomd = root / BELOW / "repodata/repomd.xml"
    repomd.write_text(repomd.read_text().replace("<revision>", "<revision>9"))
    with nginx(tmp_path / "nginx") as server:
        with pytest.raises(PublishError, match="signature"):
            push_to(server.url)
        assert not server.requests("PUT")


@dataclass
class Odd:
    """A server that takes uploads in its own way."""

    files: dict[str, bytes] = field(default_factory=dict)
    folders: set[str] | None = None
    """The folders that exist, on a server that does not create them by itself."""
    page: bytes | None = None
    """What every request gets, with a status of success."""
    cut: int = 0
    """How many answers to GET of packages still end too early."""
    own_metadata: bool = False
    """Takes packages alone, and writes metadata of them, as a yum repository of Nexus does."""
    indexing: dict[str, bytes] = field(default_factory=dict)
    """Metadata that it has written when it is asked for the second time."""
    url: str = ""

    @contextmanager
    def running(self) -> Iterator[Odd]:
        odd = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self, status: int, body: bytes = b"", kind: str = "application/octet-stream") -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Type", kind)
                self.end_headers()
                if self.command != "HEAD":
                    cut = odd.cut and self.command == "GET" and self.path.endswith(".rpm")
                    self.wfile.write(body[: len(body) // 2] if cut else body)
                    self.close_connection = self.close_connection or bool(cut)
                    odd.cut -= bool(cut)

            def do_GET(self) -> None:
                if odd.page is not None:
                    self.answer(200, odd.page, "text/html")
                elif self.path in odd.files:
                    self.answer(200, odd.files[self.path])
                else:
                    self.answer(404)
                    if self.path.endswith("repomd.xml"):
                        odd.files |= odd.indexing
                        odd.indexing = {}

            do_HEAD = do_GET  # noqa: N815

            def do_MKCOL(self) -> None:
                assert odd.folders is not None
                path = self.path.rstrip("/")
                self.answer(405 if path in odd.folders else 201)
                odd.folders.add(path)

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if odd.own_metadata and not self.path.endswith(".rpm"):
                    self.answer(400)
                elif odd.folders is not None and self.path.rpartition("/")[0] not in odd.folders:
                    self.answer(409)
                else:
                    odd.files[self.path] = body
                    self.answer(200 if odd.page is not None else 201)

            def log_message(self, format: str, *args: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.url = f"http://127.0.0.1:{server.server_address[1]}/rpm"
            yield self
            server.shutdown()


def test_folders_are_made_where_the_server_does_not(publish_: Callable[..., None], push_to: PushTo) -> None:
    publish_(A, B)
    with Odd(folders={"/rpm"}).running() as server:
        push_to(server.url)
        assert f"/rpm/{BELOW}/provenance" in (server.folders or ())
        assert not verify(f"{server.url}/{BELOW}").problems


def test_a_log_in_page_is_no_upload(publish_: Callable[..., None], push_to: PushTo) -> None:
    publish_(A)
    with Odd(page=b"<html>Please log in</html>").running() as server:
        with pytest.raises(PushError, match=r"another SHA-256 .it is text/html. after its upload"):
            push_to(server.url)
        assert not [name for name in server.files if "/repodata/" in name]


def test_answers_that_are_cut_off_are_asked_for_again(publish_: Callable[..., None], push_to: PushTo) -> None:
    publish_(A)
    with Odd(cut=2).running() as server:
        push_to(server.url)
    with Odd(cut=99).running() as server, pytest.raises(PushError, match=r"a-1.0-1.el8.noarch.rpm: .*"):
        push_to(server.url)


def test_a_server_that_is_not_there(publish_: Callable[..., None], push_to: PushTo) -> None:
    publish_(A)
    with pytest.raises(PushError, match="connection refused"):
        push_to("http://127.0.0.1:9")


def test_a_server_with_metadata_of_its_own_gets_packages_and_lists_them(
    publish_: Callable[..., None], push_to: PushTo, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_(A, B)
    monkeypatch.setattr(push_module, "LISTING_PAUSE", 0.01)
    repodata = {
        f"/rpm/{BELOW}/repodata/{path.name}": path.read_bytes() for path in (root / BELOW / "repodata").iterdir()
    }
    with Odd(own_metadata=True).running() as server:
        with pytest.raises(PushError, match="the server answers 400") as raised:
            push_to(server.url)
        assert "publish.push.metadata: server" in (raised.value.hint or "")
        server.indexing = dict(repodata)
        done = push_to(server.url, metadata="server")
        assert done.files == 2
        assert not server.indexing
        server.files = {name: data for name, data in server.files.items() if name.endswith(".rpm")}
        monkeypatch.setattr(push_module, "LISTING_SECONDS", -1)
        with pytest.raises(PushError, match=r"does not list a-1.0-1.el8.noarch.rpm and 1 more") as raised:
            push_to(server.url, metadata="server")
        assert "repodata depth" in (raised.value.hint or "")


def test_over_ssh(publish_: Callable[..., None], push_to: PushTo, root: Path, tmp_path: Path) -> None:
    with sshd(tmp_path / "sshd") as server:
        login = {"ssh": {"key": str(server.key), "known_hosts": str(server.known_hosts)}}
        url = f"ssh://{getpass.getuser()}@{server.host}{tmp_path}/target"
        publish_(A)
        with pytest.raises(PushError, match=r"No such file|exit code 11") as raised:
            push_to(f"ssh://{getpass.getuser()}@{server.host}{tmp_path}/missing/target", **login)
        assert "mkdir" in (raised.value.hint or "")
        target = tmp_path / "target"
        done = push_to(url, **login)
        assert done.uploaded == done.files
        assert (target / "index.html").is_file()
        assert not verify(str(target / BELOW)).problems
        assert push_to(url, **login).uploaded == 0
        publish_(B)
        second = push_to(url, **login)
        assert 0 < second.uploaded < second.files
        assert not verify(str(target / BELOW)).problems
        with pytest.raises(PushError, match=r"Host key|Permission denied") as raised:
            push_to(url, ssh={"key": str(server.key), "known_hosts": str(tmp_path / "empty")})
        assert "publish.push.ssh" in (raised.value.hint or "")


def test_over_ssh_what_differs_is_found_though_size_and_time_agree(
    publish_: Callable[..., None], push_to: PushTo, root: Path, tmp_path: Path
) -> None:
    publish_(A)
    ours = next((root / BELOW / "packages").iterdir())
    there = tmp_path / "target" / BELOW / "packages" / ours.name
    there.parent.mkdir(parents=True)
    there.write_bytes(bytes(ours.stat().st_size))
    os.utime(there, ns=(ours.stat().st_atime_ns, ours.stat().st_mtime_ns))
    with sshd(tmp_path / "sshd") as server:
        push_to(
            f"ssh://{getpass.getuser()}@{server.host}{tmp_path}/target",
            ssh={"key": str(server.key), "known_hosts": str(server.known_hosts)},
        )
    assert there.read_bytes() == ours.read_bytes()


@pytest.mark.parametrize(
    "url", ["https://user:word@repo.example.com/rpm", "ssh://host", "ftp://host/rpm", "ssh://-oProxy/x", "repo"]
)
def test_addresses_that_are_none(url: str, push_to: PushTo) -> None:
    with pytest.raises(ConfigurationError, match=r"is invalid.*\n.*ssh://user@host"):
        push_to(url)


def test_the_command(
    publish_: Callable[..., None],
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    publish_(A)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bigtop-builder.yaml").write_text("platforms: [el8]\n")
    store = ["--store", str(tmp_path / "store")]
    assert run_command([*store, "repo", "push"]) == ExitCode.USAGE
    assert "publish.push.url" in capsys.readouterr().err
    with nginx(tmp_path / "nginx") as server:
        assert run_command([*store, "--json", "repo", "push", server.url]) == ExitCode.DONE
        answer = json.loads(capsys.readouterr().out)
        assert answer[0]["place"] == f"{server.url}/{BELOW}"
        assert answer[0]["uploaded"] == answer[0]["files"]
        assert createrepo_c.Repomd(str(server.served / BELOW / "repodata/repomd.xml")).records
