"""Create a test bed, or repair a partial one: what is missing is created, what exists stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

from bigtop_builder.adapter.containers.engine_images import present
from bigtop_builder.adapter.containers.image import ensure
from bigtop_builder.adapter.containers.image_recipe import image_key
from bigtop_builder.adapter.containers.image_record import recorded
from bigtop_builder.adapter.containers.testbed import Bed, Container, Content, Machine, speaks_ssh
from bigtop_builder.adapter.repository.seen import Seen
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.adapter.store import translated
from bigtop_builder.ambari_simulator.rest.authentication import agent_secret
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.run.run import record_run
from bigtop_builder.flow.testbed.files import Files
from bigtop_builder.flow.testbed.repositories import ambari_packages, stack_repositories
from bigtop_builder.flow.testbed.simulator import AGENT, Simulation
from bigtop_builder.flow.testbed.testbed import (
    SIDE_BY_SIDE,
    Say,
    Status,
    locked,
    owned,
    repository_host,
    ssh_places,
    status_of,
)
from bigtop_builder.model.errors import ConfigurationError, EngineError
from bigtop_builder.model.testbed import TestBed

if TYPE_CHECKING:
    from docker import DockerClient

LOG_LIMIT = 8 << 20
MOST_HOSTS = 500
REACH_SECONDS, START_SECONDS = 8.0, 60.0
FIRST_HOST = 11
SSH, AMBARI = 22, 8080
SERVED = "/srv"
SSHD = ("/usr/sbin/sshd", "-D", "-e")


@dataclass(frozen=True)
class UpOptions:
    """The options of ``testbed up``; whatever is not given stays as it was."""

    name: str
    hosts: tuple[str, ...] = ()
    repository: str | None = None
    """An address, a folder with a repository, or a root of repositories; None for the project's."""
    ambari_packages: str | None = None
    """An address or a folder; None simulates Ambari."""
    inject: Path | None = None
    """A file of failures that the simulated Ambari injects."""
    published: bool | None = None
    """Whether SSH goes through ports of 127.0.0.1; None: only if the addresses are unreachable from this machine."""


def up(project: Project, options: UpOptions, say: Say) -> tuple[Status, list[str]]:
    """Create a test bed, or repair it; return its status and a list of what was done.

    Raises ConfigurationError, EngineError, and the errors of making the host image.
    """
    from bigtop_builder.adapter.containers.engine import connect

    files = Files(project.store, options.name)
    store = project.store.open()
    with locked(store, options.name), closing(connect()) as client:
        return _Creation(project, options, files, client, owned(client, store, options.name), say).run()


class _Creation:
    """One call of ``up``."""

    def __init__(
        self, project: Project, options: UpOptions, files: Files, client: DockerClient, bed: Bed, say: Say
    ) -> None:
        self.project = project
        self.options = options
        self.files = files
        self.client = client
        self.bed = bed
        self.changes: list[str] = []
        self._say = say
        self._former = files.state()
        self._settings = project.settings

    def run(self) -> tuple[Status, list[str]]:
        """Bring every part of the test bed up; return its status and what was done."""
        names = self._hosts()
        image = self._image()
        for container in self.bed.containers().values():
            if not container.begun:
                self.bed.remove(container)
        state = self._state(names)
        self.files.keep(state)
        self._serve(state, image)
        state = self._start_hosts(state, image)
        state = self._introduce_ambari(state)
        return status_of(state, self.files, self.bed), self.changes

    def _did(self, what: str) -> None:
        self.changes.append(what)
        self._say(what)

    def _hosts(self) -> tuple[str, ...]:
        """The names of the wanted hosts, existing ones first."""
        former = tuple(self._former.hosts) if self._former else ()
        wanted = self.options.hosts or former
        if not wanted:
            raise ConfigurationError(
                "the hosts of the test bed are not specified", hint="Give --hosts 3, or --inventory FILE."
            )
        if len(wanted) > MOST_HOSTS:
            raise ConfigurationError(
                f"{len(wanted)} hosts are too many for one test bed", hint=f"At most {MOST_HOSTS}."
            )
        lost = [name for name in former if name not in wanted]
        if lost:
            raise ConfigurationError(
                f"the test bed {self.options.name} has hosts that are no longer wanted: {', '.join(lost)}",
                hint=f"Remove it first: bigtop-builder testbed down {self.options.name}; or choose another --name.",
            )
        return (*former, *(name for name in wanted if name not in former))

    def _image(self) -> str:
        """The id of the image of a clean host, which is made if the engine lacks it."""
        spec = self.project.bare_host()
        record = recorded(self.project.store, image_key(spec))
        if record is not None and present(self.client, record.id):
            return record.id
        from bigtop_builder.flow.build.worker import open_worker

        self._say("making the host image: this takes some minutes, once")
        run = self.project.store.start_run()
        with (
            record_run(self.project.store, run, lambda event: None, "testbed") as active,
            open_worker(self.project, Request(), run, active.emit, active.cancelled) as worker,
            LogWriter(run.log("images", "host"), LOG_LIMIT) as log,
        ):
            return ensure(worker.shop, spec, log).id

    def _state(self, names: tuple[str, ...]) -> TestBed:
        """The intended state: network, addresses, repositories. The network is created."""
        former, name = self._former, self.options.name
        subnet = self.bed.subnet()
        if subnet is None:
            subnet = self.bed.make_network(IPv4Network(former.subnet) if former else None, len(names))
            self._did(f"made the network {self.bed.network} ({subnet})")
        taken = dict(former.hosts) if former else {}
        free = (str(address) for address in subnet if int(address) - int(subnet[0]) >= FIRST_HOST)
        unused = (address for address in free if address not in taken.values())
        hosts = {host: taken.get(host) or next(unused) for host in names}
        state = former or TestBed(name=name, subnet=str(subnet), hosts=hosts, published=bool(self.options.published))
        update: dict[str, object] = {"subnet": str(subnet), "hosts": hosts}
        address = f"http://{subnet[2]}"
        folders = dict(state.folders)
        if former is None or self.options.repository:
            served, repositories = stack_repositories(self._settings, self.options.repository, address)
            folders = {path: place for path, place in folders.items() if path.startswith("ambari")} | served
            update["repositories"] = repositories
            if not repositories:
                self._say("nothing is published in this project, so the test bed serves no repository")
        if self.options.ambari_packages:
            scratch = self.files.folder / "ambari"
            served, packages = ambari_packages(self.options.ambari_packages, address, scratch, self._did)
            folders = {path: place for path, place in folders.items() if not path.startswith("ambari")} | served
            update["packages"] = packages
        return state.model_copy(update={**update, "folders": folders})

    def _serve(self, state: TestBed, image: str) -> None:
        """Run the container that serves the repositories."""
        name = repository_host(state.name)
        mounts = {f"{SERVED}/{path}": Path(folder) for path, folder in state.folders.items()}
        found = self.bed.containers().get(name)
        if found and found.mounts != {inside: str(folder) for inside, folder in mounts.items()}:
            self.bed.remove(found)
            self._did(f"removed {name}: the served folders have changed")
            found = None
        if not mounts:
            return
        if found is None:
            address = str(IPv4Network(state.subnet)[2])
            # Another test bed, or another project's repository, may have been at this address before.
            with translated(self.project.store.root):
                Seen(self.project.store.root).forget(f"http://{address}/")
            command = ("python3", "-m", "http.server", "--bind", address, "--directory", SERVED, "80")
            self.bed.make(Machine(name, address, "repository", image, command, mounts=mounts))
            self._did(f"made {name} ({address})")
        elif not found.running:
            self.bed.start(found)
            self._did(f"started {name}")

    def _start_hosts(self, state: TestBed, image: str) -> TestBed:
        """Start every host and wait for its SSH server; return the state, with the way that SSH takes."""
        made = self._make_hosts(state, image)
        undecided = self._former is None and self.options.published is None
        first = next(iter(state.hosts))
        if undecided and not speaks_ssh(state.hosts[first], SSH, REACH_SECONDS):
            self._check_alive(first)
            self._say(
                "the containers' addresses are unreachable from this machine: SSH goes through ports of 127.0.0.1"
            )
            found = self.bed.containers()
            for name in made:
                self.bed.remove(found[name])
            state = state.model_copy(update={"published": True})
            self.files.keep(state)
            self._make_hosts(state, image)
        places = ssh_places(state, self.bed)

        def wait(name: str) -> None:
            if not speaks_ssh(*places[name], START_SECONDS):
                self._check_alive(name)
                raise EngineError(
                    f"the SSH server of {name} does not answer at {places[name][0]}:{places[name][1]}",
                    hint="See the container's log (docker logs), then run bigtop-builder testbed down, and up again.",
                )

        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            list(pool.map(wait, state.hosts))
        return state

    def _check_alive(self, name: str) -> None:
        found = self.bed.containers().get(name)
        if found is not None and not found.running:
            raise EngineError(f"the container of {name} has ended: {self.bed.last_words(found)}")

    def _make_hosts(self, state: TestBed, image: str) -> list[str]:
        """Create missing hosts and start stopped ones; return the names of the created ones."""
        found = self.bed.containers()
        missing = [name for name in state.hosts if name not in found]
        stopped = [found[name] for name in state.hosts if name in found and not found[name].running]
        known_before = set(self._former.hosts) if self._former else set(state.hosts)
        public, site = self.files.public_key(state.name), self._site_files(state)

        def make(name: str) -> None:
            self.bed.make(self._machine(name, state, image, public, site))

        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            for name, _ in zip(missing, pool.map(make, missing), strict=True):
                self._did(f"made {name} ({state.hosts[name]})")
            for container, _ in zip(stopped, pool.map(self.bed.start, stopped), strict=True):
                self._did(f"started {container.name}")
            # The engine rewrites /etc/hosts when a container starts, as it was when the container was created.
            stale = list(found.values()) if set(state.hosts) - known_before else stopped
            list(pool.map(lambda container: self._introduce(container, state), stale))
        return missing

    def _introduce(self, container: Container, state: TestBed) -> None:
        """Add hosts that were created later to the hosts file of an existing one."""
        lines = [f"{address}\t{name}" for name, address in state.hosts.items() if name != container.name]
        script = "\n".join(f"grep -qFx '{line}' /etc/hosts || echo '{line}' >> /etc/hosts" for line in lines)
        if container.role == "host" and script:
            self.bed.run(container, script)

    def _machine(self, name: str, state: TestBed, image: str, public: str, site: Mapping[str, Content]) -> Machine:
        private, _ = self.files.host_key(name)
        others = {other: address for other, address in state.hosts.items() if other != name}
        if state.folders:
            others[repository_host(state.name)] = str(IPv4Network(state.subnet)[2])
        ambari = [AMBARI] if state.packages and name == next(iter(state.hosts)) else []
        return Machine(
            name=name,
            address=state.hosts[name],
            role="host",
            image=image,
            command=SSHD,
            files={
                "/root/.ssh/": Content(b"", 0o700),
                "/root/.ssh/authorized_keys": Content(f"{public}\n".encode(), 0o600),
                "/etc/ssh/ssh_host_ed25519_key": Content(private, 0o600),
                **site,
            },
            others=others,
            ports=[SSH, *ambari] if state.published else [],
        )

    def _site_files(self, state: TestBed) -> dict[str, Content]:
        """The site's certificates and proxies, if the project configures them."""
        from bigtop_builder.adapter.sources.web import ca_bundle, proxies
        from bigtop_builder.adapter.tools.site import JAVA_PLACES, PEM_PLACES
        from bigtop_builder.adapter.tools.truststore import certificates, java_truststore

        network = self._settings.project.network
        files: dict[str, Content] = {}
        if network.ca_bundle:
            pem = ca_bundle(network)
            truststore = java_truststore(certificates(pem))
            files |= {place: Content(pem.read_bytes()) for place in PEM_PLACES}
            files |= {place: Content(truststore) for place in JAVA_PLACES}
        if network.proxy.http or network.proxy.https:
            known = proxies(network)
            inside = ["localhost", "127.0.0.1", f".{state.name}.test", state.subnet, *state.hosts.values()]
            inside.append(str(IPv4Network(state.subnet)[2]))
            known["no_proxy"] = ",".join([*filter(None, [known.get("no_proxy")]), *inside])
            lines = []
            for kind, value in known.items():
                variable = kind if kind == "no_proxy" else f"{kind}_proxy"
                lines += [f'{variable}="{value}"\n', f'{variable.upper()}="{value}"\n']
            # PAM passes these to sessions and reads them as root: they may contain a proxy's password.
            files["/etc/environment"] = Content("".join(lines).encode(), 0o600)
        return files

    def _introduce_ambari(self, state: TestBed) -> TestBed:
        """Write the record, and keep the simulator that reads it running."""
        places = ssh_places(state, self.bed)
        self.files.keep_password(simulated=state.packages is None)
        if state.packages is not None:
            first = next(iter(state.hosts))
            port = self.bed.containers()[first].ports.get(AMBARI)
            url = f"http://127.0.0.1:{port}" if port else f"http://{state.hosts[first]}:{AMBARI}"
            state = state.model_copy(update={"ambari": url})
            self.files.keep_record(state, places)
            return state
        address = "127.0.0.1" if state.published else str(IPv4Network(state.subnet)[1])
        simulation = Simulation(self.files, address, state.subnet, self.options.inject)
        state = state.model_copy(update={"ambari": simulation.url(state.ambari)})
        self.files.keep_record(state, places)
        if not state.published:
            self._give_agents(state.ambari)
        if simulation.keep_running(state.ambari):
            self._did(f"started the simulated Ambari at {state.ambari}")
        return state

    def _give_agents(self, url: str) -> None:
        """Install the agents' command on the hosts that the simulated Ambari reaches."""
        hosts = [found for found in self.bed.containers().values() if found.role == "host"]
        key = self.files.password.read_text(encoding="utf-8").strip()

        def give(host: Container) -> None:
            self.bed.run(host, AGENT.format(url=url, host=host.name, secret=agent_secret(key, host.name)))

        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            list(pool.map(give, hosts))


def default_hosts(name: str, count: int) -> tuple[str, ...]:
    """``node1.NAME.test`` and so on."""
    return tuple(f"node{number}.{name}.test" for number in range(1, count + 1))
