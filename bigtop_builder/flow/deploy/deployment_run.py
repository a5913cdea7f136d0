"""The commands that work on a cluster: deploy, verify, destroy and hosts, each as one recorded run of phases."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from bigtop_builder.adapter.repository.seen import Seen
from bigtop_builder.adapter.secret import Secrets
from bigtop_builder.adapter.sources.web import ca_bundle
from bigtop_builder.adapter.store import Store
from bigtop_builder.cluster.rolling import Restarts
from bigtop_builder.cluster.stack_upgrade import upgrade_pack
from bigtop_builder.flow.deploy import phases as work
from bigtop_builder.flow.deploy.config_history import require_ambari
from bigtop_builder.flow.deploy.consent import Confirm, Consent
from bigtop_builder.flow.deploy.deployment import Deployment, open_deployment
from bigtop_builder.flow.deploy.phase_runner import PhaseWork, run_phases
from bigtop_builder.flow.deploy.preview import Disruptions, ask, preview
from bigtop_builder.flow.deploy.world import Removing
from bigtop_builder.flow.run.recorder import Bus
from bigtop_builder.flow.run.run import record_run
from bigtop_builder.model.errors import ConfigurationError, ExitCode
from bigtop_builder.model.event import ClusterTarget, Phase, RunKind
from bigtop_builder.recipe.document import near

if TYPE_CHECKING:
    from bigtop_builder.flow.deploy.rehearsal import Rehearsal
    from bigtop_builder.recipe.inventory import LoadedInventory
    from bigtop_builder.recipe.settings import Settings
    from bigtop_builder.recipe.smoke import SmokeTest

PHASES: tuple[Phase, ...] = tuple(phase for phase in get_args(Phase) if phase not in ("destroy", "rollback"))
REHEARSED: tuple[Phase, ...] = ("check", "repository", "layout", "cluster", "start", "verify")
"""The phases that need no hosts."""

DEPLOY: Mapping[Phase, PhaseWork] = {
    "check": work.check,
    "prepare": work.prepare,
    "ambari": work.ambari,
    "repository": work.repository,
    "layout": work.layout,
    "cluster": work.cluster,
    "start": work.start,
    "remove": work.remove,
    "standalone": work.standalone,
    "verify": work.verify_after_deploy,
}


@dataclass(frozen=True)
class Call:
    """What every command gets: the inventory, the settings, and who watches."""

    loaded: LoadedInventory
    settings: Settings
    bus: Bus
    record: Path | None = None
    """The folder for a record of the exchanges with the Ambari server."""
    smoke: Mapping[str, SmokeTest] = field(default_factory=dict)
    """The smoke tests of the components that stand-alone entries name."""
    removing: Removing = field(default_factory=Removing)
    """Whether what has left the inventory is removed."""
    confirm: Confirm | None = None
    """Asks before what runs is disrupted; without it everything is agreed to."""
    restart: Restarts = "rolling"
    finalize: bool = False
    """Whether an upgrade of the stack is finalized."""
    """How outdated components are restarted."""


def chosen(phases: Sequence[str], start: str | None) -> tuple[Phase, ...]:
    """Return the selected phases in their order: ``phases``, or those from ``start`` on, or all.

    Raises ConfigurationError for a phase that does not exist.
    """
    for name in (*phases, *([start] if start else [])):
        if name not in PHASES:
            raise ConfigurationError(f"unknown phase {name!r}", hint=near(name, PHASES))
    if start:
        return PHASES[[str(phase) for phase in PHASES].index(start) :]
    return tuple(phase for phase in PHASES if not phases or phase in phases)


def deploy(call: Call, phases: Sequence[Phase], *, dry_run: bool, rehearse: bool, former: str | None = None) -> None:
    """Bring the cluster to the state that its inventory describes. The outcome is in the run's events.

    ``former``: the version of the stack that the cluster of a rehearsal has before.
    """
    wanted = applicable(call.loaded, phases, removing=call.removing.wanted)
    if not rehearse:
        _run(call, "deploy", wanted, DEPLOY, dry_run=dry_run)
        return
    from bigtop_builder.flow.deploy.rehearsal import rehearsal

    wanted = tuple(phase for phase in wanted if phase in REHEARSED)
    secrets = Secrets()
    with rehearsal(call.loaded, secrets, former) as stage:
        table = stage.table(DEPLOY, wanted, call.settings.overlays)
        _run(replace(call, loaded=stage.loaded), "deploy", wanted, table, stage=stage, secrets=secrets)


def hosts(call: Call, phase: Literal["check", "prepare"], *, dry_run: bool = False) -> None:
    """Check the hosts or prepare them, and nothing else."""
    _run(call, "hosts", (phase,), {"check": work.check_hosts, "prepare": work.prepare}, dry_run=dry_run)


def verify(call: Call) -> None:
    """Check the cluster as it is."""
    _run(call, "verify", ("verify",), {"verify": work.verify})


def destroy(call: Call, *, wipe: bool, dry_run: bool, gone: Sequence[str] = ()) -> None:
    """Remove the cluster; with ``wipe`` also uninstall what deployments put on its hosts.

    ``gone``: hosts of the inventory or the cluster that no longer exist.
    """
    removal = partial(work.wipe if wipe else work.destroy, gone=frozenset(gone))
    _run(call, "destroy", ("destroy",), {"destroy": removal}, dry_run=dry_run)


def rollback(call: Call, service: str, version: int, *, dry_run: bool) -> None:
    """Make an earlier version of a service's configurations current again. Raises ConfigurationError."""
    require_ambari(call.loaded)
    way_back = partial(work.rollback, service=service, version=version)
    _run(call, "rollback", ("rollback",), {"rollback": way_back}, dry_run=dry_run)


def applicable(loaded: LoadedInventory, phases: Sequence[Phase], *, removing: bool = False) -> tuple[Phase, ...]:
    """Return the phases that apply to the inventory."""
    without: set[Phase] = set() if removing else {"remove"}
    if loaded.inventory.ambari is None:
        without |= {"ambari", "repository", "layout", "cluster", "start", "remove"}
    if not loaded.inventory.standalone:
        without.add("standalone")
    return tuple(phase for phase in phases if phase not in without)


def printed(
    loaded: LoadedInventory, settings: Settings, what: str, *, rehearse: bool = False, former: str | None = None
) -> tuple[str, object]:
    """Return a document as it would be sent, without secrets: as text for people, and as data for programs.

    With ``rehearse`` a simulated server is asked instead of the inventory's, whose cluster has the stack ``former``.
    Raises ConfigurationError for an unknown document.
    """
    known = ("blueprint", "template", "version-definition", "upgrade-pack")
    if what not in known:
        raise ConfigurationError(f"--print: unknown document {what!r}", hint=near(what, known))
    if rehearse:
        from bigtop_builder.flow.deploy.rehearsal import rehearsal

        with rehearsal(loaded, Secrets(), former) as stage:
            if what == "upgrade-pack":
                text = upgrade_pack(loaded.inventory.stack.name, stage.source)
                return text, text
            return _document(stage.loaded, settings, what, hosted=False)
    return _document(loaded, settings, what)


def _document(loaded: LoadedInventory, settings: Settings, what: str, *, hosted: bool = True) -> tuple[str, object]:
    ca = ca_bundle(settings.project.network)
    with open_deployment(
        loaded, Secrets(), lambda event: None, Path(), ca=ca, overlays=settings.overlays, hosted=hosted
    ) as deployment:
        texts = {"version-definition": work.version_definition_text, "upgrade-pack": work.upgrade_pack_text}
        if what in texts:
            text = texts[what](deployment)
            return text, text
        body = work.blueprint_body(deployment) if what == "blueprint" else work.template_body(deployment)
        return json.dumps(body, indent=2), body


def _carry_out(deployment: Deployment, phases: Sequence[Phase], table: Mapping[Phase, PhaseWork]) -> ExitCode:
    try:
        return run_phases(deployment, table, phases)
    finally:
        used = deployment.connections
        if used.rest_calls or used.round_trips:
            deployment.reporter.notice(f"REST calls: {used.rest_calls}, SSH round trips: {used.round_trips}")


def _run(
    call: Call,
    kind: RunKind,
    phases: Sequence[Phase],
    table: Mapping[Phase, PhaseWork],
    *,
    dry_run: bool = False,
    stage: Rehearsal | None = None,
    secrets: Secrets | None = None,
) -> None:
    """Carry out ``phases`` in a recorded run. Only one run at a time works on a cluster: the lock sees to that."""
    store = Store(call.settings.store).open()
    name = call.loaded.inventory.cluster
    target = ClusterTarget(
        cluster=name, hosts=[entry.name for entry in call.loaded.hosts], dry_run=dry_run, rehearsal=stage is not None
    )
    secrets = secrets or Secrets()
    # A rehearsal has a server of its own: any number of them may go on beside a deployment.
    with nullcontext(True) if stage else store.locked(f"cluster-{name}", wait=False) as mine:
        if not mine:
            raise ConfigurationError(
                f"another run is working on cluster {name}", hint="List the runs with: bigtop-builder runs"
            )
        consent = _asked(call, secrets, phases, table) if not dry_run and not stage else Consent()
        run = store.start_run()
        with (
            record_run(
                store,
                run,
                call.bus,
                kind,
                phases=phases,
                target=target,
                redact=secrets.redact,
                project=call.settings.root.absolute(),
            ) as active,
            open_deployment(
                call.loaded,
                secrets,
                active.emit,
                run.folder / "logs",
                active.cancelled,
                dry_run=dry_run,
                hosted=stage is None,
                paper=stage.paper if stage else None,
                clock=stage.clock if stage else None,
                pause=stage.pause if stage else None,
                ca=ca_bundle(call.settings.project.network),
                overlays=call.settings.overlays,
                smoke=call.smoke,
                mark=None if stage else store.root / "clusters" / f"{name}.verified",
                record=call.record,
                seen=None if stage else Seen(store.root),
                consent=consent,
                restart=call.restart,
                finalize=call.finalize,
                run=run.id,
                removing=call.removing,
            ) as deployment,
        ):
            active.exit_code = _carry_out(deployment, phases, table)


def _asked(call: Call, secrets: Secrets, phases: Sequence[Phase], table: Mapping[Phase, PhaseWork]) -> Consent:
    """Return what the run may disrupt, asking the person for it. Raises ConfigurationError without a yes."""
    if call.confirm is None:
        return Consent()
    found = Disruptions()
    with open_deployment(
        call.loaded,
        secrets,
        found,
        Path(),
        dry_run=True,
        ca=ca_bundle(call.settings.project.network),
        overlays=call.settings.overlays,
        smoke=call.smoke,
        restart=call.restart,
        finalize=call.finalize,
        removing=call.removing,
    ) as deployment:
        preview(deployment, phases, table)
    return ask(found, call.loaded.inventory.cluster, call.confirm)
