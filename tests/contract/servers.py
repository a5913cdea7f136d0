"""The servers under test: a simulated one in a process of its own, that of a test bed, and any other by its URL."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import threading
import time
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import pytest
import requests

from bigtop_builder.adapter.ambari.client import Ambari
from bigtop_builder.adapter.secret import Secrets
from bigtop_builder.adapter.ssh import Fleet
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.flow.testbed.testbed import testbed_document
from bigtop_builder.recipe.inventory import LoadedInventory, load_inventory
from bigtop_builder.recipe.settings import load_settings

ROOT = Path(__file__).resolve().parent.parent.parent
PASSWORD = "admin"
"""The simulated server's, as Ambari ships it."""
POLL = 0.2
WAYS = {
    "restart": "restart the server (--restart-server, or --on-host with --server-host)",
    "agents": "stop and start agents (--on-host)",
}
STOP_AGENT = "pkill -KILL -f '[a]mbari_agent/main.py|[a]mbari_agent/AmbariAgent.py'"
START_AGENT = "ambari-agent start >/dev/null 2>&1 || ambari-agent restart >/dev/null"
BREAK = 'chmod {mode} "$(readlink -f /usr/bigtop/current/zookeeper-client/bin/zkServer.sh)"'
KILL = {"ZOOKEEPER_SERVER": "pkill -KILL -f '[Q]uorumPeerMain'"}


class Server(ABC):
    """A server under test."""

    url: str
    password: str
    hosts: tuple[str, ...]
    repository: str
    """The URL of a repository with the packages of ZooKeeper and bigtop-select."""
    patience: float
    """Seconds within which anything that is waited for has happened."""
    real: bool
    ca: Path | None = None
    """The PEM file that vouches for an HTTPS server, if it is not one of the machine's."""
    former: frozenset[int] = frozenset()
    """Ids of the repository versions that the server had before the suite."""
    abilities: frozenset[str] = frozenset({"restart", "agents"})
    """What can be done to it besides calls: ``restart`` the server; stop, start and kill on the hosts of ``agents``."""

    @cached_property
    def client(self) -> Ambari:
        return self.client_as("admin", self.password)

    def client_as(self, user: str, password: str) -> Ambari:
        """A client with other credentials; the caller closes it."""
        return Ambari(self.url, user, password, ca=self.ca, timeout=120)

    @property
    def verify(self) -> bool | str:
        """What ``requests`` checks a certificate with."""
        return str(self.ca) if self.ca else True

    def needs(self, *abilities: str) -> None:
        """Skip the test if something cannot be done to this server."""
        for name in abilities:
            if name not in self.abilities:
                pytest.skip(f"no way to {WAYS[name]} was given")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def raw(self, method: str, path: str, body: object = None, **headers: str) -> requests.Response:
        """One call without the client's own care; an empty header is not sent."""
        content = None if body is None else body if isinstance(body, str) else json.dumps(body)
        return requests.request(
            method,
            f"{self.url}/api/v1/{path}",
            data=content,
            headers={name: value for name, value in {"X-Requested-By": "contract", **headers}.items() if value},
            auth=("admin", self.password),
            timeout=120,
            verify=self.verify,
        )

    def wait(self, what: str, holds: Callable[[], Any], *, within: float | None = None) -> Any:
        """Wait until ``holds`` returns something true; return it."""
        end = time.monotonic() + (within or self.patience)
        while True:
            found = holds()
            if found:
                return found
            assert time.monotonic() < end, f"not within {within or self.patience:.0f} s: {what}"
            time.sleep(POLL)

    @abstractmethod
    def restart(self) -> None:
        """Restart the server, and return as soon as it answers calls."""

    @abstractmethod
    def stop_agent(self, host: str) -> None:
        """Kill the agent of a host."""

    @abstractmethod
    def start_agent(self, host: str) -> None:
        """Start it again; it registers."""

    @contextmanager
    def broken_start(self, host: str) -> Iterator[None]:
        """Let ZooKeeper fail to start on a host meanwhile."""
        self._break(host, True)
        try:
            yield
        finally:
            self._break(host, False)

    @abstractmethod
    def _break(self, host: str, broken: bool) -> None: ...

    def free_hosts(self) -> None:
        """Make the hosts of a deleted cluster free again: that needs their agents to register anew."""
        if "agents" in self.abilities:
            for host in self.hosts:
                self.stop_agent(host)
                self.start_agent(host)
        elif "restart" in self.abilities:
            self.restart()

    @abstractmethod
    def kill(self, host: str, component: str) -> None:
        """End the process of a component, unseen by its agent."""


class SimulatedServer(Server):
    """``python -m bigtop_builder.ambari_simulator`` with hosts on paper."""

    real, patience, repository = False, 60.0, "http://repository.contract.test/el8"
    hosts = tuple(f"node{number}.contract.test" for number in (1, 2, 3))

    def __init__(self, folder: Path) -> None:
        self.password = PASSWORD
        self._folder = folder
        self._start()

    def _start(self, port: int = 0) -> None:
        state = self._folder / "state.json"
        state.unlink(missing_ok=True)
        command = [sys.executable, "-m", "bigtop_builder.ambari_simulator", "--port", str(port)]
        command += ["--state-file", str(state), "--keep", str(self._folder / "world.json")]
        command += ["--alert-minute", "10", "--speed", "10"]
        for number, host in enumerate(self.hosts, 1):
            command += ["--host", f"{host}=192.0.2.{number}"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        end = time.monotonic() + 60
        while not state.is_file():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < end, "the simulated server does not start"
            time.sleep(0.1)
        self.url = str(json.loads(state.read_text())["url"])

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._process.terminate()
        self._process.wait(30)

    def _break(self, host: str, broken: bool) -> None:
        fault = {"host": host, "command": "START", "stderr": "contract: made to fail"}
        self._control("faults", "PUT", {"tasks": [fault] if broken else []})

    def _control(self, path: str, method: str = "POST", body: object = None) -> None:
        content = None if body is None else json.dumps(body).encode()
        call = urllib.request.Request(f"{self.url}/simulation/{path}", method=method, data=content)
        manager = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        manager.add_password(None, self.url, "admin", self.password)
        headers = {"Authorization": requests.auth._basic_auth_str("admin", self.password)}
        call.headers.update(headers)
        with urllib.request.urlopen(call, timeout=30):
            return

    def restart(self) -> None:
        self._process.terminate()
        self._process.wait(30)
        self._start(int(self.url.rpartition(":")[2]))

    def stop_agent(self, host: str) -> None:
        self._control(f"hosts/{host}/lose")

    def start_agent(self, host: str) -> None:
        self._control(f"hosts/{host}/register")

    def kill(self, host: str, component: str) -> None:
        self._control(f"clusters/contract/hosts/{host}/{component}/die")


class ServerWithHosts(Server):
    """A real server whose hosts run scripts for the suite."""

    @abstractmethod
    def _run(self, host: str, script: str) -> None:
        """Run a script on a host; a failure ends the test."""

    def stop_agent(self, host: str) -> None:
        self._run(host, STOP_AGENT)

    def start_agent(self, host: str) -> None:
        self._run(host, START_AGENT)

    def kill(self, host: str, component: str) -> None:
        self._run(host, KILL[component])

    def _break(self, host: str, broken: bool) -> None:
        self._run(host, BREAK.format(mode="a-x" if broken else "a+x"))


class RealServer(ServerWithHosts):
    """The server that a deployment has set up on a test bed."""

    real, patience = True, 300.0

    def __init__(self, name: str) -> None:
        project = ROOT / "examples" / "demo" / "bigtop-builder.yaml"
        store = open_project(load_settings(ROOT, {}, project_file=project)).store
        self.loaded: LoadedInventory = load_inventory(ROOT / "inventories" / "demo.yaml", testbed_document(store, name))
        choice = self.loaded.ambari
        self._secrets = Secrets()
        self.url, self.password = choice.url, self._secrets.value(choice.password, "ambari.password")
        assert choice.setup is not None, f"the test bed {name} has no real server: testbed up --ambari-packages"
        self._at = choice.setup.host
        self.hosts = tuple(host.name for host in self.loaded.hosts)[:3]
        self.repository = self.loaded.inventory.repositories[0].url
        self._fleet = Fleet(self.loaded.inventory.ssh, self.loaded.hosts, self._secrets, threading.Event())

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._fleet.__exit__(None, None, None)

    def _run(self, host: str, script: str) -> None:
        output = self._fleet.remote(host).run(script, timeout=300)
        assert output.code == 0, f"{host}: {output.stdout}{output.stderr}"

    def restart(self) -> None:
        self._run(self._at, "ambari-server restart >/dev/null")
        self.client.wait_ready(300)


@dataclass(frozen=True)
class Reach:
    """How a server is reached that is known by its URL alone.

    ``on_host`` is a command that runs the shell script on its standard input on ``{host}``: ``ssh root@{host} sh -s``.
    ``restart`` restarts the server; without it that is done on ``server_host``.
    """

    url: str
    password: str
    hosts: tuple[str, ...]
    repository: str
    ca: Path | None = None
    restart: str | None = None
    on_host: str | None = None
    server_host: str | None = None


class NamedServer(ServerWithHosts):
    """Any real server, by its URL."""

    real, patience = True, 300.0

    def __init__(self, reach: Reach) -> None:
        self.url, self.password, self.ca = reach.url.rstrip("/"), reach.password, reach.ca
        self.hosts, self.repository = reach.hosts, reach.repository.rstrip("/")
        self._reach = reach
        restarts = reach.restart or (reach.on_host and reach.server_host)
        self.abilities = frozenset({"restart"} if restarts else ()) | ({"agents"} if reach.on_host else set())

    def restart(self) -> None:
        if self._reach.restart:
            subprocess.run(shlex.split(self._reach.restart), check=True, timeout=300)
        else:
            assert self._reach.server_host, "needs() was not asked"
            self._run(self._reach.server_host, "ambari-server restart >/dev/null")
        self.client.wait_ready(300)

    def _run(self, host: str, script: str) -> None:
        assert self._reach.on_host, "needs() was not asked"
        command = [part.replace("{host}", host) for part in shlex.split(self._reach.on_host)]
        ended = subprocess.run(command, input=script, text=True, capture_output=True, timeout=300, check=False)
        assert ended.returncode == 0, f"{host}: {ended.stdout}{ended.stderr}"
