"""Images by name and by id, as every engine knows them."""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING

from bigtop_builder.adapter.containers.engine import engine_errors
from bigtop_builder.model.errors import EngineError

if TYPE_CHECKING:
    from docker import DockerClient


def present(client: DockerClient, reference: str) -> str | None:
    """Return the id of an image, or None when the engine does not have it. Raises EngineError."""
    import docker

    try:
        with engine_errors(f"looking for the image {reference}"):
            return client.images.get(reference).id
    except Exception as error:
        if isinstance(error.__cause__, docker.errors.NotFound):
            return None
        raise


def import_image(client: DockerClient, archive: IO[bytes], tag: str) -> str:
    """Make an image of an archive of files; return its id. Podman ignores the tag of an import, so it comes after."""
    with engine_errors(f"importing the image {tag}"):
        answer = client.api.import_image(src=archive)
        found = str(json.loads(answer.strip().splitlines()[-1]).get("status", ""))
        if not found:
            raise EngineError(f"importing the image {tag}: the engine answered {answer.strip()[-500:]}")
        name, version = tag.split(":")
        client.api.tag(found, name, version, force=True)
    return found
