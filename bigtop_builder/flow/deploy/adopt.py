"""Adopt a running cluster: read what its Ambari server says of it, for an inventory. Nothing is changed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bigtop_builder.cluster.adoption.found import (
    DEFAULT_RACK,
    FoundCluster,
    FoundGroup,
    FoundRepositories,
    FoundServer,
    Usual,
)
from bigtop_builder.cluster.adoption.hosts import HostGroup, groups_of
from bigtop_builder.cluster.blueprint import NO_RETRY
from bigtop_builder.cluster.configuration import Configuration
from bigtop_builder.cluster.layout import Layout, LayoutGroup, Placed
from bigtop_builder.cluster.stack_data import ambari_line, load_stack
from bigtop_builder.cluster.stack_rest import stack_from_rest
from bigtop_builder.flow.deploy.adopted_repositories import ENVIRONMENT, TEMPLATE, read_repositories, template_of
from bigtop_builder.flow.deploy.desired_layout import as_recommendation
from bigtop_builder.model.errors import AmbariError, ConfigurationError
from bigtop_builder.recipe.catalog import shipped_templates
from bigtop_builder.recipe.document import near
from bigtop_builder.recipe.inventory import expand

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.ambari.cluster import ClusterView
    from bigtop_builder.adapter.ambari.repository import RepositoryVersion
    from bigtop_builder.adapter.ambari.server import RegisteredHost
    from bigtop_builder.adapter.ambari.service import HostComponent
    from bigtop_builder.model.ambari_stack import StackDefinition

FROM_BLUEPRINTS = {**NO_RETRY, "command_retry_max_time_in_sec": "600", "commands_to_retry": "INSTALL,START"}
"""What ``cluster-env`` of every cluster from a blueprint of ours has besides the stack's defaults."""


def read_cluster(
    client: Ambari, server: FoundServer, name: str | None, overlays: tuple[Path, ...]
) -> tuple[FoundCluster, Usual, StackDefinition]:
    """Return a cluster of the server, what it has by itself, and its stack; ``name`` if the server has several.

    Raises AmbariError, ConfigurationError for a cluster or a stack that is not known.
    """
    view = _view(client, name)
    stack = _stack(client, view, overlays)
    hosts = {host.name: host for host in client.hosts() if host.name in view.hosts}
    components = list(client.host_components(view.name))
    groups, beyond = _groups(client, view, stack, components)
    types = stack.configuration_types()
    kinds = sorted(kind for kind in view.desired_configs if types.get(kind) in view.services or kind == ENVIRONMENT)
    configurations = {kind: client.configuration(view.name, kind, view.desired_configs[kind]) for kind in kinds}
    version = _version(client, view, stack)
    families = sorted({host.os_family for host in hosts.values() if host.os_family})
    repositories = read_repositories(client, stack, version, families, configurations.get(ENVIRONMENT, Configuration()))
    usual, advised = _usual(client, view, stack, groups, repositories, families)
    others = sorted({*view.desired_configs} - {*kinds})
    notes = [f"Configuration types of services that the cluster does not have, left out: {', '.join(others)}."]
    found = FoundCluster(
        name=view.name,
        source=f"{server.url}, Ambari {client.version()}",
        stack=stack.name,
        stack_version=stack.version,
        groups=groups,
        configurations=configurations,
        server=server,
        repository_version=version.version if version else None,
        repositories=repositories,
        racks=_racks(hosts),
        security=view.security,
        recommendation="ALWAYS_APPLY_DONT_OVERRIDE_CUSTOM_VALUES" if advised else None,
        notes={
            ("groups",): beyond,
            ("configurations",): tuple(notes if others else ()),
            ("recommendation",): (
                ("What the advisor recommends is left out below `configurations`: a new cluster gets it this way.",)
                if advised
                else ()
            ),
        },
    )
    return found, usual, stack


def _view(client: Ambari, name: str | None) -> ClusterView:
    names = client.clusters()
    if not names:
        raise AmbariError(
            f"the Ambari server {client.url} has no cluster", hint="A user without any role sees none: see --user."
        )
    if name is None and len(names) > 1:
        raise ConfigurationError(
            f"the Ambari server {client.url} has several clusters: {', '.join(names)}",
            hint="Choose one: --cluster NAME.",
        )
    wanted = name or names[0]
    view = client.cluster(wanted)
    if view is None:
        raise ConfigurationError(f"the Ambari server {client.url} has no cluster {wanted}", hint=near(wanted, names))
    if not view.hosts:
        raise AmbariError(f"the cluster {wanted} has no hosts", hint="There is nothing of it to write down yet.")
    return view


def _stack(client: Ambari, view: ClusterView, overlays: tuple[Path, ...]) -> StackDefinition:
    name, _, version = view.version.rpartition("-")
    try:
        known = load_stack(name, version, ambari_line(client.version()), (shipped_templates(), *overlays))
    except ConfigurationError as error:
        raise ConfigurationError(
            f"the cluster {view.name} has the stack {view.version}, which is not known here",
            hint=f"An overlay can describe it, in ambari/stacks/{view.version.lower()}.yaml.",
        ) from error
    return stack_from_rest(client.stack_services(name, version), known)


def _groups(
    client: Ambari, view: ClusterView, stack: StackDefinition, components: Sequence[HostComponent]
) -> tuple[tuple[FoundGroup, ...], tuple[str, ...]]:
    own = [
        HostGroup(
            group.name,
            group.service,
            group.hosts,
            {kind: client.configuration(view.name, kind, tag) for kind, tag in group.tags.items()},
        )
        for group in client.config_groups(view.name)
    ]
    placed: dict[str, list[Placed]] = {host: [] for host in view.hosts}
    for one in components:
        placed.setdefault(one.host, []).append(_placed(stack, one))
    return groups_of(placed, own, stack)


def _placed(stack: StackDefinition, one: HostComponent) -> Placed:
    """Return a component as it is wanted: one that somebody has stopped is not started."""
    known = stack.component(one.component)
    client = known is not None and known.is_client
    stopped = one.state == one.desired_state == "INSTALLED" and not one.maintenance
    return Placed(one.component, "INSTALL_ONLY") if stopped and not client else Placed(one.component)


def _version(client: Ambari, view: ClusterView, stack: StackDefinition) -> RepositoryVersion | None:
    """Return the version of most of the cluster's services."""
    used = Counter(service.repository_version for service in client.services(view.name))
    known = {one.id: one for one in client.repository_versions(stack.name, stack.version)}
    return next((known[id] for id, _ in used.most_common() if id is not None and id in known), None)


def _racks(hosts: Mapping[str, RegisteredHost]) -> dict[str, str]:
    found = {name: host.settings.get("rack_info", DEFAULT_RACK) for name, host in hosts.items()}
    return {name: rack for name, rack in found.items() if rack != DEFAULT_RACK and rack.startswith("/")}


def _usual(
    client: Ambari,
    view: ClusterView,
    stack: StackDefinition,
    groups: Sequence[FoundGroup],
    repositories: FoundRepositories,
    families: Sequence[str],
) -> tuple[Usual, bool]:
    """Return what the cluster has by itself, and whether that includes what the advisor recommends."""
    values: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    attributes: dict[str, dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    passwords: dict[str, set[str]] = defaultdict(set)
    for service in (*view.services, None):
        for item in client.stack_properties(stack.name, stack.version, service):
            if item.value is not None:
                values[item.type][item.name].add(item.value)
            if item.final:
                attributes[item.type]["final"][item.name] = "true"
            if "PASSWORD" in item.kinds:
                passwords[item.type].add(item.name)
    for name, value in FROM_BLUEPRINTS.items():
        values[ENVIRONMENT][name].add(value)
    advised = False
    for kind, properties in _recommended(client, view, stack, groups).items():
        for name, value in properties.items():
            advised = advised or (kind in values and value not in values[kind][name])
            values[kind][name].add(value)
    if repositories.entries:
        values[ENVIRONMENT][TEMPLATE] = {template_of(repositories, families)}
    return Usual(
        {kind: {name: frozenset(known) for name, known in own.items()} for kind, own in values.items()},
        {kind: {name: dict(known) for name, known in own.items()} for kind, own in attributes.items()},
        {kind: frozenset(own) for kind, own in passwords.items()},
    ), advised


def _recommended(
    client: Ambari, view: ClusterView, stack: StackDefinition, groups: Sequence[FoundGroup]
) -> dict[str, dict[str, str]]:
    """Return what the stack advisor recommends for this layout; nothing if it fails, as it does on live servers."""
    layout = Layout(
        tuple(
            LayoutGroup(one.name, tuple(host for each in one.hosts for host in expand(each)), one.components)
            for one in groups
        )
    )
    try:
        advice = client.recommend(
            stack.name, stack.version, "configurations", view.hosts, view.services, as_recommendation(layout)
        )
    except AmbariError:
        return {}
    found = (advice.get("blueprint") or {}).get("configurations") or {}
    return {
        kind: {name: str(value) for name, value in (own.get("properties") or {}).items() if value is not None}
        for kind, own in found.items()
    }
