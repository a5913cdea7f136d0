"""Maven, with its frontend plugin, which downloads Node and npm."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from pydantic import Field

from bigtop_builder.model.build_tools.java_proxy import non_proxy_hosts
from bigtop_builder.model.build_tools.tool import (
    AddressBook,
    BuildTool,
    CacheFolder,
    CacheLayout,
    Download,
    MavenMirror,
    ProxyServer,
    Remote,
    Repository,
    Site,
    ToolSettings,
)
from bigtop_builder.model.purl import package_url

TRACKING = "_remote.repositories"
"""In each folder Maven's list of where its files came from: ``file>repository=``, or ``file>=`` when built here."""

METADATA = r"(^|/)(resolver-status\.properties|maven-metadata-[^/]+\.xml)$"
"""Which versions a repository has, and when Maven asked: needed for a plugin named without a version."""

TRACKING_SIZE = 1 << 20
LARGEST_ARCHIVE = 1 << 30
"""Unpacked bytes: an archive of Node has 200 MB."""

FRONTEND = re.compile(r"com/github/eirslett/(node|npm|yarn)/([^/]+)(?:/([^/]+))?$")
"""Where the frontend plugin keeps archives of Node, npm and yarn; Maven does not track them."""

VERSIONS = "maven-metadata.xml"
"""An artifact's list of versions as a repository has it."""

NODE_SERVER = "site-node"

# A NAT that forgot an idle connection leaves the next request on it hanging, and Maven keeps connections while a module
# compiles. One query or one connection that nobody answers ends a build of an hour: Java asks for a name anew
# every 30 s, remembers for 10 s that it got no answer, and Maven tries again after other failures only.
MAVEN_OPTS = (
    "-Dmaven.wagon.httpconnectionManager.ttlSeconds=25 -Dsun.net.inetaddr.ttl=-1 -Dsun.net.inetaddr.negative.ttl=0"
    " -Dmaven.wagon.http.retryHandler.class=default -Dmaven.wagon.http.retryHandler.count=3"
    " -Dmaven.wagon.http.retryHandler.nonRetryableClasses=java.io.InterruptedIOException,javax.net.ssl.SSLException"
)


class MavenMirrors:
    """Fields of ``mirrors``."""

    maven: list[MavenMirror] = Field(default_factory=list)
    """Maven mirrors; without one, one mirror of ``*`` on Maven Central."""


class MavenSiteCache:
    """Fields of ``mirrors.cache``."""

    maven: str | None = "maven-public"
    """Maven, ivy, sbt and Gradle; a group that includes Gradle's plugin portal serves Gradle's plugins too."""


def mirrors(book: AddressBook) -> list[MavenMirror]:
    """Return Maven's mirrors in order: those configured, else one of ``*``; none with the preset ``none``."""
    if configured := book.configured("maven"):
        return list(configured)
    if (mirror := _site_mirror(book)) is not None:
        return [mirror]
    return [_central(book)] if book.redirects else []


def central(book: AddressBook) -> list[MavenMirror]:
    """Return the mirrors of Maven Central, else Central itself."""
    return [mirror for mirror in mirrors(book) if _mirrors_central(mirror.mirror_of)] or [_central(book)]


def repository(book: AddressBook, name: str) -> MavenMirror | None:
    """Return the Maven-layout repository of another tool: the field ``name`` of ``mirrors``, else Maven's first.

    None leaves the tool its own.
    """
    if configured := book.configured(name):
        return MavenMirror(id=name, url=configured)
    maven: list[MavenMirror] = book.configured("maven")
    return maven[0] if maven else _site_mirror(book)


def _site_mirror(book: AddressBook) -> MavenMirror | None:
    if (cached := book.cached("maven")) is not None:
        return MavenMirror(url=cached, credentials=book.credentials(cached))
    public = book.public("maven")
    return MavenMirror(url=public) if public else None


def _central(book: AddressBook) -> MavenMirror:
    address = book.own("maven")
    assert address is not None, "a host that does not know Maven Central raises"
    return MavenMirror(url=address)


def _mirrors_central(mirror_of: str) -> bool:
    """Apply Maven's rule for ``mirrorOf``: a comma list of ids, ``*``, ``external:*`` and ``!id``."""
    patterns = {pattern.strip() for pattern in mirror_of.split(",")}
    return "!central" not in patterns and bool(patterns & {"*", "central", "external:*"})


def _settings(site: Site) -> ToolSettings:
    repositories = site.repositories("maven", mirrors(site.addresses))
    properties: dict[str, str] = {}
    logins: dict[str, tuple[str, str]] = {}
    if node := site.address("node"):
        properties["nodeDownloadRoot"] = node.rstrip("/") + "/"
        if login := site.login(node):
            logins[NODE_SERVER] = login
            properties["serverId"] = NODE_SERVER
    if yarn := site.address("yarn"):
        properties["yarnDownloadRoot"] = yarn.rstrip("/") + "/"
    if npm := site.address("npm"):
        properties["npmDownloadRoot"] = npm.rstrip("/") + "/npm/-/"
    options = {}
    if repositories and repositories[0].user is None:
        # The Ant builds of Hadoop and its neighbours name Central by this property, and some without TLS.
        options["ANT_OPTS"] = [f"-Drepo.maven.org={repositories[0].url.rstrip('/')}/"]
    text = settings_xml(
        repositories, site.proxies, site.no_proxy, properties=properties, logins=logins, offline=site.offline
    )
    # Found through $HOME alone: MAVEN_ARGS came with Maven 3.9.
    return ToolSettings(
        files={"m2-settings.xml": text},
        links={".m2/settings.xml": "m2-settings.xml"},
        environment={"MAVEN_OPTS": MAVEN_OPTS},
        options=options,
    )


def settings_xml(
    repositories: Sequence[Repository],
    proxies: Sequence[ProxyServer],
    no_proxy: Sequence[str],
    *,
    properties: Mapping[str, str],
    logins: Mapping[str, tuple[str, str]],
    offline: bool,
) -> str:
    """Return the text of ``settings.xml``; secrets appear as ``${env.NAME}``, which Maven resolves.

    ``properties`` belong to a profile that is always active, so that no command line has to name them; ``logins``
    are further servers: id → names of the variables with user and password.
    """
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<settings>"]
    lines += ["<offline>true</offline>", "<mirrors>"] if offline else ["<mirrors>"]
    for one in repositories:
        lines.append(f"<mirror>{_fields({'id': one.id, 'url': one.url, 'mirrorOf': one.mirror_of})}</mirror>")
    lines += ["</mirrors>", "<servers>"]
    for one in repositories:
        if one.user is not None and one.password is not None:
            lines.append(f"<server>{_fields({'id': one.id})}{_login(one.user, one.password)}</server>")
    for name, variables in logins.items():
        lines.append(f"<server>{_fields({'id': name})}{_login(*variables)}</server>")
    lines += ["</servers>", "<proxies>"]
    hosts = "|".join(non_proxy_hosts(no_proxy))
    for proxy in proxies:
        fields = _fields({"id": proxy.scheme, "protocol": proxy.scheme, "host": proxy.host, "port": str(proxy.port)})
        login = _login(proxy.user, proxy.password) if proxy.user and proxy.password else ""
        lines.append(f"<proxy>{fields}{login}{_fields({'nonProxyHosts': hosts})}</proxy>")
    lines.append("</proxies>")
    if properties:
        lines += ["<profiles><profile><id>site</id>", f"<properties>{_fields(properties)}</properties>"]
        lines += ["</profile></profiles>", "<activeProfiles><activeProfile>site</activeProfile></activeProfiles>"]
    return "\n".join([*lines, "</settings>", ""])


def _fields(values: Mapping[str, str]) -> str:
    from xml.sax.saxutils import escape

    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in values.items())


def _login(user: str, password: str) -> str:
    return _fields({"username": f"${{env.{user}}}", "password": f"${{env.{password}}}"})


def _downloaded(folder: CacheFolder) -> set[str]:
    """Select metadata, what a repository and no local install has written, and complete archives of Node."""
    names = set(folder.names)
    found = {name for name in names if re.search(METADATA, name)}
    if FRONTEND.match(folder.path):
        found |= {name for name in names if name.endswith((".tar.gz", ".tgz")) and _is_complete(folder, name)}
    if TRACKING not in names:
        return found
    remote: set[str] = set()
    local: set[str] = set()
    with folder.open(TRACKING) as stream:
        text = stream.read(TRACKING_SIZE).decode(errors="replace")
    for line in text.splitlines():
        name, mark, origin = line.partition(">")
        if mark and not line.startswith("#"):
            (remote if origin.removesuffix("=") else local).add(name)
    return found | ((remote - local) & names)


def _is_complete(folder: CacheFolder, name: str) -> bool:
    """Read an archive to its end: the plugin writes in place, so a failed build may leave a truncated one."""
    import gzip
    import zlib

    left = LARGEST_ARCHIVE
    try:
        with folder.open(name) as packed, gzip.open(packed) as stream:
            while piece := stream.read(1 << 20):
                left -= len(piece)
                if left < 0:
                    return False
    except (OSError, EOFError, zlib.error):
        return False
    return True


def known_repositories(book: AddressBook) -> list[MavenMirror]:
    """Return the repositories that the host knows: all mirrors, and Central unless one of them mirrors it."""
    known = mirrors(book)
    return known if any(_mirrors_central(mirror.mirror_of) for mirror in known) else [*known, _central(book)]


def in_repositories(repositories: Sequence[MavenMirror], path: str) -> list[Remote]:
    """Return the addresses of a file in repositories of Maven's layout."""
    return [Remote(f"{one.url.rstrip('/')}/{quote(path)}", one.credentials) for one in repositories]


def _remotes(book: AddressBook, path: str) -> list[Remote]:
    archive = FRONTEND.match(path)
    if archive is None:
        return in_repositories(known_repositories(book), path)
    tool, version, name = archive.groups()
    base = book.address(tool) if tool in ("node", "npm") else None
    if base is None:
        return []
    inside = f"v{version}/{name.replace('node-', 'node-v', 1)}" if tool == "node" else f"npm/-/npm-{version}.tgz"
    url = f"{base.rstrip('/')}/{quote(inside)}"
    # Neither server has a checksum beside an archive, so these stay with their component.
    return [Remote(url, book.credentials(base), checksums=False)]


def _portable(path: str) -> str:
    """Name an artifact's list of versions without the repository; nothing for the times when Maven asked for it."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/{VERSIONS}" if name.startswith("maven-metadata-") else ""


def _local(book: AddressBook, path: str) -> list[str]:
    """Return a name for each repository that Maven may have in mind here."""
    folder, _, _ = path.rpartition("/")
    ids = dict.fromkeys([*(mirror.id for mirror in mirrors(book)), "central"])
    return [f"{folder}/maven-metadata-{one}.xml" for one in ids]


def purl(path: str) -> str:
    """Return the package URL of an artifact by its path in a repository; nothing for a path that names none."""
    if archive := FRONTEND.match(path):
        return package_url("npm" if archive[1] == "npm" else "generic", archive[1], archive[2])
    parts = path.split("/")
    if len(parts) < 4:
        return ""
    *group, artifact, version, name = parts
    if not name.startswith(f"{artifact}-{version}"):
        return ""
    classifier, _, kind = name.removeprefix(f"{artifact}-{version}").partition(".")
    named = classifier.removeprefix("-")
    return package_url("maven", artifact, version, group=".".join(group), classifier=named, type=kind)


def _unit(path: str) -> str:
    """Group an artifact's files: Maven reads the POM alone when nothing compiles against the jar."""
    return path if re.search(METADATA, path) else path.rpartition("/")[0]


def built_artifacts(tree: Path) -> frozenset[str]:
    """Return the artifact ids of all Maven modules below a source tree; POMs that do not parse are left out."""
    from xml.etree import ElementTree

    found = set()
    pending = [tree]
    while pending:
        with suppress(ElementTree.ParseError, OSError), os.scandir(pending.pop()) as entries:
            inside = list(entries)
            pending += [
                Path(entry.path)
                for entry in inside
                if entry.is_dir(follow_symlinks=False) and entry.name not in ("src", "target", ".git", "node_modules")
            ]
            for entry in inside:
                if entry.name == "pom.xml" and entry.is_file(follow_symlinks=False):
                    artifact = ElementTree.parse(entry.path).getroot().findtext("{*}artifactId")
                    found.add((artifact or "").strip())
    return frozenset(found - {""})


def _overwritten(folder: str, built: frozenset[str]) -> bool:
    """Whether ``mvn install`` may write into a folder, whose path ends in artifact/version."""
    return not built.isdisjoint(folder.split("/")[-2:-1])


TOOL = BuildTool(
    "maven",
    downloads=(
        Download(
            "maven",
            presets={
                "aliyun": "https://maven.aliyun.com/repository/public",
                "huaweicloud": "https://repo.huaweicloud.com/repository/maven",
                "tencent": "https://mirrors.cloud.tencent.com/nexus/repository/maven-public",
            },
            own=lambda host: host.maven_central(),
        ),
    ),
    mirrors=MavenMirrors,
    site_cache=MavenSiteCache,
    cache=CacheLayout(
        ".m2/repository",
        {
            # Without its tracking file Maven accepts an artifact whatever repository it came from.
            r"-SNAPSHOT/|(^|/)(_remote\.repositories|maven-metadata-local\.xml)$": "private",
            METADATA: "bookkeeping",
            r"\.(lastUpdated|lock|part|sha1|sha256|sha512|md5|asc)$": "private",
            r"/": "content",
        },
        downloaded=_downloaded,
        remotes=_remotes,
        portable=_portable,
        local=_local,
        purl=purl,
        unit=_unit,
        built=built_artifacts,
        overwritten=_overwritten,
    ),
    settings=_settings,
)
