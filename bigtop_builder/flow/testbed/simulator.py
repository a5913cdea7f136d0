"""The simulated Ambari of a test bed: a separate process that outlives the command."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from bigtop_builder.adapter import background_process
from bigtop_builder.flow.testbed.files import Files
from bigtop_builder.model.errors import AmbariError

LOG, WORLD, FAILURES = "simulation.log", "world.json", "failures.yaml"
ALERT_MINUTE = "10"
"""Seconds between two looks at an alert: a real agent takes a minute, and a deployment waits for it."""
PORT = 8080
START_SECONDS = 30.0
LAST_LINES = 5
AGENT = r"""cat > /usr/sbin/ambari-agent <<'END'
#!/bin/sh
# The agents of this test bed are simulated with their server: a restart registers this host with it again.
case "${{1-}}" in
    start | restart) ;;
    *) echo "usage: ambari-agent start|restart" >&2; exit 2 ;;
esac
exec curl --noproxy '*' --silent --show-error --fail --max-time 30 --output /dev/null --request POST --config - \
    "{url}/simulation/hosts/{host}/register" <<'SECRET'
user = "{host}:{secret}"
SECRET
END
chmod 700 /usr/sbin/ambari-agent
"""
"""Installs the command that restarts an agent on a host, with the password of this agent alone."""


class Simulation:
    """The simulated server of one test bed, at ``address``, which hears its ``subnet`` and this machine alone.

    Other test beds' containers reach the address too, because it is one of this machine.

    ``inject`` is a file of failures, in force until another one is given.
    """

    def __init__(self, files: Files, address: str, subnet: str, inject: Path | None) -> None:
        self._files = files
        self._address = address
        self._subnet = subnet
        self._inject = inject
        self._failures = files.folder / FAILURES

    def url(self, former: str) -> str:
        """Its address: the former port, or 8080, or a free one. Raises AmbariError."""
        process = self._files.simulation()
        if former and process is not None and process.running:
            return former
        port = _free_port(self._address, urlsplit(former).port or PORT)
        return f"http://{self._address}:{port}"

    def keep_running(self, url: str) -> bool:
        """Start the server unless it runs with these hosts and failures; return whether it was started.

        It reads the hosts and their addresses from the test bed's record, and continues with its former clusters.
        Raises AmbariError with the last lines of its log if it does not start.
        """
        port = urlsplit(url).port or PORT
        if self._inject is not None:
            self._files.write(FAILURES, self._inject.read_text(encoding="utf-8"))
        process = self._files.simulation()
        running = process is not None and process.running and _listens(self._address, port)
        if running and self._files.simulation_inputs() == self._inputs():
            return False
        if process is not None:
            process.end()
        log = self._files.folder / LOG
        process = background_process.start(self._argv(port), environment=os.environ, log=log)
        self._files.keep_simulation(process, self._inputs())
        deadline = time.monotonic() + START_SECONDS
        while not _listens(self._address, port):
            if not process.running or time.monotonic() > deadline:
                process.end()
                raise AmbariError(f"the simulated Ambari did not start: {_tail(log)}", hint=f"Its log is {log}.")
            time.sleep(0.1)
        return True

    def _inputs(self) -> str:
        """The digest of the hosts, password and failures that the process is started with."""
        failures = self._failures.read_bytes() if self._failures.is_file() else b""
        return hashlib.sha256(
            b"\0".join([self._files.record.read_bytes(), self._files.password.read_bytes(), failures])
        ).hexdigest()

    def _argv(self, port: int) -> list[str]:
        argv = [sys.executable, "-m", "bigtop_builder.ambari_simulator"]
        argv += [
            "--address",
            self._address,
            "--port",
            str(port),
            "--allow",
            self._subnet,
            "--password",
            str(self._files.password),
            "--testbed",
            str(self._files.record),
            "--keep",
            str(self._files.folder / WORLD),
            "--alert-minute",
            ALERT_MINUTE,
        ]
        return [*argv, "--inject", str(self._failures)] if self._failures.is_file() else argv


def _listens(address: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=2):
        return True
    return False


def _free_port(address: str, wanted: int) -> int:
    for port in (wanted, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
            return int(probe.getsockname()[1])
    raise AmbariError(f"no free port at {address} for the simulated Ambari", hint="Is the network up?")


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return " / ".join(lines[-LAST_LINES:]) or "no output"
