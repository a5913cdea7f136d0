"""Look an error of the Ambari server up in its log: the answer only has a number (AmbariErrorHandler)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from bigtop_builder.adapter.ambari.errors import ServerError
from bigtop_builder.flow.deploy.connections import Connections
from bigtop_builder.hosts.ambari_logs import server_cause
from bigtop_builder.hosts.server import LOG
from bigtop_builder.model.errors import BigtopBuilderError

LINES, SHOWN = 200, 12

_ENTRY = re.compile(r"^\d{4}-\d\d-\d\d ")
_FRAME = re.compile(r"^\s+(?:at |\.\.\. \d+ more)")


def look_up(connections: Connections, error: BigtopBuilderError) -> tuple[str, ...]:
    """Return the exception behind ``error`` from the server's log; put its cause, if it is known, into ``error``.

    Empty for other errors, and if the deployment did not set the server up or its host cannot be reached.
    """
    setup = connections.loaded.inventory.ambari.setup if connections.loaded.inventory.ambari else None
    if not isinstance(error, ServerError) or not error.reference or setup is None or not connections.hosted:
        return ()
    script = f"grep -A {LINES} -F {shlex.quote(error.reference)} {LOG} | head -n {LINES}"
    try:
        output = connections.fleet.remote(setup.host.lower()).run(script, timeout=30).stdout
    except BigtopBuilderError:
        return ()
    lines = tuple(_exception(output))
    if cause := server_cause("\n".join(lines)):
        error.message, error.hint = f"{error.message}: {cause.message}", cause.hint
    return lines[:SHOWN]


def _exception(output: str) -> Iterator[str]:
    """Yield the exceptions of the first entry, each with the first of its frames."""
    _, *lines = output.splitlines() or [""]
    after_frame = False
    for line in lines:
        if _ENTRY.match(line):
            return
        is_frame = _FRAME.match(line) is not None
        if not (is_frame and after_frame):
            yield line.rstrip()
        after_frame = is_frame
