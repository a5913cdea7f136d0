"""Commands that change or check clusters: deploy, verify, destroy."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from bigtop_builder.cli import options
from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.model.errors import ConfigurationError, ExitCode

if TYPE_CHECKING:
    from bigtop_builder.flow.deploy.consent import Confirm
    from bigtop_builder.flow.deploy.deployment_run import Call
    from bigtop_builder.recipe.document import Document
    from bigtop_builder.recipe.inventory import LoadedInventory
    from bigtop_builder.recipe.settings import Settings
    from bigtop_builder.recipe.smoke import SmokeTest

STEPS, BEFORE = "What to do", "Without changing anything"
Yes = Annotated[
    bool,
    typer.Option("--yes", "-y", help="Do not ask before what runs is stopped or restarted.", rich_help_panel=STEPS),
]
OnlyPhases = Annotated[
    list[str] | None,
    typer.Option("--phase", metavar="PHASE", help="Run only this phase; repeatable.", rich_help_panel=STEPS),
]
Rehearse = Annotated[
    bool,
    typer.Option(
        "--rehearse",
        help="Run the whole plan against a simulated Ambari that reads the repository; no host is touched.",
        rich_help_panel=BEFORE,
    ),
]
FromStack = Annotated[
    str | None,
    typer.Option(
        "--from-stack",
        metavar="VERSION",
        help="With --rehearse, the version of the stack that the cluster has: the upgrade from it is rehearsed, "
        "step by step.",
        show_default=False,
        rich_help_panel=BEFORE,
    ),
]
Print = Annotated[
    str | None,
    typer.Option(
        "--print",
        metavar="WHAT",
        help="Print the blueprint, template or version-definition as it would be sent, or the upgrade-pack that the "
        "server needs, and do nothing else; with --rehearse without a server.",
        show_default=False,
        rich_help_panel=BEFORE,
    ),
]
Restart = Annotated[
    Literal["rolling", "all", "none"],
    typer.Option(
        "--restart",
        help="How to restart what runs with an outdated configuration: in turns that keep services up, all at "
        "once, or not at all. With none, packages do not move either.",
        rich_help_panel=STEPS,
    ),
]
Finalize = Annotated[
    bool,
    typer.Option(
        "--finalize-upgrade",
        help="End an upgrade to another version of the stack, and with it its way back.",
        rich_help_panel=STEPS,
    ),
]
Remove = Annotated[
    bool,
    typer.Option(
        "--remove",
        help="Remove hosts, components and services that the cluster has beyond the inventory: decommissioned, "
        "stopped, then removed.",
        rich_help_panel=STEPS,
    ),
]
Gone = Annotated[
    list[str] | None,
    typer.Option(
        "--gone",
        metavar="HOST",
        help="With --remove, a host that no longer exists: nothing on it is stopped. Repeatable.",
        rich_help_panel=STEPS,
    ),
]
InventoryFile = Annotated[Path, typer.Argument(metavar="INVENTORY", help="The cluster's inventory.")]
Testbed = Annotated[
    str | None,
    typer.Option("--testbed", metavar="NAME", help="Use the hosts of this test bed.", show_default=False),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", "-n", help="Show what would change and change nothing.", rich_help_panel=BEFORE)
]


def load(invocation: Invocation, inventory: Path, testbed: str | None) -> LoadedInventory:
    """Load the inventory, with the addresses of a test bed if one is given. Raises ConfigurationError."""
    from bigtop_builder.recipe.inventory import load_inventory

    over = None
    if testbed is not None:
        from bigtop_builder.adapter.store import Store
        from bigtop_builder.flow.testbed.testbed import testbed_document

        over = testbed_document(Store(invocation.settings().store), testbed)
    loaded = load_inventory(invocation.cwd / inventory, over)
    if over is not None:
        _require_hosts(loaded, over, testbed)
    return loaded


def _require_hosts(loaded: LoadedInventory, bed: Document, name: str | None) -> None:
    """Raise ConfigurationError if the test bed lacks hosts of the inventory."""
    known = bed.data.get("hosts") or {}
    missing = [entry for entry in loaded.hosts if entry.name not in known]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ConfigurationError(
            f"test bed {name} has no host {missing[0].name}{more}",
            hint=f"Its hosts: {', '.join(known)}. To add hosts: "
            f"bigtop-builder testbed up --name {name} --inventory {loaded.file.name}",
            location=loaded.place("groups", missing[0].group or "", "hosts"),
        )


def run_on_cluster(
    invocation: Invocation,
    inventory: Path,
    testbed: str | None,
    work: Callable[[Call], None],
    *,
    events: Path | None,
    junit: Path | None = None,
    summary: Path | None = None,
    logs: Path | None = None,
    record: Path | None = None,
    confirm: Confirm | None = None,
) -> NoReturn:
    """Carry out ``work`` on a cluster, shown as it goes, and exit with the run's exit code.

    ``confirm`` asks before what runs is disrupted; without it everything is agreed to.
    """
    from bigtop_builder.cli.views.watch import Reports, watched
    from bigtop_builder.flow.deploy.deployment_run import Call

    loaded = load(invocation, inventory, testbed)
    settings = invocation.settings()
    smoke = _smoke_tests(loaded, settings)
    reports = Reports(events, junit, summary, logs)
    state = watched(invocation, reports, lambda bus: work(Call(loaded, settings, bus, record, smoke, confirm=confirm)))
    if invocation.json:
        from bigtop_builder.cli.views.summary import json_data

        invocation.answer("", json_data(state))
    raise typer.Exit(ExitCode.DEFECT if state.exit_code is None else state.exit_code)


def _smoke_tests(loaded: LoadedInventory, settings: Settings) -> Mapping[str, SmokeTest]:
    """Return the smoke tests that stand-alone entries name, for the versions that the project builds.

    Raises ConfigurationError with the place of a name that has none.
    """
    if not any(entry.smoke for entry in loaded.inventory.standalone.values()):
        return {}
    from bigtop_builder.flow.open_project import open_project
    from bigtop_builder.hosts.smoke import chosen_tests

    # Whether this machine could build a native component does not matter for its test.
    project = open_project(replace(settings, project=settings.project.model_copy(update={"native": "label"})))
    platform = project.file.platforms[0]
    return chosen_tests(loaded, project.packaging.known_components(), lambda name: project.evaluate(name, platform))


def _check_print(others: Mapping[str, object]) -> None:
    """Raise ConfigurationError for flags that make no sense with ``--print``."""
    given = [name for name, value in others.items() if value]
    if given:
        raise ConfigurationError(
            f"--print cannot be combined with {', '.join(given)}",
            hint="--print only prints; without --rehearse it asks the inventory's server.",
        )


def require_host_names(gone: Collection[str]) -> None:
    """Raise ConfigurationError for what cannot be the name of one host."""
    for name in gone:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", name):
            raise ConfigurationError(
                f"--gone: {name!r} is no host name", hint="Repeat the option for each host: --gone HOST --gone HOST."
            )


def _check_rehearsal(rehearse: bool, from_stack: str | None, *, dry_run: bool) -> None:
    """Raise ConfigurationError for flags that make no sense together."""
    if dry_run and rehearse:
        raise ConfigurationError(
            "--dry-run and --rehearse cannot be combined",
            hint="--dry-run asks the real server and changes nothing, --rehearse needs none.",
        )
    if from_stack is not None and not rehearse:
        raise ConfigurationError(
            "--from-stack needs --rehearse",
            hint="Without a rehearsal the server is asked for the stack that the cluster has.",
        )


def _check_removal(remove: bool, gone: list[str] | None, *, rehearse: bool, phases: Collection[str]) -> None:
    """Raise ConfigurationError for flags that make no sense together."""
    if remove and rehearse:
        raise ConfigurationError(
            "--remove and --rehearse cannot be combined",
            hint="A rehearsal knows nothing of the real cluster; use --dry-run.",
        )
    require_host_names(gone or ())
    if gone and not remove:
        raise ConfigurationError("--gone needs --remove", hint="Only a removal has to know which hosts are gone.")
    if "remove" in phases and not remove:
        raise ConfigurationError("the phase remove needs --remove")


def deploy(
    invocation: Invocation,
    inventory: InventoryFile,
    testbed: Testbed = None,
    phase: OnlyPhases = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="PHASE", help="Run this phase and those after it.", rich_help_panel=STEPS),
    ] = None,
    restart: Restart = "rolling",
    finalize_upgrade: Finalize = False,
    remove: Remove = False,
    gone: Gone = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    rehearse: Rehearse = False,
    from_stack: FromStack = None,
    show: Print = None,
    junit: options.JUnit = None,
    summary: options.Summary = None,
    events: options.Events = None,
    logs: options.Logs = None,
    record: options.Record = None,
) -> None:
    """Bring a cluster to the state that its inventory describes. Can be repeated after an interruption or a failure."""
    from bigtop_builder.cli.confirmation import confirm_on_terminal
    from bigtop_builder.flow.deploy import deployment_run
    from bigtop_builder.flow.deploy.world import Removing

    _check_rehearsal(rehearse, from_stack, dry_run=dry_run and show is None)
    if show is not None:
        _check_print(
            {
                "--phase": phase,
                "--from": start,
                "--dry-run": dry_run,
                "--junit": junit,
                "--summary": summary,
                "--logs": logs,
                "--events": events,
                "--record": record,
                "--finalize-upgrade": finalize_upgrade,
                "--remove": remove,
                "--gone": gone,
            }
        )
        loaded, settings = load(invocation, inventory, testbed), invocation.settings()
        invocation.answer(*deployment_run.printed(loaded, settings, show, rehearse=rehearse, former=from_stack))
        return
    if phase and start:
        raise ConfigurationError("--phase and --from cannot be combined")
    _check_removal(remove, gone, rehearse=rehearse, phases=[*(phase or ()), *([start] if start else [])])
    phases = deployment_run.chosen(phase or [], start)
    removing = Removing(remove, frozenset(gone or ()))
    run_on_cluster(
        invocation,
        inventory,
        testbed,
        lambda call: deployment_run.deploy(
            replace(call, restart=restart, finalize=finalize_upgrade, removing=removing),
            phases,
            dry_run=dry_run,
            rehearse=rehearse,
            former=from_stack,
        ),
        events=events,
        junit=junit,
        summary=summary,
        logs=logs,
        record=record,
        confirm=None if yes else partial(confirm_on_terminal, hint=_flags(restart)),
    )


def _flags(restart: str) -> str:
    other = "" if restart == "none" else ", or --restart none to restart nothing of the cluster now"
    return f"Add --yes{other}. --dry-run shows everything that will change."


def verify(
    invocation: Invocation,
    inventory: InventoryFile,
    testbed: Testbed = None,
    junit: options.JUnit = None,
    summary: options.Summary = None,
    events: options.Events = None,
    logs: options.Logs = None,
    record: options.Record = None,
) -> None:
    """Run the service checks, read the alerts, check the stand-alone services, run the inventory's jobs."""
    from bigtop_builder.flow.deploy import deployment_run

    run_on_cluster(
        invocation,
        inventory,
        testbed,
        deployment_run.verify,
        events=events,
        junit=junit,
        summary=summary,
        logs=logs,
        record=record,
    )


def destroy(
    invocation: Invocation,
    inventory: InventoryFile,
    confirmed: Annotated[
        str | None,
        typer.Option("--yes-really", metavar="CLUSTER", help="Confirm with the cluster's name.", show_default=False),
    ] = None,
    testbed: Testbed = None,
    wipe: Annotated[
        bool,
        typer.Option("--wipe-hosts", help="Also remove packages, agents and data folders from the hosts."),
    ] = False,
    gone: Annotated[
        list[str] | None,
        typer.Option(
            "--gone",
            metavar="HOST",
            help="A host that no longer exists: nothing on it is stopped or removed. Repeatable.",
        ),
    ] = None,
    dry_run: DryRun = False,
    junit: options.JUnit = None,
    summary: options.Summary = None,
    events: options.Events = None,
    logs: options.Logs = None,
    record: options.Record = None,
) -> None:
    """Remove a cluster. Requests are aborted and services stopped first."""
    from bigtop_builder.cli.confirmation import confirm_on_terminal
    from bigtop_builder.flow.deploy import deployment_run
    from bigtop_builder.flow.deploy.consent import Question

    require_host_names(gone or ())
    name = load(invocation, inventory, testbed).inventory.cluster
    hint = f"Confirm with --yes-really {name}."
    if not dry_run and confirmed is None:
        confirm_on_terminal(
            Question(f"this removes cluster {name}"), hint=hint, prompt="Type its name to continue: ", accepted=[name]
        )
    elif not dry_run and confirmed != name:
        raise ConfigurationError(f"{confirmed} is not cluster {name}, which was not confirmed", hint=hint)
    run_on_cluster(
        invocation,
        inventory,
        testbed,
        lambda call: deployment_run.destroy(call, wipe=wipe, dry_run=dry_run, gone=gone or []),
        events=events,
        junit=junit,
        summary=summary,
        logs=logs,
        record=record,
    )
