"""What one task works with: its order, its scratch, step logs and containers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bigtop_builder.adapter.containers.container import OPEN_FILES, Mount, Sandbox, Session, User
from bigtop_builder.adapter.containers.image_record import ImageRecord, recorded
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.adapter.store import Store
from bigtop_builder.adapter.untrusted import Budget
from bigtop_builder.flow.build.failed_tree import tree_name
from bigtop_builder.flow.build.result import SmokeResult
from bigtop_builder.flow.build.step import Between, StepFailedError, run_step
from bigtop_builder.flow.build.work_order import ImageRole, Limits, WorkOrder
from bigtop_builder.flow.build.worker import Worker
from bigtop_builder.model.errors import BigtopBuilderError, EngineError
from bigtop_builder.model.event import Notice, Step
from bigtop_builder.recipe.evaluate import RenderedFile


class Workbench:
    """The workbench of one task on one worker."""

    def __init__(self, worker: Worker, order: WorkOrder) -> None:
        self.worker = worker
        self.order = order
        self.store: Store = worker.store
        self.folder = worker.run.work / tree_name(order.task)
        """The task's scratch. No container can write it, except for the box."""
        self.budget = Budget(order.result_files, order.result_size)
        """How much the host takes over of what containers leave."""
        self.started = time.time()
        self.between = Between()
        self.finished: Path | None = None
        """The box of a failed build that somebody finished in a shell, while it is taken over."""
        self.notes: list[str] = []
        self.smoke: SmokeResult | None = None
        """The smoke test that passed."""
        self.boxes: list[tuple[Sandbox, str]] = []
        """The containers that the task has started, each with its working directory."""
        self.logs: dict[Step, Path] = {}
        """The logs of the steps that succeeded."""

    @property
    def box(self) -> Path:
        """What containers have as ``/work``. Once one has run, only ``adapter.untrusted`` may look into it."""
        return self.finished or self.folder / "box"

    def note(self, text: str) -> None:
        """Report something that the user should know of the result."""
        self.notes.append(text)
        self.tell(text)

    def tell(self, text: str) -> None:
        """Report something that is not about the result."""
        self.worker.emit(Notice(text=text, task=self.order.task))

    def log_path(self, name: Step) -> Path:
        """Return where the log of a step goes."""
        return self.worker.run.log(self.order.task, name)

    @contextmanager
    def step(self, name: Step) -> Iterator[LogWriter]:
        """Run a step with a bounded log of its own. Raises StepFailedError for every error inside the block."""
        path = self.log_path(name)
        with self.between.step(), run_step(self.worker, self.order.task, name, path, self.order.log_size) as log:
            yield log
        self.logs[name] = path

    @contextmanager
    def after(self, name: Step) -> Iterator[None]:
        """Do what belongs to a step once its container has ended. Raises StepFailedError as the step itself would."""
        try:
            yield
        except BigtopBuilderError as error:
            path = self.log_path(name)
            line = f"==> failed: {error.message}\n"
            with path.open("a", encoding="utf-8") as log:
                log.write(line)
            if self.worker.tee is not None:
                self.worker.tee(self.order.task, name, line.encode())
            raise StepFailedError(name, path, error) from error

    def make(self, *parts: str) -> Path:
        """Make a folder in the box, owned by the user of the containers; before the first of them starts."""
        path = self.box.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        self.hand_over(self.box, recursive=False)
        self.hand_over(path, recursive=False)
        return path

    def private(self, name: str) -> Path:
        """Make a folder in the scratch that no container can write."""
        path = self.folder / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def hand_over(self, path: Path, *, recursive: bool = True) -> None:
        """Give a path to the containers' user; only root can. For others ``Session`` lends it to a container."""
        self.worker.account.give(path, recursive=recursive)

    def write_files(self, files: Sequence[RenderedFile], root: Path | None = None) -> Path:
        """Write rendered files below ``root``, and return it; by default the folder that is mounted at ``/files``."""
        root = root or self.private("files")
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
        work: bool = True,
        open_files: int | None = OPEN_FILES,
    ) -> Sandbox:
        """Describe a container for this task; without ``limits`` those of steps that have none of their own.

        Without ``work`` it has nothing of this machine that it could write: what it writes goes with it.
        """
        limits = limits or self.order.limits
        if work:
            mounts = [*self._writable(), *mounts]
        return Sandbox(
            image=self.image_record(role).id,
            run=self.worker.run.id,
            task=self.order.task,
            store=self.store.root,
            user=user or self.worker.user,
            mounts=mounts,
            environment={"LANG": "C.UTF-8", "TZ": "UTC", **environment},
            disk=self.order.disk,
            measured=self.box if work else None,
            network=network,
            memory=limits.memory,
            cpus=limits.cpus,
            lifetime=limits.lifetime,
            capabilities=capabilities,
            open_files=open_files,
        )

    def _writable(self) -> list[Mount]:
        """The box, and folders in it for temporary files: the rest of the container is read-only, so that all of what
        a build writes is in one place, where it is measured."""
        temporary = self.make("tmp")
        return [
            Mount(self.box, "/work", read_only=False),
            Mount(temporary, "/tmp", read_only=False),
            Mount(temporary, "/var/tmp", read_only=False),
        ]

    def session(self, box: Sandbox, cwd: str) -> Session:
        """Return a session whose container ``shell`` can enter again if the step fails."""
        self.boxes.append((box, cwd))
        return Session(self.worker.client, box)
