"""Publications as snapshots: written aside, switched in by one rename, the previous ones kept for a while.

``<root>/<stack>/<platform>`` is a symbolic link to ``<root>/.snapshots/<stack>-<platform>/<number>-<digest>``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.adapter.repository.metadata import PACKAGES, PROVENANCE, write_repodata
from bigtop_builder.adapter.repository.pool import Pool, PooledPackage
from bigtop_builder.adapter.store import remove_tree, sync_folder
from bigtop_builder.model.digest import of_data, of_file
from bigtop_builder.model.errors import PublishError

MANIFEST = "manifest.json"
MANIFEST_SIGNATURE = f"{MANIFEST}.asc"
REPOMD = "repodata/repomd.xml"
UNFINISHED = ".new"


@dataclass(frozen=True)
class Contents:
    """The contents of a snapshot.

    ``epoch`` is its time in seconds and the revision of its metadata, always greater than that of its predecessor;
    ``files`` are its small text files by name, such as the ``.repo`` file and the public key. After ``expires``, in
    seconds since the epoch, whoever verifies it should look for a newer one.
    """

    packages: tuple[PooledPackage, ...]
    files: dict[str, str]
    epoch: int
    expires: int | None = None

    @property
    def digest(self) -> str:
        """SHA-256 over everything except the times."""
        return of_data([[package.stem for package in self.packages], self.files])


class Publications:
    """The snapshots of one stack for one platform below a root."""

    def __init__(self, root: Path, stack: str, platform: str) -> None:
        self.root = root.absolute()
        self.visible = self.root / stack / platform
        self.folder = self.root / ".snapshots" / f"{stack}-{platform}"

    def current(self) -> Path | None:
        """The visible snapshot. Raises PublishError if something else is in its place."""
        if not self.visible.is_symlink():
            if self.visible.exists():
                raise PublishError(f"{self.visible} is not a publication of bigtop-builder", hint="Move it elsewhere.")
            return None
        return self.folder / self.visible.readlink().name

    def read(self, snapshot: Path) -> Contents:
        """Read the contents of a snapshot. Raises PublishError if its manifest is damaged."""
        try:
            data = json.loads((snapshot / MANIFEST).read_text(encoding="utf-8"))
            packages = tuple(PooledPackage(**package) for package in data["packages"])
            return Contents(packages, data["files"], data["epoch"], data.get("expires"))
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise PublishError(
                f"the publication {snapshot} is damaged: {error}",
                hint=f"Remove the link {self.visible} and publish everything again.",
            ) from error

    def write(self, pool: Pool, contents: Contents, sign: Callable[[bytes], bytes]) -> Path:
        """Write a snapshot aside, then give it its name; ``sign`` returns the signature of a file's content.

        The manifest has the digest of ``repomd.xml`` and the text of all other files, so that its signature covers the
        whole snapshot: ``repomd.xml`` has the digests of the metadata, and these those of the packages.

        Raises OSError if the root cannot be written.
        """
        self.clear_unfinished()
        unfinished = self.folder / UNFINISHED
        (unfinished / PACKAGES).mkdir(parents=True)
        for package in contents.packages:
            os.link(pool.path(package), unfinished / PACKAGES / package.file_name)
        (unfinished / PROVENANCE).mkdir()
        for package, documents in pool.documents(contents.packages).items():
            for suffix, path in documents.items():
                os.link(path, unfinished / PROVENANCE / f"{package.file_name}{suffix}")
        repomd = write_repodata(unfinished, [pool.chunks(package) for package in contents.packages], contents.epoch)
        repomd.with_name("repomd.xml.asc").write_bytes(sign(repomd.read_bytes()))
        for name, text in contents.files.items():
            (unfinished / name).write_text(text, encoding="utf-8")
        manifest = {
            "packages": [vars(package) for package in contents.packages],
            "files": contents.files,
            "epoch": contents.epoch,
            "expires": contents.expires,
            "repomd": of_file(repomd),
        }
        (unfinished / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
        (unfinished / MANIFEST_SIGNATURE).write_bytes(sign((unfinished / MANIFEST).read_bytes()))
        named = (*contents.files, MANIFEST, MANIFEST_SIGNATURE)
        for path in [*(unfinished / "repodata").iterdir(), *(unfinished / name for name in named)]:
            sync_folder(path)
        for folder in (unfinished / PACKAGES, unfinished / PROVENANCE, unfinished / "repodata", unfinished):
            sync_folder(folder)
        snapshot = self.folder / f"{self._next_number():06d}-{contents.digest[:12]}"
        unfinished.rename(snapshot)
        sync_folder(self.folder)
        return snapshot

    def switch(self, snapshot: Path) -> None:
        """Make a snapshot the visible one, by one rename."""
        self.visible.parent.mkdir(parents=True, exist_ok=True)
        link = self.visible.with_name(f".{self.visible.name}.new")
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(snapshot, self.visible.parent))
        link.rename(self.visible)
        sync_folder(self.visible.parent)

    def prune(self, keep: int) -> list[Path]:
        """Remove all but the newest ``keep`` snapshots, never the visible one; return what was removed."""
        current = self.current()
        old = [path for path in self.snapshots()[:-keep] if path != current]
        for path in old:
            remove_tree(path)
        return old

    def newest_epoch(self) -> int:
        """The greatest time of a snapshot, visible or not; 0 if there is none that can be read."""
        newest = 0
        for snapshot in self.snapshots():
            with contextlib.suppress(PublishError):
                newest = max(newest, self.read(snapshot).epoch)
        return newest

    def snapshots(self) -> list[Path]:
        """All snapshots, oldest first."""
        return sorted(path for path in self.folder.glob("[0-9]*-*") if path.is_dir())

    def clear_unfinished(self) -> None:
        """Remove what an interrupted publication left behind."""
        if (self.folder / UNFINISHED).exists():
            remove_tree(self.folder / UNFINISHED)

    def _next_number(self) -> int:
        snapshots = self.snapshots()
        return int(snapshots[-1].name.partition("-")[0]) + 1 if snapshots else 1


@contextlib.contextmanager
def writing(root: Path) -> Iterator[None]:
    """Lock the root for one publication, and turn errors of the operating system into PublishError.

    What is written inside has the modes 0755 and 0644, whatever the user's umask is: web servers must read it, and
    nobody else may write it. The umask is the whole process's, so it is restored as soon as the publication ends.
    """
    umask = os.umask(0o022)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with (root / ".lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise PublishError(f"another publication below {root} is running", hint="Try again later.") from error
            yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "Free some space" if full else "Choose another root with --root, or fix its permissions"
        raise PublishError(
            f"cannot write the repository at {root}: {error.strerror or error}",
            hint=f"{hint}. What was published before is untouched.",
        ) from error
    finally:
        os.umask(umask)
