"""What bad input gets: one clear message with its place, a hint, the fitting exit code, and nothing changed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bigtop_builder.adapter.store import Store
from bigtop_builder.ambari_simulator.agents.paper import PaperCrew
from bigtop_builder.ambari_simulator.assembly import assemble
from bigtop_builder.ambari_simulator.engine.state import Host, World
from bigtop_builder.ambari_simulator.resource_tree import registry
from bigtop_builder.ambari_simulator.rest.server import Simulation
from bigtop_builder.cli import app
from tests.fast.test_cli import project as project

PASSWORD, WRONG = "correct-horse", "wrong-staple"
INVENTORY = """\
cluster: c1
ssh: {user: root, key: id}
ambari: {url: URL, password: "env:TEST_PASSWORD"}
repositories: [{url: "file:///nowhere/el8"}]
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
FIRST = "components: [ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT]\n  others"
"""The components of the first group, and of no other."""


@dataclass
class Site:
    """A project folder, and a simulated server that no mistake may change."""

    folder: Path
    world: World
    url: str
    capsys: pytest.CaptureFixture[str]

    def call(self, *arguments: str, text: str = INVENTORY) -> tuple[int, str, str]:
        (self.folder / "inv.yaml").write_text(text.replace("URL", self.url))
        code = app.run(arguments)
        captured = self.capsys.readouterr()
        told = captured.out + captured.err
        assert "Traceback" not in told
        assert PASSWORD not in told and WRONG not in told
        assert not (self.world.clusters or self.world.blueprints or self.world.versions)
        return code, captured.out, captured.err


@pytest.fixture(scope="module")
def server() -> Iterator[Simulation]:
    world = World()
    assemble(world, PaperCrew())
    for number in (1, 2, 3):
        host = Host(f"node{number}.x.test", f"192.0.2.{number}")
        world.hosts[host.name] = host
        world.register(host)
    world.users["admin"].password = PASSWORD
    with Simulation(world, registry()) as simulation:
        yield simulation


@pytest.fixture
def site(
    project: Path, server: Simulation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Site:
    monkeypatch.setenv("TEST_PASSWORD", PASSWORD)
    monkeypatch.setenv("TEST_WRONG", WRONG)
    monkeypatch.setenv("TEST_EMPTY", "")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return Site(project, server.world, server.url, capsys)


def swap(old: str, new: str) -> Callable[[str], str]:
    def edit(text: str) -> str:
        assert old in text, old
        return text.replace(old, new, 1)

    return edit


def add(more: str) -> Callable[[str], str]:
    return lambda text: text + more + "\n"


def password(reference: str) -> Callable[[str], str]:
    return swap('"env:TEST_PASSWORD"', reference)


def first(components: str) -> Callable[[str], str]:
    return swap(FIRST, FIRST.replace("ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT", components))


def url(address: str) -> Callable[[str], str]:
    return swap("url: URL", f"url: {address}")


INVENTORY_MISTAKES: dict[str, tuple[Callable[[str], str], int, str, str]] = {
    # mistake: (edit, exit code, place and message, hint)
    "empty": (lambda _: "", 2, r"inv.yaml: the key 'cluster' is missing", ""),
    "a list": (lambda _: "- a\n", 2, r"inv.yaml:1:1: must be a mapping", ""),
    "not closed": (lambda _: "cluster: c1\ngroups: {a: [\n", 2, r"inv.yaml:3:1: is not valid YAML", ""),
    "tab": (lambda _: "cluster: c1\ngroups:\n\tfirst: x\n", 2, r"inv.yaml:3:1: .* a tab is used", "spaces"),
    "twice": (add("configurations: {}"), 2, r"inv.yaml:14:1: the key 'configurations' is repeated", ""),
    "two documents": (add("---\ncluster: c2"), 2, r"inv.yaml:14:1: .*another document", ""),
    "indented wrongly": (swap("    hosts: [n", "   hosts: [n"), 2, r"inv.yaml:8:5: is not valid YAML", ""),
    "tag": (swap("cluster: c1", "cluster: !!python/name:os.system x"), 2, r"tag .* is not allowed", ""),
    "unknown key": (add("configuration: {}"), 2, r"inv.yaml:14:1 \(configuration\)", "configurations"),
    "unknown key in a group": (swap("components", "component"), 2, r"inv.yaml:8:5 \(groups.first.component\)", ""),
    "no cluster": (swap("cluster: c1\n", ""), 2, r"the key 'cluster' is missing", ""),
    "cluster's name": (swap("c1", "'my cluster'"), 2, r"inv.yaml:1:1 \(cluster\)", "analytics"),
    "no groups": (lambda _: "cluster: c1\n", 2, r"the key 'groups' is missing", ""),
    "groups that are empty": (lambda _: "cluster: c1\ngroups: {}\n", 2, r":2:1 \(groups\): must not be empty", ""),
    "group without hosts": (swap("[node1.x.test]", "[]"), 2, r":7:5 \(groups.first.hosts\): must not be empty", ""),
    "hosts no list": (swap("[node1.x.test]", "node1.x.test"), 2, r":7:5 .*must be a list", r"\[node1.x.test\]"),
    "host in two groups": (swap("[2-3]", "[1-3]"), 2, r":10:13 .*node1.x.test is also in the group first", "one"),
    "malformed range": (swap("[2-3]", "[3-2]"), 2, r":10:13 .*\[3-2\] in the host range", "from low to high"),
    "short name": (
        lambda text: text.replace('"node[2-3].x.test"', "node1"),
        2,
        r":10:5 .*node1 and node1.x.test are two names of one host",
        "hostname -f",
    ),
    "address for a name": (
        swap("node1.x.test", "192.0.2.7"),
        2,
        r":7:13 .*192.0.2.7 is not a host name",
        "hostname -f",
    ),
    "localhost": (swap("node1.x.test", "localhost"), 2, r":7:13 .*localhost is every host's name", "hostname -f"),
    "unknown host": (add("hosts: {node4.x.test: {port: 2}}"), 2, r":14:9 .*node4.x.test is in no group", "node3"),
    "port": (swap("user: root", "port: 99999"), 2, r":2:7 \(ssh.port\)", ""),
    "duration": (swap("user: root", "connect_timeout: soon"), 2, r"\(ssh.connect_timeout\)", "90s"),
    "secret in the file": (
        password(PASSWORD),
        2,
        r":3:\d+ \(ambari.password\): must say where the secret is",
        "env:NAME",
    ),
    "secret's variable": (password("env:NOPE"), 2, r":3:\d+ \(ambari.password\): .*variable NOPE is not set", "export"),
    "secret's file": (password("file:/nope"), 2, r"\(ambari.password\): /nope cannot be read", "readable"),
    "secret's command": (password("command:nope-x"), 2, r"the command 'nope-x' cannot be run", ""),
    "secret's command fails": (password("'command:false'"), 2, r"'false' ended with exit code 1", "first line"),
    "secret asked for": (password("prompt"), 2, r"\(ambari.password\): there is no terminal", "env:NAME"),
    "secret that is empty": (password("env:TEST_EMPTY"), 2, r"env:TEST_EMPTY is empty", "value"),
    "secret of a property": (
        swap("tickTime: 2000", "a: {secret: 'env:NOPE'}"),
        2,
        r":13:17 \(configurations.zoo.cfg.a.secret\): .*NOPE is not set",
        "export",
    ),
    "wrong password": (
        password("env:TEST_WRONG"),
        9,
        r":3:\d+ \(ambari.password\): .*Unable to sign in",
        "ambari.user",
    ),
    "unknown user": (swap("{url: URL", "{user: me, url: URL"), 9, r"Unable to sign in", "ambari.user"),
    "HTTPS to plain HTTP": (swap("URL", "HTTPS"), 9, r":3:10 \(ambari.url\): .* uses plain HTTP", "to http://"),
    "no scheme": (url("ambari.x.test:8080"), 2, r":3:10 \(ambari.url\)", "https://ambari.example.com"),
    "path in the URL": (url("http://a/api/v1"), 2, r":3:10 \(ambari.url\)", "https://ambari.example.com"),
    "CA is not there": (swap("{url", "{ca: nope, url"), 2, r":3:10 \(ambari.ca\): .*nope cannot be read", "folder"),
    "CA is none": (swap("{url", "{ca: inv.yaml, url"), 2, r"ambari.ca: .*contains no certificate", "PEM"),
    "database without password": (
        swap("{url", "{setup: {host: node1.x.test, repository: 'http://r', database: {kind: mysql}}, url"),
        2,
        r"\(ambari.setup.database\): .*requires a password",
        "",
    ),
    "server's certificate": (
        swap("{url", "{setup: {host: node1.x.test, repository: 'http://r', https: {certificate: a, key: b}}, url"),
        2,
        r"\(ambari.setup.https.certificate\): .*\n +hint: .*\n.*\(ambari.setup.https.key\)",
        "folder",
    ),
    "unknown service": (add("services: [ZOOKEEPR]"), 2, r":14:12 .*no service ZOOKEEPR", "ZOOKEEPER"),
    "service in small letters": (add("services: [zookeeper]"), 2, r":14:12 \(services\[0\]\)", "ZOOKEEPER"),
    "service without components": (add("services: [ZOOKEEPER, HDFS]"), 2, r":14:23 .*no group has .* HDFS", "NAMENODE"),
    "component of no service": (add("services: [HDFS]"), 2, r"ZOOKEEPER_SERVER belongs to ZOOKEEPER", "Add ZOOKEEPER"),
    "unknown component": (first("ZOOKEPER_SERVER"), 2, r":8:18 .*no component ZOOKEPER_SERVER", "ZOOKEEPER_SERVER"),
    "component twice": (first("ZOOKEEPER_SERVER, ZOOKEEPER_SERVER"), 2, r":8:36 .*is listed twice", ""),
    "component missing": (
        first("ZOOKEEPER_CLIENT, NAMENODE, DATANODE"),
        2,
        r"SECONDARY_NAMENODE is nowhere",
        "group",
    ),
    "component too often": (
        lambda text: text.replace(
            "[ZOOKEEPER_SERVER", "[NAMENODE, SECONDARY_NAMENODE, DATANODE, HDFS_CLIENT, ZOOKEEPER_SERVER"
        ),
        2,
        r"SECONDARY_NAMENODE is on 3 hosts of 2 groups; the stack requires exactly 1",
        "group of its own",
    ),
    "provision": (first("{name: ZOOKEEPER_SERVER, provision: LATER}"), 2, r"components\[0\].provision", "INSTALL_ONLY"),
    "unknown configuration type": (swap("zoo.cfg", "zoo.cf"), 2, r":13:3 .*no configuration type zoo.cf", "zoo.cfg"),
    "unknown type in a group": (
        swap("    hosts: [node1", "    configurations: {zookeper-env: {a: 1}}\n    hosts: [node1"),
        2,
        r":7:22 .*no configuration type zookeper-env",
        "zookeeper-env",
    ),
    "property without value": (swap("2000", ""), 2, r":13:13 .*must be text, .* \(it is empty\)", "remove the key"),
    "unknown group in a property": (swap("2000", "'%HOSTGROUP::frist%'"), 2, r":13:13 .*no group 'frist'", "first"),
    "required password": (
        first("ZOOKEEPER_SERVER, HIVE_METASTORE, HIVE_SERVER, WEBHCAT_SERVER"),
        2,
        r"HIVE requires the password hive-site/javax.jdo.option.ConnectionPassword",
        "default_password",
    ),
    "unknown stack": (add("stack: {version: 9.9.9}"), 2, r":14:1 \(stack\): .*has no stack BIGTOP-9.9.9", "3.2.0"),
    "stack's version as a number": (
        add("stack: {version: 3.2}"),
        2,
        r":14:9 \(stack.version\): must be text",
        "quotes",
    ),
    "layout without services": (add("layout: auto"), 2, r":14:1 \(layout\)", "services"),
    "unknown target": (add("standalone: {a: {hosts: [frist]}}"), 2, r":14:26 .*frist is neither", "first"),
    "unknown entry": (add("standalone: {a: {hosts: [first], after: [b]}}"), 2, r":14:42 .*no stand-alone entry b", "a"),
    "circle": (
        add("standalone: {a: {hosts: [first], after: [b]}, b: {hosts: [first], after: [a]}}"),
        2,
        r"wait for each other: a -> b -> a",
        "",
    ),
    "template": (
        add("standalone: {a: {hosts: [first], files: {/etc/x: {content: '{{ hos }}'}}}}"),
        2,
        r":14:51 .*undefined name: hos",
        "host",
    ),
    "health": (
        add("standalone: {a: {hosts: [first], services: [{name: x, health: {}}]}}"),
        2,
        r"exactly one of port",
        "",
    ),
    "job's host": (add("jobs: {a: {on: frist, command: x}}"), 2, r":14:12 \(jobs.a.on\)", "first"),
    "job's pattern": (add("jobs: {a: {on: first, command: x, expect: '('}}"), 2, r"\(jobs.a.expect\)", ""),
    "SSH key is not there": (lambda text: text, 2, r":2:19 \(ssh.key\): .*/id cannot be read", "folder"),
    "SSH key is none": (swap("key: id", "key: inv.yaml"), 2, r":2:19 \(ssh.key\): .*not a usable private key", ""),
    "no way to log in": (swap(", key: id", ""), 2, r":2:1 \(ssh\): no key", "ssh.key"),
    "unknown check": (
        lambda text: text.replace("key: id", "password: 'env:TEST_PASSWORD'") + "require: {ignore: [memry]}\n",
        2,
        r":14:20 .*no check 'memry'",
        "memory",
    ),
    "server with user and password": (
        url("http://admin:pw@a.test"),
        2,
        r"\(ambari.url\): is invalid\n",
        "of their own",
    ),
    "range that is too long": (swap("[2-3]", "[2-99999999]"), 2, r":10:13 .*has 99999998 hosts", "limit is 10000"),
    "type and property as one key": (
        swap("zoo.cfg: {tickTime: 2000}", "zoo.cfg/tickTime: 2000"),
        2,
        r":13:3 .*must be a mapping",
        r"zoo.cfg: \{tickTime: VALUE\}",
    ),
    "version of another stack": (
        add('stack: {repository_version: "3.3.0"}'),
        2,
        r":14:9 \(stack.repository_version\): the version 3.3.0 does not belong",
        "first two numbers",
    ),
    "whole cluster's type in a group": (
        swap("    hosts: [node1.x.test]", "    configurations: {cluster-env: {a: b}}\n    hosts: [node1.x.test]"),
        2,
        r":7:22 \(groups.first.configurations.cluster-env\): cluster-env is the whole cluster's",
        "top level",
    ),
    "type of an absent service in a group": (
        swap("    hosts: [node1.x.test]", "    configurations: {hdfs-site: {a: b}}\n    hosts: [node1.x.test]"),
        2,
        r":7:22 .*hdfs-site is a type of HDFS, which the cluster does not have",
        "components of HDFS",
    ),
    "repository's address": (swap("file:///nowhere", "nowhere"), 2, r":4:17 \(repositories\[0\].url\)", "https://"),
}


@pytest.mark.parametrize("mistake", INVENTORY_MISTAKES)
def test_a_mistake_in_the_inventory(site: Site, mistake: str) -> None:
    edit, exit_code, told, hint = INVENTORY_MISTAKES[mistake]
    text = edit(INVENTORY).replace("HTTPS", site.url.replace("http", "https"))
    if mistake != "SSH key is not there" and "key: id" in text:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", site.folder / "id"], check=True)
    code, out, err = site.call("deploy", "inv.yaml", text=text)
    assert (code, out) == (exit_code, ""), err
    assert re.search(told, err), err
    if hint:
        assert re.search(rf"hint: .*{hint}", err), err


CALLS: dict[str, tuple[tuple[str, ...], int, str, str]] = {
    "no inventory": (("deploy", "nope.yaml"), 2, "there is no inventory", "init --inventory"),
    "a folder": (("deploy", "."), 2, "is a folder", "YAML"),
    "inventory not named": (("deploy",), 2, "Missing argument", "--help"),
    "unknown phase": (("deploy", "inv.yaml", "--phase", "chek"), 2, "unknown phase 'chek'", "check"),
    "unknown start": (("deploy", "inv.yaml", "--from", "clster"), 2, "unknown phase 'clster'", "cluster"),
    "phase and start": (("deploy", "inv.yaml", "--from", "start", "--phase", "check"), 2, "cannot be combined", ""),
    "print": (("deploy", "inv.yaml", "--print", "blueprnt"), 2, "unknown document 'blueprnt'", "blueprint"),
    "hosts with a comma": (
        ("deploy", "inv.yaml", "--remove", "--gone", "a,b"),
        2,
        "'a,b' is no host name",
        "each host",
    ),
    "destroy, with a comma": (("destroy", "inv.yaml", "--gone", "a,b"), 2, "'a,b' is no host name", "each host"),
    "import of a server without http": (("inventory", "import", "a:8080"), 2, "no file a:8080", "http://a:8080"),
    "import of a missing file": (("inventory", "import", "x/b.json"), 2, "no file x/b.json", "blueprint"),
    "import of an inventory": (("inventory", "import", "inv.yaml"), 2, "is not JSON", "blueprint"),
    "no test bed": (("deploy", "inv.yaml", "--testbed", "nope"), 3, "no test bed nope", "testbed up --name nope"),
    "test bed's name": (("deploy", "inv.yaml", "--testbed", "../x"), 2, "cannot be the name", "letters"),
    "JUnit is a folder": (("deploy", "inv.yaml", "--junit", "."), 2, "--junit .*Is a directory", ""),
    "events are a folder": (("deploy", "inv.yaml", "--events", "."), 2, "--events .*Is a directory", ""),
    "store is a file": (("deploy", "inv.yaml", "--store", "inv.yaml"), 2, "the store .* fails", ""),
    "store below a file": (("deploy", "inv.yaml", "--store", "inv.yaml/store"), 2, "the store .* fails", ""),
    "not confirmed": (("destroy", "inv.yaml"), 2, "not confirmed", "--yes-really c1"),
    "confirmed wrongly": (("destroy", "inv.yaml", "--yes-really", "c2"), 2, "not confirmed", "--yes-really c1"),
    "no cluster to verify": (("verify", "inv.yaml"), 9, r"inv.yaml:1:1 \(cluster\): there is no cluster c1", "deploy"),
    "check-stack, no services": (("repo", "check-stack"), 2, "no services are named", "--services"),
    "check-stack, a file": (("repo", "check-stack", "inv.yaml"), 2, "is a file", "--inventory"),
    "check-stack, no repository": (("repo", "check-stack", "-i", "inv.yaml"), 7, "no repository at", "publish"),
    "check-stack, unknown stack": (("repo", "check-stack", "-i", "inv.yaml", "--stack", "B-9"), 2, "B-9 is not", ""),
    "rehearsal without repository": (
        ("deploy", "inv.yaml", "--rehearse"),
        7,
        r"inv.yaml:4:1 \(repositories\)",
        "served",
    ),
    "print and nothing": (
        ("deploy", "inv.yaml", "--print", "blueprint", "--dry-run", "--from", "start", "--junit", "j.xml"),
        2,
        "--print cannot be combined with --from, --dry-run, --junit",
        "",
    ),
    "dry run and rehearsal": (("deploy", "inv.yaml", "--rehearse", "-n"), 2, "cannot be combined", "real server"),
    "bed of hosts and inventory": (("testbed", "up", "--hosts", "1", "--inventory", "inv.yaml"), 2, "be combined", ""),
    "bed without hosts": (("testbed", "up"), 2, "the hosts of the test bed", "--hosts 3"),
    "bed without a repository": (("testbed", "up", "--hosts", "1", "--repository", "nope"), 2, "not a folder", "http"),
    "bed's name": (("testbed", "up", "--hosts", "1", "--name", "A b"), 2, "cannot be the name", "letters"),
}


@pytest.mark.parametrize(
    ("what", "found"),
    [
        ("blueprint", '"host_groups"'),
        ("template", '"(env:TEST_WRONG)"'),
        ("version-definition", "<repoid>BIGTOP-3.2.0<"),
    ],
)
def test_documents_are_printed_without_a_server(site: Site, what: str, found: str) -> None:
    """Neither the inventory's server nor its secrets are needed."""
    text = INVENTORY.replace("URL", "http://nowhere.invalid:8080") + "default_password: env:TEST_WRONG\n"
    code, out, err = site.call("deploy", "inv.yaml", "--rehearse", "--print", what, text=text)
    assert (code, err) == (0, "")
    assert found in out


@pytest.mark.parametrize("mistake", CALLS)
def test_a_mistake_on_the_command_line(site: Site, mistake: str) -> None:
    arguments, exit_code, told, hint = CALLS[mistake]
    site.folder.joinpath("id").write_text("not looked at")
    code, out, err = site.call(*arguments)
    assert (code, out) == (exit_code, ""), err
    assert re.search(told, err), err
    if hint:
        assert re.search(rf"hint: .*{hint}", err), err
    assert sorted(path.name for path in site.folder.iterdir()) == ["id", "inv.yaml"]


def test_as_json_a_mistake_is_json_alone(site: Site) -> None:
    code, out, err = site.call("deploy", "inv.yaml", "--json", text=INVENTORY.replace("c1", "'a b'", 1))
    assert (code, err) == (2, "")
    error = json.loads(out)["error"]
    assert (error["line"], error["path"], error["exit_code"]) == (1, "cluster", 2)
    assert error["file"].endswith("inv.yaml")


def test_as_json_a_failed_check_is_the_runs_answer(site: Site) -> None:
    text = INVENTORY.replace("TEST_PASSWORD", "TEST_WRONG").replace(", key: id", "")
    code, out, _ = site.call("deploy", "inv.yaml", "--json", "-q", text=text)
    answer = json.loads(out)
    assert (code, answer["exit_code"], answer["changes"]) == (9, 9, 0)
    assert "(ambari.password)" in answer["phases"][0]["failure"]["message"]
    assert {phase["state"] for phase in answer["phases"][1:]} == {"waiting"}


@pytest.mark.parametrize(
    ("command", "phase"), [(("hosts", "check"), "check"), (("hosts", "prepare"), "prepare"), (("destroy",), "destroy")]
)
def test_the_reports_of_every_command_that_works_on_a_cluster(site: Site, command: tuple[str, ...], phase: str) -> None:
    text = INVENTORY.replace("TEST_PASSWORD", "TEST_WRONG").replace(", key: id", "")
    sure = ("--yes-really", "c1") if command == ("destroy",) else ()
    files = ("--summary", "out/s.json", "--junit", "out/j.xml", "--logs", "out/logs", "--events", "out/e.jsonl")
    code, _, err = site.call(*command, "inv.yaml", *sure, *files, text=text)
    assert code != 0, err
    out = site.folder / "out"
    said = json.loads((out / "s.json").read_text())
    assert (said["cluster"], said["exit_code"]) == ("c1", code)
    (one,) = said["phases"]
    assert (one["phase"], one["state"]) == (phase, "failed") and one["failure"]["message"] in err
    suites = ElementTree.parse(out / "j.xml").getroot()
    assert (suites.get("tests"), suites.get("failures")) == ("1", "1")
    assert suites.find("testsuite/testcase/failure").get("message") == one["failure"]["message"]  # type: ignore[union-attr]
    assert json.loads((out / "e.jsonl").read_text().splitlines()[-1])["exit_code"] == code
    site.call(*command, "inv.yaml", *sure, "--summary", "out/s.md", text=text)
    assert f"| ✗ | {phase} | failed |" in (out / "s.md").read_text()


def test_two_deployments_of_one_cluster(site: Site, project: Path) -> None:
    store = Store(project / "store").open()
    with store.locked("cluster-c1", wait=False) as mine:
        assert mine
        code, _, err = site.call("deploy", "inv.yaml", "--store", "store")
        assert code == 2
        assert "another run is working on cluster c1" in err
        # A rehearsal has a server of its own.
        _, _, err = site.call("deploy", "inv.yaml", "--store", "store", "--rehearse")
        assert "another run" not in err


def test_a_closed_pipe(site: Site) -> None:
    (site.folder / "inv.yaml").write_text(INVENTORY.replace("URL", site.url))
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"'{sys.executable}' -m bigtop_builder deploy inv.yaml --print template | true; echo ${{PIPESTATUS[0]}}",
        ],
        cwd=site.folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (done.stdout.strip(), done.stderr) == ("0", "")


def test_a_rehearsal_needs_no_way_to_log_in(site: Site) -> None:
    text = INVENTORY.replace("key: id", "key: nope, key_passphrase: prompt").replace(PASSWORD, "prompt")
    code, _, err = site.call("deploy", "inv.yaml", "--rehearse", text=text)
    assert code == 7, err
    assert "repositories" in err and "ssh" not in err
