"""Commands about recorded runs: runs, logs."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bigtop_builder.cli import options
from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.cli.text_format import LogText
from bigtop_builder.model.errors import ConfigurationError, NothingSelectedError

if TYPE_CHECKING:
    from bigtop_builder.adapter.store import Store
    from bigtop_builder.flow.run.build_state import StepState, TaskState
    from bigtop_builder.flow.run.records import RecordedRun


def runs(
    invocation: Invocation,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many of the newest runs.")] = 20,
) -> None:
    """List the runs of the store, the newest first."""
    from bigtop_builder.adapter.store import Store
    from bigtop_builder.cli.text_format import columns
    from bigtop_builder.cli.views.closing import headline
    from bigtop_builder.flow.run.records import newest_runs

    store = Store(invocation.settings().store)
    rows: list[dict[str, Any]] = []
    for run in newest_runs(store, limit):
        state = run.state
        rows.append(
            {
                "run": run.id,
                "state": run.status,
                "started": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(state.started)) if state.started else "",
                "result": headline(state) if state.started else "",
                "command": " ".join(state.command),
            }
        )
    invocation.answer(columns([[str(cell) for cell in row.values()] for row in rows]), rows)
    if not rows:
        invocation.say(f"no runs in {store.root}")


def logs(
    invocation: Invocation,
    component: Annotated[
        str | None,
        typer.Argument(
            metavar="COMPONENT",
            help="A component, or COMPONENT@PLATFORM; for a deployment, a host. Default: what failed, else everything.",
            show_default=False,
            autocompletion=options.complete_component,
        ),
    ] = None,
    step: Annotated[
        str | None, typer.Option("--step", metavar="STEP", help="Only this step.", show_default=False)
    ] = None,
    run: options.RunName = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing until the run ends.")] = False,
    paths: Annotated[bool, typer.Option("--paths", help="Print the paths of the logs instead of their text.")] = False,
) -> None:
    """Print the logs of a run's steps."""
    from bigtop_builder.adapter.store import Store
    from bigtop_builder.flow.run.records import find_run

    if follow and invocation.json:
        raise ConfigurationError("--follow and --json cannot be combined")
    _check_step(step)
    settings = invocation.settings()
    store = Store(settings.store)
    what = f"a log of {component}" if component else "something to show"
    found = find_run(store, run, settings.root.absolute(), lambda one: _has(one, component), what)
    if found.state.has_phases and component is None and not found.task_logs(None):
        _print_run(invocation, found)
    elif found.state.has_phases:
        _print_task_logs(invocation, found, component, paths=paths)
    else:
        _print_step_logs(invocation, store, found, component, step, follow=follow, paths=paths)


def _has(run: RecordedRun, component: str | None) -> bool:
    """Whether a run has something to show: of a component or host, if one is named."""
    if component is None:
        return run.state.begun and run.state.kind != "testbed"
    if run.state.has_phases:
        return bool(run.task_logs(component))
    return bool(run.step_logs(component, None)) or (run.live and run.plans(component))


def _print_run(invocation: Invocation, run: RecordedRun) -> None:
    """Print what a deployment did. Its logs are those of failed tasks, and it has none."""
    from bigtop_builder.cli.views.plain import PlainView
    from bigtop_builder.cli.views.summary import json_data
    from bigtop_builder.flow.run.records import read_events
    from bigtop_builder.flow.run.state import RunState

    if invocation.json:
        invocation.answer("", json_data(run.state))
        return
    state, view = RunState(), PlainView(sys.stdout, colour=invocation.colours())
    for event in read_events(run.folder / "events.jsonl"):
        state.apply(event)
        view(event, state)


def _check_step(step: str | None) -> None:
    from bigtop_builder.model.event import STEPS
    from bigtop_builder.recipe.document import near

    if step is not None and step not in STEPS:
        raise ConfigurationError(f"unknown step {step!r}", hint=near(step, STEPS))


def _print_step_logs(
    invocation: Invocation,
    store: Store,
    run: RecordedRun,
    component: str | None,
    step: str | None,
    *,
    follow: bool,
    paths: bool,
) -> None:
    """Print the logs of a build's steps. Raises NothingSelectedError."""
    from bigtop_builder.flow.run.records import log_files, read_chunks

    found = run.step_logs(component, step)
    if not found and not (follow and run.live):
        if component is None and step is None:
            raise NothingSelectedError(f"run {run.id} built nothing", hint="List the runs with: bigtop-builder runs")
        raise NothingSelectedError(
            f"run {run.id} has no such log", hint="Without COMPONENT and --step the whole run is shown."
        )
    if invocation.json:
        data = [
            {"task": task.planned.task, "step": one.name, "ok": one.ok, "seconds": one.seconds, "log": one.log}
            for task, one in found
        ]
        invocation.answer("", data)
    elif paths:
        invocation.answer("\n".join(str(one.log) for _, one in found), None)
    elif follow:
        _follow(invocation, store, run, component, step)
    else:
        for task, one in found:
            _print_heading(invocation, task, one)
            text = _log_text(invocation)
            for part in log_files(Path(one.log or "")):
                for chunk in read_chunks(part):
                    sys.stdout.write(text.feed(chunk))
            sys.stdout.write(text.feed(b"", last=True))
            sys.stdout.flush()


def _print_task_logs(invocation: Invocation, run: RecordedRun, host: str | None, *, paths: bool) -> None:
    """Print what the failed Ambari tasks of a deployment printed. Raises NothingSelectedError."""
    from bigtop_builder.flow.run.records import read_chunks

    found = run.task_logs(host)
    if not found:
        where = f" on {host}" if host else ""
        failed = run.state.deploy.failed
        failure = failed.failure if failed else None
        hint = f"It ended in {failure.step}: {failure.message}" if failure else "See: bigtop-builder runs"
        raise NothingSelectedError(f"no Ambari task failed{where} in run {run.id}", hint=hint)
    if invocation.json:
        invocation.answer("", [{"task": title, "log": log} for title, log in found])
    elif paths:
        invocation.answer("\n".join(log for _, log in found), None)
    else:
        for title, log in found:
            invocation.say(invocation.paint(f"── {title} ({log})", "bold", sys.stderr))
            text = _log_text(invocation)
            for chunk in read_chunks(Path(log)):
                sys.stdout.write(text.feed(chunk))
            sys.stdout.write(text.feed(b"", last=True))
            sys.stdout.flush()


def _log_text(invocation: Invocation) -> LogText:
    return LogText(invocation.environment, colour=invocation.colours())


def _print_heading(invocation: Invocation, task: TaskState, step: StepState) -> None:
    invocation.say(invocation.paint(f"── {task.planned.task} {step.name}", "bold", sys.stderr))


def _follow(invocation: Invocation, store: Store, run: RecordedRun, component: str | None, step: str | None) -> None:
    """Print what the logs gain until the run ends."""
    from bigtop_builder.flow.run.records import follow_logs

    shown: str | None = None
    texts: dict[str | None, LogText] = {}
    for task, one, chunk in follow_logs(store, run, component, step):
        if shown != one.log:
            _print_heading(invocation, task, one)
            shown = one.log
        text = texts.setdefault(one.log, _log_text(invocation))
        sys.stdout.write(text.feed(chunk))
        sys.stdout.flush()
    for text in texts.values():
        sys.stdout.write(text.feed(b"", last=True))
