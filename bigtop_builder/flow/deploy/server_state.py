"""Why a server that the inventory sets up does not answer: seen from here, and on its own host over SSH."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigtop_builder.adapter.ambari.errors import AuthenticationError
from bigtop_builder.flow.deploy.connections import Connections
from bigtop_builder.hosts.ambari_properties import NAME, PROPERTIES
from bigtop_builder.hosts.server import LOG, UNFINISHED, USER
from bigtop_builder.model.errors import AmbariError, HostError

if TYPE_CHECKING:
    from bigtop_builder.model.inventory import Ambari as Choice

LOOK_SECONDS = 30
LOOK = f"""rpm -q {NAME} >/dev/null 2>&1 && echo installed
grep -q '^{USER}=.' {PROPERTIES} 2>/dev/null && [ ! -e {UNFINISHED} ] && echo ready
pid=$(cat /var/run/{NAME}/{NAME}.pid 2>/dev/null) && kill -0 "$pid" 2>/dev/null && echo running
true
"""


def server_state(connections: Connections, choice: Choice, error: AmbariError) -> str:
    """Return a sentence about a server that answered with ``error``, or not at all, and what the deployment will do."""
    if isinstance(error, AuthenticationError):
        return f"the server at {choice.url} rejects ambari.password: the phase ambari tries the initial one"
    if choice.setup is None or not connections.hosted:
        return f"the server at {choice.url} does not answer: {error.message}"
    host = choice.setup.host.lower()
    try:
        found = connections.fleet.remote(host).run(LOOK, timeout=LOOK_SECONDS).stdout.split()
    except HostError as unreachable:
        return f"the server at {choice.url} does not answer, and its host cannot be inspected: {unreachable.message}"
    if "installed" not in found:
        return f"the server at {choice.url} is not set up yet: ambari-server is not installed on {host}"
    if "running" in found:
        return (
            f"ambari-server runs on {host} but does not answer at {choice.url}: {error.message}. "
            f"It may be starting, or ambari.url may be wrong; see {LOG} there"
        )
    if "ready" not in found:
        return f"ambari-server is installed on {host}, but its setup has not been completed: the phase ambari does that"
    return f"the server at {choice.url} is set up but stopped: the phase ambari starts it on {host}"
