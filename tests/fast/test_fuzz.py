"""Damaged input of every kind, a fixed number of rounds with a fixed seed; ``make fuzz`` runs as many as wanted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.harness import Target, repeat
from tests.fuzz.targets import TARGETS

SEED = 1


@pytest.fixture(autouse=True)
def _plain_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_damaged_input_is_read_or_refused(target: type[Target], tmp_path: Path) -> None:
    made = target(tmp_path)
    try:
        tally = repeat(made, SEED, 0, target.rounds)
    finally:
        made.close()
    assert not tally.failures, tally.failures[0]
    assert tally.refused or target.name in ("signature", "version", "events", "tap")
    assert tally.read
