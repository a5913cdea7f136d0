"""List test beds, report their state, and remove them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bigtop_builder.adapter.containers.testbed import Bed, names
from bigtop_builder.adapter.store import Store, remove_tree, translated
from bigtop_builder.flow.testbed.files import Files, recorded
from bigtop_builder.model.errors import ConfigurationError, NothingSelectedError
from bigtop_builder.model.testbed import TestBed
from bigtop_builder.recipe.document import Document, load, near

if TYPE_CHECKING:
    from docker import DockerClient

SIDE_BY_SIDE = 8
Say = Callable[[str], None]
MachineState = Literal["running", "stopped", "missing"]


@dataclass(frozen=True)
class HostStatus:
    """One container host: its address in the test bed's network, and where SSH reaches it."""

    name: str
    address: str
    ssh: str
    state: MachineState


@dataclass(frozen=True)
class Status:
    """The state of one test bed. ``simulation`` is None if the real Ambari runs."""

    name: str
    subnet: str
    hosts: tuple[HostStatus, ...]
    repository: MachineState | None
    """None if nothing is served because addresses were given."""
    repositories: tuple[str, ...]
    ambari: str
    simulation: Literal["running", "ended"] | None
    record: str

    @property
    def whole(self) -> bool:
        """Whether every part is running."""
        states = [host.state for host in self.hosts] + ([self.repository] if self.repository else [])
        return all(state == "running" for state in states) and self.simulation != "ended"


def testbed_document(store: Store, name: str) -> Document:
    """Return the fragment to merge over an inventory. Raises NothingSelectedError if the test bed is not up."""
    files = Files(store, name)
    if not files.record.is_file():
        raise NothingSelectedError(
            f"no test bed {name}",
            hint=near(name, recorded(store)) or f"Create it: bigtop-builder testbed up --name {name} --inventory FILE",
        )
    return load(files.record)


def repository_host(name: str) -> str:
    """The host name at which a test bed serves repositories."""
    return f"repository.{name}.test"


@contextmanager
def locked(store: Store, name: str) -> Iterator[None]:
    """Lock a test bed for this command. Raises ConfigurationError if another command has it."""
    with store.locked(f"testbed-{name}", wait=False) as mine:
        if not mine:
            raise ConfigurationError(
                f"another command is working on the test bed {name}", hint="Wait for it to finish, then try again."
            )
        yield


def owned(client: DockerClient, store: Store, name: str) -> Bed:
    """Return the engine's part of a test bed. Raises ConfigurationError if one of another store has this name."""
    place = store.root.resolve()
    bed = Bed(client, name, place)
    owner = bed.owner()
    if owner not in (None, str(place)):
        raise ConfigurationError(
            f"the container engine has a test bed {name} that belongs to the store {owner}",
            hint=f"Choose another --name, or remove that one: bigtop-builder testbed down {name} --store {owner}",
        )
    return bed


def status(store: Store, name: str) -> Status:
    """Return the state of a test bed. Raises NothingSelectedError if there is none, EngineError."""
    from bigtop_builder.adapter.containers.engine import connect

    files = Files(store, name)
    state = files.state()
    with closing(connect()) as client:
        known = all_names(store, client)
        if name not in known:
            raise NothingSelectedError(f"no test bed {name}", hint=near(name, known) or None)
        if state is None:
            return Status(name, "", (), None, (), "", None, "")
        return status_of(state, files, Bed(client, name, store.root.resolve()))


def status_of(state: TestBed, files: Files, bed: Bed) -> Status:
    """Return the state of the parts that ``state`` lists."""
    found = bed.containers()

    def look(name: str) -> MachineState:
        container = found.get(name)
        return "missing" if container is None else "running" if container.running else "stopped"

    places = ssh_places(state, bed)
    process = files.simulation()
    running = process is not None and process.running
    return Status(
        name=state.name,
        subnet=state.subnet,
        hosts=tuple(
            HostStatus(name, address, "{}:{}".format(*places[name]), look(name))
            for name, address in state.hosts.items()
        ),
        repository=look(repository_host(state.name)) if state.folders else None,
        repositories=tuple(one.url for one in state.repositories),
        ambari=state.ambari,
        simulation=None if state.packages else "running" if running else "ended",
        record=str(files.record),
    )


def ssh_places(state: TestBed, bed: Bed) -> dict[str, tuple[str, int]]:
    """Where SSH reaches each host from this machine: name → address and port."""
    found = bed.containers() if state.published else {}
    return {
        name: ("127.0.0.1", found[name].ports.get(22, 22) if name in found else 22)
        if state.published
        else (address, 22)
        for name, address in state.hosts.items()
    }


def all_names(store: Store, client: DockerClient) -> list[str]:
    """Return the names of the test beds of a store, including partial ones."""
    return sorted({*recorded(store), *names(client, store.root.resolve())})


def statuses(store: Store) -> list[Status]:
    """Return the state of every test bed of a store. Raises EngineError."""
    from bigtop_builder.adapter.containers.engine import connect

    with closing(connect()) as client:
        known = all_names(store, client)
    return [status(store, name) for name in known]


def down(store: Store, name: str, say: Say) -> list[str]:
    """Remove a test bed, or what exists of it: process, containers, network, files; return what was removed.

    Raises NothingSelectedError if nothing exists, EngineError, ConfigurationError.
    """
    from bigtop_builder.adapter.containers.engine import connect

    files = Files(store, name)
    with locked(store, name), closing(connect()) as client:
        bed = owned(client, store, name)
        removed = _end_simulation(files, say)
        containers = list(bed.containers().values())
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            for container, _ in zip(containers, pool.map(bed.remove, containers), strict=True):
                say(f"removed {container.name}")
        removed += [container.name for container in containers]
        if bed.remove_networks():
            say(f"removed the network {bed.network}")
            removed.append(bed.network)
        if files.folder.exists():
            with translated(files.folder):
                remove_tree(files.folder)
            removed.append(str(files.folder))
        if not removed:
            known = all_names(store, client)
            raise NothingSelectedError(f"no test bed {name}", hint=near(name, known) or None)
    return removed


def _end_simulation(files: Files, say: Say) -> list[str]:
    process = files.simulation()
    if process is None or not process.running:
        return []
    process.end()
    say("ended the simulated Ambari")
    return ["simulated Ambari"]
