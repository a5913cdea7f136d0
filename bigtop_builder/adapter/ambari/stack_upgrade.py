"""Upgrades of a cluster to another version of its stack, as Ambari keeps them: upgrade packs, begin, hold, finalize.

Ambari begins an upgrade only with an upgrade pack, a file on the server. A ``PUT`` of ``Clusters/version`` is answered
with 200 and ignored (seen on 3.0).
"""

from __future__ import annotations

from dataclasses import dataclass

from bigtop_builder.adapter.ambari.connection import Connection, Json, listed, required
from bigtop_builder.adapter.ambari.errors import UnexpectedAnswerError
from bigtop_builder.adapter.ambari.query import fields, path
from bigtop_builder.cluster.stack_upgrade import UpgradeView

_FIELDS = fields("Upgrade", "request_id direction request_status suspended associated_version pack versions")


@dataclass(frozen=True)
class HeldItem:
    """A step of an upgrade that waits for a person: HOLDING, or HOLDING_FAILED after a failure."""

    group: int
    stage: int
    status: str
    error: str = ""


class StackUpgradeCalls(Connection):
    """``/clusters/…/upgrades`` and what belongs to it."""

    def upgrade_packs(self, stack: str, version: str) -> tuple[str, ...]:
        """Return the names of a stack's upgrade packs."""
        found = self.get(path("stacks", stack, "versions", version), fields="Versions/upgrade_packs")
        return tuple(str(name) for name in found.get("Versions", {}).get("upgrade_packs") or ())

    def upgrades(self, cluster: str) -> list[UpgradeView]:
        """Return the upgrades of a cluster and the ways back, the last one last."""
        found = [_upgrade(item) for item in self.items(path("clusters", cluster, "upgrades"), fields=_FIELDS)]
        return sorted(found, key=lambda one: one.request)

    def distribute(self, cluster: str, stack: str, version: str, repository_version: str) -> int | None:
        """Have the agents install the packages of a version beside those that are used; return the request's id.

        Only the agents' answer makes a version ``resolved``. Without that, commands go on to name the version that a
        component has reported last, and components start from its folder (seen on 3.0, also with ``force``, which
        takes packages for installed).
        """
        about = {
            "stack": stack,
            "version": version,
            "repository_version": repository_version,
            "success_factor": "1.0",
        }
        return self.post(path("clusters", cluster, "stack_versions"), {"ClusterStackVersions": about}).request

    def begin_upgrade(self, cluster: str, version: int, pack: str) -> int:
        """Begin an upgrade to a repository version; return its request.

        With a pack of the type ROLLING, the cluster has the other stack and its configurations when the call returns.
        """
        about = {
            "repository_version_id": str(version),
            "upgrade_type": "ROLLING",
            "direction": "UPGRADE",
            "pack": pack,
            # They demand service checks in the last hour and much more that a deployment sees to itself.
            "skip_prerequisite_checks": "true",
        }
        return self._begin(cluster, about)

    def begin_downgrade(self, cluster: str) -> int:
        """Begin the way back of the last upgrade, which must have been aborted; return its request."""
        return self._begin(cluster, {"upgrade_type": "ROLLING", "direction": "DOWNGRADE"})

    def _begin(self, cluster: str, about: Json) -> int:
        data = self.post(path("clusters", cluster, "upgrades"), {"Upgrade": about}).data
        for resource in listed(data.get("resources")) if isinstance(data, dict) else []:
            return int(resource["Upgrade"]["request_id"])
        raise UnexpectedAnswerError("the response to a new upgrade has no request")

    def abort_upgrade(self, cluster: str, request: int) -> None:
        """Abort an upgrade for good: after this there is only the way back."""
        about = {"request_status": "ABORTED", "suspended": "false"}
        self.put(path("clusters", cluster, "upgrades", request), {"Upgrade": about})

    def held_item(self, cluster: str, request: int) -> HeldItem | None:
        """Return the step that an upgrade waits at, or None."""
        where = path("clusters", cluster, "upgrades", request, "upgrade_groups")
        wanted = "upgrade_items/UpgradeItem/status,upgrade_items/UpgradeItem/stage_id,upgrade_items/tasks/Tasks/stderr"
        for group in self.items(where, fields=wanted):
            for item in listed(group.get("upgrade_items")):
                about = item["UpgradeItem"]
                if str(about.get("status")).startswith("HOLDING"):
                    said = [str(task["Tasks"].get("stderr") or "") for task in listed(item.get("tasks"))]
                    number = int(group["UpgradeGroup"]["group_id"])
                    return HeldItem(number, int(about["stage_id"]), about["status"], "\n".join(said).strip())
        return None

    def release_item(self, cluster: str, request: int, item: HeldItem) -> None:
        """Let an upgrade go on from the step that it waits at; a failed one is tried again."""
        where = path(
            "clusters", cluster, "upgrades", request, "upgrade_groups", item.group, "upgrade_items", item.stage
        )
        self.put(where, {"UpgradeItem": {"status": "COMPLETED" if item.status == "HOLDING" else "PENDING"}})


def _upgrade(item: Json) -> UpgradeView:
    about = item.get("Upgrade", {})
    # By service; of a way back, what it leads to.
    end = "from" if about.get("direction") == "UPGRADE" else "to"
    former = [str(one.get(f"{end}_repository_version")) for one in (about.get("versions") or {}).values()]
    return UpgradeView(
        request=int(required(about, "request_id")),
        direction=str(required(about, "direction")),
        status=str(required(about, "request_status")),
        version=str(about.get("associated_version") or ""),
        pack=str(about.get("pack") or ""),
        suspended=bool(about.get("suspended")),
        former=former[0] if former else "",
    )
