"""A failed build that somebody finishes by hand: what is taken over, what is refused, what is told, and the label."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from bigtop_builder.adapter.rpm.header import read_header
from tests.real.conftest import SmallProject

FAILING = 'cp hello.txt ready.txt\nno-such-tool ready.txt\ncp ready.txt "$STAGE/hello.txt"\n'
FINISH = ("--", "bash", "-c", 'echo by hand > ready.txt && cp ready.txt "$STAGE/hello.txt"')


@pytest.fixture
def failed(small: SmallProject) -> SmallProject:
    small.component("handmade", f"# {time.time_ns()}\n{FAILING}")
    small.tool("build", "handmade", code=10)
    return small


def rpm_of(small: SmallProject) -> Path:
    return small.root / "output" / "el8" / "handmade_1_0-1.0-1.el8.noarch.rpm"


def tree_of(small: SmallProject) -> Path:
    return small.tool.store / "failed" / "handmade+debian-bootstrap+compile"


def test_a_tree_finished_by_hand_is_packaged_and_labelled(failed: SmallProject) -> None:
    failed.tool("shell", "handmade", *FINISH)
    planned = failed.tool.json("plan", "handmade", "--from-shell")
    assert planned["tasks"][0]["reasons"] == ["finished by hand in a shell"]
    for _ in range(2):
        built = failed.tool.json("build", "handmade", "--from-shell")
        (component,) = built["components"]
        assert component["state"] == "done"
        assert any("finished by hand in a shell" in note for note in component["notes"])
    rpm = rpm_of(failed)
    assert [file.size for file in read_header(rpm).files if file.path.endswith("hello.txt")] == [len("by hand\n")]
    said = failed.tool("provenance", str(rpm)).stdout
    assert "finished in a shell after compile of run" in said
    assert "hermetic" in said and "yes, without downloads" not in said
    statement = failed.tool.json("provenance", str(rpm))["statement"]["predicate"]["buildDefinition"]
    inner = statement["internalParameters"]
    assert inner["compile"]["finishedByHand"]["failedStep"] == "compile" and inner["compile"]["hermetic"] is False
    assert any("by hand" in missing for missing in inner["notRecorded"])
    # Nothing of it is used by an ordinary build, which compiles, and fails as before.
    later = failed.tool.json("plan", "handmade")
    assert [(task["action"], task["kind"]) for task in later["tasks"]] == [("build", "compile"), ("build", "package")]
    assert later["tasks"][0]["reasons"] == ["the last one was finished by hand in a shell"]
    assert tree_of(failed).is_dir()


def test_a_tree_in_which_nothing_was_finished_is_refused(failed: SmallProject) -> None:
    refused = failed.tool("build", "handmade", "--from-shell", code=10)
    assert "there is nothing in $STAGE of handmade@debian-bootstrap/compile" in refused.stderr
    assert "handmade@el8 --from-shell" in refused.stderr, "the command to run again takes the tree over again"
    failed.tool("shell", "handmade", *FINISH)
    failed.tool("build", "handmade", "--from-shell")


def test_a_tree_with_an_open_shell_is_neither_taken_nor_replaced(failed: SmallProject) -> None:
    command = f"{FINISH[-1]}; echo ready; sleep 60"
    with failed.tool.start("shell", "handmade", "--", "bash", "-c", command) as shell:
        assert shell.stdout is not None and shell.stdout.readline() == "ready\n"
        refused = failed.tool("build", "handmade", "--from-shell", code=10)
        assert "a shell is still open" in refused.stderr
        again = failed.tool("build", "handmade", code=10)
        assert "not kept: a shell is open in that of an earlier one" in again.stdout + again.stderr
        # The container goes on when the command is killed.
        shell.send_signal(signal.SIGKILL)
    refused = failed.tool("build", "handmade", "--from-shell", code=10)
    assert "a shell is still open" in refused.stderr
    label = ["--filter", "label=org.bigtop-builder.task=handmade@debian-bootstrap/compile"]
    running = subprocess.run(["docker", "ps", "-q", *label], capture_output=True, text=True, check=True).stdout.split()
    subprocess.run(["docker", "kill", *running], check=True, capture_output=True)
    deadline = time.monotonic() + 30
    while subprocess.run(["docker", "ps", "-q", *label], capture_output=True, check=True).stdout.strip():
        assert time.monotonic() < deadline
    failed.tool("build", "handmade", "--from-shell")


def test_a_tree_of_another_recipe_is_refused(failed: SmallProject) -> None:
    failed.tool("shell", "handmade", *FINISH)
    former = (failed.root / "overlay/components/handmade/component.yaml").read_text()
    failed.component("handmade", "other\n" + FAILING)
    refused = failed.tool("build", "handmade", "--from-shell", code=2)
    assert "is not what failed any more: compile script changed" in refused.stderr
    failed.write("overlay/components/handmade/component.yaml", former)
    failed.tool("build", "handmade", "--from-shell")


def test_without_a_failed_compile_there_is_nothing_to_take(small: SmallProject) -> None:
    small.component("handless", f'# {time.time_ns()}\ncp hello.txt "$STAGE/"\n')
    path = small.root / "overlay/components/handless/component.yaml"
    good = path.read_text()
    path.write_text(good.replace("install: '", "install: 'false; "))
    assert "no failed compile of handless" in small.tool("build", "handless", "--from-shell", code=3).stderr
    small.tool("build", "handless", code=10)
    refused = small.tool("build", "handless", "--from-shell", code=3).stderr
    assert "It was compiled, and failed later" in refused
    assert "--from-shell cannot be used with --all" in small.tool("build", "--all", "--from-shell", code=2).stderr


def test_the_loss_of_a_tree_is_told(failed: SmallProject) -> None:
    quiet = failed.tool("build", "handmade", code=10)
    assert "is kept until this task fails again" in quiet.stdout + quiet.stderr
    assert "it replaces the tree of the failure of" in quiet.stdout + quiet.stderr
    assert str(tree_of(failed)) in quiet.stdout + quiet.stderr
    failed.tool("shell", "handmade", *FINISH)
    warned = failed.tool("build", "handmade", code=10)
    text = warned.stdout + warned.stderr
    assert "in which a shell was opened, is not used, and is replaced if this build fails as well" in text
    assert "bigtop-builder build handmade --from-shell" in text


def test_what_a_shell_leaves_is_taken_with_the_same_care(failed: SmallProject, tmp_path: Path) -> None:
    failed.tool("shell", "handmade", "--", "bash", "-c", 'rmdir "$STAGE" && ln -s /etc "$STAGE"')
    assert "put a link to /etc at /work/stage" in failed.tool("build", "handmade", "--from-shell", code=10).stderr
    failed.tool("shell", "handmade", "--", "bash", "-c", 'rm "$STAGE"; mkdir "$STAGE"; mkfifo "$STAGE/pipe"')
    assert "neither a file, a folder nor a link" in failed.tool("build", "handmade", "--from-shell", code=10).stderr


def test_times_of_steps_add_up(failed: SmallProject) -> None:
    failed.tool("shell", "handmade", *FINISH)
    run = failed.tool.json("build", "handmade", "--from-shell")["run"]
    lines = (failed.tool.store / "runs" / run / "events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    for ended in (event for event in events if event["event"] == "task_finished"):
        steps = [event for event in events if event["event"] == "step_finished" and event["task"] == ended["task"]]
        assert sum(step["seconds"] for step in steps) == pytest.approx(ended["seconds"], abs=0.25)
