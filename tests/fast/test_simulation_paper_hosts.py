"""Hosts on paper against a real bash: the scripts that they recognise have the effect that they note."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bigtop_builder.ambari_simulator.agents.paper_hosts import PaperFleet, PaperHost
from bigtop_builder.flow.hosts.facts import gather_some
from bigtop_builder.flow.hosts.operations import apply
from bigtop_builder.hosts import hdfs_upgrade
from bigtop_builder.hosts.facts import SoftwareFacts, Wanted
from bigtop_builder.hosts.operation import Operation
from bigtop_builder.hosts.packages import NAMES
from bigtop_builder.hosts.script import Received, read_back, render
from bigtop_builder.hosts.upgrade import (
    FORMER,
    forget_former,
    note_former,
    set_packages,
    set_selected,
    upgrade_hive_schema,
)
from bigtop_builder.model.event import AnyEvent

# yum as on EL 7, the stricter one: an older release is installed by downgrade only.
TOOLS = r"""
yum() {
    [ "$1" != -q ] || return 0
    local action=$2 word name; shift 2
    for word in "$@"; do
        grep -qxF -- "$word" offered || { echo "No match for argument: $word"; return 1; }
    done
    for word in "$@"; do
        name=${word%-*}; name=${name%-*}
        if [ "$action" = install ] && [ -e "packages/$name" ] &&
            [ "$(printf '%s\n' "$word" "$(< "packages/$name")" | sort -V | tail -n 1)" != "$word" ]; then
            continue
        fi
        printf %s "$word" > "packages/$name"
    done
}
rpm() {
    local word code=0
    shift
    for word in "$@"; do
        grep -qxF -- "$word" <(cat packages/* | sed 's/$/\n/') || grep -rqxF -- "$word" packages || code=1
    done
    return "$code"
}
/usr/lib/bigtop-select/distro-select() { [ -e "packages/zookeeper_${3//./_}" ] && printf %s "$3" > "current/$2"; }
kinit() { [ "$*" = "-kt /etc/hdfs.keytab hdfs@X" ]; }
hdfs() {
    case $3 in
        enter) touch safe;;
        leave) rm -f safe;;
        prepare) [ -e safe ] || [ -e standby ] || return 1; touch rolling;;
        finalize) rm -f rolling;;
        query) if [ -e rolling ]; then echo "Proceed with rolling upgrade:"
               else echo "There is no rolling upgrade in progress or rolling upgrade has already been finalized."; fi;;
    esac
}
"""
OLD, NEW, NEXT = "zookeeper_3_2_0-3.5.9-2", "zookeeper_3_2_0-3.5.9-3", "zookeeper_3_3_0-3.7.2-1"


class BashHost:
    """A folder where scripts run in a real bash, with programs that only note things."""

    def __init__(self, folder: Path, packages: dict[str, str], offered: list[str]) -> None:
        self.folder = folder
        for part in ("packages", "current"):
            (folder / part).mkdir()
        for name, evr in packages.items():
            (folder / "packages" / name).write_text(f"{name}-{evr}")
        (folder / "offered").write_text("\n".join(offered) + "\n")

    def run(self, script: str) -> tuple[int, str]:
        ran = subprocess.run(
            ["bash", "-c", f"{TOOLS}\nset -e\n{script}"],
            cwd=self.folder,
            env=os.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return ran.returncode, ran.stdout

    @property
    def packages(self) -> dict[str, str]:
        names = (self.folder / "packages").iterdir()
        return {path.name: path.read_text().removeprefix(f"{path.name}-") for path in names}

    @property
    def selected(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in (self.folder / "current").iterdir()}


@pytest.mark.parametrize(
    ("present", "offered", "wanted"),
    [
        ({}, [NEXT], {"zookeeper_3_3_0": "3.7.2-1"}),
        ({"zookeeper_3_2_0": "3.5.9-2"}, [OLD, NEW], {"zookeeper_3_2_0": "3.5.9-3"}),
        ({"zookeeper_3_2_0": "3.5.9-3"}, [OLD, NEW], {"zookeeper_3_2_0": "3.5.9-2"}),
        ({"zookeeper_3_2_0": "3.5.9-2"}, [OLD, NEXT], {"zookeeper_3_2_0": "3.5.9-2", "zookeeper_3_3_0": "3.7.2-1"}),
        ({"zookeeper_3_2_0": "3.5.9-2"}, [], {"zookeeper_3_2_0": "3.5.9-2"}),
        ({"zookeeper_3_2_0": "3.5.9-2"}, [OLD], {"zookeeper_3_2_0": "3.5.9-3"}),
        ({}, [OLD], {"zookeeper_3_2_0": "3.5.9-2", "zookeeper_3_3_0": "3.7.2-1"}),
    ],
)
def test_packages(tmp_path: Path, present: dict[str, str], offered: list[str], wanted: dict[str, str]) -> None:
    (operation,) = set_packages(wanted, present)
    real, paper = BashHost(tmp_path, present, offered), PaperHost("n1", present, offered)
    assert (paper.execute(operation.script)[0] == 0) == (real.run(operation.script)[0] == 0)
    assert paper.packages == real.packages


@pytest.mark.parametrize("version", ["3.2.0", "3.3.0"])
def test_links(tmp_path: Path, version: str) -> None:
    present = {"zookeeper_3_2_0": "3.5.9-2"}
    (operation,) = set_selected({"zookeeper-client": version, "zookeeper-server": version}, {})
    real, paper = BashHost(tmp_path, present, []), PaperHost("n1", present)
    assert (paper.execute(operation.script)[0] == 0) == (real.run(operation.script)[0] == 0) == (version == "3.2.0")
    assert paper.selected == real.selected


@pytest.mark.parametrize("login", ["", hdfs_upgrade.login("/etc/hdfs.keytab", "hdfs@X")])
@pytest.mark.parametrize("prepare", [hdfs_upgrade.SINGLE, hdfs_upgrade.PREPARE])
def test_the_rolling_upgrade_of_hdfs(tmp_path: Path, login: str, prepare: str) -> None:
    real, paper = BashHost(tmp_path, {}, []), PaperHost("n1")
    if prepare == hdfs_upgrade.PREPARE:
        (tmp_path / "standby").touch()
    for script in (hdfs_upgrade.QUERY, prepare, hdfs_upgrade.QUERY, hdfs_upgrade.FINALIZE, hdfs_upgrade.QUERY):
        code, said = real.run(login + script)
        output = paper.run(login + script, user="hdfs")
        assert (output.code, code) == (0, 0)
        assert paper.rolling == (tmp_path / "rolling").exists()
        if script == hdfs_upgrade.QUERY:
            for words in (hdfs_upgrade.READY, hdfs_upgrade.NONE):
                assert (words in output.stdout) == (words in said)
    assert not (tmp_path / "safe").exists()


def test_what_it_does_not_know_fails_and_runs_nowhere(tmp_path: Path) -> None:
    host, mark = PaperHost("n1", {"zookeeper_3_2_0": "3.5.9-2"}), tmp_path / "mark"
    known = set_packages({"zookeeper_3_2_0": "3.5.9-2"}, {})[0].script
    for script in (f"touch {mark}", f"{known}\ntouch {mark}", f"touch {mark}\n{known}", f"rm -f /x; touch {mark}"):
        output = host.run(script)
        assert output.code == 127
        assert "a host on paper does not know what this does" in output.stderr
    assert not mark.exists()


def test_a_whole_step_is_noted_and_gathered() -> None:
    host = PaperHost("n1", {"zookeeper_3_2_0": "3.5.9-2"}, [NEXT], {"zookeeper-server": "3.2.0"})
    fleet = PaperFleet([host])
    events: list[AnyEvent] = []

    def facts() -> SoftwareFacts:
        wanted = {"n1": Wanted(files=(FORMER,))}
        found, lost = gather_some(SoftwareFacts, fleet, wanted, phase="cluster", emit=events.append)  # type: ignore[arg-type]
        assert not lost
        return found["n1"]

    before = facts()
    note = note_former(before, "former\n")
    plan = {
        "n1": (
            *note,
            *set_packages({"zookeeper_3_3_0": "3.7.2-1"}, {}, restarts=["own"]),
            *set_selected({"zookeeper-server": "3.3.0"}, before.selectors),
            upgrade_hive_schema("/usr/bigtop/3.3.0/usr/lib/hive", "mysql"),
        )
    }
    result = apply(fleet, plan, phase="cluster", emit=events.append, dry_run=False)  # type: ignore[arg-type]
    assert (result.error(), result.changes) == (None, 4)
    after = facts()
    assert {name: one.evr for name, (one,) in after.packages.items()} == host.packages
    assert (after.selectors, host.kept) == ({"zookeeper-server": "3.3.0"}, ["former-packages.json", "restart"])
    assert after.files[FORMER].text == "former\n"
    assert note_former(after, "former\n") == (), "content, owner and mode are as they were written"
    assert host.run(NAMES).stdout.split() == ["zookeeper_3_2_0", "zookeeper_3_3_0"]
    apply(fleet, {"n1": (forget_former(),)}, phase="cluster", emit=events.append, dry_run=False)  # type: ignore[arg-type]
    assert FORMER not in facts().files


def test_an_operation_that_fails_ends_the_work_on_its_host() -> None:
    host = PaperHost("n1", {}, [NEXT])
    host.full = True
    plan = {"n1": (*set_packages({"zookeeper_3_3_0": "3.7.2-1"}, {}), *set_selected({"zookeeper-server": "3.3.0"}, {}))}
    result = apply(PaperFleet([host]), plan, phase="cluster", emit=lambda event: None, dry_run=False)  # type: ignore[arg-type]
    error = result.error()
    assert error is not None and "install zookeeper_3_3_0-3.7.2-1" in error.message
    assert getattr(result.failed["n1"], "last_lines", ()) == ("No space left on device",)
    assert (host.packages, host.selected) == ({}, {})


def test_operations_are_read_back_from_their_script() -> None:
    operations = [
        Operation("one", "", "echo {\nrun 1\n}\necho 'operation_1() {'", b"\x00\\x41\n"),
        Operation("two", "", "true", restarts=("a b", "c")),
        Operation("three", "", "cat", "ü\n".encode()),
    ]
    script, stdin = render(operations, "mark of mine")
    expected = tuple(Received(one.script, one.stdin, one.restarts) for one in operations)
    assert read_back(script, stdin) == ("mark of mine", expected)
    for other in ("true", "mark=x\nrun 0\n", hdfs_upgrade.SINGLE):
        assert read_back(other, b"") is None
