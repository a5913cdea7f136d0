"""The repositories of a test bed: folders that are served in its network, or given addresses."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from bigtop_builder.adapter.repository.snapshot import Publications
from bigtop_builder.flow.testbed.testbed import Say
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
        mounted, below = _mounted(root)
        return {STACK: str(mounted)}, [_served(root, name, f"{address}/{STACK}{below}")]
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


def ambari_packages(given: str, address: str, scratch: Path, did: Say) -> tuple[dict[str, str], AmbariPackages]:
    """Like ``stack_repositories``, for Ambari's own packages.

    ``given`` is an address, a repository, or a folder of RPMs, whose metadata are kept in ``scratch``; ``did`` is told
    if they were written. Raises ConfigurationError and PublishError.
    """
    if "://" in given:
        return {}, AmbariPackages(repository=given)
    folder, url = Path(given), f"{address}/{AMBARI}"
    if (folder / "repodata").is_dir():
        mounted, below = _mounted(folder)
        url += below
        key = _key(folder, url)
        return {AMBARI: str(mounted)}, AmbariPackages(repository=url, gpg_key=key, gpg_check=key is not None)
    rpms = sorted(folder.glob("*.rpm"))
    for name in ("ambari-server", "ambari-agent"):
        if not any(path.name.startswith(f"{name}-") for path in rpms):
            raise ConfigurationError(f"no package {name} in {folder}", hint="Give a folder that has both.")
    if _make_metadata(rpms, scratch):
        did(f"wrote the metadata of {len(rpms)} packages in {folder}")
    folders = {AMBARI: str(scratch.resolve()), f"{AMBARI}/packages": str(folder.resolve())}
    return folders, AmbariPackages(repository=url, gpg_check=False)


def _mounted(repository: Path) -> tuple[Path, str]:
    """Return the folder to mount for a repository, and the repository's path below it.

    A publication is a link, which the next publication points elsewhere. A mount of it would keep serving the old one,
    and nothing once that is removed; so the root with all publications is mounted.
    """
    place = repository.absolute()
    root, stack, platform = place.parent.parent.resolve(), place.parent.name, place.name
    if place.is_symlink() and place.resolve().parent == Publications(root, stack, platform).folder:
        return root, f"/{quote(f'{stack}/{platform}')}"
    return place.resolve(), ""


def _make_metadata(rpms: Sequence[Path], folder: Path) -> bool:
    """Bring the metadata in ``folder`` up to date with ``rpms``; return whether they have changed.

    A container may have mounted ``folder``, so the folder itself stays. The new files, which are named after their
    digests, are complete before ``repomd.xml``, which names them, takes the place of the old one.
    """
    from bigtop_builder.adapter.repository.listing import revision_of
    from bigtop_builder.adapter.repository.metadata import package_chunks, write_repodata

    # The packages are mounted over this folder.
    (folder / "packages").mkdir(parents=True, exist_ok=True)
    served = folder / "repodata"
    served.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as scratch:
        chunks = [package_chunks(path, path.name) for path in rpms]
        # dnf keeps its copy of metadata that seem to have become older, whatever the clock did.
        epoch = max(int(time.time()), (revision_of(served / "repomd.xml") or 0) + 1)
        repomd = write_repodata(Path(scratch), chunks, epoch)
        data = {path.name for path in repomd.parent.iterdir()}
        before = {path.name for path in served.iterdir()}
        if data == before:
            return False
        for name in sorted(data - before - {repomd.name}):
            (repomd.parent / name).replace(served / name)
        repomd.replace(served / repomd.name)
        for name in before - data:
            (served / name).unlink()
    return True
