"""Rounds of deploy, change, disturb, destroy on the hosts of a test bed: make soak TESTBED=NAME.

Each round deploys the inventory, changes a property, and while that is deployed something happens at random: a process,
an agent, the server or the deployment itself is killed, or restarted. Deployed once more, the cluster must be in the
same state as in every other round; destroyed, nothing of it may be left. The seed is printed: --seed N does the same
again, as far as time permits.

The test bed must exist (testbed up --name NAME --inventory INVENTORY, with or without --ambari-packages) and be free.
Processes are killed on its hosts only, and this program's own deployments.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from trial import PROJECT, ROOT, Trial, demand, terminate_as_interrupt

from bigtop_builder.adapter.ambari.client import Ambari
from bigtop_builder.adapter.secret import Secrets
from bigtop_builder.model.errors import AmbariError, BigtopBuilderError
from bigtop_builder.recipe.document import load
from bigtop_builder.recipe.inventory import LoadedInventory
from bigtop_builder.recipe.settings import load_settings

COMMAND_SECONDS = 3600
"""One command of the tool may take this long, then it is killed and the soak has failed."""
READY_SECONDS = 300
SEEN_SECONDS = 60
"""Within this time agents have seen that a process is gone: they look every 20 seconds."""
TRIES = 3
"""Deployments after a disturbance until one must have succeeded: the first may still meet what was disturbed."""
SERVICES = (
    "^[^ ]*java .*([Q]uorumPeerMain|deploy[.]master|deploy[.]worker|[-]Dproc_|[H]Master|[H]RegionServer|kafka[.]Kafka)"
)
KILL_ONE = f"one=$(pgrep -f '{SERVICES}' | head -n 1); [ -z \"$one\" ] || kill -KILL $one"
AGENT = "[a]mbari_agent/main.py|[a]mbari_agent/AmbariAgent.py"
SERVER = "[o]rg.apache.ambari.server.controller.AmbariServer"
START_AGENT = "ambari-agent start >/dev/null 2>&1 || ambari-agent restart >/dev/null"
# Stand-alone services are not the cluster's: destroy leaves them running.
MANAGED = SERVICES.replace("|deploy[.]master|deploy[.]worker", "")
LEFT = f"pgrep -af '{MANAGED}'; ls /etc/yum.repos.d/ambari-bigtop-*.repo 2>/dev/null; true"
"""What a destroyed cluster must not leave."""


@dataclass
class Bed:
    """The test bed, and what can happen on it."""

    trial: Trial
    random: random.Random

    def loaded(self) -> LoadedInventory:
        return self.trial.loaded()

    @property
    def simulated(self) -> bool:
        return self.loaded().ambari.setup is None

    def ambari(self) -> Ambari:
        choice = self.loaded().ambari
        return Ambari(choice.url, choice.user, Secrets().value(choice.password, "ambari.password"))

    def on(self, host: str, script: str) -> str:
        """Run a script on a host; return what it printed."""
        with self.trial.fleet() as fleet:
            output = fleet.remote(host).run(script, timeout=READY_SECONDS)
        demand(output.code == 0, f"{host}: {output.stdout}{output.stderr}")
        return output.stdout

    def any_host(self) -> str:
        return self.random.choice([host.name for host in self.loaded().hosts])

    def control(self, path: str) -> None:
        """A call to the simulation itself, which has neither agents nor a server to kill on the hosts."""
        choice = self.loaded().ambari
        password = Secrets().value(choice.password, "ambari.password")
        call = urllib.request.Request(f"{choice.url}/simulation/{path}", method="POST")
        call.add_header("Authorization", "Basic " + base64.b64encode(f"{choice.user}:{password}".encode()).decode())
        with urllib.request.urlopen(call, timeout=60):
            return

    def kill_process(self) -> str:
        host = self.any_host()
        self.on(host, KILL_ONE)
        return f"a service's process on {host} is killed"

    def lose_agent(self) -> str:
        """The agent is killed, and is back some seconds later."""
        host = self.any_host()
        pause = self.random.uniform(2, 15)
        if self.simulated:
            self.control(f"hosts/{host}/lose")
            time.sleep(pause)
            self.control(f"hosts/{host}/register")
        else:
            self.on(host, f"pkill -KILL -f '{AGENT}' || true")
            time.sleep(pause)
            self.on(host, START_AGENT)
        return f"the agent of {host} is killed and started again"

    def restart_server(self) -> str:
        if self.simulated:
            self.control("restart")
        else:
            self.on(self.loaded().ambari.setup.host, "ambari-server restart >/dev/null")  # type: ignore[union-attr]
        return "the server is restarted"

    def kill_server(self) -> str:
        if self.simulated:
            return self.restart_server()
        host = self.loaded().ambari.setup.host  # type: ignore[union-attr]
        self.on(host, f"pkill -KILL -f '{SERVER}' || true; ambari-server start >/dev/null")
        return "the server is killed and started again"

    def settle(self) -> None:
        """Wait until the server answers and has heard from all agents."""
        name, deadline = self.loaded().inventory.cluster, time.monotonic() + READY_SECONDS
        with self.ambari() as client:
            client.wait_ready(READY_SECONDS)
            while any(host.state != "HEALTHY" for host in client.hosts()) or any(
                one.state == "UNKNOWN" for one in client.host_components(name)
            ):
                demand(time.monotonic() < deadline, f"not all agents are back after {READY_SECONDS} s")
                time.sleep(2)


@dataclass
class Soak:
    """The rounds. ``changes``: the values that ``kind``/``name`` of the configuration takes in turn."""

    bed: Bed
    inventory: Path
    kind: str
    name: str
    values: tuple[str, ...]
    expected: dict[str, dict[str, object]] = field(default_factory=dict)
    """Value of the property -> the state of the cluster after its first deployment."""

    @property
    def trial(self) -> Trial:
        return self.bed.trial

    def round(self, number: int, rounds: int) -> None:
        """One round. Ends the soak if anything is not as it must be."""
        before, after = self.bed.random.sample(self.values, 2)
        with self.trial.step(f"round {number} of {rounds}: {self.name} {before}, then {after}"):
            demand(self.deploy(before) == 0, "the deployment failed")
            self.same_state(before)
            self.disturbed(after)
            self.same_state(after)
            self.destroy()

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "bigtop_builder", "--project", str(self.trial.project), *arguments]

    def deploy(self, value: str) -> int:
        return subprocess.run(self._deploy(value), cwd=ROOT, timeout=COMMAND_SECONDS, check=False).returncode

    def _deploy(self, value: str) -> list[str]:
        # Not as YAML 1.1, which takes the key `on` of a job for a truth value.
        document = json.loads(json.dumps(load(ROOT / self.inventory).data))
        document.setdefault("configurations", {}).setdefault(self.kind, {})[self.name] = value
        changed = ROOT / self.inventory.with_name(f".soak-{self.trial.name}.yaml")
        changed.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        return self.command("deploy", str(changed), "--yes", *self.trial.bed)

    def disturbed(self, value: str) -> None:
        """Deploy a change while something happens; then deploy until it succeeds."""
        what = self.bed.random.choice(self.disturbances())
        delay = self.bed.random.uniform(0, 30)
        print(f"    after {delay:.0f} s: {getattr(what, '__name__', 'the deployment is killed')}", flush=True)
        with subprocess.Popen(self._deploy(value), cwd=ROOT) as running:
            try:
                time.sleep(delay)
                told = self.kill(running) if what is None else what()
                print(f"    {told}", flush=True)
                code = running.wait(COMMAND_SECONDS)
            finally:
                running.kill()
        self.bed.settle()
        if what is None or what == self.bed.kill_process:
            # What died after it was looked at is only started by another deployment.
            time.sleep(SEEN_SECONDS)
            code = self.deploy(value)
        for _ in range(1, TRIES):
            if code == 0:
                return
            code = self.deploy(value)
        demand(code == 0, f"{TRIES} deployments after a disturbance failed, the last with {code}")

    def disturbances(self) -> list[Callable[[], str] | None]:
        """What may happen; None stands for the death of the deployment."""
        bed = self.bed
        return [bed.kill_process, bed.lose_agent, bed.restart_server, bed.kill_server, None]

    @staticmethod
    def kill(running: subprocess.Popen[bytes]) -> str:
        running.kill()
        return "the deployment is killed"

    def same_state(self, value: str) -> None:
        """Compare the cluster with what it was when this value was first deployed, and with what was asked for."""
        state = self.state()
        demand(state[f"{self.kind}/{self.name}"] == value, f"{self.name} is {state[f'{self.kind}/{self.name}']}")
        first = self.expected.setdefault(value, state)
        demand(state == first, "the state differs:\n" + json.dumps([first, state], indent=1))

    def state(self) -> dict[str, object]:
        """Read what matters of the cluster: components and their states, groups, the changed property, what runs."""
        name = self.bed.loaded().inventory.cluster
        with self.bed.ambari() as client:
            tag = client.desired_configurations(name)[self.kind]
            found = sorted(
                [one.host, one.component, one.state, one.desired_state, one.stale]
                for one in client.host_components(name)
            )
            return {
                "components": found,
                "groups": sorted([group.name, *sorted(group.hosts)] for group in client.config_groups(name)),
                f"{self.kind}/{self.name}": client.configuration(name, self.kind, tag).properties.get(self.name),
                "unfinished": [view.id for view in client.requests(name, unfinished_only=True) if not view.logical],
                "processes": {
                    host.name: int(self.bed.on(host.name, f"pgrep -fc '{SERVICES}' || true"))
                    for host in self.bed.loaded().hosts
                },
            }

    def destroy(self) -> None:
        """Remove the cluster, and look whether anything is left of it."""
        loaded = self.bed.loaded()
        self.trial.tool("destroy", str(self.inventory), *self.trial.bed, "--yes-really", loaded.inventory.cluster)
        with self.bed.ambari() as client:
            demand(client.cluster(loaded.inventory.cluster) is None, "the cluster exists after destroy")
        for host in loaded.hosts:
            left = self.bed.on(host.name, LEFT)
            demand(not left.strip(), f"left on {host.name} after destroy:\n{left}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("testbed", help="the name of the test bed")
    parser.add_argument("--inventory", type=Path, default=Path("inventories/demo.yaml"))
    parser.add_argument("--project", type=Path, default=PROJECT)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=480, help="no round begins later")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--change", default="zoo.cfg/tickTime=2000,2500,3000", help="TYPE/PROPERTY=VALUE,VALUE,…")
    given = parser.parse_args()
    terminate_as_interrupt()
    path, _, values = given.change.partition("=")
    kind, _, name = path.partition("/")
    print(f"seed {given.seed}", flush=True)
    deadline = time.monotonic() + given.minutes * 60
    try:
        settings = load_settings(ROOT, {}, project_file=given.project.resolve())
        trial = Trial(settings, given.testbed, project=given.project.resolve(), inventory=str(given.inventory))
        bed = Bed(trial, random.Random(given.seed))
        soak = Soak(bed, given.inventory, kind, name, tuple(values.split(",")))
        done = 0
        while done < given.rounds and time.monotonic() < deadline:
            done += 1
            soak.round(done, given.rounds)
        trial.report()
        demand(done == given.rounds, f"only {done} of {given.rounds} rounds in {given.minutes:g} minutes")
    except (BigtopBuilderError, AmbariError) as error:
        sys.exit(f"{error.message}\n{error.hint or ''}")
    except subprocess.TimeoutExpired as error:
        sys.exit(f"the soak failed: {error.cmd[4]} took longer than {COMMAND_SECONDS} s")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        (ROOT / given.inventory.with_name(f".soak-{given.testbed}.yaml")).unlink(missing_ok=True)
        print(f"seed {given.seed}", flush=True)


if __name__ == "__main__":
    main()
