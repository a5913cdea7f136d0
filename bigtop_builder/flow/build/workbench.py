"""What one task works with: its order, its scratch, step logs and containers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bigtop_builder.adapter.containers.container import Mount, Sandbox, Session, User
from bigtop_builder.adapter.containers.image_record import ImageRecord, recorded
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.adapter.store import Store
from bigtop_builder.flow.build.step import run_step
from bigtop_builder.flow.build.work_order import ImageRole, Limits, WorkOrder
from bigtop_builder.flow.build.worker import Worker
from bigtop_builder.model.errors import EngineError
from bigtop_builder.model.event import Notice, Step
from bigtop_builder.recipe.evaluate import RenderedFile


class Workbench:
    """The workbench of one task on one worker."""

    def __init__(self, worker: Worker, order: WorkOrder) -> None:
        self.worker = worker
        self.order = order
        self.store: Store = worker.store
        self.folder = worker.run.work / order.task.replace("/", "+").replace("@", "+")
        self.notes: list[str] = []
        self.boxes: list[tuple[Sandbox, str]] = []
        """The containers that the task has started, each with its working directory."""
        self.logs: dict[Step, Path] = {}
        """The logs of the steps that succeeded."""

    def note(self, text: str) -> None:
        """Report something that the user should know of the result."""
        self.notes.append(text)
        self.worker.emit(Notice(text=text, task=self.order.task))

    def log_path(self, name: Step) -> Path:
        """Return where the log of a step goes."""
        return self.worker.run.log(self.order.task, name)

    @contextmanager
    def step(self, name: Step) -> Iterator[LogWriter]:
        """Run a step with a bounded log of its own. Raises StepFailedError for every error inside the block."""
        path = self.log_path(name)
        with run_step(self.worker, self.order.task, name, path, self.order.log_size) as log:
            yield log
        self.logs[name] = path

    def make(self, *parts: str) -> Path:
        """Make a folder in the task's scratch, owned by the user of its containers."""
        path = self.folder.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        self.hand_over(self.folder, recursive=False)
        self.hand_over(path, recursive=False)
        return path

    def hand_over(self, path: Path, *, recursive: bool = True) -> None:
        """Give a path to the containers' user; only root can, for anyone else it is the same user."""
        if os.geteuid() != 0:
            return
        user = self.worker.user
        os.chown(path, user.uid, user.gid, follow_symlinks=False)
        if recursive:
            for folder, folders, files in os.walk(path):
                for name in (*folders, *files):
                    os.chown(os.path.join(folder, name), user.uid, user.gid, follow_symlinks=False)  # noqa: PTH118

    def write_files(self, files: Sequence[RenderedFile], root: Path | None = None) -> Path:
        """Write rendered files below ``root``, and return it; by default the folder that is mounted at ``/files``."""
        root = root or self.make("files")
        for file in files:
            path = root / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
            path.chmod(0o755 if file.executable else 0o644)
        return root

    def image_record(self, role: ImageRole) -> ImageRecord:
        """Return the image that this task uses as ``role``. Raises EngineError when nothing is recorded of it."""
        record = recorded(self.store, self.order.images[role])
        if record is None:
            raise EngineError(
                f"the image for {self.order.task} is missing", hint="Repeat the command to make it again."
            )
        return record

    def sandbox(
        self,
        role: ImageRole,
        mounts: Sequence[Mount],
        environment: Mapping[str, str],
        *,
        limits: Limits | None = None,
        network: bool = False,
        user: User | None = None,
        capabilities: Sequence[str] = (),
    ) -> Sandbox:
        """Describe a container for this task; without ``limits`` those of steps that have none of their own."""
        limits = limits or self.order.limits
        return Sandbox(
            image=self.image_record(role).id,
            run=self.worker.run.id,
            task=self.order.task,
            store=self.store.root,
            user=user or self.worker.user,
            mounts=[Mount(self.folder, "/work", read_only=False), *mounts],
            environment={"LANG": "C.UTF-8", "TZ": "UTC", **environment},
            network=network,
            memory=limits.memory,
            cpus=limits.cpus,
            lifetime=limits.lifetime,
            capabilities=capabilities,
        )

    def session(self, box: Sandbox, cwd: str) -> Session:
        """Return a session whose container ``shell`` can enter again if the step fails."""
        self.boxes.append((box, cwd))
        return Session(self.worker.client, box)
