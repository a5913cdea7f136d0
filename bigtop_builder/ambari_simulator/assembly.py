"""A simulated server, ready to use: stacks loaded, hosts and agents in place, faults connected, the clock running.

with simulate([Host("n1.example.com", "10.0.0.1")]) as simulation:
    ... simulation.url ...
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import Self

from bigtop_builder.ambari_simulator.agents.paper import PaperCrew
from bigtop_builder.ambari_simulator.engine.engine import Pace
from bigtop_builder.ambari_simulator.engine.state import Host, World
from bigtop_builder.ambari_simulator.engine.work import Crew, Work, work_of
from bigtop_builder.ambari_simulator.persistence import Keeper
from bigtop_builder.ambari_simulator.resource_tree import registry
from bigtop_builder.ambari_simulator.resources.clusters import connect
from bigtop_builder.ambari_simulator.resources.stacks import load_stacks
from bigtop_builder.ambari_simulator.rest.control import PREFIX, control
from bigtop_builder.ambari_simulator.rest.http import Asked, Dropped, Site
from bigtop_builder.ambari_simulator.rest.replies import Reply
from bigtop_builder.ambari_simulator.rest.server import Simulation

TICK = 0.2
"""Seconds between two ticks while there are no calls."""


def assemble(world: World, crew: Crew, pace: Pace | None = None) -> Work:
    """Give a world its stacks, and an engine whose commands ``crew`` executes."""
    if not world.stacks:
        load_stacks(world)
    work = Work(world, crew, pace)
    connect(world)
    return work


def make_world(
    hosts: Iterable[Host] = (),
    *,
    crew: Crew | None = None,
    pace: Pace | None = None,
    clock: Callable[[], float] = time.time,
    version: str = "3.0.0.0",
) -> World:
    """Create a world with these hosts (each registers at its time); agents are on paper unless a crew is given."""
    world = World(clock=clock, version=version)
    assemble(world, crew or PaperCrew(), pace)
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
    allowed: Sequence[IPv4Network] = (),
) -> Simulation:
    """Create a server of a world without starting it. Raises ``OSError`` if the address cannot be bound."""
    simulation = Simulation(
        world, registry(), address=address, port=port, certificate=certificate, key=key, allowed=allowed
    )
    simulation.site.faults.append(lambda asked: _control(simulation.site, asked))
    simulation.site.faults.append(lambda asked: _fault(simulation.site, asked))
    return simulation


@contextmanager
def simulate(hosts: Iterable[Host], *, crew: Crew | None = None, pace: Pace | None = None) -> Iterator[Simulation]:
    """Run a server on a free local port, with its clock ticking between calls: for a rehearsal."""
    world = make_world(hosts, crew=crew, pace=pace)
    with serve(world) as simulation, Ticker(work_of(world)):
        yield simulation


class Ticker:
    """Advances the world between calls and saves it; closing it stops the agents too."""

    def __init__(self, work: Work, tick: float = TICK, keeper: Keeper | None = None) -> None:
        self.work = work
        self._tick = tick
        self._keeper = keeper
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(10)
        # Agents may take longer to stop than a process has after SIGTERM.
        self._keep(at_once=True)
        self.work.crew.close()
        self._keep(at_once=True)

    def _run(self) -> None:
        while not self._ended.wait(self._tick):
            with self.work.world.lock:
                self.work.world.settle()
            self._keep()

    def _keep(self, *, at_once: bool = False) -> None:
        if self._keeper is not None:
            self._keeper.keep(at_once=at_once)


def _control(site: Site, asked: Asked) -> Reply | None:
    """Answer a call to the simulation's own URIs."""
    if not asked.target.startswith(PREFIX):
        return None
    with site.world.lock:
        return control(site.world, asked.method, asked.target, asked.content.decode("utf-8", "replace"))


def _fault(site: Site, asked: Asked) -> Reply | None:
    """The answer (or dropped connection) of an injected fault, instead of the server's own."""
    with site.world.lock:
        fault = work_of(site.world).injections.for_call(asked.method, asked.target)
        if fault is None:
            return None
        if fault.effect == "reset":
            raise Dropped
        if fault.effect == "expire":
            site.sessions.known.clear()
            return None
    if fault.effect == "slow":
        time.sleep(fault.seconds)
        return None
    return Reply(fault.status, {"status": fault.status, "message": "made to fail"})
