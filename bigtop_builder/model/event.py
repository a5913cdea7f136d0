"""The events of a run. Their log, one JSON object a line, is the truth; every face is a fold over it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

State = Literal["done", "reused", "failed", "blocked", "cancelled", "refused"]
Step = Literal["image", "fetch", "unpack", "patch", "compile", "package", "check"]
STEPS: tuple[Step, ...] = ("image", "fetch", "unpack", "patch", "compile", "package", "check")


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


class Notice(Event):
    """Something worth knowing that belongs to no step."""

    event: Literal["notice"] = "notice"
    level: Literal["info", "warning", "error"] = "info"
    text: str
    task: str | None = None


class RunFinished(Event):
    event: Literal["run_finished"] = "run_finished"
    exit_code: int
    seconds: float


AnyEvent = Annotated[
    RunStarted | TaskStarted | StepStarted | StepProgress | StepFinished | TaskFinished | Notice | RunFinished,
    Field(discriminator="event"),
]

EVENTS: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)
