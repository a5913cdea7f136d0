"""Everything through the site's caching proxy: Maven, npm, yarn, bower and pip in a container, and our own fetcher."""

from __future__ import annotations

import hashlib
import json
from ipaddress import ip_network
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from bigtop_builder.adapter.containers.engine import connect
from bigtop_builder.adapter.sources import Fetcher
from bigtop_builder.adapter.tools.addresses import ThisHost
from bigtop_builder.adapter.tools.maven_central import central_in_pom, maven_central
from bigtop_builder.model.build_tools.pip import host_index
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.project import ProjectFile
from bigtop_builder.model.source import Source
from tests.real.caching_proxy import Site, caching_proxy
from tests.real.conftest import SmallProject

LOGIN = ("builder", "p@ss/w$rd 1")
JAR = "aopalliance/aopalliance/1.0/aopalliance-1.0.jar"

POM = """
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>org.example</groupId><artifactId>tiny</artifactId><version>1</version><packaging>pom</packaging>
  <repositories>
    <repository><id>dead</id><url>http://dead.invalid/maven2</url></repository>
  </repositories>
  <dependencies>
    <dependency><groupId>aopalliance</groupId><artifactId>aopalliance</artifactId><version>1.0</version></dependency>
  </dependencies>
</project>
"""

SCRIPT = f"""
cat > pom.xml <<'END'
{POM.strip()}
END
mvn -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies "-DoutputDirectory=$STAGE"
if mvn -B -ntp com.github.eirslett:frontend-maven-plugin:1.9.1:install-node-and-npm -DnodeVersion=v16.20.2; then
  exit 1
fi
mkdir web
cd web
npm init --yes
npm install --no-save is-number@7.0.0 yarn@1.22.22 bower-config@1.4.3
cp node_modules/is-number/package.json "$STAGE/npm.json"
node -p 'require("bower-config").read().registry.search[0]' | sed 's,//[^@]*@,//,' > "$STAGE/bower.txt"
mkdir ../yarn
cp package.json ../yarn
cd ../yarn
node ../web/node_modules/yarn/bin/yarn.js add --no-lockfile is-odd@3.0.1
cp node_modules/is-odd/package.json "$STAGE/yarn.json"
python3 -m pip download --no-deps -d "$STAGE" six==1.17.0
"""
WARM = 'npm config get registry > "$STAGE/registry.txt"\n'


def component(small: SmallProject, name: str, script: str, *, network: bool) -> None:
    """A component whose builder image has Maven, npm and pip."""
    small.component(name, script)
    path = small.root / f"overlay/components/{name}/component.yaml"
    data = yaml.safe_load(path.read_text())
    data["build"] |= {
        "network": network,
        "jdk": 17,
        "maven": "3.8.8",
        "memory": "2g",
        "packages": {"debian": ["npm", "python3-pip"]},
    }
    folder = "$BUILDROOT{{ parent_dir }}/usr/lib/" + name
    data["install"] = f'install -d "{folder}"\ncp -R "$STAGE/." "{folder}/"\n'
    path.write_text(yaml.safe_dump(data, sort_keys=False))


def stage(small: SmallProject, name: str) -> Path:
    """What a component's compile left."""
    (last,) = (small.tool.store / "last").glob(f"{name}*compile*")
    key = json.loads(last.read_text())["key"]
    return small.tool.store / "compile" / key / "stage"


@pytest.fixture
def bridge() -> str:
    """Where containers reach this machine, and nobody outside it does."""
    client = connect()
    try:
        pool = client.networks.get("bridge").attrs["IPAM"]["Config"][0]
        # An engine that has just created its bridge does not report the gateway: it is the first address.
        return str(pool.get("Gateway") or next(ip_network(pool["Subnet"]).hosts()))
    finally:
        client.close()


def central(store: Path) -> str:
    try:
        return maven_central()
    except ConfigurationError:
        return central_in_pom((store / "images" / "maven-super-pom.xml").read_text())


def only_through(small: SmallProject, bridge: str, cache: Site, trap: Site) -> ProjectFile:
    """A project whose only way out is the cache: a request to anywhere else falls into the trap."""
    credentials = {"user": "env:SITE_CACHE_USER", "password": "env:SITE_CACHE_PASSWORD"}
    document = {
        "mirrors": {"cache": {"url": cache.url, "credentials": credentials}},
        "network": {"proxy": {"http": trap.url, "https": trap.url, "no_proxy": [bridge]}},
    }
    project = {"stack": "small", "platforms": ["el8"], "overlays": ["overlay"], **document}
    small.write("bigtop-builder.yaml", yaml.safe_dump(project))
    return ProjectFile.model_validate(document)


def everything_in(root: Path) -> str:
    return "".join(path.read_text(errors="replace") for path in root.rglob("*") if path.is_file())


def test_every_tool_works_through_the_site_s_cache_and_asks_nobody_else(
    small: SmallProject, bridge: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SITE_CACHE_USER", LOGIN[0])
    monkeypatch.setenv("SITE_CACHE_PASSWORD", LOGIN[1])
    component(small, "mirrorwarm", WARM, network=False)
    small.tool("build", "mirrorwarm")
    upstreams = {
        "maven-public": central(small.tool.store),
        "npm-proxy": (stage(small, "mirrorwarm") / "registry.txt").read_text().strip(),
        "pypi-proxy": host_index(ThisHost()).rstrip("/").removesuffix("/simple"),
    }
    # A key of its own: a result that an earlier run left in the store would stay, with the ports of that run.
    component(small, "mirrored", f"{SCRIPT}: {uuid4()}\n", network=True)
    with caching_proxy(bridge, LOGIN, upstreams) as cache, caching_proxy(bridge, LOGIN, {}) as trap:
        project = only_through(small, bridge, cache, trap)
        done = small.tool("build", "mirrored", "--force")
        built = list(cache.told)
        jar = (stage(small, "mirrored") / "aopalliance-1.0.jar").read_bytes()
        alternative = {"maven": "aopalliance:aopalliance:1.0", "sha512": hashlib.sha512(jar).hexdigest()}
        source = Source.model_validate({"alternatives": [alternative], "unpack": "no"})
        assert Fetcher(small.root / "shelf", project).fetch(source, base=small.root).path.read_bytes() == jar
        assert cache.told[len(built) :] == [f"/repository/maven-public/{JAR}"]

    made = stage(small, "mirrored")
    assert json.loads((made / "npm.json").read_text())["name"] == "is-number"
    assert json.loads((made / "yarn.json").read_text())["name"] == "is-odd"
    assert (made / "bower.txt").read_text().strip() == f"{cache.url}/repository/bower-proxy"
    assert list(made.glob("six-*"))
    assert (trap.stray, trap.told, trap.untold) == ([], [], [])
    # Some tools name themselves only when they are asked to; then they ask again.
    assert set(cache.untold) <= set(built)
    assert f"/repository/maven-public/{JAR}" in built
    assert {"is-number", "yarn", "is-odd"} <= {path.split("/")[3] for path in cache.asked("npm-proxy")}
    # No machine of ours reaches Node's own downloads: that the plugin asks the cache for them is enough.
    assert cache.asked("nodejs-proxy") == ["/repository/nodejs-proxy/v16.20.2/node-v16.20.2-linux-x64.tar.gz"]
    assert any("six" in path for path in cache.asked("pypi-proxy"))

    run = max((small.tool.store / "runs").iterdir(), key=lambda path: path.stat().st_mtime)
    spoken = done.stdout + done.stderr + everything_in(run) + (made.parent / "manifest.json").read_text()
    for secret in (LOGIN[1], "p%40ss%2Fw%24rd%201"):
        assert secret not in spoken
