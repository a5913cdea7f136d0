"""Builds that take results from the store of a team and put them there, with an executor that builds on paper."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from bigtop_builder.adapter.store import remove_tree
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.result_sharing import ResultSharing
from bigtop_builder.model.errors import ConfigurationError, ExitCode
from bigtop_builder.model.event import AnyEvent, Notice, TaskFinished
from bigtop_builder.plan.task import Kind
from tests.fast.conftest import ProjectFolder
from tests.fast.real_servers import nginx
from tests.fast.test_executor import PaperExecutor, run
from tests.fast.test_planning import COMPILED, SHA, SOURCE, with_images, workspace


@pytest.fixture
def team(project: ProjectFolder) -> ProjectFolder:
    """A project whose results are shared in a folder; ``key.pem`` signs them."""
    project.component("a", COMPILED, versions=SOURCE % SHA)
    project.component("b", COMPILED + "depends: {build: [a]}\n", versions=SOURCE % SHA)
    project.component("c")
    project.stack(a="1", b="1", c="1")
    private = Ed25519PrivateKey.generate()
    (project.root / "key.pem").write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (project.root / "key.pub").write_bytes(public)
    (project.root / "shared").mkdir()
    return project


def machine(team: ProjectFolder, name: str, *, push: bool = False, url: str | None = None) -> Project:
    """A machine of the team, with a store of its own."""
    signing = {"attestation_key": f"file:{team.root / 'key.pem'}"} if push else {}
    results = {"url": url or str(team.root / "shared"), "push": push, "trust": [str(team.root / "key.pub")]}
    return workspace(team, store=str(team.root / name), results=results, signing=signing)


def told(events: list[AnyEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice) and event.level == "warning"]


def states(events: list[AnyEvent]) -> dict[str, str]:
    return {event.task: event.state for event in events if isinstance(event, TaskFinished)}


def test_what_one_machine_built_another_takes(team: ProjectFolder) -> None:
    first, executor = with_images(machine(team, "first", push=True), "a", "b", "c"), PaperExecutor()
    done, events = run(first, executor)
    assert done.exit_code == ExitCode.DONE and len(executor.orders) == 5 and not told(events)
    second = machine(team, "second")
    plan = second.plan(Request(everything=True, platforms=("el8",)))
    # The second machine has made no image: that of the first one shapes the same keys.
    assert {(task.action, task.reasons) for task in plan.tasks} == {("reuse", ("from results",))}
    executor = PaperExecutor()
    done, events = run(second, executor)
    assert done.exit_code == ExitCode.DONE and executor.orders == [] and not executor.closed
    assert set(states(events).values()) == {"reused"} and len(states(events)) == 3
    # Once they are here, nothing is asked for.
    remove_tree(team.root / "shared")
    done, events = run(machine(team, "second"), executor)
    assert set(states(events).values()) == {"reused"} and executor.orders == []


def test_only_what_is_missing_is_built(team: ProjectFolder) -> None:
    run(with_images(machine(team, "first", push=True), "a", "b", "c"), PaperExecutor())
    second, executor = with_images(machine(team, "second"), "a", "b", "c"), PaperExecutor()
    made = second.plan(Request(everything=True, platforms=("el8",)))
    lost = next(task for task in made.tasks if task.id == "b@el8/package")
    (team.root / "shared" / "ac" / lost.key).unlink()
    done, events = run(machine(team, "second"), executor)
    assert done.exit_code == ExitCode.DONE
    assert [order.task for order in executor.orders] == ["b@el8/package"]
    # Its staged tree was taken, because the package is made from it.
    assert states(events)["b@debian-bootstrap/compile"] == "reused"


def test_a_result_that_cannot_be_taken_after_all_is_built(team: ProjectFolder) -> None:
    run(with_images(machine(team, "first", push=True), "a", "b", "c"), PaperExecutor())
    for blob in (team.root / "shared" / "cas").iterdir():
        blob.write_bytes(b"something else")
    second, executor = with_images(machine(team, "second"), "a", "b", "c"), PaperExecutor()
    (team.root / "shared" / "ac" / _key(second, "b@el8/package")).unlink()
    done, events = run(machine(team, "second"), executor)
    assert done.exit_code == ExitCode.DONE
    assert "b@debian-bootstrap/compile" in {order.task for order in executor.orders}
    # Nothing was to be built at first, so its images are made when that changes.
    assert {image.spec.name for image in executor.images} >= {"debian-bootstrap-package"}
    assert set(states(events).values()) <= {"reused", "done"} and len(states(events)) == len(done.plan.tasks)
    assert any("cas/" in text for text in told(events))


def test_ctrl_c_while_a_lost_result_is_to_be_planned_again(
    team: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(with_images(machine(team, "first", push=True), "a", "b", "c"), PaperExecutor())

    pressed = iter([signal.SIGINT])

    def take(sharing: ResultSharing, kind: Kind, key: str) -> bool:
        for one in pressed:
            os.kill(os.getpid(), one)
        time.sleep(0.2)
        sharing._offered[kind, key] = False
        return False

    monkeypatch.setattr(ResultSharing, "take", take)
    done, events = run(with_images(machine(team, "second"), "a", "b", "c"), PaperExecutor())
    assert done.exit_code == ExitCode.INTERRUPTED
    assert set(done.results) == {task.id for task in done.plan.tasks} == set(states(events))
    assert set(states(events).values()) == {"cancelled"}


def _key(project: Project, task: str) -> str:
    plan = project.plan(Request(everything=True, platforms=("el8",)))
    return next(one.key for one in plan.tasks if one.id == task)


@pytest.mark.parametrize("url", ["/nowhere/mounted", "http://127.0.0.1:9/results"])
def test_a_store_that_is_down_is_told_once_and_fails_nothing(team: ProjectFolder, url: str) -> None:
    space, executor = with_images(machine(team, "first", push=True, url=url), "a", "b", "c"), PaperExecutor()
    done, events = run(space, executor)
    assert done.exit_code == ExitCode.DONE and len(executor.orders) == 5
    assert len(told(events)) == 1 and "goes on without it" in told(events)[0]


def test_a_store_that_is_full_fails_nothing(team: ProjectFolder) -> None:
    (team.root / "shared" / "cas").write_text("a file in the place of a folder")
    space, executor = with_images(machine(team, "first", push=True), "a", "b", "c"), PaperExecutor()
    done, events = run(space, executor)
    assert done.exit_code == ExitCode.DONE and len(executor.orders) == 5
    assert len(told(events)) <= 1


@pytest.mark.parametrize(
    ("rules", "login", "told_of"),
    [
        ("", "builder:word", "401"),
        ("if ($request_method = PUT) { return 507; }", None, "507"),
        ("client_max_body_size 1;", None, "413"),
        ("default_type text/html; return 200 '<html>Log in</html>';", None, "something else than results"),
    ],
)
def test_what_a_server_refuses_is_told_once(team: ProjectFolder, rules: str, login: str | None, told_of: str) -> None:
    with nginx(team.root / "nginx", rules=rules, login=login) as server:
        space, executor = with_images(machine(team, "first", push=True, url=server.url), "a", "b", "c"), PaperExecutor()
        done, events = run(space, executor)
    assert done.exit_code == ExitCode.DONE and len(executor.orders) == 5
    assert len(told(events)) == 1 and told_of in told(events)[0] and "goes on without it" in told(events)[0]


def test_offline_asks_for_nothing(team: ProjectFolder) -> None:
    run(with_images(machine(team, "first", push=True), "a", "b", "c"), PaperExecutor())
    executor = PaperExecutor()
    run(with_images(machine(team, "second"), "a", "b", "c"), executor, offline=True)
    assert len(executor.orders) == 5


def test_keys_are_looked_up_together(team: ProjectFolder) -> None:
    together = threading.Barrier(3)

    class Waiting:
        def has(self, kind: Kind, key: str) -> bool:
            together.wait(20)
            return key == "b"

    sharing = ResultSharing(Waiting(), machine(team, "first").store, push=False)  # type: ignore[arg-type]
    sharing.expect(("package", key) for key in "abc")
    assert [sharing.offers("package", key) for key in "abc"] == [False, True, False]
    assert not sharing.untold()


def test_a_plan_looks_up_packages_and_then_the_trees_of_missing_ones(
    team: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(with_images(machine(team, "first", push=True), "a", "b", "c"), PaperExecutor())
    second = machine(team, "second")
    (team.root / "shared" / "ac" / _key(second, "b@el8/package")).unlink()
    asked: list[list[str]] = []
    original = ResultSharing.expect

    def expect(self: ResultSharing, wanted: Iterable[tuple[Kind, str]]) -> None:
        found = list(wanted)
        asked.append([kind for kind, _ in found])
        original(self, found)

    monkeypatch.setattr(ResultSharing, "expect", expect)
    machine(team, "third").plan(Request(selectors=("a", "b", "c"), platforms=("el8",)))
    # The tree of a is asked for as well, because that of b is built on it.
    assert asked == [["package"] * 3, ["compile"] * 2]


def test_another_set_up_takes_what_was_built(
    team: ProjectFolder, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = with_images(machine(team, "first", push=True), "a", "b", "c")
    run(first, PaperExecutor())
    elsewhere = tmp_path_factory.mktemp("another user's home") / "checkout"
    folder = ProjectFolder(elsewhere)
    shutil.copytree(team.overlay, folder.overlay, dirs_exist_ok=True)
    for name, value in {"HOME": str(elsewhere), "USER": "other", "TZ": "Asia/Tokyo", "LANG": "zh_CN.UTF-8"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/user/1000/podman/podman.sock")
    former = os.umask(0o077)
    try:
        other = workspace(
            folder,
            store=str(elsewhere / "deep" / "store"),
            output=str(elsewhere / "packages"),
            limits={"jobs": 7, "memory": "3g", "timeout": "9h"},
            network={"proxy": {"http": "http://proxy.example.com:3128"}, "retries": 5},
            mirrors={"preset": "none", "maven": [{"id": "m", "url": "https://maven.example.com"}]},
            results={"url": str(team.root / "shared"), "trust": [str(team.root / "key.pub")]},
        )
        keys = [
            {task.id: task.key for task in one.plan(Request(everything=True, platforms=("el8",))).tasks}
            for one in (first, other)
        ]
        executor = PaperExecutor()
        done, _ = run(other, executor)
    finally:
        os.umask(former)
    assert keys[0] == keys[1] and len(keys[0]) == 3
    assert done.exit_code == ExitCode.DONE and executor.orders == []


@pytest.mark.parametrize(
    ("results", "problem"),
    [
        ({"url": "/x"}, "no key is trusted"),
        ({"url": "/x", "push": True}, "puts signed results"),
        ({"url": "/x", "trust": ["absent.pem"]}, "cannot be read"),
        ({"url": "/x", "trust": ["bigtop-builder.yaml"]}, "is not a public key"),
        ({"url": "ftp://x/y", "push": True}, "It must match"),
    ],
)
def test_settings_that_cannot_work(team: ProjectFolder, results: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        workspace(team, results=results).plan(Request(everything=True, platforms=("el8",)))


def test_relative_keys_are_beside_the_project_file(team: ProjectFolder) -> None:
    text = Path(team.root / "bigtop-builder.yaml").read_text()
    team.write("bigtop-builder.yaml", text + f"results: {{url: {team.root / 'shared'}, trust: [key.pub]}}\n")
    assert workspace(team).plan(Request(everything=True, platforms=("el8",))).tasks
