"""Inventories: ranges, names that must lead somewhere, places of mistakes, test beds, the shipped examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from bigtop_builder.model.errors import ConfigurationError, ConfigurationErrors
from bigtop_builder.recipe.document import parse
from bigtop_builder.recipe.inventory import HostEntry, LoadedInventory, expand, load_inventory

ROOT = Path(__file__).parents[2]
BASE = """\
cluster: c1
groups:
  first: {hosts: [node1.x.test], rack: /r1}
  others: {hosts: ["node[2-3].x.test"]}
"""


def load(folder: Path, text: str, over: str | None = None) -> LoadedInventory:
    file = folder / "inventory.yaml"
    file.write_text(text)
    return load_inventory(file, parse(over, folder / "bed.yaml") if over is not None else None)


def mistakes(folder: Path, text: str) -> list[ConfigurationError]:
    with pytest.raises(ConfigurationError) as caught:
        load(folder, text)
    error = caught.value
    return list(error.errors) if isinstance(error, ConfigurationErrors) else [error]


@pytest.mark.parametrize(
    ("pattern", "hosts"),
    [
        ("Node1.X.test", ["node1.x.test"]),
        ("n[1-3].x", ["n1.x", "n2.x", "n3.x"]),
        ("n[08-11].x", ["n08.x", "n09.x", "n10.x", "n11.x"]),
        ("n[1,4-5,b].x", ["n1.x", "n4.x", "n5.x", "nb.x"]),
        ("r[1-2]n[1-2].x", ["r1n1.x", "r1n2.x", "r2n1.x", "r2n2.x"]),
        ("n[7-7].x", ["n7.x"]),
    ],
)
def test_ranges(pattern: str, hosts: list[str]) -> None:
    assert expand(pattern) == hosts


@pytest.mark.parametrize(
    "pattern",
    [
        "n[3-2].x",
        "n[2-].x",
        "n[-2].x",
        "n[a-c].x",
        "n[2-3.x",
        "n2-3].x",
        "n[].x",
        "n[[2]].x",
        "n[2,,3].x",
        "n[1-99999].x",
        "n[1-200][1-200].x",
        "n1,2.x",
    ],
)
def test_ranges_that_cannot_be_read(tmp_path: Path, pattern: str) -> None:
    (error,) = mistakes(tmp_path, BASE.replace("node[2-3].x.test", pattern) + "hosts: {node2.x.test: {port: 23}}\n")
    assert error.location is not None
    assert (error.location.line, error.location.path) == (4, "groups.others.hosts[0]")
    assert pattern in error.message
    assert error.hint


def test_hosts_with_what_is_particular_to_them(tmp_path: Path) -> None:
    loaded = load(
        tmp_path, BASE + "ssh: {port: 2222}\nhosts:\n  NODE2.x.test: {address: 192.0.2.2, port: 23, rack: /r2}\n"
    )
    assert loaded.hosts == (
        HostEntry("node1.x.test", "node1.x.test", 2222, "/r1", "first"),
        HostEntry("node2.x.test", "192.0.2.2", 23, "/r2", "others"),
        HostEntry("node3.x.test", "node3.x.test", 2222, None, "others"),
    )
    assert loaded.members(["others", "node1.x.test", "node[2-3].x.test"]) == (
        "node2.x.test",
        "node3.x.test",
        "node1.x.test",
    )


@pytest.mark.parametrize(
    ("more", "path", "message", "hint"),
    [
        ("hosts: {node4.x.test: {port: 23}}", "hosts.node4.x.test", "in no group", "node3.x.test"),
        ("jobs: {a: {on: frist, command: x}}", "jobs.a.on", "neither a group nor a host", "first"),
        ("jobs: {a: {on: first, command: x, expect: '('}}", "jobs.a.expect", "regular expression", ""),
        ("standalone: {a: {hosts: [others, oters]}}", "standalone.a.hosts[1]", "neither a group", "others"),
        ("standalone: {a: {hosts: ['node[2-4].x.test']}}", "standalone.a.hosts[0]", "node4.x.test is neither", ""),
        ("configurations: {t: {p: 'x %HOSTGROUP::frist%:1'}}", "configurations.t.p", "no group 'frist'", "first"),
        (
            "ambari: {url: 'http://a:1', password: prompt, setup: {host: node1, repository: 'http://r'}}",
            "ambari.setup.host",
            "not a fully qualified",
            "hostname -f",
        ),
    ],
)
def test_names_lead_somewhere(tmp_path: Path, more: str, path: str, message: str, hint: str) -> None:
    (error,) = mistakes(tmp_path, BASE + more + "\n")
    assert error.location is not None
    assert (error.location.line, error.location.path) == (5, path)
    assert message in error.message
    assert hint in (error.hint or "")


@pytest.mark.parametrize(
    ("hosts", "message"),
    [
        ("node1.x.test", "is also in the group first"),
        ("NODE1.X.TEST", "is also in the group first"),
        ("'node[2-3].x.test', node2.x.test", "is listed twice"),
        ("node2", "not a fully qualified host name"),
        ("192.0.2.7", "not a fully qualified host name"),
        ("node-.x.test", "not a fully qualified host name"),
    ],
)
def test_a_host_has_one_full_name_and_one_group(tmp_path: Path, hosts: str, message: str) -> None:
    (error,) = mistakes(tmp_path, BASE.replace('"node[2-3].x.test"', hosts))
    assert message in error.message
    assert error.location is not None and error.location.line == 4


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        BASE + "jobs: {a: {on: frist, command: x}}\nhosts: {node9.x.test: {port: 23}, node1.x.test: {port: 23}}\n",
    )
    assert {error.location.path for error in found if error.location} == {"jobs.a.on", "hosts.node9.x.test"}


@pytest.mark.parametrize("value", ["hunter2-plain", "12345678", "[hunter2-plain]", "env:1NOT-A-NAME"])
def test_a_secret_that_stands_in_the_file_is_not_repeated(tmp_path: Path, value: str) -> None:
    (error,) = mistakes(tmp_path, BASE + f"default_password: {value}\n")
    assert value.strip("[]") not in str(error)
    assert error.location is not None and error.location.path == "default_password"


def test_a_value_of_several_types_is_one_mistake(tmp_path: Path) -> None:
    (error,) = mistakes(tmp_path, BASE + "configurations: {zoo.cfg: {tickTime: [1]}}\n")
    assert error.message == "must be text, a whole number, a number, true or false or a mapping"
    (error,) = mistakes(tmp_path, BASE.replace("rack: /r1", "components: [{name: A, provision: LATER}]"))
    assert error.location is not None and error.location.path == "groups.first.components[0].provision"


def test_a_test_bed_lies_over_an_inventory(tmp_path: Path) -> None:
    over = "ssh: {user: root, key: /bed/key}\nhosts:\n" + "".join(
        f"  node{number}.x.test: {{address: 10.0.0.{number}}}\n" for number in (1, 2, 3, 4)
    )
    loaded = load(tmp_path, BASE + "ssh: {user: deploy, key: mine, parallel: 3}\n", over)
    assert [entry.address for entry in loaded.hosts] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    ssh = loaded.inventory.ssh
    assert (ssh.user, ssh.key, ssh.parallel) == ("root", "/bed/key", 3)
    assert loaded.place("ssh", "key").file == tmp_path / "bed.yaml"


def test_paths_begin_at_the_inventorys_folder(tmp_path: Path) -> None:
    loaded = load(tmp_path, BASE + "ssh: {key: keys/a}\nprepare: {ca: /etc/ca.pem}\n")
    assert loaded.inventory.ssh.key == str(tmp_path / "keys/a")
    assert loaded.inventory.prepare.ca == "/etc/ca.pem"


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is a folder"):
        load_inventory(tmp_path)
    with pytest.raises(ConfigurationError, match="there is no inventory"):
        load_inventory(tmp_path / "none.yaml")


@pytest.mark.parametrize("file", sorted((ROOT / "inventories").glob("*.yaml")), ids=lambda file: file.stem)
def test_examples(file: Path) -> None:
    loaded = load_inventory(file)
    hosts = {
        "one-host": 1,
        "three-hosts": 3,
        "hadoop-three-hosts": 3,
        "demo": 3,
        "ha-ten-hosts": 11,
        "stack-four-hosts": 4,
    }
    assert len(loaded.hosts) == hosts[file.stem]


def test_the_guides_inventory(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "deploying.md").read_text()
    inventory, standalone = guide.split("```yaml\n")[1:3]
    text = inventory.split("```")[0] + standalone.split("```")[0]
    loaded = load(tmp_path, text.replace("masters:", "workers: {hosts: [w1.example.com]}\n  masters:", 1))
    assert len(loaded.groups["masters"]) == 3


def test_every_repository_has_an_id_of_its_own(tmp_path: Path) -> None:
    """Agents write a section for each, and cannot read a file with a section twice."""
    same = 'repositories: [{url: "http://a.test"}, {url: "http://b.test", id: other}, {url: "http://c.test"}]\n'
    (error,) = mistakes(tmp_path, BASE + same)
    assert error.message == "a repository above has the id BIGTOP-3.2.0, too"
    assert error.location is not None
    load(tmp_path, BASE + same.replace('c.test"', 'c.test", id: third'))
