"""The inventory of a cluster that was found, as a file that people read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from bigtop_builder.cluster.adoption.found import KERBEROS_TYPES, FoundCluster, FoundGroup, Usual
from bigtop_builder.cluster.adoption.properties import Written, variable_of, written
from bigtop_builder.cluster.layout import INSTALL_AND_START, Placed
from bigtop_builder.recipe.commented_yaml import commented_yaml
from bigtop_builder.recipe.inventory import expand

PREPARED = {
    "repositories": False,
    "jdk": None,
    "chrony": False,
    "limits": False,
    "transparent_huge_pages": "keep",
    "swappiness": None,
    "selinux": "keep",
}
REQUIRED = {"memory": 0, "disk": 0, "open_files": 0}
REPOSITORY_FILES = "repo_suse_rhel_template"
KDC_TYPES = ("mit-kdc", "active-directory", "ipa", "none")
KDC_PASSWORD = "KDC_ADMIN_PASSWORD"
DEFAULT_PASSWORD = "DEFAULT_PASSWORD"
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class ImportedInventory:
    """The text of an inventory; ``variables`` are those that must hold passwords, ``left_out`` the usual properties."""

    text: str
    variables: tuple[str, ...]
    left_out: int


class _Writer:
    def __init__(self, found: FoundCluster) -> None:
        self.found = found
        self.data: dict[str, Any] = {}
        self.comments: dict[Path, list[str]] = {}
        self.variables: list[str] = []

    def say(self, path: Path, *lines: str) -> None:
        self.comments.setdefault(path, []).extend(lines)

    def secret(self, name: str) -> str:
        if name not in self.variables:
            self.variables.append(name)
        return f"env:{name}"


def inventory_of(found: FoundCluster, usual: Usual) -> ImportedInventory:
    """Return the inventory of a cluster.

    Groups and components are all of them; of the configurations only what the cluster does not have by itself is
    written, since a deployment leaves everything else as it is.
    """
    writer = _Writer(found)
    _head(writer)
    _repositories(writer)
    _groups(writer)
    shared = _configurations(writer, usual)
    _security(writer)
    writer.data["prepare"] = dict(PREPARED)
    writer.say(
        ("prepare",),
        "The hosts are set up already: nothing of them is changed, and nothing required of them.",
        *(() if found.running else ("For a new cluster leave out `prepare` and `require`.",)),
    )
    writer.data["require"] = dict(REQUIRED)
    for path, lines in found.notes.items():
        writer.say(path if path and path[0] in writer.data else ("cluster",), *lines)
    return ImportedInventory(commented_yaml(writer.data, writer.comments), tuple(writer.variables), shared.left_out)


def _head(writer: _Writer) -> None:
    found, data = writer.found, writer.data
    data["cluster"] = found.name
    writer.say(("cluster",), f"Imported from {found.source}.")
    stack: dict[str, Any] = {"name": found.stack, "version": found.stack_version}
    if found.repository_version and found.repository_version != found.stack_version:
        stack["repository_version"] = found.repository_version
    data["stack"] = stack
    data["ssh"] = {"user": "root"}
    writer.say(
        ("ssh",),
        "How to log in to the hosts: Ambari does not know that. For example",
        "{user: deploy, sudo: true, key: ~/.ssh/deploy}; see docs/deploying.md.",
    )
    server = found.server
    kind, _, name = server.password.partition(":")
    if kind == "env":
        writer.secret(name)
    ca = {"ca": server.ca} if server.ca else {}
    data["ambari"] = {"url": server.url, "user": server.user, "password": server.password, **ca}


def _repositories(writer: _Writer) -> None:
    repositories = writer.found.repositories
    checked: dict[str, Any] = {} if repositories.gpg_check else {"gpg_check": False}
    if repositories.gpg_key:
        checked["gpg_key"] = repositories.gpg_key
    if repositories.entries:
        writer.data["repositories"] = [{"id": id, "url": url, **checked} for id, url in repositories.entries]
    writer.say(("repositories",) if repositories.entries else ("ambari",), *repositories.notes)


def _groups(writer: _Writer) -> None:
    found = writer.found
    groups: dict[str, Any] = {}
    hosts: dict[str, Any] = {}
    for group in found.groups:
        path = ("groups", group.name)
        members = [host for pattern in group.hosts for host in expand(pattern)]
        groups[group.name] = {"hosts": list(group.hosts), "components": [_component(one) for one in group.components]}
        racks = Counter(found.racks[host] for host in members if host in found.racks)
        common = next((rack for rack, count in racks.most_common(1) if count == len(members)), None)
        if common is not None:
            groups[group.name]["rack"] = common
        else:
            hosts.update({host: {"rack": found.racks[host]} for host in members if host in found.racks})
        stopped = [one.name for one in group.components if one.provision != INSTALL_AND_START]
        if stopped and found.running:
            writer.say(path, f"Stopped when this was written, and left so: {', '.join(stopped)}.")
        writer.say(path, *group.notes)
    if hosts:
        writer.data["hosts"] = hosts
    writer.data["groups"] = groups


def _component(one: Placed) -> Any:
    return one.name if one.provision == INSTALL_AND_START else {"name": one.name, "provision": one.provision}


def _configurations(writer: _Writer, usual: Usual) -> Written:
    found = writer.found
    hosts = hosts_of(found)
    kept = KERBEROS_TYPES if found.security == "KERBEROS" else ()
    types = {kind: one for kind, one in found.configurations.items() if kind not in kept}
    shared = written(types, usual, hosts, variable_of)
    for group in found.groups:
        # Ambari replaces the properties of a group as a whole, so that all of them are written.
        own = written(group.configurations, Usual(passwords=usual.passwords), hosts, _variable(group))
        if own.data:
            writer.data["groups"][group.name]["configurations"] = own.data
            _secrets(writer, ("groups", group.name, "configurations"), own)
    if shared.data:
        writer.data["configurations"] = shared.data
        _secrets(writer, ("configurations",), shared)
        if REPOSITORY_FILES in shared.data.get("cluster-env", {}):
            writer.say(
                ("configurations", "cluster-env", REPOSITORY_FILES),
                "How agents write their repository files now; without this, as `gpg_check` of `repositories` says.",
            )
        writer.say(
            ("configurations",),
            *(
                (f"{shared.left_out} more have the values of the stack, of its advisor or of the layout.",)
                if shared.left_out
                else ()
            ),
            "A deployment leaves properties alone that are not here.",
        )
    if found.default_password:
        writer.data["default_password"] = writer.secret(DEFAULT_PASSWORD)
    if found.recommendation:
        writer.data["recommendation"] = found.recommendation
    return shared


def _variable(group: FoundGroup) -> Any:
    return lambda kind, name: variable_of(kind, name, group.name)


def _secrets(writer: _Writer, path: Path, own: Written) -> None:
    for (kind, name), why in own.secrets.items():
        reference = own.data[kind][name]["secret"]
        writer.secret(reference.removeprefix("env:"))
        writer.say((*path, kind, name), f"{why}: set the variable, or use another reference.")


def _security(writer: _Writer) -> None:
    found = writer.found
    if found.security != "KERBEROS":
        return
    properties = {name: one.properties for name, one in found.configurations.items() if name in KERBEROS_TYPES}
    environment = properties.get("kerberos-env", {})
    kind = environment.get("kdc_type", "mit-kdc")
    if environment.get("manage_identities") == "false" or kind not in KDC_TYPES:
        kind = "none"
    kerberos: dict[str, Any] = {"realm": environment.get("realm") or "EXAMPLE.COM", "kdc_type": kind}
    path = ("security", "kerberos")
    if not environment.get("realm"):
        writer.say((*path, "realm"), "Not known: kerberos-env names no realm.")
    kerberos["kdc_hosts"] = [one.strip() for one in environment.get("kdc_hosts", "").split(",") if one.strip()]
    server = environment.get("admin_server_host")
    if server and server != next(iter(kerberos["kdc_hosts"]), None):
        kerberos["admin_server"] = server
    for name, key in (("ldap_url", "ldap_url"), ("container_dn", "container_dn"), ("user_group", "ipa_user_group")):
        if environment.get(key):
            kerberos[name] = environment[key]
    if kind != "none":
        kerberos["admin_principal"] = found.administrator or "admin/admin"
        kerberos["admin_password"] = writer.secret(KDC_PASSWORD)
        if found.administrator is None:
            writer.say((*path, "admin_principal"), "The KDC's administrator: Ambari does not tell who that is.")
    if properties.get("krb5-conf", {}).get("manage_krb5_conf") == "false":
        kerberos["manage_krb5_conf"] = False
    writer.data["security"] = {"kerberos": kerberos}


def hosts_of(found: FoundCluster) -> Collection[str]:
    """Return all hosts of a cluster that was found."""
    return tuple(host for group in found.groups for pattern in group.hosts for host in expand(pattern))
