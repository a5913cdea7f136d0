"""Commands about hosts: hosts check, hosts prepare."""

from __future__ import annotations

import typer

from bigtop_builder.cli.commands.deploy import DryRun, Events, InventoryFile, Junit, Testbed, watched
from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.model.errors import ExitCode


def check(
    invocation: Invocation,
    inventory: InventoryFile,
    testbed: Testbed = None,
    junit: Junit = None,
    events: Events = None,
) -> None:
    """Look at all hosts, and tell what Ambari and Hadoop will trip over. Nothing is changed."""
    from bigtop_builder.flow.deploy import deployment_run

    view = watched(
        invocation, inventory, testbed, lambda call: deployment_run.hosts(call, "check"), events=events, junit=junit
    )
    raise typer.Exit(ExitCode.DEFECT if view.exit_code is None else view.exit_code)


def prepare(
    invocation: Invocation,
    inventory: InventoryFile,
    testbed: Testbed = None,
    dry_run: DryRun = False,
    junit: Junit = None,
    events: Events = None,
) -> None:
    """Set what the hosts lack: repositories, Java, time, limits, kernel settings, users. A second run does nothing."""
    from bigtop_builder.flow.deploy import deployment_run

    view = watched(
        invocation,
        inventory,
        testbed,
        lambda call: deployment_run.hosts(call, "prepare", dry_run=dry_run),
        events=events,
        junit=junit,
    )
    raise typer.Exit(ExitCode.DEFECT if view.exit_code is None else view.exit_code)
