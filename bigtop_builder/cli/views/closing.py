"""The last words of a run for a person: what failed and why, then one line that sums it up."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bigtop_builder.cli.text_format import Line, clean, count, size, span
from bigtop_builder.flow.run.build_state import ComponentState, Shown
from bigtop_builder.flow.run.deploy_state import DeployState
from bigtop_builder.flow.run.state import RunState
from bigtop_builder.model.event import Failure, Phase
from bigtop_builder.model.outcome import CacheFigures

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
NO_CHANGES: dict[tuple[Phase, ...], str] = {
    ("check",): "no problems found",
    ("verify",): "all checks passed",
    ("destroy",): "nothing to remove",
    ("rollback",): "nothing to change",
}
"""What runs of one phase say when they changed nothing."""

FURTHER = re.compile(r"\.(?:x86_64|aarch64)$")
"""What is behind a platform's name on a further architecture, whose packages are in the platform's folder."""


def headline(state: RunState) -> str:
    """``2 done, 1 reused, 1 failed in 3m10s``, ``3 changes on cluster c1``, ``failed in start on cluster c1``."""
    parts = [_deploy_headline(state.deploy)] if state.has_phases else []
    if state.has_tasks:
        totals = state.build.totals()
        states = ", ".join(f"{totals[name]} {name}" for name in MARKS if name in totals)
        parts.insert(0, f"{states or ('nothing to do' if state.kind == 'build' else 'done')} in {span(state.elapsed)}")
    return "; ".join(parts)


def _deploy_headline(deploy: DeployState) -> str:
    where = f" on cluster {deploy.cluster}" if deploy.cluster else ""
    if deploy.failed is not None:
        return f"failed in {deploy.failed.name}{where}"
    how = " to make" if deploy.dry_run else " rehearsed" if deploy.rehearsal else ""
    return f"{count(deploy.changes, 'change')}{how}{where}"


def failures(components: list[ComponentState]) -> list[ComponentState]:
    """Return those that failed; a compile that failed for several platforms counts once."""
    failed = {
        one.culprit.planned.task: one for one in reversed(components) if one.state == "failed" and one.culprit.failure
    }
    return list(reversed(failed.values()))


def failure_groups(components: list[ComponentState]) -> list[list[ComponentState]]:
    """Return what failed, those with the same cause together."""
    groups: dict[object, list[ComponentState]] = {}
    for one in failures(components):
        failure = one.culprit.failure
        assert failure is not None
        evidence = failure.cause or (failure.message, *failure.first_error)
        groups.setdefault((failure.step, evidence, failure.hint), []).append(one)
    return list(groups.values())


def group_title(group: list[ComponentState]) -> str:
    """``hive@el8``, or ``8 components``."""
    return group[0].name if len(group) == 1 else count(len(group), "component")


def group_digest(group: list[ComponentState]) -> list[Line]:
    """Return why components failed that have one cause: the digest of the first, with the names of all."""
    lines = component_digest(group[0])
    if len(group) == 1:
        return lines
    failure = group[0].culprit.failure
    assert failure is not None
    names = ", ".join(one.name for one in group)
    head = clean(f"{len(group)} components failed in {failure.step} for one cause: {failure.message}")
    others = [one.component for one in group[1:]]
    return [
        (head, "bold red"),
        (f"  components: {names}", ""),
        *((line.replace(failure.rerun or "\0", "bigtop-builder build --failed"), style) for line, style in lines[1:]),
        (f"  logs of the others: bigtop-builder logs {others[0]}" + (", …" if others[1:] else ""), ""),
    ]


def component_digest(component: ComponentState) -> list[Line]:
    """Return why a component failed: step, first error, last lines, probable cause, hint, log, what to do next."""
    failure = component.culprit.failure
    if failure is None:
        return []
    lines = [(clean(f"{component.name} failed in {failure.step}: {failure.message}"), "bold red")]
    lines += _quoted("first error", failure.first_error)
    if not set(failure.last_lines) <= set(failure.first_error):
        lines += _quoted("last lines", failure.last_lines)
    facts = {
        "probable cause": failure.cause,
        "hint": failure.hint,
        "log": failure.log,
        "look inside": failure.shell,
        "run again": failure.rerun,
    }
    width = max(len(name) for name in facts) + 1
    return [*lines, *((f"  {name + ':':<{width}} {clean(text)}", "") for name, text in facts.items() if text)]


def _quoted(title: str, quoted: list[str]) -> list[Line]:
    return [(f"  {title}:", ""), *((f"    | {clean(line)}", "") for line in quoted)] if quoted else []


def phase_digest(failure: Failure) -> list[Line]:
    """Return why a phase failed: message, hint, last lines, log, and how to run it again."""
    first, *more = clean(failure.message).splitlines() or ["failed"]
    lines = [(f"{failure.step} failed: {first}", "bold red")]
    lines += [(f"  {text}", "") for text in more]
    lines += [(f"  hint: {clean(text)}", "") for text in (failure.hint or "").splitlines()]
    lines += [(f"  | {clean(text)}", "dim") for text in failure.last_lines]
    lines += [(f"  log: {failure.log}", "")] if failure.log else []
    return [*lines, (f"  run again: {failure.rerun}", "")] if failure.rerun else lines


def closing(state: RunState) -> Iterator[Line]:
    """Yield the last words of a run."""
    if state.has_tasks:
        yield from _build_closing(state)
    if state.has_phases:
        yield from _deploy_closing(state)


def _build_closing(state: RunState) -> Iterator[Line]:
    components = state.build.components()
    problems = [*_not_built(components), *_not_identical(components)]
    yield from problems
    if problems:
        yield "", ""
    same = sum(component.identical is True for component in components)
    if same:
        yield f"built twice, byte-identical: {count(same, 'component')}", ""
    for name, figures in sorted(state.build.caches.items()):
        yield _cache(name, figures), ""
    yield _headline_with_packages(state), "bold red" if state.exit_code else "bold green"
    yield from _next(state, components)


def _next(state: RunState, components: list[ComponentState]) -> Iterator[Line]:
    """Yield where the packages are, and what comes next."""
    platforms = dict.fromkeys(FURTHER.sub("", one.platform) for one in components if one.artifacts)
    if state.output:
        yield from ((f"packages: {state.output}/{platform}", "") for platform in platforms)
    commands = []
    if len(failures(components)) > 1:
        commands.append("bigtop-builder build --failed")
    if platforms and state.kind == "build" and not state.exit_code:
        commands.append("bigtop-builder repo publish")
    if commands:
        yield f"next: {', '.join(commands)}", ""


def _headline_with_packages(state: RunState) -> str:
    """``2 done in 3m10s, 5 packages of 120 MiB``."""
    packages = [package for component in state.build.components() for package in component.artifacts]
    if not packages:
        return headline(state)
    total = size(sum(package.size for package in packages))
    return f"{headline(state)}, {count(len(packages), 'package')} of {total}"


def _not_built(components: list[ComponentState]) -> Iterator[Line]:
    """Yield what was refused or blocked, then the digest of each failure."""
    for component in components:
        if component.state == "refused":
            yield f"{component.name} refused: {'; '.join(component.culprit.planned.reasons) or 'see the plan'}", ""
        elif component.state == "blocked":
            yield f"{component.name} blocked by {component.culprit.blocked_by or 'a failure'}", ""
    for group in failure_groups(components):
        yield "", ""
        yield from group_digest(group)


def _not_identical(components: list[ComponentState]) -> Iterator[Line]:
    for component in components:
        if component.identical is False:
            yield f"{component.name} is not reproducible: the bytes of a second build differ", ""
            yield from ((f"    {clean(difference)}", "") for difference in component.differences)


def _cache(name: str, figures: CacheFigures) -> str:
    """``cache maven: 314 requests, 312 hits (120 MiB), 2.0 MiB downloaded``."""
    place = name if name == "sources" else f"cache {name}"
    use = f"{count(figures.asked, 'request')}, {count(figures.hit, 'hit')} ({size(figures.hit_bytes)})"
    return f"{place}: {use}, {size(figures.new_bytes)} downloaded"


def _deploy_closing(state: RunState) -> Iterator[Line]:
    deploy, took = state.deploy, span(state.elapsed)
    if deploy.failed is not None and deploy.failed.failure is not None:
        yield "", ""
        yield from phase_digest(deploy.failed.failure)
    if state.exit_code:
        yield f"failed in {took} (exit {state.exit_code})", "bold red"
    elif deploy.rehearsal:
        yield f"rehearsed in {took}: the plan succeeds; nothing real was touched", "bold green"
    elif deploy.dry_run:
        yield f"{count(deploy.changes, 'change')} to make; nothing was changed ({took})", "bold"
    elif deploy.changes:
        yield f"{count(deploy.changes, 'change')} made in {took}", "bold green"
    else:
        text = NO_CHANGES.get(tuple(deploy.phases), "nothing to change: everything matches the inventory")
        yield f"{text} ({took})", "bold green"
