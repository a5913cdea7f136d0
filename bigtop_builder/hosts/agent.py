"""The Ambari agent on a host: from what is there to what is wanted."""

from __future__ import annotations

import configparser
from shlex import quote
from typing import TYPE_CHECKING

from bigtop_builder.hosts.operation import Operation
from bigtop_builder.hosts.packages import install_packages, repository
from bigtop_builder.hosts.preparation import CERTIFICATES
from bigtop_builder.hosts.server import REPOSITORY_FILE, ambari_repository, daemon_running
from bigtop_builder.hosts.services import restart_mark
from bigtop_builder.model.inventory import NewServer

if TYPE_CHECKING:
    from bigtop_builder.hosts.facts import HostFacts

NAME = "ambari-agent"
CONFIGURATION = "/etc/ambari-agent/conf/ambari-agent.ini"
LOG = "/var/log/ambari-agent/ambari-agent.log"
SHIPPED_SERVER = "localhost"
"""The server that the package's configuration names."""

FILES = (REPOSITORY_FILE, CERTIFICATES, CONFIGURATION, restart_mark(NAME))
"""Files that the facts of an agent's host must hold."""


def server_of(text: str) -> str | None:
    """The server that an ``ambari-agent.ini`` names; None when it names none or cannot be read."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
        return parser.get("server", "hostname").strip()
    except configparser.Error:
        return None


def agent_operations(
    facts: HostFacts, setup: NewServer, version: str | None, *, running: bool
) -> tuple[Operation, ...]:
    """Everything from the repository file to an agent that runs and names the server; nothing when it is all there.

    ``version`` is the server's: agents of another are refused. None is the newest of the repository, as the server
    will be.
    """
    versions = {NAME: version} if version else {}
    file = facts.files.get(CONFIGURATION)
    former = server_of(file.text or "") if file else None
    server = setup.host.lower()
    operations = [
        *repository(facts, ambari_repository(facts, setup)),
        *install_packages(facts, [NAME], versions=versions, restarts=(NAME,)),
    ]
    if former != server:
        operations.append(_server(former, server))
    if former not in (None, server, SHIPPED_SERVER):
        operations.append(reset(server))
    return (*operations, *daemon_running(facts, NAME, running=running, changed=bool(operations)))


# The key is set in its own section and nowhere else; a section or key that is missing is added.
_INI = r"""file={file}
new=$(mktemp "$file.XXXXXX")
trap 'rm -f "$new"' EXIT
awk -v section={section} -v key={key} -v value={value} '
    /^[ \t]*\[/ {{ if (inside && !done) {{ print key "=" value; done = 1 }}
        name = $0; sub(/^[ \t]*\[/, "", name); sub(/\].*/, "", name); inside = (name == section) }}
    inside {{ name = $0; sub(/^[ \t]+/, "", name); sub(/[ \t]*[=:].*/, "", name)
        if (name == key) {{ if (!done) print key "=" value; done = 1; next }} }}
    {{ print }}
    END {{ if (!done) {{ if (!inside) print "[" section "]"; print key "=" value }} }}' "$file" > "$new"
chmod --reference="$file" "$new"
chown --reference="$file" "$new"
mv -f "$new" "$file"
"""


def set_ini(path: str, section: str, key: str, value: str) -> str:
    """Bash that sets one key of one section of an ini file."""
    return _INI.format(file=quote(path), section=quote(section), key=quote(key), value=quote(value))


def _server(former: str | None, server: str) -> Operation:
    return Operation(
        "point ambari-agent at its server",
        f"{CONFIGURATION}: [server] hostname: {former or SHIPPED_SERVER} -> {server}",
        set_ini(CONFIGURATION, "server", "hostname", server),
        restarts=(NAME,),
    )


def reset(server: str) -> Operation:
    """An operation that throws the agent's keys away, which another server signed. The configuration must name
    ``server`` by then: the agent of 3.0 empties the file when its own reset has to change it."""
    return Operation(
        "reset ambari-agent",
        "its keys were signed by another server",
        f"{NAME} stop >/dev/null || true\n{NAME} reset {quote(server)}",
        restarts=(NAME,),
    )
