"""A rehearsal: run the deployment against a simulated Ambari whose agents only look packages up."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

from bigtop_builder.cluster.service_databases import SETUP_NAMES
from bigtop_builder.flow.publish.stack_check import read_offer
from bigtop_builder.model.ambari_stack import StackDefinition
from bigtop_builder.model.errors import ConfigurationError, PublishError
from bigtop_builder.model.inventory import OsFamily
from bigtop_builder.model.repository import filled, usual_variables
from bigtop_builder.recipe.inventory import LoadedInventory

FAMILIES: dict[str, OsFamily] = {".el7": "redhat7", ".el8": "redhat8", ".el9": "redhat9", ".oe2203": "openeuler22"}
"""The OS family by the dist tag at the end of a package's release."""
USUAL: OsFamily = "redhat8"
PASSWORD = "BIGTOP_REHEARSAL_PASSWORD"
ADDRESS = "192.0.2.1"
"""An address for documentation (RFC 5737): simulated hosts have none."""


FOLDER = "file://"


@contextmanager
def rehearsal(loaded: LoadedInventory) -> Iterator[LoadedInventory]:
    """Run a simulated server with all hosts of the inventory registered; yield the inventory changed to use it.

    Raises ConfigurationError if the inventory has no Ambari.
    """
    from bigtop_builder.ambari_simulator.agents.paper import PaperAgent, PaperCrew
    from bigtop_builder.ambari_simulator.assembly import Ticker, assemble
    from bigtop_builder.ambari_simulator.engine.engine import Pace
    from bigtop_builder.ambari_simulator.engine.repository_probe import is_address
    from bigtop_builder.ambari_simulator.engine.state import Host, World
    from bigtop_builder.ambari_simulator.resource_tree import registry
    from bigtop_builder.ambari_simulator.resources.stacks import load_stacks
    from bigtop_builder.ambari_simulator.rest.server import Simulation

    choice = loaded.inventory.ambari
    if choice is None:
        raise ConfigurationError("nothing to rehearse: the inventory has no ambari")
    world = World()
    world.fetch = _fetch
    world.is_address = lambda url: is_address(url) or url.startswith(FOLDER)
    drivers = choice.setup.drivers if choice.setup else {}
    world.properties |= {
        f"custom.{kind}.jdbc.name": "driver.jar" for kind, key in SETUP_NAMES.items() if key in drivers
    }
    load_stacks(world)
    stack = world.stacks.get((loaded.inventory.stack.name, loaded.inventory.stack.version))
    stack = stack or next(iter(world.stacks.values()))
    family = _family(loaded, stack)
    work = assemble(world, PaperCrew(PaperAgent(_reader(stack, family))), Pace(minute=1.0))
    for entry in loaded.hosts:
        if entry.group is not None:
            host = Host(entry.name, ADDRESS, os_type=family, os_family=family)
            world.hosts[entry.name] = host
            world.register(host)
    password = secrets.token_urlsafe(24)
    world.users[choice.user] = replace(world.users["admin"], name=choice.user, password=password)
    with Simulation(world, registry()) as simulation, Ticker(work):
        os.environ[PASSWORD] = password
        try:
            changed = {"url": simulation.url, "password": f"env:{PASSWORD}", "ca": None, "setup": None, "poll": "1s"}
            inventory = loaded.inventory.model_copy(update={"ambari": choice.model_copy(update=changed)})
            yield replace(loaded, inventory=inventory)
        finally:
            os.environ.pop(PASSWORD, None)


def _fetch(url: str) -> tuple[int, str]:
    """GET a URL as the simulated server does. The check has read the user's own folder, if the URL is one."""
    from bigtop_builder.ambari_simulator.engine.repository_probe import fetch

    return (200, "") if url.startswith(FOLDER) else fetch(url)


def _reader(stack: StackDefinition, family: str) -> Callable[[str], frozenset[str] | None]:
    @cache
    def available(url: str) -> frozenset[str] | None:
        try:
            offer = read_offer([filled(url, family, usual_variables(family))], stack)
        except PublishError:
            return None
        return frozenset(package.name for package in offer.packages)

    return available


def _family(loaded: LoadedInventory, stack: StackDefinition) -> OsFamily:
    """Return the OS family of the hosts, judging by the packages in the repositories."""
    for repository in loaded.inventory.repositories:
        for family in [None] if "{family}" not in repository.url else FAMILIES.values():
            try:
                packages = read_offer(
                    [filled(repository.url, family, usual_variables(family or USUAL))], stack
                ).packages
            except PublishError:
                continue
            found = next((FAMILIES[end] for one in packages for end in FAMILIES if one.evr.endswith(end)), None)
            if family or found:
                return family or found or USUAL
    return USUAL
