"""The contents of a bundle: what it takes from the store, from the project and from its repositories."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from bigtop_builder.adapter.bundle.cache import whole_cache
from bigtop_builder.adapter.containers.image_recipe import ImageSpec, image_key
from bigtop_builder.adapter.sources.download_store import stored
from bigtop_builder.adapter.tools.cache import Cache
from bigtop_builder.flow.build.project import Project
from bigtop_builder.model.build_tools.registry import CacheName
from bigtop_builder.model.bundle import BundledSource
from bigtop_builder.model.errors import ConfigurationError, StoreError
from bigtop_builder.plan.task import Plan, Task
from bigtop_builder.recipe.lock import read_lock

if TYPE_CHECKING:
    from bigtop_builder.adapter.bundle.images import Images
    from bigtop_builder.adapter.sources.fetcher import Fetcher

INVENTORIES = "inventories"
Repository = tuple[str, str]
"""A stack and a platform."""


@dataclass
class Contents:
    """Everything that goes into one bundle; ``texts`` are the user's own files, by names in the bundle."""

    texts: dict[str, Path]
    sources: list[SourceFile] = field(default_factory=list)
    caches: dict[CacheName, list[str]] = field(default_factory=dict)
    repositories: dict[Repository, dict[str, Path]] = field(default_factory=dict)
    wheels: list[Path] = field(default_factory=list)
    images: Images | None = None
    super_pom: bytes | None = None

    def plain_files(self, store: Path) -> list[Path]:
        """Return all files that are copied as they are."""
        found = [*self.texts.values(), *self.wheels, *(source.path for source in self.sources)]
        found += [path for files in self.repositories.values() for path in files.values()]
        return found + [store / "cache" / kind / path for kind, paths in self.caches.items() for path in paths]


@dataclass
class SourceFile:
    """A file of the download store, with the names by which it is found."""

    path: Path
    names: set[str] = field(default_factory=set)
    used_by: set[str] = field(default_factory=set)

    def bundled(self) -> BundledSource:
        """Return its entry in the manifest."""
        name = f"sources/{self.path.name}"
        return BundledSource(path=name, names=sorted(self.names), used_by=sorted(self.used_by))


def source_files(project: Project, plan: Plan, fetcher: Fetcher) -> list[SourceFile]:
    """Return every source that the plan's compile tasks need; fetch the missing ones. Raises SourceError."""
    found: dict[Path, SourceFile] = {}
    for task in _compiles(plan):
        for source in task.evaluated.sources:
            path = fetcher.fetch(source, base=task.evaluated.source_base).path
            file = found.setdefault(path, SourceFile(path))
            file.used_by.add(task.evaluated.name)
            file.names |= {one.digest for one in source.alternatives if stored(project.store.root, one.digest) == path}
    return sorted(found.values(), key=lambda file: file.path.name)


def cache_files(project: Project, plan: Plan) -> tuple[dict[CacheName, list[str]], list[str]]:
    """Return for each cache the paths that the plan's compile tasks used, and notes for the user.

    For a result that does not record its use, that is the whole cache. Raises StoreError when a file is missing.
    """
    from bigtop_builder.adapter.store import CACHES

    wanted: dict[CacheName, set[str]] = {}
    notes: list[str] = []
    for task in _compiles(plan):
        kinds = _caches(task)
        try:
            asked = json.loads((project.store.folder("compile", task.key) / CACHES).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            asked = None
            if kinds:
                notes.append(
                    f"{task.evaluated.name} was compiled before the use of caches was recorded: the bundle gets all of "
                    f"{', '.join(kinds)} in the store"
                )
        for kind in kinds:
            cache = Cache(kind, project.store.root, task.evaluated.name)
            paths = asked[kind] if asked and kind in asked else whole_cache(cache)
            wanted.setdefault(kind, set()).update(_places(cache, paths))
    return {kind: sorted(paths) for kind, paths in sorted(wanted.items())}, notes


def _caches(task: Task) -> Collection[CacheName]:
    evaluated = task.evaluated
    if evaluated.compile_step != "container":
        return ()
    return read_lock(evaluated.lock).downloads if evaluated.lock is not None else evaluated.build.caches


def _places(cache: Cache, paths: Iterable[str]) -> Iterator[str]:
    """Yield where files are below the cache's folder in the store. Raises StoreError when one is gone."""
    for path in paths:
        place = cache.find(path)
        if place is None:
            raise StoreError(
                f"{cache.component} was compiled with {path}, which is no longer in the download cache",
                hint=f"Compile it again first: bigtop-builder build {cache.component} --force",
            )
        yield place.relative_to(cache.root).as_posix()


def image_specs(project: Project, plan: Plan) -> list[ImageSpec]:
    """Return the images that the plan's tasks run in, the host's, and their parents, each once."""
    found: dict[str, ImageSpec] = {}
    for task in plan.tasks:
        evaluated = task.evaluated
        if task.kind == "package":
            specs = [project.image_spec(evaluated, "package"), project.host_spec(evaluated)]
        else:
            specs = [project.image_spec(evaluated, "compile")] if evaluated.compile_step == "container" else []
        for spec in specs:
            below: ImageSpec | None = spec
            while below is not None:
                found.setdefault(image_key(below), below)
                below = below.parent
    return [found[key] for key in sorted(found)]


def _compiles(plan: Plan) -> Iterator[Task]:
    return (task for task in plan.tasks if task.kind == "compile")


def project_files(project: Project) -> dict[str, Path]:
    """Return the project file, its overlays and inventories, by their paths below the project's folder.

    Raises ConfigurationError for an overlay outside that folder, which a closed site would not find.
    """
    root = project.settings.root.resolve()
    found: dict[str, Path] = {}
    if project.settings.file is not None:
        found[project.settings.file.name] = project.settings.file
    folders = [(overlay, True) for overlay in project.settings.overlays]
    if project.settings.file is not None:
        folders.append((root / INVENTORIES, False))
    for folder, required in folders:
        resolved = folder.resolve()
        if required and not resolved.is_relative_to(root):
            raise ConfigurationError(
                f"the overlay {folder} is outside {root}, where a closed site would not find it",
                hint="Move it below the folder of the project file.",
            )
        found |= {path.relative_to(root).as_posix(): path for path in _files(resolved)}
    return dict(sorted(found.items()))


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if "__pycache__" in path.parts or ".git" in path.parts:
            continue
        if path.is_symlink():
            raise ConfigurationError(f"{path} is a link, which cannot be bundled", hint="Replace it with the file.")
        if path.is_file():
            yield path


def repository_files(project: Project, platforms: Iterable[str]) -> dict[Repository, dict[str, Path]]:
    """Return the files of each published repository of the project, by their paths in it. Raises PublishError."""
    from bigtop_builder.adapter.repository.snapshot import Publications

    found: dict[Repository, dict[str, Path]] = {}
    stack = project.stack.name
    for platform in sorted(set(platforms)):
        current = Publications(project.settings.repository, stack, platform).current()
        if current is not None:
            files = (path for path in sorted(current.rglob("*")) if path.is_file())
            found[stack, platform] = {path.relative_to(current).as_posix(): path for path in files}
    return found


def super_pom(project: Project) -> bytes | None:
    """Return a super POM with the address of Maven Central for the closed site; None if it is unknown here too."""
    from bigtop_builder.adapter.tools.maven_central import maven_central

    kept = project.store.root / "images" / "maven-super-pom.xml"
    if kept.is_file():
        return kept.read_bytes()
    try:
        url = maven_central()
    except ConfigurationError:
        return None
    repository = f"<repository><id>central</id><url>{escape(url)}</url></repository>"
    return f"<project><repositories>{repository}</repositories></project>\n".encode()


def included_files(paths: Sequence[Path]) -> dict[str, Path]:
    """Return the files that the user adds, by names below ``include/``. Raises ConfigurationError."""
    found: dict[str, Path] = {}
    for path in paths:
        if not path.exists():
            raise ConfigurationError(f"--include: {path} does not exist")
        files = list(_files(path)) if path.is_dir() else [path]
        for file in files:
            name = (
                f"include/{path.name}/{file.relative_to(path).as_posix()}" if path.is_dir() else f"include/{path.name}"
            )
            if found.setdefault(name, file) != file:
                raise ConfigurationError(f"--include: {found[name]} and {file} would both be {name}")
    return found


def check_plan(project: Project, plan: Plan) -> list[str]:
    """Return notes about what the bundle will not hold.

    Raises ConfigurationError when something is built from a folder on this machine.
    """
    outside, notes = project.packaging.outside, dict[str, None]()
    for task in plan.tasks:
        evaluated = task.evaluated
        if evaluated.local_source is not None:
            raise ConfigurationError(
                f"{evaluated.name} is built from {evaluated.local_source}, which a bundle does not contain",
                hint="Give it a source with a digest in an overlay, or leave it out.",
            )
        if outside is not None:
            notes[f"{evaluated.name} is packaged with {outside}, which a bundle does not contain: use --include"] = None
    return list(notes)
