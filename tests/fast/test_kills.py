"""The parts of ``make kills`` that need no engine."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def kills(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import kills as module

    return module


def test_differences_name_their_place(kills: ModuleType) -> None:
    same = {"a": {"b": [1, 2]}, "c": "x"}
    assert kills.differences(same, {"a": {"b": [1, 2]}, "c": "x"}) == []
    assert kills.differences(same, {"a": {"b": [1]}, "d": 1}) == [
        "/a/b: [1, 2] became [1]",
        "/c: x became None",
        "/d: None became 1",
    ]


def test_a_kill_reaches_children_in_other_sessions(kills: ModuleType, tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    script = "import subprocess, sys, time; p = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
    script += f"open({str(noted)!r}, 'w').write(f'{{p.pid}}\\n'); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    deadline = time.monotonic() + 60
    while not (noted.is_file() and noted.read_text().endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child = int(noted.read_text())
    assert kills.kill(process) == -9
    while (stat := Path(f"/proc/{child}/stat")).exists() and ") Z " not in stat.read_text():
        assert time.monotonic() < deadline, "the child lives on"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("name", "unfinished"),
    [
        ("a/.tree.unpacking-12", True),
        ("sources/x.part", True),
        ("el8/.a.rpm.tmp", True),
        ("el8/a.rpm", False),
        (".lock", False),
    ],
)
def test_names_of_unfinished_files(kills: ModuleType, name: str, unfinished: bool) -> None:
    assert bool(kills.UNFINISHED.search(name)) is unfinished
