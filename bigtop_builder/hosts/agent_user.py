"""Agents that do not run as root: their account, what sudo permits it, and the agent's own setting.

The commands are those of Ambari's documentation ("How to configure an Ambari agent for non-root"), with the selector
of the BIGTOP stack in place of HDP's. The rights are wide (packages, files, accounts): the account is to be guarded as
root is.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from bigtop_builder.hosts.files import remove_file, write_file
from bigtop_builder.hosts.ini import set_ini
from bigtop_builder.hosts.operation import Operation
from bigtop_builder.hosts.system import make_user
from bigtop_builder.model.properties import PlainValue, Setting

if TYPE_CHECKING:
    from bigtop_builder.hosts.facts import HostFacts
    from bigtop_builder.model.properties import Configurations

NAME = "ambari-agent"
CONFIGURATION = "/etc/ambari-agent/conf/ambari-agent.ini"
SUDOERS = "/etc/sudoers.d/bigtop-builder-ambari-agent"

SERVICE_USERS = (
    *("ambari-qa", "ams", "flink", "hbase", "hcat", "hdfs", "hive", "infra-solr", "kafka", "kms", "livy", "mapred"),
    *("ranger", "solr", "spark", "sqoop", "tez", "yarn", "yarn-ats", "zeppelin", "zookeeper"),
)
"""The accounts of services that agents switch to, by the names that the stack gives them."""

_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "SYSTEM": (
        *(
            "/usr/bin/yum",
            "/usr/bin/dnf",
            "/bin/rpm",
            "/bin/mkdir",
            "/usr/bin/test",
            "/bin/ln",
            "/bin/ls",
            "/bin/chown",
        ),
        *("/bin/chmod", "/bin/chgrp", "/bin/cp", "/bin/mv", "/bin/sed", "/bin/rm", "/bin/kill", "/bin/readlink"),
        *("/bin/cat", "/bin/tar", "/bin/touch", "/usr/bin/stat", "/usr/bin/pgrep", "/usr/bin/unzip", "/usr/bin/tee"),
        *("/usr/sbin/setenforce", "/usr/bin/klist -k /etc/security/keytabs/*"),
    ),
    "ACCOUNTS": ("/usr/sbin/groupadd", "/usr/sbin/groupmod", "/usr/sbin/useradd", "/usr/sbin/usermod"),
    "STACK": (
        *(
            "/usr/bin/distro-select",
            "/usr/bin/conf-select",
            "/usr/lib/bigtop-select/*",
            "/usr/bin/ambari-python-wrap *",
        ),
        *("/usr/bigtop/*/usr/lib/*/bin/*", "/usr/bigtop/*/usr/lib/*/sbin/*", "/usr/bigtop/current/*"),
    ),
}


def service_users(configurations: Configurations) -> tuple[str, ...]:
    """Return the accounts of services: the usual ones, and those that ``*-env`` types name."""
    named = {
        str(_plain(value))
        for kind, properties in configurations.items()
        if kind.endswith("-env")
        for key, value in properties.items()
        if key.endswith(("_user", "smokeuser")) and _plain(value) is not None
    }
    return tuple(sorted({*SERVICE_USERS, *(name for name in named if re.fullmatch(r"[a-z_][a-z0-9_-]*", name))}))


def _plain(value: object) -> PlainValue | None:
    plain = value.value if isinstance(value, Setting) else value
    return plain if isinstance(plain, str) and not plain.startswith("/") else None


def sudoers(user: str, accounts: Iterable[str]) -> bytes:
    """Return the rules of sudo for the agent's user."""
    aliases = {**_COMMANDS, "SERVICES": tuple(f"/bin/su {name} *" for name in accounts)}
    lines = ["# Written by bigtop-builder."]
    for name, commands in aliases.items():
        wrapped = ", \\\n    ".join(commands)
        lines.append(f"Cmnd_Alias AMBARI_{name} = {wrapped}")
    names = ", ".join(f"AMBARI_{name}" for name in aliases)
    lines += [
        f"Defaults:{user} exempt_group={user}, !env_reset, env_delete-=PATH, !requiretty",
        f"{user} ALL=(ALL) NOPASSWD:SETENV: {names}",
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def run_as(text: str) -> str:
    """Return the user in the text of an ``ambari-agent.ini``; root if none is given."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
        return parser.get("agent", "run_as_user", fallback="root").strip() or "root"
    except configparser.Error:
        return "root"


def agent_user(facts: HostFacts, user: str, accounts: Iterable[str]) -> Iterator[Operation]:
    """Plan that the agent runs as ``user``, after its package is installed; root has none of our rules.

    The facts must include ``CONFIGURATION`` and ``SUDOERS``. The agent itself takes over its folders when it starts.
    """
    if user != "root":
        yield from make_user(facts, user)
        yield from write_file(facts, SUDOERS, sudoers(user, accounts), mode="0440", restarts=(NAME,))
    file = facts.files.get(CONFIGURATION)
    former = run_as((file.text if file else None) or "")
    if former != user:
        yield Operation(
            f"let {NAME} run as {user}",
            f"{CONFIGURATION}: [agent] run_as_user: {former} -> {user}",
            set_ini(CONFIGURATION, "agent", "run_as_user", user),
            restarts=(NAME,),
        )
    if user == "root":
        yield from remove_file(facts, SUDOERS)
