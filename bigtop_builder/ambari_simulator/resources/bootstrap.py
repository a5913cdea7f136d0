"""``/bootstrap``: the server installs agents over SSH (contract 3.2; read from source, not recorded).

A host that the world knows gets its agent and registers a little later; any other fails as one that SSH does not reach.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bigtop_builder.ambari_simulator.engine.state import World
from bigtop_builder.ambari_simulator.rest.json_body import parse_json
from bigtop_builder.ambari_simulator.rest.registry import Call
from bigtop_builder.ambari_simulator.rest.replies import Refusal, Reply

INSTALLS = 5.0
"""Seconds until an agent is installed and started."""
REGISTERS = 8.0
"""Seconds until it has registered."""


@dataclass(frozen=True)
class Bootstrap:
    """One run; ``known``: its reachable hosts."""

    hosts: tuple[str, ...]
    known: frozenset[str]
    started: float

    def running(self, now: float) -> bool:
        """Whether it is still running."""
        return bool(self.hosts) and now < self.started + INSTALLS


def bootstrap(call: Call) -> Reply:
    """Answer ``POST /bootstrap``, ``GET /bootstrap/ID`` and ``/bootstrap/hosts``."""
    runs = call.world.bootstraps
    if call.method == "POST" and len(call.path) == 1:
        return _start(call)
    if len(call.path) != 2 or call.method not in {"GET", "POST"}:
        raise Refusal(405, None)
    if call.path[1] == "hosts":
        hosts = [status for run in runs.values() for status in _hosts(run, call.world)]
        return Reply(200, {"hostsStatus": hosts}) if hosts else Reply(204)
    run = runs.get(int(call.path[1])) if call.path[1].isdecimal() else None
    return Reply(200, _status(run, call.world)) if run else Reply(204)


def _start(call: Call) -> Reply:
    world, now = call.world, call.world.now()
    if any(run.running(now) for run in world.bootstraps.values()):
        return _told("ERROR", "BootStrap in Progress: Cannot Run more than one.", 0)
    try:
        given = parse_json(call.text)
        hosts = tuple(str(host).lower() for host in given.get("hosts") or ())
    except (ValueError, AttributeError, TypeError):
        raise Refusal(400, None) from None
    number = world.number("bootstrap")
    world.bootstraps[number] = Bootstrap(hosts, frozenset(set(hosts) & world.hosts.keys()), now)
    for name in world.bootstraps[number].known:
        host = world.hosts[name]
        if not host.registered:
            host.registers_at, host.lost_at = now + REGISTERS, None
    return _told("OK", "Running Bootstrap now." if hosts else "Host list is empty.", number)


def _told(status: str, log: str, number: int) -> Reply:
    return Reply(200, {"status": status, "log": log, "requestId": number})


def _status(run: Bootstrap, world: World) -> dict[str, Any]:
    hosts = _hosts(run, world)
    failed = any(host["status"] == "FAILED" for host in hosts)
    state = "RUNNING" if run.running(world.now()) else "ERROR" if failed else "SUCCESS"
    return {"status": state, "hostsStatus": hosts, "log": ""}


def _hosts(run: Bootstrap, world: World) -> list[dict[str, str]]:
    def one(name: str) -> dict[str, str]:
        if run.running(world.now()):
            return {"hostName": name, "status": "RUNNING", "statusCode": "", "statusAction": "", "log": ""}
        if name in run.known:
            return {"hostName": name, "status": "DONE", "statusCode": "0", "statusAction": "", "log": ""}
        log = f"ssh: Could not resolve hostname {name}: Name or service not known"
        return {"hostName": name, "status": "FAILED", "statusCode": "255", "statusAction": "", "log": log}

    return [one(name) for name in run.hosts]
