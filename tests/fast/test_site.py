"""What a closed network needs inside build containers, and that it stays there."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigtop_builder.adapter.redact import Redactor, disguises
from bigtop_builder.adapter.tools.addresses import Addresses
from bigtop_builder.adapter.tools.site import SiteSettings, private_folder, sealed_site_files, site_files
from bigtop_builder.adapter.tools.truststore import certificates, java_truststore
from bigtop_builder.flow.build.sites import Sites
from bigtop_builder.flow.build.work_order import WorkOrder
from bigtop_builder.model.build_tools.java_proxy import non_proxy_hosts
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.project import ProjectFile

PASSWORD = 'p<&$w"/ü'
DER = [b"\x30\x03one", b"\x30\x03two"]


def pem(der: bytes) -> str:
    body = base64.b64encode(der).decode()
    return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "site-ca.pem"
    path.write_text("# our authority\n" + "".join(map(pem, [*DER, DER[0]])))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "private"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("SITE_USER", "me")
    monkeypatch.setenv("SITE_PASSWORD", PASSWORD)


def closed(bundle: Path, **mirrors: object) -> ProjectFile:
    credentials = {"user": "env:SITE_USER", "password": "env:SITE_PASSWORD"}
    maven = [
        {"url": "https://nexus.corp/one", "credentials": credentials},
        {"url": "https://nexus.corp/two?a=1&b=2", "mirror_of": "internal", "credentials": credentials},
    ]
    proxy = {"http": "http://proxy.corp:3128", "no_proxy": [".corp", "10.0.0.0/8"], "credentials": credentials}
    network = {"ca_bundle": str(bundle), "proxy": proxy}
    document = {"mirrors": {"pip": "https://me:in-url@index.corp/simple", "maven": maven, **mirrors}}
    return ProjectFile.model_validate({**document, "network": network})


def texts(settings: SiteSettings) -> dict[str, str]:
    site = next(path for path, places in settings.mounts.items() if places == ["/site"])
    return {path.name: path.read_text(errors="replace") for path in site.iterdir()}


def test_maven_settings_name_variables_and_hold_no_secret(bundle: Path, folder: Path) -> None:
    settings = site_files(closed(bundle), folder)
    text = texts(settings)["m2-settings.xml"]
    root = ElementTree.fromstring(text)
    mirrors = [[child.text for child in mirror] for mirror in root.iter("mirror")]
    assert mirrors == [
        ["mirror", "https://nexus.corp/one", "*"],
        ["mirror-2", "https://nexus.corp/two?a=1&b=2", "internal"],
    ]
    for server in root.iter("server"):
        user, password = (server.findtext(name, "")[len("${env.") : -1] for name in ("username", "password"))
        assert (settings.environment[user], settings.environment[password]) == ("me", PASSWORD)
    assert [server.findtext("id") for server in root.iter("server")] == ["mirror", "mirror-2"]
    assert root.findtext("proxies/proxy/host") == "proxy.corp"
    assert root.findtext("proxies/proxy/nonProxyHosts") == "localhost|127.0.0.1|*.corp|10.*"
    assert not [secret for secret in settings.secrets if secret in text]


def test_secrets_are_told_for_redaction_and_not_shown(bundle: Path, folder: Path) -> None:
    settings = site_files(closed(bundle), folder)
    redactor = Redactor(settings.secrets)
    text = json.dumps(settings.environment, ensure_ascii=False) + "".join(texts(settings).values())
    shown = (redactor.feed(text.encode()) + redactor.flush()).decode()
    hidden = [PASSWORD, "in-url", "p%3C%26%24w%22%2F%C3%BC", base64.b64encode(f"me:{PASSWORD}".encode()).decode()]
    assert not [secret for secret in hidden if secret in shown]
    assert not [secret for secret in hidden if secret in repr(settings)]


def test_every_client_finds_its_settings(bundle: Path, folder: Path) -> None:
    settings = site_files(closed(bundle, npm="https://npm.corp"), folder)
    files = texts(settings)
    named = {*settings.home_links.values(), settings.environment["PIP_CONFIG_FILE"]}
    named |= {settings.environment["NPM_CONFIG_USERCONFIG"], settings.environment["SSL_CERT_FILE"]}
    assert {path.removeprefix("/site/") for path in named} <= set(files)
    assert "registry=https://npm.corp" in files["npmrc"]
    assert "index-url = https://me:in-url@index.corp/simple" in files["pip.conf"]
    assert "site: https://nexus.corp/one" in files["sbt-repositories"]
    assert "nexus.corp/one" in files["init.gradle"]
    assert ElementTree.fromstring(files["ivysettings.xml"]).find("resolvers/ibiblio") is not None
    assert settings.environment["https_proxy"] == settings.environment["HTTP_PROXY"]
    assert settings.environment["no_proxy"] == "localhost,127.0.0.1,.corp,10.0.0.0/8"


def test_an_open_network_leaves_gradle_and_sbt_alone(bundle: Path, folder: Path) -> None:
    project = ProjectFile.model_validate(
        {"network": {"ca_bundle": str(bundle)}, "mirrors": {"pip": "https://pip.example"}}
    )
    central = "<project><repository><id>central</id><url>https://central.example</url></repository></project>"
    settings = site_files(project, folder, Addresses(project.mirrors, super_pom=lambda: central))
    files = texts(settings)
    assert not {"init.gradle", "ivysettings.xml", "sbt-repositories"} & set(files)
    assert set(settings.home_links) == {
        ".m2/settings.xml",
        ".npmrc",
        ".yarnrc",
        ".bowerrc",
        ".gradle/gradle.properties",
    }
    root = ElementTree.fromstring(texts(settings)["m2-settings.xml"])
    assert [mirror.findtext("mirrorOf") for mirror in root.iter("mirror")] == ["*"]
    assert "http_proxy" not in settings.environment
    assert settings.secrets == []


def test_the_container_may_read_what_others_on_the_host_may_not(bundle: Path) -> None:
    with private_folder() as folder:
        settings = site_files(closed(bundle), folder)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) & 0o444 for path in settings.mounts} == {0o444}
        assert {places[0] for places in settings.mounts.values()} == {
            "/site",
            "/etc/ssl/certs/ca-certificates.crt",
            "/etc/ssl/certs/java/cacerts",
        }
    assert not folder.exists()


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_has_is_not() -> None:
    script = (
        "from bigtop_builder.adapter.tools.site import private_folder\n"
        "with private_folder() as folder:\n"
        "    (folder / 'secret').write_text('x'); print(folder, flush=True); input()\n"
    )
    other = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    left = Path(other.stdout.readline().strip())
    with private_folder():
        assert (left / "secret").exists()
    other.kill()
    other.communicate(timeout=30)
    assert left.exists()
    with private_folder():
        assert not left.exists()


def test_a_secret_that_is_not_there(bundle: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SITE_PASSWORD")
    with pytest.raises(ConfigurationError, match="variable SITE_PASSWORD is not set"):
        site_files(closed(bundle), folder)


def test_a_bundle_without_certificates(bundle: Path, folder: Path) -> None:
    bundle.write_text("nothing")
    with pytest.raises(ConfigurationError, match="has no certificates"):
        site_files(closed(bundle), folder)


def entries(store: bytes) -> Iterator[tuple[str, bytes]]:
    """What the JKS format holds, read by its description."""
    magic, version, count = struct.unpack_from(">III", store)
    assert (magic, version) == (0xFEEDFEED, 2)
    place = 12
    for _ in range(count):
        (tag, length) = struct.unpack_from(">IH", store, place)
        alias = store[place + 6 : place + 6 + length].decode()
        place += 6 + length + 8
        (kind_length,) = struct.unpack_from(">H", store, place)
        assert (tag, store[place + 2 : place + 2 + kind_length]) == (2, b"X.509")
        place += 2 + kind_length
        (size,) = struct.unpack_from(">I", store, place)
        yield alias, store[place + 4 : place + 4 + size]
        place += 4 + size
    digest = hashlib.sha1("changeit".encode("utf-16-be") + b"Mighty Aphrodite" + store[:place])
    assert store[place:] == digest.digest()


def test_truststore(bundle: Path) -> None:
    assert certificates(bundle) == DER
    store = java_truststore(certificates(bundle))
    assert list(entries(store)) == [("ca-0001", DER[0]), ("ca-0002", DER[1])]
    assert store == java_truststore(DER)


def test_no_proxy_in_the_words_of_java() -> None:
    assert non_proxy_hosts([".a", "b", "10.1.0.0/16", "10.0.0.0/9", "b"])[2:] == ["*.a", "b", "10.1.*"]


SECRETS = st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=4)


@given(secrets=SECRETS, text=st.text("abc ", max_size=40), cuts=st.lists(st.integers(0, 40), max_size=6))
def test_no_secret_survives_any_chunking(secrets: list[str], text: str, cuts: list[int]) -> None:
    whole = Redactor(secrets)
    expected = whole.feed(text.encode()) + whole.flush()
    redactor = Redactor(secrets)
    places = [0, *sorted(cuts), len(text)]
    pieces = [text[start:end].encode() for start, end in itertools.pairwise(places)]
    got = b"".join(map(redactor.feed, pieces)) + redactor.flush()
    assert got == expected
    assert not [secret for secret in secrets if secret.encode() in got]


def test_redaction_lets_the_rest_through_at_once() -> None:
    redactor = Redactor(disguises("s3cret/1", user="me"))
    assert redactor.feed(b"download from me:s3cret/1@host\n") == b"download from me:***@host\n"
    assert redactor.feed(b"encoded s3cret%2F1 and s3cr") == b"encoded *** and "
    assert redactor.feed(b"et/1.") == b"***."
    assert redactor.feed(b"s3c") == b""
    assert redactor.flush() == b"s3c"
    assert Redactor([]).feed(b"anything") == b"anything"


def test_offline_tells_every_tool_to_be_content_with_its_cache(bundle: Path, folder: Path) -> None:
    project = ProjectFile.model_validate(
        {"network": {"ca_bundle": str(bundle)}, "mirrors": {"pip": "https://pip.example"}}
    )
    central = "<project><repository><id>central</id><url>https://central.example</url></repository></project>"
    settings = site_files(project, folder, Addresses(project.mirrors, super_pom=lambda: central), offline=True)
    files = texts(settings)
    assert ElementTree.fromstring(files["m2-settings.xml"]).findtext("offline") == "true"
    assert "offline=true\n" in files["npmrc"]
    assert "gradle.startParameter.offline = true\n" in files["init.gradle"]
    assert settings.home_links[".gradle/init.gradle"] == "/site/init.gradle"


def test_a_build_without_a_network_gets_no_secret_and_no_proxy(bundle: Path, folder: Path) -> None:
    cache = {
        "url": "https://other:also-in-url@cache.corp",
        "credentials": {"user": "env:SITE_USER", "password": "env:SITE_PASSWORD"},
    }
    project = closed(bundle, npm="https://npm.corp", cache=cache)
    addresses = Addresses(project.mirrors)
    open_site, sealed = site_files(project, folder, addresses), sealed_site_files(project, folder, addresses)
    everything = "\n".join([*texts(sealed).values(), *sealed.environment.values()])
    assert sealed.secrets == []
    for secret in [*open_site.secrets, PASSWORD, "in-url", "proxy.corp"]:
        assert secret not in everything
    assert not [name for name in sealed.environment if "proxy" in name.lower() or name.startswith("BIGTOP_SITE")]
    files = texts(sealed)
    assert ElementTree.fromstring(files["m2-settings.xml"]).findtext("offline") == "true"
    assert "https://nexus.corp/two?a=1&amp;b=2" in files["m2-settings.xml"]
    assert sealed.home_links == open_site.home_links


def test_who_runs_no_maven_is_not_asked_where_its_repository_is(bundle: Path, folder: Path) -> None:
    asked: list[str] = []

    def central() -> str:
        asked.append("central")
        return "http://central.corp"

    project = ProjectFile.model_validate({"network": {"ca_bundle": str(bundle)}, "mirrors": {"pip": "http://p.corp"}})
    addresses = Addresses(project.mirrors)
    addresses._host.maven_central = central  # type: ignore[method-assign]
    sites = Sites(project, folder, addresses, offline=False)
    bare = sites.of(cast(WorkOrder, SimpleNamespace(maven=False, lock=None)))
    assert asked == [] and "m2-settings.xml" not in texts(bare) and "pip.conf" in texts(bare)
    assert "m2-settings.xml" in texts(sites.of(cast(WorkOrder, SimpleNamespace(maven=True, lock=None))))
    assert asked == ["central"]
