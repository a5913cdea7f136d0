"""Read the metadata of a repository: what it lists.

This is XML of a fixed form. Reading needs nothing but the standard library, so that any system can check a repository;
createrepo-c, which writes it, has wheels for Linux with glibc only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from bigtop_builder.adapter.repository.unpacked_size import unpacked
from bigtop_builder.model.capability import Capability, Requirement, parse_requirement
from bigtop_builder.model.errors import PublishError
from bigtop_builder.model.evr import EVR, LONGEST_EPOCH

REPO = "{http://linux.duke.edu/metadata/repo}"
COMMON = "{http://linux.duke.edu/metadata/common}"
RPM = "{http://linux.duke.edu/metadata/rpm}"
FILES = "{http://linux.duke.edu/metadata/filelists}"
SENSES = {"EQ": "=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}


@dataclass(frozen=True)
class Record:
    """A metadata file in ``repomd.xml``."""

    location: str
    checksum: str
    checksum_type: str


@dataclass(frozen=True)
class Repomd:
    """``repomd.xml``: its revision, None if it is no number, and the metadata files by kind."""

    revision: int | None
    records: Mapping[str, Record]


@dataclass(frozen=True)
class ListedPackage:
    """A package as metadata describe it; ``checksum`` is that of its file."""

    name: str
    epoch: int
    version: str
    release: str
    arch: str
    location: str
    checksum: str
    checksum_type: str
    provides: tuple[Capability, ...]
    requires: tuple[Requirement, ...]
    files: tuple[str, ...]

    @property
    def evr(self) -> EVR:
        """Epoch, version and release, for comparisons."""
        return self.epoch, self.version, self.release

    @property
    def nevra(self) -> str:
        """``zookeeper_3_2_0-0:3.5.9-2.el7.x86_64``."""
        return f"{self.name}-{self.epoch}:{self.version}-{self.release}.{self.arch}"


def read_repomd(path: Path) -> Repomd:
    """Read a ``repomd.xml``. Raises PublishError if it is damaged or a record has no location."""
    revision, records = None, {}
    for element in _elements(path, f"{REPO}revision", f"{REPO}data"):
        if element.tag == f"{REPO}revision":
            text = (element.text or "").strip()
            revision = int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST_EPOCH * 2 else None
            continue
        kind, checksum = element.get("type", ""), element.find(f"{REPO}checksum")
        location = element.find(f"{REPO}location")
        records[kind] = Record(
            location.get("href", "") if location is not None else "",
            (checksum.text or "").strip() if checksum is not None else "",
            checksum.get("type", "") if checksum is not None else "",
        )
    return Repomd(revision, records)


def revision_of(repomd: Path) -> int | None:
    """Return the revision in a ``repomd.xml``; None if it has none or does not exist. Raises PublishError."""
    return read_repomd(repomd).revision if repomd.exists() else None


def read_listing(primary: Path, filelists: Path) -> list[ListedPackage]:
    """Read the packages of a repository. Raises PublishError if the metadata are damaged or incomplete."""
    files = _files(filelists)
    return [_package(element, files) for element in _elements(primary, f"{COMMON}package")]


def _files(filelists: Path) -> dict[str, tuple[str, ...]]:
    return {
        element.get("pkgid", ""): tuple(file.text or "" for file in element.iterfind(f"{FILES}file"))
        for element in _elements(filelists, f"{FILES}package")
    }


def _package(element: ElementTree.Element, files: Mapping[str, tuple[str, ...]]) -> ListedPackage:
    version, checksum = element.find(f"{COMMON}version"), element.find(f"{COMMON}checksum")
    location, format = element.find(f"{COMMON}location"), element.find(f"{COMMON}format")
    name = element.findtext(f"{COMMON}name", "")
    if version is None or checksum is None or location is None or not name:
        raise _unreadable("a package has no name, version, checksum or location")
    digest = (checksum.text or "").strip()
    if digest not in files:
        raise _unreadable(f"the files of {name} are not listed")
    return ListedPackage(
        name=name,
        epoch=_epoch(version),
        version=version.get("ver", ""),
        release=version.get("rel", ""),
        arch=element.findtext(f"{COMMON}arch", ""),
        location=location.get("href", ""),
        checksum=digest,
        checksum_type=checksum.get("type", ""),
        provides=tuple(_capability(entry) for entry in _entries(format, "provides")),
        requires=tuple(_requirement(entry) for entry in _entries(format, "requires")),
        files=files[digest],
    )


def _entries(format: ElementTree.Element | None, kind: str) -> Iterator[ElementTree.Element]:
    return iter(()) if format is None else format.iterfind(f"{RPM}{kind}/{RPM}entry")


def _epoch(element: ElementTree.Element) -> int:
    text = element.get("epoch") or "0"
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST_EPOCH else 0


def _capability(entry: ElementTree.Element) -> Capability:
    name, sense, version = entry.get("name", ""), SENSES.get(entry.get("flags", "")), entry.get("ver")
    if not sense or not version:
        return Capability(name)
    return Capability(name, sense, (_epoch(entry), version, entry.get("rel") or ""))


def _requirement(entry: ElementTree.Element) -> Requirement:
    name = entry.get("name", "")
    return parse_requirement(name) if name.startswith("(") else _capability(entry)


def _elements(path: Path, *tags: str) -> Iterator[ElementTree.Element]:
    """Yield the elements with these tags, one in memory at a time."""
    with _translated(path), path.open("rb") as file, unpacked(file) as stream:
        events = ElementTree.iterparse(stream, ("start", "end"))
        _, root = next(events)
        for event, element in events:
            if event == "end" and element.tag in tags:
                yield element
                root.clear()


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (ElementTree.ParseError, LookupError, ValueError, EOFError, OSError, StopIteration) as error:
        raise _unreadable(f"{path.name}: {str(error).strip()}") from error


def _unreadable(reason: str) -> PublishError:
    return PublishError(f"the repository's metadata cannot be read: {reason}")
