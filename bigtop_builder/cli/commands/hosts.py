"""Commands about hosts: hosts check, hosts prepare."""

from __future__ import annotations

from bigtop_builder.cli import options
from bigtop_builder.cli.commands.deploy import DryRun, InventoryFile, Testbed, run_on_cluster
from bigtop_builder.cli.invocation import Invocation


def check(
    invocation: Invocation,
    inventory: InventoryFile,
    testbed: Testbed = None,
    junit: options.JUnit = None,
    summary: options.Summary = None,
    events: options.Events = None,
    logs: options.Logs = None,
) -> None:
    """Check all hosts for what would make Ambari or Hadoop fail. Nothing is changed."""
    from bigtop_builder.flow.deploy import deployment_run

    run_on_cluster(
        invocation,
        inventory,
        testbed,
        lambda call: deployment_run.hosts(call, "check"),
        events=events,
        junit=junit,
        summary=summary,
        logs=logs,
    )


def prepare(
    invocation: Invocation,
    inventory: InventoryFile,
    testbed: Testbed = None,
    dry_run: DryRun = False,
    junit: options.JUnit = None,
    summary: options.Summary = None,
    events: options.Events = None,
    logs: options.Logs = None,
) -> None:
    """Set up what hosts lack: repositories, Java, time, limits, kernel settings, users. Can be repeated."""
    from bigtop_builder.flow.deploy import deployment_run

    run_on_cluster(
        invocation,
        inventory,
        testbed,
        lambda call: deployment_run.hosts(call, "prepare", dry_run=dry_run),
        events=events,
        junit=junit,
        summary=summary,
        logs=logs,
    )
