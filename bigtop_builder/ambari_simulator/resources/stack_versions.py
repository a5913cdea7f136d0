"""``stack_versions`` of a cluster, and checks before an upgrade (contract 9, exchange 153)."""

from __future__ import annotations

from collections.abc import Iterable

from bigtop_builder.ambari_simulator.engine.cluster_state import Cluster
from bigtop_builder.ambari_simulator.engine.java_hash_order import hash_order
from bigtop_builder.ambari_simulator.engine.state import World
from bigtop_builder.ambari_simulator.engine.task import Request, Task
from bigtop_builder.ambari_simulator.engine.work import work_of
from bigtop_builder.ambari_simulator.resources.requests import cluster_of
from bigtop_builder.ambari_simulator.rest.query import Row
from bigtop_builder.ambari_simulator.rest.registry import Body, Call, Resource, properties
from bigtop_builder.ambari_simulator.rest.render import Leaf
from bigtop_builder.ambari_simulator.rest.replies import CREATED, Refusal, Reply, accepted, internal

HOST_STATES = ("CURRENT", "INSTALLED", "INSTALLING", "INSTALL_FAILED", "NOT_REQUIRED", "OUT_OF_SYNC")


ROLE = "install_packages"


def state_of_version(world: World, cluster: Cluster, number: int) -> str:
    """Return CURRENT once everything installed from it has its version, otherwise the state in between."""
    members = [one for one in cluster.components.values() if cluster.services[one.service].repository == number]
    if not members:
        return "INSTALLED" if number in cluster.installed_versions else "NOT_REQUIRED"
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


def _distribute(call: Call, bodies: tuple[Body, ...]) -> Reply:
    """Install packages beside the used ones, or with ``force`` take them as installed: 201 without a body."""
    cluster, given = cluster_of(call), bodies[0].properties if bodies else {}
    if cluster.upgrading is not None:
        raise Refusal(400, f"Cluster {cluster.name} upgrade is in progress.  Cannot install packages.")
    own = {name: str(given.get(f"ClusterStackVersions/{name}")) for name in ("stack", "version", "repository_version")}
    if (own["stack"], own["version"]) not in call.world.stacks:
        raise Refusal(404, f"Stack {own['stack']}-{own['version']} is not supported")
    known = {(one.stack_name, one.stack_version, one.version): one for one in call.world.versions.values()}
    version = known.get((own["stack"], own["version"], own["repository_version"]))
    if version is None:
        stack = f"{own['stack']}-{own['version']}"
        raise Refusal(400, f"Repo version {own['repository_version']} is not available for stack {stack}")
    call.world.changes += 1
    if str(given.get("ClusterStackVersions/force")).lower() == "true":
        cluster.installed_versions.append(version.id)
        return CREATED
    work, number = work_of(call.world), call.world.number("request")
    service = next(iter(cluster.services))
    tasks = [
        Task(call.world.number("task"), host, ROLE, service, "ACTIONEXECUTE", f"{ROLE} ACTIONEXECUTE")
        for host in sorted(cluster.hosts)
    ]
    cluster.distributing[number] = version.id
    work.engine.submit(Request(number, cluster.name, "Install version", call.world.now(), [tasks]), call.world.now())
    return accepted(call.href("clusters", cluster.name, "requests", number), number)


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
