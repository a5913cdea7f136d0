"""The events of a run. Their log, one JSON object per line, is the truth; every view is a fold over it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from bigtop_builder.model.outcome import Artifact, CacheFigures

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
    """What all events share."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    time: float = 0.0
    """Seconds since the epoch, UTC."""
    event: str
    """The kind of the event."""


class OfTask(Event):
    """What the events of a build's tasks share."""

    task: str
    """The task: ``zookeeper@el8/compile``."""


class OfStep(OfTask):
    """What the events of a task's steps share."""

    step: Step
    """The step of the task."""


class OfPhase(Event):
    """What the events of work on a cluster share."""

    phase: Phase
    """The phase that it belongs to."""


class PlannedTask(BaseModel):
    """A line of the plan, as recorded in the log."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    task: str
    """The name of the task: ``zookeeper@el8/compile``."""
    component: str
    """The component."""
    platform: str
    """The platform."""
    kind: Literal["compile", "package"]
    """What the task does."""
    action: Literal["reuse", "build", "refuse"]
    """Whether its result is reused, it is built, or it is refused."""
    reasons: list[str] = []
    """Why, as ``plan`` shows it."""
    key: str
    """The build key."""
    waits_for: list[str] = []
    """The tasks of the plan that end before it begins."""
    expected: float | None = None
    """How many seconds it took when it last ran here; ``null`` if it never did, or will not run."""


class ClusterTarget(BaseModel):
    """The cluster that a run works on."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    cluster: str
    """The name of the cluster."""
    hosts: list[str]
    """The hosts that the run may touch."""
    dry_run: bool = False
    """Whether changes are only shown."""
    rehearsal: bool = False
    """On a simulated Ambari, without hosts."""


class RunStarted(Event):
    """The first event of a run. It lists the tasks of a build, or the phases of work on a cluster."""

    event: Literal["run_started"] = "run_started"
    run: str
    """The name of the run; empty when there was nothing to build and nothing was recorded."""
    kind: RunKind = "build"
    """What the run does."""
    command: list[str]
    """The command line."""
    store: str
    """The path of the store."""
    project: str | None = None
    """The folder of the project; ``null`` in runs of older versions and for test beds."""
    output: str | None = None
    """The folder below which a build puts its packages, one folder for each platform."""
    flags: list[str] = []
    """The flags of a build that ``build --failed`` repeats."""
    tasks: list[PlannedTask] = []
    """The plan of a build."""
    phases: list[Phase] = []
    """The phases of work on a cluster, in their order."""
    target: ClusterTarget | None = None
    """``null`` for runs that work on no cluster."""


class TaskStarted(OfTask):
    """A task begins."""

    event: Literal["task_started"] = "task_started"


class StepStarted(OfStep):
    """A step of a task begins."""

    event: Literal["step_started"] = "step_started"
    log: str | None = None
    """The path of its log."""
    worker: str | None = None
    """The worker of a cluster that it runs on; ``null`` on this machine."""


class StepProgress(OfStep):
    """A step goes on."""

    event: Literal["step_progress"] = "step_progress"
    done: int
    """Bytes transferred, or bytes of log written."""
    total: int | None = None
    """Bytes to transfer in all; ``null`` where that is unknown."""
    note: str = ""
    """What the step is doing, such as the module that Maven builds."""


class StepFinished(OfStep):
    """A step of a task ended. The seconds of its steps are together those of the task, and of its image."""

    event: Literal["step_finished"] = "step_finished"
    ok: bool
    """Whether it succeeded."""
    seconds: float
    """How long it took."""


class Failure(BaseModel):
    """Why a task or phase failed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    step: str
    """The step or phase that failed."""
    message: str
    """What went wrong."""
    cause: str | None = None
    """The probable cause, if a known one was recognised."""
    hint: str | None = None
    """What to do about it."""
    first_error: list[str] = []
    """The first error in the log and the lines that belong to it, as far as it was recognised."""
    last_lines: list[str] = []
    """The last lines of the log."""
    log: str | None = None
    """The path of the log."""
    rerun: str | None = None
    """The command that tries again."""
    shell: str | None = None
    """The command that opens a shell in what the failure left, if that is kept."""
    exit_code: int = 10
    """The exit code that the failure leads to."""


class TaskFinished(OfTask):
    """A task ended; reused, blocked and cancelled ones end without having started."""

    event: Literal["task_finished"] = "task_finished"
    state: State
    """How it ended."""
    seconds: float = 0.0
    """How long it ran."""
    artifacts: list[Artifact] = []
    """The packages that it made or reused."""
    failure: Failure | None = None
    """Why it failed."""
    blocked_by: str | None = None
    """The failed task that kept this one from starting."""
    notes: list[str] = []
    """What the user should know about the result."""


class Reproduced(OfTask):
    """A finished task ran a second time. Its result was compared with the first, which is kept."""

    event: Literal["reproduced"] = "reproduced"
    identical: bool
    """Whether both results have the same bytes."""
    differences: list[str] = []
    """The first differences, each with its file; or why the second build failed."""


class Notice(Event):
    """Something the user should know that belongs to no step."""

    event: Literal["notice"] = "notice"
    level: Literal["info", "warning", "error"] = "info"
    """How serious it is."""
    text: str
    """What to know."""
    task: str | None = None
    """The task that it is about; ``null`` for the run as a whole."""


class CacheUsed(OfTask):
    """A task's use of a cache: a download cache (``maven``, ``npm`` …), or ``sources``."""

    event: Literal["cache_used"] = "cache_used"
    cache: str
    """The name of the cache."""
    figures: CacheFigures
    """How much it was used."""


class RunFinished(Event):
    """The last event of a run; the log of a killed run has none."""

    event: Literal["run_finished"] = "run_finished"
    exit_code: int
    """The exit code of the command."""
    seconds: float
    """How long the run took."""


class PhaseStarted(OfPhase):
    """A phase begins."""

    event: Literal["phase_started"] = "phase_started"


class PhaseFinished(OfPhase):
    """A phase ended."""

    event: Literal["phase_finished"] = "phase_finished"
    state: Literal["changed", "unchanged", "failed", "skipped"]
    """How it ended."""
    changes: int = 0
    """The number of changes made, or planned in a dry run."""
    seconds: float = 0.0
    """How long it took."""
    note: str = ""
    """What else to say of it, such as why it was skipped."""
    failure: Failure | None = None
    """Why it failed."""


class Change(OfPhase):
    """A change on a host, or in Ambari."""

    event: Literal["change"] = "change"
    host: str | None = None
    """The host; ``null`` for a change in Ambari."""
    name: str
    """What is changed."""
    state: Literal["planned", "done", "failed"]
    """How far it is; ``planned`` in a dry run."""
    detail: str = ""
    """A unified diff, or text."""
    seconds: float = 0.0
    """How long it took."""
    disrupts: list[str] = []
    """What runs and is stopped, restarted or removed by it: ``DATANODE on node1.example.com``."""


class HostFailed(OfPhase):
    """A host drops out of the run."""

    event: Literal["host_failed"] = "host_failed"
    host: str
    """The host."""
    kind: Literal["unreachable", "failed"]
    """``unreachable``: nothing was done there; ``failed``: something went wrong."""
    message: str
    """What went wrong."""
    hint: str | None = None
    """What to do about it."""
    last_lines: list[str] = []
    """The last lines that the host printed."""


class RequestProgress(OfPhase):
    """The state of an Ambari request changed."""

    event: Literal["request_progress"] = "request_progress"
    request: int
    """Ambari's number of the request."""
    context: str
    """The title of the request in Ambari."""
    status: str
    """Ambari's status of the request: ``IN_PROGRESS``."""
    percent: float
    """How much of it is done."""
    tasks: dict[str, int] = {}
    """The number of its tasks by status."""
    pending_hosts: int = 0
    """The number of hosts that the request still waits for."""


class AmbariTask(OfPhase):
    """An Ambari task changed its status. Only failed ones have a cause, hint, last lines and logs."""

    event: Literal["ambari_task"] = "ambari_task"
    request: int
    """Ambari's number of the request."""
    task: int
    """Ambari's number of the task."""
    host: str
    """The host that it runs on."""
    role: str
    """The component that it is about: ``DATANODE``."""
    command: str
    """Ambari's command: ``INSTALL``, ``START``, ``CUSTOM_COMMAND`` …"""
    status: str
    """Ambari's status of the task: ``COMPLETED``, ``FAILED`` …"""
    seconds: float = 0.0
    """How long it took."""
    cause: str | None = None
    """The probable cause of a failure, if a known one was recognised."""
    hint: str | None = None
    """What to do about it."""
    lasting: bool = False
    """Whether it fails in the same way again until somebody changes something."""
    same_as: str | None = None
    """The earlier task of the run (``ROLE on HOST``) that failed for the same cause, and has the last lines."""
    last_lines: list[str] = []
    """The last lines of a failed task's output."""
    logs: list[str] = []
    """The paths of a failed task's output and errors."""


class CheckFinished(OfPhase):
    """The result of checking a host, a service, an alert or a job."""

    event: Literal["check_finished"] = "check_finished"
    check: str
    """The name of the check."""
    host: str | None = None
    """The host that was checked, if one was."""
    level: Literal["ok", "warning", "error"]
    """The result."""
    message: str
    """What was found."""
    hint: str | None = None
    """What to do about it."""


TaskEvent = TaskStarted | StepStarted | StepProgress | StepFinished | TaskFinished | Reproduced
PhaseEvent = PhaseStarted | PhaseFinished | Change | HostFailed | RequestProgress | AmbariTask | CheckFinished
AnyEvent = Annotated[
    RunStarted | TaskEvent | CacheUsed | PhaseEvent | Notice | RunFinished, Field(discriminator="event")
]

EVENTS: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)
"""Reads one event from JSON or from plain data."""
