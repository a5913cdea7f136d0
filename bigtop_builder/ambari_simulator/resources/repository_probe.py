"""How the server looks at a repository that it is told of."""

from __future__ import annotations

from bigtop_builder.ambari_simulator.engine.state import World
from bigtop_builder.ambari_simulator.rest.replies import Refusal


def check_repository(world: World, url: str) -> None:
    """Refuses an address below which there is no repository metadata (092, 094)."""
    if "$" in url:
        return
    status, text = world.fetch(f"{url.rstrip('/')}/repodata/repomd.xml")
    if status == 0:
        raise Refusal(400, f"Could not access base url '{url}', {text}")
    if status != 200:
        raise Refusal(400, f"Could not access base url '{url}', code: '{status}', response: '{text}'")
