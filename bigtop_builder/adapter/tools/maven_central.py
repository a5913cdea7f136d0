"""The address of Maven Central, which is never written down here: Maven's super POM holds it."""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

from bigtop_builder.adapter.archives.compression import DamagedArchiveError, Unpacked, compression_of
from bigtop_builder.adapter.archives.tar import read_tar
from bigtop_builder.adapter.archives.zip import DAMAGE, open_zip
from bigtop_builder.model.archive_limits import DEFAULT
from bigtop_builder.model.errors import ConfigurationError

LARGEST = 64 << 20
"""Bytes of a Maven distribution, or of a file in it."""
SUPER_POM = "org/apache/maven/model/pom-4.0.0.xml"


def maven_central(*, super_pom: Callable[[], str] | None = None) -> str:
    """Return the address from the super POM of this machine's Maven, else of ``super_pom()``.

    Raises ConfigurationError when neither has it.
    """
    for jar in _model_builders():
        if (found := central_of(jar)) is not None:
            return found
    if super_pom is not None:
        return central_in_pom(super_pom())
    raise ConfigurationError(
        "the address of Maven Central is unknown: this machine has no Maven to read it from",
        hint="Install Maven (or set MAVEN_HOME), or name a mirror under mirrors.maven in bigtop-builder.yaml.",
    )


def central_of(distribution: Path) -> str | None:
    """Read the address from a Maven distribution (``.tar.gz``, ``.zip``) or its model-builder jar.

    Return None when the file is unreadable or has no super POM.
    """
    try:
        pom = _super_pom_of(distribution)
    except DAMAGE:
        return None
    return central_in_pom(pom) if pom is not None else None


def central_in_pom(pom: str) -> str:
    """Read the address from the text of a super POM. Raises ConfigurationError when it has none."""
    try:
        root = ElementTree.fromstring(pom)
    except ElementTree.ParseError as error:
        raise ConfigurationError(f"Maven's super POM is not valid XML: {error}") from error
    for repository in root.iterfind(".//{*}repository"):
        url = repository.findtext("{*}url")
        if repository.findtext("{*}id") == "central" and url:
            return url.strip().rstrip("/")
    raise ConfigurationError("Maven's super POM has no repository 'central'")


def _super_pom_of(file: Path) -> str | None:
    if zipfile.is_zipfile(file):
        with file.open("rb") as packed:
            return _super_pom_in_zip(_small(packed.read(LARGEST + 1)))
    with file.open("rb") as packed:
        kind = compression_of(packed.read(6))
        packed.seek(0)
        for member, content in read_tar(Unpacked(packed, kind, limit=DEFAULT.unpacked(file.stat().st_size))):
            name = member.name.rpartition("/")[2]
            if member.isreg() and name.startswith("maven-model-builder") and name.endswith(".jar"):
                return _super_pom_in_zip(_small(content.read(LARGEST + 1)))
    return None


def _small(data: bytes) -> bytes:
    if len(data) > LARGEST:
        raise DamagedArchiveError("a file of a Maven distribution is too large")
    return data


def _super_pom_in_zip(data: bytes, *, inside: bool = False) -> str | None:
    with open_zip(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            if name == SUPER_POM:
                return _read(archive, name).decode()
            if not inside and name.rpartition("/")[2].startswith("maven-model-builder") and name.endswith(".jar"):
                return _super_pom_in_zip(_read(archive, name), inside=True)
    return None


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as stream:
        return _small(stream.read(LARGEST + 1))


def _model_builders() -> Iterator[Path]:
    """Find the model-builder jars of the Mavens on this machine: MAVEN_HOME, ``mvn`` on PATH, Debian's package."""
    homes = [os.environ[name] for name in ("MAVEN_HOME", "M2_HOME") if os.environ.get(name)]
    if program := shutil.which("mvn"):
        homes.append(str(Path(program).resolve().parent.parent))
    homes.append("/usr/share/maven")
    for home in homes:
        yield from sorted(Path(home, "lib").glob("maven-model-builder*.jar"))
    yield from sorted(Path("/usr/share/java").glob("maven3-model-builder*.jar"))
