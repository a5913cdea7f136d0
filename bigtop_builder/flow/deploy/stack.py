"""The stack that a cluster is made of: the live server's where there is one, completed with what we know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.recipe.document import near

if TYPE_CHECKING:
    from bigtop_builder.flow.deploy.context import Deployment
    from bigtop_builder.model.ambari_stack import StackDefinition

NEWEST_LINE = "3.0.0.0"


def known_stack(deployment: Deployment, ambari_version: str = NEWEST_LINE) -> StackDefinition:
    """The stack as the shipped data and overlays have it. Raises ConfigurationError with its place."""
    from bigtop_builder.cluster.stack_data import ambari_line, load_stack
    from bigtop_builder.recipe.catalog import shipped_templates

    choice = deployment.inventory.stack
    try:
        return load_stack(
            choice.name,
            choice.version,
            ambari_line(ambari_version),
            (shipped_templates(), *deployment.overlays),
        )
    except ConfigurationError as error:
        error.location = error.location or deployment.loaded.place("stack")
        raise


def live_stack(deployment: Deployment) -> StackDefinition:
    """The stack as the server has it. Raises ConfigurationError when it has not, AmbariError without an answer."""
    from bigtop_builder.cluster.stack_rest import stack_from_rest

    choice = deployment.inventory.stack
    stacks = deployment.client.stacks()
    if (choice.name, choice.version) not in stacks:
        offered = [f"{name}-{version}" for name, version in stacks]
        raise ConfigurationError(
            f"the Ambari server {deployment.ambari.url} has no stack {choice.name}-{choice.version}",
            hint=near(f"{choice.name}-{choice.version}", offered) or None,
            location=deployment.loaded.place("stack"),
        )
    known = known_stack(deployment, deployment.server_version or NEWEST_LINE)
    return stack_from_rest(deployment.client.stack_services(choice.name, choice.version), known)


def read_stack(deployment: Deployment) -> StackDefinition:
    """The server's stack; ours when there is no server yet, or none is wanted."""
    if deployment.inventory.ambari is None or not deployment.server_answers:
        return known_stack(deployment)
    return live_stack(deployment)
