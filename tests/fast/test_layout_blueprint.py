"""The bodies that create a cluster, against those that a live server accepted."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.cluster.blueprint import added_hosts, blueprint_body, cluster_environment, cluster_template
from bigtop_builder.cluster.comparison import compare_blueprints
from bigtop_builder.cluster.layout import Layout, expand_tokens, layout_of, layout_recommended
from bigtop_builder.cluster.layout_rules import check_layout
from bigtop_builder.cluster.stack_data import load_stack
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.kerberos import Kerberos
from bigtop_builder.model.properties import Secret
from bigtop_builder.model.repository import Repository
from bigtop_builder.recipe.inventory import load_inventory

BLUEPRINT = json.loads(
    """{"Blueprints": {"stack_name": "BIGTOP", "stack_version": "3.2.0"}, "configurations": [{"cluster-env":
    {"properties": {"command_retry_enabled": "false", "recovery_enabled": "false"}}}], "host_groups": [{"name": "g1",
    "cardinality": "1", "components": [{"name": "ZOOKEEPER_SERVER"}, {"name": "ZOOKEEPER_CLIENT"},
    {"name": "SPARK_CLIENT"}, {"name": "SPARK_JOBHISTORYSERVER", "provision_action": "INSTALL_ONLY"}]}, {"name": "g2",
    "cardinality": "2", "components": [{"name": "ZOOKEEPER_SERVER"}, {"name": "ZOOKEEPER_CLIENT"}]}]}"""
)
"""Accepted in exchange 525."""
TEMPLATE = json.loads(
    """{"blueprint": "zkspark2", "repository_version_id": 1, "host_groups": [{"name": "g1", "hosts": [{"fqdn":
    "node1.cluster.local"}]}, {"name": "g2", "hosts": [{"fqdn": "node2.cluster.local"},
    {"fqdn": "node3.cluster.local"}]}]}"""
)
"""Accepted in exchange 526."""
INVENTORY = """
cluster: s1
groups:
  g1:
    hosts: [node1.cluster.local]
    components:
      - ZOOKEEPER_SERVER
      - ZOOKEEPER_CLIENT
      - SPARK_CLIENT
      - {name: SPARK_JOBHISTORYSERVER, provision: INSTALL_ONLY}
  g2:
    hosts: ["node[2-3].cluster.local"]
    components: [ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT]
configurations:
  cluster-env: {recovery_enabled: false}
"""
SPARK_STACK = {
    "master": "ZOOKEEPER_SERVER NAMENODE SECONDARY_NAMENODE RESOURCEMANAGER HISTORYSERVER APP_TIMELINE_SERVER "
    "TIMELINE_READER HIVE_METASTORE HIVE_SERVER WEBHCAT_SERVER MYSQL_SERVER SPARK_JOBHISTORYSERVER HDFS_CLIENT "
    "YARN_CLIENT MAPREDUCE2_CLIENT TEZ_CLIENT HIVE_CLIENT SPARK_CLIENT ZOOKEEPER_CLIENT",
    "worker": "DATANODE NODEMANAGER HDFS_CLIENT YARN_CLIENT MAPREDUCE2_CLIENT TEZ_CLIENT SPARK_CLIENT",
}
"""The groups of the blueprint accepted in exchange 520."""


def layout(folder: Path, text: str = INVENTORY) -> Layout:
    file = folder / "inventory.yaml"
    file.write_text(textwrap.dedent(text), encoding="utf-8")
    return layout_of(load_inventory(file))


def reveal(secret: Secret, place: str) -> str:
    return f"value of {secret.secret} for {place}"


def test_blueprint_and_template_are_the_accepted_ones(tmp_path: Path) -> None:
    ours = layout(tmp_path)
    assert blueprint_body(ours, load_stack()) == BLUEPRINT
    assert cluster_template(ours, "zkspark2", reveal, repository_version=1) == TEMPLATE


def test_the_accepted_spark_stack_needs_nothing_more(tmp_path: Path) -> None:
    groups = "".join(
        f"  {name}: {{hosts: [{name}.x.org], components: [{', '.join(text.split())}]}}\n"
        for name, text in SPARK_STACK.items()
    )
    ours = layout(tmp_path, f"cluster: sp1\ndefault_password: env:P\ngroups:\n{groups}")
    checked = check_layout(ours, load_stack(), lambda *path: None, default_password=True)
    assert checked.added == ()
    body = blueprint_body(checked.layout, load_stack(), {})
    accepted = [
        {"name": name, "cardinality": "1", "components": [{"name": one} for one in text.split()]}
        for name, text in SPARK_STACK.items()
    ]
    assert body["host_groups"] == accepted
    assert body["configurations"] == []


def test_secrets_go_to_the_template_only(tmp_path: Path) -> None:
    ours = layout(
        tmp_path,
        """
        cluster: c1
        groups:
          g1:
            hosts: [n1.x.org]
            rack: /r1
            components: [HIVE_SERVER]
            configurations: {hive-env: {heap: 12, secret_of_group: {secret: env:GROUP}}}
        configurations:
          hive-site:
            hive.exec: true
            javax.jdo.option.ConnectionPassword: {secret: env:HIVE}
        """,
    )
    body, template = blueprint_body(ours, load_stack(), {}), cluster_template(ours, "b", reveal, default_password="dp")
    assert "env:" not in json.dumps(body)
    assert body["configurations"] == [{"hive-site": {"properties": {"hive.exec": "true"}}}]
    assert body["host_groups"][0]["configurations"] == [{"hive-env": {"properties": {"heap": "12"}}}]
    password = "value of env:HIVE for configurations.hive-site.javax.jdo.option.ConnectionPassword"
    assert template["configurations"] == [
        {"hive-site": {"properties": {"javax.jdo.option.ConnectionPassword": password}}}
    ]
    group = template["host_groups"][0]
    assert group["hosts"] == [{"fqdn": "n1.x.org", "rack_info": "/r1"}]
    assert "env:GROUP" in json.dumps(group["configurations"])
    assert template["default_password"] == "dp"


def test_kerberos(tmp_path: Path) -> None:
    kerberos = Kerberos(realm="X.ORG", kdc_hosts=["kdc.x.org"], admin_principal="a/admin", admin_password="env:P")
    ours = layout(tmp_path)
    body = blueprint_body(ours, load_stack(), {}, kerberos)
    template = cluster_template(ours, "b", reveal, kerberos=("a/admin", "pw"))
    kinds: dict[str, Any] = {kind: one for item in body["configurations"] for kind, one in item.items()}
    assert body["Blueprints"]["security"] == {"type": "KERBEROS"}
    assert kinds["kerberos-env"]["properties"]["realm"] == "X.ORG"
    assert set(kinds) <= set(load_stack().configuration_types())
    assert template["credentials"] == [
        {"alias": "kdc.admin.credential", "principal": "a/admin", "key": "pw", "type": "TEMPORARY"}
    ]


def test_signatures_are_checked_with_the_repositories_keys() -> None:
    plain = Repository(url="http://repo/{family}")
    named = Repository(url="http://other/x", gpg_key="http://other/KEY-{family}")
    template = cluster_environment([plain, named], ["redhat8"])["repo_suse_rhel_template"]
    assert template.splitlines()[-2:] == [
        "gpgcheck=1",
        "gpgkey=http://repo/redhat8/repodata/repomd.xml.key http://other/KEY-redhat8",
    ]
    unsigned = cluster_environment([Repository(url="http://r", gpg_check=False)], ["redhat8"])
    assert unsigned["repo_suse_rhel_template"].splitlines()[-2:] == ["metadata_expire=1", "gpgcheck=0"]
    assert "repo_suse_rhel_template" not in cluster_environment([], ["redhat8"])
    with pytest.raises(ConfigurationError, match="gpg_check"):
        cluster_environment([plain, Repository(url="http://r", gpg_check=False)], ["redhat8"])


def test_hosts_that_are_added_name_their_group(tmp_path: Path) -> None:
    assert added_hosts(layout(tmp_path), "b", ["node3.cluster.local"]) == [
        {"blueprint": "b", "host_group": "g2", "host_name": "node3.cluster.local"}
    ]


def test_the_advisors_layout() -> None:
    recommendation = {
        "blueprint": {
            "host_groups": [
                {"name": "host-group-1", "components": [{"name": "ZOOKEEPER_SERVER"}, {"name": "NAMENODE"}]},
                {"name": "host-group-2", "components": []},
            ]
        },
        "blueprint_cluster_binding": {
            "host_groups": [
                {"name": "host-group-1", "hosts": [{"fqdn": "n2.x.org"}, {"fqdn": "n1.x.org"}]},
                {"name": "host-group-2", "hosts": [{"fqdn": "n3.x.org"}]},
            ]
        },
    }
    ours = layout_recommended(recommendation, {"zoo.cfg": {"tickTime": 2000}}, {"n1.x.org": {"rack_info": "/r1"}})
    assert ours.hosts_with("NAMENODE") == ["n1.x.org", "n2.x.org"]
    assert [group.name for group in ours.groups] == ["host-group-1"]
    assert ours.groups[0].settings == {"n1.x.org": {"rack_info": "/r1"}}


def test_tokens_stand_for_hosts(tmp_path: Path) -> None:
    ours = layout(tmp_path)
    assert expand_tokens("%HOSTGROUP::g1%:8020", ours) == "node1.cluster.local:8020"
    assert expand_tokens("zk://%HOSTGROUP::g2%:2181/x", ours) == (
        "zk://node2.cluster.local:2181,node3.cluster.local:2181/x"
    )
    assert expand_tokens("%HOSTGROUP::none%", ours) == "%HOSTGROUP::none%"


EXISTING = {
    "href": "http://127.0.0.1:8080/api/v1/blueprints/zkspark2",
    "configurations": [{"cluster-env": {"recovery_enabled": "false", "command_retry_enabled": "false"}}],
    "host_groups": [
        {
            "components": list(reversed(group["components"])),
            "configurations": [],
            "name": group["name"],
            "cardinality": group["cardinality"],
        }
        for group in reversed(BLUEPRINT["host_groups"])
    ],
    "settings": [],
    "Blueprints": {
        "blueprint_name": "zkspark2",
        "stack_name": "BIGTOP",
        "stack_version": "3.2.0",
        "security": {"type": "NONE"},
    },
}
"""As a server gives it back (shape of exchange 521): other order, more keys."""


def test_a_blueprint_given_back_is_the_same() -> None:
    assert compare_blueprints(BLUEPRINT, EXISTING) == ()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda body: body["Blueprints"].update(stack_version="3.3.0"), "stack and security: BIGTOP 3.2.0 NONE"),
        (lambda body: body["Blueprints"].update(security={"type": "KERBEROS"}), "BIGTOP 3.2.0 KERBEROS"),
        (lambda body: body["host_groups"].pop(), "group g2: gone"),
        (lambda body: body["host_groups"].append({"name": "g3", "components": []}), "group g3: new"),
        (lambda body: body["host_groups"][1]["components"].pop(), "group g2: ZOOKEEPER_CLIENT removed"),
        (
            lambda body: body["host_groups"][1]["components"].append({"name": "TEZ_CLIENT"}),
            "group g2: TEZ_CLIENT added",
        ),
        (
            lambda body: body["host_groups"][0]["components"][3].pop("provision_action"),
            "group g1: SPARK_JOBHISTORYSERVER INSTALL_ONLY → INSTALL_AND_START",
        ),
        (
            lambda body: body["configurations"].append({"zoo.cfg": {"properties": {"tickTime": "1"}}}),
            "zoo.cfg tickTime: (not set) → '1'",
        ),
        (
            lambda body: body["host_groups"][0].update(configurations=[{"zoo.cfg": {"tickTime": "1"}}]),
            "group g1: zoo.cfg tickTime: (not set) → '1'",
        ),
    ],
)
def test_differences_of_blueprints_are_told(change: Any, line: str) -> None:
    wanted = json.loads(json.dumps(BLUEPRINT))
    change(wanted)
    lines = compare_blueprints(wanted, EXISTING)
    assert len(lines) == 1
    assert line in lines[0]


def test_hidden_passwords_and_sizes_of_groups_are_no_difference() -> None:
    existing = json.loads(json.dumps(EXISTING))
    existing["configurations"].append({"hive-site": {"properties": {"password": "SECRET:hive-site:1:password"}}})
    existing["host_groups"][0]["cardinality"] = "7"
    assert compare_blueprints(BLUEPRINT, existing) == ()
