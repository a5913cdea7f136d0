"""``bundle create``: build what is missing, then write everything that a closed site needs into one bundle."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigtop_builder import __version__
from bigtop_builder.adapter.bundle.cache import pack
from bigtop_builder.adapter.bundle.wheels import interpreter, make_wheels
from bigtop_builder.adapter.bundle.writer import BundleWriter, Progress, file_chunks
from bigtop_builder.adapter.store import COLLECTING, Run
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.bundle import contents as contents
from bigtop_builder.flow.bundle.contents import Contents
from bigtop_builder.flow.bundle.secrets import Secrets, references_of
from bigtop_builder.flow.run.recorder import Recorder
from bigtop_builder.model import bundle as model
from bigtop_builder.model.build_tools.registry import CACHES
from bigtop_builder.model.bundle import BUILDING, Manifest, Part
from bigtop_builder.model.errors import StoreError
from bigtop_builder.plan.task import Plan

if TYPE_CHECKING:
    from bigtop_builder.adapter.rpm.gnupg import Signer
    from bigtop_builder.flow.build.result import RunResult
    from bigtop_builder.flow.build.worker import Worker

MARGIN = 16 << 20

Build = Callable[[Request], "RunResult"]


@dataclass(frozen=True)
class Wanted:
    """What to add to the selected components, who signs the bundle, and how to report progress."""

    parts: frozenset[Part]
    includes: Sequence[Path] = ()
    signer: Signer | None = None
    say: Callable[[str], None] = lambda text: None
    progress: Progress = lambda name, size: None


@dataclass
class Created:
    """The created bundle: ``size`` and ``parts`` in bytes, ``seconds`` of each stage."""

    place: Path
    size: int = 0
    components: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    parts: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    signed_by: str | None = None

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Record how long a stage takes."""
        started = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - started, 1)


def create_bundle(project: Project, request: Request, wanted: Wanted, target: Path, build: Build) -> Created:
    """Create the bundle ``target`` of what ``request`` selects; ``build`` builds what is missing.

    Raises ConfigurationError for what must not or cannot be bundled, PartFailedError when a component fails to build,
    SourceError, EngineError, StoreError; then nothing is left behind.
    """
    made = Created(target)
    secrets, texts = _texts(project, wanted)
    for note in contents.check_plan(project, project.plan(request)):
        wanted.say(note)
    store = project.store.open()
    run = store.start_run()
    try:
        with store.locked(COLLECTING, shared=True), BundleWriter(target, wanted.progress) as writer:
            if wanted.parts & BUILDING:
                with _worker(project, request, run) as worker:
                    plan = _built(project, worker, request, made, build)
                    found = _collect(project, plan, wanted, made, run, texts, worker)
                    _Bundling(project, plan, wanted, made, writer, secrets).write(found)
            else:
                plan = project.plan(request)
                made.left_out = [f"{refusal.component}@{refusal.platform}" for refusal in plan.refusals]
                found = _collect(project, plan, wanted, made, run, texts, None)
                _Bundling(project, plan, wanted, made, writer, secrets).write(found)
    finally:
        run.close()
    return made


def _texts(project: Project, wanted: Wanted) -> tuple[Secrets, dict[str, Path]]:
    """Return the secrets that must not be in the bundle, and the user's files by their names in it."""
    secrets = Secrets()
    settings = project.settings
    secrets.add_references(settings.document.data, settings.file or settings.root)
    files = contents.project_files(project) if "project" in wanted.parts else {}
    references_of(secrets, files)
    texts = {f"project/{name}": path for name, path in files.items()} | contents.included_files(wanted.includes)
    for path in texts.values():
        secrets.check_place(path)
    return secrets, texts


@contextmanager
def _worker(project: Project, request: Request, run: Run) -> Iterator[Worker]:
    from bigtop_builder.flow.build.worker import open_worker

    silent = Recorder(lambda event: None, None)
    with open_worker(project, request, run, silent, threading.Event()) as worker:
        yield worker


def _built(project: Project, worker: Worker, request: Request, made: Created, build: Build) -> Plan:
    from bigtop_builder.flow.bundle.required_builds import built

    with made.stage("build"):
        plan, made.left_out = built(project, worker, request, build)
    return plan


def _collect(
    project: Project,
    plan: Plan,
    wanted: Wanted,
    made: Created,
    run: Run,
    texts: dict[str, Path],
    worker: Worker | None,
) -> Contents:
    """Find and fetch everything, and check that there is space for it."""
    parts, found = wanted.parts, Contents(texts)
    platforms = {task.evaluated.target.platform.name for task in plan.tasks if task.kind == "package"}
    with made.stage("fetch"):
        if "repositories" in parts:
            found.repositories = contents.repository_files(project, platforms)
        if worker is not None and "sources" in parts:
            found.sources = contents.source_files(project, plan, worker.fetcher)
        if "caches" in parts:
            found.caches, notes = contents.cache_files(project, plan)
            found.super_pom = contents.super_pom(project) if found.caches else None
            for note in notes:
                wanted.say(note)
        if worker is not None and "images" in parts:
            from bigtop_builder.flow.bundle.required_builds import images_of

            found.images = images_of(project, worker, plan)
    if "wheels" in parts:
        with made.stage("wheels"):
            found.wheels = make_wheels(run.work / "wheels", project.stack.epoch)
    _check_room(made.place, found, project.store.root)
    return found


def _check_room(place: Path, found: Contents, store: Path) -> None:
    needed = sum(path.stat().st_size for path in found.plain_files(store)) + MARGIN
    needed += found.images.expected if found.images else 0
    free = shutil.disk_usage(place.parent).free
    if free < needed:
        raise StoreError(
            f"not enough space for the bundle: it needs about {needed >> 20} MiB in {place.parent}, "
            f"{free >> 20} MiB are free",
            hint="Choose a place with more space with --output.",
        )


class _Bundling:
    """Writes one bundle: first its files, the manifest last."""

    def __init__(
        self,
        project: Project,
        plan: Plan,
        wanted: Wanted,
        made: Created,
        writer: BundleWriter,
        secrets: Secrets,
    ) -> None:
        self.project = project
        self.plan = plan
        self.wanted = wanted
        self.made = made
        self.writer = writer
        self.secrets = secrets
        self.files: list[model.BundledFile] = []

    def write(self, found: Contents) -> None:
        """Write everything and give the bundle its name."""
        with self.made.stage("write"):
            for name, path in found.texts.items():
                runs = bool(path.stat().st_mode & 0o100)
                self._add(name, self.secrets.guarded(name, file_chunks(path)), executable=runs)
            entries: dict[str, Any] = {
                "components": self._components(),
                "sources": [self._source(source) for source in found.sources],
                "caches": self._caches(found),
                "repositories": self._repositories(found),
            }
            for path in found.wheels:
                self._add(f"wheels/{path.name}", file_chunks(path))
            if found.wheels:
                entries["python"] = interpreter()
            if found.images is not None:
                saved = found.images.saved
                self._add(model.IMAGES, saved)
                entries["images"] = model.BundledImages(
                    path=model.IMAGES, size=saved.size, images=found.images.images, bases=found.images.bases
                )
            self._finish(entries)

    def _add(self, name: str, chunks: Iterable[bytes], *, executable: bool = False) -> None:
        written = self.writer.add(name, chunks, executable=executable)
        self.files.append(written)
        part = name.partition("/")[0]
        self.made.parts[part] = self.made.parts.get(part, 0) + written.size

    def _components(self) -> list[model.BundledComponent]:
        found = [
            model.BundledComponent(
                name=task.evaluated.name,
                platform=task.evaluated.target.platform.name,
                version=task.evaluated.version,
                package_key=task.key,
                compile_key=task.compile_key,
            )
            for task in self.plan.tasks
            if task.kind == "package"
        ]
        found.sort(key=lambda component: (component.name, component.platform))
        self.made.components = [f"{component.name}@{component.platform}" for component in found]
        return found

    def _source(self, source: contents.SourceFile) -> model.BundledSource:
        bundled = source.bundled()
        self._add(bundled.path, file_chunks(source.path))
        return bundled

    def _caches(self, found: Contents) -> list[model.BundledCache]:
        bundled = []
        for kind, paths in found.caches.items():
            root, name = self.project.store.root / "cache" / kind, f"caches/{kind}.tar"
            for path in paths:
                # The files that tools rewrite may contain the address of a mirror with its password.
                if CACHES[kind].role(path) == "bookkeeping":
                    for _ in self.secrets.guarded(f"{kind}/{path}", file_chunks(root / path)):
                        pass
            self._add(name, pack(root, paths))
            size = sum((root / path).stat().st_size for path in paths)
            bundled.append(model.BundledCache(kind=kind, path=name, files=len(paths), size=size))
        if found.super_pom is not None:
            self._add(model.SUPER_POM, [found.super_pom])
        return bundled

    def _repositories(self, found: Contents) -> list[model.BundledRepository]:
        bundled, signer = [], self.wanted.signer
        if signer is not None:
            self._add(f"keys/{signer.fingerprint}.asc", [signer.public_key()])
        for (stack, platform), files in found.repositories.items():
            folder = f"repositories/{stack}/{platform}"
            for name, path in files.items():
                self._add(f"{folder}/{name}", file_chunks(path))
            bundled.append(model.BundledRepository(stack=stack, platform=platform, path=folder))
        return bundled

    def _finish(self, entries: dict[str, Any]) -> None:
        manifest = Manifest(
            tool=__version__,
            stack=self.project.stack.name,
            machine=os.uname().machine,
            platforms=sorted({component.platform for component in entries["components"]}),
            files=sorted(self.files, key=lambda file: file.path),
            **entries,
        )
        data = (manifest.model_dump_json(indent=1) + "\n").encode()
        self.writer.add(model.MANIFEST, [data])
        signer = self.wanted.signer
        if signer is not None:
            self.writer.add(model.SIGNATURE, [signer.sign_armored(data)])
            self.made.signed_by = signer.fingerprint
        self.made.size = self.writer.finish()
