"""Commands for the store: shell, images, gc, store verify."""

from __future__ import annotations

import json
import os
import re
import shlex
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from bigtop_builder.cli import options
from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.model.errors import ConfigurationError, ExitCode, HostError

if TYPE_CHECKING:
    from bigtop_builder.flow.distributed.outcome import FailureElsewhere

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def shell(
    invocation: Invocation,
    component: Annotated[
        str | None,
        typer.Argument(
            metavar="COMPONENT",
            help="A component, or COMPONENT@PLATFORM. Default: list the failed builds.",
            show_default=False,
            autocompletion=options.complete_component,
        ),
    ] = None,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMMAND", help="The command to run, after --. Default: bash.", show_default=False),
    ] = None,
) -> None:
    """Open a shell in the container of a failed build, also in one that a worker of a cluster has, over SSH."""
    from bigtop_builder.cli.text_format import columns
    from bigtop_builder.flow.build.shell import failed_builds, newest_failure, open_failed
    from bigtop_builder.flow.distributed.outcome import failure_elsewhere, failures_elsewhere
    from bigtop_builder.flow.open_project import open_project

    project = open_project(invocation.settings())
    if component is not None:
        away = failure_elsewhere(project.store, component)
        if away is not None:
            _open_elsewhere(invocation, away, command)
        tree = newest_failure(project, component)
        code = open_failed(project, tree, tuple(command or ("bash",)))
        if command is None and tree.data.get("ingredients") and tree.task.endswith("/compile"):
            invocation.say(
                "If $STAGE holds the result now, package it with: bigtop-builder build "
                f"{tree.data['component']} --from-shell. Otherwise the next failure of this build replaces the tree."
            )
        raise typer.Exit(code)
    builds = [*failed_builds(project), *map(_row, failures_elsewhere(project.store))]
    invocation.answer(columns([(build["task"], build["step"], build["folder"]) for build in builds]), builds)
    if not builds:
        invocation.say("no failed builds")


def _row(away: FailureElsewhere) -> dict[str, str]:
    return {
        "task": away.task,
        "component": away.component,
        "platform": away.platform,
        "step": away.step,
        "folder": f"on the worker {away.worker}",
    }


def _open_elsewhere(invocation: Invocation, away: FailureElsewhere, command: list[str] | None) -> NoReturn:
    """Become the command that opens the shell on a worker."""
    rest = ["--", *map(shlex.quote, command)] if command else []
    argv = [*shlex.split(away.command), *rest]
    invocation.say(f"The tree of this failure is on the worker {away.worker}: {shlex.join(argv)}")
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        raise HostError(
            f"{argv[0]} cannot be run: {error.strerror}", hint="Run the command above where you have SSH."
        ) from error


def images(invocation: Invocation) -> None:
    """List the images that were built, the newest first."""
    from bigtop_builder.adapter.containers.image_record import recorded
    from bigtop_builder.adapter.store import Store
    from bigtop_builder.cli.text_format import columns

    store = Store(invocation.settings().store)
    found = [recorded(store, path.stem) for path in (store.root / "images").glob("*.json")]
    records = sorted((record for record in found if record), key=lambda record: record.made_at, reverse=True)
    rows = [
        (
            record.name,
            record.tag,
            record.fingerprint[:12],
            time.strftime("%Y-%m-%d %H:%M", time.localtime(record.made_at)),
        )
        for record in records
    ]
    invocation.answer(columns(rows), [asdict(record) for record in records])
    if not records:
        invocation.say("no images yet")


def gc(
    invocation: Invocation,
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="TIME", help="Remove what was not used for this long: 12h, 30d, 8w.")
    ] = "30d",
    max_size: Annotated[
        str | None,
        typer.Option(
            "--max-size",
            metavar="SIZE",
            help="Then remove the least recently used, down to this size: 500m, 50g.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Show what would go and remove nothing.")] = False,
) -> None:
    """Remove old results from the store. Published repositories and running builds are not affected."""
    from bigtop_builder.adapter.store import Store
    from bigtop_builder.cli.text_format import columns, count, size
    from bigtop_builder.flow.build.collector import collect
    from bigtop_builder.model.base import BYTES

    age = amount("--older-than", older_than, UNITS)
    limit = None if max_size is None else amount("--max-size", max_size, BYTES)
    collected = collect(Store(invocation.settings().store), max_age=age, max_size=limit, dry_run=dry_run)
    rows = [(item.kind, item.name, size(item.size)) for item in collected.removed]
    data = {
        "dry_run": dry_run,
        "freed_bytes": collected.freed_bytes,
        "kept_bytes": collected.kept_bytes,
        "removed": json.loads(json.dumps([asdict(item) for item in collected.removed], default=str)),
    }
    invocation.answer(columns(rows), data)
    if any(item.kind == "failed" for item in collected.removed):
        invocation.say(
            "Of what is listed as failed, shell cannot enter the tree any more"
            + (": keep one that you finished with build NAME --from-shell." if dry_run else ".")
        )
    verb = "would free" if dry_run else "freed"
    chosen = f"unused for {older_than}" + (f" or beyond {max_size}" if max_size else "")
    invocation.say(
        f"{verb} {size(collected.freed_bytes)} in {count(len(rows), 'item')} {chosen}; "
        f"{size(collected.kept_bytes)} kept"
    )


def verify(
    invocation: Invocation,
    remove: Annotated[
        bool,
        typer.Option("--remove", help="Remove what does not match, so that the next build makes it again."),
    ] = False,
) -> None:
    """Measure every source, staged tree and package in the store against its recorded digest.

    Exits with 2 if something does not match, unless --remove removed all of it.
    """
    from bigtop_builder.adapter.measure import Altered, altered_items
    from bigtop_builder.adapter.measure import remove as remove_altered
    from bigtop_builder.adapter.store import COLLECTING, Store
    from bigtop_builder.cli.text_format import columns, count

    store, measured = Store(invocation.settings().store).open(), 0
    found: list[tuple[Altered, bool]] = []
    with store.locked(COLLECTING, shared=True):
        for item in altered_items(store):
            measured += 1
            if item is not None:
                found.append((item, remove and remove_altered(store, item)))
    rows = [(item.kind, item.task or item.name, item.why) for item, _ in found]
    data = [{**asdict(item), "removed": gone} for item, gone in found]
    invocation.answer(columns(rows), {"measured": measured, "altered": data})
    gone = sum(gone for _, gone in found)
    invocation.say(
        f"{count(measured, 'item')} measured, {count(len(found), 'item')} not as recorded"
        + (f", {gone} removed: the next build makes them again" if gone else "")
    )
    if gone < len(found):
        if not remove:
            invocation.say("Remove them with: bigtop-builder store verify --remove")
        raise typer.Exit(ExitCode.USAGE)


def amount(option: str, text: str, units: dict[str, int]) -> int:
    """Return ``30d`` as seconds, ``50g`` as bytes. Raises ConfigurationError."""
    match = re.fullmatch(r"(\d+)([a-z])", text)
    if match is None or match[2] not in units:
        raise ConfigurationError(f"{option} {text!r} is not a number with one of the units {', '.join(units)}")
    return int(match[1]) * units[match[2]]
