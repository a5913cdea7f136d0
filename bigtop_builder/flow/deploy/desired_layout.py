"""What the inventory wants of a cluster: which components on which hosts, and which of them run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bigtop_builder.flow.deploy.context import Deployment
from bigtop_builder.model.errors import ConfigurationError

if TYPE_CHECKING:
    from bigtop_builder.cluster.layout import Layout


def wanted_layout(deployment: Deployment) -> Layout:
    """The layout with what Ambari adds to it, checked; asked of the stack advisor with ``layout: auto``. Made once.

    Raises ConfigurationErrors with the places of what is wrong, AmbariError when the advisor fails.
    """
    if deployment.layout is None:
        from bigtop_builder.cluster.layout import layout_of
        from bigtop_builder.cluster.layout_rules import check_layout

        inventory = deployment.inventory
        checked = check_layout(
            layout_of(deployment.loaded) if inventory.layout == "groups" else _recommended(deployment),
            deployment.stack,
            deployment.loaded.place,
            services=tuple(inventory.services),
            kerberos=inventory.security.kerberos is not None,
            default_password=inventory.default_password is not None,
        )
        for text in checked.added:
            deployment.notice(text)
        for text in checked.warnings:
            deployment.notice(text, warning=True)
        deployment.layout = checked.layout
    return deployment.layout


def _recommended(deployment: Deployment) -> Layout:
    from bigtop_builder.cluster.layout import layout_recommended

    inventory = deployment.inventory
    if not inventory.services:
        raise ConfigurationError(
            "layout: auto needs services to place", location=deployment.loaded.place("layout"), hint="Give services."
        )
    advice = deployment.client.recommend(
        inventory.stack.name, inventory.stack.version, "host_groups", deployment.hosts, inventory.services
    )
    racks = {entry.name: entry.rack for entry in deployment.loaded.hosts if entry.rack}
    return layout_recommended(advice, inventory.configurations, racks)


def starting(deployment: Deployment) -> dict[str, set[str]]:
    """By host: the components that should run."""
    return {
        host: {
            placed.name
            for placed in group.components
            if placed.provision != "INSTALL_ONLY" and not is_client(deployment, placed.name)
        }
        for host, group in wanted_layout(deployment).hosts.items()
    }


def is_client(deployment: Deployment, component: str) -> bool:
    """Whether a component is only installed, never started."""
    known = deployment.stack.component(component)
    return known is not None and known.is_client


def services_of(deployment: Deployment, layout: Layout) -> list[str]:
    """The services of a layout's components."""
    found = (deployment.stack.service_of(name) for name in layout.components)
    return list(dict.fromkeys(name for name in found if name is not None))


def as_recommendation(layout: Layout) -> dict[str, Any]:
    """A layout in the shape that the stack advisor takes."""
    return {
        "blueprint": {
            "configurations": {},
            "host_groups": [
                {"name": group.name, "components": [{"name": name} for name in group.names]} for group in layout.groups
            ],
        },
        "blueprint_cluster_binding": {
            "host_groups": [
                {"name": group.name, "hosts": [{"fqdn": host} for host in group.hosts]} for group in layout.groups
            ]
        },
    }


def is_blueprint_of(blueprint: str, cluster: str) -> bool:
    """Whether a blueprint is one of ours for this cluster: ``CLUSTER-0123456789ab``."""
    return re.fullmatch(re.escape(cluster) + r"-[0-9a-f]{12}", blueprint) is not None
