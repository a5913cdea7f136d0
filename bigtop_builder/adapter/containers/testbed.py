"""Containers that act as hosts: their own network, fixed addresses, found again by their labels."""

from __future__ import annotations

import contextlib
import io
import ipaddress
import socket
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bigtop_builder.adapter.containers.container import LABEL
from bigtop_builder.adapter.containers.engine import engine_errors
from bigtop_builder.model.errors import EngineError

if TYPE_CHECKING:
    from docker import DockerClient

BED, STORE, HOST, ROLE = (f"{LABEL}.{name}" for name in ("testbed", "testbed-store", "testbed-host", "testbed-role"))
Role = Literal["host", "repository"]
BANNER_SECONDS = 3.0
POOL = tuple(ipaddress.IPv4Network(pool) for pool in ("10.241.0.0/16", "172.29.0.0/16", "192.168.224.0/19"))
"""Private addresses that neither engines nor most sites use by default."""

Subnet = ipaddress.IPv4Network


@dataclass(frozen=True)
class Content:
    """A file to put into a container before it starts."""

    data: bytes
    mode: int = 0o644


@dataclass(frozen=True)
class Machine:
    """The container to make. ``others`` are the names and addresses in its /etc/hosts."""

    name: str
    address: str
    role: Role
    image: str
    command: Sequence[str]
    files: Mapping[str, Content] = field(default_factory=dict)
    mounts: Mapping[str, Path] = field(default_factory=dict)
    """Path inside → folder of this machine, read-only."""
    others: Mapping[str, str] = field(default_factory=dict)
    ports: Sequence[int] = ()
    """Ports to publish on 127.0.0.1, each under a number that the engine chooses."""


@dataclass(frozen=True)
class Container:
    """An existing container. ``ports`` is its own port → the published one on 127.0.0.1."""

    id: str
    name: str
    role: str
    running: bool
    begun: bool
    """False for one that was made and never started, because its maker was interrupted."""
    image: str
    ports: Mapping[int, int]
    mounts: Mapping[str, str]


class Bed:
    """The containers and the network of one test bed."""

    def __init__(self, client: DockerClient, name: str, store: Path) -> None:
        self.name = name
        self.network = f"bigtop-builder-{name}"
        self._client = client
        self._labels = {BED: name, STORE: str(store)}

    def owner(self) -> str | None:
        """Return the store that a test bed of this name belongs to, or None when the engine has no such test bed."""
        with engine_errors("looking for test beds"):
            found: list[dict[str, Any]] = [
                *self._client.api.networks(filters={"label": f"{BED}={self.name}"}),
                *self._client.api.containers(all=True, filters={"label": f"{BED}={self.name}"}),
            ]
        return next((one["Labels"].get(STORE, "") for one in found), None)

    def subnet(self) -> Subnet | None:
        """Return the subnet of the bed's network, or None without a network."""
        with engine_errors("looking for the network of a test bed"):
            found: list[dict[str, Any]] = self._client.api.networks(filters={"label": self._filters()})
        return next((subnet for one in found for subnet in _subnets(one)), None)

    def make_network(self, wanted: Subnet | None, hosts: int) -> Subnet:
        """Make the network in ``wanted``, or in the first free subnet with room for ``hosts``; return its subnet.

        Raises EngineError when no subnet is free.
        """
        for subnet in [wanted] if wanted else self._free(hosts):
            try:
                self._create_network(subnet)
            except EngineError as error:
                # The engine knows networks that are invisible from here.
                if wanted or "overlap" not in error.message:
                    raise
                continue
            return subnet
        raise EngineError(
            f"no private subnet is free for the test bed {self.name}",
            hint="Remove unused networks: docker network prune, bigtop-builder testbed down NAME.",
        )

    def _create_network(self, subnet: Subnet) -> None:
        from docker.types import IPAMConfig, IPAMPool

        pool = IPAMPool(subnet=str(subnet), gateway=str(subnet[1]))
        with engine_errors(f"making the network {self.network} ({subnet})"):
            self._client.api.create_network(
                self.network,
                driver="bridge",
                ipam=IPAMConfig(pool_configs=[pool]),
                labels=self._labels,
                check_duplicate=True,
            )

    def _free(self, hosts: int) -> Iterator[Subnet]:
        with engine_errors("listing networks"):
            listed: list[dict[str, Any]] = self._client.api.networks()
        taken = [subnet for one in listed for subnet in _subnets(one)] + routes()
        return free_subnets(taken, hosts)

    def containers(self) -> dict[str, Container]:
        """Return the containers of this bed by host name."""
        with engine_errors("listing the containers of a test bed"):
            found: list[dict[str, Any]] = self._client.api.containers(all=True, filters={"label": self._filters()})
        return {one["Labels"].get(HOST, one["Id"]): _container(one) for one in found}

    def _filters(self) -> list[str]:
        return [f"{name}={value}" for name, value in self._labels.items()]

    def make(self, machine: Machine) -> None:
        """Make and start a container. Raises EngineError."""
        api = self._client.api
        with engine_errors(f"making the container of {machine.name}"):
            host = api.create_host_config(
                network_mode=self.network,
                init=True,
                binds=[f"{folder}:{inside}:ro" for inside, folder in machine.mounts.items()],
                extra_hosts=dict(machine.others),
                port_bindings=dict.fromkeys(machine.ports, ("127.0.0.1", None)),
            )
            endpoint = api.create_endpoint_config(ipv4_address=machine.address, aliases=[machine.name])
            # The SDK's annotation is wrong: the argument is a mapping of network name to endpoint.
            networking: Any = api.create_networking_config
            created = api.create_container(
                machine.image,
                command=list(machine.command),
                name=f"{self.network}-{machine.name}",
                hostname=machine.name,
                labels={**self._labels, HOST: machine.name, ROLE: machine.role},
                ports=list(machine.ports),
                host_config=host,
                networking_config=networking({self.network: endpoint}),
                stop_signal="SIGKILL",
                use_config_proxy=False,
            )
            if machine.files:
                api.put_archive(created["Id"], "/", _archive(machine.files))
            api.start(created["Id"])

    def start(self, container: Container) -> None:
        """Start a stopped container. Raises EngineError."""
        with engine_errors(f"starting the container of {container.name}"):
            self._client.api.start(container.id)

    def run(self, container: Container, script: str) -> None:
        """Run a short script in a container. Raises EngineError when it fails."""
        with engine_errors(f"running a command on {container.name}"):
            created = self._client.api.exec_create(container.id, ["bash", "-euc", script])
            said: bytes = self._client.api.exec_start(created["Id"])
            code = self._client.api.exec_inspect(created["Id"])["ExitCode"]
        if code != 0:
            raise EngineError(
                f"a command on {container.name} failed with {code}: {said.decode(errors='replace')[-500:]}"
            )

    def last_words(self, container: Container) -> str:
        """Return the last lines that the container's program printed."""
        with engine_errors(f"reading the log of {container.name}"):
            said: bytes = self._client.api.logs(container.id, tail=5)
        return said.decode(errors="replace").strip()

    def remove(self, container: Container) -> None:
        """Remove a container and its volumes, if it still exists."""
        import docker

        with contextlib.suppress(docker.errors.NotFound), engine_errors(f"removing the container of {container.name}"):
            try:
                self._client.api.remove_container(container.id, v=True, force=True)
            except docker.errors.NotFound:
                return

    def remove_networks(self) -> int:
        """Remove the bed's network, and any that a crash left; return how many were removed."""
        import docker

        with engine_errors("removing the network of a test bed"):
            found: list[dict[str, Any]] = self._client.api.networks(filters={"label": self._filters()})
            for one in found:
                with contextlib.suppress(docker.errors.NotFound):
                    self._client.api.remove_network(one["Id"])
        return len(found)


def free_subnets(taken: Sequence[Subnet], hosts: int) -> Iterator[Subnet]:
    """Yield the subnets of the pool, at least /24, with room for ``hosts`` that overlap none of ``taken``."""
    room = 16 + hosts
    prefix = min(24, 32 - (room - 1).bit_length())
    for pool in POOL:
        if prefix < pool.prefixlen:
            continue
        for subnet in pool.subnets(new_prefix=prefix):
            if not any(subnet.overlaps(other) for other in taken):
                yield subnet


def routes(file: Path = Path("/proc/net/route")) -> list[Subnet]:
    """Return the subnets that this machine has routes to, without the default route."""
    try:
        lines = file.read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return []
    found = []
    for line in lines:
        fields = line.split()
        # The kernel prints them in little-endian hexadecimal.
        address, mask = (int.from_bytes(bytes.fromhex(fields[index]), "little") for index in (1, 7))
        if mask:
            found.append(Subnet((address, mask.bit_count())))
    return found


def speaks_ssh(address: str, port: int, within: float) -> bool:
    """Return whether an SSH server sends its banner at ``address`` within ``within`` seconds."""
    deadline = time.monotonic() + within
    while True:
        with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=BANNER_SECONDS) as line:
            if line.recv(4) == b"SSH-":
                return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)


def names(client: DockerClient, store: Path) -> set[str]:
    """Return the names of a store's test beds that the engine has containers or networks of."""
    filters = {"label": [f"{STORE}={store}"]}
    with engine_errors("looking for test beds"):
        found: list[dict[str, Any]] = [
            *client.api.networks(filters=filters),
            *client.api.containers(all=True, filters=filters),
        ]
    return {one["Labels"][BED] for one in found}


def _container(data: Mapping[str, Any]) -> Container:
    return Container(
        id=data["Id"],
        name=data["Labels"].get(HOST, data["Id"]),
        role=data["Labels"].get(ROLE, ""),
        running=data["State"] == "running",
        begun=data["State"] != "created",
        image=data["ImageID"],
        ports={
            int(port["PrivatePort"]): int(port["PublicPort"]) for port in data.get("Ports", ()) if "PublicPort" in port
        },
        mounts={mount["Destination"]: mount["Source"] for mount in data.get("Mounts", ())},
    )


def _subnets(network: Mapping[str, Any]) -> list[Subnet]:
    pools = (network.get("IPAM") or {}).get("Config") or []
    parsed = [ipaddress.ip_network(pool["Subnet"], strict=False) for pool in pools if pool.get("Subnet")]
    return [subnet for subnet in parsed if isinstance(subnet, Subnet)]


def _archive(files: Mapping[str, Content]) -> bytes:
    """Pack files for a container; a name that ends in a slash is a folder with that mode."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path, content in sorted(files.items()):
            member = tarfile.TarInfo(path.lstrip("/"))
            member.mode, member.mtime = content.mode, int(time.time())
            if path.endswith("/"):
                member.type = tarfile.DIRTYPE
                archive.addfile(member)
            else:
                member.size = len(content.data)
                archive.addfile(member, io.BytesIO(content.data))
    return stream.getvalue()
