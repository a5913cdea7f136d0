"""Inventories: ranges, names that must lead somewhere, places of mistakes, test beds, the shipped examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from bigtop_builder.cluster.layout import plain_properties, property_attributes
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
            "node1 and node1.x.test are two names of one host",
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
        ("node1", "node1 and node1.x.test are two names of one host"),
        ("localhost", "every host's name for itself"),
        ("192.0.2.7", "not a host name"),
        ("node-.x.test", "not a host name"),
    ],
)
def test_a_host_has_one_full_name_and_one_group(tmp_path: Path, hosts: str, message: str) -> None:
    (error,) = mistakes(tmp_path, BASE.replace('"node[2-3].x.test"', hosts))
    assert message in error.message
    assert error.location is not None and error.location.line == 4


SHORT = "cluster: c1\ngroups: {a: {hosts: ['Node[1-2]']}}\n"


def test_short_names_are_taken_as_they_are(tmp_path: Path) -> None:
    assert load(tmp_path, SHORT).groups == {"a": ("node1", "node2")}


def test_kerberos_needs_full_names(tmp_path: Path) -> None:
    (error,) = mistakes(tmp_path, SHORT + "security: {kerberos: {realm: X, kdc_type: none, kdc_hosts: [k.x.test]}}\n")
    assert "Node[1-2] is a short name, and Kerberos needs full ones" in error.message
    assert error.location is not None and error.location.path == "groups.a.hosts[0]"


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
    assert error.message == "must be text, a whole number, a number or true or false"
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
        "stack-ambari-four-hosts": 4,
    }
    assert len(loaded.hosts) == hosts[file.stem]


def test_the_guides_inventory(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "deploying.md").read_text()
    snippets = [part.split("```")[0] for part in guide.split("```yaml\n")[1:]]
    text = snippets[0] + next(one for one in snippets if one.startswith("standalone:"))
    loaded = load(tmp_path, text.replace("masters:", "workers: {hosts: [w1.example.com]}\n  masters:", 1))
    assert len(loaded.groups["masters"]) == 3
    logins = next(one for one in snippets if one.startswith("groups:"))
    one = load(
        tmp_path, f"cluster: c1\n{logins}".replace('"vm[1-4].example.com"', "vm1.example.com, node1.example.com")
    )
    assert [entry.login.user for entry in one.hosts if entry.login] == ["centos", "admin"]


def test_every_repository_has_an_id_of_its_own(tmp_path: Path) -> None:
    """Agents write a section for each, and cannot read a file with a section twice."""
    three = 'repositories: [{url: "http://a.test"}, {url: "http://b.test", id: other}, {url: "http://c.test"}]\n'
    loaded = load(tmp_path, BASE + "stack: {version: 3.3.0}\n" + three)
    assert [one.id for one in loaded.inventory.repositories] == ["BIGTOP-3.3.0", "other", "BIGTOP-3.3.0-2"]
    (error,) = mistakes(tmp_path, BASE + three.replace('c.test"', 'c.test", id: other'))
    assert error.message == "repositories[1] has the id other, too"
    assert error.location is not None and error.location.path == "repositories[2]"
    (error,) = mistakes(tmp_path, BASE + three.replace("http://c.test", "http://a.test/"))
    assert (error.message, error.hint) == ("repositories[0] has this address, too", "Name each repository once.")


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("022", "022"),
        ("0x10", "0x10"),
        ("0b101", "0b101"),
        ("0o17", "0o17"),
        ("12:30", "12:30"),
        ("1:30:00.5", "1:30:00.5"),
        ("1_000", "1_000"),
        ("+5", "+5"),
        ("1e3", "1e3"),
        ("1.0e+3", "1.0e+3"),
        ("1.50", "1.50"),
        (".5", ".5"),
        (".inf", ".inf"),
        ("2026-11-28", "2026-11-28"),
        ("2026-11-28 10:00:00", "2026-11-28 10:00:00"),
        ("no", "no"),
        ("On", "On"),
        ("True", "True"),
        ("true", "true"),
        ("3", "3"),
        ("-3", "-3"),
        ("1.0", "1.0"),
        ("'0644'", "0644"),
        ("''", ""),
        ("9007199254740993", "9007199254740993"),
        ("{value: 022, final: true}", "022"),
    ],
)
def test_a_property_reaches_ambari_as_it_is_written(tmp_path: Path, written: str, sent: str) -> None:
    """YAML 1.1 takes 022 for 18, 12:30 for 750, and no for false."""
    both = f"configurations: {{core-site: {{a: {written}}}}}\n"
    loaded = load(tmp_path, BASE.replace("rack: /r1", both.strip()) + both)
    assert plain_properties(loaded.inventory.configurations) == {"core-site": {"a": sent}}
    assert plain_properties(loaded.inventory.groups["first"].configurations) == {"core-site": {"a": sent}}


@pytest.mark.parametrize("written", ["~", "null", ""])
def test_a_property_has_a_value(tmp_path: Path, written: str) -> None:
    (error,) = mistakes(tmp_path, BASE + f"configurations:\n  core-site:\n    a: {written}\n")
    assert error.location is not None and (error.location.line, error.location.path) == (
        7,
        "configurations.core-site.a",
    )


def test_other_fields_take_what_is_written_too(tmp_path: Path) -> None:
    text = "ssh: {user: no, sudo: yes, port: 022}\nprepare: {chrony: off, limits: False}\n"
    inventory = load(tmp_path, BASE + text).inventory
    assert (inventory.ssh.user, inventory.ssh.sudo, inventory.ssh.port) == ("no", True, 22)
    assert (inventory.prepare.chrony, inventory.prepare.limits) == (False, False)
    (error,) = mistakes(tmp_path, BASE + "ssh: {port: 12:30}\n")
    assert error.location is not None and error.location.path == "ssh.port"


FOLDED = """\
configurations:
  - zoo.cfg:
      properties: {tickTime: "3000", initLimit: 10}
      properties_attributes: {final: {tickTime: "true", gone: "true"}, hidden: {initLimit: HIVE_CLIENT}}
  - core-site: {a.b: 022}
"""


def test_the_configurations_of_a_blueprint_are_understood(tmp_path: Path) -> None:
    loaded = load(tmp_path, BASE + FOLDED)
    assert plain_properties(loaded.inventory.configurations) == {
        "zoo.cfg": {"tickTime": "3000", "initLimit": "10"},
        "core-site": {"a.b": "022"},
    }
    assert property_attributes(loaded.inventory.configurations) == {
        "zoo.cfg": {"final": {"tickTime": "true"}, "hidden": {"initLimit": "HIVE_CLIENT"}}
    }
    assert loaded.place("configurations", "zoo.cfg", "initLimit").line == 7
    grouped = BASE.replace("rack: /r1", "configurations: [{zoo.cfg: {properties: {tickTime: 1}}}]")
    assert plain_properties(load(tmp_path, grouped).inventory.groups["first"].configurations) == {
        "zoo.cfg": {"tickTime": "1"}
    }


def test_mistakes_in_the_configurations_of_a_blueprint_have_their_place(tmp_path: Path) -> None:
    (error,) = mistakes(tmp_path, BASE + FOLDED.replace("initLimit: 10", "initLimit: [10]"))
    assert error.location is not None
    assert (error.location.line, error.location.path) == (7, "configurations.zoo.cfg.initLimit")
    (error,) = mistakes(tmp_path, BASE + FOLDED.replace('"3000"', '"SECRET:zoo.cfg:1:tickTime"'))
    assert error.message == "is what Ambari exports in place of a password"
    assert error.hint and "{secret: env:NAME}" in error.hint


@pytest.mark.parametrize(
    ("configurations", "message"),
    [
        ("[{zoo.cfg: {a: 1}}, {zoo.cfg: {b: 2}}]", "the configuration type zoo.cfg is repeated"),
        ("[zoo.cfg]", "must be a mapping"),
        ("zoo.cfg", "must be a mapping"),
        ("{zoo.cfg: {properties: [a]}}", "must be text, a whole number, a number or true or false"),
    ],
)
def test_configurations_of_no_known_shape(tmp_path: Path, configurations: str, message: str) -> None:
    (error,) = mistakes(tmp_path, BASE + f"configurations: {configurations}\n")
    assert error.message.startswith(message)
    assert error.location is not None and error.location.line == 5


def test_a_mapping_that_is_no_value(tmp_path: Path) -> None:
    found = mistakes(tmp_path, BASE + "configurations: {zoo.cfg: {a: {secrt: env:A}, b: {final: true}}}\n")
    assert [(error.message, error.hint) for error in found] == [
        (
            "the key 'secret' is missing",
            "For example: secret: env:NAME, file:PATH, command:COMMAND LINE or prompt",
        ),
        ("unknown key 'secrt'", "Did you mean secret?"),
        ("the key 'value' is missing", None),
    ]


def test_gpg_check_that_differs_is_reported_at_each_repository(tmp_path: Path) -> None:
    text = 'ambari: {url: "http://a:8080", password: prompt}\nrepositories:\n'
    text += '  - {url: "http://a.test"}\n  - {url: "http://b.test", id: utils, gpg_check: false}\n'
    found = mistakes(tmp_path, BASE + text)
    assert [error.location.line for error in found if error.location] == [7, 8]
    assert found[1].message == "gpg_check differs between repositories: false for utils, true for BIGTOP-3.2.0"
    assert all(error.hint for error in found)


AD = (
    "{realm: CORP.ORG, kdc_type: active-directory, kdc_hosts: [ad1.corp.org], admin_principal: a, admin_password: env:A"
)


@pytest.mark.parametrize(
    ("kerberos", "messages", "hint"),
    [
        (AD + "}", ["requires ldap_url", "requires container_dn"], "ldaps://ad1.corp.org"),
        (
            AD + ", ldap_url: ldaps://ad1.corp.org}",
            ["requires container_dn"],
            'container_dn: "OU=hadoop,DC=corp,DC=org"',
        ),
        (AD + ', ldap_url: ldap://ad1.corp.org, container_dn: "OU=h"}', ["is invalid"], "ldaps"),
        ("{realm: X.ORG, kdc_hosts: [k]}", ["requires admin_principal", "requires admin_password"], "kdc_type to none"),
        ("{realm: X.ORG, kdc_type: ipa, kdc_hosts: [k]}", ["requires admin_principal", "requires admin_password"], ""),
        ("{realm: X.ORG, kdc_type: none}", ["requires kdc_hosts"], "kdc.example.com"),
        (
            '{realm: X.ORG, kdc_type: none, kdc_hosts: [k], ldap_url: "ldaps://x", container_dn: OU=h, user_group: g}',
            ["ldap_url is for", "container_dn is for", "user_group is for kdc_type ipa"],
            "Remove it",
        ),
    ],
)
def test_kerberos_that_lacks_something(tmp_path: Path, kerberos: str, messages: list[str], hint: str) -> None:
    found = mistakes(tmp_path, BASE + f"security:\n  kerberos: {kerberos}\n")
    assert len(found) == len(messages)
    for error, message in zip(found, messages, strict=True):
        assert message in error.message
        assert error.location is not None and error.location.line == 6
        assert error.hint
    assert hint in (found[0].hint or "")


@pytest.mark.parametrize(
    "kerberos",
    [
        AD + ', ldap_url: "ldaps://ad1.corp.org", container_dn: "OU=hadoop,DC=corp,DC=org"}',
        "{realm: X.ORG, kdc_type: none, kdc_hosts: [k]}",
        "{realm: X.ORG, kdc_type: none, manage_krb5_conf: no}",
        "{realm: X.ORG, kdc_type: ipa, kdc_hosts: [k], admin_principal: a, admin_password: env:A, user_group: g}",
        AD + "}\nconfigurations: {kerberos-env: {ldap_url: 'ldaps://a', container_dn: 'OU=h'}}",
    ],
)
def test_kerberos_that_is_whole(tmp_path: Path, kerberos: str) -> None:
    assert load(tmp_path, BASE + f"security:\n  kerberos: {kerberos}\n").inventory.security.kerberos


def test_logins_of_hosts_and_groups(tmp_path: Path) -> None:
    text = BASE.replace("rack: /r1", "user: admin, sudo: true, password: env:GROUP").replace(
        "groups:", "ssh: {user: deploy, key: keys/all, sudo_password: env:ALL}\ngroups:"
    )
    own = "hosts: {NODE1.x.test: {key: keys/one, port: 23}, node3.x.test: {user: root, sudo: no}}\n"
    loaded = load(tmp_path, text + own)
    logins = {entry.name: (entry.login.over(loaded.inventory.ssh) if entry.login else None) for entry in loaded.hosts}
    first, second, third = (logins[f"node{number}.x.test"] for number in (1, 2, 3))
    assert first is not None and third is not None and second is None
    assert (first.user, first.sudo, first.key, first.password, first.sudo_password) == (
        "admin",
        True,
        str(tmp_path / "keys/one"),
        "env:GROUP",
        "env:ALL",
    )
    assert (third.user, third.sudo, third.key) == ("root", False, str(tmp_path / "keys/all"))
    assert dict(loaded.host("node1.x.test").given) == {
        "user": "groups.first",
        "sudo": "groups.first",
        "password": "groups.first",
        "key": "hosts.node1.x.test",
    }
    assert loaded.host("node1.x.test").port == 23
    bed = load(tmp_path, text + own, "ssh: {user: root, key: /bed}\nhosts: {node1.x.test: {port: 2222}}\n")
    assert [(entry.login, entry.port) for entry in bed.hosts] == [(None, 2222), (None, 22), (None, 22)]
