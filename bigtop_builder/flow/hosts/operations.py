"""Carry out operations on hosts: in parallel, one round trip per host. A host that fails does not stop the others."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bigtop_builder.hosts.operation import Operation
from bigtop_builder.hosts.script import LAST_LINES, Outcome, parse, render
from bigtop_builder.model.errors import HostError, UnreachableHostError
from bigtop_builder.model.event import AnyEvent, Change, HostFailed, Phase

if TYPE_CHECKING:
    from bigtop_builder.adapter.ssh.fleet import Fleet
    from bigtop_builder.adapter.ssh.remote import Output, Remote

Emit = Callable[[AnyEvent], None]
Plan = Mapping[str, tuple[Operation, ...]]
"""Planned operations by host."""
Agreement = Callable[[str, Iterable[str]], None]
"""Takes the name of a change and what it disrupts; raises an error unless somebody has agreed to all of that."""


class OperationError(HostError):
    """An operation on a host failed; ``last_lines`` are the last lines of its output."""

    def __init__(self, message: str, *, hint: str | None = None, last_lines: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.last_lines = last_lines


@dataclass(frozen=True)
class WorkResult:
    """The result of a plan. ``changed``: the number of operations by host that were done, or planned in a dry run."""

    changed: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, HostError] = field(default_factory=dict)

    @property
    def changes(self) -> int:
        """The number of operations on all hosts."""
        return sum(self.changed.values())

    def error(self) -> HostError | None:
        """Return one error (exit code 8) for all failed hosts; None if none failed."""
        if not self.failed:
            return None
        if len(self.failed) == 1:
            ((host, error),) = self.failed.items()
            return error if host in error.message else HostError(f"{host}: {error.message}", hint=error.hint)
        lost = sorted(name for name, error in self.failed.items() if isinstance(error, UnreachableHostError))
        broken = sorted(set(self.failed) - set(lost))
        parts = [f"{len(lost)} unreachable ({_some(lost)})"] if lost else []
        parts += [f"{len(broken)} failed ({_some(broken)})"] if broken else []
        return HostError(f"hosts: {' and '.join(parts)}", hint="fix the problem of each and run the command again")

    def joined(self, other: WorkResult) -> WorkResult:
        """Add a later result to this one."""
        changed = {
            host: self.changed.get(host, 0) + other.changed.get(host, 0) for host in {**self.changed, **other.changed}
        }
        return WorkResult(changed, {**self.failed, **other.failed})


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def apply(fleet: Fleet, plan: Plan, *, phase: Phase, emit: Emit, dry_run: bool) -> WorkResult:
    """Carry out the operations of ``plan``; with ``dry_run`` only report them.

    Emits a Change for every operation, and a HostFailed for every host that is unreachable or where an operation
    failed; later operations of that host do not run. Hosts without operations are not contacted.
    """
    wanted = {host: operations for host, operations in plan.items() if operations}
    if dry_run:
        for host, operations in wanted.items():
            for operation in operations:
                emit(_change(phase, host, operation, "planned"))
        return WorkResult({host: len(operations) for host, operations in wanted.items()})
    if not wanted:
        return WorkResult()

    def work(remote: Remote) -> int:
        return _on_host(remote, wanted[remote.name], phase, emit)

    results = fleet.each(work, list(wanted), done=report_failure(phase, emit))
    failed = {host: result for host, result in results.items() if isinstance(result, HostError)}
    changed = {host: result for host, result in results.items() if isinstance(result, int)}
    return WorkResult(changed, failed)


def require_agreed(plans: Iterable[Plan], agreement: Agreement) -> None:
    """Raise what ``agreement`` raises for operations that stop or restart what runs, before any of them does."""
    for plan in plans:
        for host, operations in plan.items():
            for one in operations:
                agreement(f"{host}: {one.name}", disrupted(host, one))


def disrupted(host: str, operation: Operation) -> list[str]:
    """Return what an operation disrupts on a host: ``redis on node1``."""
    return [f"{service} on {host}" for service in operation.disrupts]


def report_failure(phase: Phase, emit: Emit) -> Callable[[str, object], None]:
    """A callback for ``Fleet.each`` that emits a HostFailed if the result of a host is an error."""

    def report(host: str, result: object) -> None:
        if isinstance(result, HostError):
            emit(
                HostFailed(
                    phase=phase,
                    host=host,
                    kind="unreachable" if isinstance(result, UnreachableHostError) else "failed",
                    message=result.message,
                    hint=result.hint,
                    last_lines=list(getattr(result, "last_lines", ())),
                )
            )

    return report


def _on_host(remote: Remote, operations: tuple[Operation, ...], phase: Phase, emit: Emit) -> int:
    """Run all operations on a host and return their number. Raises HostError."""
    mark = f"bigtop-builder-{secrets.token_hex(8)}"
    script, stdin = render(operations, mark)
    output = remote.run(script, stdin=stdin)
    outcomes = parse(output.stdout, mark)
    for outcome in outcomes:
        operation = operations[outcome.index]
        emit(_change(phase, remote.name, operation, "failed" if outcome.code else "done", outcome))
    if outcomes and outcomes[-1].code:
        last = outcomes[-1]
        raise OperationError(
            f"{operations[last.index].name}: exit code {last.code}",
            hint="fix the cause on the host and run the command again: finished operations are not repeated",
            last_lines=last.lines,
        )
    if len(outcomes) < len(operations):
        raise _ended_early(operations, outcomes, output)
    return len(operations)


def _ended_early(operations: tuple[Operation, ...], outcomes: tuple[Outcome, ...], output: Output) -> OperationError:
    return OperationError(
        f"the script ended with exit code {output.code} during: {operations[len(outcomes)].name}",
        hint="run the command again: finished operations are not repeated",
        last_lines=tuple((output.stdout + output.stderr).splitlines()[-LAST_LINES:]),
    )


def _change(
    phase: Phase,
    host: str,
    operation: Operation,
    state: Literal["planned", "done", "failed"],
    outcome: Outcome | None = None,
) -> Change:
    return Change(
        phase=phase,
        host=host,
        name=operation.name,
        state=state,
        detail=operation.detail,
        seconds=outcome.seconds if outcome else 0.0,
        disrupts=disrupted(host, operation),
    )
