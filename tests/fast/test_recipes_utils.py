"""The shell files of bigtop-utils and the generic service script, run by bash."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bigtop_builder.model.component import Service
from bigtop_builder.recipe.catalog import shipped_templates
from bigtop_builder.recipe.template import render_file

UTILS = shipped_templates() / "components" / "bigtop-utils" / "files"

RHEL = {
    "usr/lib/jvm/java-1.8.0-openjdk-1.8.0.412.b08-2.el8.x86_64": "1.8.0_412",
    "usr/lib/jvm/java-11-openjdk-11.0.23.0.9-3.el8.x86_64": "11.0.23",
    "usr/lib/jvm/java-17-openjdk-17.0.11.0.9-2.el8.x86_64": "17.0.11",
}
DEBIAN = {
    "usr/lib/jvm/java-8-openjdk-amd64": None,
    "usr/lib/jvm/java-11-openjdk-amd64": "11.0.23",
    "usr/lib/jvm/java-17-openjdk-amd64": "17.0.11",
}
ORACLE = {"usr/java/jdk1.8.0_202-amd64": None, "usr/java/jdk-11.0.2": None}


def _bash(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "BIGTOP_DEFAULTS_DIR": "", **environment},
    )


def _layout(root: Path, homes: Mapping[str, str | None]) -> None:
    for home, version in homes.items():
        (root / home / "bin").mkdir(parents=True)
        (root / home / "bin/java").write_text("#!/bin/sh\n")
        (root / home / "bin/java").chmod(0o755)
        if version:
            (root / home / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')


def _java_home(root: Path, **environment: str) -> str:
    done = _bash(
        f'. {UTILS / "bigtop-detect-javahome"}; echo "${{JAVA_HOME-unset}}"',
        BIGTOP_JAVA_SEARCH_ROOT=str(root),
        **environment,
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("homes", [RHEL, DEBIAN], ids=["rhel", "debian"])
@pytest.mark.parametrize("major", ["8", "11", "17"])
def test_the_wanted_java_is_found(tmp_path: Path, homes: Mapping[str, str | None], major: str) -> None:
    _layout(tmp_path, homes)
    wanted = list(homes)[["8", "11", "17"].index(major)]
    assert _java_home(tmp_path, BIGTOP_JAVA_MAJOR=major) == str(tmp_path / wanted)


@pytest.mark.parametrize("homes", [RHEL, DEBIAN, ORACLE], ids=["rhel", "debian", "oracle"])
def test_java_8_comes_first(tmp_path: Path, homes: Mapping[str, str | None]) -> None:
    _layout(tmp_path, homes)
    assert _java_home(tmp_path) == str(tmp_path / next(iter(homes)))


def test_a_link_is_known_by_what_it_leads_to(tmp_path: Path) -> None:
    _layout(tmp_path, {"usr/lib/jvm/jdk-17-x": "17.0.2"})
    (tmp_path / "usr/lib/jvm/java").symlink_to("jdk-17-x")
    assert _java_home(tmp_path, BIGTOP_JAVA_MAJOR="17") == str(tmp_path / "usr/lib/jvm/java")


def test_any_java_is_better_than_none_unless_one_is_asked_for(tmp_path: Path) -> None:
    _layout(tmp_path, {"usr/lib/jvm/java-21-openjdk-amd64": "21.0.1"})
    assert _java_home(tmp_path).endswith("java-21-openjdk-amd64")
    assert _java_home(tmp_path, BIGTOP_JAVA_MAJOR="8") == "unset"


def test_java_home_that_is_set_stays(tmp_path: Path) -> None:
    _layout(tmp_path, RHEL)
    assert _java_home(tmp_path, JAVA_HOME="/mine") == "/mine"


def test_the_defaults_file_decides(tmp_path: Path) -> None:
    _layout(tmp_path, RHEL)
    (tmp_path / "bigtop-utils").write_text("BIGTOP_JAVA_MAJOR=11\n")
    assert "java-11" in _java_home(tmp_path, BIGTOP_DEFAULTS_DIR=str(tmp_path))


def test_class_path_of_an_empty_folder_is_empty(tmp_path: Path) -> None:
    script = f'. {UTILS / "bigtop-detect-classpath"}; echo "$BIGTOP_CLASSPATH"'
    assert _bash(script, BIGTOP_CLASSPATH_DIR=str(tmp_path)).stdout == "\n"
    for name in ("a.jar", "b.jar"):
        (tmp_path / name).touch()
    given = _bash(script, BIGTOP_CLASSPATH_DIR=str(tmp_path), BIGTOP_CLASSPATH="/x.jar").stdout.strip()
    assert given == f"/x.jar:{tmp_path}/a.jar:{tmp_path}/b.jar"


def test_native_libraries_are_found_below_java_home(tmp_path: Path) -> None:
    (tmp_path / "lib/server").mkdir(parents=True)
    (tmp_path / "lib/server/libjvm.so").touch()
    script = f'. {UTILS / "bigtop-detect-javalibs"}; echo "$JAVA_NATIVE_PATH"'
    assert _bash(script, JAVA_HOME=str(tmp_path)).stdout.strip() == str(tmp_path / "lib/server")
    assert _bash(script, JAVA_HOME=str(tmp_path), JAVA_NATIVE_LIBS="libno.so").returncode == 2
    assert _bash(script).returncode == 1


def test_the_watchdog_kills_a_process_whose_url_does_not_answer() -> None:
    victim = subprocess.Popen(["sleep", "300"])
    try:
        # Port 1 of this machine refuses; curl's own retries would only make the test long.
        watchdog = (UTILS / "bigtop-monitor-service").read_text().replace("--retry 5", "")
        done = _bash(f"set -- 1 {victim.pid} http://127.0.0.1:1/\n{watchdog}\nwait")
        assert "killing process" in done.stdout
        assert victim.wait(timeout=30) == -9
    finally:
        victim.kill()
        victim.wait(timeout=30)


class Script:
    """The generic service script of a command; ``wait`` is the time after a start, in seconds."""

    def __init__(self, folder: Path, command: str, name: str = "bigtop-builder-test", wait: float = 0.3) -> None:
        service = Service(
            name=name,
            description="a test",
            command=command,
            pid_file=str(folder / "run/x.pid"),
            log_file=str(folder / "log/x.out"),
            environment_file=str(folder / "environment"),
        )
        text = render_file(shipped_templates() / "rpm" / "service.init.j2", {"service": service})
        self.path, self.pid_file, self.log_file = folder / name, folder / "run/x.pid", folder / "log/x.out"
        assert "START_WAIT=3" in text
        self.path.write_text(text.replace("START_WAIT=3", f"START_WAIT={wait}"))

    def __call__(self, word: str) -> int:
        return subprocess.run(["bash", str(self.path), word], capture_output=True, timeout=60).returncode

    @property
    def pid(self) -> int:
        return int(self.pid_file.read_text())


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Script]:
    (tmp_path / "environment").write_text("WORD='two words'\n")
    script = Script(tmp_path, """bash -c 'echo "$0"; exec sleep 300' "$WORD" """)
    yield script
    script("stop")


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="services are started by root")


@as_root
def test_a_service_starts_once_and_stops(sleeper: Script) -> None:
    assert sleeper("status") == 3
    assert sleeper("start") == 0
    pid = sleeper.pid
    assert sleeper("status") == 0 and sleeper("start") == 0 and sleeper.pid == pid
    assert sleeper.log_file.read_text() == "two words\n"
    assert sleeper("restart") == 0 and sleeper.pid != pid
    assert sleeper("stop") == 0 and sleeper("status") == 3 and not sleeper.pid_file.exists()
    assert sleeper("stop") == 0
    assert sleeper("condrestart") == 0 and sleeper("status") == 3


@as_root
def test_a_service_that_died_is_told_from_one_that_was_stopped(sleeper: Script) -> None:
    assert sleeper("start") == 0
    os.kill(sleeper.pid, 9)
    for _ in range(100):
        if sleeper("status") != 0:
            break
    assert sleeper("status") == 1
    assert sleeper("start") == 0 and sleeper("status") == 0


@as_root
def test_a_command_that_ends_at_once_is_a_failed_start(tmp_path: Path) -> None:
    script = Script(tmp_path, "false", wait=5)
    assert script("start") == 1
    assert script("status") == 3


def test_an_unknown_word_is_a_usage_error(tmp_path: Path) -> None:
    assert Script(tmp_path, "true")("frobnicate") == 2
