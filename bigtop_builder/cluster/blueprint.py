"""Blueprints and cluster templates: the request bodies that create a cluster (Ambari 2.8 and 3.0)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bigtop_builder.cluster.configuration import set_attributes
from bigtop_builder.cluster.layout import (
    INSTALL_AND_START,
    Layout,
    LayoutGroup,
    Placed,
    plain_properties,
    property_attributes,
    secret_properties,
)
from bigtop_builder.cluster.version_definition import agent_repository_template
from bigtop_builder.model.ambari_stack import StackDefinition
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.kerberos import Kerberos
from bigtop_builder.model.properties import Configurations, Secret
from bigtop_builder.model.repository import Repository, filled

Json = dict[str, Any]
Reveal = Callable[[Secret, str], str]
"""Returns a secret's value; the text names its place, for prompts and messages."""

NO_RETRY = {"command_retry_enabled": "false"}
"""Otherwise agents retry a failing installation for ten minutes, and the task looks as if it were running."""
KDC_ALIAS = "kdc.admin.credential"
NO_ADMINISTRATOR = ("none", "none")
"""What a cluster is created with when nobody of ours administers the KDC: Ambari demands a credential for every cluster
with Kerberos (TopologyManager of 2.7 to 3.0), and with ``manage_identities: false`` never uses it."""


def cluster_environment(repositories: Sequence[Repository], families: Sequence[str]) -> dict[str, str]:
    """Return what ``cluster-env`` gets besides the stack's defaults: no endless retries, and agents' repository files.

    These check signatures, and make yum look at a mended repository at once.

    Raises ConfigurationError if ``gpg_check`` differs between repositories: Ambari has one template for all of them.
    """
    checked = {repository.gpg_check for repository in repositories}
    if len(checked) > 1:
        raise ConfigurationError(
            "gpg_check differs between repositories, but Ambari writes one template for all",
            hint="Give all repositories the same gpg_check.",
        )
    if not checked:
        return dict(NO_RETRY)
    keys = {
        filled(repository.key, family): None
        for repository in repositories
        for family in families or [""]
        if repository.gpg_check
    }
    return {**NO_RETRY, "repo_suse_rhel_template": agent_repository_template(list(keys))}


def kerberos_configurations(kerberos: Kerberos) -> dict[str, dict[str, str]]:
    """Return ``kerberos-env`` and ``krb5-conf`` for a realm."""
    environment = {
        "realm": kerberos.realm,
        "kdc_type": kerberos.kdc_type,
        "kdc_hosts": ",".join(kerberos.kdc_hosts),
        "admin_server_host": kerberos.admin_server or next(iter(kerberos.kdc_hosts), ""),
        "manage_identities": str(kerberos.kdc_type != "none").lower(),
        "ldap_url": kerberos.ldap_url or "",
        "container_dn": kerberos.container_dn or "",
        "ipa_user_group": kerberos.user_group or "",
    }
    return {
        "kerberos-env": {name: value for name, value in environment.items() if value},
        "krb5-conf": {"manage_krb5_conf": str(kerberos.manage_krb5_conf).lower()},
    }


def blueprint_body(
    layout: Layout,
    stack: StackDefinition,
    environment: Mapping[str, str] = NO_RETRY,
    kerberos: Kerberos | None = None,
) -> Json:
    """Return the body of ``POST blueprints/<name>``, which never has secrets.

    ``environment`` is added to ``cluster-env``; the layout takes precedence. The same layout gives the same body.
    """
    given = plain_properties(layout.configurations)
    ours: dict[str, dict[str, str]] = {"cluster-env": dict(environment)}
    if kerberos:
        ours.update(kerberos_configurations(kerberos))
    merged = {kind: {**ours.get(kind, {}), **given.get(kind, {})} for kind in sorted({*ours, *given})}
    about: Json = {"stack_name": stack.name, "stack_version": stack.version}
    if kerberos:
        about["security"] = {"type": "KERBEROS"}
    return {
        "Blueprints": about,
        "configurations": _listed(merged, layout.configurations),
        "host_groups": [_group(group) for group in layout.groups],
    }


def _listed(configurations: Mapping[str, Mapping[str, str]], given: Configurations | None = None) -> list[Json]:
    """Return configurations as a blueprint has them, with the attributes that are ``given``."""
    attributes = {
        kind: set_attributes(values)
        for kind, values in property_attributes(given or {}).items()
        if kind in configurations
    }
    return [
        {
            kind: {
                "properties": dict(properties),
                **({"properties_attributes": attributes[kind]} if attributes.get(kind) else {}),
            }
        }
        for kind, properties in sorted(configurations.items())
        if properties
    ]


def _group(group: LayoutGroup) -> Json:
    body: Json = {
        "name": group.name,
        "cardinality": str(len(group.hosts)),
        "components": [_component(component) for component in group.components],
    }
    configurations = _listed(plain_properties(group.configurations), group.configurations)
    return {**body, "configurations": configurations} if configurations else body


def _component(component: Placed) -> Json:
    if component.provision == INSTALL_AND_START:
        return {"name": component.name}
    return {"name": component.name, "provision_action": component.provision}


def cluster_template(
    layout: Layout,
    blueprint: str,
    reveal: Reveal,
    *,
    repository_version: int | None = None,
    default_password: str | None = None,
    recommendation: str = "NEVER_APPLY",
    kerberos: tuple[str, str] | None = None,
) -> Json:
    """Return the body of ``POST clusters/<name>``: hosts of the groups, and the secrets of the configurations.

    ``reveal`` returns the value of a secret, ``kerberos`` has principal and password of the KDC's administrator.
    Without ``repository_version`` Ambari uses the only one that exists.
    """
    body: Json = {"blueprint": blueprint}
    if repository_version is not None:
        body["repository_version_id"] = repository_version
    if default_password is not None:
        body["default_password"] = default_password
    if recommendation != "NEVER_APPLY":
        body["config_recommendation_strategy"] = recommendation
    secrets = _revealed(layout.configurations, reveal, "configurations")
    if secrets:
        body["configurations"] = secrets
    body["host_groups"] = [_members(group, reveal) for group in layout.groups]
    if kerberos:
        body["security"] = {"type": "KERBEROS"}
        principal, password = kerberos
        body["credentials"] = [{"alias": KDC_ALIAS, "principal": principal, "key": password, "type": "TEMPORARY"}]
    return body


def _members(group: LayoutGroup, reveal: Reveal) -> Json:
    hosts = [{"fqdn": host, **group.settings.get(host, {})} for host in group.hosts]
    secrets = _revealed(group.configurations, reveal, f"groups.{group.name}.configurations")
    body: Json = {"name": group.name, "hosts": hosts}
    return {**body, "configurations": secrets} if secrets else body


def _revealed(configurations: Configurations, reveal: Reveal, place: str) -> list[Json]:
    return _listed(
        {
            kind: {name: reveal(value, f"{place}.{kind}.{name}") for name, value in properties.items()}
            for kind, properties in secret_properties(configurations).items()
        }
    )


def added_hosts(layout: Layout, blueprint: str, hosts: Sequence[str]) -> list[dict[str, str]]:
    """Return the body of ``POST clusters/<name>/hosts`` that gives additional hosts the components of their groups."""
    groups = layout.hosts
    return [
        {
            "blueprint": blueprint,
            "host_group": groups[host].name,
            "host_name": host,
            **groups[host].settings.get(host, {}),
        }
        for host in hosts
    ]
