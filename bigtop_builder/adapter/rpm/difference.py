"""Compares two builds of the same component: staged trees file by file, packages byte by byte."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO

from bigtop_builder.adapter.archives.zip import DAMAGE, open_zip
from bigtop_builder.adapter.rpm.header import PackagedFile, RpmHeader, read_header
from bigtop_builder.adapter.rpm.payload import payload_files

CHUNK = 1 << 20
NAMED_ENTRIES = 5
"""How many differing entries of an archive are listed."""
DERIVED = {"files", "sigmd5", "sha256", "payload_offset", "signature"}
"""Header fields that differ only because something else differs."""


def tree_differences(one: Path, two: Path) -> Iterator[str]:
    """Yield each path in which two trees differ, and how, sorted by path; file times do not count."""
    first, second = _entries(one), _entries(two)
    for path in sorted(first.keys() | second.keys()):
        if path not in second:
            yield f"{path}: only the first build has it"
        elif path not in first:
            yield f"{path}: only the second build has it"
        elif how := _path_difference(one / path, two / path):
            yield f"{path}: {how}"


def _entries(root: Path) -> dict[str, None]:
    found: dict[str, None] = {}
    for folder, folders, files in os.walk(root):
        here = Path(folder).relative_to(root)
        found.update(((here / name).as_posix(), None) for name in (*folders, *files))
    return found


def _path_difference(one: Path, two: Path) -> str:
    first, second = one.lstat(), two.lstat()
    if stat.S_IFMT(first.st_mode) != stat.S_IFMT(second.st_mode):
        return "another kind of file"
    if stat.S_ISLNK(first.st_mode):
        targets = one.readlink(), two.readlink()
        return f"links to {targets[0]} and to {targets[1]}" if targets[0] != targets[1] else ""
    if stat.S_ISREG(first.st_mode):
        with one.open("rb") as mine, two.open("rb") as other:
            if first.st_size != second.st_size or not _same(mine, other):
                return f"other content{_entries_that_differ(mine, other)}"
    modes = stat.filemode(first.st_mode), stat.filemode(second.st_mode)
    return f"{modes[0]} and {modes[1]}" if modes[0] != modes[1] else ""


def _same(one: IO[bytes], two: IO[bytes]) -> bool:
    while True:
        mine, other = one.read(CHUNK), two.read(CHUNK)
        if mine != other:
            return False
        if not mine:
            return True


def _entries_that_differ(one: IO[bytes], two: IO[bytes]) -> str:
    """Return ``; inside: NAME (content), …`` for two archives; empty for other files."""
    try:
        with open_zip(one) as mine, open_zip(two) as other:
            entries = [{entry.filename: entry for entry in archive.infolist()} for archive in (mine, other)]
            differing = [
                f"{name} ({how})"
                for name in sorted(entries[0].keys() | entries[1].keys())
                if (how := _entry_difference(entries[0].get(name), entries[1].get(name)))
            ]
    except DAMAGE:
        return ""
    more = f" and {len(differing) - NAMED_ENTRIES} more" if len(differing) > NAMED_ENTRIES else ""
    return f"; inside: {', '.join(differing[:NAMED_ENTRIES]) or 'the order of entries'}{more}"


def _entry_difference(one: zipfile.ZipInfo | None, two: zipfile.ZipInfo | None) -> str:
    if one is None or two is None:
        return "only in the first" if two is None else "only in the second"
    if (one.CRC, one.file_size) != (two.CRC, two.file_size):
        return "content"
    return "time" if one.date_time != two.date_time else "attributes" if one.external_attr != two.external_attr else ""


def package_differences(one: Path, two: Path) -> Iterator[str]:
    """Yield the differences of two packages: header fields, then files; nothing when they are identical.

    Raises PublishError when one is damaged.
    """
    with one.open("rb") as mine, two.open("rb") as other:
        if _same(mine, other):
            return
    first, second = read_header(one), read_header(two)
    found = [*_field_differences(first, second), *_file_differences(first, second, one, two)]
    yield from found or ["every file and field is equal, but not the order or the compression of the payload"]


def _field_differences(one: RpmHeader, two: RpmHeader) -> Iterator[str]:
    for field in dataclasses.fields(RpmHeader):
        mine, other = getattr(one, field.name), getattr(two, field.name)
        if field.name not in DERIVED and mine != other:
            yield f"{field.name}: {mine!r} and {other!r}"


def _file_differences(one: RpmHeader, two: RpmHeader, first: Path, second: Path) -> Iterator[str]:
    mine, other = ({file.path: file for file in header.files} for header in (one, two))
    for path in sorted(mine.keys() ^ other.keys()):
        yield f"{path}: only the {'first' if path in mine else 'second'} build has it"
    for path in sorted(mine.keys() & other.keys()):
        if mine[path] != other[path]:
            inside = ""
            if mine[path].digest != other[path].digest:
                with _content(first, path) as left, _content(second, path) as right:
                    inside = _entries_that_differ(left, right)
            yield f"{path}: {_attributes(mine[path], other[path])}{inside}"


def _attributes(one: PackagedFile, two: PackagedFile) -> str:
    values = [(name, value, getattr(two, name)) for name, value in dataclasses.asdict(one).items()]
    named = {"digest": "other content"}
    return ", ".join(named.get(name, f"{name} {mine} and {other}") for name, mine, other in values if mine != other)


@contextlib.contextmanager
def _content(package: Path, path: str) -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as file:
        for member in islice((member for member in payload_files(package) if member.path == path), 1):
            while chunk := member.read(CHUNK):
                file.write(chunk)
        file.seek(0)
        yield file
