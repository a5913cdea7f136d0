"""A Bigtop bill of materials (``bigtop.bom``), read as Bigtop's ``packages.gradle`` of 3.2 to 3.6 reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

from bigtop_builder.model.errors import ConfigurationError, Location
from bigtop_builder.recipe.bigtop.slurper import Block, Entries, Value, slurp
from bigtop_builder.recipe.document import MAX_SIZE, clipped, near

OLDEST = (3, 2)
"""The first release whose packages have the suffix and the parent directory of the stack."""

_LABEL = re.compile(r"[a-z0-9][a-z0-9._+-]{,99}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{,99}")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{,199}")


@dataclass(frozen=True)
class BomGit:
    """A git repository that replaces the download."""

    repository: str
    reference: str
    """A tag or a branch."""
    commit: str | None
    """The commit that the clone checks out."""
    folder: str
    """The top folder of the tarball that is made from it."""
    user: str | None = None
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class BomComponent:
    """A component, completed with Bigtop's defaults."""

    name: str
    package: str
    """The first part of the source package's file name; ``pkg``."""
    base_version: str
    """The upstream version, which sources and tarballs have."""
    version: str
    """The version of the packages; ``version.pkg``."""
    release: str
    suffix: str | None
    """``rpm_pkg_suffix``: ``_3_2_0``."""
    tarball: str
    """The file name of the source in SOURCES; ``tarball.destination``."""
    download: str | None
    """Its file name on the download site; ``tarball.source``. None when there is nothing to download."""
    site: str | None
    archive: str | None
    git: BomGit | None
    notes: str
    """``relNotes``."""
    packaging: str | None
    """``rpm`` or ``deb`` for a component that is packaged only as one of them."""
    parallel: bool
    """``maven_parallel_build``: whether Maven may build it with several threads."""
    unknown: tuple[str, ...]
    """Keys that Bigtop ignores: ``colour``, ``tarball.sorce``."""
    location: Location = field(compare=False)


@dataclass(frozen=True)
class Bom:
    """A bill of materials."""

    file: Path
    version: str
    """``3.2.0-SNAPSHOT``."""
    base_version: str
    """``3.2.0``: the version in suffixes and in the parent directory."""
    stack: Mapping[str, str]
    """``jdk`` and ``scala`` → version."""
    mirror: str
    archive: str
    """Where to download Apache releases: a mirror, and the archive that has all of them."""
    components: Mapping[str, BomComponent]
    """In the order of the file."""
    dependencies: Mapping[str, tuple[str, ...]]
    """Prerequisite → the components that are built after it. Some names may not be components of this file."""
    dependency_places: Mapping[str, Location] = field(repr=False, compare=False)

    def component(self, name: str) -> BomComponent:
        """Return a component. Raises ConfigurationError that suggests similar names."""
        if name not in self.components:
            raise ConfigurationError(
                f"{name!r} is not a component of Bigtop {self.version}",
                location=Location(self.file),
                hint=near(name, self.components) or None,
            )
        return self.components[name]

    def prerequisites(self, name: str) -> tuple[str, ...]:
        """Return what is built before a component (in Bigtop: with ``-Dbuildwithdeps=true``), in the file's order.

        Raises ConfigurationError when one of them is not a component, which makes Bigtop's build fail as well.
        """
        found = [before for before, after in self.dependencies.items() if name in after]
        for before in found:
            if before not in self.components:
                raise ConfigurationError(
                    f"{name} is built after {before!r}, which is not a component",
                    location=self.dependency_places[before],
                    hint=near(before, self.components) or None,
                )
        return tuple(found)

    def version_lines(self) -> str:
        """Return the ``bigtop.bom`` that build scripts source: a line ``HADOOP_VERSION=3.3.4`` for each component."""
        lines = [(one.name, one.base_version) for one in self.components.values()]
        return "".join(
            f"{name.upper().replace('-', '_')}_VERSION={version}\n" for name, version in [*lines, *self.stack.items()]
        )


def read_bom(file: Path, environment: Mapping[str, str]) -> Bom:
    """Read a file. ``environment`` has the variables that it may read: BIGTOP_JDK.

    Raises ConfigurationError with the place of a mistake.
    """
    try:
        if file.stat().st_size > MAX_SIZE:
            raise ConfigurationError(f"the file is larger than {MAX_SIZE >> 20} MiB", location=Location(file))
        text = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"is not UTF-8 text: {error.reason}", location=Location(file)) from None
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror or error}", location=Location(file)) from None
    return parse_bom(text, file, environment)


def parse_bom(text: str, file: Path, environment: Mapping[str, str]) -> Bom:
    """Read a bill of materials from ``text``; errors name ``file``."""
    top = _section(slurp(text.replace("\r\n", "\n"), file, environment), "bigtop", "the section that holds everything")
    # Old bills have no base_version; what is to be said of them is that they are old.
    _check_version(top, "base_version" if "base_version" in top.values else "version")
    base_version = _need(top, "base_version", "the version in suffixes and in the parent directory")
    stack = _section(top, "stack", "a section with jdk and scala")
    for name in ("jdk", "scala"):
        _section(stack, name, f"a section with the version of {name}")
    apache = _section(top, "apache", "a section with APACHE_MIRROR and APACHE_ARCHIVE")
    git = _optional_section(top, "git")
    dependencies, places = _dependencies(top)
    components = _section(top, "components", "the section with the components")
    return Bom(
        file=file,
        version=_need(top, "version", "the version of the stack"),
        base_version=base_version,
        stack=MappingProxyType(
            {name: _need(_section(stack, name, "a section"), "version_base", "a version") for name in stack.values}
        ),
        mirror=_need(apache, "APACHE_MIRROR", "the address of a mirror of Apache releases"),
        archive=_need(apache, "APACHE_ARCHIVE", "the address of the archive of Apache releases"),
        components=MappingProxyType(
            {name: _component(_section(components, name, "a component"), name, git) for name in components.values}
        ),
        dependencies=MappingProxyType(dependencies),
        dependency_places=MappingProxyType(places),
    )


def _check_version(top: Block, name: str) -> None:
    version = _need(top, name, "the version of the stack").removesuffix("-SNAPSHOT")
    numbers = version.split(".")[:2]
    if not all(number.isdecimal() and len(number) < 4 for number in numbers) or len(numbers) < 2:
        raise ConfigurationError(f"{version!r} is not a version of Bigtop", location=top.place(name))
    if tuple(int(number) for number in numbers) < OLDEST:
        raise ConfigurationError(f"Bigtop {version} is not supported, only 3.2 and later", location=top.place(name))


_PLAIN = frozenset({"name", "pkg", "relNotes", "rpm_pkg_suffix", "deb_pkg_suffix", "packaging", "maven_parallel_build"})
_SECTIONS = {
    "version": frozenset({"base", "pkg", "release"}),
    "tarball": frozenset({"source", "destination"}),
    "url": frozenset({"download_path", "site", "archive"}),
    "git": frozenset({"repo", "ref", "dir", "commit_hash", "user", "token"}),
}


def _unknown(block: Block) -> tuple[str, ...]:
    found: list[str] = []
    for key, value in block.values.items():
        if key in _SECTIONS and isinstance(value, Block):
            found += [f"{key}.{inner}" for inner in value.values if inner not in _SECTIONS[key]]
        elif key not in _PLAIN:
            found.append(key)
    return tuple(found)


def _component(block: Block, label: str, common_git: Block | None) -> BomComponent:
    name = _need(block, "name", f"the name of the component, {label!r} like its section", _LABEL)
    if name != label:
        raise ConfigurationError(
            f"the section is called {label!r} and the component in it {name!r}; the names must be the same",
            location=block.place("name"),
        )
    version = _section(block, "version", "a section with base, pkg and release")
    base = _need(version, "base", "the upstream version", _VERSION)
    tarball = _section(block, "tarball", "a section with source and destination")
    url = _optional_section(block, "url")
    download = _text(tarball, "source")
    parallel = block.values.get("maven_parallel_build")
    return BomComponent(
        name=name,
        package=_text(block, "pkg", _LABEL) or name,
        base_version=base,
        version=_text(version, "pkg", _VERSION) or base,
        release=_need(version, "release", "the release number of the packages", _VERSION),
        suffix=_text(block, "rpm_pkg_suffix"),
        tarball=_need(tarball, "destination", "the file name of the tarball in SOURCES", _FILE_NAME),
        download=download,
        site=_text(url, "site") if url else None,
        archive=_text(url, "archive") if url else None,
        git=_git(block, common_git, download),
        notes=_text(block, "relNotes") or "",
        packaging=_text(block, "packaging"),
        parallel=parallel is True,
        unknown=_unknown(block),
        location=block.at,
    )


def _git(block: Block, common: Block | None, download: str | None) -> BomGit | None:
    own = _optional_section(block, "git")
    repository, reference = (_text(own, "repo"), _text(own, "ref")) if own else (None, None)
    if own is None or not repository or not reference:
        return None
    folder = _text(own, "dir", _FILE_NAME)
    if folder is None:
        cut = (download or "").rfind(".t")
        if cut < 1:
            raise ConfigurationError(
                "'dir' is missing: the folder in the tarball, which cannot be derived from tarball.source",
                location=own.place("dir"),
            )
        folder = (download or "")[:cut]
    user, token = (_text(own, key) or (_text(common, key) if common else None) for key in ("user", "token"))
    return BomGit(repository, reference, _text(own, "commit_hash"), folder, user, token)


def _dependencies(top: Block) -> tuple[dict[str, tuple[str, ...]], dict[str, Location]]:
    entries = top.values.get("dependencies", Entries({}, {}))
    if not isinstance(entries, Entries):
        raise ConfigurationError(
            "must be a map: prerequisite:[components built after it]", location=top.place("dependencies")
        )
    found: dict[str, tuple[str, ...]] = {}
    for name, after in entries.values.items():
        if not isinstance(after, list) or not all(isinstance(one, str) for one in after):
            raise ConfigurationError(
                f"the components built after {name} must be a list of names", location=entries.places[name]
            )
        found[name] = tuple(str(one) for one in after)
    return found, entries.places


def _section(block: Block, name: str, what: str) -> Block:
    value = block.values.get(name)
    if not isinstance(value, Block) or not value.values:
        problem = "is missing" if value is None else "must be a section that is not empty"
        raise ConfigurationError(f"{name!r} {problem}: {what}", location=block.place(name))
    return value


def _optional_section(block: Block, name: str) -> Block | None:
    value: Value = block.values.get(name)
    if value is not None and not isinstance(value, Block):
        raise ConfigurationError(f"{name!r} must be a section", location=block.place(name))
    return value if value and value.values else None


def _text(block: Block, name: str, pattern: re.Pattern[str] | None = None) -> str | None:
    """Return the text of a key; None when it is missing or empty."""
    value = block.values.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ConfigurationError(f"{name!r} must be text", location=block.place(name))
    text = str(value)
    if not text.isprintable() or (pattern is not None and not pattern.fullmatch(text)):
        raise ConfigurationError(f"{name!r} cannot be {clipped(text, 80)!r}", location=block.place(name))
    return text


def _need(block: Block, name: str, what: str, pattern: re.Pattern[str] | None = None) -> str:
    text = _text(block, name, pattern)
    if text is None:
        raise ConfigurationError(f"{name!r} is missing: {what}", location=block.place(name))
    return text
