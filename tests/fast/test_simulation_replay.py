"""The simulated server against what was recorded outside clusters: sign-in, hosts, stacks, blueprints, advice.

What happens in clusters is replayed in ``test_simulation_cluster_replay``.
"""

from __future__ import annotations

import pytest

from bigtop_builder.ambari_simulator.assembly import make_world, serve
from bigtop_builder.ambari_simulator.engine.state import World
from bigtop_builder.ambari_simulator.rest.server import Simulation
from tests.fast.replay import Stage, exchanges
from tests.fast.replay_left_out import LEFT_OUT

NOT_THERE = exchanges(range(92, 93))[0].document()["message"]


def fetch(url: str) -> tuple[int, str]:
    """The web server beside the recorded one: its repository is there, other paths are not."""
    if url.startswith("http://172.28.0.1:8099/bigtop/"):
        return 200, ""
    return 404, NOT_THERE.split("response: '", 1)[1].removesuffix("'")


def simulation(world: World) -> Simulation:
    """A server on the stage's world."""
    ready = make_world(world.hosts.values(), clock=world.clock)
    ready.fetch = fetch
    return serve(ready)


def _blueprint_zk3(stage: Stage) -> None:
    # Its creation was not published; the second try, which is refused, has the same body.
    stage.call("POST", "/api/v1/blueprints/zk3", exchanges(range(82, 83))[0].body)


def _former_advice(stage: Stage) -> None:
    stage.world.number("advice")


def _broken_advisor(stage: Stage) -> None:
    stage.world.switches.add("advisor-error")


def _viewer_off(stage: Stage) -> None:
    stage.call("PUT", "/api/v1/users/viewer", '{"Users/active": false}')


HIDDEN = {81: _blueprint_zk3, 504: _viewer_off, 508: _former_advice, 512: _broken_advisor}
"""What happened before an exchange without being recorded."""

PARTS = {
    "before any cluster": [*range(1, 108)],
    "sessions and users": [*range(448, 478), *range(497, 506)],
    "stacks and advice": [*range(506, 523)],
}


@pytest.mark.parametrize("part", PARTS)
def test_answers_are_the_recorded_ones(part: str) -> None:
    numbers = PARTS[part]
    stage = Stage(simulation, hidden=HIDDEN, first=numbers[0])
    wrong = {}
    try:
        for exchange in exchanges():
            if exchange.number in numbers and exchange.number not in LEFT_OUT:
                differences = stage.play(exchange)
                if differences:
                    wrong[exchange.name] = differences
    finally:
        stage.close()
    assert not wrong, "\n".join(f"{name}\n  " + "\n  ".join(lines[:8]) for name, lines in wrong.items())
