"""Commands for versions of configurations: config-history, rollback."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from bigtop_builder.cli import options
from bigtop_builder.cli.commands.deploy import DryRun, InventoryFile, Testbed, Yes, load, run_on_cluster
from bigtop_builder.cli.invocation import Invocation


def config_history(
    invocation: Invocation,
    inventory: InventoryFile,
    service: Annotated[
        str | None,
        typer.Argument(metavar="[SERVICE]", help="Only this service, such as HDFS.", show_default=False),
    ] = None,
    testbed: Testbed = None,
    diff: Annotated[
        str | None,
        typer.Option(
            "--diff",
            metavar="N..M",
            help="Show what differs between two versions of the service; N alone compares with the current one.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """List the versions of services' configurations that Ambari keeps: when, by whom, and why. Changes nothing."""
    from bigtop_builder.cli.views.config_history import history_text
    from bigtop_builder.flow.deploy.config_history import read_history

    found = read_history(load(invocation, inventory, testbed), invocation.settings(), service, diff)
    invocation.answer(history_text(found, invocation), found.data())


def rollback(
    invocation: Invocation,
    inventory: InventoryFile,
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="The service, such as HDFS.")],
    version: Annotated[int, typer.Argument(metavar="VERSION", min=1, help="The version to go back to.")],
    testbed: Testbed = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    events: options.Events = None,
    record: options.Record = None,
) -> None:
    """Make an earlier version of a service's configurations current again. Nothing is restarted."""
    from bigtop_builder.cli.confirmation import confirm_on_terminal
    from bigtop_builder.flow.deploy import deployment_run

    run_on_cluster(
        invocation,
        inventory,
        testbed,
        lambda call: deployment_run.rollback(call, service, version, dry_run=dry_run),
        events=events,
        record=record,
        confirm=None if yes else partial(confirm_on_terminal, hint="Add --yes."),
    )
