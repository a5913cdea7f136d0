"""The summary of a run: as data for programs, as Markdown for a pipeline's page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from bigtop_builder.cli.text_format import clean, escaped, size, span
from bigtop_builder.cli.views import phase_lines
from bigtop_builder.cli.views.closing import MARKS, failure_groups, group_digest, group_title, headline, phase_digest
from bigtop_builder.flow.run.build_state import ComponentState, Shown
from bigtop_builder.flow.run.deploy_state import PhaseState
from bigtop_builder.flow.run.state import RunState
from bigtop_builder.model.event import Failure
from bigtop_builder.model.outcome import Artifact, CacheFigures

_MARKDOWN = re.compile(r"[\\`*_\[\]<>#|!&~@]")


class ComponentSummary(BaseModel):
    """The result of one component on one platform."""

    component: str
    """The component."""
    platform: str
    """The platform."""
    state: Shown
    """How it ended; ``waiting`` or ``running`` in a run that has not ended."""
    seconds: float
    """How long its compile and package tasks ran together."""
    reasons: list[str]
    """Why it was built, reused or refused."""
    packages: list[Artifact]
    """The packages that it made or reused."""
    failure: Failure | None
    """Why it failed."""
    blocked_by: str | None
    """The failed task that kept it from being built."""
    notes: list[str]
    """What to know about the result."""
    identical: bool | None = None
    """Whether a second build gave the same bytes; ``null`` when there was none."""
    differences: list[str] = []
    """The first differences of the second build."""


class RunSummary(BaseModel):
    """What ``build --json`` prints."""

    run: str
    """The name of the run, as ``logs --run`` takes it."""
    exit_code: int | None
    """``null`` when the run was killed or has not ended."""
    seconds: float
    """How long the run took."""
    components: list[ComponentSummary]
    """The result of each component on each platform."""
    warnings: list[str]
    """The warnings and errors that belong to no step."""
    caches: dict[str, CacheFigures] = {}
    """The use of each download cache, and of the store's ``sources``."""


def summary(state: RunState) -> RunSummary:
    """Return a build as data."""
    return RunSummary(
        run=state.run,
        exit_code=state.exit_code,
        seconds=round(state.elapsed, 3),
        components=[_component(component) for component in state.build.components()],
        warnings=[notice.text for notice in state.notices if notice.level != "info"],
        caches=state.build.caches,
    )


def json_data(state: RunState) -> dict[str, Any]:
    """Return what ``--json`` and ``--summary`` say of a run: of a build its RunSummary, of a deployment its phases."""
    data: dict[str, Any] = summary(state).model_dump(mode="json") if state.has_tasks or not state.has_phases else {}
    return data | _deploy_data(state) if state.has_phases else data


def markdown(state: RunState) -> str:
    """Return a page: tables of components, packages, caches and phases, and the digest of each failure."""
    lines = [f"## bigtop-builder: {headline(state)}", ""]
    if state.has_tasks:
        lines += _build_page(state)
    if state.has_phases:
        lines += _deploy_page(state)
    return "\n".join(lines) + "\n"


def _component(component: ComponentState) -> ComponentSummary:
    return ComponentSummary(
        component=component.component,
        platform=component.platform,
        state=component.state,
        seconds=round(component.seconds, 3),
        reasons=component.reasons,
        packages=component.artifacts,
        failure=component.culprit.failure,
        blocked_by=component.culprit.blocked_by,
        notes=component.notes,
        identical=component.identical,
        differences=component.differences,
    )


def _deploy_data(state: RunState) -> dict[str, Any]:
    deploy = state.deploy
    return {
        "run": state.run,
        "cluster": deploy.cluster,
        "dry_run": deploy.dry_run,
        "rehearsal": deploy.rehearsal,
        "exit_code": state.exit_code,
        "seconds": round(state.elapsed, 3),
        "changes": deploy.changes,
        "phases": [_phase_data(phase) for phase in deploy.phases.values()],
        "notices": [{"level": notice.level, "text": notice.text} for notice in state.notices],
    }


def _phase_data(phase: PhaseState) -> dict[str, Any]:
    hidden = {"event", "time", "phase"}
    return {
        "phase": phase.name,
        "state": phase.state,
        "seconds": round(phase.seconds, 3),
        "changes": [change.model_dump(mode="json", exclude=hidden) for change in phase.changes],
        "checks": [check.model_dump(mode="json", exclude=hidden) for check in phase.checks],
        "hosts": [host.model_dump(mode="json", exclude=hidden) for host in phase.hosts],
        "requests": [request.model_dump(mode="json", exclude=hidden) for request in phase.requests.values()],
        "failed_tasks": [task.model_dump(mode="json", exclude=hidden) for task in phase.failed_tasks],
        "note": phase.note,
        "failure": phase.failure.model_dump(mode="json") if phase.failure else None,
    }


def _build_page(state: RunState) -> Iterator[str]:
    components = state.build.components()
    yield from ("| | component | platform | state | time | packages |", "|---|---|---|---|---:|---:|")
    for one in components:
        yield (
            f"| {MARKS[one.state]} | {one.component} | {one.platform} | {one.state} "
            f"| {span(one.seconds)} | {len(one.artifacts)} |"
        )
    packages = [package for one in components for package in one.artifacts]
    if packages:
        yield from ("", "| package | size | sha256 |", "|---|---:|---|")
        yield from (f"| {_code(package.file)} | {size(package.size)} | `{package.sha256}` |" for package in packages)
    if state.build.caches:
        yield from ("", "| cache | requests | hits | reused | downloaded |", "|---|---:|---:|---:|---:|")
        for name, used in sorted(state.build.caches.items()):
            yield f"| {_cell(name)} | {used.asked} | {used.hit} | {size(used.hit_bytes)} | {size(used.new_bytes)} |"
    compared = [one for one in components if one.identical is not None]
    if compared:
        yield from ("", "| built twice | |", "|---|---|")
        for one in compared:
            first = "".join(f": {_code(difference)}" for difference in one.differences[:1])
            yield f"| {one.name} | {'identical' if one.identical else 'differs' + first} |"
    for group in failure_groups(components):
        yield from _fenced(f"{group_title(group)} failed", "\n".join(text for text, _ in group_digest(group)))


def _deploy_page(state: RunState) -> Iterator[str]:
    yield from ("| | phase | state | changes | time | note |", "|---|---|---|---:|---:|---|")
    for phase in state.deploy.phases.values():
        mark = phase_lines.MARKS.get(phase.state, "·")
        yield (
            f"| {mark} | {phase.name} | {phase.state} | {phase.changed} | {span(phase.seconds)} | {_cell(phase.note)} |"
        )
    failed = state.deploy.failed
    if failed is not None and failed.failure is not None:
        yield from _fenced(f"{failed.name} failed", "\n".join(text for text, _ in phase_digest(failed.failure)))


def _cell(text: str) -> str:
    """Return a text as the cell of a table, in which no character is Markdown or HTML."""
    line = " ".join(escaped(clean(text)).split())
    return _MARKDOWN.sub(lambda found: f"&#{ord(found[0])};", line)


def _code(text: str) -> str:
    """Return a text as code in the cell of a table."""
    line = " ".join(escaped(clean(text)).split())
    return f"`{line.replace('`', chr(39)).replace('|', chr(92) + '|')}`"


def _fenced(title: str, text: str) -> Iterator[str]:
    """Yield a section whose fence is longer than any in the text."""
    fence = "`" * max(3, _longest_fence(text) + 1)
    yield from ("", f"### {title}", "", fence + "text", text, fence)


def _longest_fence(text: str) -> int:
    longest = current = 0
    for character in text:
        current = current + 1 if character == "`" else 0
        longest = max(longest, current)
    return longest
