"""Rules that an inventory breaks by itself: what Ambari would refuse later is reported before there is a server."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.inventory import Inventory
from bigtop_builder.model.kerberos import Kerberos
from bigtop_builder.model.properties import Configurations, Secret, Setting
from bigtop_builder.model.repository import RepositoryAccess
from bigtop_builder.recipe.document import Document, DocumentPath

SECRET_REFERENCE = "SECRET:"
"""What a server exports in place of a password."""


def rule_errors(inventory: Inventory, document: Document) -> Iterator[ConfigurationError]:
    """Yield every breach of a rule, with its location and a hint."""
    rules = (_repositories, _preparation, _kerberos, _exported)
    for path, message, hint in (breach for rule in rules for breach in rule(inventory)):
        yield ConfigurationError(message, hint=hint, location=document.locate(path))


Breach = tuple[DocumentPath, str, str]


def _repositories(inventory: Inventory) -> Iterator[Breach]:
    """Each repository has an id of its own, since agents cannot read a file with a section twice; one rule for all."""
    yield from _addresses(inventory)
    ids: dict[str, int] = {}
    addresses: dict[str, int] = {}
    for index, one in enumerate(inventory.repositories):
        address = one.url.rstrip("/")
        if address in addresses:
            first = f"repositories[{addresses[address]}]"
            yield ("repositories", index, "url"), f"{first} has this address, too", "Name each repository once."
        addresses.setdefault(address, index)
        if one.id in ids:
            first = f"repositories[{ids[one.id]}]"
            yield (
                ("repositories", index),
                f"{first} has the id {one.id}, too",
                "Give each repository an id of its own, or none: then each gets one.",
            )
        ids.setdefault(one.id, index)
    if inventory.ambari is None:
        return
    checks = [one.gpg_check for one in inventory.repositories]
    if len(set(checks)) < 2:
        return
    for index, check in enumerate(checks):
        others = ", ".join(str(inventory.repositories[at].id) for at, other in enumerate(checks) if other != check)
        yield (
            ("repositories", index, "gpg_check"),
            f"gpg_check differs between repositories: {str(check).lower()} for {inventory.repositories[index].id}, "
            f"{str(not check).lower()} for {others}",
            "Ambari writes the files of agents from one template: give all repositories the same gpg_check.",
        )


def _addresses(inventory: Inventory) -> Iterator[Breach]:
    """What is in an address ends up in files that everybody reads, and in Ambari's web interface."""
    setup = inventory.ambari.setup if inventory.ambari else None
    each: list[tuple[DocumentPath, str | None]] = [
        (("repositories", index, key), getattr(one, key))
        for index, one in enumerate(inventory.repositories)
        for key in ("url", "gpg_key")
    ]
    if setup:
        each += [(("ambari", "setup", key), getattr(setup, key)) for key in ("repository", "gpg_key")]
    for path, address in each:
        credentials = "repository_credentials" if path[0] == "ambari" else "credentials"
        if re.match(r"\w+://[^/\s]*@", address or ""):
            yield (
                path,
                "a user or password is in this address",
                f"Write {credentials}: {{user: env:NAME, password: env:NAME}} instead.",
            )
        for name in re.findall(r"\{(\w*)\}", address or ""):
            if name != "family":
                known = name in ("releasever", "basearch", "arch")
                hint = f"Write ${name}, as yum does." if known else "{family} alone is replaced; yum knows $basearch."
                yield path, f"{{{name}}} is not replaced by anything", hint
    accesses: list[tuple[DocumentPath, str, RepositoryAccess]] = [
        (("repositories", index), "", one) for index, one in enumerate(inventory.repositories)
    ]
    if setup:
        accesses.append((("ambari", "setup"), "repository_", setup.repository_access))
    for path, prefix, access in accesses:
        if access.proxy_credentials and access.proxy in (None, "none"):
            yield (
                (*path, f"{prefix}proxy_credentials"),
                f"{prefix}proxy_credentials are given, but no proxy",
                f"Add {prefix}proxy: http://proxy.example.com:3128.",
            )


SERVICE_ACCOUNTS = ("hdfs", "yarn", "mapred", "hive", "hbase", "zookeeper", "spark", "kafka", "ranger", "solr", "tez")
"""Accounts that the stack gives to services."""


def _preparation(inventory: Inventory) -> Iterator[Breach]:
    setup = inventory.ambari.setup if inventory.ambari else None
    database = setup.database if setup else None
    if setup and database and database.kind == "embedded" and database.host not in (None, setup.host):
        yield (
            ("ambari", "setup", "database", "host"),
            f"the embedded database is on {setup.host}, not on {database.host}",
            "Remove host, or say which kind of database that one is.",
        )
    if setup and setup.agent_user in SERVICE_ACCOUNTS:
        yield (
            ("ambari", "setup", "agent_user"),
            f"{setup.agent_user} is the account of a service, which would get the agent's rights",
            "Choose an account of its own, such as ambari.",
        )
    if inventory.prepare.ntp_servers and not inventory.prepare.chrony:
        yield (
            ("prepare", "ntp_servers"),
            "ntp_servers are for chronyd, but chrony is false",
            "Remove chrony: false, or configure the servers in the service that keeps the time.",
        )


def _kerberos(inventory: Inventory) -> Iterator[Breach]:
    kerberos = inventory.security.kerberos
    if kerberos is None:
        return
    for group, name, index in _short_names(inventory):
        yield (
            ("groups", group, "hosts", index),
            f"{name} is a short name, and Kerberos needs full ones",
            "Its principals have the full names of hosts: let `hostname -f` print one, and write it here.",
        )
    given = inventory.configurations.get("kerberos-env", {})
    wanted = _wanted(kerberos)
    for name, (property, hint) in wanted.items():
        if not getattr(kerberos, name) and property not in given:
            yield (
                ("security", "kerberos"),
                f"kdc_type {kerberos.kdc_type} requires {name}: the key {name!r} is missing",
                hint,
            )
    if kerberos.kdc_type != "active-directory":
        for name in ("ldap_url", "container_dn"):
            if getattr(kerberos, name) is not None:
                yield (
                    ("security", "kerberos", name),
                    f"{name} is for kdc_type active-directory, but kdc_type is {kerberos.kdc_type}",
                    "Remove it, or set kdc_type to active-directory.",
                )
    if kerberos.user_group is not None and kerberos.kdc_type != "ipa":
        yield (
            ("security", "kerberos", "user_group"),
            f"user_group is for kdc_type ipa, but kdc_type is {kerberos.kdc_type}",
            "Remove it, or set kdc_type to ipa.",
        )


def _short_names(inventory: Inventory) -> Iterator[tuple[str, str, int]]:
    for name, group in inventory.groups.items():
        for index, pattern in enumerate(group.hosts):
            if "." not in pattern:
                yield name, pattern, index


def _wanted(kerberos: Kerberos) -> dict[str, tuple[str | None, str]]:
    """Return the keys that this type of KDC needs: the property of kerberos-env that may replace it, and a hint."""
    wanted: dict[str, tuple[str | None, str]] = {}
    if kerberos.kdc_type != "none" or kerberos.manage_krb5_conf:
        wanted["kdc_hosts"] = ("kdc_hosts", "For example: kdc_hosts: [kdc.example.com].")
    if kerberos.kdc_type == "none":
        return wanted
    foreign = "If the KDC is administered by somebody else, set kdc_type to none."
    wanted["admin_principal"] = (None, f"For example: admin_principal: admin/admin@{kerberos.realm}. {foreign}")
    wanted["admin_password"] = (None, f"For example: admin_password: env:KDC_PASSWORD. {foreign}")
    if kerberos.kdc_type == "active-directory":
        host = kerberos.kdc_hosts[0] if kerberos.kdc_hosts else "ad1.example.com"
        domain = ",".join(f"DC={part.lower()}" for part in kerberos.realm.split("."))
        wanted["ldap_url"] = ("ldap_url", f"For example: ldap_url: ldaps://{host}.")
        wanted["container_dn"] = ("container_dn", f'For example: container_dn: "OU=hadoop,{domain}".')
    return wanted


def _exported(inventory: Inventory) -> Iterator[Breach]:
    """Find what Ambari prints in place of a password: as a value it would be the password."""
    scopes: list[tuple[DocumentPath, Configurations]] = [(("configurations",), inventory.configurations)]
    scopes += [(("groups", name, "configurations"), group.configurations) for name, group in inventory.groups.items()]
    for path, configurations in scopes:
        for kind, properties in configurations.items():
            for name, value in properties.items():
                text = value.value if isinstance(value, Setting) else value
                if not isinstance(text, Secret) and str(text).startswith(SECRET_REFERENCE):
                    yield (
                        (*path, kind, name),
                        "is what Ambari exports in place of a password",
                        f"Write {name}: {{secret: env:NAME}}, or remove it and give default_password.",
                    )
