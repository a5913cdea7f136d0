"""Mirror presets, the site's cache, and what each tool in a container is told of them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest

from bigtop_builder.adapter.redact import Redactor
from bigtop_builder.adapter.sources.candidates import of_apache, of_https, of_maven
from bigtop_builder.adapter.tools.addresses import Addresses
from bigtop_builder.adapter.tools.site import SiteSettings, site_files
from bigtop_builder.flow.build.diagnosis import diagnose
from bigtop_builder.model.build_tools import apache, gradle, maven, pip
from bigtop_builder.model.build_tools.registry import DOWNLOADS
from bigtop_builder.model.errors import BigtopBuilderError
from bigtop_builder.model.mirrors import Mirrors
from bigtop_builder.model.project import ProjectFile
from bigtop_builder.model.source import ApacheSource, HttpsSource, MavenSource
from bigtop_builder.recipe.settings import Settings, load_settings
from tests.fast.test_site import DER, pem, texts

OPERATORS = ("aliyun", "huaweicloud", "tencent")
PRESETS = ("default", "none", *OPERATORS)
OWN_DEFAULT = {
    "default": {"maven", "gradle_plugins", "gradle_distributions", "npm", "yarn", "pip", "debian"},
    "none": set(DOWNLOADS) - {"apache"},
    "aliyun": {"gradle_distributions", "yarn"},
    "huaweicloud": {"gradle_plugins", "yarn"},
    "tencent": {"yarn"},
}
"""Which tools a preset leaves their own default, on purpose."""

GUIDE = Path(__file__).resolve().parents[2] / "docs/mirrors.md"
CENTRAL = "https://central.example/maven2"
PASSWORD = "p@ss/wörd $1"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "NPM_CONFIG_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "https://pip.example/simple")
    monkeypatch.setenv("CACHE_USER", "builder")
    monkeypatch.setenv("CACHE_PASSWORD", PASSWORD)


def addresses(**mirrors: object) -> Addresses:
    pom = f"<project><repository><id>central</id><url>{CENTRAL}</url></repository></project>"
    return Addresses(Mirrors.model_validate(mirrors), super_pom=lambda: pom)


@pytest.fixture
def no_maven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bigtop_builder.adapter.tools.maven_central._model_builders", lambda: iter(()))


CACHE = {
    "url": "http://nexus.corp:8081/",
    "credentials": {"user": "env:CACHE_USER", "password": "env:CACHE_PASSWORD"},
}


def told(tmp_path: Path, **mirrors: object) -> SiteSettings:
    bundle = tmp_path / "ca.pem"
    bundle.write_text(pem(DER[0]))
    folder = tmp_path / "private"
    folder.mkdir(exist_ok=True)
    project = ProjectFile.model_validate({"network": {"ca_bundle": str(bundle)}, "mirrors": mirrors})
    return site_files(project, folder, addresses(**mirrors))


def test_the_presets_are_those_that_a_project_file_may_name() -> None:
    assert list(get_args(Mirrors.model_fields["preset"].annotation)) == [
        "default",
        *OPERATORS,
        "none",
    ]
    assert set(PRESETS) == set(OWN_DEFAULT)
    named = {name for download in DOWNLOADS.values() for name in download.presets} | set(apache.PUBLIC)
    assert named <= set(PRESETS)


def public(preset: str) -> dict[str, str]:
    """The addresses of a preset, by kind of download."""
    return {name: one.presets[preset] for name, one in DOWNLOADS.items() if preset in one.presets}


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_has_an_address_for_each_tool_or_leaves_it_its_own(name: str) -> None:
    assert set(DOWNLOADS) - {"apache"} - set(public(name)) == OWN_DEFAULT[name]
    for address in [*apache.PUBLIC.get(name, ()), *public(name).values()]:
        parts = urlsplit(address)
        assert parts.scheme == "https"
        assert parts.hostname and "." in parts.hostname
        assert not parts.query and not address.endswith("/")


def test_the_guide_names_every_address_in_the_column_of_its_preset() -> None:
    rows = [line.split("|")[2:-1] for line in GUIDE.read_text().splitlines() if line.startswith("|")]
    table = rows[: rows.index(next(row for row in rows if "default name" in row[0]))]
    columns = {cells[0].strip().strip("`"): " ".join(cells[1:]) for cells in zip(*table, strict=True)}
    assert set(columns) == set(PRESETS)
    for name in PRESETS:
        known = [*apache.PUBLIC.get(name, ()), *public(name).values()]
        missing = [one for one in known if one.removeprefix("https://") not in columns[name]]
        assert not missing, name


@pytest.mark.parametrize("name", OPERATORS)
def test_a_preset_reaches_every_tool(name: str, tmp_path: Path) -> None:
    preset = public(name)
    settings = told(tmp_path, preset=name)
    files, variables = texts(settings), settings.environment
    root = ElementTree.fromstring(files["m2-settings.xml"])
    assert [(mirror.findtext("url"), mirror.findtext("mirrorOf")) for mirror in root.iter("mirror")] == [
        (preset["maven"], "*")
    ]
    assert root.findtext("activeProfiles/activeProfile") == root.findtext("profiles/profile/id")
    assert root.findtext("profiles/profile/properties/nodeDownloadRoot") == f"{preset['node']}/"
    assert root.findtext("profiles/profile/properties/npmDownloadRoot") == f"{preset['npm']}/npm/-/"
    assert f"registry={preset['npm']}\n" in files["npmrc"]
    assert f'registry "{preset["npm"]}"\n' in files["yarnrc"]
    assert json.loads(files["bowerrc"])["registry"] == variables["bower_registry"] == preset["bower"]
    assert f"index-url = {preset['pip']}\n" in files["pip.conf"] and "trusted-host" not in files["pip.conf"]
    assert variables["npm_config_disturl"] == variables["NVM_NODEJS_ORG_MIRROR"] == preset["node"]
    assert variables.get("GRADLE_DISTRIBUTIONS") == preset.get("gradle_distributions")
    assert f"-Drepo.maven.org={preset['maven']}/" in variables["ANT_OPTS"]
    assert f"'{preset['maven']}'" in files["init.gradle"]
    portal = preset.get("gradle_plugins", gradle.PORTAL)
    assert f"'{portal}'" in files["init.gradle"]
    assert ("plugins.gradle.org" in files["init.gradle"]) == ("gradle_plugins" not in preset)
    assert f"site: {preset['maven']}\n" in files["sbt-repositories"]
    assert f'root="{preset["maven"]}"' in files["ivysettings.xml"]


def test_none_redirects_nothing(tmp_path: Path, no_maven: None) -> None:
    settings = told(tmp_path, preset="none")
    files = texts(settings)
    assert "<mirror>" not in files["m2-settings.xml"] and "<profile>" not in files["m2-settings.xml"]
    assert not [name for name, text in files.items() if "registry" in text or "index-url" in text]
    assert not {"init.gradle", "ivysettings.xml", "sbt-repositories"} & set(files)
    redirecting = ("bower_registry", "npm_config_disturl", "ANT_OPTS", "SBT_OPTS", "GIT_CONFIG_COUNT")
    assert not set(redirecting) & set(settings.environment)
    assert apache.releases(addresses(preset="none")) == [apache.ARCHIVE]
    (candidate,) = of_maven(MavenSource(maven="g:a:1", sha256="0" * 64), addresses(preset="none"))
    assert candidate.address.startswith(CENTRAL)


def test_the_frontend_plugin_takes_yarn_from_the_address_of_the_project(tmp_path: Path, no_maven: None) -> None:
    def root(**mirrors: Any) -> str | None:
        text = texts(told(tmp_path, **mirrors))["m2-settings.xml"]
        return ElementTree.fromstring(text).findtext("profiles/profile/properties/yarnDownloadRoot")

    assert root() is None
    assert root(yarn="https://own.example/yarn/") == "https://own.example/yarn/"
    assert root(cache={**CACHE, "yarn": "yarn-raw"}) == "http://nexus.corp:8081/repository/yarn-raw/"


def test_the_default_mirrors_central_and_cures_what_is_dead(tmp_path: Path, no_maven: None) -> None:
    settings = told(tmp_path)
    root = ElementTree.fromstring(texts(settings)["m2-settings.xml"])
    assert [(mirror.findtext("url"), mirror.findtext("mirrorOf")) for mirror in root.iter("mirror")] == [(CENTRAL, "*")]
    assert "init.gradle" not in texts(settings)
    assert settings.environment["bower_registry"].startswith("https://")
    assert settings.environment["GIT_CONFIG_VALUE_0"] == "git://github.com/"


def test_the_host_s_own_npm_registry_holds_by_default_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "https://npm.host.example")
    assert addresses().address("npm") == "https://npm.host.example"
    assert addresses(preset="none").address("npm") is None
    assert addresses(preset="tencent").address("npm") == public("tencent")["npm"]


WINNERS: list[tuple[str, Any]] = [
    ("npm", "https://own.example/npm"),
    ("node", "https://own.example/node"),
    ("bower", "https://own.example/bower"),
    ("pip", "https://own.example/simple"),
    ("gradle_distributions", "https://own.example/gradle"),
    ("debian", "https://own.example/debian"),
]


@pytest.mark.parametrize(("kind", "own"), WINNERS)
def test_an_address_of_the_project_wins_over_the_cache_over_the_preset(kind: str, own: str) -> None:
    cache = {**CACHE, "debian": "apt/debian"}
    assert addresses(preset="tencent").address(kind) == public("tencent")[kind]
    cached = addresses(preset="tencent", cache=cache).address(kind)
    assert cached is not None and cached.startswith("http://nexus.corp:8081/")
    assert addresses(preset="tencent", cache=cache, **{kind: own}).address(kind) == own


def test_maven_s_order_is_the_same() -> None:
    own = [{"url": "https://own.example/maven"}]
    assert [mirror.url for mirror in maven.mirrors(addresses(preset="aliyun", cache=CACHE, maven=own))] == [
        own[0]["url"]
    ]
    (mirror,) = maven.mirrors(addresses(preset="aliyun", cache=CACHE))
    assert (mirror.url, mirror.mirror_of) == ("http://nexus.corp:8081/repository/maven-public", "*")
    assert mirror.credentials is not None
    plugins = gradle.plugins(addresses(preset="aliyun", cache=CACHE, gradle="https://own.example/gradle"))
    assert plugins is not None and plugins.url == "https://own.example/gradle"


def test_a_mirror_that_leaves_central_out_does_not_stand_for_it(no_maven: None) -> None:
    own = [{"url": "https://own.example/m", "mirror_of": "*,!central"}]
    (candidate,) = of_maven(MavenSource(maven="g:a:1", sha256="0" * 64), addresses(maven=own))
    assert candidate.address == f"{CENTRAL}/g/a/1/a-1.jar"


def test_names_and_paths_in_the_cache() -> None:
    cache = {**CACHE, "npm": "api/npm/npm-all", "pip": "api/pypi/all/simple", "node": None}
    chosen = addresses(preset="tencent", cache=cache)
    assert chosen.address("npm") == "http://nexus.corp:8081/api/npm/npm-all"
    assert pip.index(chosen) == "http://nexus.corp:8081/api/pypi/all/simple"
    assert chosen.address("node") == public("tencent")["node"]
    assert pip.index(addresses(cache=CACHE)) == "http://nexus.corp:8081/repository/pypi-proxy/simple"


def test_the_cache_s_credentials_reach_every_tool_and_no_log(tmp_path: Path) -> None:
    settings = told(tmp_path, cache=CACHE)
    files, variables = texts(settings), settings.environment
    root = ElementTree.fromstring(files["m2-settings.xml"])
    servers = {server.findtext("id"): server for server in root.iter("server")}
    assert set(servers) == {"mirror", "site-node"}
    assert root.findtext("profiles/profile/properties/serverId") == "site-node"
    for server in servers.values():
        names = [server.findtext(field, "")[len("${env.") : -1] for field in ("username", "password")]
        assert [variables[name] for name in names] == ["builder", PASSWORD]
    place = "//nexus.corp:8081/repository/npm-proxy/"
    npmrc = dict(line.split("=", 1) for line in files["npmrc"].splitlines())
    assert variables[npmrc[f"{place}:username"][2:-1]] == "builder"
    assert base64.b64decode(variables[npmrc[f"{place}:_password"][2:-1]]).decode() == PASSWORD
    assert npmrc[f"{place}:always-auth"] == "true"
    login = "builder:p%40ss%2Fw%C3%B6rd%20%241@nexus.corp:8081/repository"
    assert f"http://{login}/pypi-proxy/simple" in files["pip.conf"]
    assert "trusted-host = nexus.corp:8081\n" in files["pip.conf"]
    assert variables["bower_registry"] == f"http://{login}/bower-proxy"
    assert variables["npm_config_disturl"] == f"http://{login}/nodejs-proxy"
    assert variables["GRADLE_DISTRIBUTIONS"] == "http://nexus.corp:8081/repository/gradle-proxy"
    assert r"systemProp.gradle.wrapperPassword=p@ss/w\u00f6rd $1" in files["gradle.properties"]
    assert r"password=p@ss/w\u00f6rd $1" in files["sbt-credentials"]
    assert "plugins.gradle.org" not in files["init.gradle"]
    secrets = [PASSWORD, "p%40ss", base64.b64encode(PASSWORD.encode()).decode()]
    shown = json.dumps(variables, ensure_ascii=False) + files["m2-settings.xml"] + files["npmrc"] + files["init.gradle"]
    redactor = Redactor(settings.secrets)
    shown = (redactor.feed(shown.encode()) + redactor.flush()).decode()
    assert not [secret for secret in secrets if secret in shown or secret in repr(settings)]
    argv = " ".join(value for name, value in variables.items() if name.endswith("_OPTS"))
    assert not [secret for secret in secrets if secret in argv]


def test_our_own_fetcher_tells_the_cache_and_nobody_else(tmp_path: Path) -> None:
    chosen = addresses(cache=CACHE)
    login = ("builder", PASSWORD)
    first, *others = of_apache(ApacheSource(apache="zookeeper/z.tar.gz", sha256="0" * 64), chosen)
    assert first.address == "http://nexus.corp:8081/repository/apache-proxy/zookeeper/z.tar.gz"
    assert first.auth == login
    assert [other.auth for other in others] == [None] * len(others) and others
    (central,) = of_maven(MavenSource(maven="g:a:1", sha256="0" * 64), chosen)
    assert central.auth == login
    inside, outside, alike = (
        of_https(HttpsSource(https=address, sha256="0" * 64), chosen)[0].auth
        for address in (
            "http://nexus.corp:8081/repository/raw/x.zip",
            "https://elsewhere.example/x.zip",
            "http://nexus.corp:80810/repository/x.zip",
        )
    )
    assert (inside, outside, alike) == (login, None, None)


def settled(tmp_path: Path, text: str) -> Settings:
    (tmp_path / "bigtop-builder.yaml").write_text(text)
    return load_settings(tmp_path, {}, {"HOME": str(tmp_path)})


def test_a_preset_that_does_not_exist_is_refused_with_the_near_name(tmp_path: Path) -> None:
    with pytest.raises(BigtopBuilderError) as caught:
        settled(tmp_path, "mirrors:\n  preset: aliyn\n")
    assert "aliyun" in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("line", ["npm: registry.example", "cache: {url: nexus.corp}", "apache: [mirror/x]"])
def test_an_address_without_a_scheme_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(BigtopBuilderError, match="mirrors"):
        settled(tmp_path, f"mirrors:\n  {line}\n")


def test_credentials_of_the_cache_are_references(tmp_path: Path) -> None:
    with pytest.raises(BigtopBuilderError):
        settled(tmp_path, "mirrors:\n  cache: {url: 'http://n', credentials: {user: me, password: secret}}\n")


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("Blocked mirror for repositories: [dead (http://dead.example/m2, default, releases)]", "without TLS"),
        ("bower ENOTFOUND Request to https://bower.herokuapp.com/packages/ember failed", "shut down"),
        ("Could not transfer artifact g:a:pom:1 from/to mirror (https://n/m): status code: 401", "credentials"),
        ("npm error code E401", "credentials"),
        ("WARNING: 401 Error, Credentials not correct for http://n/simple/six/", "credentials"),
        ("Could not transfer artifact g:a:pom:1 from/to mirror (https://n/m): Connect timed out", "unreachable"),
    ],
)
def test_what_mirrors_cure_is_named_as_the_cause(tmp_path: Path, line: str, cause: str) -> None:
    (tmp_path / "log").write_text(f"[INFO] Scanning\n{line}\n")
    found = diagnose(tmp_path / "log")
    assert cause in (found.cause or "")
