"""Blueprints, clusters and their hosts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bigtop_builder.adapter.ambari.connection import Answer, Json, listed, required
from bigtop_builder.adapter.ambari.errors import ConflictError, NotFoundError, ServerError, UnexpectedAnswerError
from bigtop_builder.adapter.ambari.query import any_of, fields, path
from bigtop_builder.adapter.ambari.request import RequestCalls
from bigtop_builder.model.errors import AmbariError

_CLUSTER_FIELDS = ",".join(
    [
        fields(
            "Clusters",
            "cluster_id cluster_name version provisioning_state security_type total_hosts health_report "
            "desired_configs",
        ),
        "services/ServiceInfo/service_name",
        "hosts/Hosts/host_name",
    ]
)
_HALF_REMOVED = "null is not a known Entity type"


@dataclass(frozen=True)
class ClusterView:
    """A cluster.

    ``version`` is ``BIGTOP-3.2.0``; ``provisioning_state`` is INSTALLED even after a failed installation;
    ``desired_configs`` has the tag by configuration type; ``health`` counts hosts by state.
    """

    name: str
    version: str
    security: str
    provisioning_state: str
    total_hosts: int
    desired_configs: Mapping[str, str]
    services: tuple[str, ...]
    hosts: tuple[str, ...]
    health: Mapping[str, int]


class ClusterCalls(RequestCalls):
    """``/blueprints``, ``/clusters``, ``/clusters/…/hosts``."""

    def blueprints(self) -> list[str]:
        """Return the names of all blueprints."""
        return [str(item["Blueprints"]["blueprint_name"]) for item in self.items("blueprints")]

    def blueprint(self, name: str) -> Json | None:
        """Return a blueprint without ``href``, or None. Passwords are ``SECRET:`` references."""
        found = self.find(path("blueprints", name))
        return {key: value for key, value in found.items() if key != "href"} if found is not None else None

    def create_blueprint(self, name: str, body: Json, *, validate: bool = True) -> None:
        """Create a blueprint; without ``validate`` Ambari skips the check of cardinalities and dependencies.

        Raises ConflictError if the name is taken, InvalidRequestError with Ambari's reasons.
        """
        self.post(path("blueprints", name), body, query="" if validate else "validate_topology=false")

    def delete_blueprint(self, name: str) -> None:
        """Remove a blueprint. Raises InUseError while a cluster created from it exists."""
        self.delete(path("blueprints", name))

    def clusters(self) -> list[str]:
        """Return the names of the clusters that the user may see; a user without roles sees none."""
        return [str(item["Clusters"]["cluster_name"]) for item in self.items("clusters")]

    def cluster(self, name: str) -> ClusterView | None:
        """Return a cluster, or None."""
        found = self.find(path("clusters", name), fields=_CLUSTER_FIELDS)
        return cluster_view(found) if found is not None else None

    def create_cluster(self, name: str, template: Json) -> int:
        """Create a cluster from a blueprint; return the id of the logical request that installs it.

        Raises ConflictError if it exists. After any other RefusedError half of it may exist.
        """
        return _started(self.post(path("clusters", name), template), f"the creation of cluster {name}")

    def create_empty_cluster(self, name: str, stack: str) -> None:
        """Create a cluster without a blueprint; ``stack`` is ``BIGTOP-3.2.0``."""
        self.post(path("clusters", name), {"Clusters": {"version": stack}})

    def delete_cluster(self, name: str) -> None:
        """Remove a cluster whose components are stopped, if it exists.

        Raises AmbariError while one of its requests is unfinished: the server would accept the deletion, and then carry
        out no request of any cluster until it is restarted (seen on 3.0). Raises InUseError for started components.
        """
        try:
            open_requests = [view for view in self.requests(name, unfinished_only=True) if not view.logical]
            if open_requests:
                listing = ", ".join(f"{view.id} ({view.context})" for view in open_requests[:5])
                raise AmbariError(
                    f"cluster {name} has {len(open_requests)} unfinished requests: {listing}", hint="abort them first"
                )
            self.delete(path("clusters", name))
        except NotFoundError:
            return

    def export_blueprint(self, name: str) -> Json:
        """Return a blueprint of the cluster as it is."""
        return self.get(path("clusters", name), query="format=blueprint")

    def add_hosts(self, cluster: str, entries: Sequence[Mapping[str, str]]) -> int:
        """Add hosts to a cluster created from a blueprint; return the id of the logical request.

        Each entry has ``blueprint``, ``host_group`` and ``host_name``, and may have ``rack_info``.
        """
        answer = self.post(path("clusters", cluster, "hosts"), [dict(entry) for entry in entries])
        return _started(answer, f"adding hosts to cluster {cluster}")

    def map_hosts(self, cluster: str, hosts: Iterable[str]) -> None:
        """Add registered hosts to a cluster, without any component. Raises ConflictError."""
        self.post(path("clusters", cluster, "hosts"), [{"Hosts": {"host_name": host}} for host in hosts])

    def set_host(self, cluster: str, host: str, settings: Mapping[str, str]) -> None:
        """Set properties of a host of the cluster, such as ``rack_info``.

        A changed rack makes Ambari mark the components of services that depend on racks as stale (read in the sources:
        HostResourceProvider, registerRackChange).
        """
        self.put(path("clusters", cluster, "hosts", host), {"Hosts": dict(settings)})

    def delete_host(self, cluster: str, host: str) -> None:
        """Remove a host with stopped components from Ambari until its agent registers again, if it exists.

        Raises InUseError.
        """
        where = path("clusters", cluster, "hosts", host)
        try:
            try:
                self.delete(where)
            except ServerError as error:
                # The server answers with this for a host of a cluster from a blueprint, although it removes it.
                if _HALF_REMOVED not in error.answer:
                    raise
                self.delete(where)
        except NotFoundError:
            return

    def add_host_components(self, cluster: str, components: Iterable[str], hosts: Iterable[str]) -> None:
        """Add components to hosts of the cluster without installing them. Raises ConflictError."""
        body = {"host_components": [{"HostRoles": {"component_name": name}} for name in components]}
        predicate = any_of(f"Hosts/host_name={host}" for host in hosts)
        self.post(path("clusters", cluster, "hosts"), body, query=predicate.strip("()"))

    def put_credential(self, cluster: str, alias: str, principal: str, key: str) -> None:
        """Store or replace a credential in the server's memory, which it uses to create Kerberos identities."""
        where = path("clusters", cluster, "credentials", alias)
        body = {"Credential": {"principal": principal, "key": key, "type": "temporary"}}
        try:
            self.post(where, body)
        except ConflictError:
            self.put(where, body)

    def stack_versions(self, cluster: str) -> dict[int, str]:
        """Return the state of each registered version by its id: CURRENT, INSTALLED, OUT_OF_SYNC, NOT_REQUIRED …"""
        found = self.items(path("clusters", cluster, "stack_versions"), fields="ClusterStackVersions/*")
        views = [item.get("ClusterStackVersions", {}) for item in found]
        return {int(view["repository_version"]): str(required(view, "state")) for view in views}


def cluster_view(item: Json) -> ClusterView:
    """Parse a cluster."""
    about = item.get("Clusters", {})
    configs = required(about, "desired_configs") or {}
    return ClusterView(
        name=str(about.get("cluster_name", "")),
        version=required(about, "version") or "",
        security=about.get("security_type") or "NONE",
        provisioning_state=about.get("provisioning_state") or "",
        total_hosts=int(about.get("total_hosts") or 0),
        desired_configs={kind: str(required(config, "tag")) for kind, config in configs.items()},
        services=tuple(str(one["ServiceInfo"]["service_name"]) for one in listed(required(item, "services"))),
        hosts=tuple(str(one["Hosts"]["host_name"]) for one in listed(required(item, "hosts"))),
        health={key: int(value) for key, value in (about.get("health_report") or {}).items()},
    )


def _started(answer: Answer, what: str) -> int:
    if answer.request is None:
        raise UnexpectedAnswerError(f"Ambari accepted {what} but returned no request id ({answer.status})")
    return answer.request
