"""What a task has at hand while it runs: its scratch, its step logs, containers, sources."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bigtop_builder.adapter.containers.container import Mount, Sandbox, Session, User, build_user
from bigtop_builder.adapter.containers.image import Workshop
from bigtop_builder.adapter.containers.image_recipe import image_key
from bigtop_builder.adapter.containers.image_record import ImageRecord, recorded
from bigtop_builder.adapter.redact import Redactor
from bigtop_builder.adapter.sources.fetcher import Fetcher
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.adapter.store import Run, translated
from bigtop_builder.adapter.tools.site import SiteSettings
from bigtop_builder.flow.build.project import Project
from bigtop_builder.flow.run.recorder import Recorder
from bigtop_builder.model.base import seconds, size_in_bytes
from bigtop_builder.model.component import Build
from bigtop_builder.model.errors import BigtopBuilderError, EngineError, InterruptedRunError, StoreError
from bigtop_builder.model.event import Notice, Step, StepFinished, StepProgress, StepStarted
from bigtop_builder.plan.task import Task
from bigtop_builder.recipe.evaluate import RenderedFile

if TYPE_CHECKING:
    from docker import DockerClient

STEP_SECONDS = 1800
"""The time limit of the steps that have none of their own: patch, package, check."""

PROGRESS_SECONDS = 0.25


class StepFailedError(BigtopBuilderError):
    """A step failed: which one, with what log, because of what."""

    def __init__(self, step: Step, log: Path, cause: BigtopBuilderError) -> None:
        super().__init__(cause.message, hint=cause.hint, location=cause.location)
        self.exit_code = cause.exit_code
        self.step = step
        self.log = log
        self.cause = cause


@dataclass
class Shared:
    """What all tasks of a run share."""

    project: Project
    run: Run
    client: DockerClient
    site: SiteSettings
    fetcher: Fetcher
    emit: Recorder
    cancelled: threading.Event
    shop: Workshop
    offline: bool = False
    user: User = field(default_factory=build_user)


class Workbench:
    """One task's."""

    def __init__(self, shared: Shared, task: Task) -> None:
        self.shared = shared
        self.task = task
        self.evaluated = task.evaluated
        self.store = shared.project.store
        self.folder = shared.run.work / task.id.replace("/", "+").replace("@", "+")
        self.notes: list[str] = []
        self.boxes: list[tuple[Sandbox, str]] = []
        self.logs: dict[Step, Path] = {}
        """The logs of the steps that have ended well."""

    def note(self, text: str) -> None:
        """Something the user should know of the result."""
        self.notes.append(text)
        self.shared.emit(Notice(text=text, task=self.task.id))

    def log_path(self, name: Step) -> Path:
        """Where the log of a step goes."""
        return self.shared.run.log(self.task.id, name)

    @contextmanager
    def step(self, name: Step) -> Iterator[LogWriter]:
        """Run a step: timed, with a bounded log of its own. What fails in it raises StepFailedError."""
        if self.shared.cancelled.is_set():
            raise InterruptedRunError(f"{self.task.id} was interrupted")
        path = self.log_path(name)
        started = time.monotonic()
        emit = self.shared.emit
        emit(StepStarted(task=self.task.id, step=name, log=str(path)))
        told = started

        def progress(written: int) -> None:
            nonlocal told
            now = time.monotonic()
            if now - told >= PROGRESS_SECONDS:
                told = now
                emit(StepProgress(task=self.task.id, step=name, done=written))

        limit = size_in_bytes(self.shared.project.file.limits.log_size)
        ok = False
        try:
            redactor = Redactor(self.shared.site.secrets)
            with LogWriter(path, limit, redactor=redactor, progress=progress) as log:
                try:
                    with translated(self.store.root):
                        yield log
                except InterruptedRunError:
                    raise
                except BigtopBuilderError as error:
                    with suppress(StoreError):
                        log.note(f"failed: {error.message}")
                    raise StepFailedError(name, path, error) from error
            ok = True
            self.logs[name] = path
        finally:
            emit(StepFinished(task=self.task.id, step=name, ok=ok, seconds=round(time.monotonic() - started, 3)))

    def make(self, *parts: str) -> Path:
        """A folder of the task's scratch, owned by whoever runs in its containers."""
        path = self.folder.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        self.hand_over(self.folder, recursive=False)
        self.hand_over(path, recursive=False)
        return path

    def hand_over(self, path: Path, *, recursive: bool = True) -> None:
        """Give a path to the containers' user, when this program may."""
        if os.geteuid() != 0:
            return
        user = self.shared.user
        os.chown(path, user.uid, user.gid, follow_symlinks=False)
        if recursive:
            for folder, folders, files in os.walk(path):
                for name in (*folders, *files):
                    os.chown(os.path.join(folder, name), user.uid, user.gid, follow_symlinks=False)  # noqa: PTH118

    def lay_files(self, files: Sequence[RenderedFile]) -> Path:
        """Write the component's rendered files below the scratch; gives the folder to mount at ``/files``."""
        root = self.make("files")
        for file in files:
            path = root / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
            path.chmod(0o755 if file.executable else 0o644)
        return root

    def image_record(self, kind: str) -> ImageRecord:
        """The image that this task's containers of ``kind`` (compile, package, host) start from."""
        project = self.shared.project
        spec = (
            project.host_spec(self.evaluated)
            if kind == "host"
            else project.image_spec(self.evaluated, "compile" if kind == "compile" else "package")
        )
        record = recorded(self.store, image_key(spec))
        if record is None:
            raise EngineError(f"the image for {self.task.id} has gone", hint="Repeat the command: it is made anew.")
        return record

    def image_id(self, kind: str) -> str:
        """Its id."""
        return self.image_record(kind).id

    def sandbox(
        self,
        image: str,
        mounts: Sequence[Mount],
        environment: Mapping[str, str],
        *,
        network: bool = False,
        build: Build | None = None,
        user: User | None = None,
        capabilities: Sequence[str] = (),
    ) -> Sandbox:
        """A container for this task, with the limits of the component or of the project."""
        limits = self.shared.project.file.limits
        build = build or Build()
        return Sandbox(
            image=image,
            run=self.shared.run.id,
            task=self.task.id,
            store=self.store.root,
            user=user or self.shared.user,
            mounts=[Mount(self.folder, "/work", read_only=False), *mounts],
            environment={"LANG": "C.UTF-8", "TZ": "UTC", **environment},
            network=network,
            memory=size_in_bytes(limits.memory or build.memory),
            cpus=build.cpus,
            lifetime=self.time_limit(build),
            capabilities=capabilities,
        )

    def time_limit(self, build: Build | None = None) -> int:
        """Seconds that a step may take."""
        limits = self.shared.project.file.limits
        if limits.timeout:
            return seconds(limits.timeout)
        return seconds(build.timeout) if build else STEP_SECONDS

    def session(self, box: Sandbox, cwd: str) -> Session:
        """A session whose container ``shell`` can open again should the step fail."""
        self.boxes.append((box, cwd))
        return Session(self.shared.client, box)
