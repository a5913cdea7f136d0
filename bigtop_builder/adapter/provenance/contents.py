"""List the libraries inside a package: jars with what is shaded or packed into them, Python and npm packages.

The package is read as a stream: a large jar goes to a temporary file, and only its directory and a few small entries
are read. A file that cannot be read as an archive is still listed, with its name and digests.
"""

from __future__ import annotations

import hashlib
import re
import stat
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath
from typing import IO, Any

from bigtop_builder.adapter.archives.zip import DAMAGE, open_zip
from bigtop_builder.adapter.provenance.identity import (
    Coordinates,
    Identity,
    best_pom,
    from_file_name,
    from_manifest,
    from_pom_properties,
    main_attributes,
    only_pom,
)
from bigtop_builder.adapter.provenance.maven_cache import MavenCache
from bigtop_builder.adapter.rpm.header import RpmHeader
from bigtop_builder.adapter.rpm.payload import Member, payload_files
from bigtop_builder.model.archive_limits import DEFAULT
from bigtop_builder.model.json_text import parse_json

ARCHIVES = (".jar", ".war", ".ear")
IN_MEMORY = 16 << 20
CHUNK = 1 << 20
SMALL = 1 << 20
"""The maximum size of a text entry that is read, in bytes."""
MOST_POMS = 10_000
"""The most modules that one archive may be made of."""

_POM = re.compile(r"META-INF/maven/[^/]+/[^/]+/pom\.properties$")
_PYTHON = re.compile(r"\.(dist-info/METADATA|egg-info/PKG-INFO|egg-info)$")
_NPM = re.compile(r"/node_modules/((@[^/]+/)?[^/]+)/package\.json$")


class _Budget:
    """How many bytes of archives inside archives may still be unpacked."""

    def __init__(self, left: int) -> None:
        self._left = left

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise zipfile.BadZipFile("the archives inside archives unpack to more than the limit")


@dataclass(frozen=True)
class Library:
    """A library in a package.

    ``inside`` lists those shaded or packed into it. Digests are hexadecimal, and empty for anything that is not a
    single file. ``locations`` are paths in the package, or for ``inside`` ones in their archive.
    """

    identity: Identity
    locations: tuple[str, ...]
    sha256: str = ""
    sha1: str = ""
    licence: str = ""
    inside: tuple[Library, ...] = ()
    damage: str = ""

    @property
    def order(self) -> tuple[str, ...]:
        """A sort key: coordinates, digest, locations."""
        own = self.identity.coordinates
        return own.ecosystem, own.group, own.name, own.version, own.classifier, self.sha256, *self.locations


def libraries(path: Path, header: RpmHeader, cache: MavenCache) -> tuple[Library, ...]:
    """Return the libraries of the package at ``path``, sorted; a file that occurs twice is listed once.

    Raises PublishError if the package is damaged.
    """
    regular = {file.path: file for file in header.files if stat.S_ISREG(file.mode)}
    found: dict[str, Library] = {}
    budget = _Budget(DEFAULT.unpacked(path.stat().st_size))
    linked: list[tuple[str, str]] = []
    for member in payload_files(path):
        if member.path not in regular:
            continue
        if member.path.lower().endswith(ARCHIVES):
            if not member.left and regular[member.path].size:
                # cpio stores the bytes of hard links once, with the last of them.
                linked.append((member.path, regular[member.path].digest))
                continue
            library = _archive(PurePosixPath(member.path).name, member.read, member.path, cache, budget, nested=True)
        else:
            other = _other(member)
            if other is None:
                continue
            library = other
        _add(found, library, library.sha256 or member.path)
    for location, digest in linked:
        if digest in found:
            _add(found, replace(found[digest], locations=(location,)), digest)
    return tuple(sorted(found.values(), key=lambda one: one.order))


def _add(found: dict[str, Library], library: Library, key: str) -> None:
    former = found.get(key)
    if former is not None:
        library = replace(former, locations=tuple(sorted({*former.locations, *library.locations})))
    found[key] = library


def _archive(
    name: str, read: Callable[[int], bytes], location: str, cache: MavenCache, budget: _Budget, *, nested: bool
) -> Library:
    """Describe an archive whose bytes ``read`` returns; with ``nested``, also the archives inside."""
    sha256, sha1, size = hashlib.sha256(), hashlib.sha1(usedforsecurity=False), 0
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as file:
        while chunk := read(CHUNK):
            size += len(chunk)
            if not nested:
                budget.spend(len(chunk))
            sha256.update(chunk)
            sha1.update(chunk)
            file.write(chunk)
        file.seek(0)
        looked = _look(file, name, size, sha256.hexdigest(), cache, budget if nested else None)
    return replace(looked, locations=(location,), sha256=sha256.hexdigest(), sha1=sha1.hexdigest())


def _look(file: IO[bytes], name: str, size: int, sha256: str, cache: MavenCache, budget: _Budget | None) -> Library:
    poms: dict[str, Coordinates] = {}
    manifest: dict[str, str] = {}
    inside: list[Library] = []
    damage = ""
    try:
        with open_zip(file) as archive:
            manifest = _manifest(archive)
            for entry in archive.infolist():
                if _POM.search(entry.filename):
                    own = from_pom_properties(entry.filename, _text(archive, entry))
                    if own:
                        poms[entry.filename] = own
                    if len(poms) > MOST_POMS:
                        raise zipfile.BadZipFile(f"it contains more than {MOST_POMS} modules")
                elif budget is not None and entry.filename.lower().endswith(ARCHIVES) and not entry.is_dir():
                    inside.append(_nested(archive, entry, cache, budget))
    except DAMAGE as error:
        damage = f"{type(error).__name__}: {error}"
    identity = _identify(name, size, sha256, poms, manifest, cache)
    shaded = [
        Library(Identity(own, "manifest-analysis", 1.0, path), (path,))
        for path, own in poms.items()
        if path != identity.source
    ]
    licence = manifest.get("Bundle-License", "").partition(";")[0].strip().strip('"')
    every = tuple(sorted({*shaded, *inside}, key=lambda one: one.order))
    return Library(identity, (), licence=licence, inside=every, damage=damage)


def _identify(
    name: str,
    size: int,
    sha256: str,
    poms: dict[str, Coordinates],
    manifest: dict[str, str],
    cache: MavenCache,
) -> Identity:
    if fitting := best_pom(poms, name):
        return fitting
    if known := cache.find(size, sha256):
        return Identity(known[0], "hash-comparison", 1.0, known[1])
    return only_pom(poms, name) or from_manifest(manifest, name) or from_file_name(name)


def _nested(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, cache: MavenCache, budget: _Budget) -> Library:
    name = PurePosixPath(entry.filename).name
    try:
        with archive.open(entry) as stream:
            return _archive(name, stream.read, entry.filename, cache, budget, nested=False)
    except DAMAGE as error:
        return Library(from_file_name(name), (entry.filename,), damage=f"{type(error).__name__}: {error}")


def _manifest(archive: zipfile.ZipFile) -> dict[str, str]:
    try:
        return main_attributes(_text(archive, archive.getinfo("META-INF/MANIFEST.MF")))
    except KeyError:
        return {}


def _text(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str:
    with archive.open(entry) as stream:
        return stream.read(SMALL).decode("utf-8", errors="replace")


def _other(member: Member) -> Library | None:
    """Describe a Python or an npm package from its metadata file."""
    python, npm = _PYTHON.search(member.path), _NPM.search(member.path)
    if not python and not npm:
        return None
    text = member.read(SMALL).decode("utf-8", errors="replace")
    own, licence = next(_python(text) if python else _npm(text), (None, ""))
    if own is None:
        return None
    source = member.path
    return Library(Identity(own, "manifest-analysis", 1.0, source), (source,), licence=licence)


def _python(text: str) -> Iterator[tuple[Coordinates, str]]:
    fields = HeaderParser().parsestr(text)
    name, version = str(fields.get("Name", "")), str(fields.get("Version", ""))
    if name and version:
        # The normal form of names (PEP 503), which purl requires.
        own = Coordinates("pypi", "", re.sub(r"[-_.]+", "-", name).lower(), version)
        licence = str(fields.get("License-Expression") or fields.get("License", ""))
        yield own, licence if "\n" not in licence else ""


def _npm(text: str) -> Iterator[tuple[Coordinates, str]]:
    try:
        data: Any = parse_json(text)
    except ValueError:
        return
    if isinstance(data, dict) and isinstance(data.get("name"), str) and isinstance(data.get("version"), str):
        scope, _, name = data["name"].rpartition("/")
        licence = data.get("license")
        yield Coordinates("npm", scope, name, data["version"]), licence if isinstance(licence, str) else ""
