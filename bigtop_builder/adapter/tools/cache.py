"""Download caches that all builds share and none can spoil.

Build tools do not expect several writers in their caches, and a build also puts its own results there. So each task
gets a private copy below its home, and what it downloaded is taken over when it has ended. A build may have written
anything into its copy, under any name; hence two parts in the store:

- ``own/COMPONENT`` takes what a build of this component left, and seeds builds of this component alone;
- ``shared`` seeds every build. A file moves there when it has been proved that it is what the remote gave: by the
  checksum that a repository publishes, which this program asks for itself, or by a digest that is the file's name.

What files are (``model.build_tools``):

- *content* never changes once written: it is seeded as a hard link to a file that only this program's user may write,
  which costs no time and no space;
- *bookkeeping* is rewritten in place by the tools: it is seeded as a copy, the newest replaces the older one, and it
  is never shared, because nobody publishes what it must say;
- everything else (locks, statistics, results of the build itself) stays *private*.

Where the container runs as this very user, a build could make a linked file writable and change it for all: then
everything is copied, which costs nothing on file systems that share blocks (Btrfs, XFS).

Take over after the task's container has ended: until then one of its processes could still write.
Find what a task used (see ``cache_use``) before that, because taking over reads files itself.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bigtop_builder.adapter.store import remove_tree, translated, write_atomically
from bigtop_builder.adapter.tools.cache_files import (
    READ_SIZE,
    clock,
    copy_file,
    folders,
    is_same,
    link,
    make_folder,
    make_folders,
    open_left,
    publish_newest,
    publish_once,
)
from bigtop_builder.adapter.tools.repository_files import Digest, RepositoryFiles
from bigtop_builder.adapter.untrusted import Budget, Folder, walk
from bigtop_builder.model.build_tools.registry import CACHES, CacheName
from bigtop_builder.model.build_tools.tool import AddressBook, CacheFolder, CacheLayout

SHARED, OWN = "shared", "own"
ANSWERS = ".answers.json"
"""In the folder of a component: the files that cannot be shared, and why, so that nobody asks for them again."""
DIFFERS, UNPUBLISHED = "differs from what is published", "is published by no repository that the project names"
STRONG = ("sha256", "sha512")


@dataclass(frozen=True)
class Traffic:
    """What was seeded or taken over. ``size`` is in bytes."""

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
class Checked:
    """How many files were proved and are shared now, which are not what the remote gives, and how many were not
    asked about because a repository gave no answer in time."""

    shared: int = 0
    differing: tuple[str, ...] = ()
    unanswered: int = 0


def built_artifacts(names: Iterable[CacheName], tree: Path) -> frozenset[str]:
    """Return what a source tree builds itself and installs into these caches, such as Maven's modules."""
    return frozenset().union(*(CACHES[name].built(tree) for name in names))


def shared_part(name: CacheName, store: Path) -> Path:
    """Return the folder that seeds every build."""
    return store / "cache" / name / SHARED


@dataclass(frozen=True)
class Cache:
    """The download cache of a build tool, as the builds of one component see it."""

    name: CacheName
    store: Path
    component: str

    @property
    def layout(self) -> CacheLayout:
        """What the files in it are."""
        return CACHES[self.name]

    @property
    def root(self) -> Path:
        """The folder of the store with both parts, and those of other components."""
        return self.store / "cache" / self.name

    @property
    def shared(self) -> Path:
        """The part that seeds every build."""
        return self.root / SHARED

    @property
    def own(self) -> Path:
        """The part that seeds builds of this component."""
        return self.root / OWN / self.component

    def find(self, path: str) -> Path | None:
        """Return the file at a path of the tool's cache."""
        # In this order, because a file may be on its way from the second place to the first.
        for part in (self.shared, self.own, self.shared):
            if (part / path).is_file():
                return part / path
        return None

    def files(self) -> dict[str, os.DirEntry[str]]:
        """Return all that a build of this component is seeded with, by path."""
        return {**dict(_seeds(self.layout, self.own)), **dict(_seeds(self.layout, self.shared))}

    def seed(
        self,
        home: Path,
        *,
        owner: tuple[int, int],
        links: bool,
        built: frozenset[str] = frozenset(),
        only: Collection[str] | None = None,
    ) -> Seeded:
        """Fill a task's private cache below ``home``.

        ``owner`` is the uid and gid of who runs in its container; ``links`` says that this is another account than
        ours, which cannot write our files: without it all is copied. Files that the task builds itself (see
        ``built_artifacts``), and that a repository has too, are copied in any case, so that the task may overwrite
        them. With ``only``, nothing but these paths is seeded. Raises StoreError.
        """
        layout, private = self.layout, home / self.layout.place
        seeded: dict[str, int] = {}
        with translated(private):
            make_folders(private, home, owner)
            moment = clock(private)
            made = {""}
            for path, source, size in self._sources(only):
                folder = path.rpartition("/")[0]
                _make_inside(str(private), folder, owner, made)
                content = links and layout.role(path) == "content" and not layout.overwritten(folder, built)
                place = link if content else copy_file
                with suppress(FileExistsError, FileNotFoundError):
                    place(source, f"{private}/{path}", owner)
                    seeded[path] = size
        return Seeded(seeded, moment)

    def _sources(self, only: Collection[str] | None) -> Iterator[tuple[str, str, int]]:
        if only is None:
            for path, entry in self.files().items():
                with suppress(FileNotFoundError):
                    yield path, entry.path, entry.stat(follow_symlinks=False).st_size
            return
        for path in sorted(only):
            if source := self.find(path):
                yield path, str(source), source.stat().st_size

    def take(self, root: Path, below: str, budget: Budget) -> Traffic:
        """Take over what a build downloaded into its home, the folder ``below`` of its scratch ``root``.

        It is only for builds of this component until ``check`` has proved more. Existing content is never replaced.
        Raises BuildError when a link leads to the cache, or when it exceeds the budget; StoreError.
        """
        total = Traffic()
        with translated(self.root):
            for folder, name in downloads(self.layout, root, f"{below}/{self.layout.place}"):
                path = folder.inside(name)
                content, target = self.layout.role(path) == "content", self.own / path
                if content and ((self.shared / path).exists() or target.exists()):
                    continue
                # A build may have left files that it alone can read.
                with suppress(PermissionError), open_left(folder, name) as left:
                    size = os.fstat(left.fileno()).st_size
                    if not content and is_same(left, target):
                        continue
                    budget.spend(path, size)
                    if (publish_once if content else publish_newest)(left, target):
                        total += Traffic(1, size)
        return total

    def check(self, book: AddressBook, repositories: RepositoryFiles) -> Checked:
        """Prove files of this component's part, as far as that can be done, and share them.

        Raises ConfigurationError when the address of a repository is unknown, StoreError.
        """
        answers = _read_answers(self.own / ANSWERS)
        with translated(self.root):
            paths = [path for path, _ in _seeds(self.layout, self.own) if path not in answers]
            checked = prove(self.layout, self.own, self.shared, paths, answers, book, repositories)
            if self.own.is_dir():
                write_atomically(self.own / ANSWERS, json.dumps(answers, indent=0, sort_keys=True))
        return checked

    def differing(self, paths: Iterable[str]) -> list[str]:
        """Return the files of this component's part that are known not to be what a repository publishes."""
        answers = _read_answers(self.own / ANSWERS)
        return [path for path in paths if answers.get(path) == DIFFERS]

    def adopt(self, book: AddressBook, repositories: RepositoryFiles) -> Checked:
        """Prove what older versions shared unproved, and share it again; what cannot be proved is removed.

        Raises like ``check``.
        """
        answers: dict[str, str] = {}
        with translated(self.root):
            paths = list(self.former())
            checked = prove(self.layout, self.root, self.shared, paths, answers, book, repositories)
            if not checked.unanswered and self.root.is_dir():
                for entry in list(self.root.iterdir()):
                    if entry.name not in (SHARED, OWN):
                        remove_tree(entry)
        return checked

    def adopt_own(self, path: str, expected: Iterable[Digest]) -> bool:
        """Give this component a file that an older version shared, if it has these digests."""
        former = self.root / path
        if path.partition("/")[0] in (SHARED, OWN) or not former.is_file() or not matches(former, expected):
            return False
        (self.own / path).parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.link(former, self.own / path)
        return True

    def former(self) -> Iterator[str]:
        """Yield the files of the layout that older versions had, which shared everything."""
        for folder, files in folders(self.root):
            if folder.partition("/")[0] not in (SHARED, OWN):
                yield from (f"{folder}/{entry.name}" if folder else entry.name for entry in files)


def _make_inside(private: str, folder: str, owner: tuple[int, int], made: set[str]) -> None:
    if folder not in made:
        _make_inside(private, folder.rpartition("/")[0], owner, made)
        make_folder(f"{private}/{folder}", owner)
        made.add(folder)


def _seeds(layout: CacheLayout, part: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    for folder, files in folders(part):
        for entry in files:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if layout.role(path) != "private":
                yield path, entry


def downloads(layout: CacheLayout, root: Path, below: str) -> Iterator[tuple[Folder, str]]:
    """Yield the files that the tool may have downloaded into the cache that a build left, with their folders.

    Raises BuildError when a link leads to the cache.
    """
    for folder in walk(root, below, skip_deeper=True):
        names = [entry.name for entry in folder.files if _plain(folder.inside(entry.name))]
        try:
            chosen = layout.downloaded(CacheFolder(folder.path, names, partial(open_left, folder)))
        except OSError:
            continue
        for name in names:
            if name in chosen and layout.role(folder.inside(name)) != "private":
                yield folder, name


def _plain(path: str) -> bool:
    """Whether a path is printable text: no registry has others."""
    return path.isprintable() and path.isascii()


def prove(
    layout: CacheLayout,
    part: Path,
    shared: Path,
    paths: Iterable[str],
    answers: dict[str, str],
    book: AddressBook,
    repositories: RepositoryFiles,
) -> Checked:
    """Move the files of ``part`` that are what the remote gives to ``shared``; note in ``answers`` which are not."""
    wanted = {}
    named = {}
    for path in paths:
        if layout.role(path) != "content":
            continue
        if (shared / path).exists():
            (part / path).unlink(missing_ok=True)
            continue
        if own := layout.digest(path):
            named[path] = own
        if remotes := [remote for remote in layout.remotes(book, path) if remote.checksums]:
            wanted[path] = remotes
    published = repositories.checksums(wanted) if wanted else {}
    moved, differing = 0, []
    for path in sorted({*wanted, *named}):
        expected = [named[path]] if path in named else []
        if path in wanted:
            if path not in published:
                continue
            expected += published[path]
            if not published[path]:
                answers[path] = UNPUBLISHED
                continue
        elif named[path][0] not in STRONG:
            continue
        if matches(part / path, expected):
            _move(part / path, shared / path)
            moved += 1
        else:
            answers[path] = DIFFERS
            differing.append(path)
    return Checked(moved, tuple(differing), len(wanted.keys() - published.keys()))


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.link(source, target)
    source.unlink(missing_ok=True)


def matches(path: Path, expected: Iterable[Digest]) -> bool:
    """Whether a file has all these digests."""
    hashes = [(hashlib.new(algorithm), value) for algorithm, value in expected]
    with path.open("rb") as stream:
        while piece := stream.read(READ_SIZE):
            for one, _ in hashes:
                one.update(piece)
    return all(one.hexdigest() == value for one, value in hashes)


def _read_answers(path: Path) -> dict[str, str]:
    try:
        answers: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return answers
