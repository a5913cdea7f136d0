"""Repositories of a deployment: their names, versions registered wrongly before, and what agents leave on hosts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bigtop_builder.adapter.ambari.client import Ambari
from bigtop_builder.adapter.ambari.errors import UnexpectedAnswerError
from bigtop_builder.adapter.ambari.repository import RepositoryEntry, repository_version
from bigtop_builder.ambari_simulator.engine.injection import TaskFault
from bigtop_builder.cluster.repository_names import NamedRepository, name_repositories
from bigtop_builder.cluster.version_definition import version_definition
from bigtop_builder.flow.deploy import phases as work
from bigtop_builder.flow.deploy import repository as registration
from bigtop_builder.flow.deploy import stack_upgrade
from bigtop_builder.hosts.packages import REFRESH
from bigtop_builder.model.event import Change, HostFailed
from tests.fast.agent_hosts import AgentFleet, AgentHost
from tests.fast.deploying import INVENTORY, PASSWORD, Bench
from tests.fast.recorded_server import recorded

NODES = [f"node{number}.x.test" for number in (1, 2, 3)]
BROKEN = "[BIGTOP-3.2.0-repo-7]\nbaseurl=http://a.test\n\n[BIGTOP-3.2.0-repo-7]\nbaseurl=http://b.test\n"
LEFT = "[BIGTOP-3.2.0-repo-8]\nbaseurl=http://former.test\n"
DESTROY = {"destroy": work.destroy}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Bench(tmp_path, monkeypatch) as one:
        yield one


def hosts(bench: Bench) -> dict[str, AgentHost]:
    made = [AgentHost(name, bench.agent, bench.folder / name) for name in NODES]
    bench.fleet = AgentFleet(made)
    return {host.name: host for host in made}


def registered(bench: Bench, family: str = "redhat8") -> list[tuple[str, str, str]]:
    (version,) = bench.world.versions.values()
    return [(one["repo_id"], one["repo_name"], one["base_url"]) for one in version.systems[family]["repositories"]]


def path(number: int) -> str:
    return f"/etc/yum.repos.d/ambari-bigtop-{number}.repo"


def test_ambari_adds_no_repository_of_its_own_at_registration_or_start(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    assert registered(bench) == [("BIGTOP-3.2.0", "bigtop", "http://repository.test/el8")]
    bench.work.restart_server()
    assert len(registered(bench)) == 1
    assert {text.count("[BIGTOP-3.2.0-repo-1]") for host in NODES for text in bench.agent.files[host].values()} == {1}
    assert bench.deploy() == 0, bench.failure
    assert bench.changes == []


def test_a_name_of_its_own_would_break_the_first_installation(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What every first deployment onto a real server came to; the simulated one must not be friendlier."""

    def former(ours: list[tuple[str, str]], stack: object) -> list[NamedRepository]:
        return [NamedRepository(key, key.lower(), url) for key, url in ours]

    monkeypatch.setattr(registration, "name_repositories", former)
    monkeypatch.setattr(registration, "_update", lambda *_: None)
    assert bench.deploy() == 9
    failed = [
        task
        for request in bench.work.engine.requests.values()
        for task in request.tasks
        if task.status.value == "FAILED"
    ]
    assert {task.command for task in failed} == {"INSTALL"}
    for task in failed:
        assert "DuplicateSectionError: While reading from '/etc/yum.repos.d/ambari-bigtop-1.repo'" in task.stdout
        assert task.stderr.endswith("(expected name: zookeeper_3_2_0)")


def test_a_version_that_an_earlier_release_registered_is_repaired(bench: Bench) -> None:
    entry = ("BIGTOP-3.2.0", "bigtop-3.2.0", "http://repository.test/el8")
    xml = version_definition(bench.world.stacks["BIGTOP", "3.2.0"], "3.2.0", {"redhat8": [entry]})
    with Ambari(bench.simulation.url, "admin", PASSWORD) as client:
        client.register_version(xml)
    assert [name for _, name, _ in registered(bench)] == ["bigtop-3.2.0", "bigtop"]
    assert bench.deploy(dry_run=True) == 0, bench.failure
    (change,) = [event for event in bench.events if isinstance(event, Change) and event.name.startswith("repositories")]
    assert "-redhat8: http://repository.test/el8 (bigtop-3.2.0)" in change.detail.splitlines()
    assert "+redhat8: http://repository.test/el8 (bigtop)" in change.detail.splitlines()
    assert bench.deploy() == 0, bench.failure
    assert registered(bench) == [("BIGTOP-3.2.0", "bigtop", "http://repository.test/el8")]
    assert bench.deploy() == 0, bench.failure
    assert bench.changes == []


def test_what_ambari_adds_later_goes_again(bench: Bench) -> None:
    """A stack may get another repository after the version was registered."""
    assert bench.deploy() == 0, bench.failure
    (version,) = bench.world.versions.values()
    more = {"repo_id": "BIGTOP-EXTRA", "repo_name": "extra", "base_url": "http://far.test"}
    version.systems["redhat8"]["repositories"].append({**version.systems["redhat8"]["repositories"][0], **more})
    assert bench.deploy(phases=["repository"]) == 0, bench.failure
    assert bench.changes == ["repositories of BIGTOP-3.2.0"]
    assert [name for _, name, _ in registered(bench)] == ["bigtop"]


def test_other_families_keep_their_repositories_and_who_writes_their_files(bench: Bench) -> None:
    assert bench.deploy() == 0, bench.failure
    (version,) = bench.world.versions.values()
    own = {**version.systems["redhat8"]["repositories"][0], "base_url": "http://mine.test", "tags": ["GPL"]}
    own |= {"mirrors_list": "http://mirrors.test", "distribution": "el9", "unique": True, "os_type": "redhat9"}
    version.systems["redhat9"] = {"ambari_managed_repositories": False, "repositories": [own]}
    moved = INVENTORY.replace("http://repository.test/el8", "http://other.test/el8")
    assert bench.deploy(moved) == 0, bench.failure
    assert registered(bench)[0][2] == "http://other.test/el8"
    assert version.systems["redhat9"] == {"ambari_managed_repositories": False, "repositories": [own]}
    assert version.systems["redhat8"]["ambari_managed_repositories"] is True


def test_a_server_that_keeps_other_repositories_is_noticed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bench.deploy() == 0, bench.failure
    monkeypatch.setattr(Ambari, "update_repositories", lambda *_, **__: None)
    assert bench.deploy(INVENTORY.replace("repository.test", "other.test")) == 9
    assert "has others for redhat8" in bench.failure


def test_a_version_whose_repositories_were_not_read_is_not_taken_for_one_without() -> None:
    about = {"RepositoryVersions": {"id": 1, "repository_version": "3.2.0"}}
    with pytest.raises(UnexpectedAnswerError, match="no operating_systems"):
        repository_version(about)
    with pytest.raises(UnexpectedAnswerError, match="no repositories"):
        repository_version({**about, "operating_systems": [{"OperatingSystems": {"os_type": "redhat8"}}]})
    read = repository_version({**about, **recorded(661).answer})
    assert read.os == {
        "redhat8": (RepositoryEntry("BIGTOP-3.2.0", "bigtop", "http://10.241.0.2/stack/bigtop-3.2.0/el8"),)
    }
    assert read.managed == {"redhat8"}


@pytest.mark.parametrize(
    ("ours", "stack", "named"),
    [
        ([("BIGTOP-3.2.0", "u")], [("BIGTOP-3.2.0", "bigtop")], [("BIGTOP-3.2.0", "bigtop", "u")]),
        ([("mine", "u")], [("BIGTOP-3.2.0", "bigtop")], [("mine", "bigtop", "u")]),
        (
            [("Extra", "e"), ("BIGTOP-3.2.0", "u")],
            [("BIGTOP-3.2.0", "bigtop")],
            [("Extra", "extra", "e"), ("BIGTOP-3.2.0", "bigtop", "u")],
        ),
        (
            [("one", "1"), ("bigtop", "2")],
            [("BIGTOP-3.2.0", "bigtop")],
            [("one", "bigtop", "1"), ("bigtop", "bigtop-2", "2")],
        ),
        (
            [("HDP", "u"), ("tools", "t")],
            [("HDP-UTILS", "utils"), ("HDP", "hdp")],
            [("HDP", "hdp", "u"), ("tools", "utils", "t")],
        ),
        ([("HDP", "u")], [("HDP-UTILS", "utils"), ("HDP", "hdp")], [("HDP", "hdp", "u"), ("HDP-UTILS", "utils", "u")]),
        ([("A", "u")], [("A", "one"), ("A", "two")], [("A", "two", "u"), ("A-2", "one", "u")]),
        ([("mine", "u")], [], [("mine", "mine", "u")]),
        ([], [("BIGTOP-3.2.0", "bigtop")], []),
    ],
    ids=[
        "same id",
        "another id",
        "id before order",
        "name taken",
        "two of each",
        "stack has more",
        "same id twice",
        "no stack",
        "none",
    ],
)
def test_names(ours: list[tuple[str, str]], stack: list[tuple[str, str]], named: list[tuple[str, str, str]]) -> None:
    found = [(one.id, one.name, one.url) for one in name_repositories(ours, stack)]
    assert found == named
    if ours:
        assert {name for _, name in stack} <= {name for _, name, _ in found}, "or Ambari would add it"
    assert len({key for key, _, _ in found}) == len(found), "or agents would write a section twice"


def test_broken_and_former_files_go_before_the_installation(bench: Bench) -> None:
    nodes = hosts(bench)
    nodes[NODES[0]].files |= {path(7): BROKEN, "/etc/yum.repos.d/mine.repo": "[mine]\nbaseurl=x\n"}
    nodes[NODES[1]].files |= {path(8): LEFT, "/etc/yum.repos.d/ambari-hdp-8.repo": LEFT}
    assert bench.deploy(dry_run=True) == 0, bench.failure
    assert path(7) in nodes[NODES[0]].files
    assert not any(node.scripts for node in nodes.values())
    assert bench.deploy() == 0, bench.failure
    removed = {
        (event.host, event.name): event.detail
        for event in bench.events
        if isinstance(event, Change) and event.name.startswith("remove")
    }
    assert removed == {
        (NODES[0], f"remove {path(7)}"): "two sections [BIGTOP-3.2.0-repo-7]",
        (NODES[1], f"remove {path(8)}"): "no service here uses the repository version 8",
    }
    assert sorted(nodes[NODES[0]].files) == [path(1), "/etc/yum.repos.d/mine.repo"]
    assert sorted(nodes[NODES[1]].files) == [path(1), "/etc/yum.repos.d/ambari-hdp-8.repo"]
    assert bench.deploy(phases=["repository"]) == 0, bench.failure
    assert bench.changes == []


def test_a_broken_file_that_stays_breaks_every_installation(bench: Bench) -> None:
    bench.agent.files[NODES[0]] = {path(7): BROKEN}
    assert bench.deploy() == 9
    assert {task.host for task in bench.failed_tasks} == {NODES[0]}


def test_destroy_removes_the_agents_files_last(bench: Bench) -> None:
    nodes = hosts(bench)
    assert bench.deploy() == 0, bench.failure
    assert all(path(1) in node.files for node in nodes.values())
    assert bench.deploy(phases=["destroy"], table=DESTROY) == 0, bench.failure
    assert not any(node.files for node in nodes.values())
    assert bench.changes[-4:] == ["version definition BIGTOP-3.2.0 removed", *[f"remove {path(1)}"] * 3]
    assert bench.deploy(phases=["destroy"], table=DESTROY) == 0, bench.failure
    assert bench.changes == []


def test_an_unreachable_host_does_not_keep_destroy_from_ending(bench: Bench) -> None:
    nodes = hosts(bench)
    assert bench.deploy() == 0, bench.failure
    nodes[NODES[2]].lost = True
    assert bench.deploy(phases=["destroy"], table=DESTROY) == 0, bench.failure
    assert [event.host for event in bench.events if isinstance(event, HostFailed)] == [NODES[2]]
    assert [bool(node.files) for node in nodes.values()] == [False, False, True]
    assert not bench.world.clusters


def test_files_of_another_cluster_on_the_same_server_stay(bench: Bench) -> None:
    nodes = hosts(bench)
    assert bench.deploy() == 0, bench.failure
    other = INVENTORY.replace("cluster: c1", "cluster: c2")
    assert bench.deploy(other, phases=["destroy"], table=DESTROY) == 0, bench.failure
    assert all(path(1) in node.files for node in nodes.values())


def test_hosts_look_at_repositories_again_before_an_installation(bench: Bench) -> None:
    """Recorded (647): a mended repository was not seen, because dnf keeps metadata for two days."""
    made = hosts(bench)
    assert bench.deploy() == 0, bench.failure
    assert [host.scripts.count(REFRESH) for host in made.values()] == [1, 1, 1]


def test_a_repeated_installation_looks_at_repositories_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_upgrade, "upgrade", lambda *_: None)
    made = hosts(bench)
    bench.work.injections.tasks.append(TaskFault(host="node2.x.test", command="INSTALL", times=None))
    assert bench.deploy() == 9
    bench.work.injections.tasks.clear()
    assert bench.deploy() == 0, bench.failure
    assert made["node2.x.test"].scripts.count(REFRESH) == 2
