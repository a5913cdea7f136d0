"""A deployment as lines: on a terminal with colours and a line of what runs below, in pipelines plain."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO, TypeGuard

from bigtop_builder.cli.views.deploy_fold import BAD_TASKS, DeployView
from bigtop_builder.cli.wording import clean, count, span
from bigtop_builder.model.event import (
    AmbariTask,
    AnyEvent,
    Change,
    CheckFinished,
    DeployStarted,
    Failure,
    HostFailed,
    Notice,
    Phase,
    PhaseFinished,
    PhaseStarted,
    RequestProgress,
    RunFinished,
)

if TYPE_CHECKING:
    from rich.live import Live

TITLES = {
    "check": "checking inventory, repository and hosts",
    "prepare": "preparing hosts",
    "ambari": "Ambari server and agents",
    "repository": "repository and version definition",
    "layout": "layout",
    "cluster": "cluster",
    "start": "starting services",
    "standalone": "stand-alone services",
    "verify": "verifying",
    "destroy": "destroying",
}
MARKS = {"changed": "✓", "unchanged": "·", "failed": "✗", "skipped": "-", "done": "✓", "planned": "+"}
TASK_MARKS = {"COMPLETED": "✓", "SKIPPED_FAILED": "-", "IN_PROGRESS": "▸", **dict.fromkeys(BAD_TASKS, "✗")}
Line = tuple[str, str]
"""Text and style."""

_NOTHING: dict[tuple[Phase, ...], str] = {
    ("check",): "nothing stands in the way",
    ("verify",): "all works",
    ("destroy",): "nothing to remove",
}
"""The last words of runs of one phase that changed nothing."""


class DeployLines:
    """Writes lines as events come."""

    def __init__(self, out: TextIO, *, quiet: bool = False, colour: bool = False, live: bool = False) -> None:
        self.out = out
        self.quiet = quiet
        self.colour = colour
        self._live: Live | None = None
        self._wants_live = live and not quiet
        self._running: dict[int, AmbariTask] = {}
        self._request: RequestProgress | None = None
        self._passed: list[CheckFinished] = []
        """Checks that all hosts have passed: told together once something else comes."""
        self._details: dict[tuple[str, str], str] = {}
        """Hash of what was changed on hosts → the first of them."""

    def __call__(self, event: AnyEvent, view: DeployView) -> None:
        """Show ``event``; ``view`` is the state with the event taken in."""
        self._note(event)
        for text, style in self._lines(event, view):
            self._write(text, style)
        if isinstance(event, RunFinished):
            self.close()
        elif self._live is not None:
            self._live.update(self._footer())
        self.out.flush()

    def close(self) -> None:
        """Take the live line away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _note(self, event: AnyEvent) -> None:
        if isinstance(event, DeployStarted) and self._wants_live:
            from rich.console import Console
            from rich.live import Live

            console = Console(file=self.out, no_color=not self.colour, highlight=False)
            self._live = Live("", console=console, refresh_per_second=8, transient=True)
            self._live.start()
        elif isinstance(event, AmbariTask):
            self._running.pop(event.task, None)
            if event.status == "IN_PROGRESS":
                self._running[event.task] = event
        elif isinstance(event, RequestProgress):
            self._request = event
        elif isinstance(event, PhaseFinished):
            self._running.clear()
            self._request = None
            self._details.clear()

    def _footer(self) -> str:
        parts = [f"{task.role} {task.command} on {task.host.partition('.')[0]}" for task in self._running.values()]
        if self._request is not None:
            parts.insert(0, f"{self._request.percent:.0f}%")
        return "  " + ", ".join(parts[:4]) + (f" and {len(parts) - 4} more" if len(parts) > 4 else "") if parts else ""

    def _write(self, text: str, style: str) -> None:
        if self._live is not None:
            from rich.text import Text

            self._live.console.print(Text(text, style), soft_wrap=True)
        elif self.colour and style:
            from rich.console import Console
            from rich.text import Text

            Console(file=self.out, highlight=False, force_terminal=True).print(Text(text, style), soft_wrap=True)
        else:
            self.out.write(text + "\n")

    def _lines(self, event: AnyEvent, view: DeployView) -> Iterator[Line]:
        if _passed(event):
            self._passed.append(event)
            return
        if self._passed and not self.quiet:
            names = ", ".join(check.check for check in self._passed)
            yield f"  ✓ {names}: {self._passed[0].message}", ""
        self._passed.clear()
        if isinstance(event, RunFinished):
            yield from closing(view)
        elif isinstance(event, HostFailed):
            yield from _host(event)
        elif isinstance(event, AmbariTask):
            yield from self._task(event)
        elif isinstance(event, CheckFinished):
            yield from _check(event, quiet=self.quiet)
        elif isinstance(event, Notice):
            if event.level != "error" and not (self.quiet and event.level == "info"):
                yield f"  {clean(event.text)}", "yellow" if event.level == "warning" else "dim"
        elif self.quiet:
            return
        elif isinstance(event, DeployStarted):
            name = f"run {event.run}: " if event.run else ""
            dry = " (dry run: nothing is changed)" if event.dry_run else ""
            dry = " (rehearsal on a simulated Ambari: no host is touched)" if event.rehearsal else dry
            yield f"{name}cluster {event.cluster}, {count(len(event.hosts), 'host')}{dry}", ""
        elif isinstance(event, PhaseStarted):
            yield f"{TITLES[event.phase]}", "bold"
        elif isinstance(event, Change):
            yield from self._change(event)
        elif isinstance(event, RequestProgress):
            yield from self._progress(event)
        elif isinstance(event, PhaseFinished):
            yield _phase(event, view)

    def _task(self, event: AmbariTask) -> Iterator[Line]:
        bad = event.status in BAD_TASKS
        if event.status not in TASK_MARKS or (self.quiet and not bad):
            return
        took = f"  {span(event.seconds)}" if event.seconds else ""
        line = f"  {TASK_MARKS[event.status]} {event.host}: {event.role} {event.command} {event.status}{took}"
        yield line, "red" if bad else "dim" if event.status == "IN_PROGRESS" else ""
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
        same = f" (as on {first})" if first != event.host else ""
        style = "red" if event.state == "failed" else ""
        yield f"  {MARKS[event.state]} {where}{clean(event.name)}{same}{took}", style
        for text in () if same else event.detail.splitlines():
            style = "green" if text.startswith("+") else "red" if text.startswith("-") else "dim"
            yield f"      {clean(text)}", style

    def _progress(self, event: RequestProgress) -> Iterator[Line]:
        if self._live is None and event.status != "IN_PROGRESS":
            waits = f", {count(event.pending_hosts, 'host')} to come" if event.pending_hosts else ""
            percent = f"{max(event.percent, 0):.0f}%"
            context = clean(event.context.splitlines()[0] if event.context else "")
            yield f"  request {event.request} {event.status} {percent}{waits}: {context}", "dim"


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


def _passed(event: AnyEvent) -> TypeGuard[CheckFinished]:
    """Whether a check of all hosts found nothing: its message is how many they are."""
    return (
        isinstance(event, CheckFinished)
        and event.level == "ok"
        and event.host is None
        and re.fullmatch(r"\d+ hosts?", event.message) is not None
    )


def _phase(event: PhaseFinished, view: DeployView) -> Line:
    changed = "would change" if view.dry_run else "changed"
    told = {
        "changed": f"{changed}: {event.changes}",
        "unchanged": "nothing to do" if event.phase not in ("check", "verify") else "fine",
        "failed": "failed",
        "skipped": "skipped",
    }[event.state]
    note = f", {clean(event.note)}" if event.note else ""
    style = {"failed": "bold red", "changed": "green"}.get(event.state, "dim")
    return f"{MARKS[event.state]} {event.phase}: {told} in {span(event.seconds)}{note}", style


def closing(view: DeployView) -> Iterator[Line]:
    """The last words: the failure's digest, if any, and how it ended."""
    failed = view.failed
    if failed is not None and failed.failure is not None:
        yield "", ""
        yield from digest(failed.failure)
    took = span(view.seconds)
    if view.exit_code:
        yield f"failed in {took} (exit {view.exit_code})", "bold red"
    elif view.rehearsal:
        yield f"rehearsed in {took}: the plan goes through; nothing real was touched", "bold green"
    elif view.dry_run:
        yield f"{count(view.changes, 'change')} to make; nothing was changed ({took})", "bold"
    elif view.changes:
        yield f"{count(view.changes, 'change')} made in {took}", "bold green"
    else:
        yield (
            f"{_NOTHING.get(tuple(view.phases), 'nothing to change: everything is as the inventory says')} ({took})",
            ("bold green"),
        )


def digest(failure: Failure) -> Iterator[Line]:
    """Why a phase failed."""
    first, *more = clean(failure.message).splitlines() or ["failed"]
    yield f"{failure.step} failed: {first}", "bold red"
    for text in more:
        yield f"  {text}", ""
    for text in (failure.hint or "").splitlines():
        yield f"  hint: {clean(text)}", ""
    for text in failure.last_lines:
        yield f"  | {clean(text)}", "dim"
    if failure.log:
        yield f"  log: {failure.log}", ""
    if failure.rerun:
        yield f"  again: {failure.rerun}", ""
