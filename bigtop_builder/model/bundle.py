"""The manifest of a bundle: all that a site without internet is given, file by file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from bigtop_builder.model.base import Name, Sha256, StrictModel
from bigtop_builder.model.build_tools.registry import CacheName

FORMAT = 1
"""Raised when an older program would misread a bundle."""

MANIFEST, SIGNATURE = "manifest.json", "manifest.json.asc"
IMAGES = "images/images.tar.zst"
SUPER_POM = "store/maven-super-pom.xml"
"""Names the address of Maven Central, which a build's settings need even where it cannot be reached."""

Part = Literal["sources", "caches", "images", "wheels", "repositories", "project"]
BUILDING: frozenset[Part] = frozenset({"sources", "caches", "images"})
"""The parts that only a site which builds needs."""


def safe_path(path: str) -> str:
    """``path``, when it is relative and stays below where it starts. Raises ValueError."""
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in path or any(ord(letter) < 32 for letter in path):
        raise ValueError(f"{path!r} is no path below a folder")
    return path


SafePath = Annotated[str, AfterValidator(safe_path)]
Digest = Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}|git:[0-9a-f]{40})$")]
ImageId = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class BundledFile(StrictModel):
    """A file of the bundle; ``size`` is in bytes."""

    path: SafePath
    size: int = Field(ge=0)
    sha256: Sha256
    executable: bool = False


class BundledComponent(StrictModel):
    """A component that can be built from the bundle, and the keys that it is built under."""

    name: Name
    platform: Name
    version: str
    package_key: str
    compile_key: str | None = None


class BundledSource(StrictModel):
    """A source on its way from shelf to shelf: ``names`` are the digests and commits by which it is known."""

    path: SafePath
    names: list[Digest]
    used_by: list[Name]


class BundledCache(StrictModel):
    """The files of one download cache, in one archive; ``size`` is that of the files, in bytes."""

    kind: CacheName
    path: SafePath
    files: int
    size: int


class BundledImage(StrictModel):
    """An image and its record; see ``adapter.containers.image_record``. ``digests``: by which registries know it."""

    key: Sha256
    name: str
    id: ImageId
    tag: str
    fingerprint: str
    packages: str
    base: str
    made_at: float
    digests: list[str] = Field(default_factory=list)


class BundledImages(StrictModel):
    """All images in one archive, layers that they share once; ``size`` is that of the archive unpacked, in bytes."""

    path: SafePath
    size: int
    images: list[BundledImage]
    bases: list[str] = Field(default_factory=list)
    """Tags of what the images were made from."""


class BundledRepository(StrictModel):
    """A published repository: its files lie below ``path``."""

    stack: Name
    platform: Name
    path: SafePath


class Interpreter(StrictModel):
    """The Python that the wheels are for."""

    version: str
    implementation: str
    platform: str


class Manifest(StrictModel):
    """The manifest."""

    format: int = FORMAT
    tool: str
    """The version of bigtop-builder that made the bundle."""
    stack: Name
    machine: str
    """The processor architecture, as ``uname -m`` tells it."""
    platforms: list[Name]
    components: list[BundledComponent] = Field(default_factory=list)
    sources: list[BundledSource] = Field(default_factory=list)
    caches: list[BundledCache] = Field(default_factory=list)
    images: BundledImages | None = None
    repositories: list[BundledRepository] = Field(default_factory=list)
    python: Interpreter | None = None
    files: list[BundledFile]
    """Every file of the bundle but the manifest and its signature."""
