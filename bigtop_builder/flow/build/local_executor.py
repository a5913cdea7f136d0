"""The executor of this machine: a thread for each task, containers of the local engine."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.result import Result, defect
from bigtop_builder.flow.run.recorder import Bus
from bigtop_builder.model.base import size_in_bytes

if TYPE_CHECKING:
    from bigtop_builder.adapter.store import Run
    from bigtop_builder.flow.build.images import NeededImage
    from bigtop_builder.flow.build.steps import Packagings
    from bigtop_builder.flow.build.work_order import WorkOrder
    from bigtop_builder.flow.build.worker import Worker

MEMORY_PER_JOB = 3 << 30


class LocalExecutor:
    """Carries tasks out on this machine, as many side by side as the project says or the machine permits."""

    def __init__(self, packagings: Packagings) -> None:
        self._packagings = packagings

    @contextmanager
    def open(
        self, project: Project, request: Request, run: Run, emit: Bus, cancelled: threading.Event
    ) -> Iterator[LocalExecution]:
        """See ``Executor.open``."""
        # The engine's library and the network's are slow to load, and only needed when there is work.
        from bigtop_builder.flow.build.worker import open_worker

        slots = default_jobs(project)
        with (
            open_worker(project, request, run, emit, cancelled) as worker,
            ThreadPoolExecutor(slots, thread_name_prefix="task") as pool,
            _cancelling(cancelled),
        ):
            log_size = size_in_bytes(project.file.limits.log_size)
            yield LocalExecution(worker, pool, {project.arch: slots}, self._packagings, log_size)


class LocalExecution:
    """The tasks of one run on this machine."""

    shares = True

    def __init__(
        self,
        worker: Worker,
        pool: ThreadPoolExecutor,
        slots: Mapping[str, int],
        packagings: Packagings,
        log_size: int,
    ) -> None:
        self.slots = slots
        self.resized: Callable[[], object] = lambda: None
        self._worker = worker
        self._pool = pool
        self._packagings = packagings
        self._log_size = log_size

    def prepare_images(self, images: Sequence[NeededImage]) -> bool:
        """See ``Execution.prepare_images``."""
        from bigtop_builder.flow.build.images import prepare_images

        return prepare_images(self._worker, images, self._log_size)

    def submit(self, order: WorkOrder, deliver: Callable[[Result], None]) -> None:
        """See ``Execution.submit``."""
        self._pool.submit(lambda: deliver(self._carry_out(order)))

    def cancel(self) -> None:
        """See ``Execution.cancel``: everything that runs looks at this flag."""
        self._worker.cancelled.set()

    def _carry_out(self, order: WorkOrder) -> Result:
        """Return a result whatever happens, because the builder waits for one."""
        from bigtop_builder.flow.build.task_runner import carry_out

        started = time.monotonic()
        try:
            result = carry_out(self._worker, order, self._packagings[order.packaging]())
        except BaseException as error:
            result = Result(order.task, order.kind, order.platform, "failed", failure=defect(error))
        return replace(result, seconds=round(time.monotonic() - started, 3))


def default_jobs(project: Project) -> int:
    """Return how many tasks run side by side: the project's number, else what processors and memory permit."""
    if project.file.limits.jobs:
        return project.file.limits.jobs
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(os.cpu_count() or 1, memory // MEMORY_PER_JOB))


@contextmanager
def _cancelling(cancelled: threading.Event) -> Iterator[None]:
    """Whatever ends the run early also ends its running tasks, which closing the pool waits for."""
    try:
        yield
    except BaseException:
        cancelled.set()
        raise
