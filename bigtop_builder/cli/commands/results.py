"""Commands for the results that a team shares: stat, verify, gc."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from bigtop_builder.cli.commands.store import UNITS, amount
from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.model.errors import ConfigurationError, ExitCode

if TYPE_CHECKING:
    from bigtop_builder.adapter.results.shared_results import SharedResults
    from bigtop_builder.plan.task import Kind


def _open(invocation: Invocation) -> SharedResults:
    from bigtop_builder.flow.build.result_sharing import open_results

    results = open_results(invocation.settings())
    if results is None:
        raise ConfigurationError(
            "this project names no shared results",
            hint="Set results.url in bigtop-builder.yaml; see docs/results.md.",
        )
    return results


def _planned(invocation: Invocation) -> list[tuple[str, Kind, str]]:
    """Return task, kind and key of everything that the project can build."""
    from bigtop_builder.flow.build.project import Request
    from bigtop_builder.flow.open_project import open_project

    plan = open_project(invocation.settings()).plan(Request(everything=True, force=True))
    return [(task.id, task.kind, task.key) for task in plan.tasks]


def stat(invocation: Invocation) -> None:
    """Show how many results are there, and how much they take. Over HTTP: which of this project's are there."""
    from bigtop_builder.adapter.results.folder import FolderPlace
    from bigtop_builder.adapter.results.upkeep import contents, missing
    from bigtop_builder.cli.text_format import columns, count, size

    results = _open(invocation)
    if isinstance(results.place, FolderPlace):
        found = contents(results.place)
        used = time.strftime("%Y-%m-%d", time.localtime(found.oldest)) if found.oldest else "never"
        text = (
            f"{results.place.address}: {count(found.records, 'record')} and {count(found.files, 'file')} of "
            f"{size(found.size)}, the longest unused since {used}\n"
        )
        invocation.answer(text, {"address": results.place.address, **asdict(found)})
        return
    planned = _planned(invocation)
    lost = set(missing(results, [(kind, key) for _, kind, key in planned]))
    rows = [(task, "missing" if (kind, key) in lost else "there") for task, kind, key in planned]
    invocation.answer(
        columns(rows),
        {"address": results.place.address, "tasks": [{"task": task, "state": state} for task, state in rows]},
    )
    invocation.say(f"{results.place.address}: {len(planned) - len(lost)} of {count(len(planned), 'result')} are there")


def verify(invocation: Invocation) -> None:
    """Check every signature, and in a folder measure every file. Over HTTP: the results of this project.

    Exits with 2 if something is unsound.
    """
    from bigtop_builder.adapter.results.folder import FolderPlace
    from bigtop_builder.adapter.results.upkeep import missing, unsound, unsound_files, unsound_records
    from bigtop_builder.cli.text_format import columns, count

    results = _open(invocation)
    if isinstance(results.place, FolderPlace):
        verdicts = [*unsound_records(results, results.place), *unsound_files(results.place)]
    else:
        planned = [(kind, key) for _, kind, key in _planned(invocation)]
        lost = set(missing(results, planned))
        verdicts = [unsound(results, kind, key) for kind, key in planned if (kind, key) not in lost]
    wrong = [verdict for verdict in verdicts if verdict is not None]
    rows = [(one.name, one.why) for one in wrong]
    invocation.answer(columns(rows), {"checked": len(verdicts), "unsound": [asdict(one) for one in wrong]})
    invocation.say(f"{count(len(verdicts), 'item')} checked, {len(wrong)} unsound")
    if wrong:
        invocation.say("Nobody takes what is unsound. Remove these files there; the next build puts them there again.")
        raise typer.Exit(ExitCode.USAGE)


def gc(
    invocation: Invocation,
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="TIME", help="Remove what nobody used for this long: 12h, 30d, 8w.")
    ] = "30d",
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Show what would go and remove nothing.")] = False,
) -> None:
    """Remove results that nobody used for long, and files that no result needs, from a folder of shared results."""
    from bigtop_builder.adapter.results.folder import FolderPlace
    from bigtop_builder.adapter.results.upkeep import collect
    from bigtop_builder.cli.text_format import columns, count, size

    age = amount("--older-than", older_than, UNITS)
    results = _open(invocation)
    if not isinstance(results.place, FolderPlace):
        raise ConfigurationError(
            f"plain HTTP cannot list what {results.place.address} has",
            hint="Run this where the server keeps its files, with results.url set to that folder, or let the server "
            "expire them.",
        )
    removed = collect(results.place, age, dry_run=dry_run)
    freed = sum(one for _, one in removed)
    rows = [(name, size(one)) for name, one in removed]
    invocation.answer(
        columns(rows), {"dry_run": dry_run, "freed_bytes": freed, "removed": [name for name, _ in removed]}
    )
    verb = "would free" if dry_run else "freed"
    invocation.say(f"{verb} {size(freed)} in {count(len(removed), 'file')} unused for {older_than}")
