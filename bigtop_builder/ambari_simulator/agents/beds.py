"""The agents of a test bed's hosts: which container is which host."""

from __future__ import annotations

from pathlib import Path

from bigtop_builder.ambari_simulator.agents.container import ContainerAgent, ContainerHands
from bigtop_builder.ambari_simulator.agents.crew import WorkingCrew
from bigtop_builder.model.errors import AmbariError


def crew_of(record: Path) -> WorkingCrew:
    """Agents that work on the container hosts of the test bed whose record this is (its folder has the bed's name).

    Raises EngineError when the container engine does not answer, AmbariError when it has no such containers.
    """
    from bigtop_builder.adapter.containers import engine
    from bigtop_builder.adapter.containers.engine import engine_errors
    from bigtop_builder.adapter.containers.testbed import BED, HOST

    name = record.resolve().parent.name
    client = engine.connect()
    with engine_errors(f"looking for the containers of the test bed {name}"):
        listed = client.api.containers(all=True, filters={"label": f"{BED}={name}"})
    containers = {str(one["Labels"][HOST]): str(one["Names"][0]).lstrip("/") for one in listed if HOST in one["Labels"]}
    if not containers:
        raise AmbariError(
            f"the test bed {name} has no containers", hint=f"Make it whole: bigtop-builder testbed up --name {name}."
        )
    return WorkingCrew(ContainerAgent(ContainerHands(client, containers)))
