"""Decommissioning: take followers out of service before they are stopped, and see how far that is."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from bigtop_builder.adapter.ambari.connection import Connection, Json
from bigtop_builder.adapter.ambari.errors import RefusedError, UnexpectedAnswerError
from bigtop_builder.adapter.ambari.query import path

OUT, IN_SERVICE = "DECOMMISSIONED", "INSERVICE"
_NODES = "metrics/dfs/namenode"


@dataclass(frozen=True)
class DataNodeState:
    """A DataNode as a NameNode sees it: ``In Service``, ``Decommission In Progress``, ``Decommissioned`` …

    ``blocks``: how many are still to be copied, if the NameNode says so.
    """

    state: str
    live: bool
    blocks: int | None = None

    @property
    def decommissioned(self) -> bool:
        """Whether the node holds no block any more that others do not hold."""
        return self.state == "Decommissioned"


class DecommissionCalls(Connection):
    """The command DECOMMISSION, and the NameNode's list of its nodes."""

    def decommission(self, cluster: str, service: str, master: str, follower: str, hosts: Collection[str]) -> int:
        """Take followers out of service; return the id of the request.

        Its end only means that the masters know. Ambari refuses followers that are not STARTED.
        """
        names = ",".join(sorted(hosts))
        info: Json = {
            "command": "DECOMMISSION",
            "context": f"Decommission {follower} on {names}",
            "parameters": {"slave_type": follower, "excluded_hosts": names},
            "operation_level": {"level": "CLUSTER", "cluster_name": cluster},
        }
        # Ambari refuses hosts in the filter: the masters get the command.
        filters = [{"service_name": service, "component_name": master}]
        request = self.post(
            path("clusters", cluster, "requests"), {"RequestInfo": info, "Requests/resource_filters": filters}
        ).request
        if request is None:
            raise UnexpectedAnswerError(f"Ambari accepted to decommission {names} but returned no request id")
        return request

    def admin_states(self, cluster: str, component: str) -> dict[str, str]:
        """Return by host whether a component is INSERVICE or DECOMMISSIONED, as Ambari has ordered it."""
        found = self.items(
            path("clusters", cluster, "host_components"),
            fields="HostRoles/host_name,HostRoles/desired_admin_state",
            query=f"HostRoles/component_name={component}",
        )
        states = [item["HostRoles"] for item in found]
        return {str(one["host_name"]): str(one.get("desired_admin_state") or IN_SERVICE) for one in states}

    def data_nodes(self, cluster: str) -> dict[str, dict[str, DataNodeState]]:
        """Return what each NameNode that answers says about its DataNodes: NameNode's host → DataNode's host → state.

        Ambari asks NameNodes itself (NameNodeInfo of their JMX); one that does not answer is left out.
        """
        try:
            found = list(
                self.items(
                    path("clusters", cluster, "host_components"),
                    fields=f"HostRoles/host_name,{_NODES}/LiveNodes,{_NODES}/DeadNodes,{_NODES}/DecomNodes",
                    query="HostRoles/component_name=NAMENODE",
                )
            )
        except RefusedError:
            return {}
        return {
            str(item["HostRoles"]["host_name"]): nodes
            for item in found
            if (nodes := _nodes(item.get("metrics", {}).get("dfs", {}).get("namenode", {})))
        }


def _nodes(metrics: Mapping[str, Any]) -> dict[str, DataNodeState]:
    leaving = {host: about.get("underReplicatedBlocks") for host, about in _parsed(metrics.get("DecomNodes")).items()}
    nodes = {
        host: DataNodeState("Decommissioned" if about.get("decommissioned") is True else "Dead", live=False)
        for host, about in _parsed(metrics.get("DeadNodes")).items()
    }
    for host, about in _parsed(metrics.get("LiveNodes")).items():
        blocks = leaving.get(host)
        known = blocks if isinstance(blocks, int) else None
        nodes[host] = DataNodeState(str(about.get("adminState") or ""), True, known)
    return nodes


def _parsed(text: object) -> dict[str, Mapping[str, Any]]:
    """Parse a list of nodes, which is JSON in a text: ``{"node1.example.com:50010": {…}}``, also without the port."""
    try:
        nodes = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return {}
    if not isinstance(nodes, dict):
        return {}
    return {str(name).partition(":")[0].lower(): about for name, about in nodes.items() if isinstance(about, dict)}
