"""Read a bundle from an untrusted place: nothing in it is used before its digest is verified."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic import ValidationError

from bigtop_builder.adapter.archives.compression import DamagedArchiveError, Unpacked
from bigtop_builder.adapter.archives.tar import read_tar
from bigtop_builder.adapter.bundle.writer import Progress
from bigtop_builder.model.bundle import FORMAT, MANIFEST, SIGNATURE, BundledFile, Manifest, safe_path
from bigtop_builder.model.digest import CHUNK
from bigtop_builder.model.errors import ConfigurationError, SourceError
from bigtop_builder.model.json_text import parse_json

LARGEST_MANIFEST = 32 << 20
CUT_OFF = "Copy it again from its origin, and check it with: bigtop-builder bundle verify"


@dataclass(frozen=True)
class Member:
    """Where the bytes of a bundled file are. ``path`` is that of the archive, or of the file itself."""

    size: int
    path: Path
    offset: int = 0


class BundleReader:
    """An open bundle. ``members`` are its files by name; only plain files below its root are accepted.

    Raises ConfigurationError when there is no bundle or its format is newer, SourceError when it is unsafe or
    truncated, or when its manifest is invalid.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        try:
            self.members = dict((_of_folder if place.is_dir() else _of_archive)(place))
        except FileNotFoundError as error:
            raise ConfigurationError(f"there is no bundle at {place}") from error
        except OSError as error:
            raise ConfigurationError(f"{place} is unreadable: {error.strerror or error}") from error
        self.manifest_bytes = self._small(MANIFEST)
        self.signature = self._small(SIGNATURE) if SIGNATURE in self.members else None
        self.manifest = _manifest(place, self.manifest_bytes)

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file in chunks. Raises SourceError when they end early."""
        member = self.members[name]
        left = member.size
        try:
            with member.path.open("rb") as stream:
                stream.seek(member.offset)
                while left:
                    chunk = stream.read(min(CHUNK, left))
                    if not chunk:
                        raise SourceError(f"{self.place}: {name} is truncated", hint=CUT_OFF)
                    left -= len(chunk)
                    yield chunk
        except OSError as error:
            raise SourceError(f"{self.place}: {name} is unreadable: {error.strerror or error}", hint=CUT_OFF) from error

    def verified(self, file: BundledFile, progress: Progress = lambda name, size: None) -> Iterator[bytes]:
        """Yield the same. Raises SourceError after the last chunk when the digest is not the manifest's."""
        digest = hashlib.sha256()
        for chunk in self.chunks(file.path):
            digest.update(chunk)
            progress(file.path, len(chunk))
            yield chunk
        if digest.hexdigest() != file.sha256:
            raise SourceError(
                f"{self.place}: {file.path} was altered: its digest is {digest.hexdigest()}, not {file.sha256}",
                hint=CUT_OFF,
            )

    def expect_all(self) -> None:
        """Raise SourceError if files are missing, extra or of another size. Reads no file."""
        missing, extra, resized = self.differences()
        problems = [f"missing: {name}" for name in missing] + [f"not in the manifest: {name}" for name in extra]
        problems += [f"another size: {name}" for name in resized]
        if problems:
            raise SourceError(f"{self.place} differs from its manifest:\n  " + "\n  ".join(problems), hint=CUT_OFF)

    def differences(self) -> tuple[list[str], list[str], list[str]]:
        """Return the names of files that are missing, extra, or of another size than in the manifest."""
        expected = {file.path: file.size for file in self.manifest.files}
        found = {name: member.size for name, member in self.members.items() if name not in (MANIFEST, SIGNATURE)}
        resized = sorted(name for name in expected.keys() & found.keys() if expected[name] != found[name])
        return sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys()), resized

    def _small(self, name: str) -> bytes:
        if name not in self.members:
            raise SourceError(f"{self.place} has no {name}: it is truncated, or not a bundle", hint=CUT_OFF)
        if self.members[name].size > LARGEST_MANIFEST:
            raise SourceError(f"{self.place}: {name} is larger than {LARGEST_MANIFEST >> 20} MiB")
        return b"".join(self.chunks(name))


class ChunkStream(io.RawIOBase):
    """Chunks as a readable stream."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._held = memoryview(b"")

    def readable(self) -> bool:
        """Whether this can be read: always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` and return the number of bytes; 0 at the end."""
        while not self._held:
            piece = next(self._chunks, None)
            if piece is None:
                return 0
            self._held = memoryview(piece)
        length = min(len(buffer), len(self._held))
        buffer[:length] = self._held[:length]
        self._held = self._held[length:]
        return length

    def drain(self) -> None:
        """Read to the end, so that a check after the last chunk runs."""
        self._held = memoryview(b"")
        for _ in self._chunks:
            pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def check_member(info: tarfile.TarInfo, place: str) -> None:
    """Raise SourceError for a member of an archive that is not a plain file below its root."""
    with _unsafe(place):
        safe_path(info.name)
        if not info.isreg():
            raise ValueError(f"{info.name!r} is a link, a folder or a device")


def _of_archive(place: Path) -> Iterator[tuple[str, Member]]:
    seen: set[str] = set()
    try:
        with place.open("rb") as file:
            for info, _ in read_tar(Unpacked(file, "")):
                check_member(info, str(place))
                if info.name in seen:
                    raise SourceError(f"{place} has {info.name!r} twice", hint=CUT_OFF)
                seen.add(info.name)
                yield info.name, Member(info.size, place, info.offset_data)
    except DamagedArchiveError as error:
        if seen:
            raise SourceError(f"{place} is truncated or damaged after {max(seen)}: {error}", hint=CUT_OFF) from error
        raise ConfigurationError(f"{place} is not a bundle: {error}") from error


def _of_folder(place: Path) -> Iterator[tuple[str, Member]]:
    pending = [place]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                name = Path(entry.path).relative_to(place).as_posix()
                with _unsafe(str(place)):
                    safe_path(name)
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(Path(entry.path))
                        continue
                    if not entry.is_file(follow_symlinks=False):
                        raise ValueError(f"{name!r} is a link or a device")
                yield name, Member(entry.stat(follow_symlinks=False).st_size, Path(entry.path))


@contextlib.contextmanager
def _unsafe(place: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise SourceError(f"{place} is not safe: {error}", hint="This program did not make it in this form.") from error


def _manifest(place: Path, data: bytes) -> Manifest:
    try:
        document = parse_json(data)
        found = document.get("format") if isinstance(document, dict) else None
        if isinstance(found, int) and found > FORMAT:
            raise ConfigurationError(
                f"{place} has format {found}; this program reads {FORMAT}",
                hint=f"Install the newer program first: it is among the bundle's wheels ({document.get('tool')}).",
            )
        manifest = Manifest.model_validate(document)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(map(str, problem["loc"]))
        raise SourceError(f"{place}: the manifest is damaged: {where}: {problem['msg']}", hint=CUT_OFF) from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{place}: the manifest is damaged: {error}", hint=CUT_OFF) from error
    _check_references(place, manifest)
    return manifest


def _check_references(place: Path, manifest: Manifest) -> None:
    """Raise SourceError unless the manifest lists each file that it refers to exactly once."""
    paths = [file.path for file in manifest.files]
    named = [source.path for source in manifest.sources] + [cache.path for cache in manifest.caches]
    named += [manifest.images.path] if manifest.images else []
    lost = sorted(set(named) - set(paths))
    if lost or len(set(paths)) != len(paths):
        problem = f"{lost[0]} is not listed" if lost else "a file is listed twice"
        raise SourceError(f"{place}: the manifest is damaged: {problem}")
