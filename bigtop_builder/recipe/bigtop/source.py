"""Where the source of a component comes from, and the tarball that Bigtop makes from it for ``rpmbuild``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from bigtop_builder.model.errors import RecipeError
from bigtop_builder.model.source import Alternative, ApacheSource, GitSource, HttpsSource, Source
from bigtop_builder.recipe.bigtop.bom import Bom, BomComponent, BomGit


@dataclass(frozen=True)
class Pin:
    """Digests that a source must have: Bigtop states none, so they come from elsewhere (see ``pins``)."""

    sha512: str | None = None
    sha256: str | None = None
    commit: str | None = None


@dataclass(frozen=True)
class Seed:
    """The tarball in SOURCES that the build starts from, made the way Bigtop's ``COMPONENT-tar`` makes it."""

    name: str
    """Its file name. Unless it is ``copied``, the content is gzipped tar whatever the name ends in."""
    made: Literal["copied", "from zip", "from git", "from the licence"]
    """``from zip``: unzipped, stripped of a single top folder, packed below ``top``. ``from the licence``: only the
    tree's LICENSE, for components without a source."""
    top: str | None
    """Its top folder; None keeps the upstream one."""


def seed(component: BomComponent) -> Seed:
    """Return how the tarball is made. Raises RecipeError for a git repository whose download ends in ``.zip``."""
    top = f"{component.name}-{component.base_version}"
    zipped = (component.download or "").endswith(".zip")
    if component.git is not None:
        if zipped or component.download is None:
            raise RecipeError(
                f"{component.name} comes from git, but tarball.source is {component.download or 'missing'}; "
                "Bigtop would not use the clone",
                location=component.location,
                hint="Name a .tar.gz in tarball.source.",
            )
        return Seed(component.tarball, "from git", component.git.folder)
    if component.download is None:
        return Seed(component.tarball, "from the licence", top)
    return Seed(component.tarball, "from zip" if zipped else "copied", top if zipped else None)


def addresses(component: BomComponent) -> tuple[str, ...]:
    """Return the addresses of the download: the site, then the archive, without repeated slashes."""
    places = dict.fromkeys(place for place in (component.site, component.archive) if place)
    return tuple(_tidy(f"{place}/{component.download}") for place in places) if component.download else ()


def apache_path(bom: Bom, component: BomComponent) -> str | None:
    """Return the path below Apache's ``dist`` (``zookeeper/zookeeper-3.5.9/….tar.gz``); None for other sites."""
    for base in (bom.archive, bom.mirror):
        start = _tidy(base.rstrip("/") + "/")
        for address in addresses(component):
            if address.startswith(start):
                return address.removeprefix(start)
    return None


def source(bom: Bom, component: BomComponent, pin: Pin | None) -> Source | None:
    """Return the source of a component, which is not unpacked; None when there is nothing to fetch.

    Apache releases are tried on the site's mirrors, then in the archive. Raises RecipeError when no digest (for git:
    no commit) is known.
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
                f"{component.name} has a tarball.source, but neither url.site nor url.archive to download it from",
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
        f"no {what} is known for the source of {component.name} {component.base_version}; Bigtop states none",
        location=component.location,
        hint="Use the one that the project publishes with its release."
        if what == "digest"
        else "Use the commit that the tag points to, or set git.commit_hash in the bill of materials.",
    )


def _tidy(address: str) -> str:
    scheme, mark, path = address.partition("://")
    while "//" in path:
        path = path.replace("//", "/")
    return scheme + mark + path
