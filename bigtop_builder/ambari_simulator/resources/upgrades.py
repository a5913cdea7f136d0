"""``upgrades`` of a cluster with their groups and items, as a server of 3.0 answers them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bigtop_builder.ambari_simulator.engine.cluster_state import StackUpgrade
from bigtop_builder.ambari_simulator.engine.stack_upgrade import begin, finalize, go_back, upgrade_pack
from bigtop_builder.ambari_simulator.resources.requests import cluster_of
from bigtop_builder.ambari_simulator.rest.query import Row
from bigtop_builder.ambari_simulator.rest.registry import Body, Call, Resource, properties
from bigtop_builder.ambari_simulator.rest.render import Leaf
from bigtop_builder.ambari_simulator.rest.replies import DONE, Refusal, Reply, internal, resources, uncaught

KEY, GROUP_KEY, ITEM_KEY = "Upgrade/request_id", "UpgradeGroup/group_id", "UpgradeItem/stage_id"
GROUPS = ("HOLD", "FINALIZE")


def _row(call: Call, upgrade: StackUpgrade) -> Row:
    version = call.world.versions[upgrade.version]
    forward = upgrade.direction == "UPGRADE"
    ends = ("from", "to") if forward else ("to", "from")

    def moved(former: int) -> Leaf:
        before = call.world.versions.get(former)
        pairs = zip(ends, (before.version if before else None, version.version), strict=True)
        return Leaf({f"{end}_repository_version": name for end, name in pairs})

    return {
        "Upgrade": {
            "associated_version": version.version,
            "cluster_name": cluster_of(call).name,
            "direction": upgrade.direction,
            "downgrade_allowed": True,
            "pack": upgrade.pack,
            "request_context": f"{'Upgrading to' if forward else 'Downgrading from'} {version.version}",
            "request_id": upgrade.request,
            "request_status": upgrade.status,
            "suspended": False,
            "type": "INTERNAL_REQUEST",
            "upgrade_type": "ROLLING",
            "versions": Leaf({name: moved(former) for name, former in upgrade.repositories.items()}),
        }
    }


def _rows(call: Call) -> Iterable[Row]:
    return [_row(call, upgrade) for upgrade in cluster_of(call).upgrades]


def _create(call: Call, bodies: tuple[Body, ...]) -> Reply:
    cluster, world = cluster_of(call), call.world
    given = bodies[0].properties if bodies else {}
    direction = str(given.get("Upgrade/direction", "UPGRADE")).upper()
    if direction == "UPGRADE" and "Upgrade/repository_version_id" not in given:
        raise internal("repository_version_id is required")
    if cluster.upgrading is not None:
        (running,) = (one for one in cluster.upgrades if one.request == cluster.upgrading)
        raise internal(
            f"Unable to perform {direction.lower()} as another {running.direction.lower()} "
            f"(request ID {running.request}) is in progress."
        )
    if direction == "DOWNGRADE":
        former = [one for one in cluster.upgrades if one.direction == "UPGRADE"]
        if not former:
            raise uncaught()
        return _begun(call, go_back(world, cluster, former[-1]))
    version = world.versions[int(given["Upgrade/repository_version_id"])]
    target = world.stacks[version.stack_name, version.stack_version]
    name = given.get("Upgrade/pack")
    pack = upgrade_pack(world, cluster, target, str(name) if name else None)
    if pack is None:
        kind = str(given.get("Upgrade/upgrade_type", "ROLLING")).lower()
        # Of the stack that the cluster would get; without one, of its own (153).
        raise internal(f"Could not locate {kind} upgrade pack for stack {target.id}")
    return _begun(call, begin(world, cluster, version, pack))


def _begun(call: Call, upgrade: StackUpgrade) -> Reply:
    where = call.href("clusters", cluster_of(call).name, "upgrades", upgrade.request)
    return resources({"href": where, "Upgrade": {"request_id": upgrade.request}})


def _update(call: Call, rows: list[Row], body: Body) -> Reply:
    cluster = cluster_of(call)
    status = str(body.properties.get("Upgrade/request_status", ""))
    if status == "ABORTED" and "Upgrade/suspended" not in body.properties:
        raise Refusal(
            400,
            "When changing the state of an upgrade to ABORTED, the Upgrade/suspended property is required to be either "
            "true or false.",
        )
    for row in rows:
        upgrade = next(one for one in cluster.upgrades if one.request == row["Upgrade"]["request_id"])
        if status == "ABORTED" and upgrade.request == cluster.upgrading:
            upgrade.status, cluster.upgrading = "ABORTED", None
            call.world.changes += 1
    return DONE


def _upgrade_of(call: Call) -> tuple[int, StackUpgrade]:
    for number, upgrade in enumerate(cluster_of(call).upgrades):
        if str(upgrade.request) == call.id(KEY):
            return number, upgrade
    raise Refusal(404, f"The requested resource doesn't exist: Upgrade not found, {call.id(KEY)}")


def _statuses(upgrade: StackUpgrade) -> tuple[str, str]:
    """The statuses of the item that waits for a person, and of the one that ends the upgrade."""
    if upgrade.status == "HOLDING":
        return "HOLDING", "PENDING"
    if upgrade.status == "ABORTED":
        return "ABORTED", "ABORTED"
    return "COMPLETED", upgrade.status


def _group_rows(call: Call) -> Iterable[Row]:
    number, upgrade = _upgrade_of(call)
    return [
        {
            "UpgradeGroup": {
                # Groups of all upgrades are numbered together, items by upgrade.
                "group_id": number * len(GROUPS) + place,
                "name": name,
                "request_id": upgrade.request,
                "status": status,
            }
        }
        for place, (name, status) in enumerate(zip(GROUPS, _statuses(upgrade), strict=True), start=1)
    ]


def _item_rows(call: Call) -> Iterable[Row]:
    number, upgrade = _upgrade_of(call)
    place = int(call.id(GROUP_KEY)) - number * len(GROUPS)
    return [{"UpgradeItem": _item(call, upgrade, place)}] if place in (1, 2) else []


def _item(call: Call, upgrade: StackUpgrade, place: int) -> dict[str, Any]:
    return {
        "group_id": int(call.id(GROUP_KEY)),
        "request_id": upgrade.request,
        "stage_id": place,
        "status": _statuses(upgrade)[place - 1],
    }


def _release(call: Call, rows: list[Row], body: Body) -> Reply:
    """Let an item that holds go on; what follows is over at once."""
    cluster = cluster_of(call)
    _, upgrade = _upgrade_of(call)
    allowed = {"HOLDING": {"COMPLETED", "ABORTED"}, "HOLDING_FAILED": {"PENDING", "FAILED", "ABORTED"}}
    for row in rows:
        now, wanted = row["UpgradeItem"]["status"], str(body.properties.get("UpgradeItem/status"))
        if wanted not in allowed.get(now, ()):
            raise Refusal(400, f"Can not transition a stage from {now} to {wanted}")
        finalize(call.world, cluster, upgrade)
        call.world.changes += 1
    return DONE


def _task_rows(call: Call) -> Iterable[Row]:
    _, upgrade = _upgrade_of(call)
    (item,) = _item_rows(call)
    about = item["UpgradeItem"]
    text = upgrade.message if about["status"] == "HOLDING_FAILED" else ""
    return [
        {"Tasks": {"id": about["stage_id"], "request_id": upgrade.request, "status": about["status"], "stderr": text}}
    ]


UPGRADE_TASK = Resource(
    type="Task",
    plural="tasks",
    key="Tasks/id",
    properties=properties("Tasks", "id request_id status stderr"),
    rows=_task_rows,
)
UPGRADE_ITEM = Resource(
    type="UpgradeItem",
    plural="upgrade_items",
    key=ITEM_KEY,
    keys=("UpgradeItem/group_id", "UpgradeItem/request_id", ITEM_KEY),
    properties=properties("UpgradeItem", "group_id request_id stage_id status"),
    rows=_item_rows,
    update=_release,
    sub=(UPGRADE_TASK,),
)
UPGRADE_GROUP = Resource(
    type="UpgradeGroup",
    plural="upgrade_groups",
    key=GROUP_KEY,
    keys=(GROUP_KEY, "UpgradeGroup/request_id"),
    properties=properties("UpgradeGroup", "group_id name request_id status"),
    rows=_group_rows,
    sub=(UPGRADE_ITEM,),
)
UPGRADE = Resource(
    type="Upgrade",
    plural="upgrades",
    key=KEY,
    keys=("Upgrade/cluster_name", KEY),
    properties=properties(
        "Upgrade",
        "associated_version cluster_name direction downgrade_allowed pack request_context request_id request_status "
        "suspended type upgrade_type versions repository_version_id skip_prerequisite_checks",
    ),
    rows=_rows,
    listed=False,
    create=_create,
    update=_update,
    sub=(UPGRADE_GROUP,),
)
