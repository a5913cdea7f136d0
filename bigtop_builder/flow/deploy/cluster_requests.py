"""The requests that Ambari has carried out for a cluster, and what their tasks printed, without secrets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bigtop_builder.adapter.ambari.progress import RequestView
from bigtop_builder.adapter.ambari.request import TaskView
from bigtop_builder.adapter.secret import Secrets
from bigtop_builder.adapter.sources.web import ca_bundle
from bigtop_builder.flow.deploy.deployment import Deployment, open_deployment
from bigtop_builder.flow.deploy.preflight import references
from bigtop_builder.recipe.inventory import LoadedInventory
from bigtop_builder.recipe.settings import Settings

NEWEST = 20
"""How many requests are listed."""
OUTPUT = 1 << 20
"""The most characters of an output that are returned, of its end."""


def newest_requests(loaded: LoadedInventory, settings: Settings) -> list[RequestView]:
    """Return the newest requests of a cluster, the newest first. Raises AmbariError."""
    with _opened(loaded, settings, Secrets()) as deployment:
        found = deployment.connections.client.requests(deployment.world.cluster, newest=NEWEST)
        return found[: -NEWEST - 1 : -1]


def request_with_tasks(
    loaded: LoadedInventory, settings: Settings, number: int, output_of: int | None = None
) -> tuple[RequestView, list[TaskView]]:
    """Return a request and its tasks; the task ``output_of`` has its output.

    Raises AmbariError, and ConfigurationError if a secret of the inventory cannot be read: it could not be masked.
    """
    secrets = Secrets()
    with _opened(loaded, settings, secrets) as deployment:
        client, cluster = deployment.connections.client, deployment.world.cluster
        request = client.request(cluster, number)
        tasks = list(client.tasks(cluster, number))
        if output_of is None:
            return request, tasks
        for path, reference in references(deployment.world):
            secrets.value(reference, ".".join(map(str, path)))
        full = {
            task.id: replace(
                task,
                stdout=secrets.redact(task.stdout, foreign=True)[-OUTPUT:],
                stderr=secrets.redact(task.stderr, foreign=True)[-OUTPUT:],
            )
            for task in client.tasks(cluster, number, ids=[output_of], with_output=True)
        }
        return request, [full.get(task.id, task) for task in tasks]


@contextmanager
def _opened(loaded: LoadedInventory, settings: Settings, secrets: Secrets) -> Iterator[Deployment]:
    ca = ca_bundle(settings.project.network)
    with open_deployment(loaded, secrets, lambda event: None, Path(), ca=ca, overlays=settings.overlays) as deployment:
        yield deployment
