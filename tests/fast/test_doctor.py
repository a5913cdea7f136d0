"""doctor: each finding says what was seen and what to do."""

from __future__ import annotations

import base64
import os
import socket
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bigtop_builder.adapter.containers.accounts import Account
from bigtop_builder.adapter.containers.container import User
from bigtop_builder.adapter.containers.engine import facts
from bigtop_builder.flow.doctor import Finding, check_bundle, engine_trial, examine, reach
from bigtop_builder.recipe.settings import Settings, load_settings
from tests.fast.engine_double import EngineDouble, with_helper


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")


def settings(tmp_path: Path, **flags: object) -> Settings:
    given = {"store": str(tmp_path / "store"), **{name.replace("__", "."): value for name, value in flags.items()}}
    return load_settings(tmp_path, given, {"HOME": str(tmp_path)})


def finding(findings: list[Finding], name: str) -> Finding:
    return next(one for one in findings if one.name == name)


def authority(days: int) -> bytes:
    """A CA certificate that ends ``days`` from now, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Test {days}")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=100))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def test_every_check_gives_a_finding_and_problems_have_advice(tmp_path: Path) -> None:
    findings = examine(settings(tmp_path), offline=True)
    names = {one.name for one in findings}
    assert names >= {"engine", "store", "store disk", "output", "processors", "memory", "git", "gpg", "clock"}
    assert finding(findings, "engine").state == "failure"
    assert all(one.advice for one in findings if one.state != "ok")


def test_a_store_that_is_no_folder_fails(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("", encoding="utf-8")
    found = finding(examine(settings(tmp_path), offline=True), "store")
    assert found.state == "failure" and "cannot be written" in found.detail


@pytest.mark.parametrize(
    ("days", "state"), [([10], "ok"), ([10, -1], "warning"), ([-1], "failure"), ([-1, -2], "failure")]
)
def test_certificates_that_have_expired_are_told(tmp_path: Path, days: list[int], state: str) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(b"".join(authority(one) for one in days))
    found = check_bundle(bundle)
    assert found.state == state and f"{len(days)} authorities" in found.detail


@pytest.mark.parametrize("text", ["", "not PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_bundle_that_is_none(tmp_path: Path, text: str) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text(text, encoding="utf-8")
    assert check_bundle(bundle).state == "failure"


def test_a_bundle_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    found = examine(settings(tmp_path, network__ca_bundle=str(tmp_path / "none.pem")), offline=True)
    assert finding(found, "bundle").state == "failure"


class Site(BaseHTTPRequestHandler):
    """Answers 404 with a clock that may be wrong; below ``/repository/`` to those alone who say who they are."""

    date: ClassVar[str | None] = None

    def do_GET(self) -> None:
        known = self.headers.get("Authorization") == "Basic " + base64.b64encode(b"me:right").decode()
        cache = self.path.startswith("/repository/")
        self.send_response_only(401 if cache and not known else 200 if "maven" in self.path else 404)
        self.send_header("Date", self.date or self.date_time_string())
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the screen."""


@pytest.fixture
def site() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/maven2"
        server.shutdown()
        thread.join()


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_mirror_that_answers_anything_is_reached(tmp_path: Path, site: str) -> None:
    assert reach("maven", lambda: site, settings(tmp_path)).state == "ok"


def test_a_mirror_that_is_not_there_is_a_warning_with_advice(tmp_path: Path) -> None:
    found = reach("maven", lambda: f"http://127.0.0.1:{unused_port()}/", settings(tmp_path))
    assert found.state == "warning" and "refused" in found.detail and "mirrors.maven" in found.advice


@pytest.mark.parametrize(
    ("password", "credentials", "seen"),
    [
        ("right", True, ("ok", "answers")),
        ("wrong", True, ("warning", "rejects the credentials")),
        ("right", False, ("warning", "requires credentials")),
    ],
)
def test_a_cache_that_refuses_is_told(
    tmp_path: Path,
    site: str,
    monkeypatch: pytest.MonkeyPatch,
    password: str,
    credentials: bool,
    seen: tuple[str, str],
) -> None:
    monkeypatch.setenv("CACHE_USER", "me")
    monkeypatch.setenv("CACHE_PASSWORD", password)
    cache: dict[str, object] = {"url": site.removesuffix("/maven2")}
    if credentials:
        cache["credentials"] = {"user": "env:CACHE_USER", "password": "env:CACHE_PASSWORD"}
    found = examine(settings(tmp_path, mirrors__cache=cache, mirrors__debian=site))
    maven = finding(found, "maven mirror")
    assert maven.state == seen[0] and seen[1] in maven.detail
    assert password not in maven.detail + maven.advice
    if seen[0] == "ok":
        npm = finding(found, "npm mirror")
        assert "has nothing at /repository/npm-proxy" in npm.detail and "mirrors.cache" in npm.advice


def test_a_cache_that_is_not_there_is_told(tmp_path: Path) -> None:
    found = examine(settings(tmp_path, mirrors__cache={"url": f"http://127.0.0.1:{unused_port()}"}))
    assert {"maven mirror", "npm mirror", "pip mirror", "node mirror"} <= {
        one.name for one in found if one.state == "warning" and "refused" in one.detail
    }


def test_a_clock_that_differs_is_told(tmp_path: Path, site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Site, "date", "Thu, 01 Jan 2015 00:00:00 GMT")
    found = reach("maven", lambda: site, settings(tmp_path))
    assert found.state == "warning" and "clock" in found.detail


def test_a_proxy_that_is_set_but_not_there_fails(tmp_path: Path, site: str) -> None:
    mirrors: dict[str, object] = {"mirrors__pip": site, "mirrors__debian": site, "mirrors__apache": [site]}
    mirrors["mirrors__maven"] = [{"url": site}]
    port = unused_port()
    found = examine(settings(tmp_path, network__proxy__http=f"http://127.0.0.1:{port}", **mirrors))
    assert finding(found, "proxy").state == "failure"
    assert finding(found, "proxy").detail.startswith(f"127.0.0.1:{port}")
    assert finding(found, "maven mirror").state == "warning"


def tried(double: EngineDouble, tmp_path: Path) -> dict[str, Finding]:
    """The findings of a trial with an engine, by name."""
    double.scratch = tmp_path
    return {one.name: one for one in engine_trial(double.client, facts(double.client), tmp_path)}


@pytest.fixture
def another_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """This account is an ordinary one, and what the double's containers write belongs to another."""
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    monkeypatch.setattr(os, "getegid", lambda: 54321)


def test_createrepo_without_its_library_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = "libgobject-2.0.so.0: cannot open shared object file: No such file or directory"
    (tmp_path / "createrepo_c.py").write_text(f"raise ImportError({library!r})\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "createrepo_c", raising=False)
    found = finding(examine(settings(tmp_path), offline=True), "createrepo-c")
    assert found.state == "warning" and "libgobject-2.0.so.0" in found.detail and "glib2" in found.advice


@pytest.mark.usefixtures("another_account")
@pytest.mark.parametrize("name", ["docker-rootless", "podman-rootless"])
def test_a_rootless_engine_is_fine(tmp_path: Path, name: str) -> None:
    found = tried(EngineDouble(name), tmp_path)
    assert [one.state for one in found.values()] == ["ok", "ok", "ok"]
    assert "started, read and wrote" in found["container"].detail
    assert "another account than yours" in found["build account"].detail
    assert not list(tmp_path.glob(".trial-*"))


@pytest.mark.usefixtures("another_account")
def test_an_engine_that_does_not_see_the_store_fails(tmp_path: Path) -> None:
    found = tried(EngineDouble("podman-rootless", sees=False), tmp_path)
    assert list(found) == ["container"]
    assert found["container"].state == "failure"
    assert f"cannot read and write a folder of this machine ({tmp_path})" in found["container"].detail
    assert "--store" in found["container"].advice


@pytest.mark.usefixtures("another_account")
def test_an_engine_that_cannot_start_a_container_fails(tmp_path: Path) -> None:
    double = with_helper(EngineDouble("docker-rootless", broken=frozenset({"start 1"})))
    assert tried(double, tmp_path)["container"].state == "failure"
    assert double.done[-1] == "remove 2", "what was lent is taken back"


def test_an_engine_that_this_account_cannot_build_with_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    found = tried(EngineDouble("docker-rootless"), tmp_path)["container"]
    assert found.state == "failure"
    assert "is rootless" in found.detail and "DOCKER_HOST" in found.advice


@pytest.mark.usefixtures("another_account")
def test_limits_that_do_not_hold_are_a_warning(tmp_path: Path) -> None:
    found = tried(EngineDouble("podman-rootless", limits=False), tmp_path)["build limits"]
    assert found.state == "warning"
    assert "does not limit the memory and processes" in found.detail
    assert "cgroup" in found.advice


@pytest.mark.usefixtures("another_account")
def test_an_account_that_cannot_be_another_is_a_warning(tmp_path: Path) -> None:
    found = tried(EngineDouble("docker"), tmp_path)["build account"]
    assert found.state == "warning"
    assert "your own account" in found.detail
    assert "rootless" in found.advice


def test_the_account_is_what_the_trial_saw_not_what_was_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = os.geteuid()
    monkeypatch.setattr(
        "bigtop_builder.adapter.containers.accounts.build_account",
        lambda _: Account(User(1000, 1000, listed=True), (me, os.getegid()), apart=True),
    )
    assert tried(EngineDouble("docker"), tmp_path)["build account"].state == "warning"


def test_only_mirrors_that_the_components_need_are_asked(tmp_path: Path, site: str) -> None:
    mirrors: dict[str, object] = {"mirrors__pip": site, "mirrors__debian": site, "mirrors__apache": [site]}
    mirrors["mirrors__maven"] = [{"url": site}]

    def asked(*components: str) -> list[str]:
        found = examine(settings(tmp_path, **mirrors), components=components)
        return [one.name for one in found if one.name.endswith(" mirror")]

    assert asked("bigtop-utils") == ["debian mirror"]
    assert asked("bigtop-groovy") == ["maven mirror", "debian mirror"]
    assert asked() == ["maven mirror", "pip mirror", "debian mirror", "apache mirror"]
