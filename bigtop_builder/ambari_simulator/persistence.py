"""The simulated world in a file, so that a test bed's server still has its clusters after a kill or a reboot.

The file is JSON: plain values as they are, and ``nodes``, the objects that they refer to by number, each with the name
of its class and its fields. Classes that are not listed here are never made from it. What only the moment knows is not
kept: sessions, timers, checks of hosts. Commands that were under way are given to the agents again.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

from bigtop_builder.adapter.store import write_atomically
from bigtop_builder.ambari_simulator.engine import cluster_state, state
from bigtop_builder.ambari_simulator.engine.stack_repositories import update_used_versions
from bigtop_builder.ambari_simulator.engine.state import World
from bigtop_builder.ambari_simulator.engine.task import Request, Status, Task
from bigtop_builder.ambari_simulator.engine.work import work_of
from bigtop_builder.ambari_simulator.rest.query import Predicate, parse_predicate
from bigtop_builder.ambari_simulator.rest.render import Leaf
from bigtop_builder.model.ambari_stack import StackDefinition
from bigtop_builder.model.errors import ConfigurationError

FORMAT = 1
MOST_REQUESTS = 200
"""Finished requests to keep, besides those that belong to a cluster's deployments."""
MOST_OUTPUT = 16 << 10
"""Characters of a task's output to keep, from its end."""
PAUSE = 20
"""Changes by tasks may take at most 1/PAUSE of the time to write; changes by a call are written before its answer."""
CLASSES: Mapping[str, Any] = {
    one.__name__: one
    for one in (
        *(state.User, state.Host, state.HostGroup, state.Blueprint, state.RepositoryVersion),
        *(cluster_state.ConfigVersion, cluster_state.ServiceVersion, cluster_state.HostComponent),
        *(cluster_state.Service, cluster_state.ConfigGroup, cluster_state.AlertState, cluster_state.Cluster),
        cluster_state.StackUpgrade,
        *(cluster_state.LogicalTask, cluster_state.HostRequest, cluster_state.LogicalRequest),
        *(Request, Task),
    )
}
PARTS = ("users", "hosts", "versions", "blueprints", "clusters", "counters", "upgrade_packs")


def dump(world: World) -> str:
    """Return everything worth keeping as JSON. The caller holds ``world.lock``."""
    writer = _Writer()
    parts = {name: writer.value(getattr(world, name)) for name in PARTS}
    parts["requests"] = writer.value(_worth_keeping(world))
    return json.dumps({"format": FORMAT, "world": parts, "nodes": writer.nodes}, ensure_ascii=False)


def load(text: str, world: World) -> None:
    """Restore a new world from a dump; hosts that it does not have are left out, those it has register
    again, as after any restart of a server. Raises ValueError, KeyError or TypeError if the text is not such a dump."""
    document = json.loads(text)
    if document["format"] != FORMAT:
        raise ValueError(f"its format is {document['format']}, not {FORMAT}")
    reader = _Reader(document["nodes"], world)
    # Dumps of former releases lack what these did not know.
    parts = {"upgrade_packs": {}} | {name: reader.value(value) for name, value in document["world"].items()}
    now = world.now()
    for name, host in world.hosts.items():
        former = parts["hosts"].get(name)
        if former is not None:
            former.ip, former.registers_at = host.ip, host.registers_at
            former.lost_at = None
            world.hosts[name] = former
    world.forget_hosts()
    for name in PARTS:
        if name != "hosts":
            setattr(world, name, parts[name])
    # What a restart of the server does, a restart of its process does too.
    update_used_versions(world)
    for cluster in world.clusters.values():
        cluster.undeletable = False
    work_of(world).engine.resume((one for one in parts["requests"] if one.cluster in world.clusters), now)


def _worth_keeping(world: World) -> list[Request]:
    requests = list(work_of(world).engine.requests.values())
    parts = {id(one) for cluster in world.clusters.values() for own in cluster.logical.values() for one in own.requests}
    newest = {id(one) for one in requests[-MOST_REQUESTS:]}
    return [one for one in requests if one.active or id(one) in newest or id(one) in parts]


class _Writer:
    """Writes values as JSON, each object once."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self._numbers: dict[int, int] = {}

    def value(self, value: Any) -> Any:
        if isinstance(value, Status):
            return {"!status": value.value}
        if value is None or isinstance(value, str | int | float):
            return value
        if isinstance(value, list):
            return [self.value(one) for one in value]
        if isinstance(value, tuple):
            return {"!tuple": [self.value(one) for one in value]}
        if isinstance(value, Mapping):
            return self._mapping(value)
        if isinstance(value, StackDefinition):
            return {"!stack": [value.name, value.version]}
        if isinstance(value, Predicate):
            return {"!predicate": value.source}
        if is_dataclass(value) and type(value).__name__ in CLASSES:
            return {"!node": self._node(value)}
        raise TypeError(f"{type(value).__name__} is not kept")

    def _mapping(self, value: Mapping[Any, Any]) -> Any:
        if isinstance(value, Leaf):
            return {"!leaf": [[name, self.value(one)] for name, one in value.items()]}
        if all(isinstance(name, str) and not name.startswith("!") for name in value):
            return {name: self.value(one) for name, one in value.items()}
        return {"!map": [[self.value(name), self.value(one)] for name, one in value.items()]}

    def _node(self, value: Any) -> int:
        known = self._numbers.get(id(value))
        if known is not None:
            return known
        number = self._numbers[id(value)] = len(self.nodes)
        self.nodes.append(None)
        own = {field.name: getattr(value, field.name) for field in fields(value)}
        if isinstance(value, Task):
            own |= {name: own[name][-MOST_OUTPUT:] for name in ("stdout", "stderr")}
        self.nodes[number] = [type(value).__name__, {name: self.value(one) for name, one in own.items()}]
        return number


class _Reader:
    """Reads them back: objects are created empty first, since they refer to each other."""

    def __init__(self, nodes: list[Any], world: World) -> None:
        self._stacks = world.stacks
        classes = [CLASSES[name] for name, _ in nodes]
        self._objects = [one.__new__(one) for one in classes]
        for kind, one, (_, given) in zip(classes, self._objects, nodes, strict=True):
            for field in fields(kind):
                # Works for frozen classes and classes with slots too.
                object.__setattr__(one, field.name, self._field(field, given))

    def _field(self, field: Any, given: Mapping[str, Any]) -> Any:
        if field.name in given:
            return self.value(given[field.name])
        if field.default is not MISSING:
            return field.default
        if field.default_factory is not MISSING:
            return field.default_factory()
        raise KeyError(field.name)

    def value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.value(one) for one in value]
        if not isinstance(value, dict):
            return value
        tag = next(iter(value), "")
        if not tag.startswith("!"):
            return {name: self.value(one) for name, one in value.items()}
        return self._tagged(tag, value[tag])

    def _tagged(self, tag: str, inner: Any) -> Any:
        match tag:
            case "!node":
                return self._objects[inner]
            case "!status":
                return Status(inner)
            case "!tuple":
                return tuple(self.value(one) for one in inner)
            case "!leaf":
                return Leaf({name: self.value(one) for name, one in inner})
            case "!map":
                return {self.value(name): self.value(one) for name, one in inner}
            case "!stack":
                return self._stacks[inner[0], inner[1]]
            case "!predicate":
                return parse_predicate(inner)
        raise ValueError(f"{tag} is unknown")


class Keeper:
    """Keeps a world in a file that only its owner can read."""

    def __init__(self, world: World, file: Path) -> None:
        self._world = world
        self._file = file
        self._kept = world.changes
        self._next = 0.0
        self._writing = threading.Lock()

    def resume(self) -> bool:
        """Restore the world from the file; return False if there is none. Raises ConfigurationError."""
        try:
            text = self._file.read_text(encoding="utf-8")
            load(text, self._world)
        except FileNotFoundError:
            return False
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise ConfigurationError(
                f"what the simulated Ambari knew cannot be read from {self._file}: {error}",
                hint="Remove the file; the server then forgets its clusters.",
            ) from error
        return True

    def keep(self, *, at_once: bool = False) -> None:
        """Write the file if anything changed, but not too soon after the last time."""
        if self._world.changes == self._kept or (time.monotonic() < self._next and not at_once):
            return
        with self._writing:
            began = time.monotonic()
            with self._world.lock:
                changes = self._world.changes
                text = dump(self._world)
            # A full disk loses the last changes, not the server.
            with contextlib.suppress(OSError):
                write_atomically(self._file, text)
                self._file.chmod(0o600)
                self._kept = changes
            ended = time.monotonic()
            self._next = ended + PAUSE * (ended - began)
