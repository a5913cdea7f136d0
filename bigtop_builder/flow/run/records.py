"""Reading back the runs that a store has recorded: which there are, how they ended, where their logs are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from bigtop_builder.adapter.store import Store
from bigtop_builder.flow.run.build_state import StepState, TaskState
from bigtop_builder.flow.run.state import RunState, detailed_state, fold
from bigtop_builder.model.errors import ConfigurationError, NothingSelectedError
from bigtop_builder.model.event import EVENTS, AnyEvent, RunStarted

FOLLOW_SECONDS = 0.3
CHUNK = 1 << 16
STEP_SEEN = 60
"""The name of an event is in so many bytes of its line: it follows the time."""


@dataclass(frozen=True)
class RecordedRun:
    """A run as the store has it now. ``live``: its process still exists."""

    folder: Path
    live: bool
    state: RunState

    @property
    def id(self) -> str:
        """The name of the run."""
        return self.folder.name

    @property
    def status(self) -> str:
        """``done``, ``exit 4``, ``running``, ``died``, or ``no record`` when it was killed before its first event."""
        code = self.state.exit_code
        if code is not None:
            return f"exit {code}" if code else "done"
        return "running" if self.live else "died" if self.state.begun else "no record"

    def plans(self, component: str) -> bool:
        """Whether the run builds ``COMPONENT[@PLATFORM]``."""
        name, _, platform = component.partition("@")
        return any(
            task.planned.component == name and platform in ("", task.planned.platform)
            for task in self.state.build.tasks.values()
            if task.planned.action == "build"
        )

    def step_logs(self, component: str | None, step: str | None) -> list[tuple[TaskState, StepState]]:
        """Return the steps that have a log: those of ``COMPONENT[@PLATFORM]``, else of failed tasks, else all."""
        name, _, platform = (component or "").partition("@")
        tasks = list(self.state.build.tasks.values())
        if component is None:
            tasks = [task for task in tasks if task.state == "failed"] or tasks
        else:
            tasks = [
                task for task in tasks if task.planned.component == name and platform in ("", task.planned.platform)
            ]
        return [
            (task, one)
            for task in tasks
            for one in task.steps.values()
            if one.log and (step is None or one.name == step)
        ]

    def task_logs(self, host: str | None) -> list[tuple[str, str]]:
        """Return the failed Ambari tasks, each with its log: those on ``host``, else all."""
        return [(title, log) for title, log in self.state.deploy.logs() if host in (None, title.split(" ")[0])]


def read_events(log: Path, *, brief: bool = False) -> Iterator[AnyEvent]:
    """Read the events of a log; if ``brief``, without steps and their progress. Raises OSError.

    Lines that are not an event are skipped: a killed run may leave half a line, and older versions began a
    deployment with an event that no longer exists.
    """
    with log.open("rb") as lines:
        for line in lines:
            if brief and b'"event":"step_' in line[:STEP_SEEN]:
                continue
            event = parse_event(line)
            if event is not None:
                yield event


def parse_event(line: bytes) -> AnyEvent | None:
    """Read one line of a log; None if it is not an event."""
    try:
        return EVENTS.validate_json(line)
    except ValidationError:
        return None


def read_run(store: Store, folder: Path, *, brief: bool = False, detailed: bool = False) -> RecordedRun:
    """Read one run; if ``brief``, without its steps; if ``detailed``, with every Ambari task.

    A run without a readable log has an empty state.
    """
    # Asked before the log is read: a run that ends in between has then its last event in it.
    live = store.is_live(folder.name)
    try:
        state = fold(read_events(folder / "events.jsonl", brief=brief), detailed_state() if detailed else None)
    except OSError:
        state = RunState()
    if not live and state.exit_code is None:
        state.close()
    return RecordedRun(folder, live, state)


def run_folders(store: Store) -> list[Path]:
    """Return the folders of all runs, the newest first."""
    runs = store.root / "runs"
    return sorted((folder for folder in runs.iterdir() if folder.is_dir()), reverse=True) if runs.is_dir() else []


def newest_runs(store: Store, limit: int) -> Iterator[RecordedRun]:
    """Read the newest runs, at most ``limit``."""
    for folder in run_folders(store)[:limit]:
        yield read_run(store, folder)


def find_run(
    store: Store,
    name: str | None,
    project: Path | None = None,
    wanted: Callable[[RecordedRun], bool] | None = None,
    what: str = "something to show",
) -> RecordedRun:
    """Read the run whose name begins with ``name``, or the newest of ``project`` that is ``wanted``.

    Runs of older versions do not say to which project they belong: they belong to any. ``what`` is for the message
    that there is none. Raises NothingSelectedError
    when there is no such run, ConfigurationError when ``name`` does not fit exactly one.
    """
    folders = run_folders(store)
    if not folders:
        raise NothingSelectedError(f"the store {store.root} has no runs", hint="Build something first.")
    if name is None:
        for folder in folders:
            if project is None or _project_of(folder) in (None, str(project)):
                run = read_run(store, folder)
                if wanted is None or wanted(run):
                    return run
        raise NothingSelectedError(
            f"no run of the project {project} has {what}", hint="List all runs with: bigtop-builder runs"
        )
    matches = [folder for folder in folders if folder.name.startswith(name)]
    if len(matches) != 1:
        problem = "several runs begin" if matches else "no run begins"
        raise ConfigurationError(f"{problem} with {name!r}", hint="List them with: bigtop-builder runs")
    return read_run(store, matches[0])


def _project_of(folder: Path) -> str | None:
    """The project of a run, from the first event of its log alone; None when the log does not say."""
    try:
        first = next(read_events(folder / "events.jsonl"), None)
    except OSError:
        return None
    return first.project if isinstance(first, RunStarted) else None


def log_files(log: Path) -> list[Path]:
    """Return the files of a step's log. A full log that still grows, or whose writer was killed, has two more."""
    parts = (log, log.with_name(log.name + ".older"), log.with_name(log.name + ".newer"))
    return [part for part in parts if part.is_file()]


def follow_logs(
    store: Store, run: RecordedRun, component: str | None, step: str | None
) -> Iterator[tuple[TaskState, StepState, bytes]]:
    """Yield what the logs of a run gain until it ends, one chunk at a time.

    What a full log leaves out is not shown.
    """
    offsets: dict[Path, int] = {}
    while True:
        run = read_run(store, run.folder)
        for task, one in run.step_logs(component, step):
            log = Path(one.log or "")
            if log.is_file():
                for chunk in read_chunks(log, offsets.get(log, 0)):
                    offsets[log] = offsets.get(log, 0) + len(chunk)
                    yield task, one, chunk
        if not run.live:
            return
        time.sleep(FOLLOW_SECONDS)


def read_chunks(path: Path, offset: int = 0) -> Iterator[bytes]:
    """Read a file from ``offset`` on, in chunks of at most 64 KiB. Raises OSError."""
    with path.open("rb") as stream:
        stream.seek(offset)
        while chunk := stream.read(CHUNK):
            yield chunk
