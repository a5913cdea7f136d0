"""Locks of components, made from what their newest compile without a lock downloaded or read from the caches."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bigtop_builder.adapter.store import CACHES, write_atomically
from bigtop_builder.adapter.tools.cache import Cache
from bigtop_builder.flow.build.component_files import lock_of
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.model.digest import of_bytes, of_file
from bigtop_builder.model.errors import BuildError, ConfigurationError, Location, StoreError
from bigtop_builder.model.lock import Lock, LockedFile
from bigtop_builder.plan.task import Plan, Task
from bigtop_builder.recipe.evaluate import COMPONENT_FILES, Evaluated
from bigtop_builder.recipe.lock import FOLDER, lock_text


@dataclass(frozen=True)
class MadeLock:
    """A lock as it should be, and where it belongs."""

    path: Path
    lock: Lock
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text of the file."""
        return lock_text(self.lock)

    @property
    def up_to_date(self) -> bool:
        """Whether the file says the same."""
        try:
            return self.path.read_text(encoding="utf-8") == self.text
        except OSError:
            return False

    def write(self) -> None:
        """Write the file. Raises ConfigurationError."""
        try:
            self.path.parent.mkdir(exist_ok=True)
            write_atomically(self.path, self.text)
        except OSError as error:
            raise ConfigurationError(
                f"the lock cannot be written: {error.strerror}",
                location=Location(self.path),
                hint="The lock belongs beside the newest component.yaml. Let an overlay have one, with 'name:' alone.",
            ) from None


@dataclass
class Record:
    """The compile tasks of a selection that need a lock, and those of them whose downloads are not recorded."""

    tasks: list[Task] = field(default_factory=list)
    unrecorded: list[Task] = field(default_factory=list)


def recorded(project: Project, request: Request) -> Record:
    """Find what there is to lock. ``project`` must have been opened with ``locks: ignore``.

    Raises ConfigurationError when the selection has nothing that a lock is for, and whatever ``plan`` raises.
    """
    # A plan leaves out the compile tasks of what is packaged already, unless it is to be compiled twice.
    plan = project.plan(replace(request, check_reproducible=True))
    chosen = {name for name, _ in project.pairs(request)}
    found = Record([task for task in _compiles(plan) if task.evaluated.name in chosen])
    if not found.tasks:
        reasons = [refusal.reason for refusal in plan.refusals]
        raise ConfigurationError("\n".join(reasons or ["nothing that is selected compiles with a network"]))
    found.unrecorded = [task for task in found.tasks if _use(project, task) is None]
    return found


def _compiles(plan: Plan) -> Iterator[Task]:
    for task in plan.tasks:
        evaluated = task.evaluated
        if task.kind != "compile" or evaluated.compile_step != "container" or evaluated.build.network is False:
            continue
        if evaluated.packaging != COMPONENT_FILES:
            raise ConfigurationError("Bigtop's own packaging has no locks", hint="Add --packaging own.")
        if evaluated.local_source is not None:
            raise ConfigurationError(f"{evaluated.name} is built from a tree of yours, which no lock is for")
        yield task


def _use(project: Project, task: Task) -> Mapping[str, list[str]] | None:
    """Return what a compile used of each cache; None when that was not recorded, or is gone."""
    try:
        text = (project.store.folder("compile", task.key) / CACHES).read_text(encoding="utf-8")
        use: dict[str, list[str]] = json.loads(text)
    except (OSError, ValueError):
        # A component that has no caches records nothing, and needs a result all the same.
        return None if task.evaluated.build.caches or not project.store.has("compile", task.key) else {}
    caches = {kind: _cache(project, task.evaluated, kind) for kind in use}
    gone = any(caches[kind].find(path) is None for kind, paths in use.items() for path in paths)
    return None if gone else use


def _cache(project: Project, evaluated: Evaluated, kind: str) -> Cache:
    return Cache(kind, project.store.root, evaluated.name)


def make_lock(project: Project, task: Task) -> MadeLock:
    """Make the lock of a compile task. Raises ConfigurationError, StoreError, BuildError for what cannot be locked."""
    evaluated, use = task.evaluated, _use(project, task)
    if use is None:
        raise StoreError(f"what compiling {evaluated.name} downloads is not recorded")
    downloads: dict[str, dict[str, LockedFile]] = {}
    notes: list[str] = []
    for kind, paths in use.items():
        cache = _cache(project, evaluated, kind)
        files = dict(_files(cache, paths))
        if files:
            downloads[kind] = files
        unproved = [path for path in files if not (cache.shared / path).is_file() and files[path].text is None]
        notes += _notes(cache, unproved)
    target = evaluated.target
    lock = Lock(
        component=evaluated.name,
        version=evaluated.version,
        variant=evaluated.variant,
        builder=target.builder.name,
        architecture=target.arch,
        downloads=downloads,
    )
    folder = project.catalog.component_files[evaluated.name][-1].parent
    return MadeLock(folder / FOLDER / lock_of(evaluated), lock, tuple(notes))


def _files(cache: Cache, paths: list[str]) -> Iterator[tuple[str, LockedFile]]:
    for path in sorted(paths):
        place = cache.find(path)
        if place is None:
            raise StoreError(f"{path} was removed from the download cache during this run", hint="Repeat the command.")
        if cache.layout.role(path) == "content":
            yield path, LockedFile(size=place.stat().st_size, sha256=of_file(place))
            continue
        name = cache.layout.portable(path)
        if name is None:
            raise ConfigurationError(
                f"{cache.component} cannot be locked: it downloads with {cache.name}, whose cache holds "
                "addresses of this site",
                hint=f"Compile {cache.component} without a lock; its attestation says so.",
            )
        if name:
            text = place.read_bytes()
            yield name, LockedFile(size=len(text), sha256=of_bytes(text), text=text.decode())


def _notes(cache: Cache, unproved: list[str]) -> Iterator[str]:
    if differing := cache.differing(unproved):
        raise BuildError(
            f"{differing[0]} is not what a repository publishes: compiling {cache.component} changed it, or got it "
            "from somewhere else",
            hint=f"Find out why. To start with an empty cache, remove {cache.own}.",
        )
    if unproved:
        yield (
            f"{cache.component}: no repository that this project names publishes checksums of {len(unproved)} files, "
            f"such as {unproved[0]}: a machine without them may be unable to download them by the lock"
        )
