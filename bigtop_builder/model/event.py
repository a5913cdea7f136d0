"""The events of a run. Their log, one JSON object a line, is the truth; every face is a fold over it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

State = Literal["done", "reused", "failed", "blocked", "cancelled", "refused"]
Step = Literal["image", "fetch", "unpack", "patch", "compile", "package", "check", "reproduce"]
STEPS: tuple[Step, ...] = ("image", "fetch", "unpack", "patch", "compile", "package", "check", "reproduce")


class Event(BaseModel):
    """``time`` is seconds since the epoch, UTC."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    time: float = 0.0


class PlannedTask(BaseModel):
    """A line of the plan, as the log keeps it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    task: str
    component: str
    platform: str
    kind: Literal["compile", "package"]
    action: Literal["reuse", "build", "refuse"]
    reasons: list[str] = []
    key: str


class RunStarted(Event):
    event: Literal["run_started"] = "run_started"
    run: str
    command: list[str]
    store: str
    tasks: list[PlannedTask] = []


class TaskStarted(Event):
    event: Literal["task_started"] = "task_started"
    task: str


class StepStarted(Event):
    event: Literal["step_started"] = "step_started"
    task: str
    step: Step
    log: str | None = None


class StepProgress(Event):
    """``done`` and ``total`` are bytes of a transfer, or bytes of log written (then ``total`` is None)."""

    event: Literal["step_progress"] = "step_progress"
    task: str
    step: Step
    done: int
    total: int | None = None
    note: str = ""


class StepFinished(Event):
    event: Literal["step_finished"] = "step_finished"
    task: str
    step: Step
    ok: bool
    seconds: float


class Artifact(BaseModel):
    """A finished package. ``size`` is in bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    file: str
    path: str
    size: int
    sha256: str


class Failure(BaseModel):
    """Why a task failed, told last: the digest of the failure."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    step: str
    message: str
    cause: str | None = None
    hint: str | None = None
    last_lines: list[str] = []
    log: str | None = None
    rerun: str | None = None
    exit_code: int = 10


class TaskFinished(Event):
    event: Literal["task_finished"] = "task_finished"
    task: str
    state: State
    seconds: float = 0.0
    artifacts: list[Artifact] = []
    failure: Failure | None = None
    blocked_by: str | None = None
    notes: list[str] = []


class Reproduced(Event):
    """A finished task was carried out again, and its result compared with the first, which stays."""

    event: Literal["reproduced"] = "reproduced"
    task: str
    identical: bool
    differences: list[str] = []
    """The first of them: file, and what differs; or why the second build failed."""


class Notice(Event):
    """Something worth knowing that belongs to no step."""

    event: Literal["notice"] = "notice"
    level: Literal["info", "warning", "error"] = "info"
    text: str
    task: str | None = None


class CacheFigures(BaseModel):
    """How much was asked of a cache, and how much of that it had; files and bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    asked: int = 0
    hit: int = 0
    hit_bytes: int = 0
    new_bytes: int = 0
    """Downloaded."""

    def __add__(self, other: CacheFigures) -> CacheFigures:
        return CacheFigures(
            asked=self.asked + other.asked,
            hit=self.hit + other.hit,
            hit_bytes=self.hit_bytes + other.hit_bytes,
            new_bytes=self.new_bytes + other.new_bytes,
        )


class CacheUsed(Event):
    """What a task asked of a cache: one of the download caches (``maven``, ``npm`` …), or ``sources``."""

    event: Literal["cache_used"] = "cache_used"
    task: str
    cache: str
    figures: CacheFigures


class RunFinished(Event):
    event: Literal["run_finished"] = "run_finished"
    exit_code: int
    seconds: float


Phase = Literal[
    "check", "prepare", "ambari", "repository", "layout", "cluster", "start", "standalone", "verify", "destroy"
]
"""The phases of a deployment, in their order; ``destroy`` stands alone."""


class DeployStarted(Event):
    """The first event of a run that works on a cluster or its hosts."""

    event: Literal["deploy_started"] = "deploy_started"
    run: str
    command: list[str]
    store: str
    cluster: str
    hosts: list[str]
    phases: list[Phase]
    dry_run: bool = False
    rehearsal: bool = False
    """On a simulated Ambari, without hosts."""


class PhaseStarted(Event):
    event: Literal["phase_started"] = "phase_started"
    phase: Phase


class PhaseFinished(Event):
    """``changes`` counts what was changed, or with a dry run would be."""

    event: Literal["phase_finished"] = "phase_finished"
    phase: Phase
    state: Literal["changed", "unchanged", "failed", "skipped"]
    changes: int = 0
    seconds: float = 0.0
    note: str = ""
    failure: Failure | None = None


class Change(Event):
    """Something that a phase changes: on a host, or (``host`` is None) in Ambari. ``detail`` is a unified diff or a
    line of text."""

    event: Literal["change"] = "change"
    phase: Phase
    host: str | None = None
    name: str
    state: Literal["planned", "done", "failed"]
    detail: str = ""
    seconds: float = 0.0


class HostFailed(Event):
    """A host that takes no further part. ``unreachable``: nothing was done there; ``failed``: something went wrong."""

    event: Literal["host_failed"] = "host_failed"
    phase: Phase
    host: str
    kind: Literal["unreachable", "failed"]
    message: str
    hint: str | None = None
    last_lines: list[str] = []


class RequestProgress(Event):
    """The state of one of Ambari's requests; told when it changes. ``tasks`` counts tasks by status."""

    event: Literal["request_progress"] = "request_progress"
    phase: Phase
    request: int
    context: str
    status: str
    percent: float
    tasks: dict[str, int] = {}
    pending_hosts: int = 0


class AmbariTask(Event):
    """A task of Ambari's that changed its status. What follows ``seconds`` is told of failed ones."""

    event: Literal["ambari_task"] = "ambari_task"
    phase: Phase
    request: int
    task: int
    host: str
    role: str
    command: str
    status: str
    seconds: float = 0.0
    cause: str | None = None
    hint: str | None = None
    last_lines: list[str] = []
    logs: list[str] = []


class CheckFinished(Event):
    """A check of a host, a service, an alert or a job. ``level`` tells how bad it is when it is not ok."""

    event: Literal["check_finished"] = "check_finished"
    phase: Phase
    check: str
    host: str | None = None
    level: Literal["ok", "warning", "error"]
    message: str
    hint: str | None = None


BuildEvent = RunStarted | TaskStarted | StepStarted | StepProgress | StepFinished | TaskFinished | Reproduced
DeployEvent = (
    DeployStarted | PhaseStarted | PhaseFinished | Change | HostFailed | RequestProgress | AmbariTask | CheckFinished
)
AnyEvent = Annotated[BuildEvent | DeployEvent | CacheUsed | Notice | RunFinished, Field(discriminator="event")]

EVENTS: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)
