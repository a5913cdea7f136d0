"""What every supported engine must do: ``make engines`` runs this with each that it can start."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any

from bigtop_builder.adapter.containers.engine import connect
from tests.real.conftest import SmallProject

PATIENCE = 120
"""Seconds after which a test gives up on a run; never asserted as a speed."""

AWKWARD = """
    test "$(id -u)" != 0
    touch -d 2001-02-03 hello.txt; chmod 0640 hello.txt
    mkdir closed; touch closed/file; chmod 0500 closed; chmod u+s closed/file
    ln -s /etc/passwd link; mkdir -p "$HOME/.m2/deep/er"
"""
"""Things that a build may do, and that this program must be able to clear away."""


def engine_findings(project: SmallProject) -> dict[str, Any]:
    return {one["name"]: one for one in project.tool.json("doctor", "--offline")["findings"]}


def leftovers(store: Path) -> list[str]:
    """The containers of a store."""
    with contextlib.closing(connect()) as client:
        found = client.api.containers(all=True, filters={"label": [f"org.bigtop-builder.store={store}"]})
    return [container["Id"] for container in found]


def foreign(folder: Path) -> list[Path]:
    """What belongs to another account than the caller's, below a folder."""
    return [path for path in (folder, *folder.rglob("*")) if path.lstat().st_uid != os.geteuid()]


def test_an_engine_builds_packages_and_leaves_nothing(small: SmallProject) -> None:
    found = engine_findings(small)
    assert found["container"]["state"] == "ok"
    assert found["build account"]["state"] == "ok"
    small.component("usual", f'echo {time.time_ns()}\n{AWKWARD}\ncp hello.txt "$STAGE/"\n')
    small.component("failing", f"{AWKWARD}\nexit 7\n")
    small.tool("build", "usual")
    assert (small.root / "output" / "el8" / "usual_1_0-1.0-1.el8.noarch.rpm").is_file()
    small.tool("repo", "publish", "--make-key")
    small.tool("repo", "verify")
    assert "exited with 7" in small.tool("build", "failing", code=10).stderr
    inside = "id -u; chmod u+w closed; rm -r closed; mkdir -p closed/again; exit 9"
    shell = small.tool("shell", "failing", "--", "bash", "-c", inside, code=9)
    assert shell.stdout.split()[-1] != "0"
    small.tool("build", "failing", code=10)
    assert not leftovers(small.tool.store)
    assert not list((small.tool.store / "work").iterdir())


def test_an_engine_holds_limits_or_doctor_says_so(small: SmallProject) -> None:
    small.component("greedy", 'head -c 900m /dev/zero | tail -c 900m > /dev/null\ncp hello.txt "$STAGE/"\n')
    if engine_findings(small)["build limits"]["state"] == "ok":
        assert "out of memory" in small.tool("build", "greedy", code=10).stderr
    else:
        small.tool("build", "greedy")
    small.component("slow", "sleep 300\n")
    short = small.write("short.yaml", "stack: small\nplatforms: [el8]\noverlays: [overlay]\nlimits: {timeout: 3s}\n")
    assert "time limit of 3 s" in small.tool("build", "slow", "--project", str(short), code=11).stderr
    assert not leftovers(small.tool.store)


def test_what_a_killed_run_left_is_cleared_by_the_next(small: SmallProject) -> None:
    small.component("killed", f"echo {time.time_ns()}\n{AWKWARD}\ntouch started; sleep 300\n")
    small.component("next", f'echo {time.time_ns()}\ncp hello.txt "$STAGE/"\n')
    running = small.tool.start("build", "killed")
    work = small.tool.store / "work"
    deadline = time.monotonic() + PATIENCE
    while not list(work.rglob("started")) and time.monotonic() < deadline:
        assert running.poll() is None, running.communicate()
        time.sleep(0.1)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert foreign(work), "the build's files belong to the caller"
    assert leftovers(small.tool.store)
    small.tool("build", "next")
    assert not leftovers(small.tool.store)
    assert not list(work.iterdir())


def test_a_result_is_the_callers_and_has_no_setuid_program(small: SmallProject) -> None:
    small.component("kept", f'echo {time.time_ns()}\ncp hello.txt "$STAGE/"\n')
    small.tool("build", "kept")
    newest = max((small.tool.store / "compile").iterdir(), key=lambda path: path.stat().st_mtime)
    assert (newest / "stage" / "hello.txt").is_file()
    assert not foreign(newest)
    small.component("setuid", 'cp hello.txt "$STAGE/"; chmod 4755 "$STAGE/hello.txt"\n')
    assert "setuid" in small.tool("build", "setuid", code=10).stderr
