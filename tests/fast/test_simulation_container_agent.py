"""The simulated agent of container hosts and the repository files of its host, which it writes and reads as real ones
do."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from bigtop_builder.ambari_simulator.agents.container import READ_REPOSITORIES, ContainerAgent, Ran
from bigtop_builder.ambari_simulator.agents.program import HostFile
from bigtop_builder.ambari_simulator.engine.work import Context

PATH = "/etc/yum.repos.d/ambari-bigtop-1.repo"


class Hands:
    """A host that has files only; its packages are there."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.scripts: list[str] = []

    def run(self, host: str, script: str, seconds: int) -> Ran:
        self.scripts.append(script)
        if script == READ_REPOSITORIES:
            rows = [f"{path}\t{base64.b64encode(text.encode()).decode()}" for path, text in self.files.items()]
            return Ran(0, "\n".join(rows), "")
        return Ran(0, "tool_3_2_0\n" if "repoquery" in script else "", "")

    def put(self, host: str, files: Sequence[HostFile]) -> None:
        self.files |= {file.path: file.content for file in files}

    def interrupt(self, host: str) -> None:
        pass


def context(*repositories: tuple[str, str]) -> Context:
    return Context(
        cluster="c1",
        service="TOOL",
        stack_name="BIGTOP",
        stack_version="3.2.0",
        stack_root="/usr/bigtop",
        repository_id=1,
        repository_version="3.2.0",
        repositories=repositories,
        packages=("tool_{version}",),
        configurations={"cluster-env": {"stack_features": "{}"}},
    )


def test_one_section_for_each_repository() -> None:
    hands = Hands()
    ok, _, _, _ = ContainerAgent(hands).execute(
        "INSTALL", "TOOL_CLIENT", "n1", context(("a", "http://a"), ("b", "http://b"))
    )
    assert ok
    assert [line for line in hands.files[PATH].splitlines() if line.startswith("[")] == ["[a-repo-1]", "[b-repo-1]"]
    assert any("yum -y install tool_3_2_0" in script for script in hands.scripts)


def test_two_repositories_of_one_id_end_the_installation() -> None:
    hands = Hands()
    ok, said, why, _ = ContainerAgent(hands).execute(
        "INSTALL", "TOOL_CLIENT", "n1", context(("a", "http://a"), ("a", "http://public"))
    )
    assert not ok
    assert f"configparser.DuplicateSectionError: While reading from '{PATH}'" in said
    assert why.endswith("No package found for tool_${stack_version}(expected name: tool_3_2_0)")
    assert not any("repoquery" in script for script in hands.scripts)


def test_a_broken_file_of_another_version_ends_it_too() -> None:
    hands = Hands()
    hands.files["/etc/yum.repos.d/ambari-bigtop-9.repo"] = "[x]\n[x]\n"
    ok, _, _, _ = ContainerAgent(hands).execute("INSTALL", "TOOL_CLIENT", "n1", context(("a", "http://a")))
    assert not ok


def test_nothing_is_done_without_the_stacks_features() -> None:
    hands = Hands()
    bare = Context("c1", "TOOL", "BIGTOP", "3.2.0", "/usr/bigtop", 1, "3.2.0", configurations={"cluster-env": {}})
    ok, _, why, _ = ContainerAgent(hands).execute("START", "TOOL_SERVER", "n1", bare)
    assert (ok, hands.scripts) == (False, [])
    assert why.endswith("Stack features not defined by stack")
