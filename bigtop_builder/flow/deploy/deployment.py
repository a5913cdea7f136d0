"""A deployment: its connections, its world and its reporter, opened and closed together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigtop_builder.cluster.rolling import Restarts
from bigtop_builder.flow.deploy.connections import Connections
from bigtop_builder.flow.deploy.consent import Consent
from bigtop_builder.flow.deploy.reporter import Emit, Reporter
from bigtop_builder.flow.deploy.world import Removing, World
from bigtop_builder.recipe.everyday_words import everyday_words

if TYPE_CHECKING:
    from bigtop_builder.adapter.repository.seen import Seen
    from bigtop_builder.adapter.secret import Secrets
    from bigtop_builder.ambari_simulator.agents.paper_hosts import PaperFleet
    from bigtop_builder.recipe.inventory import LoadedInventory
    from bigtop_builder.recipe.smoke import SmokeTest


@dataclass(frozen=True)
class Deployment:
    """What a phase is given; it passes on only the parts that a function uses."""

    connections: Connections
    world: World
    reporter: Reporter


@contextmanager
def open_deployment(
    loaded: LoadedInventory,
    secrets: Secrets,
    bus: Emit,
    logs: Path,
    cancelled: threading.Event | None = None,
    *,
    dry_run: bool = False,
    hosted: bool = True,
    paper: PaperFleet | None = None,
    ca: Path | None = None,
    overlays: tuple[Path, ...] = (),
    smoke: Mapping[str, SmokeTest] | None = None,
    mark: Path | None = None,
    clock: Callable[[], float] | None = None,
    pause: Callable[[float], object] | None = None,
    record: Path | None = None,
    seen: Seen | None = None,
    consent: Consent | None = None,
    restart: Restarts = "rolling",
    finalize: bool = False,
    run: str = "",
    removing: Removing | None = None,
) -> Iterator[Deployment]:
    """Open one call of ``deploy``, ``status``, ``verify`` or ``destroy``; its connections are closed at the end.

    See the fields of Connections, World and Reporter for the arguments.
    """
    cancelled = cancelled or threading.Event()
    secrets.allow(everyday_words(loaded))
    with Connections(loaded, secrets, cancelled, hosted, paper, ca, record) as connections:
        world = World(loaded, connections, overlays, seen, smoke, dry_run=dry_run, removing=removing)
        reporter = Reporter(
            bus, secrets, logs, cancelled, dry_run, pause=pause, mark=mark, passed=world.forget_components
        )
        reporter.restart, reporter.finalize = restart, finalize
        if consent is not None:
            reporter.consent = consent
        reporter.run = run
        if clock is not None:
            reporter.clock = clock
        yield Deployment(connections, world, reporter)
