"""A test bed on a real engine: SSH, names, installing from its repository, made whole again, gone without a trace."""

from __future__ import annotations

import json
import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import paramiko
import pytest
import requests

from bigtop_builder.adapter.rpm.gnupg import make_key, open_signer
from bigtop_builder.adapter.store import Store
from bigtop_builder.ambari_simulator.agents.container import ContainerHands
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.flow.publish.publisher import publish
from bigtop_builder.flow.testbed.create import UpOptions, up
from bigtop_builder.flow.testbed.files import Files
from bigtop_builder.flow.testbed.testbed import down
from bigtop_builder.recipe.catalog import Catalog
from bigtop_builder.recipe.document import load
from bigtop_builder.recipe.settings import load_settings
from tests.fast.test_doctor import authority as certificate_authority
from tests.real.conftest import Tool
from tests.rpmfile import Spec, write_rpm

if TYPE_CHECKING:
    from docker import DockerClient

STACK, PLATFORM = "bigtop-3.2.0", Catalog().platform("el8")
NO_SIMULATION = ("--ambari-packages", "http://127.0.0.1/none")
"""With packages of the real Ambari to come, a test bed starts no simulated one."""


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory, shared_store: Path) -> Tool:
    """In a project that has published one signed package."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "bigtop-builder.yaml").write_text(f"stack: {STACK}\nplatforms: [{PLATFORM.name}]\n")
    make_key(folder / "gnupg", "A test", "test@example.org")
    with open_signer(folder / "gnupg") as signer:
        package = write_rpm(folder, Spec(name="hello_3_2_0", files={"/usr/bigtop/hello": b"hello\n"}))
        publish([package], folder / "repository", STACK, PLATFORM, signer)
    return Tool(folder, shared_store)


@pytest.fixture
def name(tool: Tool) -> Iterator[str]:
    name = f"test-{secrets.token_hex(4)}"
    yield name
    tool_down = tool.start("testbed", "down", name)
    tool_down.communicate()


def record(tool: Tool, name: str) -> dict[str, Any]:
    return load(tool.store / "testbeds" / name / "testbed.yaml").data


def ssh(found: dict[str, Any], host: str, command: str) -> str:
    """What a command prints, over SSH that knows the host's key beforehand and refuses any other."""
    with paramiko.SSHClient() as session:
        session.load_host_keys(found["ssh"]["known_hosts"])
        session.set_missing_host_key_policy(paramiko.RejectPolicy())
        place = found["hosts"][host]
        session.connect(
            place["address"],
            place["port"],
            found["ssh"]["user"],
            key_filename=found["ssh"]["key"],
            allow_agent=False,
            look_for_keys=False,
            timeout=30,
        )
        stdin, stdout, stderr = session.exec_command(command, timeout=300)
        text, errors = stdout.read().decode(), stderr.read().decode()
        code = stdout.channel.recv_exit_status()
        for stream in (stdin, stdout, stderr):
            stream.close()
    assert code == 0, errors
    return text


def ids(client: DockerClient, name: str) -> dict[str, str]:
    found = client.api.containers(all=True, filters={"label": f"org.bigtop-builder.testbed={name}"})
    return {one["Labels"]["org.bigtop-builder.testbed-host"]: one["Id"] for one in found}


def test_from_nothing_to_an_installed_package_and_back(tool: Tool, name: str, client: DockerClient) -> None:
    made = tool.json("testbed", "up", "--hosts", "2", "--name", name, *NO_SIMULATION)
    hosts = [f"node1.{name}.test", f"node2.{name}.test"]
    assert [(host["name"], host["state"]) for host in made["hosts"]] == [(host, "running") for host in hosts]
    found = record(tool, name)

    for host in hosts:
        assert ssh(found, host, "hostname -f").strip() == host
        assert ssh(found, host, "ps -o comm= -p 1").strip() != "sshd"
        for other in hosts:
            address = found["hosts"][other]["address"]
            assert ssh(found, host, f"getent hosts {other}").split()[0] == address
            assert ssh(found, host, f"getent hosts {address}").split()[1] == other

    url, key = found["repositories"][0]["url"], found["repositories"][0]["gpg_key"]
    by_name = url.replace(url.split("/")[2], f"repository.{name}.test")
    lines = ["[stack]", "name=stack", f"baseurl={by_name}", "gpgcheck=1", "repo_gpgcheck=1", f"gpgkey={key}"]
    ssh(found, hosts[1], "printf '%s\\n' " + " ".join(f"'{line}'" for line in lines) + " > /etc/yum.repos.d/stack.repo")
    assert ssh(found, hosts[1], "dnf -y -q install hello_3_2_0 >&2 && cat /usr/bigtop/hello") == "hello\n"
    signed = ssh(found, hosts[1], "rpm --query --queryformat '%{RSAHEADER:pgpsig}' hello_3_2_0")
    assert "RSA/SHA256" in signed

    before = ids(client, name)
    client.api.remove_container(before[hosts[0]], force=True)
    tool("testbed", "status", name, code=8)
    again = tool.json("testbed", "up", "--name", name)
    assert again["changes"] == [f"made {hosts[0]} ({found['hosts'][hosts[0]]['address']})"]
    after = ids(client, name)
    assert {host for host in after if after[host] != before[host]} == {hosts[0]}
    assert record(tool, name) == found
    assert ssh(found, hosts[0], "hostname -f").strip() == hosts[0]
    assert ssh(found, hosts[1], f"getent hosts {hosts[0]}").split()[0] == found["hosts"][hosts[0]]["address"]

    assert tool.json("testbed", "up", "--name", name)["changes"] == []
    assert name in [one["name"] for one in tool.json("testbed", "list")]

    tool("testbed", "down", name)
    assert ids(client, name) == {}
    assert client.api.networks(filters={"label": f"org.bigtop-builder.testbed={name}"}) == []
    assert not (tool.store / "testbeds" / name).exists()
    tool("testbed", "down", name, code=3)


def test_a_host_that_comes_later_is_known_to_the_others(tool: Tool, name: str, client: DockerClient) -> None:
    tool("testbed", "up", "--hosts", "1", "--name", name, *NO_SIMULATION)
    first, second = f"node1.{name}.test", f"node2.{name}.test"
    tool("testbed", "up", "--hosts", "2", "--name", name)
    found = record(tool, name)
    assert ssh(found, first, f"getent hosts {second}").split()[0] == found["hosts"][second]["address"]
    client.api.stop(ids(client, name)[first], timeout=1)
    assert tool.json("testbed", "up", "--name", name)["changes"] == [f"started {first}"]
    assert ssh(found, first, f"getent hosts {second}").split()[0] == found["hosts"][second]["address"]
    tool("testbed", "up", "--hosts", "1", "--name", name, code=2)


def test_ports_of_this_machine_lead_where_addresses_are_not_reached(tool: Tool, name: str) -> None:
    workspace = open_project(load_settings(tool.folder, {"store": str(tool.store)}))
    options = UpOptions(name, (f"node1.{name}.test",), ambari_packages="http://127.0.0.1/none", published=True)
    status, _ = up(workspace, options, lambda text: None)
    assert status.whole
    found = record(tool, name)
    assert found["hosts"][f"node1.{name}.test"]["address"] == "127.0.0.1"
    assert ssh(found, f"node1.{name}.test", "hostname -f").strip() == f"node1.{name}.test"
    down(workspace.store, name, lambda text: None)
    assert not Files(workspace.store, name).folder.exists()


def test_what_a_crash_left_is_removed_without_files(tool: Tool, name: str, client: DockerClient) -> None:
    tool("testbed", "up", "--hosts", "1", "--name", name, *NO_SIMULATION)
    folder = tool.store / "testbeds" / name
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
    assert name in [one["name"] for one in tool.json("testbed", "list")]
    tool("testbed", "down", name)
    assert ids(client, name) == {}


def test_a_container_that_never_started_is_made_again(tool: Tool, name: str, client: DockerClient) -> None:
    tool("testbed", "up", "--hosts", "1", "--name", name, *NO_SIMULATION)
    host = f"node1.{name}.test"
    inspected = client.api.inspect_container(ids(client, name)[host])
    client.api.remove_container(inspected["Id"], force=True)
    client.api.create_container(
        inspected["Image"], ["true"], name=inspected["Name"].lstrip("/"), labels=inspected["Config"]["Labels"]
    )
    again = tool.json("testbed", "up", "--name", name)
    assert [change.split(" (")[0] for change in again["changes"]] == [f"made {host}"]
    assert ssh(record(tool, name), host, "hostname -f").strip() == host


def test_a_name_belongs_to_one_store(tool: Tool, name: str, tmp_path: Path) -> None:
    tool("testbed", "up", "--hosts", "1", "--name", name, *NO_SIMULATION)
    other = Tool(tool.folder, tmp_path / "store")
    for arguments in (("up", "--hosts", "1", "--name", name), ("down", name)):
        answer = other("testbed", *arguments, "--json", code=2)
        assert f"belongs to the store {tool.store}" in json.loads(answer.stdout)["error"]["message"]
    tool("testbed", "status", name)


def registered(found: dict[str, Any]) -> list[str]:
    """The hosts whose agents the Ambari server knows."""
    password = Path(found["ambari"]["password"].removeprefix("file:")).read_text().strip()
    answer = requests.get(f"{found['ambari']['url']}/api/v1/hosts", auth=("admin", password), timeout=30)
    assert answer.status_code == 200
    return sorted(item["Hosts"]["host_name"] for item in answer.json()["items"])


def test_the_simulated_ambari_knows_the_hosts_and_ends_with_them(tool: Tool, name: str, tmp_path: Path) -> None:
    made = tool.json("testbed", "up", "--hosts", "2", "--name", name)
    assert made["simulation"] == "running"
    found = record(tool, name)
    hosts = sorted(found["hosts"])
    assert registered(found) == hosts
    blueprint = f"{found['ambari']['url']}/api/v1/blueprints/kept"
    unchecked = {"validate_topology": "false"}
    body = {
        "Blueprints": {"stack_name": "BIGTOP", "stack_version": "3.2.0"},
        "host_groups": [{"name": "g", "components": [{"name": "ZOOKEEPER_SERVER"}]}],
    }
    header = {"X-Requested-By": "test"}
    user = ("admin", Path(found["ambari"]["password"].removeprefix("file:")).read_text().strip())
    assert (
        requests.post(blueprint, json=body, params=unchecked, headers=header, auth=user, timeout=30).status_code == 201
    )

    files = Files(Store(tool.store), name)
    process = files.simulation()
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    while process.running:
        pass
    tool("testbed", "status", name, code=8)
    again = tool.json("testbed", "up", "--name", name)
    assert again["changes"] == [f"started the simulated Ambari at {made['ambari']}"]
    assert registered(record(tool, name)) == hosts
    assert requests.get(blueprint, auth=user, timeout=30).status_code == 200

    failures = tmp_path / "failures.yaml"
    failures.write_text("calls: [{path: /blueprints, status: 502, times: 2}]\n")
    tool("testbed", "up", "--hosts", "3", "--name", name, "--inject", str(failures))
    assert registered(record(tool, name)) == sorted([*hosts, f"node3.{name}.test"])
    answers = [requests.get(blueprint, auth=user, timeout=30).status_code for _ in range(3)]
    assert answers == [502, 502, 200]

    process = files.simulation()
    assert process is not None
    tool("testbed", "down", name)
    assert not process.running


def test_certificates_and_proxy_of_the_site_reach_hosts_and_agents(
    tool: Tool, name: str, tmp_path: Path, client: DockerClient
) -> None:
    authority = certificate_authority(30)
    (tmp_path / "site.pem").write_bytes(authority)
    proxy = "http://someone:pa$$word`x`@proxy.example.com:3128"
    network = {
        "ca_bundle": str(tmp_path / "site.pem"),
        "proxy": {"http": proxy, "https": proxy, "no_proxy": ["intranet"]},
    }
    project = {"stack": STACK, "platforms": [PLATFORM.name], "network": network}
    (tmp_path / "bigtop-builder.yaml").write_text(json.dumps(project))
    Tool(tmp_path, tool.store)("testbed", "up", "--hosts", "1", "--name", name, *NO_SIMULATION)
    found, host = record(tool, name), f"node1.{name}.test"
    shown = 'printf \'%s\\n\' "$https_proxy" "$HTTP_PROXY" "$no_proxy"; cat /etc/pki/tls/certs/ca-bundle.crt'
    over_ssh = ssh(found, host, shown)
    agent = ContainerHands(client, ids(client, name)).run(host, shown, 60)
    assert agent.stdout == over_ssh
    lines = over_ssh.splitlines()
    assert lines[:2] == [proxy, proxy]
    assert {"intranet", f".{name}.test", found["hosts"][host]["address"]} <= set(lines[2].split(","))
    assert authority.decode() in over_ssh
