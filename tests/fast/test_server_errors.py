"""A failure that Ambari only explains in its log is looked up there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bigtop_builder.adapter.ambari.errors import message_of, refusal
from bigtop_builder.flow.deploy.deployment import Deployment
from bigtop_builder.model.errors import HostError
from bigtop_builder.model.event import PhaseFinished
from tests.fast.deploying import INVENTORY, Bench
from tests.transcripts import needs_transcripts, transcript

SET_UP = INVENTORY.replace("poll: 2s", "poll: 2s, setup: {host: Node1.x.test, repository: 'http://repository.test/a'}")
UUID = "b705b4b6-1af5-43dc-9710-4cf217df5ca1"
BEGIN = (
    f"2026-11-28 04:10:11,012 ERROR [ambari-client-thread-38] AmbariErrorHandler:96 - … by {UUID} in the server log\n"
)
DELETED = f"""{BEGIN}java.lang.NullPointerException
\tat org.apache.ambari.server.state.configgroup.ConfigGroupImpl.delete(ConfigGroupImpl.java:1)
\tat org.apache.ambari.server.state.cluster.ClusterImpl.delete(ClusterImpl.java:2)
Caused by: java.lang.IllegalStateException: gone
\t... 55 more
2026-11-28 04:10:12,013  INFO [main] Other:1 - later
java.io.IOException: of another entry
"""
FULL = f"""{BEGIN}javax.persistence.RollbackException: Exception [EclipseLink-4002]
Caused by: org.postgresql.util.PSQLException: ERROR: could not extend file "base/16385/16586": No space left on device
"""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Bench(tmp_path, monkeypatch) as one:
        yield one


def failing(
    bench: Bench, log: str | HostError, inventory: str = SET_UP, message: str = ""
) -> tuple[list[str], list[str]]:
    """Hosts that were asked, and the lines that the failure of a phase shows; the rest is in ``bench.failure``."""
    asked: list[str] = []

    def run(script: str, timeout: float) -> Any:
        assert UUID in script
        if isinstance(log, HostError):
            raise log
        return SimpleNamespace(stdout=log)

    def remote(host: str) -> Any:
        asked.append(host)
        return SimpleNamespace(run=run)

    def fail(_: Deployment) -> str:
        raise refusal("DELETE clusters/h1", 500, message or message_of(transcript(610).body))

    bench.fleet = SimpleNamespace(remote=remote, close=lambda: None, round_trips=0)
    assert bench.deploy(inventory, phases=["start"], table={"start": fail}) == 9
    failure = next(event.failure for event in bench.events if isinstance(event, PhaseFinished))
    assert failure is not None
    return asked, failure.last_lines


@needs_transcripts
def test_the_exception_is_shown_without_its_frames(bench: Bench) -> None:
    asked, lines = failing(bench, DELETED)
    assert asked == ["node1.x.test"]
    assert lines == [
        "java.lang.NullPointerException",
        "\tat org.apache.ambari.server.state.configgroup.ConfigGroupImpl.delete(ConfigGroupImpl.java:1)",
        "Caused by: java.lang.IllegalStateException: gone",
        "\t... 55 more",
    ]
    assert UUID in bench.failure


@needs_transcripts
def test_a_known_cause_is_named(bench: Bench) -> None:
    failing(bench, FULL)
    assert "the database has no space left" in bench.failure and "free some space on the database" in bench.failure


@needs_transcripts
@pytest.mark.parametrize(
    ("log", "inventory", "message"),
    [(HostError("no route"), SET_UP, ""), ("", SET_UP, ""), (DELETED, INVENTORY, ""), (DELETED, SET_UP, "odd")],
)
def test_without_the_log_the_answer_has_to_do(bench: Bench, log: str | HostError, inventory: str, message: str) -> None:
    assert failing(bench, log, inventory, message)[1] == []
    assert "Ambari rejected DELETE clusters/h1: 500" in bench.failure and "ambari-server.log" in bench.failure
