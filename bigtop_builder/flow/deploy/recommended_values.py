"""Properties that a deployment recommends: sizes for the hosts at hand, and what follows from missing files.

The inventory's own values take precedence.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bigtop_builder.cluster.layout import Layout
from bigtop_builder.cluster.needs import Place, UnmetNeed, needs_of, places, settled, unmet_needs
from bigtop_builder.cluster.sizes import HostSize, sizes
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.repository import version_of
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model.errors import ConfigurationError, PublishError
from bigtop_builder.model.properties import Configurations

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari


def with_recommended(client: Ambari, world: World, reporter: Reporter, layout: Layout) -> Layout:
    """Return the layout with recommended properties under its own, and report what is recommended and why.

    Before there is a server with hosts nothing is recommended yet. Raises ConfigurationError if ``layout.size``
    requires the memory of a host that has not been reported.
    """
    if world.inventory.ambari is None or not world.server_answers:
        return layout
    layout = _over(_sized(client, world, reporter, layout), layout)
    return _over(_settled(client, world, reporter, layout), layout)


def places_of(world: World, layout: Layout) -> tuple[Place, ...]:
    """Return what is installed where, with the properties that matter."""
    inventory = world.inventory
    return places(layout, inventory.prepare.packages, kerberos=inventory.security.kerberos is not None)


def _over(values: dict[str, dict[str, str]], layout: Layout) -> Layout:
    given = layout.configurations
    merged: Configurations = {
        kind: {**values.get(kind, {}), **given.get(kind, {})} for kind in dict.fromkeys([*given, *values])
    }
    return replace(layout, configurations=merged) if values else layout


def _sized(client: Ambari, world: World, reporter: Reporter, layout: Layout) -> dict[str, dict[str, str]]:
    size = world.inventory.size
    if size is None:
        return {}
    known = {host.name: HostSize(host.memory_kb >> 10, host.cpu) for host in client.hosts() if host.memory_kb}
    missing = [host for host in layout.hosts if host not in known]
    if size == "from-facts" and missing:
        # They register in a later phase, after which the layout is determined again.
        if reporter.phase in ("check", "prepare") or reporter.dry_run:
            reporter.notice(f"sizes are known once these hosts have registered: {', '.join(missing)}")
            return {}
        raise ConfigurationError(
            f"the memory of {', '.join(missing)} is unknown",
            hint="Its agent has not registered, or reports no memory; layout.size small does without.",
            location=world.loaded.place("layout"),
        )
    found = sizes(size, layout, world.stack, known)
    given = layout.configurations
    new = sum(name not in given.get(kind, {}) for kind, properties in found.items() for name in properties)
    reporter.notice(f"layout.size {size}: {new} properties of heaps and containers; `--print blueprint` shows them")
    return found


def _settled(client: Ambari, world: World, reporter: Reporter, layout: Layout) -> dict[str, dict[str, str]]:
    unmet = _unmet(client, world, reporter, layout)
    for one in unmet:
        for kind, properties in settled([one]).items():
            for name, value in properties.items():
                reporter.notice(
                    f"{kind}/{name}={value}: no installed package has {one.path} ({one.package}); {one.need.why}"
                )
    return settled(unmet)


def _unmet(client: Ambari, world: World, reporter: Reporter, layout: Layout) -> list[UnmetNeed]:
    """Return the unmet needs of any OS family that follow-up properties can settle."""
    where, found = places_of(world, layout), {}
    pending = any(need.settle for place in where for _, need in needs_of(place, world.stack))
    if not pending or not world.inventory.repositories:
        return []
    for family in sorted({host.os_family for host in client.hosts() if host.name in layout.hosts and host.os_family}):
        try:
            offer = world.offer(family)
        except PublishError as error:
            reporter.notice(f"unknown what the packages hold: {error.message}", warning=True)
            return []
        unmet = unmet_needs(offer.packages, world.stack, where, family=family, version=version_of(world))
        found.update({(one.component, one.path): one for one in unmet if one.need.settle})
    return list(found.values())
