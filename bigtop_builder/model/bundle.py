"""The manifest of a bundle, which carries everything that a site without internet needs, file by file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from bigtop_builder.model.base import Name, Sha256, StrictModel
from bigtop_builder.model.build_tools.registry import CacheName
from bigtop_builder.model.safe_text import LONGEST_PATH, relative_path

FORMAT = 1
"""Raised when an older program would misread a bundle."""

MANIFEST, SIGNATURE = "manifest.json", "manifest.json.asc"
IMAGES = "images/images.tar.zst"
SUPER_POM = "store/maven-super-pom.xml"
"""Has the address of Maven Central, which a build's settings need even where it is unreachable."""

Part = Literal["sources", "caches", "images", "wheels", "repositories", "project"]
BUILDING: frozenset[Part] = frozenset({"sources", "caches", "images"})
"""The parts that only a site that builds needs."""


def safe_path(path: str) -> str:
    """Return ``path`` if it is relative and never leaves its folder. Raises ValueError."""
    try:
        return relative_path(path)
    except ValueError as error:
        raise ValueError(f"{path[:LONGEST_PATH]!r} is not a relative path below a folder: it {error}") from None


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
    """A component that can be built from the bundle, with its build keys."""

    name: Name
    platform: Name
    version: str
    package_key: str
    compile_key: str | None = None


class BundledSource(StrictModel):
    """A source; ``names`` are the digests and commits by which the download store finds it."""

    path: SafePath
    names: list[Digest]
    used_by: list[Name]


class BundledCache(StrictModel):
    """The files of one download cache, in one archive; ``size`` is the sum of the files' sizes, in bytes."""

    kind: CacheName
    path: SafePath
    files: int
    size: int


class BundledImage(StrictModel):
    """An image and its record (see ``adapter.containers.image_record``); ``digests`` are those of registries."""

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
    """All images in one archive, shared layers once; ``size`` is that of the unpacked archive, in bytes."""

    path: SafePath
    size: int
    images: list[BundledImage]
    bases: list[str] = Field(default_factory=list)
    """Tags of the images that these were made from."""


class BundledRepository(StrictModel):
    """A published repository; ``path`` is the folder of its files."""

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
    """The processor architecture, as ``uname -m`` prints it."""
    platforms: list[Name]
    components: list[BundledComponent] = Field(default_factory=list)
    sources: list[BundledSource] = Field(default_factory=list)
    caches: list[BundledCache] = Field(default_factory=list)
    images: BundledImages | None = None
    repositories: list[BundledRepository] = Field(default_factory=list)
    python: Interpreter | None = None
    files: list[BundledFile]
    """Every file of the bundle except the manifest and its signature."""
