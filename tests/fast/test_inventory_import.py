"""``inventory import``: clusters that somebody else made, and what a deployment of their inventories changes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bigtop_builder.cli.app import run
from bigtop_builder.cluster.adoption.hosts import ranges
from bigtop_builder.cluster.adoption.properties import variable_of
from bigtop_builder.cluster.configuration import Configuration
from bigtop_builder.model.event import Change
from bigtop_builder.recipe.commented_yaml import commented_yaml, property_scalar
from bigtop_builder.recipe.document import parse
from bigtop_builder.recipe.inventory import expand, load_inventory
from tests.fast.deploying import INVENTORY, PASSWORD, Bench
from tests.fast.handmade import NAME, REPOSITORY, make_by_hand
from tests.transcripts import needs_transcripts, transcript

ZOOKEEPER = ["ZOOKEEPER_SERVER", "ZOOKEEPER_CLIENT"]
ENSEMBLE = {f"node{number}.x.test": ZOOKEEPER for number in (1, 2, 3)}
CLIENTS = ["HDFS_CLIENT", "YARN_CLIENT", "MAPREDUCE2_CLIENT", "ZOOKEEPER_CLIENT"]
MASTER = ["NAMENODE", "ZKFC", "JOURNALNODE", "ZOOKEEPER_SERVER", "RESOURCEMANAGER", *CLIENTS]
THIRD = [
    "JOURNALNODE",
    "ZOOKEEPER_SERVER",
    "HISTORYSERVER",
    "APP_TIMELINE_SERVER",
    "TIMELINE_READER",
    "HIVE_METASTORE",
    "HIVE_SERVER",
    "WEBHCAT_SERVER",
    "HIVE_CLIENT",
    "TEZ_CLIENT",
    *CLIENTS,
]
WORKER = ["DATANODE", "NODEMANAGER", "TEZ_CLIENT", *CLIENTS]
HADOOP = {
    "node1.x.test": MASTER,
    "node2.x.test": MASTER,
    "node3.x.test": THIRD,
    **{f"node{number}.x.test": WORKER for number in (4, 5, 6, 7)},
}
HA = {
    "hdfs-site": Configuration(
        {
            "dfs.nameservices": "ns",
            "dfs.ha.namenodes.ns": "nn1,nn2",
            "dfs.namenode.rpc-address.ns.nn1": "node1.x.test:8020",
            "dfs.namenode.rpc-address.ns.nn2": "node2.x.test:8020",
            "dfs.namenode.http-address.ns.nn1": "node1.x.test:50070",
            "dfs.namenode.http-address.ns.nn2": "node2.x.test:50070",
            "dfs.namenode.shared.edits.dir": "qjournal://node1.x.test:8485;node2.x.test:8485;node3.x.test:8485/ns",
            "dfs.ha.automatic-failover.enabled": "true",
        }
    ),
    "core-site": Configuration(
        {
            "fs.defaultFS": "hdfs://ns",
            "ha.zookeeper.quorum": "node1.x.test:2181,node2.x.test:2181,node3.x.test:2181",
        }
    ),
    "yarn-site": Configuration(
        {
            "yarn.resourcemanager.ha.enabled": "true",
            "yarn.resourcemanager.cluster-id": "yarn1",
            "yarn.resourcemanager.ha.rm-ids": "rm1,rm2",
            "yarn.resourcemanager.hostname.rm1": "node1.x.test",
            "yarn.resourcemanager.hostname.rm2": "node2.x.test",
        }
    ),
    "hive-env": Configuration({"hive_database": "Existing MySQL / MariaDB Database"}),
    "hive-site": Configuration(
        {"javax.jdo.option.ConnectionPassword": "hunter22", "hive.server2.keystore.password": "swordfish"}
    ),
}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AMBARI_PASSWORD", PASSWORD)
    with Bench(tmp_path, monkeypatch, hosts=7) as bench:
        yield bench


def adopted(bench: Bench, *more: str) -> str:
    """Import the bench's cluster and return the text of its inventory."""
    assert run(["inventory", "import", bench.simulation.url, "--force", *more]) == 0
    return (bench.folder / f"{NAME}.yaml").read_text()


def written(bench: Bench, inventory: str) -> list[tuple[str, str]]:
    """What a dry run says of Ambari's settings, without the restarts that follow."""
    return [one for one in planned(bench, inventory) if not one[0].startswith("restart ")]


def planned(bench: Bench, inventory: str) -> list[tuple[str, str]]:
    """What a dry run of ``deploy`` would change."""
    assert bench.deploy(inventory, dry_run=True) == 0, bench.failure
    return [(event.name, event.detail) for event in bench.events if isinstance(event, Change)]


def test_a_dry_run_of_an_adopted_cluster_has_nothing_to_change_and_then_exactly_one_property(bench: Bench) -> None:
    make_by_hand(bench, ENSEMBLE, {"zoo.cfg": Configuration({"tickTime": "2500"}, {"final": {"initLimit": "true"}})})
    text = adopted(bench)
    data = yaml.safe_load(text)
    assert data["groups"] == {
        "masters": {"hosts": ["node[1-3].x.test"], "components": ["ZOOKEEPER_CLIENT", "ZOOKEEPER_SERVER"]}
    }
    assert data["repositories"] == [{"id": "BIGTOP-3.2.0", "url": REPOSITORY, "gpg_check": False}]
    assert data["configurations"]["zoo.cfg"] == {"tickTime": 2500, "initLimit": {"value": 10, "final": True}}
    assert {*data["configurations"]} == {"zoo.cfg", "cluster-env"}
    assert planned(bench, text) == []
    assert written(bench, text.replace("2500", "2600")) == [
        ("configurations zoo.cfg", "-zoo.cfg/tickTime: 2500\n+zoo.cfg/tickTime: 2600")
    ]
    # It reaches the cluster, with everything else as it was.
    assert bench.deploy(text.replace("2500", "2600")) == 0, bench.failure
    assert adopted(bench) == text.replace("2500", "2600")


def test_a_hadoop_cluster_with_high_availability_groups_and_passwords(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = make_by_hand(bench, HADOOP, HA)
    client.put_config_group(
        NAME,
        "big workers",
        "HDFS",
        ["node6.x.test", "node7.x.test"],
        {"hdfs-site": Configuration({"dfs.datanode.handler.count": "40"})},
        "by hand",
    )
    client.put_config_group(
        NAME,
        "mixed",
        "YARN",
        ["node1.x.test", "node4.x.test"],
        {"yarn-site": Configuration({"yarn.nodemanager.vmem-check-enabled": "false"})},
        "by hand",
    )
    client.set_host_components(NAME, "INSTALLED", "node5.x.test", ["NODEMANAGER"])
    client.set_host(NAME, "node4.x.test", {"rack_info": "/a/b"})
    bench.pass_time(60)
    secret = variable_of("hive-site", "javax.jdo.option.ConnectionPassword")
    for name in (secret, variable_of("hive-site", "hive.server2.keystore.password")):
        monkeypatch.setenv(name, "not-looked-at")
    # The groups have made some components' configurations outdated, which is none of the inventory's business.
    assert bench.deploy(adopted(bench), phases=["start"]) == 0, bench.failure
    text = adopted(bench)
    groups = yaml.safe_load(text)["groups"]
    assert {name: group["hosts"] for name, group in groups.items()} == {
        "masters": ["node[1-2].x.test"],
        "masters-2": ["node3.x.test"],
        "workers": ["node4.x.test"],
        "workers-2": ["node5.x.test"],
        "workers-3": ["node[6-7].x.test"],
    }
    assert {"name": "NODEMANAGER", "provision": "INSTALL_ONLY"} in groups["workers-2"]["components"]
    assert groups["workers"]["rack"] == "/a/b"
    assert groups["workers-3"]["configurations"] == {"hdfs-site": {"dfs.datanode.handler.count": 40}}
    assert "configuration group 'mixed' of YARN has hosts node1.x.test, node4.x.test" in text
    assert "hunter22" not in text and "swordfish" not in text
    assert "# Ambari does not show this password: set the variable, or use another reference.\n" in text
    assert f"javax.jdo.option.ConnectionPassword: {{secret: env:{secret}}}" in text
    assert secret in capsys.readouterr().out
    assert "dfs.blocksize" not in text
    assert planned(bench, text) == []
    assert written(bench, text.replace("handler.count: 40", "handler.count: 41")) == [
        (
            "configuration group big workers of HDFS",
            "-hdfs-site/dfs.datanode.handler.count: 40\n+hdfs-site/dfs.datanode.handler.count: 41",
        )
    ]


def test_the_exported_blueprint_of_a_cluster_leads_to_the_same(bench: Bench) -> None:
    client = make_by_hand(bench, ENSEMBLE, {"zoo.cfg": Configuration({"tickTime": "2500"})})
    exported = client.export_blueprint(NAME)
    exported["host_groups"][0]["components"].append({"name": "AMBARI_SERVER"})
    (bench.folder / "blueprint.json").write_text(json.dumps(exported))
    assert run(["inventory", "import", "blueprint.json", "--cluster", NAME, "--url", bench.simulation.url]) == 0
    text = (bench.folder / f"{NAME}.yaml").read_text()
    assert "AMBARI_SERVER is Ambari itself" in text and "AMBARI_SERVER" not in str(yaml.safe_load(text))
    assert "The names of 3 hosts are not known" in text
    named = text.replace("host-group-1-[1-3].example.com", "node[1-3].x.test")
    assert planned(bench, named) == []
    assert [name for name, _ in written(bench, named.replace("2500", "2600"))] == ["configurations zoo.cfg"]


BLUEPRINT: dict[str, Any] = {
    "Blueprints": {"stack_name": "BIGTOP", "stack_version": "3.2.0", "blueprint_name": "small"},
    "configurations": [
        {"zoo.cfg": {"properties": {"tickTime": "2500"}, "properties_attributes": {"final": {"tickTime": "true"}}}},
        {"zookeeper-env": {"zk_user": "zk2"}},
    ],
    "host_groups": [
        {"name": "ensemble", "components": [{"name": name} for name in ZOOKEEPER], "cardinality": "2"},
        {
            "name": "edge",
            "components": [{"name": "ZOOKEEPER_CLIENT"}, {"name": "AMBARI_SERVER"}],
            "configurations": [{"zoo.cfg": {"tickTime": "3000"}}],
        },
    ],
    "settings": [{"recovery_settings": [{"recovery_enabled": "true"}]}],
}
TEMPLATE: dict[str, Any] = {
    "blueprint": "small",
    "default_password": "never-written",
    "config_recommendation_strategy": "ALWAYS_APPLY",
    "host_groups": [
        {"name": "ensemble", "hosts": [{"fqdn": "node1.x.test", "rack_info": "/r1"}, {"fqdn": "NODE2.x.test"}]},
        {"name": "edge", "hosts": [{"fqdn": "node3.x.test"}]},
    ],
}


def files(bench: Bench, **documents: Any) -> list[str]:
    for name, document in documents.items():
        (bench.folder / f"{name}.json").write_text(json.dumps(document))
    return [f"{name}.json" for name in documents]


def test_a_blueprint_and_its_template_lead_to_the_cluster_that_they_made(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = files(bench, template=TEMPLATE, blueprint=BLUEPRINT)
    assert run(["inventory", "import", *names, "--url", bench.simulation.url]) == 0
    text = (bench.folder / "small.yaml").read_text()
    data = yaml.safe_load(text)
    assert data["groups"]["ensemble"]["hosts"] == ["node1.x.test", "node2.x.test"]
    assert data["groups"]["edge"]["configurations"] == {"zoo.cfg": {"tickTime": 3000}}
    assert data["hosts"] == {"node1.x.test": {"rack": "/r1"}}
    assert data["configurations"]["zoo.cfg"] == {"tickTime": {"value": 2500, "final": True}}
    assert data["configurations"]["zookeeper-env"] == {"zk_user": "zk2"}
    assert data["default_password"] == "env:DEFAULT_PASSWORD" and "never-written" not in text
    assert data["recommendation"] == "ALWAYS_APPLY"
    assert "Not taken over: settings of the blueprint" in text
    # The cluster that Ambari itself makes of the two files.
    client = make_by_hand(bench, {"node7.x.test": ZOOKEEPER})
    body = json.loads(json.dumps(BLUEPRINT))
    body["Blueprints"].pop("blueprint_name")
    body["host_groups"][1]["components"].pop()
    client.create_blueprint("small", body)
    client.create_cluster("small", {**TEMPLATE, "repository_version_id": 1})
    bench.pass_time(120)
    monkeypatch.setenv("DEFAULT_PASSWORD", "some")
    assert planned(bench, text) == []
    assert [name for name, _ in written(bench, text.replace("zk2", "zk3"))] == ["configurations zookeeper-env"]


def test_an_existing_file_is_never_overwritten_without_force(bench: Bench) -> None:
    make_by_hand(bench, ENSEMBLE)
    file = bench.folder / "mine.yaml"
    file.write_text("mine")
    assert run(["inventory", "import", bench.simulation.url, "-o", "mine.yaml"]) == 2
    assert file.read_text() == "mine"
    assert run(["inventory", "import", bench.simulation.url, "-o", "mine.yaml", "--force"]) == 0
    assert file.read_text().startswith("# Imported from")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["ftp://x"], 2, "not the address of an Ambari server"),
        (["http://admin:geheim@x"], 2, "not the address of an Ambari server"),
        (["URL", "--password", "secret"], 2, "--password is no reference"),
        (["URL", "--cluster", "hant"], 2, "Did you mean hand?"),
        (["URL", "--password", "env:NOT_SET_AT_ALL"], 2, "NOT_SET_AT_ALL is not set"),
        (["URL", "blueprint.json"], 2, "give one Ambari server, or files"),
        (["missing.json"], 2, "there is no file missing.json"),
        (["broken.json"], 2, "broken.json:2:"),
        (["empty.json"], 2, "neither a blueprint nor a cluster template"),
        (["template.json"], 2, "0 blueprints and 1 cluster templates"),
        (["blueprint.json", "stranger.json"], 2, "blueprint.json has no host group others"),
        (["foreign.json"], 2, "HDP-3.1"),
    ],
)
def test_bad_input_is_told_with_its_place(
    bench: Bench, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    make_by_hand(bench, ENSEMBLE)
    stranger = {"host_groups": [{"name": "others", "hosts": [{"fqdn": "a.x.test"}]}]}
    foreign = {**BLUEPRINT, "Blueprints": {"stack_name": "HDP", "stack_version": "3.1"}}
    files(bench, blueprint=BLUEPRINT, template=TEMPLATE, stranger=stranger, foreign=foreign, empty={})
    (bench.folder / "broken.json").write_text('{"host_groups":\n [}')
    given = [one.replace("URL", bench.simulation.url) for one in arguments]
    assert run(["inventory", "import", *given]) == code
    told = capsys.readouterr().err
    assert message in told and "Traceback" not in told and "geheim" not in told
    assert not list(bench.folder.glob("*.yaml"))


def test_what_a_new_cluster_would_get_besides_is_not_added_to_one_that_does_without(bench: Bench) -> None:
    without = [name for name in WORKER if name != "HDFS_CLIENT"]
    make_by_hand(bench, {"node1.x.test": [*MASTER_ALONE], "node2.x.test": without})
    assert planned(bench, adopted(bench)) == []


MASTER_ALONE = [
    "NAMENODE",
    "SECONDARY_NAMENODE",
    "RESOURCEMANAGER",
    "HISTORYSERVER",
    "APP_TIMELINE_SERVER",
    "TIMELINE_READER",
    "ZOOKEEPER_SERVER",
    "TEZ_CLIENT",
    *CLIENTS,
]


HOSTS = st.builds(
    lambda prefix, number, width, suffix: f"{prefix}{number:0{width}d}{suffix}",
    st.sampled_from(["node", "dc1-n", "n"]),
    st.integers(0, 30),
    st.integers(1, 3),
    st.sampled_from([".x.test", "-a.x.test", ".dc2.x.test", ".node1.test"]),
)


@given(st.sets(HOSTS, max_size=25))
def test_ranges_stand_for_exactly_these_hosts(hosts: set[str]) -> None:
    found = [host for pattern in ranges(hosts) for host in expand(pattern)]
    assert sorted(found) == sorted(hosts)


TEXTS = st.text(alphabet=st.sampled_from("ab \n:#{}[],'\"%-&*!|>0129.xo_=~eyn$()\\\t\r\x85é\u2028@`?/"), max_size=12)


@given(TEXTS, TEXTS, TEXTS)
def test_yaml_is_read_as_it_was_meant(name: str, one: str, other: str) -> None:
    data = {
        "a": {f"k{name}": one, "z": [name, other], "m": {"q": {"secret": one}}},
        "configurations": {"t": {"p": other, "r": {"value": name, "final": True}}},
    }
    text = commented_yaml(data, {("a",): ["about a"], ("configurations", "t", "p"): ["about p"]})
    assert parse(text, Path("x"), words=True).data == data
    assert "  # about p\n" in text


@pytest.mark.parametrize("text", ["022", "0x10", "12:30", "no", "1.50", "1e3", "null", "-1", "+1", "3000", "true", ""])
def test_properties_reach_ambari_as_the_cluster_has_them(text: str) -> None:
    written = commented_yaml({"a": {"b": property_scalar(text)}}, {})
    value = parse(written, Path("x"), words=True).data["a"]["b"]
    assert (str(value).lower() if isinstance(value, bool) else str(value)) == text


@needs_transcripts
def test_a_blueprint_that_a_real_server_exported(bench: Bench) -> None:
    files(bench, real=transcript(685).json)
    assert run(["inventory", "import", "real.json"]) == 0
    loaded = load_inventory(bench.folder / "real.yaml")
    assert {name: len(hosts) for name, hosts in loaded.groups.items()} == dict.fromkeys(
        ("host_group_1", "host_group_2", "host_group_3"), 1
    )
    components = loaded.inventory.groups["host_group_1"].components
    assert "NAMENODE" in components and "AMBARI_SERVER" not in components
    assert loaded.inventory.configurations["core-site"]["fs.defaultFS"] == "hdfs://%HOSTGROUP::host_group_1%:8020"
    assert loaded.inventory.configurations["yarn-site"]["yarn.nodemanager.resource.memory-mb"] == 1536


def test_kerberos_and_hosts_by_number(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    blueprint = {
        "Blueprints": {"stack_name": "BIGTOP", "stack_version": "3.2.0", "security": {"type": "KERBEROS"}},
        "configurations": [
            {
                "kerberos-env": {
                    "properties": {"realm": "X.TEST", "kdc_type": "ipa", "kdc_hosts": "k1.x.test,k2.x.test"},
                }
            },
            {"core-site/fs.trash.interval": "360"},
        ],
        "host_groups": [{"name": "a", "components": [{"name": name} for name in (*ZOOKEEPER, "KERBEROS_CLIENT")]}],
    }
    template = {
        "credentials": [{"alias": "kdc.admin.credential", "principal": "admin@X.TEST", "key": "swordfish"}],
        "host_groups": [{"name": "a", "host_count": 3, "host_predicate": "Hosts/cpu_count>2"}],
    }
    assert run(["inventory", "import", *files(bench, kerberos=blueprint, template=template)]) == 0
    assert "refuses" not in capsys.readouterr().out
    text = (bench.folder / "kerberos.yaml").read_text()
    assert "swordfish" not in text
    assert "# The names of 3 hosts, with Hosts/cpu_count>2 are not known" in text
    inventory = load_inventory(bench.folder / "kerberos.yaml").inventory
    kerberos = inventory.security.kerberos
    assert kerberos is not None
    assert (kerberos.realm, kerberos.kdc_type, kerberos.kdc_hosts) == ("X.TEST", "ipa", ["k1.x.test", "k2.x.test"])
    assert kerberos.administrator == ("admin@X.TEST", "env:KDC_ADMIN_PASSWORD")
    assert inventory.configurations["core-site"] == {"fs.trash.interval": 360}
    assert "kerberos-env" not in inventory.configurations


def test_a_cluster_of_a_deployment_is_adopted_as_it_was_deployed(bench: Bench) -> None:
    signed = INVENTORY.replace('/el8"}', '/el8", gpg_key: "http://repository.test/{family}/KEY"}')
    assert bench.deploy(signed) == 0, bench.failure
    assert run(["inventory", "import", bench.simulation.url]) == 0
    text = (bench.folder / "c1.yaml").read_text()
    data = yaml.safe_load(text)
    assert data["repositories"] == [
        {"id": "BIGTOP-3.2.0", "url": REPOSITORY, "gpg_key": "http://repository.test/{family}/KEY"}
    ]
    assert data["configurations"] == {"zoo.cfg": {"tickTime": 2000}}
    assert planned(bench, text) == []


def test_repositories_that_agents_do_not_write_stay_so(bench: Bench) -> None:
    """Somebody has turned them off in Ambari; in an inventory they would be turned on again."""
    make_by_hand(bench, ENSEMBLE)
    for version in bench.world.versions.values():
        for system in version.systems.values():
            system["ambari_managed_repositories"] = False
    text = adopted(bench)
    assert "repositories" not in yaml.safe_load(text)
    assert "hosts have repository files of their own" in text and REPOSITORY in text
    assert planned(bench, text) == []


@pytest.mark.parametrize("version", ["2.7.8.0", "2.8.0.0"])
def test_clusters_of_older_lines_of_ambari(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """Their stack lacks what 3.0 brought. All 85 properties that we ask for exist in the sources of 2.7.8 and 2.8.0."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AMBARI_PASSWORD", PASSWORD)
    new = {"APP_TIMELINE_SERVER", "TIMELINE_READER"}
    layout = {host: [name for name in names if name not in new] for host, names in HADOOP.items()}
    with Bench(tmp_path, monkeypatch, hosts=7, version=version) as bench:
        assert "TIMELINE_READER" not in bench.world.stacks["BIGTOP", "3.2.0"].services["YARN"].components
        client = make_by_hand(bench, layout, HA)
        client.set_host(NAME, "node4.x.test", {"rack_info": "/r4"})
        text = adopted(bench)
        data = yaml.safe_load(text)
        assert [group["hosts"] for group in data["groups"].values()] == [
            ["node[1-2].x.test"],
            ["node3.x.test"],
            ["node[4-7].x.test"],
        ]
        assert data["hosts"] == {"node4.x.test": {"rack": "/r4"}}
        assert data["repositories"] == [{"id": "BIGTOP-3.2.0", "url": REPOSITORY, "gpg_check": False}]
        assert f"Ambari {version}" in text
        for name in re.findall(r"env:(\w+)", text):
            monkeypatch.setenv(name, PASSWORD if name == "AMBARI_PASSWORD" else "another-secret")
        # The two passwords that Ambari does not show are as good as the inventory's; restarts are for the rack.
        assert written(bench, text) == []
        more = text.replace("configurations:\n", "configurations:\n  zoo.cfg: {tickTime: 2600}\n", 1)
        assert [name for name, _ in written(bench, more)] == ["configurations zoo.cfg"]
        told = planned(bench, more)
        assert bench.deploy(more) == 0, bench.failure
        assert [(event.name, event.detail) for event in bench.events if isinstance(event, Change)] == told
        assert bench.deploy(more) == 0, bench.failure
        assert bench.changes == []
