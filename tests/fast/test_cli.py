"""The command line: answers, errors, exit codes, what is loaded."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.adapter.store import Store
from bigtop_builder.cli import app
from bigtop_builder.cli.choices import parse_choices
from bigtop_builder.model.errors import ConfigurationError, ExitCode
from bigtop_builder.model.event import (
    AnyEvent,
    PlannedTask,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    TaskFinished,
    TaskStarted,
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder with a store of its own, as the working directory."""
    for name in list(os.environ):
        if name.startswith(("BIGTOP_", "XDG_", "GITHUB_", "GITLAB_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = app.run(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    code, out, _ = call(capsys, *arguments, "--json")
    assert code == 0, out
    return json.loads(out)


def store_with_run(project: Path, *, failed: bool = True) -> Store:
    """A store that holds one run of two steps."""
    store = Store(project / "store").open()
    run = store.start_run()
    task = "zookeeper@el8/package"
    planned = PlannedTask(
        task=task, component="zookeeper", platform="el8", kind="package", action="build", key="0" * 64
    )
    events: list[AnyEvent] = [
        RunStarted(time=1, run=run.id, command=["bigtop-builder", "build"], store=str(store.root), tasks=[planned]),
        TaskStarted(time=1, task=task),
    ]
    for step, ok in (("package", True), ("check", not failed)):
        log = run.log(task, step)
        log.write_text(f"words of {step}\n", encoding="utf-8")
        events.append(StepStarted.model_validate({"time": 2, "task": task, "step": step, "log": str(log)}))
        events.append(StepFinished.model_validate({"time": 3, "task": task, "step": step, "ok": ok, "seconds": 1}))
    if not failed:
        events.append(TaskFinished(time=4, task=task, state="done"))
        events.append(RunFinished(time=4, exit_code=0, seconds=3))
    lines = [event.model_dump_json() + "\n" for event in events]
    (run.folder / "events.jsonl").write_text("".join(lines), encoding="utf-8")
    run.close()
    return store


def test_an_unknown_command_names_the_near_one(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "biuld")
    assert (code, out) == (ExitCode.USAGE, "")
    assert "error: " in err and "'build'" in err


def test_a_usage_error_is_json_where_json_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "build", "--nope", "--json")
    assert code == ExitCode.USAGE and err == ""
    assert "--nope" in json.loads(out)["error"]["message"]


def test_a_wrong_value_of_a_flag_says_what_is_permitted(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "build", "--native", "guess")
    assert code == ExitCode.USAGE and "'refuse', 'label'" in err


def test_a_flag_is_called_as_it_was_typed(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "plan", "--all", "--packaging", "bigtop:/nowhere")
    assert code == ExitCode.USAGE
    assert "flag --packaging (packaging.bigtop): /nowhere does not exist" in err


def test_a_mistake_in_the_project_file_is_told_with_its_place(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "bigtop-builder.yaml").write_text("stack: bigtop-3.2.0\nplatfroms: [el8]\n", encoding="utf-8")
    code, out, err = call(capsys, "config")
    assert (code, out) == (ExitCode.USAGE, "")
    assert "bigtop-builder.yaml:2" in err and "hint: Did you mean platforms?" in err
    code, out, err = call(capsys, "config", "--json")
    error = json.loads(out)["error"]
    assert (error["line"], error["path"], error["exit_code"], err) == (2, "platfroms", 2, "")


def test_several_mistakes_are_told_in_one_go(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "bigtop-builder.yaml").write_text("output: [1]\nbuilder: none\n", encoding="utf-8")
    code, _, err = call(capsys, "config")
    assert code == ExitCode.USAGE and err.count("error: ") == 2
    _, out, _ = call(capsys, "config", "--json")
    assert {error["line"] for error in json.loads(out)["error"]["errors"]} == {1, 2}


def test_a_defect_leaves_a_file_and_no_traceback_on_the_screen(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(project))
    monkeypatch.setattr("bigtop_builder.recipe.settings.load_settings", lambda *_: 1 // 0)
    code, out, err = call(capsys, "config")
    assert (code, out) == (ExitCode.DEFECT, "")
    assert "defect" in err and "Traceback" not in err
    (file,) = project.glob("*.traceback")
    assert "ZeroDivisionError" in file.read_text(encoding="utf-8") and str(file) in err


def test_global_options_stand_before_or_behind_the_command(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = project / "there"
    there.mkdir()
    (there / "bigtop-builder.yaml").write_text("output: elsewhere\n", encoding="utf-8")
    for arguments in (("-C", "there", "--json", "config"), ("config", "-C", "there", "--json")):
        code, out, _ = call(capsys, *arguments)
        assert code == 0 and json.loads(out)["output"] == str(there / "elsewhere")
    assert answer(capsys, "config", "--project", "there/bigtop-builder.yaml")["output"] == str(there / "elsewhere")
    code, _, err = call(capsys, "config", "-C", "nowhere")
    assert code == ExitCode.USAGE and "nowhere" in err


def test_config_says_where_each_value_came_from(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "bigtop-builder.yaml").write_text("# mine\nnative: label\n", encoding="utf-8")
    monkeypatch.setenv("BIGTOP_BUILDER_LIMITS__JOBS", "3")
    found = answer(capsys, "config", "--origin", "--store", "st")
    assert found["native"]["value"] == "label" and found["native"]["origin"].endswith("bigtop-builder.yaml:2")
    assert found["limits.jobs"] == {"value": 3, "origin": "environment BIGTOP_BUILDER_LIMITS__JOBS"}
    assert found["store"] == {"value": str(project / "st"), "origin": "flag --store"}
    assert found["builder"]["origin"] == "default"


def test_init_writes_a_project_that_loads_and_never_overwrites(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(capsys, "init", "--platform", "el9")[0] == 0
    assert answer(capsys, "config")["platforms"] == ["el9"]
    first = (project / "bigtop-builder.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert (project / first.partition("$schema=")[2]).is_file()
    code, _, err = call(capsys, "init")
    assert code == ExitCode.USAGE and "--force" in err
    assert call(capsys, "init", "--force")[0] == 0
    assert answer(capsys, "config")["platforms"] == ["el8"]


def test_init_refuses_an_unknown_platform_and_writes_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "init", "--platform", "el81")
    assert code == ExitCode.USAGE and "el8" in err
    assert list(project.iterdir()) == []


def test_schema_names_and_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert "component" in answer(capsys, "schema")
    assert answer(capsys, "schema", "project")["properties"]["platforms"]
    code, _, err = call(capsys, "schema", "projct")
    assert code == ExitCode.USAGE and "project" in err


def test_lists(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    platforms = {row["name"]: row["dist"] for row in answer(capsys, "list", "platforms")}
    assert platforms["el8"] == ".el8"
    stacks = {row["name"]: row["components"] for row in answer(capsys, "list", "stacks")}
    assert "zookeeper" in stacks["bigtop-3.2.0"]
    code, out, _ = call(capsys, "list", "platforms")
    assert code == 0 and out.splitlines()[0].split()[0] == "PLATFORM"
    assert out.splitlines()[1].split()[0] == min(platforms)


def test_the_list_fits_a_terminal_and_a_component_tells_what_it_lacks(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for what in ("components", "platforms", "stacks"):
        _, out, _ = call(capsys, "list", what)
        assert max(map(len, out.splitlines())) <= 80
    found = answer(capsys, "list", "redis")
    (lack,) = found["lacks"]["release"]
    assert "{{" not in lack
    _, out, _ = call(capsys, "list", "redis")
    assert "lacks" in out and max(len(line) for line in out.splitlines() if "sha256:" not in line) <= 80
    assert "native" in answer(capsys, "list", "zookeeper-native")["refused"]["el8"]


def test_plan_has_reasons_totals_and_an_exit_code(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = answer(capsys, "plan", "bigtop-utils")
    assert made["totals"]["build"] == len(made["tasks"]) > 0
    assert all(task["reasons"] for task in made["tasks"])
    code, out, _ = call(capsys, "plan", "bigtop-utils", "--exit-code")
    assert code == ExitCode.PENDING and "bigtop-utils@el8/package" in out


def test_a_build_of_nothing_and_of_an_unknown_component(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "build")[0] == ExitCode.NOTHING_SELECTED
    code, _, err = call(capsys, "build", "zokeeper")
    assert code == ExitCode.NOTHING_SELECTED and "zookeeper" in err
    code, _, err = call(capsys, "build", "zookeeper", "--platform", "el88")
    assert code == ExitCode.USAGE and "el8" in err


def test_a_dry_run_builds_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "build", "bigtop-utils", "--dry-run", "--store", "st")
    assert code == 0 and "to build" in out
    assert not (project / "st" / "runs").exists() and not (project / "output").exists()


def test_runs_and_logs(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store_with_run(project, failed=False)
    (row,) = answer(capsys, "runs", "--store", "store")
    assert row["state"] == "done" and row["result"].startswith("1 done")
    code, out, err = call(capsys, "logs", "zookeeper@el8", "--step", "check", "--store", "store")
    assert (code, out) == (0, "words of check\n") and "zookeeper@el8/package check" in err
    assert len(answer(capsys, "logs", "--store", "store")) == 2
    code, out, _ = call(capsys, "logs", "--follow", "--store", "store", "--run", row["run"])
    assert code == 0 and out == "words of package\nwords of check\n"
    code, out, _ = call(capsys, "logs", "--paths", "--store", "store", "--step", "package")
    assert Path(out.strip()).read_text(encoding="utf-8") == "words of package\n"


def test_a_run_that_died_is_told_as_such_and_its_logs_are_whole(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = store_with_run(project)
    (row,) = answer(capsys, "runs", "--store", "store")
    assert row["state"] == "died" and row["result"].startswith("1 cancelled")
    log = next(store.root.glob("runs/*/logs/**/check.log"))
    log.with_name("check.log.newer").write_text("the end\n", encoding="utf-8")
    assert call(capsys, "logs", "zookeeper", "--step", "check", "--store", "store")[1] == "words of check\nthe end\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("logs", "--step", "compiel"), ExitCode.USAGE),
        (("logs", "--run", "1999"), ExitCode.USAGE),
        (("logs", "hive"), ExitCode.NOTHING_SELECTED),
        (("logs", "--follow", "--json"), ExitCode.USAGE),
        (("shell", "hive"), ExitCode.NOTHING_SELECTED),
        (("gc", "--older-than", "soon"), ExitCode.USAGE),
        (("repo", "publish"), ExitCode.NOTHING_SELECTED),
        (("repo", "compare"), ExitCode.USAGE),
        (("repo", "verify"), ExitCode.PUBLISH),
        (("repo", "serve"), ExitCode.PUBLISH),
    ],
)
def test_what_cannot_be_done_says_so(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: ExitCode
) -> None:
    store_with_run(project)
    got, out, err = call(capsys, *arguments, "--store", "store")
    assert got == code
    assert "error" in (out if "--json" in arguments else err) and "Traceback" not in err


def test_an_empty_store_has_no_runs(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, "runs") == []
    assert answer(capsys, "images") == []
    assert call(capsys, "logs")[0] == ExitCode.NOTHING_SELECTED


def test_choices_from_flags(tmp_path: Path) -> None:
    (tmp_path / "pom.xml").touch()
    chosen = parse_choices(
        ["spark.version=3.1.1", "spark.release=2", "spark.hadoop=bundled", "zookeeper.variant=x"],
        [f"spark={tmp_path}"],
        Path("/"),
    )
    spark = chosen["spark"]
    assert (spark.version, spark.release, spark.options, spark.source) == (
        "3.1.1",
        2,
        {"hadoop": "bundled"},
        str(tmp_path),
    )
    assert chosen["zookeeper"].variant == "x"


@pytest.mark.parametrize(
    "text", ["spark", "spark=1", ".version=1", "spark.=1", "spark.release=many", "spark.version=-"]
)
def test_a_choice_that_does_not_parse(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_choices([text], [], Path("/"))


@pytest.mark.parametrize("text", ["spark", "=x", "spark=", "spark=/no/such/place"])
def test_a_source_that_does_not_parse(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_choices([], [text], Path("/"))


def loaded(*arguments: str, cwd: Path) -> set[str]:
    """The modules that a command has loaded when it ends."""
    code = "import sys\nfrom bigtop_builder.cli.app import run\nrun(sys.argv[1:])\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, cwd=cwd, check=True
    )
    return set(done.stderr.split())


HEAVY = {
    *("docker", "requests", "urllib3", "createrepo_c", "cryptography", "fabric", "paramiko", "zstandard"),
    *("rich.live", "http.client", "email.parser", "bigtop_builder.ambari_simulator"),
}
"""What only commands that build, publish or talk to hosts may load."""
HELP_LOADS = re.compile(
    r"bigtop_builder(\.(model|model\.(errors|home)|cli|cli\.(app|choices|commands(\.\w+)?|invocation|options|text_format)))?"
)
"""The modules of ours that ``--help`` may load."""


@pytest.mark.parametrize(
    "arguments", [("--help",), ("build", "--help"), ("config",), ("plan", "bigtop-utils"), ("runs",), ("logs",)]
)
def test_light_commands_load_nothing_heavy(project: Path, arguments: tuple[str, ...]) -> None:
    assert loaded(*arguments, cwd=project) & HEAVY == set()


@pytest.mark.parametrize("arguments", [("--help",), ("build", "--help"), ("repo", "check-stack", "--help"), ("biuld",)])
def test_help_and_usage_errors_load_only_the_command_line(project: Path, arguments: tuple[str, ...]) -> None:
    """The rule is in the docstring of ``cli.commands``."""
    modules = loaded(*arguments, cwd=project)
    # typer itself loads pydantic for the parameters of a command.
    own = {"pydantic"} if arguments == ("--help",) else set()
    assert modules & (HEAVY | own | {"yaml", "jinja2"}) == set()
    assert [name for name in modules if name.startswith("bigtop_builder") and not HELP_LOADS.fullmatch(name)] == []


def test_a_reader_that_has_seen_enough_is_no_error(project: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "bigtop_builder", "schema", "component"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "--version")
    assert code == 0 and out.strip().replace(".", "").isdigit()


@pytest.mark.parametrize("command", ["", "build", "logs", "repo", "repo serve", "deploy", "bundle create"])
def test_help_shows_no_types_that_nobody_types(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    code, out, _ = call(capsys, *command.split(), "--help")
    assert code == 0 and "--help" in out
    for noise in ("<bool>", "<list", "<path>", "[["):
        assert noise not in out
