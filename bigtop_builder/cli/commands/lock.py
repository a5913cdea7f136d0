"""The command lock."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from bigtop_builder.cli import options
from bigtop_builder.cli.commands.build import Selection
from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.model.errors import ExitCode

if TYPE_CHECKING:
    from bigtop_builder.flow.build.project import Project, Request


def lock(
    invocation: Invocation,
    components: options.Components = None,
    platform: options.Platforms = None,
    sets: options.Set = None,
    builder: options.Builder = None,
) -> None:
    """Record what compiling components downloads, so that they compile without a network.

    Compiles them without a lock first, unless the store has recorded what that downloads. Whether a lock still has
    everything shows `build --locks require`.
    """
    from bigtop_builder.flow.build.lock_writer import make_lock, recorded

    selection = Selection(
        components or [], False, platform or [], False, False, sets or [], [], builder, None, None, "ignore", False
    )
    project, request = selection.open(invocation)
    record = recorded(project, request)
    if record.unrecorded:
        _compile(invocation, project, request, [task.evaluated.name for task in record.unrecorded])
    rows = []
    for task in recorded(project, request).tasks:
        made = make_lock(project, task)
        for note in made.notes:
            invocation.say(note)
        state = "unchanged" if made.up_to_date else "written"
        if not made.up_to_date:
            made.write()
        files = sum(map(len, made.lock.downloads.values()))
        rows.append({"component": task.evaluated.name, "lock": str(made.path), "downloads": files, "state": state})
    invocation.answer("\n".join(f"{row['lock']}: {row['downloads']} downloads, {row['state']}" for row in rows), rows)


def _compile(invocation: Invocation, project: Project, request: Request, names: list[str]) -> None:
    """Build the components whose downloads are not recorded. Exits like ``build`` when that fails."""
    from bigtop_builder.cli.views.watch import Reports, watched
    from bigtop_builder.flow.build.builder import build
    from bigtop_builder.flow.packagings import PACKAGINGS

    again = replace(request, selectors=tuple(names), force=True)
    state = watched(invocation, Reports(), lambda bus: build(project, again, bus, PACKAGINGS))
    if state.exit_code != ExitCode.DONE:
        raise typer.Exit(ExitCode.DEFECT if state.exit_code is None else state.exit_code)
