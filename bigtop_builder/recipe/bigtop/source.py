"""Where a component of a bill of materials comes from, and what Bigtop makes of it for ``rpmbuild``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from bigtop_builder.model.errors import RecipeError
from bigtop_builder.model.source import Alternative, ApacheSource, GitSource, HttpsSource, Source
from bigtop_builder.recipe.bigtop.bom import Bom, BomComponent, BomGit


@dataclass(frozen=True)
class Pin:
    """What a source must be: Bigtop's file names no digests, so the user, a catalog or a former build does."""

    sha512: str | None = None
    sha256: str | None = None
    commit: str | None = None


@dataclass(frozen=True)
class Seed:
    """The tarball in SOURCES that the build begins with, made as ``COMPONENT-tar`` makes it."""

    name: str
    """Its file name; it is gzipped tar whatever the name ends in, unless it is ``copied``."""
    made: Literal["copied", "from zip", "from git", "from the licence"]
    """``from zip``: unzipped, without a single top folder, and packed below ``top``; ``from the licence``: of the
    tree's LICENSE alone, for components that have no source."""
    top: str | None
    """Its top folder; None: what upstream chose."""


def seed(component: BomComponent) -> Seed:
    """How the tarball is made. Raises RecipeError for a git repository whose download is called ``.zip``."""
    top = f"{component.name}-{component.base_version}"
    zipped = (component.download or "").endswith(".zip")
    if component.git is not None:
        if zipped or component.download is None:
            raise RecipeError(
                f"{component.name} comes from git, but tarball.source is {component.download or 'missing'}; "
                "Bigtop would not take its clone",
                location=component.location,
                hint="Name a .tar.gz in tarball.source.",
            )
        return Seed(component.tarball, "from git", component.git.folder)
    if component.download is None:
        return Seed(component.tarball, "from the licence", top)
    return Seed(component.tarball, "from zip" if zipped else "copied", top if zipped else None)


def addresses(component: BomComponent) -> tuple[str, ...]:
    """Where the download lies: the site, then the archive. Repeated slashes in the path are one."""
    places = dict.fromkeys(place for place in (component.site, component.archive) if place)
    return tuple(_tidy(f"{place}/{component.download}") for place in places) if component.download else ()


def apache_path(bom: Bom, component: BomComponent) -> str | None:
    """The path below Apache's ``dist`` when the component lies there: ``zookeeper/zookeeper-3.5.9/….tar.gz``."""
    for base in (bom.archive, bom.mirror):
        start = _tidy(base.rstrip("/") + "/")
        for address in addresses(component):
            if address.startswith(start):
                return address.removeprefix(start)
    return None


def source(bom: Bom, component: BomComponent, pin: Pin | None) -> Source | None:
    """The component's source in this program's terms; it is not unpacked, and None when there is nothing to fetch.

    What lies at Apache's is tried on the site's mirrors, then in the archive. Raises RecipeError when no
    digest (for git, no commit) is known.
    """
    alternatives = _alternatives(bom, component, pin)
    return Source(alternatives=alternatives, unpack="no") if alternatives else None


def _alternatives(bom: Bom, component: BomComponent, pin: Pin | None) -> list[Alternative]:
    try:
        if component.git is not None:
            return [_git(component, component.git, pin)]
        found = addresses(component)
        if not found and component.download is not None:
            raise RecipeError(
                f"{component.name} has a tarball.source, but neither url.site nor url.archive to take it from",
                location=component.location,
            )
        if found and (pin is None or not (pin.sha512 or pin.sha256)):
            raise _unpinned(component, "digest")
        digests = {"sha256": pin.sha256, "sha512": pin.sha512} if pin else {}
        path = apache_path(bom, component)
        if path:
            return [ApacheSource.model_validate({"apache": path, **digests})]
        return [HttpsSource.model_validate({"https": address, **digests}) for address in found]
    except ValidationError as error:
        problem = error.errors()[0]
        raise RecipeError(
            f"the source of {component.name} cannot be {problem['input']!r}: {problem['msg']}",
            location=component.location,
        ) from None


def _git(component: BomComponent, git: BomGit, pin: Pin | None) -> GitSource:
    commit = git.commit or (pin.commit if pin else None)
    if commit is None:
        raise _unpinned(component, "commit")
    return GitSource(git=git.repository, tag=git.reference, commit=commit)


def _unpinned(component: BomComponent, what: str) -> RecipeError:
    return RecipeError(
        f"no {what} is known for the source of {component.name} {component.base_version}; Bigtop names none",
        location=component.location,
        hint="Give the one that the project publishes beside its release."
        if what == "digest"
        else "Give the commit that the tag points to, or git.commit_hash in the bill of materials.",
    )


def _tidy(address: str) -> str:
    scheme, mark, path = address.partition("://")
    while "//" in path:
        path = path.replace("//", "/")
    return scheme + mark + path
