"""The stack that a cluster is made of: the server's where there is one, completed with the shipped data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.recipe.document import near

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.model.ambari_stack import StackDefinition
    from bigtop_builder.recipe.inventory import LoadedInventory

NEWEST_LINE = "3.0.0.0"


def known_stack(
    loaded: LoadedInventory, overlays: tuple[Path, ...], ambari_version: str = NEWEST_LINE
) -> StackDefinition:
    """Return the stack as the shipped data and overlays have it. Raises ConfigurationError with its location."""
    from bigtop_builder.cluster.stack_data import ambari_line, load_stack
    from bigtop_builder.recipe.catalog import shipped_templates

    choice = loaded.inventory.stack
    try:
        return load_stack(choice.name, choice.version, ambari_line(ambari_version), (shipped_templates(), *overlays))
    except ConfigurationError as error:
        error.location = error.location or loaded.place("stack")
        raise


def live_stack(
    loaded: LoadedInventory, client: Ambari, ambari_version: str, overlays: tuple[Path, ...]
) -> StackDefinition:
    """Return the stack as the server has it. Raises ConfigurationError if it has not, AmbariError without an answer."""
    from bigtop_builder.cluster.stack_rest import stack_from_rest

    choice = loaded.inventory.stack
    stacks = client.stacks()
    if (choice.name, choice.version) not in stacks:
        offered = [f"{name}-{version}" for name, version in stacks]
        raise ConfigurationError(
            f"the Ambari server {client.url} has no stack {choice.name}-{choice.version}",
            hint=near(f"{choice.name}-{choice.version}", offered) or None,
            location=loaded.place("stack"),
        )
    known = known_stack(loaded, overlays, ambari_version or NEWEST_LINE)
    return stack_from_rest(client.stack_services(choice.name, choice.version), known)
