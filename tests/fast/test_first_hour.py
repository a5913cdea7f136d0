"""What a user meets in the first hour: where a run's packages are, what comes next, logs, and building again."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from bigtop_builder.adapter.store import Store
from bigtop_builder.cli.commands.build import Selection
from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.cli.views.closing import closing
from bigtop_builder.cli.views.terminal import TerminalView
from bigtop_builder.cli.views.watch import Reports, write_reports
from bigtop_builder.flow.run.state import fold
from bigtop_builder.model import digest
from bigtop_builder.model.errors import ExitCode
from bigtop_builder.model.event import (
    AnyEvent,
    Failure,
    Notice,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    TaskFinished,
)
from bigtop_builder.recipe.catalog import shipped
from tests.fast.served import address as served_at
from tests.fast.test_cli import answer, call, project
from tests.fast.test_views import planned, run_of_four

__all__ = ["project"]

FAILURE = Failure(
    step="fetch",
    message="a source is unavailable",
    cause="the network does not answer: repo.example.com",
    log="/s/a.log",
    rerun="bigtop-builder build a@el8",
    shell="bigtop-builder shell a",
)


def record(store: Store, project: Path, component: str, *, failed: bool, flags: tuple[str, ...] = ()) -> str:
    """Record a build of one component."""
    task = f"{component}@el8/package"
    folder = store.root / "runs" / f"20260101-00000{len(list((store.root / 'runs').iterdir()))}-aaaa"
    folder.mkdir()
    log = folder / "package.log"
    log.write_text(f"words of {folder.name}\n")
    events: list[AnyEvent] = [
        RunStarted(
            time=1,
            run=folder.name,
            command=[],
            store="",
            project=str(project),
            flags=list(flags),
            tasks=[planned(task)],
        ),
        StepStarted(time=1, task=task, step="package", log=str(log)),
        StepFinished(time=2, task=task, step="package", ok=not failed, seconds=1),
        TaskFinished(time=2, task=task, state="failed" if failed else "done", failure=FAILURE if failed else None),
        RunFinished(time=2, exit_code=10 if failed else 0, seconds=1),
    ]
    (folder / "events.jsonl").write_text("".join(event.model_dump_json() + "\n" for event in events))
    return folder.name


def failed_in_parallel(count: int, causes: int = 1) -> list[AnyEvent]:
    names = [f"c{number}@el8/package" for number in range(count)]
    ends = [
        TaskFinished(
            time=2,
            task=name,
            state="failed",
            failure=FAILURE.model_copy(update={"cause": f"cause {number % causes}", "rerun": f"build c{number}@el8"}),
        )
        for number, name in enumerate(names)
    ]
    started = RunStarted(
        time=1, run="r", command=[], store="/s", output="/out", tasks=[planned(name) for name in names]
    )
    return [started, *ends, RunFinished(time=3, exit_code=6, seconds=2)]


def words(events: list[AnyEvent]) -> list[str]:
    return [text for text, _ in closing(fold(events))]


def test_a_run_ends_with_the_place_of_the_packages_and_the_next_command() -> None:
    first, *rest = run_of_four()
    assert isinstance(first, RunStarted)
    said = words([first.model_copy(update={"output": "/my/output"}), *rest])
    assert "packages: /my/output/el8" in said and not [line for line in said if line.startswith("next: ")]
    good = [event for event in rest if "zookeeper" in getattr(event, "task", "")]
    tasks = [task for task in first.tasks if task.component == "zookeeper"]
    begun = first.model_copy(update={"output": "/my/output", "tasks": tasks})
    said = words([begun, *good, RunFinished(time=3, exit_code=0, seconds=2)])
    end = ["packages: /my/output/el8", "next: bigtop-builder repo publish"]
    assert said[-2:] == end
    # Packages of a further architecture are in the same folder.
    further = [task.model_copy(update={"platform": "el8.aarch64"}) for task in tasks]
    begun = begun.model_copy(update={"tasks": further})
    assert words([begun, *good, RunFinished(time=3, exit_code=0, seconds=2)])[-2:] == end


def test_failures_of_one_cause_are_one_digest_with_all_names() -> None:
    said = words(failed_in_parallel(8))
    assert len([line for line in said if "probable cause" in line]) == 1
    assert "  components: " + ", ".join(f"c{number}@el8" for number in range(8)) in said
    assert "  run again:      bigtop-builder build --failed" in said
    assert "  look inside:    bigtop-builder shell a" in said
    assert said[-1] == "next: bigtop-builder build --failed"
    assert len([line for line in words(failed_in_parallel(8, 2)) if "probable cause" in line]) == 2


def test_notices_name_their_component_on_a_terminal() -> None:
    console = Console(width=80, record=True, force_terminal=True)
    view = TerminalView(console)
    event = Notice(text="no lock", task="hive@el8/package")
    view(event, fold([run_of_four()[0], event]))
    assert "hive@el8: no lock" in console.export_text()


def test_logs_of_a_component_are_those_of_the_newest_run_of_this_project_that_has_it(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(project / "store").open()
    oldest = record(store, project, "hive", failed=False)
    newer = record(store, project, "spark", failed=False)
    record(store, project / "other", "hive", failed=True)
    assert call(capsys, "logs", "hive", "--store", "store")[1] == f"words of {oldest}\n"
    assert call(capsys, "logs", "--store", "store")[1] == f"words of {newer}\n"
    code, _, err = call(capsys, "logs", "tez", "--store", "store")
    assert code == ExitCode.NOTHING_SELECTED and f"no run of the project {project} has a log of tez" in err


def test_build_failed_repeats_what_failed_with_its_choices(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(project / "store").open()
    code, _, err = call(capsys, "build", "--failed", "--dry-run", "--store", "store")
    assert code == ExitCode.NOTHING_SELECTED
    record(store, project, "bigtop-utils", failed=True, flags=("--set", "bigtop-utils.release=7", "--offline"))
    code, out, err = call(capsys, "build", "--failed", "--dry-run", "--store", "store", "--json")
    assert code == 0, err
    assert [task["task"] for task in json.loads(out)["tasks"]] == ["bigtop-utils@el8/package"]
    assert call(capsys, "build", "--failed", "hive", "--store", "store")[0] == ExitCode.USAGE
    sources = ["a=tree", "b=git+https://x.test/b@1"]
    selection = Selection(["a"], False, [], False, False, [], sources, None, None, None, None, False, False)
    repeated = ["--output", f"{project}/out", "--source", f"a={project}/tree", "--source", sources[1]]
    assert selection.flags(Invocation(), False, "out") == repeated
    record(store, project, "bigtop-utils", failed=True, flags=("--output", f"{project}/file"))
    (project / "file").touch()
    code, _, err = call(capsys, "build", "--failed", "--store", "store")
    assert code == ExitCode.USAGE and f"the output {project}/file is not a folder" in err, (
        "it goes where the build went"
    )
    done = record(store, project, "bigtop-utils", failed=False)
    code, _, err = call(capsys, "build", "--failed", "--store", "store")
    assert code == ExitCode.NOTHING_SELECTED and done in err


def test_variables_of_bigtop_break_nothing_and_former_ones_of_ours_are_noticed(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BIGTOP_HOME", "BIGTOP_DEFAULTS_DIR", "BIGTOP_STACK_VERSION", "BIGTOP_CLASSPATH"):
        monkeypatch.setenv(name, "/opt/bigtop: {")
    monkeypatch.setenv("BIGTOP_LIMITS__JOBS", "3")
    monkeypatch.setenv("BIGTOP_OUTPUT", "old")
    monkeypatch.setenv("BIGTOP_BUILDER_OUTPUT", "new")
    code, out, err = call(capsys, "config", "--json")
    assert (code, json.loads(out)["limits.jobs"], json.loads(out)["output"]) == (0, 3, str(project / "new"))
    assert err.count("notice: ") == 2 and "BIGTOP_LIMITS__JOBS is now called BIGTOP_BUILDER_LIMITS__JOBS" in err
    monkeypatch.setenv("BIGTOP_BUILDER_OUTPT", "x")
    code, _, err = call(capsys, "config", "--quiet")
    assert code == ExitCode.USAGE and "BIGTOP_BUILDER_OUTPT is not a setting" in err and "output" in err


def test_init_writes_what_a_project_starts_from(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "init", "--overlay", "mine", "--inventory", "--ci", "github")
    assert code == 0 and f"wrote {project}/cluster.yaml" in err
    assert yaml.safe_load((project / ".github/workflows/distribution.yaml").read_text())["jobs"]
    assert call(capsys, "plan", "postgresql-jdbc")[0] == 0
    assert call(capsys, "init", "--ci", "gitlab")[0] == 0, "a project can get more later"
    assert "reports/logs" in (project / ".gitlab-ci.yml").read_text()
    assert call(capsys, "init", "--ci", "gitlab")[0] == ExitCode.USAGE
    assert call(capsys, "init", "--overlay", "../x")[0] == ExitCode.USAGE
    assert call(capsys, "init", "--ci", "circle")[0] == ExitCode.USAGE
    code, _, err = call(capsys, "init", "--builder", "platform", "--ci", "jenkins")
    assert code == ExitCode.USAGE and "leave out --stack, --platform and --builder" in err
    assert not (project / "Jenkinsfile").exists(), "what cannot be done whole is not done in part"
    assert call(capsys, "init", "--builder", "platform", "--ci", "jenkins", "--force")[0] == 0
    assert answer(capsys, "config")["builder"] == "platform"


def test_the_examples_are_listed_and_copied(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = {one["name"]: one["kind"] for one in answer(capsys, "examples")}
    assert found["overlay"] == "project" and found["one-host"] == "inventory"
    for name in found:
        code, _, err = call(capsys, "examples", name, "--to", f"copies/{name}")
        assert code == 0, err
    assert call(capsys, "-C", "copies/stack/stack", "plan", "postgresql-jdbc")[0] == 0
    code, _, err = call(capsys, "examples", "overlai")
    assert code == ExitCode.USAGE and "overlay" in err
    assert call(capsys, "examples", "overlay", "--to", "copies/overlay")[0] == ExitCode.USAGE


def test_the_pipelines_call_commands_and_flags_that_exist(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    lines = [line for file in sorted(shipped("examples").glob("ci/*")) for line in file.read_text().splitlines()]
    lines = [line for line in lines if not line.lstrip().startswith(("#", "//"))]
    called = [found for line in lines for found in re.findall(r"bigtop-builder ((?:repo )?\w+)( --[^'\n]*)?", line)]
    assert len(called) >= 12
    for command, options in called:
        code, out, _ = call(capsys, *command.split(), "--help")
        assert code == 0, command
        assert [flag for flag in re.findall(r"--[\w-]+", options) if flag not in out] == []


def test_the_logs_of_what_failed_are_copied(tmp_path: Path) -> None:
    log = tmp_path / "fetch.log"
    log.write_text("refused\n")
    failure = FAILURE.model_copy(update={"log": str(log)})
    ended = TaskFinished(time=2, task="a@el8/package", state="failed", failure=failure)
    tasks = [planned("a@el8/package"), planned("b@el8/package")]
    started = RunStarted(time=1, run="r", command=[], store="/s", tasks=tasks)
    state = fold([started, ended, TaskFinished(task="b@el8/package", state="done")])
    write_reports(state, Invocation(environment={}), Reports(logs=tmp_path / "logs"))
    copied = [path.relative_to(tmp_path / "logs") for path in (tmp_path / "logs").rglob("*") if path.is_file()]
    assert copied == [Path("a+el8+package/fetch.log")]


def test_a_source_is_fetched_from_git_and_from_an_address_with_its_digest(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = project / "tree"
    tree.mkdir()
    (tree / "pom.xml").write_text("<project/>")
    for command in ("init -q -b main", "add .", "-c user.name=a -c user.email=a@b.c commit -qm a", "tag v1"):
        subprocess.run(["git", "-C", str(tree), *command.split()], check=True)
    commit = subprocess.run(["git", "-C", str(tree), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    address = served_at(project)
    archive = project / "own.tar"
    subprocess.run(["tar", "-cf", str(archive), "-C", str(project), "tree"], check=True)
    sha256 = digest.of_file(archive)
    for reference in ("", "@v1", "@main", f"@{commit.stdout.strip()}"):
        code, out, err = call(capsys, "plan", "tez", "--source", f"tez=git+file://{tree}{reference}")
        assert code == 0 and "tez@el8/package" in out, err
    code, _, err = call(capsys, "plan", "tez", "--source", f"tez={address}/own.tar#sha256={sha256}")
    assert code == 0, err
    wrong = f"tez={address}/own.tar#sha256={'0' * 64}"
    assert call(capsys, "plan", "tez", "--source", wrong)[0] == ExitCode.SOURCE
    code, _, err = call(capsys, "plan", "tez", "--source", f"tez={address}/own.tar")
    assert code == ExitCode.USAGE and "has no digest" in err and "#sha256=" in err
    code, _, err = call(capsys, "plan", "tez", "--source", f"tez=git+file://{tree}@v9")
    assert code == ExitCode.SOURCE and "v9" in err
    assert call(capsys, "plan", "tez", "--source", "tez=git+nonsense")[0] == ExitCode.USAGE


@pytest.mark.parametrize("width", [46, 60, 80])
@pytest.mark.parametrize("command", ["list", "list platforms", "list stacks", "examples"])
def test_tables_fit_the_terminal(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int, command: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    code, text, _ = call(capsys, *command.split())
    assert code == 0
    assert max(map(len, text.splitlines())) <= width
    if command == "list":
        assert "zookeeper" in text and "3.5.9" in text and "A high-performance"[: width // 4] in text
