"""Trials of services: run by a real bash with programs that note things, and when verify runs them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bigtop_builder.adapter.ssh import Output
from bigtop_builder.cluster.layout import Layout, LayoutGroup, Placed
from bigtop_builder.cluster.service_trials import TRIALS, trials_of
from bigtop_builder.cluster.stack_data import load_stack
from bigtop_builder.model.event import CheckFinished, Notice
from bigtop_builder.model.inventory import Job
from tests.fast.deploying import Bench
from tests.fast.test_restarts import HADOOP

STACK = load_stack()
HOSTS = ("n1.x.org", "n2.x.org", "n3.x.org")
USED = {name for trials in TRIALS.values() for one in trials for name in (one.on, one.counted, "HDFS_CLIENT") if name}
LAYOUT = Layout((LayoutGroup("all", HOSTS, tuple(map(Placed, sorted(USED)))),))
HDFS = r"""#!/bin/bash
case "$1 $2" in
    "dfsadmin -report") echo "Live datanodes ($(cat "$STATE/live")):";;
    "dfs -put") cp "$3" "$STATE/file";;
    "dfs -get") cp "$STATE/file" "$4"; [ ! -e "$STATE/bad" ] || echo x >> "$4";;
    "dfs -rm") touch "$STATE/removed";;
esac
"""
YARN = r"""#!/bin/bash
[ "$1 $2" = "node -list" ] && echo "Total Nodes:$(cat "$STATE/live")"
[ "$1" = jar ] && echo "Estimated value of Pi is 3.14800000000000000000"
exit 0
"""


def job(service: str, layout: Layout = LAYOUT) -> Job:
    ((_, found),) = trials_of(service, layout, STACK, "3.2.0")
    return found


class Machine:
    """A host with the programs above; ``live``: the number of nodes that report."""

    def __init__(self, folder: Path, live: int = 3) -> None:
        self.folder = folder
        for name, text in (("hdfs", HDFS), ("yarn", YARN), ("sleep", "#!/bin/bash\necho . >> $STATE/slept\n")):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        (folder / "live").write_text(str(live))

    def run(self, wanted: Job) -> Output:
        path = f"{self.folder}:/usr/bin:/bin"
        done = subprocess.run(
            ["bash", "-c", wanted.command],
            env={"PATH": path, "STATE": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Output(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("service", ["HDFS", "YARN", "MAPREDUCE2"])
def test_a_service_that_works(tmp_path: Path, service: str) -> None:
    wanted = job(service)
    output = Machine(tmp_path).run(wanted)
    assert output.code == 0, output.stderr
    assert wanted.expect is not None
    assert re.search(wanted.expect, output.stdout, re.MULTILINE)


def test_what_is_put_is_removed_again(tmp_path: Path) -> None:
    Machine(tmp_path).run(job("HDFS"))
    assert (tmp_path / "removed").exists()


@pytest.mark.parametrize("service", ["HDFS", "YARN"])
def test_nodes_that_are_missing_are_waited_for_and_counted(tmp_path: Path, service: str) -> None:
    """Recorded (690 to 694): Ambari's own checks succeed while all of them are dead."""
    output = Machine(tmp_path, live=2).run(job(service))
    assert output.code == 1
    assert re.search(r"only 2 (live DataNodes|active NodeManagers) of 3", output.stderr)
    assert (tmp_path / "slept").read_text().count(".") == 6


def test_a_file_that_comes_back_otherwise(tmp_path: Path) -> None:
    (tmp_path / "bad").touch()
    output = Machine(tmp_path).run(job("HDFS"))
    assert output.code == 1
    assert "identical" not in output.stdout


def test_components_that_are_only_installed_do_not_count() -> None:
    idle = Layout((*LAYOUT.groups, LayoutGroup("idle", ("n4.x.org",), (Placed("DATANODE", "INSTALL_ONLY"),))))
    assert "count=3" in job("HDFS", idle).command


def test_users_and_ports_are_those_of_the_cluster() -> None:
    own = {
        "hadoop-env": {"hdfs_user": "filesystem"},
        "kafka-broker": {"listeners": "PLAINTEXT://localhost:9092"},
    }
    layout = Layout(LAYOUT.groups, {kind: dict(values) for kind, values in own.items()})
    assert job("HDFS", layout).user == "filesystem"
    assert "port=9092" in job("KAFKA", layout).command
    assert "port=10000" in job("HIVE").command


def test_a_trial_needs_its_components() -> None:
    assert not trials_of("HDFS", Layout(()), STACK, "3.2.0")
    without = Layout((LayoutGroup("one", HOSTS, (Placed("MAPREDUCE2_CLIENT"),)),))
    assert not trials_of("MAPREDUCE2", without, STACK, "3.2.0")


def test_every_trial_is_bash_and_of_the_stack(tmp_path: Path) -> None:
    for service, trials in TRIALS.items():
        assert service in STACK.services
        for trial in trials:
            assert STACK.component(trial.on) is not None
            script = job(service).command
            assert "{current}" not in script
            assert subprocess.run(["bash", "-n", "-c", script], check=False).returncode == 0


class Fleet:
    """Hosts that answer every script alike, and note the users."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self.scripts: list[tuple[str, str | None]] = []

    def remote(self, name: str) -> Fleet:
        return self

    def close(self) -> None:
        pass

    def run(self, script: str, *, stdin: bytes = b"", timeout: float | None = None, user: str | None = None) -> Output:
        self.scripts.append((script, user))
        return self.output


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Bench(tmp_path, monkeypatch) as one:
        assert one.deploy(HADOOP) == 0, one.failure
        yield one


def verify(bench: Bench) -> int:
    """Verify as after a change."""
    (bench.folder / "verified").unlink(missing_ok=True)
    return bench.deploy(HADOOP, phases=["verify"])


def checks(bench: Bench) -> dict[str, str]:
    return {one.check: one.level for one in bench.events if isinstance(one, CheckFinished)}


def test_verify_tries_each_service_after_ambari_s_check(bench: Bench) -> None:
    fleet = Fleet(Output(0, "put and get: identical\n3 active NodeManagers of 3\nPi is 3", ""))
    bench.fleet = fleet
    assert verify(bench) == 0, bench.failure
    found = checks(bench)
    assert found["trial of HDFS: put and get"] == "ok"
    assert found["trial of YARN: active nodes"] == "ok"
    assert [user for _, user in fleet.scripts] == ["hdfs", "ambari-qa"]


def test_a_trial_that_fails_fails_verify_and_shows_its_end(bench: Bench) -> None:
    bench.fleet = Fleet(Output(1, "", "only 0 live DataNodes of 3"))
    assert verify(bench) == 4
    shown = [one for one in bench.events if isinstance(one, CheckFinished) and one.check.startswith("trial of HDFS")]
    assert "only 0 live DataNodes of 3" in shown[0].message
    assert checks(bench)["service check of HDFS"] == "ok"


def test_without_ssh_verify_says_what_was_not_tried(bench: Bench) -> None:
    assert verify(bench) == 0, bench.failure
    notices = [one.text for one in bench.events if isinstance(one, Notice)]
    assert any("no trials of HDFS, YARN: " in text for text in notices)
