"""The lines of a deployment, as its events come: what the plain view and the terminal show alike."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import TypeGuard

from bigtop_builder.cli.text_format import Line, clean, count, span
from bigtop_builder.flow.run.deploy_state import BAD_STATUSES, DeployState
from bigtop_builder.flow.run.state import RunState
from bigtop_builder.model.event import (
    AmbariTask,
    AnyEvent,
    Change,
    CheckFinished,
    HostFailed,
    Notice,
    Phase,
    PhaseFinished,
    PhaseStarted,
    RequestProgress,
    RunStarted,
)

TITLES: Mapping[Phase, str] = {
    "check": "checking inventory, repository and hosts",
    "prepare": "preparing hosts",
    "ambari": "Ambari server and agents",
    "repository": "repository and version definition",
    "layout": "layout",
    "cluster": "cluster",
    "start": "starting services",
    "remove": "removing what has left the inventory",
    "standalone": "stand-alone services",
    "verify": "verifying",
    "destroy": "destroying",
    "rollback": "rolling back",
}
MARKS = {"changed": "✓", "unchanged": "·", "failed": "✗", "skipped": "-", "done": "✓", "planned": "+"}
TASK_MARKS = {"COMPLETED": "✓", "SKIPPED_FAILED": "-", "IN_PROGRESS": "▸", **dict.fromkeys(BAD_STATUSES, "✗")}


class PhaseLines:
    """Turns the events of a deployment into lines. ``live``: a line below shows the progress of requests."""

    def __init__(self, *, quiet: bool = False, live: bool = False) -> None:
        self.quiet = quiet
        self.live = live
        self._passed: list[CheckFinished] = []
        """Checks that all hosts passed, shown together before whatever comes next."""
        self._details: dict[tuple[str, str], str] = {}
        """Name and hash of a change on hosts → the first host with it."""

    def lines(self, event: AnyEvent, state: RunState) -> Iterator[Line]:
        """Yield the lines of ``event``; ``state`` includes it already."""
        if _passed_everywhere(event):
            self._passed.append(event)
            return
        if self._passed and not self.quiet:
            names = ", ".join(check.check for check in self._passed)
            yield f"  ✓ {names}: {self._passed[0].message}", ""
        self._passed.clear()
        if isinstance(event, HostFailed):
            yield from _host(event)
        elif isinstance(event, AmbariTask):
            yield from self._task(event)
        elif isinstance(event, CheckFinished):
            yield from _check(event, quiet=self.quiet)
        elif isinstance(event, Notice):
            # Whoever catches an error that ends the run reports it.
            if event.level != "error" and not (self.quiet and event.level == "info"):
                yield f"  {clean(event.text)}", "yellow" if event.level == "warning" else "dim"
        elif not self.quiet:
            yield from self._progress(event, state)

    def _progress(self, event: AnyEvent, state: RunState) -> Iterator[Line]:
        """Yield what ``--quiet`` leaves out."""
        if isinstance(event, RunStarted):
            yield _opening(event.run, state.deploy), ""
        elif isinstance(event, PhaseStarted):
            yield TITLES[event.phase], "bold"
        elif isinstance(event, Change):
            yield from self._change(event)
        elif isinstance(event, RequestProgress):
            yield from self._request(event)
        elif isinstance(event, PhaseFinished):
            self._details.clear()
            yield _phase(event, state.deploy)

    def _task(self, event: AmbariTask) -> Iterator[Line]:
        bad = event.status in BAD_STATUSES
        if event.status not in TASK_MARKS or (self.quiet and not bad):
            return
        took = f"  {span(event.seconds)}" if event.seconds else ""
        same = f", as {event.same_as}" if event.same_as else ""
        line = f"  {TASK_MARKS[event.status]} {event.host}: {event.role} {event.command} {event.status}{same}{took}"
        yield line, "red" if bad else "dim" if event.status == "IN_PROGRESS" else ""
        if event.same_as:
            return
        if event.cause:
            yield f"      cause: {clean(event.cause)}", "red"
        if event.hint:
            yield f"      hint: {clean(event.hint)}", ""
        for text in event.last_lines:
            yield f"      | {clean(text)}", "dim"
        for log in event.logs:
            yield f"      log: {log}", ""

    def _change(self, event: Change) -> Iterator[Line]:
        where = f"{event.host}: " if event.host else ""
        took = f"  {span(event.seconds)}" if event.seconds >= 1 else ""
        key = (event.name, hashlib.sha256(event.detail.encode()).hexdigest())
        first = self._details.setdefault(key, event.host) if event.host and event.detail else event.host
        same = f" (same as on {first})" if first != event.host else ""
        style = "red" if event.state == "failed" else ""
        yield f"  {MARKS[event.state]} {where}{clean(event.name)}{same}{took}", style
        for text in () if same else event.detail.splitlines():
            style = "green" if text.startswith("+") else "red" if text.startswith("-") else "dim"
            yield f"      {clean(text)}", style

    def _request(self, event: RequestProgress) -> Iterator[Line]:
        if not self.live and event.status != "IN_PROGRESS":
            pending = f", {count(event.pending_hosts, 'host')} pending" if event.pending_hosts else ""
            percent = f"{max(event.percent, 0):.0f}%"
            context = clean(event.context.splitlines()[0] if event.context else "")
            yield f"  request {event.request} {event.status} {percent}{pending}: {context}", "dim"


def _opening(run: str, deploy: DeployState) -> str:
    name = f"run {run}: " if run else ""
    mode = " (dry run: nothing is changed)" if deploy.dry_run else ""
    mode = " (rehearsal on a simulated Ambari: no host is touched)" if deploy.rehearsal else mode
    return f"{name}cluster {deploy.cluster}, {count(len(deploy.hosts), 'host')}{mode}"


def _host(event: HostFailed) -> Iterator[Line]:
    yield f"  ✗ {event.host} {event.kind}: {clean(event.message)}", "red"
    if event.hint:
        yield f"      hint: {clean(event.hint)}", ""
    for text in event.last_lines:
        yield f"      | {clean(text)}", "dim"


def _check(event: CheckFinished, *, quiet: bool) -> Iterator[Line]:
    if event.level == "ok" and quiet:
        return
    mark = {"ok": "✓", "warning": "!", "error": "✗"}[event.level]
    where = f"{event.host}: " if event.host else ""
    style = {"ok": "", "warning": "yellow", "error": "red"}[event.level]
    yield f"  {mark} {where}{event.check}{': ' + clean(event.message) if event.message else ''}", style
    if event.hint and event.level != "ok":
        yield f"      hint: {clean(event.hint)}", ""


def _passed_everywhere(event: AnyEvent) -> TypeGuard[CheckFinished]:
    """Whether a check passed on all hosts: then its message is their number."""
    return (
        isinstance(event, CheckFinished)
        and event.level == "ok"
        and event.host is None
        and re.fullmatch(r"\d+ hosts?", event.message) is not None
    )


def _phase(event: PhaseFinished, deploy: DeployState) -> Line:
    changed = "would change" if deploy.dry_run else "changed"
    result = {
        "changed": f"{changed}: {event.changes}",
        "unchanged": "nothing to do" if event.phase not in ("check", "verify") else "ok",
        "failed": "failed",
        "skipped": "skipped",
    }[event.state]
    note = f", {clean(event.note)}" if event.note else ""
    style = {"failed": "bold red", "changed": "green"}.get(event.state, "dim")
    return f"{MARKS[event.state]} {event.phase}: {result} in {span(event.seconds)}{note}", style
