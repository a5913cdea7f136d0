"""The repositories of a test bed: folders that are served in its network, or given addresses."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.testbed import AmbariPackages, ServedRepository
from bigtop_builder.recipe.settings import Settings

STACK, AMBARI = "stack", "ambari"
"""The paths below which the repository's container serves folders."""

KEYS = ("RPM-GPG-KEY*", "repodata/repomd.xml.key", "*.asc")


def stack_repositories(
    settings: Settings, given: str | None, address: str
) -> tuple[dict[str, str], list[ServedRepository]]:
    """Return the folders to serve below ``address``, by path, and the stack's repositories for the inventory.

    ``given`` is an address or a folder: a repository, or a root with one for each platform. Without it the project's
    own root is used, if something is published there. Raises ConfigurationError.
    """
    name = settings.project.stack.upper()
    if given and "://" in given:
        return {}, [ServedRepository(id=name, url=given)]
    root = Path(given) if given else settings.repository
    if (root / "repodata").is_dir():
        return {STACK: str(root.resolve())}, [_served(root, name, f"{address}/{STACK}")]
    places = [f"{settings.project.stack}/{platform}" for platform in settings.project.platforms]
    found = [place for place in places if (root / place / "repodata").is_dir()]
    if not found and given:
        raise ConfigurationError(
            f"no repository in {root}",
            hint=f"It holds neither repodata nor {places[0]}. Publish one first: bigtop-builder repo publish.",
        )
    ids = [name, *(f"{name}-{place.rpartition('/')[2]}" for place in found[1:])]
    served = [
        _served(root / place, id_, f"{address}/{STACK}/{quote(place)}") for place, id_ in zip(found, ids, strict=False)
    ]
    return ({STACK: str(root.resolve())} if found else {}), served


def _served(folder: Path, name: str, url: str) -> ServedRepository:
    return ServedRepository(id=name, url=url, gpg_key=_key(folder, url))


def _key(folder: Path, url: str) -> str | None:
    found = [path for pattern in KEYS for path in sorted(folder.glob(pattern))]
    return f"{url}/{quote(str(found[0].relative_to(folder)))}" if found else None


def ambari_packages(given: str, address: str, scratch: Path) -> tuple[dict[str, str], AmbariPackages]:
    """Like ``stack_repositories``, for Ambari's own packages.

    ``given`` is an address, a repository, or a folder of RPMs, whose metadata are created in ``scratch``. Raises
    ConfigurationError and PublishError.
    """
    if "://" in given:
        return {}, AmbariPackages(repository=given)
    folder, url = Path(given), f"{address}/{AMBARI}"
    if (folder / "repodata").is_dir():
        key = _key(folder, url)
        return {AMBARI: str(folder.resolve())}, AmbariPackages(repository=url, gpg_key=key, gpg_check=key is not None)
    rpms = sorted(folder.glob("*.rpm"))
    for name in ("ambari-server", "ambari-agent"):
        if not any(path.name.startswith(f"{name}-") for path in rpms):
            raise ConfigurationError(f"no package {name} in {folder}", hint="Give a folder that has both.")
    _make_metadata(rpms, scratch)
    folders = {AMBARI: str(scratch.resolve()), f"{AMBARI}/packages": str(folder.resolve())}
    return folders, AmbariPackages(repository=url, gpg_check=False)


def _make_metadata(rpms: Sequence[Path], folder: Path) -> None:
    from bigtop_builder.adapter.repository.metadata import package_chunks, write_repodata

    shutil.rmtree(folder, ignore_errors=True)
    # The packages are mounted over this folder.
    (folder / "packages").mkdir(parents=True)
    write_repodata(folder, [package_chunks(path, path.name) for path in rpms], int(time.time()))
