"""A deployment against a simulated Ambari whose clock only moves when the deployment waits."""

from __future__ import annotations

import textwrap
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from bigtop_builder.adapter.secret import Secrets
from bigtop_builder.ambari_simulator.agents.paper import PaperAgent, PaperCrew
from bigtop_builder.ambari_simulator.assembly import assemble, serve
from bigtop_builder.ambari_simulator.engine.state import Host, World
from bigtop_builder.cluster.rolling import Restarts
from bigtop_builder.flow.deploy.consent import Consent
from bigtop_builder.flow.deploy.deployment import open_deployment
from bigtop_builder.flow.deploy.deployment_run import DEPLOY, PHASES, PhaseWork, applicable
from bigtop_builder.flow.deploy.phase_runner import run_phases
from bigtop_builder.flow.deploy.world import Removing
from bigtop_builder.model.event import AmbariTask, AnyEvent, Change, Phase, PhaseFinished
from bigtop_builder.recipe.inventory import load_inventory

PASSWORD = "correct-horse"
START = 1_795_377_358.0
REMOTE: tuple[Phase, ...] = ("check", "prepare", "ambari", "standalone")
"""Phases that need hosts or a published repository: these have tests of their own."""

HEAD = """
cluster: c1
ambari: {url: URL, password: "env:TEST_AMBARI_PASSWORD", poll: 2s, registration_timeout: 120s}
repositories: [{url: "http://repository.test/el8"}]
"""
"""What inventories of these tests begin with: the cluster, the simulated server, a repository."""
INVENTORY = (
    HEAD
    + """\
groups:
  first:
    hosts: [node1.x.test]
    components: [ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT]
  others:
    hosts: ["node[2-3].x.test"]
    components: [ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT]
configurations:
  zoo.cfg: {tickTime: 2000}
"""
)


class Bench:
    """A simulated server with healthy hosts node1 … nodeN, and deployments onto it."""

    def __init__(self, folder: Path, monkeypatch: Any, hosts: int = 3, version: str = "3.0.0.0") -> None:
        self.folder = folder
        self.now = START
        self.world = World(clock=lambda: self.now, version=version)
        self.agent = PaperAgent()
        self.work = assemble(self.world, PaperCrew(self.agent, seconds=1.0))
        for number in range(1, hosts + 1):
            self.host(f"node{number}.x.test")
        self.world.users["admin"].password = PASSWORD
        monkeypatch.setenv("TEST_AMBARI_PASSWORD", PASSWORD)
        self.simulation = serve(self.world)
        self.url: str | None = None
        """The server to deploy with, if it is not the simulated one."""
        self.events: list[AnyEvent] = []
        self.fleet: object | None = None
        """Stands for the connections to the hosts; without it there are none."""

    def host(self, name: str) -> None:
        """One more registered host."""
        family = "redhat7" if self.world.version.startswith("2.") else "redhat8"
        host = Host(name, f"192.0.2.{len(self.world.hosts) + 1}", os_type=family, os_family=family)
        self.world.hosts[name] = host
        self.world.register(host)

    def __enter__(self) -> Self:
        self.simulation.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.simulation.close()

    def pass_time(self, seconds: float) -> None:
        """The clock of the world goes on."""
        with self.world.lock:
            self.now += seconds
            self.world.settle()

    def deploy(
        self,
        inventory: str = INVENTORY,
        *,
        phases: Sequence[Phase] | None = None,
        table: dict[Phase, PhaseWork] | None = None,
        dry_run: bool = False,
        watch: Callable[[AnyEvent], None] | None = None,
        record: Path | None = None,
        consent: Consent | None = None,
        restart: Restarts = "rolling",
        removing: Removing | None = None,
        finalize: bool = False,
    ) -> int:
        """Run the phases that need no hosts; gives the exit code. What was told is in ``events``."""
        file = self.folder / "inventory.yaml"
        file.write_text(textwrap.dedent(inventory).replace("URL", self.url or self.simulation.url))
        loaded = load_inventory(file)
        wanted = phases or [
            phase for phase in applicable(loaded, PHASES, removing=removing is not None) if phase not in REMOTE
        ]
        self.events = []

        def bus(event: AnyEvent) -> None:
            self.events.append(event)
            if watch is not None:
                watch(event)

        with open_deployment(
            loaded,
            Secrets(),
            bus,
            self.folder / "logs",
            threading.Event(),
            dry_run=dry_run,
            hosted=self.fleet is not None,
            clock=lambda: self.now,
            pause=self.pass_time,
            mark=self.folder / "verified",
            record=record,
            consent=consent,
            restart=restart,
            finalize=finalize,
            removing=removing,
        ) as deployment:
            if self.fleet is not None:
                deployment.connections.__dict__["fleet"] = self.fleet
            return int(run_phases(deployment, table or DEPLOY, wanted))

    @property
    def changes(self) -> list[str]:
        """What the last deployment changed."""
        return [event.name for event in self.events if isinstance(event, Change)]

    @property
    def failure(self) -> str:
        """What the last deployment failed with."""
        failures = [event.failure for event in self.events if isinstance(event, PhaseFinished) and event.failure]
        return f"{failures[-1].message}\n{failures[-1].hint or ''}" if failures else ""

    @property
    def failed_tasks(self) -> list[AmbariTask]:
        return [event for event in self.events if isinstance(event, AmbariTask) and event.status == "FAILED"]

    def state(self, cluster: str = "c1") -> dict[str, Any]:
        """What matters of the cluster: components with their states, properties, versions, what is unfinished."""
        import requests

        def get(path: str) -> Any:
            answer = requests.get(
                f"{self.simulation.url}/api/v1/{path}", auth=("admin", PASSWORD), timeout=30, headers={"Accept": "*/*"}
            )
            return answer.json() if answer.status_code == 200 else {}

        components = get(f"clusters/{cluster}/host_components?fields=HostRoles/state&page_size=1000")
        desired = get(f"clusters/{cluster}?fields=Clusters/desired_configs").get("Clusters", {})
        zoo = desired.get("desired_configs", {}).get("zoo.cfg", {}).get("tag")
        properties = get(f"clusters/{cluster}/configurations?type=zoo.cfg&tag={zoo}&fields=*").get("items") or [{}]
        return {
            "components": sorted(
                (item["HostRoles"]["host_name"], item["HostRoles"]["component_name"], item["HostRoles"]["state"])
                for item in components.get("items", ())
            ),
            "tickTime": properties[0].get("properties", {}).get("tickTime"),
            "versions": sorted(version.version for version in self.world.versions.values()),
            "blueprints": len(self.world.blueprints),
        }
