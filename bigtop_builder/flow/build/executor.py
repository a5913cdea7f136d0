"""Executors: what carries a plan's tasks out. The builder decides what runs and when, an executor decides where.

A new executor is one module with these two classes. Orders go out and verdicts come back as plain data; artifacts
never travel through here: they stay in a store.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.result import Result
from bigtop_builder.flow.run.recorder import Bus

if TYPE_CHECKING:
    # These modules load the libraries of the engine and the network, which a run without work must not.
    from bigtop_builder.adapter.store import Run
    from bigtop_builder.flow.build.images import NeededImage
    from bigtop_builder.flow.build.work_order import WorkOrder


class Execution(Protocol):
    """An executor at work for one run."""

    @property
    def slots(self) -> Mapping[str, int]:
        """How many orders can be carried out at the same time, by the architecture that they are built on."""
        ...

    resized: Callable[[], object]
    """Set by the builder, and called from any thread after ``slots`` has changed."""

    shares: bool
    """Whether results are in this machine's own store only, so that the builder puts them into the shared one."""

    def prepare_images(self, images: Sequence[NeededImage]) -> bool:
        """Make the images that are missing; return whether a fingerprint in the project's store changed.

        Raises StepFailedError, InterruptedRunError.
        """
        ...

    def submit(self, order: WorkOrder, deliver: Callable[[Result], None]) -> None:
        """Accept an order and return at once.

        ``deliver`` is called exactly once for each order, from any thread, however the task ends. A lost machine is a
        failed result, and a cancelled run a cancelled one. Events of the steps have been emitted by then.
        """
        ...

    def cancel(self) -> None:
        """Stop everything that was submitted; each order still gets its result."""
        ...


class Executor(Protocol):
    """What the builder is given."""

    def open(
        self, project: Project, request: Request, run: Run, emit: Bus, cancelled: threading.Event
    ) -> AbstractContextManager[Execution]:
        """Begin to work for a run, whose events go to ``emit``. Leaving the block waits for whatever still runs.

        ``cancelled`` is set when the run must stop, possibly from a signal handler while this thread is busy in here;
        an exception that leaves the block cancels too. Raises EngineError, ConfigurationError.
        """
        ...
