"""A simulated server made ready: stacks loaded, hosts known, agents at work, faults connected.

with simulate([Host("n1.example.com", "10.0.0.1")]) as simulation:
    … simulation.url …
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bigtop_builder.simulation.agents.paper import PaperCrew
from bigtop_builder.simulation.clusters import connect
from bigtop_builder.simulation.http import Asked, Dropped, Site
from bigtop_builder.simulation.replies import Reply
from bigtop_builder.simulation.server import Simulation
from bigtop_builder.simulation.stacks import load_stacks
from bigtop_builder.simulation.state import Host, World
from bigtop_builder.simulation.tree import registry
from bigtop_builder.simulation.work import Crew, Work, work_of


def make_world(
    hosts: Iterable[Host] = (),
    *,
    crew: Crew | None = None,
    clock: Callable[[], float] = time.time,
    version: str = "3.0.0.0",
) -> World:
    """A world with these hosts (each registers at its time), agents on paper unless a crew is given."""
    world = World(clock=clock, version=version)
    load_stacks(world)
    connect(world)
    Work(world, crew or PaperCrew())
    for host in hosts:
        world.hosts[host.name] = host
    return world


def serve(
    world: World,
    *,
    address: str = "127.0.0.1",
    port: int = 0,
    certificate: Path | None = None,
    key: Path | None = None,
) -> Simulation:
    """A server of that world, not yet started. Raises ``OSError`` when the address cannot be bound."""
    simulation = Simulation(world, registry(), address=address, port=port, certificate=certificate, key=key)
    simulation.site.faults.append(lambda asked: _fault(simulation.site, asked))
    return simulation


def simulate(hosts: Iterable[Host], *, crew: Crew | None = None) -> Simulation:
    """A server on a free port of this machine, not yet started, for a rehearsal."""
    return serve(make_world(hosts, crew=crew))


def _fault(site: Site, asked: Asked) -> Reply | None:
    """The answer, or none at all, that an injected fault gives instead of the server's own."""
    with site.world.lock:
        fault = work_of(site.world).injections.for_call(asked.method, asked.target)
        if fault is None:
            return None
        if fault.effect == "reset":
            raise Dropped
        if fault.effect == "expire":
            site.sessions.known.clear()
            return None
    return Reply(fault.status, {"status": fault.status, "message": "made to fail"})
