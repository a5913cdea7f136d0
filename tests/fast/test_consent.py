"""Nothing that runs is stopped, restarted or removed unless somebody has agreed to it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.cli.confirmation import confirm_on_terminal
from bigtop_builder.flow.deploy import deployment_run
from bigtop_builder.flow.deploy.consent import Consent, NotAgreedError, Question
from bigtop_builder.flow.deploy.deployment import Deployment, open_deployment
from bigtop_builder.flow.deploy.preview import Disruptions, preview
from bigtop_builder.hosts.facts import HostFacts, ServiceFact
from bigtop_builder.hosts.services import service_running, service_stopped
from bigtop_builder.model.errors import AmbariError, ConfigurationError, ExitCode
from bigtop_builder.model.event import AnyEvent, Change, Phase, RunFinished
from bigtop_builder.recipe.inventory import load_inventory
from bigtop_builder.recipe.settings import load_settings
from tests.fast.deploying import Bench

QUESTION = Question("this disrupts what runs on cluster c1", ["restart DATANODE on node1", "stop DATANODE on node2"])
HINT = "Add --yes."


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Bench(tmp_path, monkeypatch) as one:
        yield one


class Typed(io.StringIO):
    """Standard input of a terminal."""

    def isatty(self) -> bool:
        return True


def test_what_was_agreed_to_may_be_disrupted_and_nothing_else() -> None:
    Consent().require("stop all", ["DATANODE on node1"])
    some = Consent(["DATANODE on node1", "DATANODE on node2"])
    some.require("stop it", ["DATANODE on node1"])
    some.require("change a property", [])
    with pytest.raises(NotAgreedError, match=r"stop more; it disrupts DATANODE on node3\n"):
        some.require("stop more", ["DATANODE on node1", "DATANODE on node3"])
    with pytest.raises(NotAgreedError, match=r"node18 and 9 more\n"):
        Consent([]).require("stop all", [f"DATANODE on node{number}" for number in range(1, 20)])


@pytest.mark.parametrize("answer", ["y\n", "YES\n", " yes \n"])
def test_a_yes_on_the_terminal_goes_on(
    answer: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Typed(answer))
    confirm_on_terminal(QUESTION, hint=HINT)
    asked = capsys.readouterr()
    assert asked.out == ""
    assert asked.err == (
        "This disrupts what runs on cluster c1:\n  restart DATANODE on node1\n  stop DATANODE on node2\n"
        "Continue? [y/N] "
    )


@pytest.mark.parametrize("answer", ["n\n", "\n", "", "yess\n"])
def test_any_other_answer_is_a_no(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Typed(answer))
    with pytest.raises(ConfigurationError, match="was not confirmed; nothing was done") as caught:
        confirm_on_terminal(QUESTION, hint=HINT)
    assert caught.value.exit_code == ExitCode.USAGE


def test_without_a_terminal_the_flag_and_the_changes_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))
    with pytest.raises(ConfigurationError, match="restart DATANODE on node1\n  stop DATANODE on node2") as caught:
        confirm_on_terminal(QUESTION, hint=HINT)
    assert (caught.value.hint, caught.value.exit_code) == (HINT, ExitCode.USAGE)


def test_a_name_may_be_the_answer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ask = partial(confirm_on_terminal, Question("this removes c1"), hint="", prompt="Its name: ", accepted=["c1"])
    monkeypatch.setattr(sys, "stdin", Typed("c1\n"))
    ask()
    assert capsys.readouterr().err == "This removes c1. Its name: "
    monkeypatch.setattr(sys, "stdin", Typed("yes\n"))
    with pytest.raises(ConfigurationError):
        ask()


def test_a_service_that_is_stopped_or_restarted_is_disrupted_one_that_starts_is_not() -> None:
    def facts(running: bool) -> HostFacts:
        return HostFacts(name="node1", clock=0.0, services={"s": ServiceFact(running=running, enabled=True)})

    assert [one.disrupts for one in service_running(facts(False), "s", changed=True)] == [()]
    assert [one.disrupts for one in service_running(facts(True), "s", changed=True)] == [("s",)]
    assert [one.disrupts for one in service_stopped(facts(True), "s")] == [("s",), ()]


def stopping(deployment: Deployment) -> str:
    deployment.reporter.change("one property")
    deployment.reporter.change("stop node1", disrupts=["SERVER on node1"])
    return ""


def failing(deployment: Deployment) -> str:
    deployment.reporter.change("stop node2", disrupts=["SERVER on node2"])
    raise AmbariError("refused")


TABLE: dict[Phase, Callable[[Deployment], str]] = {"check": failing, "cluster": failing, "start": stopping}


@pytest.fixture
def call(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[AnyEvent]]:
    """Run the table as the command does, without hosts; gives the events."""
    monkeypatch.setattr(
        deployment_run,
        "open_deployment",
        lambda *given, **named: open_deployment(*given, **{**named, "hosted": False}),
    )
    monkeypatch.setattr(deployment_run, "DEPLOY", TABLE)
    file = tmp_path / "inventory.yaml"
    groups = "groups: {all: {hosts: [node1.x.test], components: [ZOOKEEPER_SERVER]}}"
    file.write_text(
        f'cluster: c1\nambari: {{url: {bench.simulation.url}, password: "env:TEST_AMBARI_PASSWORD"}}\n{groups}\n'
    )

    def run(confirm: Any, *phases: Phase, dry_run: bool = False) -> list[AnyEvent]:
        events: list[AnyEvent] = []
        settings = load_settings(tmp_path, {"store": str(tmp_path / "store")}, {})
        given = deployment_run.Call(load_inventory(file), settings, events.append, confirm=confirm)
        deployment_run.deploy(given, phases, dry_run=dry_run, rehearse=False)
        return events

    return run


def exit_code(events: list[AnyEvent]) -> int:
    return next(event.exit_code for event in events if isinstance(event, RunFinished))


def test_the_run_asks_once_before_it_changes_anything(call: Callable[..., list[AnyEvent]]) -> None:
    asked: list[Question] = []
    assert exit_code(call(asked.append, "start")) == 0
    assert [(one.title, [*one.lines]) for one in asked] == [("this disrupts what runs on cluster c1", ["stop node1"])]


def test_a_no_leaves_everything_as_it_is(call: Callable[..., list[AnyEvent]]) -> None:
    def refuse(question: Question) -> None:
        raise ConfigurationError("no")

    events: list[AnyEvent] = []
    with pytest.raises(ConfigurationError, match="no"):
        events = call(refuse, "start")
    assert events == []


def test_neither_a_dry_run_nor_yes_asks(call: Callable[..., list[AnyEvent]]) -> None:
    asked: list[Question] = []
    events = call(asked.append, "start", dry_run=True)
    assert [event.state for event in events if isinstance(event, Change)] == ["planned", "planned"]
    events = call(None, "start")
    assert [event.disrupts for event in events if isinstance(event, Change)] == [[], ["SERVER on node1"]]
    assert asked == []


def test_a_phase_that_fails_hides_nothing_of_the_others(bench: Bench) -> None:
    found = Disruptions()

    def look(deployment: Deployment) -> str:
        deployment.reporter.bus = found
        preview(deployment, ["check", "cluster", "start"], TABLE)
        return ""

    bench.deploy(phases=["cluster"], table={"cluster": look}, dry_run=True)
    assert found.lines == ["stop node2", "stop node1"]
    found.consent.require("both", ["SERVER on node1", "SERVER on node2"])
    with pytest.raises(NotAgreedError):
        found.consent.require("another", ["SERVER on node3"])
