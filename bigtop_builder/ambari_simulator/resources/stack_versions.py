"""``stack_versions`` and upgrades of a cluster (contract 9, exchange 153). BIGTOP has no upgrade packs."""

from __future__ import annotations

from collections.abc import Iterable

from bigtop_builder.ambari_simulator.engine.cluster_state import Cluster
from bigtop_builder.ambari_simulator.engine.java_hash_order import hash_order
from bigtop_builder.ambari_simulator.engine.state import World
from bigtop_builder.ambari_simulator.resources.requests import cluster_of
from bigtop_builder.ambari_simulator.rest.query import Row
from bigtop_builder.ambari_simulator.rest.registry import Body, Call, Resource, properties
from bigtop_builder.ambari_simulator.rest.render import Leaf
from bigtop_builder.ambari_simulator.rest.replies import Refusal, Reply, internal

HOST_STATES = ("CURRENT", "INSTALLED", "INSTALLING", "INSTALL_FAILED", "NOT_REQUIRED", "OUT_OF_SYNC")


def state_of_version(world: World, cluster: Cluster, number: int) -> str:
    """Return CURRENT once everything installed from it has its version, otherwise the state in between."""
    members = [one for one in cluster.components.values() if cluster.services[one.service].repository == number]
    if not members:
        return "NOT_REQUIRED"
    if any(one.state == "INSTALL_FAILED" for one in members):
        return "INSTALL_FAILED"
    if any(one.version == "UNKNOWN" and cluster.selected(one) for one in members):
        return "INSTALLING"
    return "CURRENT"


def _rows(call: Call) -> Iterable[Row]:
    cluster = cluster_of(call)
    return [_row(call.world, cluster, number) for number in sorted(call.world.versions)]


def _row(world: World, cluster: Cluster, number: int) -> Row:
    state = state_of_version(world, cluster, number)
    states = {name: hash_order(cluster.hosts) if name == state else [] for name in HOST_STATES}
    return {
        "ClusterStackVersions": {
            "cluster_name": cluster.name,
            "id": number,
            "repository_summary": _summary(world, number),
            "repository_version": number,
            "stack": cluster.stack.name,
            "state": state,
            "supports_revert": False,
            "version": cluster.stack.version,
            "host_states": Leaf(states),
        }
    }


def _summary(world: World, number: int) -> Leaf | None:
    version = world.versions[number]
    services = {
        name: Leaf(version=given, release_version=version.version, upgrade=True)
        for name, given in version.extra.get("services", {}).items()
    }
    return Leaf(services=Leaf(services)) if services else None


def _distribute(_call: Call, _bodies: tuple[Body, ...]) -> Reply:
    raise Refusal(400, "Distribution of packages is not simulated: packages come with INSTALL")


STACK_VERSION = Resource(
    type="ClusterStackVersion",
    plural="stack_versions",
    key="ClusterStackVersions/id",
    keys=(
        "ClusterStackVersions/cluster_name",
        "ClusterStackVersions/id",
        "ClusterStackVersions/repository_version",
        "ClusterStackVersions/stack",
        "ClusterStackVersions/version",
    ),
    properties=properties(
        "ClusterStackVersions",
        "cluster_name host_states id repository_summary repository_version stack state supports_revert version",
    ),
    rows=_rows,
    create=_distribute,
)


def _upgrade(call: Call, bodies: tuple[Body, ...]) -> Reply:
    cluster = cluster_of(call)
    given = bodies[0].properties if bodies else {}
    if "Upgrade/repository_version_id" not in given:
        raise internal("repository_version_id is required")
    kind = str(given.get("Upgrade/upgrade_type", "ROLLING")).lower()
    raise internal(f"Could not locate {kind} upgrade pack for stack {cluster.stack.id}")


UPGRADE = Resource(
    type="Upgrade",
    plural="upgrades",
    key="Upgrade/request_id",
    properties=properties("Upgrade", "cluster_name request_id request_status upgrade_type direction"),
    rows=lambda call: [],
    listed=False,
    create=_upgrade,
)


def _check_rows(call: Call) -> Iterable[Row]:
    cluster = cluster_of(call)
    if call.predicate is None or "UpgradeChecks/repository_version_id" not in call.predicate.names:
        raise internal("repository_version_id is required")
    return [
        {
            "UpgradeChecks": {
                "check": "At least one upgrade pack must exist for the target",
                "check_type": "CLUSTER",
                "cluster_name": cluster.name,
                "failed_on": [cluster.name],
                "id": "VALID_UPGRADE_PACK",
                "reason": f"Could not locate rolling upgrade pack for stack {cluster.stack.id}",
                "repository_version_id": number,
                "status": "FAIL",
                "upgrade_type": kind,
            }
        }
        for number in sorted(call.world.versions)
        for kind in ("ROLLING", "NON_ROLLING")
    ]


UPGRADE_CHECK = Resource(
    type="PreUpgradeCheck",
    plural="rolling_upgrades_check",
    key="UpgradeChecks/id",
    properties=properties(
        "UpgradeChecks",
        "check check_type cluster_name failed_detail failed_on id reason repository_version_id status upgrade_type",
    ),
    rows=_check_rows,
    listed=False,
)
