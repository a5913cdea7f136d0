"""Builds with real containers: reuse, failures, limits, what a user is told."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from bigtop_builder.adapter.containers.container import LABEL
from bigtop_builder.adapter.containers.engine import connect
from bigtop_builder.adapter.rpm.header import read_header
from tests.real.conftest import SmallProject

COPY = 'cp hello.txt "$STAGE/"\n'


def containers(small: SmallProject) -> list[str]:
    """The tasks of this project's containers: the store may serve other runs too."""
    client = connect()
    try:
        found = client.api.containers(all=True, filters={"label": [f"{LABEL}.store={small.tool.store}"]})
        tasks = [str(one["Labels"][f"{LABEL}.task"]) for one in found]
        return [task for task in tasks if task.partition("@")[0] in small.names]
    finally:
        client.close()


def log_of(error: str, text: str) -> Path:
    return next(
        Path(word) for line in error.splitlines() if text in line for word in line.split() if word.endswith(".log")
    )


def test_a_component_is_built_reused_repackaged_and_never_compiled_twice(small: SmallProject) -> None:
    marker = time.time_ns()
    small.component("alpha", f"echo {marker}\n{COPY}")
    first = small.tool.json("build", "alpha")
    rpm = small.root / "output" / "el8" / "alpha_1_0-1.0-1.el8.noarch.rpm"
    header = read_header(rpm)
    files = [file.path for file in header.files if not file.mode_text.startswith("d")]
    assert files == ["/usr/bigtop/1.0/usr/lib/alpha/hello.txt"]
    assert first["exit_code"] == 0
    again = small.tool("build", "alpha")
    assert "reused" in again.stdout + again.stderr
    assert small.tool("plan", "alpha", "--exit-code").returncode == 0
    plan = small.tool.json("plan", "alpha", "--set", "alpha.release=2", "--exit-code", code=20)
    text = json.dumps(plan)
    assert "release or dist tag changed" in text
    small.tool("build", "alpha", "--set", "alpha.release=2", "--platform", "el7", "--platform", "el9")
    assert (small.root / "output" / "el7" / "alpha_1_0-1.0-2.el7.noarch.rpm").is_file()
    assert (small.root / "output" / "el9" / "alpha_1_0-1.0-2.el9.noarch.rpm").is_file()
    runs = small.tool.store / "runs"
    newest = max(runs.iterdir())
    steps = [json.loads(line) for line in (newest / "events.jsonl").read_text().splitlines()]
    assert not [step for step in steps if step.get("step") == "compile"]
    assert not containers(small)


def test_a_failure_is_told_last_with_cause_log_and_the_command_to_repeat(small: SmallProject) -> None:
    small.component("broken", "no-such-tool --now\n")
    small.component("fine", COPY + f"# {time.time_ns()}\n")
    small.component("behind", COPY, depends="broken")
    failed = small.tool("build", "broken", "fine", "behind", "--keep-going", code=4)
    text = failed.stderr + failed.stdout
    assert "a tool is missing in the builder image: no-such-tool" in text
    assert "bigtop-builder build broken@el8" in text
    assert "blocked" in text
    assert (small.root / "output" / "el8" / "fine_1_0-1.0-1.el8.noarch.rpm").is_file()
    alone = small.tool("build", "broken", code=10)
    assert "no-such-tool" in log_of(alone.stderr, "compile.log").read_text()
    shell = small.tool("shell", "broken", "--", "bash", "-c", "pwd; id -u; cat hello.txt")
    assert "/work/src" in shell.stdout
    assert "hello from broken" in shell.stdout
    assert not containers(small)


def test_a_patch_that_does_not_apply_names_the_hunk(small: SmallProject) -> None:
    small.component("patched", COPY)
    folder = "overlay/components/patched/patches/1.0"
    small.write(
        f"{folder}/0001-good.patch",
        "A test.\n\n--- a/hello.txt\n+++ b/hello.txt\n@@ -1 +1 @@\n-hello from patched\n+hello, patched\n",
    )
    small.write(
        f"{folder}/0002-bad.patch",
        "A test.\n\n--- a/hello.txt\n+++ b/hello.txt\n@@ -1 +1 @@\n-hello from nobody\n+hello again\n",
    )
    failed = small.tool("build", "patched", code=10)
    assert "0002-bad.patch does not apply: hunk 1 fails at line 1 of hello.txt" in failed.stderr
    small.write(
        f"{folder}/0002-bad.patch",
        "A test.\n\n--- a/hello.txt\n+++ b/hello.txt\n@@ -1 +1 @@\n-hello, patched\n+hello again\n",
    )
    small.tool("build", "patched")


def test_limits_and_isolation(small: SmallProject) -> None:
    small.component("greedy", 'head -c 900m /dev/zero | tail -c 900m > /dev/null\ncp hello.txt "$STAGE/"\n')
    assert "out of memory" in small.tool("build", "greedy", code=10).stderr
    small.component("slow", "sleep 300\n")
    failed = small.tool("build", "slow", "--project", str(_with_timeout(small)), code=11)
    assert "time limit of 3 s" in failed.stderr
    small.component(
        "curious",
        """\
        test "$(id -u)" != 0
        test ! -e /var/run/docker.sock
        ! touch /usr/x 2>/dev/null
        ! timeout 3 bash -c '</dev/tcp/192.0.2.1/80' 2>/dev/null
        ! grep -q '^Cap\\(Prm\\|Eff\\):.*[1-9a-f]' /proc/self/status
        cp hello.txt "$STAGE/"
        """,
    )
    small.tool("build", "curious")


def _with_timeout(small: SmallProject) -> Path:
    return small.write("short.yaml", "stack: small\nplatforms: [el8]\noverlays: [overlay]\nlimits: {timeout: 3s}\n")


def test_no_build_path_gets_into_a_package(small: SmallProject) -> None:
    small.component("leaky", 'echo "built in $PWD" > "$STAGE/hello.txt"\n')
    failed = small.tool("build", "leaky", code=10)
    assert "hello.txt contains the build path /work/src" in failed.stderr


def test_secrets_get_neither_into_logs_nor_into_packages(small: SmallProject, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = f"s3cret{time.time_ns()}"
    monkeypatch.setenv("MIRROR_USER", "somebody")
    monkeypatch.setenv("MIRROR_PASSWORD", secret)
    small.write(
        "bigtop-builder.yaml",
        """\
        stack: small
        platforms: [el8]
        overlays: [overlay]
        mirrors:
          maven:
            - id: site
              url: https://maven.example.com/all
              credentials: {user: env:MIRROR_USER, password: env:MIRROR_PASSWORD}
        """,
    )
    small.component("talkative", f"echo {secret[-6:]}\nenv\ncat ~/.m2/settings.xml\n" + COPY, caches=["maven"])
    small.tool("build", "talkative")
    newest = max((small.tool.store / "runs").iterdir())
    log = (newest / "logs" / "talkative@debian-bootstrap" / "compile" / "compile.log").read_text()
    assert "maven.example.com" in log
    assert "***" in log
    for path in [*newest.rglob("*"), *(small.root / "output").rglob("*")]:
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


def test_nothing_is_left_behind_after_an_interrupt(small: SmallProject) -> None:
    import signal

    small.component("long", f"echo {time.time_ns()}; sleep 100\n")
    running = small.tool.start("build", "long")
    deadline = time.monotonic() + 60
    while not containers(small) and time.monotonic() < deadline:
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    _, error = running.communicate(timeout=60)
    assert running.returncode == 130, error
    assert "Traceback" not in error
    assert not containers(small)
    run = max((small.tool.store / "runs").iterdir()).name
    assert not (small.tool.store / "work" / run).exists()


def test_two_runs_at_once_share_a_store(small: SmallProject) -> None:
    for name in ("one", "two", "three"):
        small.component(name, f"echo {time.time_ns()}; sleep 1\n" + COPY)
    both = [small.tool.start("build", "--all"), small.tool.start("build", "--all")]
    for running in both:
        _, error = running.communicate(timeout=300)
        assert running.returncode == 0, error


def test_a_stack_dependency_is_readable_while_compiling(small: SmallProject) -> None:
    small.component("base", COPY)
    small.component("top", 'cp /deps/base/hello.txt "$STAGE/"\n', depends="base")
    small.tool("build", "top")
    small.tool("build", "--all")
