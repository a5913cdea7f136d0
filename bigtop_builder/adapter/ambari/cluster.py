"""Blueprints, clusters and their hosts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bigtop_builder.adapter.ambari.connection import Answer, Json, listed
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
    """A cluster. ``version`` is ``BIGTOP-3.2.0``; ``provisioning_state`` is INSTALLED even after a failed
    installation; ``desired_configs`` gives the tag by configuration type; ``health`` counts hosts by state."""

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
        """Names of all blueprints."""
        return [str(item["Blueprints"]["blueprint_name"]) for item in self.items("blueprints")]

    def blueprint(self, name: str) -> Json | None:
        """A blueprint as Ambari holds it, without ``href``, or None. Passwords come as ``SECRET:`` references."""
        found = self.find(path("blueprints", name))
        return {key: value for key, value in found.items() if key != "href"} if found is not None else None

    def create_blueprint(self, name: str, body: Json, *, validate: bool = True) -> None:
        """Makes a blueprint; ``validate`` False skips the check of cardinalities and dependencies.

        Raises ConflictError when the name is taken, InvalidRequestError with Ambari's reasons.
        """
        self.post(path("blueprints", name), body, query="" if validate else "validate_topology=false")

    def delete_blueprint(self, name: str) -> None:
        """Raises InUseError while a cluster made from it exists."""
        self.delete(path("blueprints", name))

    def clusters(self) -> list[str]:
        """Names of the clusters that the user may see; a user without roles is shown none."""
        return [str(item["Clusters"]["cluster_name"]) for item in self.items("clusters")]

    def cluster(self, name: str) -> ClusterView | None:
        """A cluster, or None."""
        found = self.find(path("clusters", name), fields=_CLUSTER_FIELDS)
        return cluster_view(found) if found is not None else None

    def create_cluster(self, name: str, template: Json) -> int:
        """Makes a cluster from a blueprint; the id of the logical request that installs it.

        Raises ConflictError when it exists. After another RefusedError half of it may exist.
        """
        return _started(self.post(path("clusters", name), template), f"the creation of cluster {name}")

    def create_empty_cluster(self, name: str, stack: str) -> None:
        """Makes a cluster without a blueprint; ``stack`` is ``BIGTOP-3.2.0``."""
        self.post(path("clusters", name), {"Clusters": {"version": stack}})

    def delete_cluster(self, name: str) -> None:
        """Removes a cluster whose components are stopped; a cluster that is gone is no mistake.

        Raises AmbariError while one of its requests is unfinished: the server takes the deletion, and from then on
        carries out no request of any cluster until it is restarted (seen on 3.0). Raises InUseError for started
        components.
        """
        try:
            open_requests = [view for view in self.requests(name, unfinished_only=True) if not view.logical]
            if open_requests:
                told = ", ".join(f"{view.id} ({view.context})" for view in open_requests[:5])
                raise AmbariError(
                    f"cluster {name} has {len(open_requests)} unfinished requests: {told}", hint="abort them first"
                )
            self.delete(path("clusters", name))
        except NotFoundError:
            return

    def export_blueprint(self, name: str) -> Json:
        """A blueprint of the cluster as it is."""
        return self.get(path("clusters", name), query="format=blueprint")

    def add_hosts(self, cluster: str, entries: Sequence[Mapping[str, str]]) -> int:
        """Adds hosts to a cluster made from a blueprint; the id of the logical request. Each entry holds ``blueprint``,
        ``host_group`` and ``host_name``, and may hold ``rack_info``."""
        answer = self.post(path("clusters", cluster, "hosts"), [dict(entry) for entry in entries])
        return _started(answer, f"adding hosts to cluster {cluster}")

    def map_hosts(self, cluster: str, hosts: Iterable[str]) -> None:
        """Puts registered hosts into a cluster, without any component. Raises ConflictError."""
        self.post(path("clusters", cluster, "hosts"), [{"Hosts": {"host_name": host}} for host in hosts])

    def set_host(self, cluster: str, host: str, settings: Mapping[str, str]) -> None:
        """Set properties of a host of the cluster, such as ``rack_info``."""
        self.put(path("clusters", cluster, "hosts", host), {"Hosts": dict(settings)})

    def delete_host(self, cluster: str, host: str) -> None:
        """Removes a host, whose components are stopped, from Ambari altogether until its agent registers again; a
        host that is gone is no mistake. Raises InUseError."""
        where = path("clusters", cluster, "hosts", host)
        try:
            try:
                self.delete(where)
            except ServerError as error:
                # A host of a cluster made from a blueprint is removed although the server answers with this.
                if _HALF_REMOVED not in error.answer:
                    raise
                self.delete(where)
        except NotFoundError:
            return

    def add_host_components(self, cluster: str, components: Iterable[str], hosts: Iterable[str]) -> None:
        """Puts components, not yet installed, on hosts of the cluster. Raises ConflictError."""
        body = {"host_components": [{"HostRoles": {"component_name": name}} for name in components]}
        predicate = any_of(f"Hosts/host_name={host}" for host in hosts)
        self.post(path("clusters", cluster, "hosts"), body, query=predicate.strip("()"))

    def put_credential(self, cluster: str, alias: str, principal: str, key: str) -> None:
        """Keeps a credential in the server's memory, for it to make Kerberos identities with, in place of another."""
        where = path("clusters", cluster, "credentials", alias)
        body = {"Credential": {"principal": principal, "key": key, "type": "temporary"}}
        try:
            self.post(where, body)
        except ConflictError:
            self.put(where, body)

    def stack_versions(self, cluster: str) -> dict[int, str]:
        """How far the cluster is with each registered version, by its id: CURRENT, INSTALLED, OUT_OF_SYNC,
        NOT_REQUIRED …"""
        found = self.items(path("clusters", cluster, "stack_versions"), fields="ClusterStackVersions/*")
        views = [item.get("ClusterStackVersions", {}) for item in found]
        return {int(view["repository_version"]): str(view.get("state", "")) for view in views}


def cluster_view(item: Json) -> ClusterView:
    """A cluster from Ambari's rendering of it."""
    about = item.get("Clusters", {})
    configs = about.get("desired_configs") or {}
    return ClusterView(
        name=str(about.get("cluster_name", "")),
        version=about.get("version") or "",
        security=about.get("security_type") or "NONE",
        provisioning_state=about.get("provisioning_state") or "",
        total_hosts=int(about.get("total_hosts") or 0),
        desired_configs={kind: str(config.get("tag", "")) for kind, config in configs.items()},
        services=tuple(str(one["ServiceInfo"]["service_name"]) for one in listed(item.get("services"))),
        hosts=tuple(str(one["Hosts"]["host_name"]) for one in listed(item.get("hosts"))),
        health={key: int(value) for key, value in (about.get("health_report") or {}).items()},
    )


def _started(answer: Answer, what: str) -> int:
    if answer.request is None:
        raise UnexpectedAnswerError(f"Ambari took {what} and named no request ({answer.status})")
    return answer.request
