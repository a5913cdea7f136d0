"""``deploy``, ``verify`` and ``destroy``: a run with its record in the store, its phases, its exit code."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from bigtop_builder.adapter.secret import Secrets
from bigtop_builder.adapter.sources.web import ca_bundle
from bigtop_builder.adapter.store import Store
from bigtop_builder.flow.deploy import phases as work
from bigtop_builder.flow.deploy.deployment import Deployment, open_deployment
from bigtop_builder.flow.deploy.run import PhaseWork, run_phases, stopping_on_signals
from bigtop_builder.flow.run.recorder import Bus, Recorder
from bigtop_builder.model.errors import ConfigurationError, ExitCode
from bigtop_builder.model.event import DeployStarted, Phase, RunFinished
from bigtop_builder.recipe.document import near

if TYPE_CHECKING:
    from bigtop_builder.recipe.inventory import LoadedInventory
    from bigtop_builder.recipe.settings import Settings

PHASES: tuple[Phase, ...] = tuple(phase for phase in get_args(Phase) if phase != "destroy")
REHEARSED: tuple[Phase, ...] = ("check", "repository", "layout", "cluster", "start", "verify")
"""What of a deployment has no hosts to it."""

DEPLOY: Mapping[Phase, PhaseWork] = {
    "check": work.check,
    "prepare": work.prepare,
    "ambari": work.ambari,
    "repository": work.repository,
    "layout": work.layout,
    "cluster": work.cluster,
    "start": work.start,
    "standalone": work.standalone,
    "verify": work.verify_after_deploy,
}


@dataclass(frozen=True)
class Call:
    """A call of a command: the inventory, the settings, who watches, and how it was called."""

    loaded: LoadedInventory
    settings: Settings
    bus: Bus
    command: tuple[str, ...]


def chosen(phases: Sequence[str], start: str | None) -> tuple[Phase, ...]:
    """The phases that are meant, in their order. Raises ConfigurationError for one that does not exist."""
    for name in (*phases, *([start] if start else [])):
        if name not in PHASES:
            raise ConfigurationError(f"there is no phase {name!r}", hint=near(name, PHASES))
    if start:
        return PHASES[[str(phase) for phase in PHASES].index(start) :]
    return tuple(phase for phase in PHASES if not phases or phase in phases)


def deploy(call: Call, phases: Sequence[Phase], *, dry_run: bool, rehearse: bool) -> None:
    """Bring the cluster to what its inventory says. The outcome is in the run's events."""
    wanted = applicable(call.loaded, phases)
    if not rehearse:
        with _run(call, wanted, dry_run=dry_run) as deployment:
            _carry_out(deployment, wanted, DEPLOY)
        return
    from bigtop_builder.flow.deploy.rehearsal import rehearsal

    wanted = tuple(phase for phase in wanted if phase in REHEARSED)
    with (
        rehearsal(call.loaded) as loaded,
        _run(replace(call, loaded=loaded), wanted, dry_run=False, rehearsal=True) as deployment,
    ):
        _carry_out(deployment, wanted, DEPLOY)


def hosts(call: Call, phase: Literal["check", "prepare"], *, dry_run: bool = False) -> None:
    """Look at the hosts, or prepare them, and nothing else."""
    with _run(call, (phase,), dry_run=dry_run) as deployment:
        _carry_out(deployment, (phase,), {"check": work.check_hosts, "prepare": work.prepare})


def verify(call: Call) -> None:
    """Check the cluster as it is."""
    with _run(call, ("verify",), dry_run=False) as deployment:
        _carry_out(deployment, ("verify",), {"verify": work.verify})


def destroy(call: Call, *, wipe: bool, dry_run: bool) -> None:
    """Remove the cluster."""
    with _run(call, ("destroy",), dry_run=dry_run) as deployment:
        _carry_out(deployment, ("destroy",), {"destroy": work.wipe if wipe else work.destroy})


def applicable(loaded: LoadedInventory, phases: Sequence[Phase]) -> tuple[Phase, ...]:
    """The phases that the inventory has something for."""
    without: set[Phase] = set()
    if loaded.inventory.ambari is None:
        without |= {"ambari", "repository", "layout", "cluster", "start"}
    if not loaded.inventory.standalone:
        without.add("standalone")
    return tuple(phase for phase in phases if phase not in without)


def printed(loaded: LoadedInventory, settings: Settings, what: str) -> tuple[str, object]:
    """A document as it would be sent, without secrets: text for people, data for programs."""
    known = ("blueprint", "template", "version-definition")
    if what not in known:
        raise ConfigurationError(f"--print: there is no {what!r} to print", hint=near(what, known))
    with open_deployment(loaded, Secrets(), lambda event: None, Path(), overlays=settings.overlays) as deployment:
        if what == "version-definition":
            text = work.version_definition_text(deployment)
            return text, text
        body = work.blueprint_body(deployment) if what == "blueprint" else work.template_body(deployment)
        return json.dumps(body, indent=2), body


def _carry_out(deployment: Deployment, phases: Sequence[Phase], table: Mapping[Phase, PhaseWork]) -> None:
    started = time.monotonic()
    code = ExitCode.DEFECT
    try:
        with stopping_on_signals(deployment.reporter.cancelled):
            code = run_phases(deployment, table, phases)
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
        raise
    finally:
        used = deployment.connections
        if used.rest_calls or used.round_trips:
            deployment.reporter.notice(f"REST calls: {used.rest_calls}, SSH round trips: {used.round_trips}")
        deployment.reporter.emit(RunFinished(exit_code=int(code), seconds=time.monotonic() - started))


@contextmanager
def _run(call: Call, phases: Sequence[Phase], *, dry_run: bool, rehearsal: bool = False) -> Iterator[Deployment]:
    """The record of a run, and the deployment in it. Two runs on one cluster would trample on each other."""
    store = Store(call.settings.store).open()
    name = call.loaded.inventory.cluster
    with store.locked(f"cluster-{name}", wait=False) as mine:
        if not mine:
            raise ConfigurationError(
                f"another call works on the cluster {name} now", hint="See it with: bigtop-builder runs"
            )
        run = store.start_run()
        emit = Recorder(call.bus, run.folder / "events.jsonl")
        try:
            mark = None if rehearsal else store.root / "clusters" / f"{name}.verified"
            with open_deployment(
                call.loaded,
                Secrets(),
                emit,
                run.folder / "logs",
                dry_run=dry_run,
                hosted=not rehearsal,
                ca=ca_bundle(call.settings.project.network),
                overlays=call.settings.overlays,
                mark=mark,
            ) as deployment:
                deployment.reporter.emit(
                    DeployStarted(
                        run=run.id,
                        command=list(call.command),
                        store=str(store.root),
                        cluster=name,
                        hosts=[entry.name for entry in call.loaded.hosts],
                        phases=list(phases),
                        dry_run=dry_run,
                        rehearsal=rehearsal,
                    )
                )
                yield deployment
        finally:
            emit.close()
            run.close()
