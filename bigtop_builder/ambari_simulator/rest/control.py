"""``/simulation/...``: how tests and test beds control the simulation itself. The real server has no such URIs.

GET, PUT, DELETE  /simulation/faults                        the faults in force: {"tasks": [...], "calls": [...]}
POST              /simulation/hosts/NAME/lose               its agent dies
POST              /simulation/hosts/NAME/register           its agent registers, for the first time or again
POST              /simulation/restart                       the server restarts: a poisoned scheduler runs again
POST              /simulation/clusters/C/hosts/NAME/COMPONENT/die     a process on paper ends
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field, ValidationError

from bigtop_builder.ambari_simulator.engine.injection import CallFault, TaskFault
from bigtop_builder.ambari_simulator.engine.state import World
from bigtop_builder.ambari_simulator.engine.work import work_of
from bigtop_builder.ambari_simulator.rest.json_body import parse_json
from bigtop_builder.ambari_simulator.rest.replies import DONE, Reply
from bigtop_builder.model.base import StrictModel

PREFIX = "/simulation/"


class Faults(StrictModel):
    """All faults to inject from now on."""

    tasks: list[TaskFault] = Field(default_factory=list)
    calls: list[CallFault] = Field(default_factory=list)


def control(world: World, method: str, target: str, body: str) -> Reply | None:
    """Answer a call to the simulation's own URIs; return ``None`` for any other. The caller holds ``world.lock``."""
    if not target.startswith(PREFIX):
        return None
    world.settle()
    parts = target.removeprefix(PREFIX).partition("?")[0].strip("/").split("/")
    match (method, *parts):
        case (_, "faults"):
            return _faults(world, method, body)
        case ("POST", "restart"):
            work_of(world).restart_server()
            return DONE
        case ("POST", "hosts", name, ("lose" | "register") as what) if name in world.hosts:
            if what == "lose":
                world.hosts[name].lost_at = world.now()
            else:
                world.register(world.hosts[name])
            return DONE
        case ("POST", "clusters", cluster, "hosts", name, component, "die"):
            work_of(world).process_died(cluster, name, component)
            return DONE
    return _refused(404, f"the simulation knows no {method} {target}")


def registered_host(method: str, path: str) -> str | None:
    """Return the host whose agent registers with a call; None for any other call."""
    match = re.fullmatch(re.escape(PREFIX) + "hosts/([^/]+)/register", path) if method == "POST" else None
    return match[1] if match else None


def _faults(world: World, method: str, body: str) -> Reply:
    injections = work_of(world).injections
    if method == "PUT":
        try:
            wanted = Faults.model_validate(parse_json(body or "{}"))
        except (ValidationError, ValueError) as error:
            return _refused(400, str(error))
        injections.clear()
        injections.tasks += wanted.tasks
        injections.calls += wanted.calls
    elif method == "DELETE":
        injections.clear()
    return Reply(200, Faults(tasks=injections.tasks, calls=injections.calls).model_dump())


def _refused(status: int, message: str) -> Reply:
    document: dict[str, Any] = {"status": status, "message": message}
    return Reply(status, document)
