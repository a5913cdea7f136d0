"""One order on its way: where it is carried out, and what arrives of it, in this machine's log files and events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigtop_builder.adapter.store import Run, translated
from bigtop_builder.flow.build.result import Result
from bigtop_builder.flow.distributed.messages import RemoteOrder
from bigtop_builder.flow.run.recorder import Bus
from bigtop_builder.model.event import EVENTS, Notice, Step, StepStarted
from bigtop_builder.model.safe_text import file_name

if TYPE_CHECKING:
    from bigtop_builder.adapter.dask_cluster.client import Job


@dataclass
class Attempt:
    """One attempt to have an order carried out."""

    message: RemoteOrder
    deliver: Callable[[Result], None]
    run: Run
    emit: Bus
    lost_on: list[str] = field(default_factory=list)
    """The workers that were lost while they carried out earlier attempts of the same order."""
    waiting_since: float | None = None
    """When no worker could take it, since then."""
    job: Job | None = None
    workers: tuple[str, ...] = ()
    """The addresses of the workers that may carry it out."""
    worker: str = ""
    """The name of the one that does; empty until it has begun."""
    address: str = ""
    """Its address."""
    given_up: float | None = None
    """When its end was asked for."""

    def take_in(self, message: Mapping[str, Any]) -> None:
        """Take in an event, or what a log gained. What is neither is told, and harms no other attempt."""
        try:
            if "event" in message:
                self.event(message["event"])
            else:
                self.log(message["task"], message["step"], message["log"])
        except (ValueError, TypeError, KeyError) as error:
            text = f"the worker {self.worker} sent something that is no event: {type(error).__name__}"
            self.emit(Notice(text=text, level="warning"))

    def event(self, text: str) -> None:
        """Take in an event: it is of this attempt's task, and logs have their place on this machine."""
        event = EVENTS.validate_json(text)
        if self.message.order is not None and getattr(event, "task", None) is not None:
            event = event.model_copy(update={"task": self.message.order.task})
        if isinstance(event, StepStarted):
            log = self._log(event.task, event.step)
            with translated(log):
                log.write_bytes(b"")
            event = event.model_copy(update={"log": str(log), "worker": self.worker})
        self.emit(event)

    def log(self, task: str, step: Step, data: bytes) -> None:
        """Take in what a log gained."""
        log = self._log(task, step)
        with translated(log), log.open("ab") as stream:
            stream.write(data)

    def _log(self, task: str, step: Step) -> Path:
        if self.message.order is None:
            # Several workers make the same image at the same time.
            return self.run.log("images", f"{task.replace('/', '+')}-{self.worker.replace('/', '+')}")
        # A worker's word must not lead out of this run's folder.
        return self.run.log(self.message.order.task, file_name(step))

    def with_own_log(self, result: Result) -> Result:
        """Return a result of this attempt's task, whose failure names the log on this machine."""
        order = self.message.order
        if order is not None:
            result = replace(result, task=order.task, kind=order.kind, platform=order.platform)
        failure = result.failure
        if failure is None or failure.log is None:
            return result
        # A worker's log has the same name, in a folder of its own.
        step: Any = Path(failure.log).stem
        log = self._log(result.task, step)
        return replace(result, failure=failure.model_copy(update={"log": str(log)}))
