"""The table of layout fields: for each field of the inventory how it reaches Ambari, is read back and compared.

Whatever a user can set about a cluster has to arrive on a new cluster and on an existing one, and a later change has
to be noticed. A field without a row fails a test; a row that says it is compared needs an example of a change there.

The settings of single hosts work from this table alone: a new one is an attribute of the inventory's ``Host`` and
``HostEntry``, a line in ``HOST_FIELDS``, and a property of the simulated server's host resource.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bigtop_builder.recipe.inventory import HostEntry


@dataclass(frozen=True)
class HostField:
    """A setting of a single host: ``name`` in the inventory, ``property`` of Ambari's ``Hosts``.

    It is sent as a member of a blueprint's host group, or with a PUT to a host of an existing cluster.
    """

    name: str
    property: str


HOST_FIELDS = (HostField("rack", "rack_info"),)

Settings = Mapping[str, Mapping[str, str]]
"""Host → property of Ambari's → value."""


def host_settings(hosts: Iterable[HostEntry]) -> dict[str, dict[str, str]]:
    """Return the settings that the inventory gives for single hosts; hosts without any are left out."""
    found = {
        entry.name: {field.property: value for field in HOST_FIELDS if (value := getattr(entry, field.name))}
        for entry in hosts
    }
    return {host: settings for host, settings in found.items() if settings}


@dataclass(frozen=True)
class LayoutField:
    """A row: where a field goes on a new cluster, on an existing one, where it is read, and what compares it.

    ``path`` is a path in the inventory; ``*`` stands for any key or index, and everything below the path belongs to
    the row. A field is ``compared``, or ``because`` says why a change of it is not looked for.
    """

    path: str
    created: str = ""
    changed: str = ""
    read: str = ""
    compared: bool = False
    because: str = ""


LAYOUT_FIELDS = (
    LayoutField(
        "groups.*.hosts",
        created="POST clusters/C, host_groups[].hosts[].fqdn",
        changed="POST clusters/C/hosts, Hosts/host_name; components by POST clusters/C/hosts?…",
        read="clusters/C, hosts/Hosts/host_name",
        compared=True,
    ),
    LayoutField(
        "groups.*.components",
        created="POST blueprints/B, host_groups[].components[]",
        changed="POST clusters/C/hosts?…, host_components[]",
        read="clusters/C/host_components",
        compared=True,
    ),
    LayoutField(
        "groups.*.components.*.provision",
        created="POST blueprints/B, host_groups[].components[].provision_action",
        because="it only says whether a component is started; the phase start reads its state",
    ),
    LayoutField(
        "groups.*.configurations",
        created="POST blueprints/B, host_groups[].configurations (secrets: POST clusters/C)",
        changed="POST or PUT clusters/C/config_groups",
        read="clusters/C/config_groups and configurations by tag",
        compared=True,
    ),
    LayoutField(
        "groups.*.rack",
        created="POST clusters/C, host_groups[].hosts[].rack_info",
        changed="PUT clusters/C/hosts/H, Hosts/rack_info",
        read="hosts, Hosts/rack_info",
        compared=True,
    ),
    LayoutField(
        "hosts.*.rack",
        created="POST clusters/C, host_groups[].hosts[].rack_info",
        changed="PUT clusters/C/hosts/H, Hosts/rack_info",
        read="hosts, Hosts/rack_info",
        compared=True,
    ),
    LayoutField(
        "configurations",
        created="POST blueprints/B, configurations (secrets: POST clusters/C)",
        changed="PUT clusters/C, Clusters/desired_config",
        read="clusters/C/configurations by type and tag",
        compared=True,
    ),
    LayoutField(
        "services",
        created="POST blueprints/B, as the components of the groups",
        changed="POST clusters/C/services",
        read="clusters/C, services/ServiceInfo/service_name",
        because="with layout: groups the components decide; with layout: auto the advisor's components are compared",
    ),
    LayoutField(
        "layout",
        created="POST stacks/S/versions/V/recommendations",
        because="it chooses who places components; their places are compared",
    ),
    LayoutField(
        "stack.repository_version",
        created="POST clusters/C, repository_version_id",
        changed="PUT of the version's repositories, then the packages, host by host",
        read="the packages on the hosts",
        because="the upgrade compares the packages on the hosts with those of the version, not a field of Ambari's",
    ),
    LayoutField(
        "stack",
        created="POST blueprints/B, Blueprints/stack_name and stack_version",
        because="a cluster's stack does not change; packages: only says whether newer ones are installed",
    ),
    LayoutField(
        "repositories.*.url",
        created="POST version_definitions and PUT of the repositories of its operating systems",
        changed="PUT stacks/S/versions/V/repository_versions/R",
        read="stacks/S/versions/V/repository_versions/R, operating_systems/repositories",
        compared=True,
    ),
    LayoutField(
        "repositories.*.gpg_check",
        created="POST blueprints/B, cluster-env/repo_suse_rhel_template",
        changed="PUT clusters/C, Clusters/desired_config of cluster-env",
        read="clusters/C/configurations of cluster-env",
        compared=True,
    ),
    LayoutField(
        "repositories",
        created="POST version_definitions; cluster-env/repo_suse_rhel_template",
        because="ids and keys are parts of the addresses and templates that are compared",
    ),
    LayoutField(
        "security.kerberos",
        created="POST blueprints/B, Blueprints/security; POST clusters/C, credentials",
        read="clusters/C, Clusters/security_type",
        because="only on or off is compared, and a difference is an error: Ambari's own wizard changes it",
    ),
    LayoutField(
        "default_password",
        created="POST clusters/C, default_password",
        because="Ambari does not return passwords",
    ),
    LayoutField(
        "recommendation",
        created="POST clusters/C, config_recommendation_strategy",
        because="it is an instruction to the creation, not a state",
    ),
    LayoutField("cluster", created="POST clusters/C", because="another name is another cluster"),
    LayoutField("ssh", because="how we reach hosts"),
    LayoutField("hosts.*.address", because="how we reach a host"),
    LayoutField("hosts.*.port", because="how we reach a host"),
    LayoutField("ambari", because="how we reach the server, or set it up on its host"),
    LayoutField("prepare", because="the phase prepare compares it with the facts of the hosts"),
    LayoutField("require", because="what the check of hosts requires"),
    LayoutField("standalone", because="the phase standalone compares it with the facts of the hosts"),
    LayoutField("jobs", because="what verify runs"),
)


def row_of(path: tuple[str, ...]) -> LayoutField | None:
    """Return the row with the longest path that matches, or None."""
    fitting = [row for row in LAYOUT_FIELDS if _fits(row.path.split("."), path)]
    return max(fitting, key=lambda row: row.path.count("."), default=None)


def _fits(pattern: list[str], path: tuple[str, ...]) -> bool:
    return len(pattern) <= len(path) and all(wanted in ("*", own) for wanted, own in zip(pattern, path, strict=False))
