"""The Ambari agent on a host: the operations that install, configure and start it."""

from __future__ import annotations

import configparser
from collections.abc import Collection
from shlex import quote
from typing import TYPE_CHECKING

from bigtop_builder.hosts.agent_user import CONFIGURATION, NAME, SERVICE_USERS, SUDOERS, agent_user
from bigtop_builder.hosts.ini import set_ini
from bigtop_builder.hosts.operation import Operation
from bigtop_builder.hosts.os_aliases import OS_FAMILY_FILES, tell_ambari
from bigtop_builder.hosts.packages import OPEN, Access, install_packages, repository
from bigtop_builder.hosts.preparation import CERTIFICATES
from bigtop_builder.hosts.server import REPOSITORY_FILE, ambari_repository, daemon_running
from bigtop_builder.hosts.services import restart_mark
from bigtop_builder.model.inventory import NewServer

if TYPE_CHECKING:
    from bigtop_builder.hosts.facts import HostFacts

LOG = "/var/log/ambari-agent/ambari-agent.log"
SHIPPED_SERVER = "localhost"
"""The server in the configuration that the package ships."""

FILES = (REPOSITORY_FILE, CERTIFICATES, CONFIGURATION, SUDOERS, OS_FAMILY_FILES[NAME], restart_mark(NAME))
"""Files that the facts of an agent's host must include."""


def server_of(text: str) -> str | None:
    """Return the server in the text of an ``ambari-agent.ini``; None if it is missing or the file is malformed."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
        return parser.get("server", "hostname").strip()
    except configparser.Error:
        return None


def agent_operations(
    facts: HostFacts,
    setup: NewServer,
    version: str | None,
    *,
    running: bool,
    access: Access = OPEN,
    accounts: Collection[str] = SERVICE_USERS,
) -> tuple[Operation, ...]:
    """Plan everything from the repository file to a running agent of this server; nothing if all of it is in place.

    ``version``: the server's, because a server refuses agents of another version. None: the newest one in the
    repository, which is what the server gets, too. ``accounts``: those that an agent that is not root may switch to.
    """
    versions = {NAME: version} if version else {}
    file = facts.files.get(CONFIGURATION)
    former = server_of(file.text or "") if file else None
    server = setup.host.lower()
    operations = [
        *repository(facts, ambari_repository(facts, setup, access)),
        *install_packages(facts, [NAME], versions=versions, restarts=(NAME,)),
        *tell_ambari(facts, NAME),
        *agent_user(facts, setup.agent_user, accounts),
    ]
    # Reset first: the server in the file is what the next run judges by, so it must be the last thing that changes.
    if former and former not in (server, SHIPPED_SERVER):
        operations.append(reset(former))
    if former != server:
        operations.append(_server(former, server))
    return (
        *operations,
        *daemon_running(facts, NAME, running=running, changed=any(NAME in one.restarts for one in operations)),
    )


def _server(former: str | None, server: str) -> Operation:
    return Operation(
        "point ambari-agent at its server",
        f"{CONFIGURATION}: [server] hostname: {former or SHIPPED_SERVER} -> {server}",
        set_ini(CONFIGURATION, "server", "hostname", server),
        restarts=(NAME,),
    )


def reset(server: str) -> Operation:
    """Return an operation that discards the agent's keys, which another server signed.

    ``server`` must be the one in the configuration: the reset of Ambari 3.0 empties the file if it has to change it.
    """
    return Operation(
        "reset ambari-agent",
        "its keys were signed by another server",
        f"{NAME} stop >/dev/null || true\n{NAME} reset {quote(server)}",
        restarts=(NAME,),
    )
