"""The table of layout fields: for each field of the inventory how it reaches Ambari, is read back and compared.

Whatever a user can set about a cluster has to arrive on a new cluster and on an existing one, and a later change has
to be noticed. A field without a row fails a test; a row that says it is compared needs an example of a change there.

The settings of single hosts work from this table alone: a new one is an attribute of the inventory's ``Host`` and
``HostEntry``, a line in ``HOST_FIELDS``, and a property of the simulated server's host resource.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bigtop_builder.model.login import Login
from bigtop_builder.recipe.inventory import HostEntry


@dataclass(frozen=True)
class HostField:
    """A setting of a single host: ``name`` in the inventory, ``property`` of Ambari's ``Hosts``.

    It is sent as a member of a blueprint's host group, or with a PUT to a host of an existing cluster.
    """

    name: str
    property: str


RACK = "rack_info"
HOST_FIELDS = (HostField("rack", RACK),)

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

    ``path`` is a path in the inventory, ``*`` any key or index, and ``**`` at its end everything below, which is only
    for free-form values and for what never reaches Ambari: a new field elsewhere must get a row of its own. A field is
    ``compared``, or ``because`` says why a change of it is not looked for.
    """

    path: str
    created: str = ""
    changed: str = ""
    read: str = ""
    compared: bool = False
    because: str = ""


_SECURITY = "clusters/C, Clusters/security_type"
_WIZARD = "only on or off is compared, and a difference is an error: Ambari's own wizard changes Kerberos"
_CREDENTIAL = "POST clusters/C, credentials[]"
_LENT = "POST clusters/C/credentials/kdc.admin.credential, whenever hosts or components are added"
_UNREADABLE = "Ambari does not return credentials"
_HOSTS_FILES = "never sent: Ambari leaves the repository files to the phase prepare, which compares them on the hosts"

LAYOUT_FIELDS = (
    LayoutField(
        "groups.*.hosts.*",
        created="POST clusters/C, host_groups[].hosts[].fqdn",
        changed="POST clusters/C/hosts, Hosts/host_name; components by POST clusters/C/hosts?…",
        read="clusters/C, hosts/Hosts/host_name",
        compared=True,
    ),
    LayoutField(
        "groups.*.components.*",
        created="POST blueprints/B, host_groups[].components[]",
        changed="POST clusters/C/hosts?…, host_components[]",
        read="clusters/C/host_components",
        compared=True,
    ),
    LayoutField(
        "groups.*.components.*.name",
        created="POST blueprints/B, host_groups[].components[].name",
        because="it is the long form of a component, which is compared",
    ),
    LayoutField(
        "groups.*.components.*.provision",
        created="POST blueprints/B, host_groups[].components[].provision_action",
        because="it only says whether a component is started; the phase start reads its state",
    ),
    LayoutField(
        "groups.*.configurations.**",
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
        "configurations.**",
        created="POST blueprints/B, configurations (secrets: POST clusters/C)",
        changed="PUT clusters/C, Clusters/desired_config",
        read="clusters/C/configurations by type and tag",
        compared=True,
    ),
    LayoutField(
        "services.*",
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
        "layout.by",
        created="POST stacks/S/versions/V/recommendations",
        because="it chooses who places components; their places are compared",
    ),
    LayoutField(
        "layout.size",
        created="POST blueprints/B, configurations",
        changed="PUT clusters/C, Clusters/desired_config",
        read="clusters/C/configurations by type and tag",
        compared=True,
    ),
    LayoutField(
        "stack.repository_version",
        created="POST clusters/C, repository_version_id",
        changed="PUT of the version's repositories, then the packages, host by host",
        read="the packages on the hosts",
        because="the upgrade compares the packages on the hosts with those of the version, not a field of Ambari's",
    ),
    LayoutField(
        "stack.name",
        created="POST blueprints/B, Blueprints/stack_name",
        because="Ambari does not move a cluster to another stack; the phase repository refuses it",
    ),
    LayoutField(
        "stack.version",
        created="POST blueprints/B, Blueprints/stack_version",
        because="Ambari does not move a cluster to another stack; the phase repository refuses it",
    ),
    LayoutField("stack.packages", because="it says whether newer packages are installed, by SSH and not by Ambari"),
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
        "repositories.*.id",
        created="POST version_definitions, id of the repository",
        changed="PUT stacks/S/versions/V/repository_versions/R",
        read="stacks/S/versions/V/repository_versions/R, operating_systems/repositories",
        compared=True,
    ),
    LayoutField(
        "repositories.*.gpg_key",
        created="POST blueprints/B, cluster-env/repo_suse_rhel_template",
        changed="PUT clusters/C, Clusters/desired_config of cluster-env",
        read="clusters/C/configurations of cluster-env",
        compared=True,
    ),
    LayoutField("repositories.*.credentials.**", because=_HOSTS_FILES),
    LayoutField("repositories.*.proxy", because=_HOSTS_FILES),
    LayoutField("repositories.*.proxy_credentials.**", because=_HOSTS_FILES),
    LayoutField(
        "repositories.*.repo_gpg_check", because="agents cannot check metadata; it is for repositories of hosts"
    ),
    LayoutField(
        "security.kerberos.realm", created="POST blueprints/B, kerberos-env/realm", read=_SECURITY, because=_WIZARD
    ),
    LayoutField(
        "security.kerberos.kdc_type",
        created="POST blueprints/B, kerberos-env/kdc_type and manage_identities",
        read=_SECURITY,
        because=_WIZARD,
    ),
    LayoutField(
        "security.kerberos.kdc_hosts.*",
        created="POST blueprints/B, kerberos-env/kdc_hosts",
        read=_SECURITY,
        because=_WIZARD,
    ),
    LayoutField(
        "security.kerberos.admin_server",
        created="POST blueprints/B, kerberos-env/admin_server_host",
        read=_SECURITY,
        because=_WIZARD,
    ),
    LayoutField(
        "security.kerberos.ldap_url",
        created="POST blueprints/B, kerberos-env/ldap_url",
        read=_SECURITY,
        because=_WIZARD,
    ),
    LayoutField(
        "security.kerberos.container_dn",
        created="POST blueprints/B, kerberos-env/container_dn",
        read=_SECURITY,
        because=_WIZARD,
    ),
    LayoutField(
        "security.kerberos.user_group",
        created="POST blueprints/B, kerberos-env/ipa_user_group",
        read=_SECURITY,
        because=_WIZARD,
    ),
    LayoutField(
        "security.kerberos.manage_krb5_conf",
        created="POST blueprints/B, krb5-conf/manage_krb5_conf",
        read=_SECURITY,
        because=_WIZARD,
    ),
    LayoutField("security.kerberos.admin_principal", created=_CREDENTIAL, changed=_LENT, because=_UNREADABLE),
    LayoutField("security.kerberos.admin_password", created=_CREDENTIAL, changed=_LENT, because=_UNREADABLE),
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
    LayoutField("ssh.**", because="how we reach hosts"),
    LayoutField("hosts.*.address", because="how we reach a host"),
    *(
        LayoutField(f"{owner}.*.{name}", because="how we reach a host")
        for owner in ("groups", "hosts")
        for name in (*(one for one in Login.model_fields if one != "jump"), "jump.host", "jump.port", "jump.user")
    ),
    LayoutField("ambari.**", because="how we reach the server, or set it up on its host"),
    LayoutField("prepare.**", because="the phase prepare compares it with the facts of the hosts"),
    LayoutField("require.**", because="what the check of hosts requires"),
    LayoutField("standalone.**", because="the phase standalone compares it with the facts of the hosts"),
    LayoutField("jobs.**", because="what verify runs"),
)


def row_of(path: tuple[str, ...]) -> LayoutField | None:
    """Return the row of a path, an exact one before one that ends in ``**``; None if there is none."""
    fitting = [row for row in LAYOUT_FIELDS if _fits(row.path.split("."), path)]
    return min(fitting, key=lambda row: row.path.endswith("**"), default=None)


def _fits(pattern: list[str], path: tuple[str, ...]) -> bool:
    if pattern[-1] == "**":
        pattern, path = pattern[:-1], path[: len(pattern) - 1]
    return len(pattern) == len(path) and all(wanted in ("*", own) for wanted, own in zip(pattern, path, strict=True))
