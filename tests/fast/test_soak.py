"""The soak's own judgement: what differs between rounds or is left after one ends it, and a seed repeats it."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
RUNNING = [["node1", "ZOOKEEPER_SERVER", "STARTED", "STARTED", False]]


@pytest.fixture(scope="module")
def soak() -> Iterator[ModuleType]:
    sys.path.insert(0, str(SCRIPTS))
    try:
        import soak as module

        yield module
    finally:
        sys.path.remove(str(SCRIPTS))


class Trial:
    name = "bed"

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        yield


def rounds(soak: ModuleType, seed: int, states: list[Any], deployments: list[int] | None = None) -> list[str]:
    """What happens in as many rounds as there are pairs of states: before and after the change."""
    said: list[str] = []
    codes = iter(deployments or [0] * 100)

    class Scripted(soak.Soak):  # type: ignore[misc, name-defined]
        def deploy(self, value: str) -> int:
            said.append(f"deploy {value}")
            return next(codes)

        def disturbed(self, value: str) -> None:
            what = self.bed.random.choice(self.disturbances())
            said.append(what.__name__ if what else "killed")
            self.value = value

        def state(self) -> dict[str, object]:
            wanted = said[-1].split()[1] if said[-1].startswith("deploy") else self.value
            return {"components": states.pop(0), "zoo.cfg/tickTime": wanted}

        def destroy(self) -> None:
            said.append("destroy")

    bed = soak.Bed(Trial(), random.Random(seed))
    made = Scripted(bed, Path("inventories/demo.yaml"), "zoo.cfg", "tickTime", ("2000", "2500", "3000"))
    for number in range(len(states) // 2):
        made.round(number + 1, 20)
    return said


def test_a_seed_repeats_the_same_rounds_and_another_does_not(soak: ModuleType) -> None:
    first, again, other = (rounds(soak, seed, [RUNNING] * 40) for seed in (7, 7, 8))
    assert first == again != other
    assert {"kill_process", "lose_agent", "restart_server", "kill_server", "killed"} <= set(first)
    assert first.count("destroy") == 20


def test_another_state_than_in_the_first_round_ends_it(soak: ModuleType) -> None:
    stopped = [["node1", "ZOOKEEPER_SERVER", "INSTALLED", "STARTED", False]]
    with pytest.raises(SystemExit, match="the state differs"):
        rounds(soak, 7, [RUNNING] * 39 + [stopped])


def test_a_failed_deployment_ends_it(soak: ModuleType) -> None:
    with pytest.raises(SystemExit, match="the deployment failed"):
        rounds(soak, 7, [RUNNING] * 4, [0, 9])
