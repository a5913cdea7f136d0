"""Sources of a component: alternative origins, each with the digest of its content."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Discriminator, Field, Tag, ValidationInfo, model_validator

from bigtop_builder.model.base import (
    DOWNLOAD,
    MAVEN_COORDINATES,
    TEMPLATES,
    FileName,
    GitCommit,
    HostPath,
    PlainText,
    Sha256,
    Sha512,
    StrictModel,
    TargetFolder,
    is_template,
)
from bigtop_builder.model.safe_text import file_name

KINDS = ("https", "apache", "maven", "pypi", "debian", "git", "file")


class Digested(StrictModel):
    """An alternative that is one file, identified by its digest."""

    sha256: Sha256 | None = None
    """SHA-256 of the file."""
    sha512: Sha512 | None = None
    """SHA-512 of the file, as Apache publishes it."""

    @model_validator(mode="after")
    def _one_digest(self) -> Digested:
        if self.sha256 is None and self.sha512 is None:
            raise ValueError("needs sha256 or sha512")
        return self

    @property
    def digest(self) -> str:
        """``sha512:…`` if it has one, else ``sha256:…``."""
        return f"sha512:{self.sha512}" if self.sha512 else f"sha256:{self.sha256}"

    @property
    def file_name(self) -> str:
        """The file's name outside the store."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _safe_name(self, info: ValidationInfo) -> Self:
        name = self.file_name
        if not ((info.context or {}).get(TEMPLATES) and is_template(name)):
            try:
                file_name(name)
            except ValueError as error:
                raise ValueError(f"names the file {name!r}: {error}") from None
        return self


class HttpsSource(Digested):
    """A file at a URL."""

    https: PlainText = Field(pattern=DOWNLOAD)
    """The URL."""

    @property
    def file_name(self) -> str:
        """The file's name outside the store."""
        return PurePosixPath(urlsplit(self.https).path).name


class ApacheSource(Digested):
    """A file of an Apache project, tried on the configured mirrors, then in the Apache archive."""

    apache: PlainText = Field(pattern=r"^[a-z][^:]*$")
    """The path below ``dist``: ``zookeeper/zookeeper-3.5.9/apache-zookeeper-3.5.9.tar.gz``."""

    @property
    def file_name(self) -> str:
        """The file's name outside the store."""
        return PurePosixPath(self.apache).name


class MavenSource(Digested):
    """An artifact of a Maven repository."""

    maven: PlainText = Field(pattern=MAVEN_COORDINATES)
    """``group:artifact:version[:type[:classifier]]``; the default type is ``jar``."""

    @property
    def path(self) -> str:
        """The path in a Maven repository."""
        group, artifact, version, *rest = self.maven.split(":")
        kind = rest[0] if rest else "jar"
        classifier = f"-{rest[1]}" if len(rest) > 1 else ""
        return f"{group.replace('.', '/')}/{artifact}/{version}/{artifact}-{version}{classifier}.{kind}"

    @property
    def file_name(self) -> str:
        """The file's name outside the store."""
        return self.path.rpartition("/")[2]


class PypiSource(Digested):
    """The source distribution, or another file, of a release on PyPI."""

    pypi: str = Field(pattern=r"^[A-Za-z0-9._-]+==[A-Za-z0-9._!+-]+$")
    """``pyspark==3.2.3``."""
    file: FileName | None = None
    """The name of the file; the sdist by default."""

    @property
    def file_name(self) -> str:
        """The file's name outside the store."""
        return self.file or self.pypi.replace("==", "-") + ".tar.gz"


class DebianSource(Digested):
    """A file of a Debian source package, from the pool of the configured Debian mirror."""

    debian: str = Field(pattern=r"^[a-z0-9][a-z0-9+.-]+$")
    """The source package: ``redis``."""
    file: FileName
    """The file in the pool: ``redis_7.0.15.orig.tar.gz``."""
    section: FileName = "main"
    """The archive area."""

    @property
    def file_name(self) -> str:
        """The file's name outside the store."""
        return self.file


class GitSource(StrictModel):
    """A commit of a git repository. The tag is fetched and must point to the commit."""

    git: PlainText
    """The URL of the repository."""
    tag: PlainText | None = None
    """The tag (or branch) to fetch; without it the commit itself, which not every server allows."""
    commit: GitCommit
    """The commit that the tag must point to."""
    submodules: bool = True
    """Whether the submodules of the commit are fetched too."""

    @property
    def digest(self) -> str:
        """``git:<commit>``, since a commit identifies its content; ``git:<commit>-alone`` is without submodules."""
        return f"git:{self.commit}" if self.submodules else f"git:{self.commit}-alone"

    @property
    def file_name(self) -> str:
        """The file's name outside the store."""
        return f"{self.commit}.tar"


class FileSource(Digested):
    """A file on this machine, relative to the file that names it."""

    file: HostPath
    """The path."""

    @property
    def file_name(self) -> str:
        """The file's name outside the store."""
        return PurePosixPath(self.file).name


def _kind(value: object) -> str | None:
    keys = value if isinstance(value, dict) else getattr(value, "__dict__", ())
    return next((kind for kind in KINDS if kind in keys), None)


Alternative = Annotated[
    Annotated[HttpsSource, Tag("https")]
    | Annotated[ApacheSource, Tag("apache")]
    | Annotated[MavenSource, Tag("maven")]
    | Annotated[PypiSource, Tag("pypi")]
    | Annotated[DebianSource, Tag("debian")]
    | Annotated[GitSource, Tag("git")]
    | Annotated[FileSource, Tag("file")],
    Discriminator(
        _kind,
        custom_error_type="source_kind",
        custom_error_message=f"a source alternative names one of {', '.join(KINDS)}, such as https: https://…",
    ),
]


class Source(StrictModel):
    """One input of a component; the first alternative with the right content wins."""

    name: FileName = "main"
    """The component's name for it."""
    alternatives: list[Alternative] = Field(min_length=1)
    """Where it is available, in order of preference."""
    unpack: Literal["auto", "no"] = "auto"
    """``no`` copies the file itself into the source tree."""
    strip: int = Field(default=1, ge=0, le=5)
    """The number of leading folders to remove from paths in the archive."""
    into: TargetFolder = "."
    """The target folder in the source tree."""
    variant: str | None = None
    """Only for this variant of the component."""
