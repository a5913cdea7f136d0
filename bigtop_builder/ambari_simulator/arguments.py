"""The input of a simulated server's process: its arguments, a test bed's record, failures to inject."""

from __future__ import annotations

import time
from ipaddress import IPv4Network
from pathlib import Path

from pydantic import Field

from bigtop_builder.ambari_simulator.agents.beds import crew_of
from bigtop_builder.ambari_simulator.engine.injection import CallFault, HostFault, TaskFault
from bigtop_builder.ambari_simulator.engine.state import Host
from bigtop_builder.ambari_simulator.engine.work import Crew
from bigtop_builder.model.base import StrictModel
from bigtop_builder.recipe.document import load
from bigtop_builder.recipe.validation import validate


class SimulationArguments(StrictModel):
    """Arguments of ``python -m bigtop_builder.ambari_simulator``."""

    address: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    testbed: Path | None = None
    """The record that a test bed keeps: a fragment of an inventory with the hosts and the way to them."""
    hosts: dict[str, str] = Field(default_factory=dict)
    """FQDN -> IP of hosts on paper."""
    inject: Path | None = None
    password: Path | None = None
    """The file with the administrator's password."""
    allow: list[IPv4Network] = Field(default_factory=list)
    """The networks whose callers are heard, besides those of this machine."""
    certificate: Path | None = None
    key: Path | None = None
    ambari: str = "3.0.0.0"
    state_file: Path | None = None
    keep: Path | None = None
    """The file that the world is saved to and restored from."""
    speed: float = Field(default=1.0, gt=0)
    """How many times as fast as others' its clock goes, for hosts on paper."""
    alert_minute: float = Field(default=60.0, gt=0)
    """Seconds that a minute of an alert's interval lasts."""


class Faults(StrictModel):
    """A file of failures (``--inject``)."""

    tasks: list[TaskFault] = Field(default_factory=list)
    calls: list[CallFault] = Field(default_factory=list)
    hosts: list[HostFault] = Field(default_factory=list)
    switches: list[str] = Field(default_factory=list)
    """Faults of the recorded server to reproduce: ``advisor-error``."""


def faults(file: Path) -> Faults:
    """Read the failures to inject from a file. Raises RecipeError with the location of a mistake."""
    return validate(load(file), Faults)


def recorded_hosts(arguments: SimulationArguments) -> tuple[list[Host], Crew | None]:
    """Return the hosts and the agents that work on them; no crew for hosts on paper."""
    now = time.time()
    hosts = [Host(name, ip, registers_at=now) for name, ip in arguments.hosts.items()]
    if arguments.testbed is None:
        return hosts, None
    document = load(arguments.testbed)
    entries = document.data.get("hosts") or {}
    hosts += [Host(name, str(entry["address"]), registers_at=now) for name, entry in entries.items()]
    return hosts, crew_of(arguments.testbed)
