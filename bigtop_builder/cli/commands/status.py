"""The command for the state of a cluster: status."""

from __future__ import annotations

from typing import Annotated

import typer

from bigtop_builder.cli.commands.deploy import InventoryFile, Testbed, load
from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.model.errors import ExitCode


def status(
    invocation: Invocation,
    inventory: InventoryFile,
    testbed: Testbed = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="Show the values that differ from the inventory, without secrets.")
    ] = False,
) -> None:
    """Show the cluster: hosts, services, alerts, requests, and what deploy would change. Exit with 0 if all is well and
    nothing differs from the inventory, else with 4.
    """
    from bigtop_builder.cli.views.cluster_status import status_text
    from bigtop_builder.flow.deploy.status import read_status

    found = read_status(load(invocation, inventory, testbed), invocation.settings())
    invocation.answer(status_text(found, invocation, diff=diff), found.data())
    if not found.green:
        raise typer.Exit(ExitCode.PART_FAILED)
