"""Ambari's stacks as data: the recorded answers come out of it again, and each line of Ambari sees its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.cluster.stack_data import ambari_line, load_stack
from bigtop_builder.cluster.stack_rest import (
    auto_deploy_properties,
    component_properties,
    default_properties,
    dependency_properties,
    service_properties,
    stack_from_rest,
)
from bigtop_builder.model.ambari_stack import StackDefinition
from bigtop_builder.model.errors import ConfigurationError

RECORDED = Path(__file__).parent / "data" / "ambari"


def recorded(version: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((RECORDED / f"stack-services-{version}.json").read_text(encoding="utf-8"))
    return data


def answer(stack: StackDefinition) -> dict[str, Any]:
    """The services of a stack as the recorded request selected them, without the addresses of resources."""
    items = []
    for name in sorted(stack.services):
        told = service_properties(stack, name)
        del told["display_name"]
        components = []
        for key, component in sorted(stack.services[name].components.items()):
            auto = auto_deploy_properties(component)
            components.append(
                {
                    "StackServiceComponents": component_properties(stack, name, key),
                    "dependencies": [
                        {"Dependencies": dependency_properties(stack, name, key, one)} for one in component.dependencies
                    ],
                    **({"auto_deploy": auto} if auto else {}),
                }
            )
        items.append({"StackServices": told, "components": components})
    return {"items": items}


@pytest.mark.parametrize("version", ["3.2.0", "3.3.0"])
def test_recorded_answer_comes_out_again(version: str) -> None:
    assert answer(load_stack(version=version)) == recorded(version)


@pytest.mark.parametrize("version", ["3.2.0", "3.3.0"])
def test_definition_from_a_live_server_is_ours(version: str) -> None:
    known = load_stack(version=version)
    live = stack_from_rest(recorded(version)["items"], known)
    assert answer(live) == recorded(version)
    assert live.services["ZOOKEEPER"].packages == known.services["ZOOKEEPER"].packages
    assert live.services["SPARK"].components["SPARK_CLIENT"].select == ["spark-client"]
    assert live == known.model_copy(update={"services": live.services})


def test_a_service_that_only_the_server_knows_has_no_packages() -> None:
    items = recorded("3.2.0")["items"][:1]
    items[0]["StackServices"]["service_name"] = "REDIS"
    live = stack_from_rest(items, load_stack())
    assert list(live.services) == ["REDIS"]
    assert live.services["REDIS"].packages == []


def test_older_ambari_lacks_what_is_marked() -> None:
    old, new = load_stack(ambari="2.8"), load_stack(ambari="3.0")
    assert set(new.services) - set(old.services) == {"LIVY", "AMBARI_INFRA_SOLR"}
    assert list(old.families) == ["redhat7"]
    lost = {
        component
        for name, service in old.services.items()
        for component in set(new.services[name].components) - set(service.components)
    }
    assert lost == {"ROUTER", "TIMELINE_READER", "YARN_REGISTRY_DNS", "APP_TIMELINE_SERVER"}
    assert not [p.name for service in old.services.values() for p in service.packages if "ranger" in p.name]
    assert "hdfs-rbf-site" not in old.configuration_types()
    assert "ranger-hive-audit" in old.configuration_types()


def test_older_ambari_has_one_stack_only() -> None:
    with pytest.raises(ConfigurationError, match=r"2\.8 has no stack BIGTOP-3\.3\.0"):
        load_stack(version="3.3.0", ambari="2.8")


def test_unknown_stack_names_the_near_one() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_stack(version="3.2.1")
    assert "bigtop-3.2.0" in (caught.value.hint or "")


def test_an_overlay_changes_and_adds_services(tmp_path: Path) -> None:
    from bigtop_builder.recipe.catalog import shipped_templates

    file = tmp_path / "ambari" / "stacks" / "bigtop-3.2.0.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(
        "services:\n  REDIS:\n    version: '7.2'\n    title: Redis\n    packages: ['redis_{version}']\n"
        "    components:\n      REDIS_SERVER: {category: MASTER, cardinality: 1+, title: Redis}\n"
        "  ZOOKEEPER:\n    packages: [zookeeper]\n",
        encoding="utf-8",
    )
    stack = load_stack(roots=(shipped_templates(), tmp_path))
    assert stack.service_of("REDIS_SERVER") == "REDIS"
    assert [package.name for package in stack.services["ZOOKEEPER"].packages] == ["zookeeper"]


def test_every_selected_name_has_a_folder() -> None:
    stack = load_stack(version="3.3.0")
    selected = {
        name for service in stack.services.values() for one in service.components.values() for name in one.select
    }
    assert {name for name in selected if stack.folder_of(name) is None} == set()


@pytest.mark.parametrize("version", ["3.2.0", "3.3.0"])
def test_what_makes_components_outdated_is_of_the_stack(version: str) -> None:
    stack = load_stack(version=version)
    types = stack.configuration_types()
    for name, service in stack.services.items():
        assert {*service.reads} <= {*types} - {*service.configurations}, name
        for kind, one in service.configurations.items():
            assert {*(one.restarts or ())} <= {*service.components}, (name, kind)


@pytest.mark.parametrize(
    ("kind", "outdated"),
    [
        # As recorded (768), and with the services that the recorded cluster did not have.
        ("hdfs-site", {"HDFS", "MAPREDUCE2", "YARN"}),
        ("capacity-scheduler", {"RESOURCEMANAGER"}),
        ("yarn-hbase-env", set()),
        ("hive-site", {"HIVE_METASTORE", "HIVE_SERVER", "WEBHCAT_SERVER", "HIVE_CLIENT", "HCAT", "TEZ_CLIENT"}),
        ("zoo.cfg", {"ZOOKEEPER", "KAFKA"}),
    ],
)
def test_the_components_that_a_changed_type_makes_outdated(kind: str, outdated: set[str]) -> None:
    """``outdated`` has services of which all are, and components."""
    stack = load_stack()
    found = {
        name
        for service in stack.services.values()
        for name in service.components
        if kind in service.types_read_by(name)
    }
    services = {name for name in outdated if name in stack.services}
    assert found == {name for service in services for name in stack.services[service].components} | outdated - services


def test_a_server_s_answer_keeps_what_makes_components_outdated() -> None:
    known = load_stack()
    live = stack_from_rest(recorded("3.2.0")["items"], known)
    for name, service in live.services.items():
        if name in known.services:
            for component in service.components:
                assert {*service.types_read_by(component)} == {*known.services[name].types_read_by(component)}


def test_every_dependency_and_password_is_of_the_stack() -> None:
    for line in ("2.8", "3.0"):
        stack = load_stack(ambari=line)
        for service in stack.services.values():
            for component in service.components.values():
                known = [one for one in component.dependencies if one.service in stack.services]
                assert all(stack.service_of(one.component) == one.service for one in known)
            assert all(place.partition("/")[0] in service.configurations for place in service.passwords)


def test_generated_cluster_env_names_selector_and_packages() -> None:
    properties = default_properties(load_stack(), "cluster-env")
    assert properties["stack_root"] == '{"BIGTOP":"/usr/bigtop"}'
    packages = json.loads(properties["stack_packages"] or "")["BIGTOP"]
    assert packages["stack-select"]["HDFS"]["NAMENODE"] == {
        "STACK-SELECT-PACKAGE": "hadoop-hdfs-namenode",
        "INSTALL": ["hadoop-hdfs-namenode", "hadoop-client"],
    }
    assert json.loads(properties["stack_tools"] or "")["BIGTOP"]["stack_selector"][2] == "bigtop-select"


@pytest.mark.parametrize(
    ("version", "line"), [("3.0.0.0", "3.0"), ("3.0.0.0-SNAPSHOT", "3.0"), ("2.8.0.0", "2.8"), ("2.7.8.0", "2.8")]
)
def test_line_of_a_server(version: str, line: str) -> None:
    assert ambari_line(version) == line


def test_service_check_commands() -> None:
    stack = load_stack()
    assert stack.check_command("ZOOKEEPER") == "ZOOKEEPER_QUORUM_SERVICE_CHECK"
    assert stack.check_command("SPARK") == "SPARK_SERVICE_CHECK"
