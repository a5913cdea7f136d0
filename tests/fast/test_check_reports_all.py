"""The phase check: what inventory and server let us know is reported at once, each with its place and its hint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bigtop_builder.adapter.secret import Secrets
from bigtop_builder.cluster.layout import layout_of
from bigtop_builder.cluster.service_databases import service_databases
from bigtop_builder.model.event import CheckFinished
from bigtop_builder.recipe.everyday_words import everyday_words
from bigtop_builder.recipe.inventory import load_inventory
from tests.fast.deploying import INVENTORY, Bench
from tests.fast.local_hosts import LocalFleet

CHECK = ("check",)
LOCAL = INVENTORY.replace('repositories: [{url: "http://repository.test/el8"}]\n', "")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Bench(tmp_path, monkeypatch) as one:
        yield one


def checks(bench: Bench) -> dict[str, CheckFinished]:
    return {event.check: event for event in bench.events if isinstance(event, CheckFinished)}


def test_a_cluster_that_is_as_the_inventory_says_passes(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    assert bench.deploy(LOCAL, phases=CHECK) == 0, bench.failure


def test_what_a_cluster_has_beyond_is_reported_before_anything_changes(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    less = LOCAL.replace('["node[2-3].x.test"]', "[node2.x.test]").replace(
        "[node1.x.test]\n    components: [ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT]",
        "[node1.x.test]\n    components: [ZOOKEEPER_SERVER]",
    )
    kerberos = "{realm: X.ORG, kdc_type: none, kdc_hosts: [kdc.x.test]}"
    assert bench.deploy(less + f"security:\n  kerberos: {kerberos}\n", phases=CHECK) == 9
    first, *_ = lines = bench.failure.splitlines()
    assert "(security.kerberos): the cluster c1 has the security NONE, but the inventory says KERBEROS" in first
    assert "  hint: Only Ambari's own wizard" in lines[1]
    assert "(groups): the cluster c1 has more than the inventory says:" in lines[2]
    assert lines[3:5] == ["- host node3.x.test", "- ZOOKEEPER_CLIENT on node1.x.test"]
    assert lines[5].startswith("  hint: Add to the inventory what should stay")


def test_a_layout_with_mistakes_hides_nothing_of_the_cluster(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    text = LOCAL.replace("ZOOKEEPER_CLIENT]\n  others", "ZOKEEPER]\n  others") + "stack: {version: 3.3.0}\n"
    kerberos = "security: {kerberos: {realm: X.ORG, kdc_type: none, kdc_hosts: [kdc.x.test]}}\n"
    assert bench.deploy(text + kerberos, phases=CHECK) == 2
    assert "no component ZOKEEPER" in bench.failure
    assert "the Ambari server has no upgrade pack" in bench.failure
    assert "has the security NONE, but the inventory says KERBEROS" in bench.failure


def test_another_stack_is_reported_before_anything_changes(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    assert bench.deploy(LOCAL + "stack: {version: 3.3.0}\n", phases=CHECK) == 9
    assert "the Ambari server has no upgrade pack from BIGTOP-3.2.0 to BIGTOP-3.3.0" in bench.failure
    assert "(stack.version)" in bench.failure


def test_hosts_of_another_cluster_are_reported_before_anything_changes(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    assert bench.deploy(LOCAL.replace("cluster: c1", "cluster: c2"), phases=CHECK) == 9
    assert "(groups.first.hosts): these hosts belong to another cluster: node1.x.test (c1)" in bench.failure


def test_mistakes_of_several_checks_are_reported_together(bench: Bench) -> None:
    text = LOCAL.replace("ZOOKEEPER_CLIENT]\n  others", "ZOOKEEPER_CLIENT, AMBARI_SERVER, ZOKEEPER]\n  others")
    more = "standalone: {a: {hosts: [first], after: [b]}, b: {hosts: [first], after: [a]}}\n"
    assert bench.deploy(text + more, phases=CHECK) == 2
    circle, own, hint, unknown, near = bench.failure.strip().splitlines()
    assert "wait for each other" in circle
    assert "AMBARI_SERVER is Ambari itself" in own and hint == "  hint: Leave it out."
    assert "no component ZOKEEPER" in unknown and "Did you mean ZOOKEEPER" in near


def test_words_that_hadoop_does_not_know_are_sent_and_reported(bench: Bench) -> None:
    assert bench.deploy(LOCAL.replace("tickTime: 2000", "tickTime: 2000, quorumListenOnAllIPs: no"), phases=CHECK) == 0
    told = [str(getattr(event, "text", "")) for event in bench.events]
    assert any("zoo.cfg/quorumListenOnAllIPs is the word 'no'" in text for text in told)


HIVE = """
cluster: c1
ambari: {url: "http://a.test:8080", password: prompt}
groups:
  all: {hosts: [node1.x.test], components: [HIVE_METASTORE]}
configurations:
"""


@pytest.mark.parametrize(
    ("configurations", "found"),
    [
        ("hive-env: {hive_database: Existing MySQL Database}", [("HIVE", "mysql")]),
        (
            "hive-env: {hive_database: Existing MySQL / MariaDB Database, hive_database_type: mysql}",
            [("HIVE", "mysql")],
        ),
        (
            "hive-env: {hive_database: Existing PostgreSQL Database}\n"
            "  hive-site: {javax.jdo.option.ConnectionDriverName: org.postgresql.Driver}",
            [("HIVE", "postgres")],
        ),
        ("hive-env: {hive_database: Existing Oracle Database}", [("HIVE", "oracle")]),
        ("hive-env: {hive_database: New MySQL Database}", []),
        ("admin-properties: {DB_FLAVOR: POSTGRES}", [("RANGER", "postgres")]),
        ("admin-properties: {db_host: x}", [("RANGER", "mysql")]),
        ("oozie-env: {oozie_database: Existing PostgreSQL Database}", [("OOZIE", "postgres")]),
    ],
)
def test_databases_that_exist_already(tmp_path: Path, configurations: str, found: list[tuple[str, str]]) -> None:
    file = tmp_path / "inventory.yaml"
    file.write_text(f"{HIVE}  {configurations}\n")
    services = ["RANGER"] if "admin-" in configurations else ["HIVE", "OOZIE", "ZOOKEEPER"]
    databases = service_databases(layout_of(load_inventory(file)), services)
    assert [(one.service, one.kind) for one in databases] == found


FULL = LOCAL.replace(
    "[node1.x.test]\n    components: [",
    "[node1.x.test]\n    components: [NAMENODE, SECONDARY_NAMENODE, DATANODE, RESOURCEMANAGER, NODEMANAGER, "
    "YARN_CLIENT, APP_TIMELINE_SERVER, TIMELINE_READER, HISTORYSERVER, HIVE_METASTORE, HIVE_SERVER, HIVE_CLIENT, "
    "WEBHCAT_SERVER, ",
).replace(
    "configurations:",
    "default_password: env:TEST_AMBARI_PASSWORD\nconfigurations:\n"
    "  hive-env: {hive_database: Existing MySQL Database, hive_database_type: mysql}",
)


def test_a_driver_that_the_server_does_not_have_is_reported(bench: Bench) -> None:
    assert bench.deploy(FULL, phases=CHECK) == 0, bench.failure
    found = checks(bench)["JDBC drivers"]
    assert found.level == "warning"
    assert "(configurations.hive-env.hive_database_type): HIVE uses an existing mysql" in found.message
    assert found.hint and "ambari-server setup --jdbc-db=mysql --jdbc-driver=" in found.hint
    bench.world.properties["custom.mysql.jdbc.name"] = "mysql-connector-java.jar"
    assert bench.deploy(FULL, phases=CHECK) == 0, bench.failure
    assert "JDBC drivers" not in checks(bench)


def test_a_driver_that_is_not_where_its_path_says_is_reported(bench: Bench, tmp_path: Path) -> None:
    """By ``check``, with everything else that is wrong with the hosts, before ``prepare`` changes them."""
    (tmp_path / "pg.jar").touch()
    setup = (
        "setup: {host: node1.x.test, repository: 'http://127.0.0.1:1/a', gpg_check: false, drivers: "
        f"{{mysql: {{path: /nowhere/mysql.jar}}, postgresql: {{path: {tmp_path}/pg.jar}}}}}}"
    )
    bench.fleet = LocalFleet.of("node1.x.test", "node2.x.test", "node3.x.test")
    assert bench.deploy(LOCAL.replace("ambari: {", f"ambari: {{{setup}, "), phases=CHECK) == 8
    events = [event for event in bench.events if isinstance(event, CheckFinished) and event.check == "JDBC drivers"]
    assert [(one.host, one.level, one.message) for one in events] == [
        ("node1.x.test", "error", "the JDBC driver /nowhere/mysql.jar for mysql is missing")
    ]
    assert events[0].hint is not None and "ambari.setup.drivers.mysql.package" in events[0].hint


def test_an_everyday_word_as_a_secret_stars_out_nothing_but_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "inventory.yaml"
    file.write_text(
        "cluster: c1\nambari: {url: 'http://lake.x.test', password: env:A}\ngroups: {a: {hosts: [n1.x.test]}}\n"
    )
    secrets = Secrets()
    secrets.allow(everyday_words(load_inventory(file)))
    for value, word in (("ambari", True), ("lake", True), ("hive", True), ("Zq8-unlikely", False), ("correct", False)):
        monkeypatch.setenv(f"A_{word}_{value[:2]}", value)
        secrets.value(f"env:A_{word}_{value[:2]}", "ambari.password")
        assert secrets.is_word(value) == word
    plain = f"{file}:2 (ambari.password): cannot resolve lake.x.test; hint: check ambari.url"
    assert secrets.redact(plain) == plain
    assert secrets.redact("got Zq8-unlikely and correct") == "got *** and ***"
    assert secrets.redact("jdbc://hive:lake@db password=ambari 'pwd': \"hive\"") == (
        "jdbc://hive:***@db password=*** 'pwd': \"***\""
    )
    assert secrets.redact("login ambari on lake", foreign=True) == "login *** on ***"


def test_a_weak_secret_is_reported(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.world.users["admin"].password = "ambari"
    monkeypatch.setenv("TEST_AMBARI_PASSWORD", "ambari")
    assert bench.deploy(LOCAL, phases=CHECK) == 0, bench.failure
    found = checks(bench)["secrets"]
    assert found.level == "warning" and "(ambari.password): this secret is an everyday word" in found.message
    assert not any("***" in str(event) for event in bench.events)
