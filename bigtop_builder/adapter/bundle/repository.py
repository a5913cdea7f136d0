"""Published repositories in a bundle: a closed site takes them over as they were signed."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from bigtop_builder.adapter.repository.metadata import PACKAGES, PROVENANCE
from bigtop_builder.adapter.repository.pool import Pool, PooledPackage
from bigtop_builder.adapter.repository.snapshot import UNFINISHED, Contents, Publications, writing
from bigtop_builder.adapter.rpm.header import read_header
from bigtop_builder.adapter.rpm.openpgp import parse_key
from bigtop_builder.adapter.rpm.signing import open_keyring, verify_package
from bigtop_builder.adapter.store import sync_folder
from bigtop_builder.model.bundle import BundledRepository
from bigtop_builder.model.errors import PublishError

KEPT_SNAPSHOTS = 3
POOLED = re.compile(r"[0-9a-f]{64}-[0-9a-f]{16}$")


def take_over(
    root: Path, repository: BundledRepository, fill: Callable[[Path], None], *, replace: bool
) -> Literal["new", "same", "kept"]:
    """Publish a bundled repository; ``fill`` writes its files into a folder. Raises PublishError.

    A repository with packages or a signer that the bundle lacks, or one that is newer, is kept unless ``replace``. The
    packages of the bundled one must be signed by the key beside them: they come into the pool, from which later
    publications here take them over.
    """
    publications = Publications(root, repository.stack, repository.platform)
    with writing(root):
        publications.clear_unfinished()
        unfinished = publications.folder / UNFINISHED
        unfinished.mkdir(parents=True)
        fill(unfinished)
        contents = publications.read(unfinished)
        current = publications.current()
        if current is not None:
            former = publications.read(current)
            lost = {package.stem for package in former.packages} - {package.stem for package in contents.packages}
            same = former.digest == contents.digest
            older = contents.epoch < former.epoch
            if (same and contents.epoch <= former.epoch) or ((lost or older) and not replace):
                publications.clear_unfinished()
                return "same" if same else "kept"
        _into_pool(Pool(publications.root), contents, unfinished)
        numbers = [int(path.name.partition("-")[0]) for path in publications.snapshots()]
        snapshot = publications.folder / f"{max(numbers, default=0) + 1:06d}-{contents.digest[:12]}"
        unfinished.rename(snapshot)
        sync_folder(publications.folder)
        publications.switch(snapshot)
        publications.prune(KEPT_SNAPSHOTS)
    return "new"


def _into_pool(pool: Pool, contents: Contents, folder: Path) -> None:
    """Put packages and the documents beside them where later publications at this site look for their own."""
    pool.files.mkdir(parents=True, exist_ok=True)
    with _keyring(contents) as (keyring, fingerprint):
        for package in contents.packages:
            file = folder / PACKAGES / package.file_name
            if (
                not POOLED.match(package.stem)
                or Path(package.file_name).name != package.file_name
                or not file.is_file()
            ):
                raise PublishError(f"the bundled repository is damaged: {package.file_name} is missing")
            _check(file, package, keyring, fingerprint)
            _link(file, pool.path(package))
            _link_documents(pool, package, folder)


@contextlib.contextmanager
def _keyring(contents: Contents) -> Iterator[tuple[Path, str]]:
    """Yield a keyring with the key that signed a repository, and its fingerprint. Raises PublishError."""
    for name, text in sorted(contents.files.items()):
        if name.startswith("RPM-GPG-KEY-"):
            with open_keyring(text.encode()) as keyring:
                try:
                    yield keyring, parse_key(keyring.read_bytes())[0].fingerprint
                except ValueError as error:
                    raise PublishError(f"the key of the bundled repository cannot be read: {error}") from error
                return
    raise PublishError("the bundled repository is damaged: it has no public key")


def _check(file: Path, package: PooledPackage, keyring: Path, fingerprint: str) -> None:
    problems = verify_package(file, keyring)
    if not problems and (read_header(file).sha256, package.key) != (package.content, fingerprint):
        problems = ["its manifest describes another package"]
    if problems:
        raise PublishError(f"the bundled repository is damaged: {package.file_name}: {', '.join(problems)}")


def _link_documents(pool: Pool, package: PooledPackage, folder: Path) -> None:
    for path in (folder / PROVENANCE).glob(f"{package.file_name}.*"):
        pool.provenance.mkdir(parents=True, exist_ok=True)
        _link(path, pool.provenance / f"{package.stem}{path.name.removeprefix(package.file_name)}")


def _link(source: Path, target: Path) -> None:
    with contextlib.suppress(FileExistsError):
        os.link(source, target)
