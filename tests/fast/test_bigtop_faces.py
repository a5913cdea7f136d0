"""The command line over Bigtop's packaging: what it takes, what it says, what it writes."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bigtop_builder.cli.app import run
from bigtop_builder.model.digest import of_file
from bigtop_builder.model.errors import ExitCode
from bigtop_builder.recipe.bigtop.pins import LOCK_FILE

TREE = Path(__file__).parent / "data" / "bigtop-tree"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with a copy of the tree, and nothing of the user's around it."""
    shutil.copytree(TREE, tmp_path / "tree")
    for name in [name for name in os.environ if name.startswith("BIGTOP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    capsys.readouterr()
    assert run(arguments) == code, capsys.readouterr().err
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return captured.out + captured.err


def test_list_shows_the_bill(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(answer(capsys, "list", "--packaging", "bigtop:tree", "--json"))
    assert rows[0] == {"name": "ferry", "version": "1.10.2", "summary": "Ferry: carries things"}
    assert [row["name"] for row in rows] == ["ferry", "hadoop", "lantern", "harbor-utils", "beacon"]


def test_plan_builds_what_it_can_and_says_why_it_refuses_the_rest(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = answer(capsys, "plan", "--all", "--packaging", "bigtop:tree")
    assert "build   harbor-utils@el8/package" in text
    assert "refuse  ferry@el8/package" in text and "no digest is known for the source of ferry 1.10.2" in text


@pytest.mark.parametrize("wrong", ["tree", "bigtop:", "debian:tree", ""])
def test_packaging_is_bigtop_and_a_path(folder: Path, capsys: pytest.CaptureFixture[str], wrong: str) -> None:
    text = answer(capsys, "plan", "ferry", "--packaging", wrong, code=ExitCode.USAGE)
    assert "is not bigtop:PATH" in text


def test_a_folder_that_is_not_a_tree_is_an_error_without_a_traceback(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = answer(capsys, "plan", "--all", "--packaging", "bigtop:.", code=ExitCode.USAGE)
    assert "not a tree of Apache Bigtop" in text and "hint:" in text


def test_own_packaging_wins_over_the_project_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bigtop-builder.yaml").write_text("packaging: {bigtop: tree}\n")
    assert "ferry" in answer(capsys, "list")
    assert "zookeeper" in answer(capsys, "list", "--packaging", "own")


def test_a_wrong_setting_names_its_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bigtop-builder.yaml").write_text("packaging:\n  bigtop: tree\n  parent_dir: usr\n")
    assert "bigtop-builder.yaml:3" in answer(capsys, "list", code=ExitCode.USAGE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("own", "ferry"), "is not bigtop:PATH"),
        (("bigtop:tree", "fery"), "Did you mean ferry"),
        (("bigtop:tree", "ferry", "--platform", "el1"), "no platform"),
        (("bigtop:tree", "harbor-utils", "--lock"), "has no source"),
    ],
)
def test_import_says_what_is_wrong(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert message in answer(capsys, "import", *arguments, code=ExitCode.USAGE)


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A mirror of Apache's releases."""
    root = tmp_path / "mirror"

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object, **named: object) -> None:
            super().__init__(*arguments, directory=str(root), **named)  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    place = root / "ferry" / "ferry-1.10.2" / "apache-ferry-1.10.2.tar.gz"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"a release")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", place
        server.shutdown()
        thread.join()


def test_a_locked_source_is_planned_from_then_on(
    folder: Path, capsys: pytest.CaptureFixture[str], mirror: tuple[str, Path]
) -> None:
    address, release = mirror
    (folder / "bigtop-builder.yaml").write_text(
        yaml.safe_dump({"packaging": {"bigtop": "tree"}, "mirrors": {"apache": [address]}})
    )
    text = answer(capsys, "import", "bigtop:tree", "ferry", "--lock")
    assert "trusted as downloaded" in text
    locked = yaml.safe_load((folder / LOCK_FILE).read_text())["sources"]["ferry"]["1.10.2"]
    assert locked["sha512"] == of_file(release, "sha512")
    assert "2 tasks to build" in answer(capsys, "plan", "ferry")


def test_a_lock_file_with_a_mistake_names_its_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bigtop-builder.yaml").write_text("packaging: {bigtop: tree}\n")
    (folder / LOCK_FILE).write_text('sources:\n  ferry:\n    "1.10.2":\n      address: x\n      sha512: abc\n')
    assert f"{LOCK_FILE}:5" in answer(capsys, "plan", "ferry", code=ExitCode.USAGE)
