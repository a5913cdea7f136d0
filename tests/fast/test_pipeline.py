"""Pipelines of CI servers, and their jobs carried out one after the other, each with a store of its own."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import yaml

from bigtop_builder.cli.app import run as run_command
from bigtop_builder.cli.commands.build import Selection
from bigtop_builder.cli.views.pipeline import pipeline
from bigtop_builder.flow.build.builder import build
from bigtop_builder.flow.build.project import Request
from bigtop_builder.flow.packagings import PACKAGINGS
from bigtop_builder.model.errors import ConfigurationError, ExitCode
from tests.fast.conftest import ProjectFolder
from tests.fast.test_executor import PaperExecutor
from tests.fast.test_planning import with_images, workspace
from tests.fast.test_result_sharing import machine, team

__all__ = ["team"]

TASKS = [f"{name}@debian-bootstrap/compile" for name in "ab"] + [f"{name}@el8/package" for name in "abc"]


def add(team: ProjectFolder, text: str) -> None:
    """Add settings to the project file."""
    file = team.root / "bigtop-builder.yaml"
    file.write_text(file.read_text() + text)


def emitted(team: ProjectFolder, server: Any, selection: list[str] | None = None) -> str:
    space = with_images(machine(team, "planner", push=True), "a", "b", "c")
    return pipeline(server, space, Request(everything=True, platforms=("el8",)), selection or ["--all", "-p", "el8"])


def ordered(jobs: dict[str, Any]) -> list[str]:
    """Return the names of jobs, each after those that it needs."""
    done: list[str] = []
    while len(done) < len(jobs):
        ready = [name for name in jobs if name not in done and set(jobs[name].get("needs", ())) <= set(done)]
        assert ready, "the jobs wait for each other"
        done += ready[:1]
    return done


def commands(server: str, text: str) -> list[str]:
    """Return the commands of a pipeline in an order in which the server may run them."""
    if server == "jenkins":
        return [one.replace("\\'", "'") for one in re.findall(r"task\('[^']*', '((?:[^'\\]|\\.)*)', '", text)]
    document = yaml.safe_load(text)
    if server == "github":
        jobs = document["jobs"]
        return [step["run"] for name in ordered(jobs) for step in jobs[name]["steps"] if "run" in step]
    stages = document["stages"]
    jobs = {name: job for name, job in document.items() if isinstance(job, dict) and "script" in job}
    order = ordered({name: job for name, job in jobs.items() if job["stage"] == stages[0]})
    order += [name for name, job in jobs.items() if job["stage"] == stages[1]]
    assert len(order) == len(jobs)
    return [jobs[name]["script"][0] for name in order]


@pytest.mark.parametrize("server", ["gitlab", "github", "jenkins"])
def test_each_job_builds_its_task_alone_and_the_last_one_nothing(team: ProjectFolder, server: str) -> None:
    lines = commands(server, emitted(team, server))
    assert len(lines) == len(TASKS) + 1
    built: list[str] = []
    for number, line in enumerate(lines):
        words = shlex.split(line)
        assert words[:2] == ["bigtop-builder", "build"]
        task = words[words.index("--task") + 1] if "--task" in words else None
        space = with_images(machine(team, f"runner-{number}", push=True), "a", "b", "c")
        executor = PaperExecutor()
        request = Request(everything=True, platforms=("el8",), task=task)
        done = build(space, request, lambda event: None, PACKAGINGS, executor)
        assert done.exit_code == ExitCode.DONE
        assert [order.task for order in executor.orders] == ([task] if task else [])
        built += [order.task for order in executor.orders]
    assert sorted(built) == sorted(TASKS)


def test_a_job_that_comes_too_early_builds_what_it_needs(team: ProjectFolder) -> None:
    space, executor = with_images(machine(team, "runner", push=True), "a", "b", "c"), PaperExecutor()
    request = Request(everything=True, platforms=("el8",), task="b@debian-bootstrap/compile")
    assert build(space, request, lambda event: None, PACKAGINGS, executor).exit_code == ExitCode.DONE
    assert [order.task for order in executor.orders] == ["a@debian-bootstrap/compile", "b@debian-bootstrap/compile"]


def test_a_compile_whose_packages_exist_is_nothing_to_do(team: ProjectFolder) -> None:
    first = with_images(machine(team, "runner", push=True), "a", "b", "c")
    everything = Request(everything=True, platforms=("el8",))
    build(first, everything, lambda event: None, PACKAGINGS, PaperExecutor())
    executor, request = PaperExecutor(), Request(everything=True, platforms=("el8",), task=TASKS[0])
    assert build(first, request, lambda event: None, PACKAGINGS, executor).exit_code == ExitCode.DONE
    assert not executor.orders


def test_a_task_that_does_not_exist(team: ProjectFolder) -> None:
    space = with_images(machine(team, "runner", push=True), "a", "b", "c")
    with pytest.raises(ConfigurationError, match="no such task") as raised:
        space.plan(Request(everything=True, platforms=("el8",), task="a@el8/pakage"))
    assert "a@el8/package" in (raised.value.hint or "")


def test_secrets_are_named_and_never_written(team: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM_KEY", (team.root / "key.pem").read_text())
    monkeypatch.setenv("TEAM_USER", "builder")
    monkeypatch.setenv("TEAM_PASSWORD", "very-secret-word")
    add(
        team,
        "results:\n  url: https://results.example.com\n"
        "  credentials: {user: env:TEAM_USER, password: env:TEAM_PASSWORD}\n"
        "signing: {attestation_key: env:TEAM_KEY, passphrase: env:NOT_FOR_BUILDS}\n",
    )
    space = with_images(workspace(team), "a", "b", "c")
    request = Request(everything=True, platforms=("el8",))
    github = yaml.safe_load(pipeline("github", space, request, ["--all"]))
    assert github["env"]["TEAM_KEY"] == "${{ secrets.TEAM_KEY }}"
    assert github["env"]["BIGTOP_BUILDER_RESULTS__PUSH"] == "true"
    jenkins = pipeline("jenkins", space, request, ["--all"])
    assert "string(credentialsId: 'TEAM_PASSWORD', variable: 'TEAM_PASSWORD')" in jenkins
    for text in (str(github), jenkins, pipeline("gitlab", space, request, ["--all"])):
        assert "very-secret-word" not in text and "NOT_FOR_BUILDS" not in text and "TEAM_KEY" in text


def test_jobs_need_a_store_to_share_results_in(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project.component("c")
    project.stack(c="1")
    monkeypatch.chdir(project.root)
    assert run_command(["--store", str(project.root / "s"), "plan", "c@el8", "--emit", "gitlab"]) == ExitCode.USAGE
    assert "results.url" in capsys.readouterr().err


def test_the_command_prints_the_pipeline_and_selects_the_same(
    team: ProjectFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add(team, f"results: {{url: {team.root}/shared}}\nsigning: {{attestation_key: 'file:{team.root}/key.pem'}}\n")
    monkeypatch.chdir(team.root)
    given = ["b@el8", "c@el8", "--emit", "github"]
    assert run_command(["--store", str(team.root / "planner"), "plan", *given]) == ExitCode.DONE
    lines = commands("github", capsys.readouterr().out)
    assert all(line.startswith("bigtop-builder build b@el8 c@el8 ") for line in lines)
    assert "--store" not in " ".join(lines)


def test_quotes_survive_on_every_server(team: ProjectFolder) -> None:
    arguments = ["--all", "--set", 'a.flag=it\'s "quoted" \\ $HOME']
    for server in ("gitlab", "github", "jenkins"):
        for line in commands(server, emitted(team, server, arguments)):
            text = line.replace("\\\\", "\\") if server == "jenkins" else line
            assert shlex.split(text)[2:5] == arguments


def test_arguments_leave_out_what_only_this_machine_has() -> None:
    selection = Selection(["a"], False, ["el8"], True, False, ["a.x=1"], [], "platform", None, None, "ignore", False)
    expected = ["--with-dependencies", "a", "--platform", "el8", "--set", "a.x=1", "--builder", "platform"]
    assert selection.arguments() == [*expected, "--locks", "ignore"]


def test_shapes_of_the_servers(team: ProjectFolder) -> None:
    jobs = yaml.safe_load(emitted(team, "github"))["jobs"]
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name) for name in jobs)
    assert jobs["b-debian-bootstrap-compile"]["needs"] == ["a-debian-bootstrap-compile"]
    assert set(jobs["packages"]["needs"]) == {"b-el8-package", "c-el8-package"}
    jenkins = emitted(team, "jenkins")
    assert jenkins.count("{") == jenkins.count("}") and jenkins.count("(") == jenkins.count(")")
    assert jenkins.index("'a@debian-bootstrap/compile'") < jenkins.index("'b@debian-bootstrap/compile'")


def test_a_job_says_which_machine_it_needs_where_there_are_several_architectures(team: ProjectFolder) -> None:
    assert set(re.findall(r"tags: (.*)", emitted(team, "gitlab"))) == {"[docker]"}
    file = team.root / "overlay" / "components" / "b" / "component.yaml"
    file.write_text(file.read_text() + "arch: native\n")
    add(team, "architectures: [x86_64, aarch64]\nnative: label\n")
    native, noarch = "b@debian-bootstrap.aarch64/compile", "a@debian-bootstrap/compile"
    gitlab = yaml.safe_load(emitted(team, "gitlab"))
    found = {name: job["tags"] for name, job in gitlab.items() if isinstance(job, dict) and "tags" in job}
    assert found[native] == ["docker", "aarch64"]
    assert found[noarch] == found["packages"] == ["docker", "x86_64"]
    github = {job["name"]: job["runs-on"] for job in yaml.safe_load(emitted(team, "github"))["jobs"].values()}
    assert github[native] == ["self-hosted", "docker", "ARM64"]
    assert github[noarch] == ["self-hosted", "docker", "X64"]
    jenkins = emitted(team, "jenkins")
    assert f"'{native}': task('docker && aarch64', " in jenkins
    assert f"'{noarch}': task('docker && x86_64', " in jenkins
