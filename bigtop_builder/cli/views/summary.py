"""The summary of a run: as data for programs, as Markdown for a pipeline's page, as lines for a person."""

from __future__ import annotations

from pydantic import BaseModel

from bigtop_builder.cli.views.build_fold import ComponentView, RunView, Shown
from bigtop_builder.cli.wording import clean, count, size, span
from bigtop_builder.model.event import Artifact, CacheFigures, Failure

MARKS: dict[Shown, str] = {
    "done": "✓",
    "reused": "=",
    "failed": "✗",
    "blocked": "⊘",
    "cancelled": "-",
    "refused": "!",
    "running": "…",
    "waiting": "·",
}


class ComponentSummary(BaseModel):
    """What became of one component on one platform. ``seconds`` counts its compile and package tasks."""

    component: str
    platform: str
    state: Shown
    seconds: float
    reasons: list[str]
    """Why it was built, reused or refused."""
    packages: list[Artifact]
    failure: Failure | None
    blocked_by: str | None
    notes: list[str]
    identical: bool | None = None
    """Whether a second build gave the same bytes; ``null`` when none was asked for."""
    differences: list[str] = []
    """The first of what a second build gave otherwise."""


class RunSummary(BaseModel):
    """What ``build --json`` prints."""

    run: str
    """The name of the run: what ``logs --run`` takes."""
    exit_code: int | None
    """``null`` when the run was killed or is still going on."""
    seconds: float
    components: list[ComponentSummary]
    warnings: list[str]
    caches: dict[str, CacheFigures] = {}
    """What was asked of each download cache, and of the store's ``sources``."""


def summary(view: RunView) -> RunSummary:
    """The run as data."""
    return RunSummary(
        run=view.run,
        exit_code=view.exit_code,
        seconds=round(view.elapsed, 3),
        components=[_component(component) for component in view.components()],
        warnings=[notice.text for notice in view.notices if notice.level != "info"],
        caches=view.caches,
    )


def _component(view: ComponentView) -> ComponentSummary:
    return ComponentSummary(
        component=view.component,
        platform=view.platform,
        state=view.state,
        seconds=round(view.seconds, 3),
        reasons=view.reasons,
        packages=view.artifacts,
        failure=view.culprit.failure,
        blocked_by=view.culprit.blocked_by,
        notes=view.notes,
        identical=view.identical,
        differences=view.differences,
    )


def headline(view: RunView) -> str:
    """``2 done, 1 reused, 1 failed in 3m10s``."""
    totals = view.totals()
    states = ", ".join(f"{totals[state]} {state}" for state in MARKS if state in totals)
    return f"{states or 'nothing to do'} in {span(view.elapsed)}"


def markdown(view: RunView) -> str:
    """Tables of components and packages, and the digest of each failure."""
    components = view.components()
    lines = [f"## bigtop-builder: {headline(view)}", ""]
    lines += ["| | component | platform | state | time | packages |", "|---|---|---|---|---:|---:|"]
    for component in components:
        lines.append(
            f"| {MARKS[component.state]} | {component.component} | {component.platform} | {component.state} "
            f"| {span(component.seconds)} | {len(component.artifacts)} |"
        )
    if any(component.artifacts for component in components):
        lines += ["", "| package | size | sha256 |", "|---|---:|---|"]
        for component in components:
            for package in component.artifacts:
                lines.append(f"| `{package.file}` | {size(package.size)} | `{package.sha256}` |")
    if view.caches:
        lines += ["", "| cache | asked | hit | reused | downloaded |", "|---|---:|---:|---:|---:|"]
        for name, figures in sorted(view.caches.items()):
            lines.append(
                f"| {name} | {figures.asked} | {figures.hit} | {size(figures.hit_bytes)} | {size(figures.new_bytes)} |"
            )
    if any(component.identical is not None for component in components):
        lines += ["", "| built twice | |", "|---|---|"]
        for component in components:
            if component.identical is not None:
                first = "".join(f": `{clean(difference)}`" for difference in component.differences[:1])
                lines.append(f"| {component.name} | {'identical' if component.identical else 'differs' + first} |")
    for component in failures(components):
        text = "\n".join(digest(component))
        fence = "`" * max(3, _longest_fence(text) + 1)
        lines += ["", f"### {component.name} failed", "", fence + "text", text, fence]
    return "\n".join(lines) + "\n"


def _longest_fence(text: str) -> int:
    longest = current = 0
    for character in text:
        current = current + 1 if character == "`" else 0
        longest = max(longest, current)
    return longest


def failures(components: list[ComponentView]) -> list[ComponentView]:
    """Those that failed; a compile that failed for several platforms is told once."""
    failed = {
        view.culprit.planned.task: view
        for view in reversed(components)
        if view.state == "failed" and view.culprit.failure
    }
    return list(reversed(failed.values()))


def digest(component: ComponentView) -> list[str]:
    """Why a component failed: step, probable cause, last lines, where the log is, how to run it again."""
    failure = component.culprit.failure
    if failure is None:
        return []
    lines = [clean(f"{component.name} failed in {failure.step}: {failure.message}")]
    if failure.last_lines:
        lines.append("  last lines:")
        lines += [f"    | {clean(line)}" for line in failure.last_lines]
    facts = {"probable cause": failure.cause, "what to do": failure.hint, "log": failure.log, "again": failure.rerun}
    width = max(len(name) for name in facts) + 1
    lines += [f"  {name + ':':<{width}} {clean(text)}" for name, text in facts.items() if text]
    return lines


def closing(view: RunView) -> list[str]:
    """The last words of a run for a person: what did not come, then the digest of each failure, then the count."""
    components = view.components()
    lines: list[str] = []
    for component in components:
        if component.state == "refused":
            reasons = "; ".join(component.culprit.planned.reasons) or "see the plan"
            lines.append(f"{component.name} refused: {reasons}")
        elif component.state == "blocked":
            lines.append(f"{component.name} blocked by {component.culprit.blocked_by or 'a failure'}")
    for component in failures(components):
        lines += ["", *digest(component)]
    for component in components:
        if component.identical is False:
            lines.append(f"{component.name} is not reproducible: a second build gave other bytes")
            lines += [f"    {clean(difference)}" for difference in component.differences]
    if lines:
        lines.append("")
    same = sum(component.identical is True for component in components)
    if same:
        lines.append(f"built twice and identical to the byte: {count(same, 'component')}")
    lines += [_asked(name, figures) for name, figures in sorted(view.caches.items())]
    packages = [package for component in components for package in component.artifacts]
    total = f", {count(len(packages), 'package')}" if packages else ""
    weight = f" of {size(sum(package.size for package in packages))}" if packages else ""
    return [*lines, headline(view) + total + weight]


def _asked(name: str, figures: CacheFigures) -> str:
    """``cache maven: 314 asked, 312 hit (120 MiB), 2.0 MiB downloaded``."""
    place = name if name == "sources" else f"cache {name}"
    return (
        f"{place}: {figures.asked} asked, {figures.hit} hit ({size(figures.hit_bytes)}), "
        f"{size(figures.new_bytes)} downloaded"
    )
