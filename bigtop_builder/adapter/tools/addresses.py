"""Where downloads go: configured mirrors, else the site's cache, else a preset, else what the host's own clients use.

The addresses of public registries are never written down here: each is read at run time from the client
that owns it (Maven's super POM, pip's index, apt's or debootstrap's mirror).
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

from bigtop_builder.adapter.tools.presets import PRESETS
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.project import Credentials, MavenMirror, Mirrors

SUPER_POM = "org/apache/maven/model/pom-4.0.0.xml"
APACHE_ARCHIVE = "https://archive.apache.org/dist"
APACHE_DEFAULT = PRESETS["default"].apache
CLIENT_TIMEOUT = 30


class Addresses:
    """The addresses of one project. A client of the host is asked at most once for each; thread-safe.

    ``super_pom`` gives the text of Maven's super POM when the host has no Maven, for example out of a
    container image.
    """

    def __init__(self, mirrors: Mirrors, *, super_pom: Callable[[], str] | None = None) -> None:
        self._mirrors = mirrors
        self._preset = PRESETS[mirrors.preset]
        self._super_pom = super_pom
        self._found: dict[str, str] = {}
        self._lock = threading.RLock()

    @property
    def redirects(self) -> bool:
        """False when each tool is left to its own defaults."""
        return self._mirrors.preset != "none"

    def apache(self) -> list[str]:
        """Bases that mirror Apache's ``dist``, in the order to try; the Apache archive is the last."""
        cache = self._cached("apache")
        bases = [*self._mirrors.apache, *([cache] if cache else []), *self._preset.apache, APACHE_ARCHIVE]
        return list(dict.fromkeys(base.rstrip("/") for base in bases))

    def maven(self) -> list[MavenMirror]:
        """Maven mirrors in order: without a configured one, one mirror of ``*``; none with the preset ``none``."""
        if self._mirrors.maven:
            return list(self._mirrors.maven)
        if (mirror := self._maven_layout("mirror")) is not None:
            return [mirror]
        return [MavenMirror(url=self._central())] if self.redirects else []

    def central(self) -> list[MavenMirror]:
        """What stands for Maven Central: the mirrors that mirror it, else itself."""
        mirrors = [mirror for mirror in self.maven() if _mirrors_central(mirror.mirror_of)]
        return mirrors or [MavenMirror(url=self._central())]

    def pip(self) -> str:
        """The simple index."""
        return self.pip_index() or self._once("pip", pypi_simple)

    def pip_index(self) -> str | None:
        """The simple index for builds; None leaves pip its own."""
        found = self._mirrors.pip or self._cached("pip") or self._preset.pip
        return found or (self._once("pip", pypi_simple) if self.redirects else None)

    def npm(self) -> str | None:
        """The registry of npm and yarn; None leaves them their own."""
        found = self._mirrors.npm or self._cached("npm") or self._preset.npm
        return found or (os.environ.get("NPM_CONFIG_REGISTRY") if self.redirects else None)

    def node(self) -> str | None:
        """The base of the Node downloads; None leaves the tools their own."""
        return self._mirrors.node or self._cached("node") or self._preset.node

    def bower(self) -> str | None:
        """The registry of bower; None leaves it its own."""
        return self._mirrors.bower or self._cached("bower") or self._preset.bower

    def ivy(self) -> MavenMirror | None:
        """A Maven-layout repository for ivy and sbt; None leaves them their own."""
        return self._layout("ivy", self._mirrors.ivy)

    def gradle(self) -> MavenMirror | None:
        """A Maven-layout repository for Gradle; None leaves Gradle what each build names."""
        return self._layout("gradle", self._mirrors.gradle)

    def gradle_plugins(self) -> MavenMirror | None:
        """A Maven-layout repository that holds Gradle's plugin portal; None leaves Gradle its own."""
        if self._mirrors.gradle or self._mirrors.maven or self._cached("maven"):
            return self.gradle()
        plugins = self._preset.gradle_plugins
        return MavenMirror(id="gradle-plugins", url=plugins) if plugins else None

    def gradle_distributions(self) -> str | None:
        """The base of the Gradle distributions; None when nothing but Gradle's own is known."""
        cached = self._cached("gradle_distributions")
        return self._mirrors.gradle_distributions or cached or self._preset.gradle_distributions

    def debian(self) -> str:
        """The Debian mirror, without a trailing slash."""
        configured = self._mirrors.debian or self._cached("debian") or self._preset.debian
        return (configured or self._once("debian", debian_mirror)).rstrip("/")

    def credentials(self, address: str) -> Credentials | None:
        """What the site's cache wants to be told at ``address``."""
        cache = self._mirrors.cache
        if cache is not None and f"{address}/".startswith(cache.url.rstrip("/") + "/"):
            return cache.credentials
        return None

    def _cached(self, kind: str) -> str | None:
        """The address of a kind of download in the site's cache."""
        cache = self._mirrors.cache
        name: str | None = getattr(cache, kind, None)
        if cache is None or name is None:
            return None
        path = name.strip("/") if "/" in name else f"repository/{name}" + ("/simple" if kind == "pip" else "")
        return f"{cache.url.rstrip('/')}/{path}"

    def _layout(self, name: str, configured: str | None) -> MavenMirror | None:
        if configured:
            return MavenMirror(id=name, url=configured)
        return self._mirrors.maven[0] if self._mirrors.maven else self._maven_layout("mirror")

    def _maven_layout(self, name: str) -> MavenMirror | None:
        """The Maven repository of the site's cache, else of the preset."""
        if (cached := self._cached("maven")) is not None:
            return MavenMirror(id=name, url=cached, credentials=self.credentials(cached))
        return MavenMirror(id=name, url=self._preset.maven) if self._preset.maven else None

    def _central(self) -> str:
        return self._once("maven", lambda: maven_central(super_pom=self._super_pom))

    def _once(self, name: str, find: Callable[[], str]) -> str:
        with self._lock:
            if name not in self._found:
                self._found[name] = find()
            return self._found[name]


def _mirrors_central(mirror_of: str) -> bool:
    """Maven's own rule for ``mirrorOf``: a comma list of ids, ``*``, ``external:*`` and ``!id``."""
    patterns = {pattern.strip() for pattern in mirror_of.split(",")}
    return "!central" not in patterns and bool(patterns & {"*", "central", "external:*"})


def maven_central(*, super_pom: Callable[[], str] | None = None) -> str:
    """Maven Central's address, from the super POM of the host's Maven, else of ``super_pom()``.

    Raises ConfigurationError when neither has one.
    """
    for jar in _model_builders():
        if (found := central_of(jar)) is not None:
            return found
    if super_pom is not None:
        return central_in_pom(super_pom())
    raise ConfigurationError(
        "the address of Maven Central is not known: this host has no Maven to read it from",
        hint="install Maven (or set MAVEN_HOME), or name a mirror under mirrors.maven in bigtop-builder.yaml",
    )


def central_of(distribution: Path) -> str | None:
    """Central's address out of a Maven distribution (``.tar.gz``, ``.zip``) or its model-builder jar.

    None when the file cannot be read or holds no super POM.
    """
    try:
        pom = _super_pom_of(distribution)
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error):
        return None
    return central_in_pom(pom) if pom is not None else None


def central_in_pom(pom: str) -> str:
    """Central's address in the text of a super POM. Raises ConfigurationError when it has none."""
    try:
        root = ElementTree.fromstring(pom)
    except ElementTree.ParseError as error:
        raise ConfigurationError(f"Maven's super POM cannot be read: {error}") from error
    for repository in root.iterfind(".//{*}repository"):
        url = repository.findtext("{*}url")
        if repository.findtext("{*}id") == "central" and url:
            return url.strip().rstrip("/")
    raise ConfigurationError("Maven's super POM names no repository 'central'")


def _super_pom_of(file: Path) -> str | None:
    if zipfile.is_zipfile(file):
        return _super_pom_in_zip(file.read_bytes())
    with tarfile.open(file) as archive:
        for member in archive:
            name = Path(member.name).name
            if name.startswith("maven-model-builder") and name.endswith(".jar"):
                stream = archive.extractfile(member)
                return _super_pom_in_zip(stream.read()) if stream else None
    return None


def _super_pom_in_zip(data: bytes) -> str | None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            if name == SUPER_POM:
                return archive.read(name).decode()
            if name.rpartition("/")[2].startswith("maven-model-builder") and name.endswith(".jar"):
                return _super_pom_in_zip(archive.read(name))
    return None


def _model_builders() -> Iterator[Path]:
    """The model-builder jars of the Mavens on this host: MAVEN_HOME, ``mvn`` on PATH, Debian's place."""
    homes = [os.environ[name] for name in ("MAVEN_HOME", "M2_HOME") if os.environ.get(name)]
    if program := shutil.which("mvn"):
        homes.append(str(Path(program).resolve().parent.parent))
    homes.append("/usr/share/maven")
    for home in homes:
        yield from sorted(Path(home, "lib").glob("maven-model-builder*.jar"))
    yield from sorted(Path("/usr/share/java").glob("maven3-model-builder*.jar"))


ASK_PIP = """
from pip._internal.configuration import Configuration
from pip._internal.exceptions import ConfigurationError
from pip._internal.models.index import PyPI
settings = Configuration(isolated=False)
settings.load()
for key in ("install.index-url", "global.index-url"):
    try:
        print(settings.get_value(key))
        break
    except ConfigurationError:
        pass
else:
    print(PyPI.simple_url)
"""
"""Starting pip takes long, so both questions are put in one."""


def pypi_simple() -> str:
    """The simple index that the host's pip uses: PIP_INDEX_URL, its configuration, else its own default.

    Raises ConfigurationError when the host has no pip.
    """
    if configured := os.environ.get("PIP_INDEX_URL"):
        return configured
    for python in dict.fromkeys([sys.executable, shutil.which("python3") or sys.executable]):
        index = _output([python, "-c", ASK_PIP])
        if index and index.strip():
            return index.strip()
    raise ConfigurationError(
        "the address of the Python package index is not known: this host has no pip to read it from",
        hint="install pip, set PIP_INDEX_URL, or set mirrors.pip in bigtop-builder.yaml",
    )


def _output(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=CLIENT_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def debian_mirror(root: Path = Path("/")) -> str:
    """The Debian mirror of the host's apt sources, else debootstrap's DEF_MIRROR.

    Only an archive that carries the host's own release with component ``main`` counts, so that neither the
    security archive nor a vendor's repository is taken for the mirror. Raises ConfigurationError.
    """
    release = _os_release(root / "etc/os-release")
    if release.get("ID") == "debian":
        suites = {"stable", "testing", "unstable", "sid", release.get("VERSION_CODENAME", "")}
        for uri, named, components in _apt_sources(root / "etc/apt"):
            if suites & set(named) and "main" in components:
                return uri.rstrip("/")
    script = root / "usr/sbin/debootstrap"
    if script.is_file():
        match = re.search(r'^DEF_MIRROR="?([^"\s]+)"?', script.read_text(errors="replace"), re.MULTILINE)
        if match and "$" not in match.group(1):
            return match.group(1).rstrip("/")
    raise ConfigurationError(
        "the address of a Debian mirror is not known: no apt sources for Debian and no debootstrap here",
        hint="install debootstrap, or set mirrors.debian in bigtop-builder.yaml",
    )


def _os_release(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    pairs = (line.partition("=") for line in file.read_text().splitlines())
    return {key: value.strip("\"'") for key, _, value in pairs}


def _apt_sources(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """URI, suites and components of every enabled binary entry, one-line and deb822."""
    one_line = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*.list"))]
    for file in one_line:
        for line in file.read_text(errors="replace").splitlines() if file.is_file() else ():
            if match := re.match(r"deb\s+(?:\[[^]]*\]\s*)?(https?://\S+)\s+(\S+)\s*([^#]*)", line.strip()):
                yield match.group(1), [match.group(2)], match.group(3).split()
    for file in sorted((folder / "sources.list.d").glob("*.sources")):
        for paragraph in re.split(r"\n\s*\n", file.read_text(errors="replace")):
            fields = _deb822(paragraph)
            if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() != "no":
                for uri in fields.get("uris", "").split():
                    if uri.startswith(("http://", "https://")):
                        yield uri, fields.get("suites", "").split(), fields.get("components", "").split()


def _deb822(paragraph: str) -> dict[str, str]:
    """Field names in lower case; continuation lines are joined, comments dropped."""
    fields: dict[str, str] = {}
    last = ""
    for line in paragraph.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line[0] in " \t":
            fields[last] = f"{fields.get(last, '')} {line.strip()}"
        else:
            key, _, value = line.partition(":")
            last = key.strip().lower()
            fields[last] = value.strip()
    return fields
