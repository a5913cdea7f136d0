"""Download caches that all builds share and none can spoil.

The caches of build tools are not made for writers side by side, and a build also puts its own results into them.
So a task gets a private copy below its home, seeded from the shared one, and what it downloaded is merged back:

- *content* never changes once it is there: it is seeded as a hard link to a file that only this program's user may
  write, which costs no time and no room, and merged where the shared cache has no file of that name;
- *bookkeeping* is rewritten in place by the tools: it is seeded as a copy, and the newest one replaces the shared one.
  Two tasks that merge at once lose one's additions: that costs a request to the repository later, never a wrong file;
- everything else (locks, statistics, results of the build itself) stays private.

A merge belongs behind the end of the task's container: until then a process in there could still write.
What a task asked of its cache (see ``cache_use``) is read before the merge, which reads files itself.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
import re
import secrets
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from bigtop_builder.adapter.store import translated

CacheKind = Literal["maven", "npm", "gradle", "ivy", "pip", "ccache"]
Role = Literal["content", "bookkeeping", "private"]

MAVEN_TRACKING = "_remote.repositories"
"""Maven's list, in each folder, of where each file came from: ``file>repository=``, ``file>=`` when it was built."""

MAVEN_METADATA = r"(^|/)(resolver-status\.properties|maven-metadata-[^/]+\.xml)$"
"""Which versions a repository has, and when Maven asked: a plugin named without a version needs that."""


MAVEN_NODE = "com/github/eirslett/"
"""Where Maven's frontend plugin keeps archives of Node, npm and yarn, which Maven itself knows nothing of."""


@dataclass(frozen=True)
class Traffic:
    """What was seeded or merged. ``size`` is in bytes."""

    files: int = 0
    size: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(self.files + other.files, self.size + other.size)


@dataclass(frozen=True)
class Seeded:
    """What a task's private cache started with."""

    files: Mapping[str, int] = field(default_factory=dict)
    """Paths below the cache's place, and their sizes in bytes."""
    moment: int | None = None
    """When seeding began, in nanoseconds of the file system's own clock: a file that was read since has a later
    atime. None where the file system keeps no atime."""

    @property
    def traffic(self) -> Traffic:
        """All of it."""
        return Traffic(len(self.files), sum(self.files.values()))


@dataclass(frozen=True)
class Layout:
    """Where a tool keeps its cache below its home; the first pattern that matches a path in there tells its role."""

    place: str
    roles: Mapping[str, Role]

    def role(self, path: str) -> Role:
        """The role of a file, by its path below ``place``. A merge that died may have left ``.tmp`` files."""
        if path.endswith(".tmp"):
            return "private"
        return next((role for pattern, role in self.roles.items() if re.search(pattern, path)), "private")


LAYOUTS: Mapping[CacheKind, Layout] = {
    # Without its tracking file Maven takes an artifact as it is, whatever repository it came from.
    "maven": Layout(
        ".m2/repository",
        {
            r"-SNAPSHOT/|(^|/)(_remote\.repositories|maven-metadata-local\.xml)$": "private",
            MAVEN_METADATA: "bookkeeping",
            r"\.(lastUpdated|lock|part|sha1|sha256|sha512|md5|asc)$": "private",
            r"/": "content",
        },
    ),
    "npm": Layout(".npm/_cacache", {r"^content-v2/": "content", r"^index-v5/": "bookkeeping"}),
    "gradle": Layout(
        ".gradle/caches/modules-2",
        {r"(\.lock|^gc\.properties)$": "private", r"^files-2\.1/": "content", r"^metadata-": "bookkeeping"},
    ),
    "ivy": Layout(
        ".ivy2/cache",
        {
            r"(\.lck|\.part|^resolved-[^/]*)$": "private",
            r"/(ivydata-[^/]*\.properties|ivy-[^/]*\.xml(\.original)?)$": "bookkeeping",
            r"/": "content",
        },
    ),
    "pip": Layout(".cache/pip", {r"^http": "content"}),
    "ccache": Layout(".cache/ccache", {r"(stats|\.lock|\.tmp\.[^/]*)$": "private", r"^[0-9a-f]/": "content"}),
}


def seed(
    kind: CacheKind, store: Path, home: Path, *, owner: tuple[int, int], built: frozenset[str] = frozenset()
) -> Seeded:
    """Fills a task's private cache below ``home``. ``owner`` is the uid and gid of its container.

    ``built`` are the Maven artifacts that the task builds itself (see ``built_artifacts``): those that are also
    known from a repository are copied, so that ``mvn install`` may write over them. Raises StoreError.
    """
    layout = LAYOUTS[kind]
    shared, private = store / "cache" / kind, home / layout.place
    seeded: dict[str, int] = {}
    with translated(private):
        _own_folders(private, home, owner)
        moment = _moment(private)
        for folder, files in folders(shared):
            target = f"{private}/{folder}"
            if folder:
                _own_folder(target, owner)
            # Maven's path ends in artifact/version.
            writable = kind == "maven" and not built.isdisjoint(folder.split("/")[-2:-1])
            for entry in files:
                path = f"{folder}/{entry.name}" if folder else entry.name
                role = layout.role(path)
                if role == "private":
                    continue
                place = _link if role == "content" and not writable else _copy
                with contextlib.suppress(FileExistsError):
                    place(entry.path, f"{target}/{entry.name}", owner)
                seeded[path] = entry.stat(follow_symlinks=False).st_size
    return Seeded(seeded, moment)


def merge(kind: CacheKind, store: Path, home: Path) -> Traffic:
    """Takes over into the shared cache what a task downloaded; gives what was new. Raises StoreError.

    A file that is there already is never replaced by other content, and links that a build made are not followed.
    """
    layout = LAYOUTS[kind]
    shared, private = store / "cache" / kind, home / layout.place
    total = Traffic()
    with translated(shared):
        for folder, files in folders(private):
            for entry in downloads(kind, private / folder, files):
                role = layout.role(f"{folder}/{entry.name}" if folder else entry.name)
                target = shared / folder / entry.name
                if (role == "content" and not target.exists()) or (role == "bookkeeping" and not _same(entry, target)):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    take = _take_content if role == "content" else _take_bookkeeping
                    if take(Path(entry.path), target):
                        total += Traffic(1, entry.stat(follow_symlinks=False).st_size)
    return total


def built_artifacts(tree: Path) -> frozenset[str]:
    """The artifact ids of all Maven modules below a source tree; poms that do not parse are left out."""
    found = set()
    for folder, folders, files in os.walk(tree):
        folders[:] = [name for name in folders if name not in ("src", "target", ".git", "node_modules")]
        if "pom.xml" in files:
            with contextlib.suppress(ElementTree.ParseError, OSError):
                artifact = ElementTree.parse(Path(folder) / "pom.xml").getroot().findtext("{*}artifactId")
                if artifact:
                    found.add(artifact.strip())
    return frozenset(found)


def folders(root: Path) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
    """Every folder below ``root`` by its relative path, with its plain files; no link is followed."""
    pending = [""]
    while pending:
        folder = pending.pop()
        files = []
        try:
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(f"{folder}/{entry.name}" if folder else entry.name)
                    elif entry.is_file(follow_symlinks=False):
                        files.append(entry)
        except FileNotFoundError:
            continue
        yield folder, files


def downloads(kind: CacheKind, folder: Path, files: list[os.DirEntry[str]]) -> Iterable[os.DirEntry[str]]:
    """Those of a folder's files that a tool may have downloaded.

    Of Maven's: metadata, what it says came from a repository and no local install has written since, and whole
    archives of Node.
    """
    if kind != "maven":
        return files
    metadata = [entry for entry in files if re.search(MAVEN_METADATA, entry.name)]
    if f"/{MAVEN_NODE}" in f"{folder.as_posix()}/":
        metadata += [entry for entry in files if _whole_archive(Path(entry.path))]
    tracking = next((entry for entry in files if entry.name == MAVEN_TRACKING), None)
    if tracking is None:
        return metadata
    remote: set[str] = set()
    local: set[str] = set()
    for line in Path(tracking.path).read_text(encoding="utf-8", errors="replace").splitlines():
        name, mark, repository = line.partition(">")
        if mark and not line.startswith("#"):
            (remote if repository.removesuffix("=") else local).add(name)
    return metadata + [entry for entry in files if entry.name in remote - local]


def _whole_archive(path: Path) -> bool:
    """The plugin writes in place: a build that failed may have left the beginning of an archive."""
    if not path.name.endswith((".tar.gz", ".tgz")):
        return False
    try:
        with gzip.open(path) as stream:
            while stream.read(1 << 20):
                pass
    except (OSError, EOFError, zlib.error):
        return False
    return True


def _own_folders(path: Path, home: Path, owner: tuple[int, int]) -> None:
    """Makes a folder below ``home``, and those between, for the container's user."""
    for parent in reversed(path.parents):
        if parent.is_relative_to(home) and parent != home:
            _own_folder(str(parent), owner)
    _own_folder(str(path), owner)


def _own_folder(path: str, owner: tuple[int, int]) -> None:
    with contextlib.suppress(FileExistsError):
        Path(path).mkdir()
        os.chown(path, *owner)


def _link(source: str, target: str, _: tuple[int, int] | None = None) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EMLINK, errno.EPERM):
            raise
        shutil.copyfile(source, target)
        _never_read(target)
        Path(target).chmod(0o444)


def _copy(source: str, target: str, owner: tuple[int, int]) -> None:
    shutil.copyfile(source, target)
    _never_read(target)
    os.chown(target, *owner)


def _never_read(path: str | Path) -> None:
    """A new file has the atime of its making: an older one than its mtime is what the next read changes."""
    os.utime(path, ns=(0, Path(path).stat().st_mtime_ns))


def _moment(folder: Path) -> int | None:
    """Now by the clock of the folder's file system; None when reading a file there leaves no trace in its atime."""
    probe = folder / f"{secrets.token_hex(6)}.tmp"
    try:
        probe.write_bytes(b"x")
        now = probe.stat().st_mtime_ns
        _never_read(probe)
        probe.read_bytes()
        return now if probe.stat().st_atime_ns else None
    finally:
        probe.unlink(missing_ok=True)


def _same(entry: os.DirEntry[str], target: Path) -> bool:
    try:
        return Path(entry.path).read_bytes() == target.read_bytes()
    except FileNotFoundError:
        return False


def _take_content(source: Path, target: Path) -> bool:
    """False when another task was first. The file becomes ours before it becomes seen."""

    def place(temporary: Path) -> bool:
        with contextlib.suppress(FileExistsError):
            os.link(temporary, target)
            return True
        return False

    return _with_temporary(source, target, place)


def _take_bookkeeping(source: Path, target: Path) -> bool:
    def place(temporary: Path) -> bool:
        temporary.replace(target)
        return True

    return _with_temporary(source, target, place, copy=True)


def _with_temporary(source: Path, target: Path, place: Callable[[Path], bool], *, copy: bool = False) -> bool:
    temporary = target.with_name(f"{secrets.token_hex(6)}.tmp")
    try:
        if copy:
            shutil.copyfile(source, temporary)
        else:
            _link(str(source), str(temporary))
        if temporary.stat().st_uid != os.geteuid():
            os.chown(temporary, os.geteuid(), os.getegid())
        temporary.chmod(0o444)
        return place(temporary)
    finally:
        temporary.unlink(missing_ok=True)
