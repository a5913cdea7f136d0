"""The shipped inventories, as blueprints, before the simulated server: it takes them and adds nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from bigtop_builder.ambari_simulator.resources.blueprints import parse_blueprint
from bigtop_builder.ambari_simulator.resources.topology import check_components, complete
from bigtop_builder.ambari_simulator.rest.replies import Refusal
from bigtop_builder.cluster.blueprint import blueprint_body, cluster_environment
from bigtop_builder.cluster.comparison import compare_blueprints
from bigtop_builder.cluster.high_availability import high_availability
from bigtop_builder.cluster.layout import Layout, LayoutGroup, Placed, layout_of
from bigtop_builder.cluster.layout_rules import check_layout
from bigtop_builder.cluster.stack_data import load_stack
from bigtop_builder.model.ambari_stack import StackDefinition
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.recipe.inventory import load_inventory

INVENTORIES = sorted((Path(__file__).resolve().parents[2] / "inventories").glob("*.yaml"))


def taken(layout: Layout, stack: StackDefinition) -> bool:
    """Whether the simulated server takes the layout's blueprint. It must not add to it."""
    blueprint = parse_blueprint("b", blueprint_body(layout, stack))
    check_components(blueprint, stack)
    try:
        completed = complete(blueprint, stack)
    except Refusal:
        return False
    return {group.name: set(group.components) for group in completed.groups} == {
        group.name: set(group.names) for group in layout.groups
    }


@pytest.mark.parametrize("file", INVENTORIES, ids=lambda file: file.stem)
def test_shipped_inventories_become_blueprints(file: Path) -> None:
    loaded = load_inventory(file)
    inventory = loaded.inventory
    if inventory.ambari is None:
        pytest.skip("an inventory of stand-alone services has no blueprint")
    stack = load_stack(inventory.stack.name, inventory.stack.version)
    checked = check_layout(
        high_availability(layout_of(loaded), inventory.cluster, {}).layout,
        stack,
        loaded.place,
        services=tuple(inventory.services),
        default_password=inventory.default_password is not None,
    )
    assert taken(checked.layout, stack)
    body = blueprint_body(checked.layout, stack, cluster_environment(inventory.repositories, ["redhat8"]))
    assert compare_blueprints(body, body) == ()


@pytest.mark.parametrize("version", ["3.2.0", "3.3.0"])
def test_every_service_alone_is_judged_alike(version: str) -> None:
    """A group with all the components of one service: refused by both, or taken by both with the same additions."""
    stack = load_stack(version=version)
    for name, service in stack.services.items():
        components = tuple(Placed(one) for one in service.components if one not in ("JOURNALNODE", "ZKFC"))
        layout = Layout((LayoutGroup("g", ("n1.x.org",), components),), {"hive-env": {"hive_database": "x"}})
        try:
            checked = check_layout(layout, stack, lambda *path: None, default_password=True)
        except ConfigurationError:
            assert not taken(layout, stack), name
        else:
            assert taken(checked.layout, stack), name
