"""The events of a run. Their log, one JSON object per line, is the truth; every view is a fold over it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

State = Literal["done", "reused", "failed", "blocked", "cancelled", "refused"]
Step = Literal[
    "image", "fetch", "unpack", "patch", "compile", "package", "check", "smoke", "reproduce", "wait", "prepare", "keep"
]
STEPS: tuple[Step, ...] = ("image", "fetch", "unpack", "patch", "compile", "package", "check", "smoke", "reproduce")
"""The steps that have a log. The others are the time between these, and are reported once, when their task ends:
``wait`` for another run that builds the same; ``prepare``: measure what is built on, fill caches, start containers;
``keep``: take over and store what was left."""


Phase = Literal[
    "check",
    "prepare",
    "ambari",
    "repository",
    "layout",
    "cluster",
    "start",
    "remove",
    "standalone",
    "verify",
    "destroy",
    "rollback",
]
"""The phases of a deployment in their order; ``destroy`` and ``rollback`` are never part of one."""
RunKind = Literal["build", "deploy", "hosts", "verify", "destroy", "rollback", "testbed"]
"""What a run does; ``hosts`` checks or prepares hosts, ``testbed`` makes the image of a test bed's hosts."""


class Event(BaseModel):
    """What all events share. ``time`` is seconds since the epoch, UTC."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    time: float = 0.0


class PlannedTask(BaseModel):
    """A line of the plan, as recorded in the log."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    task: str
    component: str
    platform: str
    kind: Literal["compile", "package"]
    action: Literal["reuse", "build", "refuse"]
    reasons: list[str] = []
    key: str
    waits_for: list[str] = []
    """The tasks of the plan that end before it begins."""
    expected: float | None = None
    """How many seconds it took when it last ran here; ``null`` if it never did, or will not run."""


class ClusterTarget(BaseModel):
    """The cluster that a run works on."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    cluster: str
    hosts: list[str]
    dry_run: bool = False
    rehearsal: bool = False
    """On a simulated Ambari, without hosts."""


class RunStarted(Event):
    """The first event of a run. It lists the tasks of a build, or the phases of work on a cluster."""

    event: Literal["run_started"] = "run_started"
    run: str
    """The name of the run; empty when there was nothing to build and nothing was recorded."""
    kind: RunKind = "build"
    command: list[str]
    store: str
    project: str | None = None
    """The folder of the project; ``null`` in runs of older versions and for test beds."""
    output: str | None = None
    """The folder below which a build puts its packages, one folder for each platform."""
    flags: list[str] = []
    """The flags of a build that ``build --failed`` repeats."""
    tasks: list[PlannedTask] = []
    phases: list[Phase] = []
    target: ClusterTarget | None = None
    """``null`` for runs that work on no cluster."""


class TaskStarted(Event):
    """A task begins."""

    event: Literal["task_started"] = "task_started"
    task: str


class StepStarted(Event):
    """A step of a task begins. ``log`` is the path of its log."""

    event: Literal["step_started"] = "step_started"
    task: str
    step: Step
    log: str | None = None


class StepProgress(Event):
    """A step goes on. ``done`` and ``total`` are bytes transferred, or bytes of log written (``total`` is None)."""

    event: Literal["step_progress"] = "step_progress"
    task: str
    step: Step
    done: int
    total: int | None = None
    note: str = ""


class StepFinished(Event):
    """A step of a task ended. The seconds of its steps are together those of the task, and of its image."""

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
    """Why a task or phase failed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    step: str
    message: str
    cause: str | None = None
    hint: str | None = None
    first_error: list[str] = []
    """The first error in the log and the lines that belong to it, as far as it was recognised."""
    last_lines: list[str] = []
    log: str | None = None
    rerun: str | None = None
    shell: str | None = None
    """The command that opens a shell in what the failure left, if that is kept."""
    exit_code: int = 10


class TaskFinished(Event):
    """A task ended; reused, blocked and cancelled ones end without having started."""

    event: Literal["task_finished"] = "task_finished"
    task: str
    state: State
    seconds: float = 0.0
    artifacts: list[Artifact] = []
    failure: Failure | None = None
    blocked_by: str | None = None
    notes: list[str] = []


class Reproduced(Event):
    """A finished task ran a second time. Its result was compared with the first, which is kept."""

    event: Literal["reproduced"] = "reproduced"
    task: str
    identical: bool
    differences: list[str] = []
    """The first differences, each with its file; or why the second build failed."""


class Notice(Event):
    """Something the user should know that belongs to no step."""

    event: Literal["notice"] = "notice"
    level: Literal["info", "warning", "error"] = "info"
    text: str
    task: str | None = None


class CacheFigures(BaseModel):
    """How much a cache was used: requests and hits count files."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    asked: int = 0
    """Requests."""
    hit: int = 0
    """Requests that the cache answered."""
    hit_bytes: int = 0
    new_bytes: int = 0
    """Bytes downloaded."""

    def __add__(self, other: CacheFigures) -> CacheFigures:
        return CacheFigures(
            asked=self.asked + other.asked,
            hit=self.hit + other.hit,
            hit_bytes=self.hit_bytes + other.hit_bytes,
            new_bytes=self.new_bytes + other.new_bytes,
        )


class CacheUsed(Event):
    """A task's use of a cache: a download cache (``maven``, ``npm`` …), or ``sources``."""

    event: Literal["cache_used"] = "cache_used"
    task: str
    cache: str
    figures: CacheFigures


class RunFinished(Event):
    """The last event of a run; the log of a killed run has none."""

    event: Literal["run_finished"] = "run_finished"
    exit_code: int
    seconds: float


class PhaseStarted(Event):
    """A phase begins."""

    event: Literal["phase_started"] = "phase_started"
    phase: Phase


class PhaseFinished(Event):
    """A phase ended. ``changes`` counts what was changed; in a dry run, what would be."""

    event: Literal["phase_finished"] = "phase_finished"
    phase: Phase
    state: Literal["changed", "unchanged", "failed", "skipped"]
    changes: int = 0
    seconds: float = 0.0
    note: str = ""
    failure: Failure | None = None


class Change(Event):
    """A change on a host, or in Ambari when ``host`` is null. ``detail`` is a unified diff or text.

    ``disrupts``: what runs and is stopped, restarted or removed by it, such as ``DATANODE on node1.example.com``.
    """

    event: Literal["change"] = "change"
    phase: Phase
    host: str | None = None
    name: str
    state: Literal["planned", "done", "failed"]
    detail: str = ""
    seconds: float = 0.0
    disrupts: list[str] = []


class HostFailed(Event):
    """A host drops out of the run. ``unreachable``: nothing was done there; ``failed``: something went wrong."""

    event: Literal["host_failed"] = "host_failed"
    phase: Phase
    host: str
    kind: Literal["unreachable", "failed"]
    message: str
    hint: str | None = None
    last_lines: list[str] = []


class RequestProgress(Event):
    """The state of an Ambari request changed. ``tasks`` counts tasks by status."""

    event: Literal["request_progress"] = "request_progress"
    phase: Phase
    request: int
    context: str
    status: str
    percent: float
    tasks: dict[str, int] = {}
    pending_hosts: int = 0


class AmbariTask(Event):
    """An Ambari task changed its status. Only failed ones have a cause, hint, last lines and logs.

    ``lasting``: it fails in the same way again until somebody changes something. ``same_as``: the earlier task of the
    run (``ROLE on HOST``) that failed for the same cause, and has the last lines.
    """

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
    lasting: bool = False
    same_as: str | None = None
    last_lines: list[str] = []
    logs: list[str] = []


class CheckFinished(Event):
    """The result of checking a host, a service, an alert or a job."""

    event: Literal["check_finished"] = "check_finished"
    phase: Phase
    check: str
    host: str | None = None
    level: Literal["ok", "warning", "error"]
    message: str
    hint: str | None = None


TaskEvent = TaskStarted | StepStarted | StepProgress | StepFinished | TaskFinished | Reproduced
PhaseEvent = PhaseStarted | PhaseFinished | Change | HostFailed | RequestProgress | AmbariTask | CheckFinished
AnyEvent = Annotated[
    RunStarted | TaskEvent | CacheUsed | PhaseEvent | Notice | RunFinished, Field(discriminator="event")
]

EVENTS: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)
"""Reads one event from JSON or from plain data."""
