"""``bundle load``: verify each file while it is copied to where builds and deployments look for it.

Existing files are kept: repeat a load that was killed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bigtop_builder.adapter.bundle.cache import take_in, unpack
from bigtop_builder.adapter.bundle.reader import BundleReader, ChunkStream
from bigtop_builder.adapter.bundle.writer import Progress
from bigtop_builder.adapter.sources.download_store import (
    WrongDigestError,
    altered_source,
    claim,
    discard_source,
    stored,
)
from bigtop_builder.adapter.store import COLLECTING, Run, Store, translated
from bigtop_builder.model.bundle import SUPER_POM, BundledFile, BundledImages, BundledSource
from bigtop_builder.model.digest import of_file
from bigtop_builder.model.errors import ConfigurationError, EngineError, SourceError, StoreError

FOLDERS = ("include", "keys", "wheels")
"""Folders of a bundle that are copied into the project's folder."""

MARGIN = 16 << 20


@dataclass
class Loaded:
    """What was new, what existed already, and what was kept although the bundle's differs."""

    new: dict[str, int] = field(default_factory=dict)
    same: dict[str, int] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    kept_in_caches: int = 0
    images: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    """Images that wait for an engine."""
    no_engine: str = ""

    def count(self, part: str, *, new: int = 0, same: int = 0) -> None:
        """Add to the counts of a part."""
        for figures, number in ((self.new, new), (self.same, same)):
            if number:
                figures[part] = figures.get(part, 0) + number


class Loading:
    """Loads a bundle into a project's folder and a store. With ``replace`` its files win over existing ones."""

    def __init__(self, reader: BundleReader, *, replace: bool, progress: Progress) -> None:
        self.reader = reader
        self.manifest = reader.manifest
        self.replace = replace
        self.progress = progress
        self.loaded = Loaded()
        self._files = {file.path: file for file in reader.manifest.files}
        if self.manifest.images and self.manifest.machine != os.uname().machine:
            raise ConfigurationError(
                f"{reader.place} has images for {self.manifest.machine}, but this machine is {os.uname().machine}",
                hint="Create the bundle on a machine like this one.",
            )

    def project(self, root: Path) -> None:
        """Copy the project file, overlays, inventories, keys, wheels and included files below ``root``."""
        with _alone(root):
            for name, file in self._files.items():
                part, _, rest = name.partition("/")
                if part == "project":
                    self._place(file, root / rest, part)
                elif part in FOLDERS:
                    self._place(file, root / name, part)

    def store(self, store: Store) -> None:
        """Load sources, caches and images into a store and its engine. Raises SourceError, StoreError, EngineError."""
        manifest = self.manifest
        if not (manifest.sources or manifest.caches or manifest.images):
            return
        store.open()
        self._check_room(store)
        run = store.start_run()
        try:
            with store.locked(COLLECTING, shared=True):
                for source in manifest.sources:
                    self._source(store, source)
                self._caches(store, run)
                if manifest.images is not None:
                    self._images(store, manifest.images)
        finally:
            run.close()

    def repositories(self, root: Path) -> None:
        """Load published repositories below ``root``. Raises PublishError."""
        from bigtop_builder.adapter.bundle.repository import take_over

        for repository in self.manifest.repositories:
            prefix = repository.path + "/"
            files = {name.removeprefix(prefix): file for name, file in self._files.items() if name.startswith(prefix)}

            def fill(folder: Path, files: dict[str, BundledFile] = files) -> None:
                for name, file in files.items():
                    self._write(file, folder / name)

            outcome = take_over(root, repository, fill, replace=self.replace)
            if outcome == "kept":
                self.loaded.kept.append(f"{root}/{repository.stack}/{repository.platform}")
            self.loaded.count("repositories", new=outcome == "new", same=outcome == "same")

    def _source(self, store: Store, source: BundledSource) -> None:
        file = self._files[source.path]
        names = (f"sha256:{file.sha256}", *source.names)
        for name in names:
            # A build at a closed site finds an altered source and cannot fetch it: loading again is the way to get it.
            if altered_source(store.root, name) is not None:
                discard_source(store.root, name)
        missing = [name for name in names if stored(store.root, name) is None]
        for name in missing:
            with claim(store.root, name, threading.Event(), lambda: None) as part:
                if part is None:
                    continue
                part.clear()
                for chunk in self.reader.verified(file, self.progress):
                    part.write(chunk)
                algorithm, _, value = name.partition(":")
                expected = {"sha256": file.sha256} | ({algorithm: value} if algorithm != "git" else {})
                try:
                    part.accept(expected, {algorithm: value} if algorithm == "git" else None)
                except WrongDigestError as error:
                    part.clear()
                    raise SourceError(f"{self.reader.place}: {file.path} does not match its name: {error}") from error
        self.loaded.count("sources", new=bool(missing), same=not missing)

    def _caches(self, store: Store, run: Run) -> None:
        for cache in self.manifest.caches:
            scratch = run.work / "caches" / cache.kind
            with translated(scratch):
                scratch.mkdir(parents=True)
            place = f"{self.reader.place}: {cache.path}"
            paths = unpack(self.reader.verified(self._files[cache.path], self.progress), scratch, place)
            taken = take_in(cache.kind, store.root, scratch, paths)
            self.loaded.count(f"{cache.kind} cache", new=taken.new, same=taken.same)
            self.loaded.kept_in_caches += len(taken.kept)
            shutil.rmtree(scratch, ignore_errors=True)
        file = self._files.get(SUPER_POM)
        target = store.root / "images" / "maven-super-pom.xml"
        if file is not None and not target.exists():
            self._write(file, target)

    def _images(self, store: Store, bundled: BundledImages) -> None:
        from bigtop_builder.adapter.bundle.images import absent, keep_records, load_images, tags_of
        from bigtop_builder.adapter.containers.engine import connect, facts
        from bigtop_builder.adapter.containers.image_record import recorded

        try:
            client = connect()
        except EngineError as error:
            self.loaded.waiting = [image.tag for image in bundled.images]
            self.loaded.no_engine = str(error)
            return
        file = self._files[bundled.path]
        try:
            with store.locked("bundle-images"):
                wanted = absent(client, store, bundled.images)
                if wanted:
                    free = facts(client).free_disk
                    if free is not None and free < bundled.size:
                        raise _no_room("the container engine", bundled.size, free)
                    # An engine cannot undo a load, so the whole file is verified before it gets any of it.
                    for _ in self.reader.verified(file, self.progress):
                        pass
                    before = tags_of(client, bundled.images)
                    with ChunkStream(self.reader.verified(file)) as stream:
                        load_images(client, stream)
                    keep_records(client, store, bundled.images, wanted, before)
                self.loaded.images = [image.tag for image in wanted]
                self.loaded.count("images", new=len(wanted), same=len(bundled.images) - len(wanted))
                for image in bundled.images:
                    record = recorded(store, image.key)
                    if record is not None and record.fingerprint != image.fingerprint:
                        self.loaded.kept.append(f"the image {image.tag}, built here with other packages")
        finally:
            client.close()

    def _check_room(self, store: Store) -> None:
        manifest = self.manifest
        needed = sum(cache.size for cache in manifest.caches) + MARGIN
        needed += sum(
            self._files[source.path].size
            for source in manifest.sources
            if stored(store.root, f"sha256:{self._files[source.path].sha256}") is None
        )
        free = shutil.disk_usage(store.root).free
        if free < needed:
            raise _no_room(f"the store {store.root}", needed, free)

    def _place(self, file: BundledFile, target: Path, part: str) -> None:
        if target.is_symlink() or target.exists():
            if target.is_file() and not target.is_symlink() and of_file(target) == file.sha256:
                self.loaded.count(part, same=1)
                return
            if not self.replace:
                self.loaded.kept.append(str(target))
                return
        self._write(file, target)
        self.loaded.count(part, new=1)

    def _write(self, file: BundledFile, target: Path) -> None:
        # Always of the same name, so that the next run takes away what a killed one left.
        temporary = target.with_name(f".{target.name}.loading")
        with translated(target):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                temporary.unlink(missing_ok=True)
                with temporary.open("xb") as stream:
                    for chunk in self.reader.verified(file, self.progress):
                        stream.write(chunk)
                    stream.flush()
                    os.fsync(stream.fileno())
                temporary.chmod(0o755 if file.executable else 0o644)
                temporary.replace(target)
            finally:
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Let only one run write below a folder at a time."""
    with translated(root):
        root.mkdir(parents=True, exist_ok=True)
        handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _no_room(place: str, needed: int, free: int) -> StoreError:
    return StoreError(
        f"not enough space in {place}: {needed >> 20} MiB needed, {free >> 20} MiB free",
        hint="Free some space, or choose another store with --store or 'store:' in the project file.",
    )
