"""A rehearsal: run the deployment against a simulated Ambari whose agents only look packages up.

For an upgrade of the stack the simulated cluster has another version of it first, and its hosts have packages on paper.
Nothing is asked of the real server or its hosts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from secrets import token_urlsafe
from typing import TYPE_CHECKING

from bigtop_builder.cluster.demands import wanted_packages
from bigtop_builder.cluster.service_databases import SETUP_NAMES
from bigtop_builder.cluster.stack_upgrade import numbers, pack_path
from bigtop_builder.flow.deploy import phases as work
from bigtop_builder.flow.deploy.deployment import Deployment, open_deployment
from bigtop_builder.flow.deploy.phase_runner import PhaseWork
from bigtop_builder.flow.publish.stack_check import read_offer
from bigtop_builder.hosts.repository_access import resolve_accesses
from bigtop_builder.model.ambari_stack import StackDefinition
from bigtop_builder.model.errors import BigtopBuilderError, ConfigurationError, InterruptedRunError, PublishError
from bigtop_builder.model.event import Phase
from bigtop_builder.model.inventory import OsFamily
from bigtop_builder.model.repository import Repository, filled, usual_variables
from bigtop_builder.recipe.document import near
from bigtop_builder.recipe.inventory import LoadedInventory

if TYPE_CHECKING:
    from bigtop_builder.adapter.secret import Secrets
    from bigtop_builder.ambari_simulator.agents.paper_hosts import PaperFleet
    from bigtop_builder.ambari_simulator.engine.state import World as SimulatedWorld
    from bigtop_builder.cluster.demand_check import OfferedPackage

FAMILIES: dict[str, OsFamily] = {".el7": "redhat7", ".el8": "redhat8", ".el9": "redhat9", ".oe2203": "openeuler22"}
"""The OS family by the dist tag at the end of a package's release."""
USUAL: OsFamily = "redhat8"
PASSWORD = "BIGTOP_REHEARSAL_PASSWORD"
ADDRESS = "192.0.2.1"
"""An address for documentation (RFC 5737): simulated hosts have none."""
FORMER = "http://former-packages.invalid"
"""The repository that the former version's packages come from: no such name exists (RFC 6761)."""
RELEASE = "0.simulated"
"""The release of these packages; nobody has been asked for the real one."""
FOLDER = "file://"
Packages = Callable[[str], Collection[tuple[str, str]] | None]
"""Base URL of a repository → name and ``version-release`` of its packages; None if it cannot be read."""

Read = Callable[[str, OsFamily | None], "Sequence[OfferedPackage] | None"]
"""Address of a repository, and a family → its packages; None if it cannot be read."""


@dataclass(frozen=True)
class Rehearsal:
    """A simulated server with all hosts of the inventory registered, and time that passes as it is needed."""

    loaded: LoadedInventory
    """The inventory, changed to use the simulated server."""
    clock: Callable[[], float]
    pause: Callable[[float], object]
    """Lets seconds pass in the simulated world, without waiting for them."""
    former: LoadedInventory | None = None
    """The same with the version of the stack that the cluster has first."""
    paper: PaperFleet | None = None
    """The hosts, if they have packages."""
    offered: frozenset[str] = frozenset()
    """The packages that they can install once the cluster is there."""
    older: str = ""
    """A version of the stack that could be upgraded from."""

    @property
    def source(self) -> str:
        """The version of the stack before the upgrade. Raises ConfigurationError if there is none."""
        if self.former is None:
            raise ConfigurationError(
                "the simulated cluster has no stack that could be upgraded",
                hint="Name the version that it has: --from-stack VERSION.",
            )
        return self.former.inventory.stack.version

    def table(
        self, table: Mapping[Phase, PhaseWork], phases: Sequence[Phase], overlays: tuple[Path, ...] = ()
    ) -> Mapping[Phase, PhaseWork]:
        """Return the work of the phases, where the first one begins with the cluster that there is before."""
        first = next((phase for phase in phases if phase in table), None)
        if first is None:
            return table
        own = table[first]

        def begin(deployment: Deployment) -> str:
            self._begin(deployment, overlays)
            return own(deployment)

        return {**table, first: begin}

    def _begin(self, deployment: Deployment, overlays: tuple[Path, ...]) -> None:
        stack, tell = self.loaded.inventory.stack, deployment.reporter.notice
        if self.former is None:
            if self.older:
                tell(
                    f"the cluster is created with {stack.name}-{stack.version}; "
                    f"--from-stack {self.older} rehearses the steps of an upgrade to it"
                )
            return
        source = self.source
        try:
            self._create(self.former, deployment, overlays)
        except InterruptedRunError:
            raise
        except BigtopBuilderError as error:
            # What is wrong with the inventory is told as in any other run: all at once, each with its place.
            work.check(deployment)
            error.message = f"the cluster cannot be created with {stack.name}-{source}: {error.message}"
            raise
        tell(
            f"the simulated cluster has {stack.name}-{source}, with the inventory's hosts and configurations and those "
            f"of its components that {source} knows; the packages on its hosts are simulated"
        )
        if numbers(source) < numbers(stack.version):
            tell(
                f"the server is taken to have the upgrade pack {pack_path(stack.name, source, stack.version)}: with "
                "ambari.setup the phase ambari writes it, else put there what --print upgrade-pack prints"
            )

    def _create(self, former: LoadedInventory, deployment: Deployment, overlays: tuple[Path, ...]) -> None:
        """Create the cluster with the former version, in silence."""
        connections, reporter = deployment.connections, deployment.reporter
        with open_deployment(
            former,
            connections.secrets,
            lambda event: None,
            reporter.logs,
            reporter.cancelled,
            hosted=False,
            paper=self.paper,
            overlays=overlays,
            clock=self.clock,
            pause=self.pause,
        ) as other:
            steps: dict[Phase, PhaseWork] = {
                "repository": work.repository,
                "layout": work.layout,
                "cluster": work.cluster,
                "start": work.start,
            }
            for phase, step in steps.items():
                other.reporter.begin(phase)
                step(other)
        for host in self.paper.hosts.values() if self.paper is not None else ():
            host.offered |= self.offered


@contextmanager
def rehearsal(loaded: LoadedInventory, secrets: Secrets, former: str | None = None) -> Iterator[Rehearsal]:
    """Run a simulated server for a rehearsal; ``former``: the version of the stack that the cluster has before.

    ``secrets`` are those that the inventory's repositories may ask for. Raises ConfigurationError if the inventory has
    no Ambari, or for a version that cannot be upgraded from.
    """
    from bigtop_builder.ambari_simulator.agents.paper import PaperAgent, PaperCrew
    from bigtop_builder.ambari_simulator.agents.paper_hosts import PaperFleet, PaperHost
    from bigtop_builder.ambari_simulator.assembly import Ticker, assemble
    from bigtop_builder.ambari_simulator.engine.engine import Pace
    from bigtop_builder.ambari_simulator.engine.repository_probe import is_address
    from bigtop_builder.ambari_simulator.engine.stack_upgrade import offer_packs
    from bigtop_builder.ambari_simulator.engine.state import Host, World
    from bigtop_builder.ambari_simulator.resource_tree import registry
    from bigtop_builder.ambari_simulator.resources.stacks import load_stacks
    from bigtop_builder.ambari_simulator.rest.server import Simulation

    choice = loaded.inventory.ambari
    if choice is None:
        raise ConfigurationError("nothing to rehearse: the inventory has no ambari")
    clock = _Clock()
    world = World(clock=clock.now)
    world.fetch = _fetch
    world.is_address = lambda url: is_address(url) or url.startswith(FOLDER)
    drivers = choice.setup.drivers if choice.setup else {}
    world.properties |= {
        f"custom.{kind}.jdbc.name": "driver.jar" for kind, key in SETUP_NAMES.items() if key in drivers
    }
    load_stacks(world)
    stack = world.stacks.get((loaded.inventory.stack.name, loaded.inventory.stack.version))
    stack = stack or next(iter(world.stacks.values()))
    read = partial(_packages, loaded, secrets, stack)
    family = _family(loaded, read)
    packages = _reader(read, family, _former_packages(loaded, former, world.stacks, family) if former else ())
    paper = None
    if former:
        names = [entry.name for entry in loaded.hosts if entry.group is not None]
        paper = PaperFleet(PaperHost(name, {}, _words(packages(FORMER))) for name in names)
    urls = [filled(one.url, family) for one in loaded.inventory.repositories]
    agent = PaperAgent(_names(packages), paper.hosts if paper else None, urls)
    assembled = assemble(world, PaperCrew(agent), Pace(minute=1.0))
    offer_packs(world)
    for entry in loaded.hosts:
        if entry.group is not None:
            host = Host(entry.name, ADDRESS, os_type=family, os_family=family)
            world.hosts[entry.name] = host
            world.register(host)
    password = token_urlsafe(24)
    world.users[choice.user] = replace(world.users["admin"], name=choice.user, password=password)
    with Simulation(world, registry()) as simulation, Ticker(assembled):
        os.environ[PASSWORD] = password
        try:
            changed = {"url": simulation.url, "password": f"env:{PASSWORD}", "ca": None, "setup": None, "poll": "1s"}
            inventory = loaded.inventory.model_copy(update={"ambari": choice.model_copy(update=changed)})
            here = replace(loaded, inventory=inventory)
            pause = clock.passing(world)
            if former is None:
                yield Rehearsal(here, clock.now, pause, older=_older(loaded, world.stacks))
                return
            offered = frozenset(word for url in urls for word in _words(packages(url)))
            yield Rehearsal(here, clock.now, pause, _with_stack(here, world.stacks[stack.name, former]), paper, offered)
        finally:
            os.environ.pop(PASSWORD, None)


class _Clock:
    """The time of a rehearsal, which a wait puts forward."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        return time.time() + self._ahead

    def passing(self, world: SimulatedWorld) -> Callable[[float], None]:
        """Return what lets seconds pass in a world."""

        def let_pass(seconds: float) -> None:
            with world.lock:
                self._ahead += seconds
                world.settle()

        return let_pass


def require_former(loaded: LoadedInventory, former: str, known: Sequence[tuple[str, str]]) -> None:
    """Raise ConfigurationError for a former version that no server has, or that the inventory has too."""
    stack = loaded.inventory.stack
    if former == stack.version:
        raise ConfigurationError(
            f"--from-stack {former}: the inventory has this version too, so that there is no upgrade to rehearse",
            hint="Set stack.version to the version to upgrade to.",
            location=loaded.place("stack", "version"),
        )
    if (stack.name, former) not in known:
        versions = [version for name, version in known if name == stack.name]
        raise ConfigurationError(
            f"--from-stack {former}: there is no stack {stack.name}-{former}", hint=near(former, versions) or None
        )


def _with_stack(loaded: LoadedInventory, former: StackDefinition) -> LoadedInventory:
    """Return the inventory as it was with another version of the stack, without what that version did not have."""
    inventory = loaded.inventory
    update = {"version": former.version, "repository_version": None, "packages": "present"}
    like = next(iter(inventory.repositories), Repository(url=FORMER))
    own = {"url": FORMER, "credentials": None, "proxy": None, "proxy_credentials": None}
    groups = {}
    for name, group in inventory.groups.items():
        known = [
            one for one in group.components if former.component(one if isinstance(one, str) else one.name) is not None
        ]
        if known or not group.components:
            groups[name] = group.model_copy(update={"components": known})
    changed = {
        "stack": inventory.stack.model_copy(update=update),
        "repositories": [like.model_copy(update=own)],
        "groups": groups,
        "services": [name for name in inventory.services if name in former.services],
    }
    return replace(loaded, inventory=inventory.model_copy(update=changed))


def _older(loaded: LoadedInventory, stacks: Mapping[tuple[str, str], StackDefinition]) -> str:
    wanted = loaded.inventory.stack
    found = [one for name, one in stacks if name == wanted.name and numbers(one) < numbers(wanted.version)]
    return max(found, key=numbers, default="")


def _former_packages(
    loaded: LoadedInventory, former: str, stacks: Mapping[tuple[str, str], StackDefinition], family: str
) -> list[tuple[str, str]]:
    """Return all packages of the former version. Raises ConfigurationError."""
    require_former(loaded, former, list(stacks))
    stack = stacks[loaded.inventory.stack.name, former]
    components = [name for service in stack.services.values() for name in service.components]
    wishes = wanted_packages(stack, components, family, former)
    return [(wish.expected, f"{former}-{RELEASE}") for wish in wishes if wish.origin == "stack"]


def _words(packages: Collection[tuple[str, str]] | None) -> list[str]:
    return [f"{name}-{evr}" for name, evr in packages or ()]


def _fetch(url: str) -> tuple[int, str]:
    """GET a URL as the simulated server does. The check has read the user's own folder, if the URL is one."""
    from bigtop_builder.ambari_simulator.engine.repository_probe import fetch

    return (200, "") if url.startswith((FOLDER, FORMER)) else fetch(url)


def _names(packages: Packages) -> Callable[[str], frozenset[str] | None]:
    def available(url: str) -> frozenset[str] | None:
        found = packages(url)
        return None if found is None else frozenset(name for name, _ in found)

    return available


def _reader(read: Read, family: OsFamily, former: Collection[tuple[str, str]]) -> Packages:
    @cache
    def packages(url: str) -> Collection[tuple[str, str]] | None:
        if url == FORMER:
            return former
        found = read(url, family)
        return None if found is None else [(package.name, package.evr) for package in found]

    return packages


def _packages(
    loaded: LoadedInventory, secrets: Secrets, stack: StackDefinition, url: str, family: OsFamily | None
) -> Sequence[OfferedPackage] | None:
    """Return the packages of a repository for hosts of a family; None if it cannot be read."""
    variables = usual_variables(family or USUAL)
    place = filled(url, family, variables)
    try:
        accesses = resolve_accesses(loaded, secrets.value)
        logins: dict[str, tuple[str, str]] = {}
        for index, entry in enumerate(loaded.inventory.repositories):
            access = accesses.of(index)
            if entry.credentials and filled(entry.url, family, variables) == place:
                logins[place] = (access.user or "", access.password or "")
        return read_offer([place], stack, logins).packages
    except (ConfigurationError, PublishError):
        # The check says what is wrong, at its place in the inventory.
        return None


def _family(loaded: LoadedInventory, read: Read) -> OsFamily:
    """Return the OS family of the hosts, judging by the packages in the repositories."""
    for repository in loaded.inventory.repositories:
        for family in [None] if "{family}" not in repository.url else FAMILIES.values():
            packages = read(repository.url, family)
            if packages is None:
                continue
            found = next((FAMILIES[end] for one in packages for end in FAMILIES if one.evr.endswith(end)), None)
            if family or found:
                return family or found or USUAL
    return USUAL
