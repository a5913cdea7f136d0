"""Upgrades of a cluster to another version of its stack: begin, hold, go back, finalize.

Seen on a server of 3.0 with an upgrade pack of the type ROLLING that does nothing but hold: POST moves the stack, the
versions of services and the configurations at once, and the upgrade waits; hosts go on to get commands meanwhile. An
upgrade that was aborted may only go back. What is read in the sources: the merge (UpgradeHelper), the check of versions
at the end (FinalizeUpgradeAction), that a version is not renamed meanwhile (StackVersionListener).
"""

from __future__ import annotations

import re

from bigtop_builder.ambari_simulator.engine.cluster_state import Cluster, StackUpgrade
from bigtop_builder.ambari_simulator.engine.state import RepositoryVersion, World
from bigtop_builder.cluster.stack_rest import default_properties
from bigtop_builder.cluster.stack_upgrade import numbers, pack_name
from bigtop_builder.model.ambari_stack import StackDefinition


def offer_packs(world: World) -> None:
    """Give a server our upgrade packs between the versions of its stacks: on a real one ``deploy`` writes them."""
    for name, target in world.stacks:
        older = [one for stack, one in world.stacks if stack == name and numbers(one) < numbers(target)]
        if older:
            world.upgrade_packs[name, target] = [pack_name(one, target) for one in sorted(older)]


def upgrade_pack(world: World, cluster: Cluster, target: StackDefinition, name: str | None) -> str | None:
    """Return the pack for a cluster on its way to another stack; only packs with a known source are considered."""
    for pack in world.upgrade_packs.get((target.name, target.version), ()):
        known = re.search(r"\d+(\.\d+)+", pack)
        if (name == pack) if name else known is not None and known.group() == cluster.stack.version:
            return pack
    return None


def begin(world: World, cluster: Cluster, version: RepositoryVersion, pack: str) -> StackUpgrade:
    """Move a cluster to a version's stack; return the upgrade, which holds."""
    target = world.stacks[version.stack_name, version.stack_version]
    upgrade = StackUpgrade(
        world.number("request"),
        "UPGRADE",
        pack,
        version.id,
        cluster.stack,
        {name: one.repository for name, one in cluster.services.items()},
        {kind: one.tag for kind, one in cluster.desired.items()},
    )
    _merge(world, cluster, cluster.stack, target)
    cluster.stack = target
    _hold(world, cluster, upgrade, dict.fromkeys(cluster.services, version.id))
    return upgrade


def go_back(world: World, cluster: Cluster, former: StackUpgrade) -> StackUpgrade:
    """Move a cluster back to what it was before an upgrade; return the way back, which holds."""
    back = StackUpgrade(
        world.number("request"),
        "DOWNGRADE",
        former.pack,
        former.version,
        former.stack,
        former.repositories,
        former.tags,
    )
    cluster.stack = former.stack
    for kind, tag in former.tags.items():
        if kind in cluster.desired:
            cluster.desired[kind] = next(one for one in cluster.versions[kind] if one.tag == tag)
    _hold(world, cluster, back, former.repositories)
    return back


def finalize(world: World, cluster: Cluster, upgrade: StackUpgrade) -> None:
    """End an upgrade or a way back, unless some component reports another version: then it holds as failed."""
    behind = [
        f"{one.component} on host {one.host}"
        for one in sorted(cluster.components.values(), key=lambda one: (one.component, one.host))
        if cluster.selected(one) and one.version != world.versions[cluster.services[one.service].repository].version
    ]
    if behind:
        upgrade.status = "HOLDING_FAILED"
        upgrade.message = (
            f"The following {len(behind)} host component(s) have not been upgraded to version "
            f"{world.versions[upgrade.version].version}. Please install and upgrade the Stack Version on those hosts "
            "and try again.\nHost components:\n" + "\n".join(behind)
        )
        return
    upgrade.status, upgrade.message, cluster.upgrading = "COMPLETED", "", None
    for one in cluster.components.values():
        one.upgrade_state = "NONE"


def _hold(world: World, cluster: Cluster, upgrade: StackUpgrade, repositories: dict[str, int]) -> None:
    for name, number in repositories.items():
        if name in cluster.services:
            cluster.services[name].repository = number
    for one in cluster.components.values():
        one.upgrade_state = "IN_PROGRESS" if cluster.selected(one) else "NONE"
    cluster.upgrades.append(upgrade)
    cluster.upgrading = upgrade.request
    world.changes += 1


def _merge(world: World, cluster: Cluster, old: StackDefinition, new: StackDefinition) -> None:
    """Take over what the new stack adds, and its defaults where a property had the old one."""
    kinds = {kind for name in cluster.services for kind in new.services[name].configurations} | {*new.defaults}
    for kind in sorted(kinds):
        now = dict(cluster.properties(kind))
        before, after = default_properties(old, kind), default_properties(new, kind)
        merged = dict(now)
        for name, value in after.items():
            added = name not in now and name not in before
            if value is not None and (added or (name in now and now[name] == before.get(name))):
                merged[name] = value
        if kind not in cluster.desired or merged != now:
            attributes = cluster.desired[kind].attributes if kind in cluster.desired else {}
            cluster.put(kind, f"version{world.milliseconds()}", merged, attributes)
