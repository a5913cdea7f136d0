"""The two servers: the real one of a test bed, and the simulated one in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Self

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
POLL = 0.5


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

    @cached_property
    def client(self) -> Ambari:
        return Ambari(self.url, "admin", self.password, timeout=120)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def raw(self, method: str, path: str, body: object = None, **headers: str) -> requests.Response:
        """One call without the client's own care."""
        content = None if body is None else body if isinstance(body, str) else json.dumps(body)
        return requests.request(
            method,
            f"{self.url}/api/v1/{path}",
            data=content,
            headers={"X-Requested-By": "contract", **headers},
            auth=("admin", self.password),
            timeout=120,
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

    def _control(self, path: str) -> None:
        call = urllib.request.Request(f"{self.url}/simulation/{path}", method="POST")
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


class RealServer(Server):
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

    def stop_agent(self, host: str) -> None:
        self._run(host, "pkill -KILL -f '[a]mbari_agent/main.py|[a]mbari_agent/AmbariAgent.py'")

    def start_agent(self, host: str) -> None:
        self._run(host, "ambari-agent start >/dev/null 2>&1 || ambari-agent restart >/dev/null")

    def kill(self, host: str, component: str) -> None:
        assert component == "ZOOKEEPER_SERVER"
        self._run(host, "pkill -KILL -f '[Q]uorumPeerMain'")
