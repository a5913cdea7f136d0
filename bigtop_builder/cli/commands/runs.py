"""Commands about runs that were: runs, logs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bigtop_builder.cli import options
from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.model.errors import ConfigurationError, NothingSelectedError

if TYPE_CHECKING:
    from bigtop_builder.cli.views.build_fold import RunView, StepView, TaskView
    from bigtop_builder.cli.views.deploy_fold import DeployView

FOLLOW_SECONDS = 0.3
CHUNK = 1 << 16


def runs(
    invocation: Invocation,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many of the newest runs.")] = 20,
) -> None:
    """List the runs of the store, the newest first."""
    from bigtop_builder.adapter.store import Store
    from bigtop_builder.cli.views.deploy_fold import DeployView
    from bigtop_builder.cli.views.summary import headline
    from bigtop_builder.cli.wording import columns

    store = Store(invocation.settings().store)
    rows: list[dict[str, Any]] = []
    for folder in _run_folders(store.root)[:limit]:
        view = _deployment(folder) or _read(folder)
        state = "running" if store.is_live(folder.name) else "died"
        if not view.started:
            # Killed before its first event, or work that keeps no record, such as making an image.
            state = "running" if state == "running" else "no record"
        elif view.exit_code is not None:
            state = "done" if view.exit_code == 0 else f"exit {view.exit_code}"
        elif state == "died" and not isinstance(view, DeployView):
            view.close()
        rows.append(
            {
                "run": folder.name,
                "state": state,
                "started": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(view.started)) if view.started else "",
                "result": view.headline if isinstance(view, DeployView) else headline(view) if view.started else "",
                "command": " ".join(view.command),
            }
        )
    invocation.answer(columns([[str(cell) for cell in row.values()] for row in rows]), rows)
    if not rows:
        invocation.say(f"no run in {store.root}")


def logs(
    invocation: Invocation,
    component: Annotated[
        str | None,
        typer.Argument(
            metavar="[COMPONENT]",
            help="A component, or COMPONENT@PLATFORM (of a deployment: a host); without it what failed, or all.",
            show_default=False,
            autocompletion=options.complete_component,
        ),
    ] = None,
    step: Annotated[
        str | None, typer.Option("--step", metavar="STEP", help="One step only.", show_default=False)
    ] = None,
    run: options.RunName = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on while the run goes on.")] = False,
    paths: Annotated[bool, typer.Option("--paths", help="Print where the logs are, not what they say.")] = False,
) -> None:
    """Print the logs of a run's steps."""
    from bigtop_builder.adapter.store import Store

    if follow and invocation.json:
        raise ConfigurationError("--follow and --json do not go together")
    _check_step(step)
    store = Store(invocation.settings().store)
    folder = _run_folder(store.root, run)
    deployment = _deployment(folder)
    if deployment is not None:
        _task_logs(invocation, deployment, folder.name, component, paths=paths)
        return
    found = list(_select(_read(folder), component, step))
    if not found and not (follow and store.is_live(folder.name)):
        if component is None and step is None:
            raise NothingSelectedError(f"in run {folder.name} nothing was built", hint="See: bigtop-builder runs")
        raise NothingSelectedError(
            f"run {folder.name} has no such log", hint="Without COMPONENT and --step the whole run is shown."
        )
    if invocation.json:
        data = [
            {"task": task.planned.task, "step": view.name, "ok": view.ok, "seconds": view.seconds, "log": view.log}
            for task, view in found
        ]
        invocation.answer("", data)
    elif paths:
        invocation.answer("\n".join(str(view.log) for _, view in found), None)
    elif follow:
        _follow(store, folder, component, step, invocation)
    else:
        for task, view in found:
            _heading(invocation, task, view)
            for part in _parts(Path(view.log or "")):
                _copy(part, 0)


def _check_step(step: str | None) -> None:
    from bigtop_builder.model.event import STEPS
    from bigtop_builder.recipe.document import near

    if step is not None and step not in STEPS:
        raise ConfigurationError(f"there is no step {step!r}", hint=near(step, STEPS))


def _run_folders(store: Path) -> list[Path]:
    runs = store / "runs"
    return sorted((folder for folder in runs.iterdir() if folder.is_dir()), reverse=True) if runs.is_dir() else []


def _run_folder(store: Path, run: str | None) -> Path:
    folders = _run_folders(store)
    if not folders:
        raise NothingSelectedError(f"the store {store} holds no run", hint="Build something first.")
    if run is None:
        return folders[0]
    matches = [folder for folder in folders if folder.name.startswith(run)]
    if len(matches) != 1:
        problem = "several runs begin" if matches else "no run begins"
        raise ConfigurationError(f"{problem} with {run!r}", hint="See: bigtop-builder runs")
    return matches[0]


def _read(folder: Path) -> RunView:
    from bigtop_builder.cli.views.build_fold import fold, read_events

    try:
        return fold(read_events(folder / "events.jsonl"))
    except OSError:
        return fold(())


def _deployment(folder: Path) -> DeployView | None:
    """The state of a run that worked on a cluster; None for a build."""
    from bigtop_builder.cli.views.build_fold import read_events
    from bigtop_builder.cli.views.deploy_fold import DeployView
    from bigtop_builder.model.event import DeployStarted

    view = DeployView()
    try:
        for event in read_events(folder / "events.jsonl"):
            if not view.begun and not isinstance(event, DeployStarted):
                return None
            view.apply(event)
    except OSError:
        return None
    return view if view.begun else None


def _task_logs(invocation: Invocation, view: DeployView, run: str, host: str | None, *, paths: bool) -> None:
    """What the failed tasks of a deployment printed; given ``host``, those on it."""
    found = [(title, log) for title, log in view.logs() if host is None or title.split(" ")[0] == host]
    if not found:
        where = f" on {host}" if host else ""
        failure = view.failed.failure if view.failed else None
        hint = f"It ended in {failure.step}: {failure.message}" if failure else "See: bigtop-builder runs"
        raise NothingSelectedError(f"in run {run} no task of Ambari failed{where}", hint=hint)
    if invocation.json:
        invocation.answer("", [{"task": title, "log": log} for title, log in found])
    elif paths:
        invocation.answer("\n".join(log for _, log in found), None)
    else:
        for title, log in found:
            invocation.say(invocation.paint(f"── {title} ({log})", "bold", sys.stderr))
            _copy(Path(log), 0)


def _select(view: RunView, component: str | None, step: str | None) -> Iterator[tuple[TaskView, StepView]]:
    """The steps that have a log: those of ``component``, else of what failed, else all."""
    name, _, platform = (component or "").partition("@")
    tasks = list(view.tasks.values())
    if component is None:
        failed = [task for task in tasks if task.state == "failed"]
        tasks = failed or tasks
    for task in tasks:
        planned = task.planned
        if component is not None and (planned.component != name or platform not in ("", planned.platform)):
            continue
        for one in task.steps.values():
            if one.log and (step is None or one.name == step):
                yield task, one


def _parts(log: Path) -> list[Path]:
    """The files of a log: one that still grows, or whose writer was killed, has its end in two more."""
    parts = (log, log.with_name(log.name + ".older"), log.with_name(log.name + ".newer"))
    return [part for part in parts if part.is_file()]


def _copy(path: Path, offset: int) -> int:
    """Print a file from ``offset`` on; gives the new offset."""
    with path.open("rb") as stream:
        stream.seek(offset)
        while data := stream.read(CHUNK):
            sys.stdout.buffer.write(data)
        sys.stdout.flush()
        return stream.tell()


def _heading(invocation: Invocation, task: TaskView, step: StepView) -> None:
    invocation.say(invocation.paint(f"── {task.planned.task} {step.name}", "bold", sys.stderr))


def _follow(store: Any, folder: Path, component: str | None, step: str | None, invocation: Invocation) -> None:
    """Print what the steps' logs gain until the run ends. What a full log leaves out is not shown."""
    offsets: dict[Path, int] = {}
    shown: Path | None = None
    while True:
        live = store.is_live(folder.name)
        for task, view in _select(_read(folder), component, step):
            log = Path(view.log or "")
            if not log.is_file() or log.stat().st_size == offsets.get(log, 0):
                continue
            if shown != log:
                _heading(invocation, task, view)
                shown = log
            offsets[log] = _copy(log, offsets.get(log, 0))
        if not live:
            return
        time.sleep(FOLLOW_SECONDS)
