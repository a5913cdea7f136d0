"""Mistakes of users: on the command line, in variables, project files, components, stacks and platforms.

The table is data/user_mistakes.yaml; those of operators, in inventories, are in test_operator_mistakes.py.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from bigtop_builder.cli import app
from tests.rpmfile import Spec, write_rpm

TABLE = Path(__file__).parent / "data" / "user_mistakes.yaml"
MISTAKES: dict[str, dict[str, Any]] = {one["mistake"]: one for one in yaml.safe_load(TABLE.read_text(encoding="utf-8"))}
DIGEST = "ab" * 32
COMPONENT = """\
name: mine
summary: Mine
description: A component of our own.
license: Apache-2.0
depends: {build: []}
versions:
  "1.0":
    sources:
      - alternatives:
          - https: https://example.com/mine-1.0.tar.gz
            sha256: DIGEST
        unpack: "no"
build:
  network: false
  memory: 256m
  timeout: 5m
  script: |
    install -m 0644 "mine-{{ version }}.jar" "$STAGE/"
install: |
  install -D -m 0644 "$STAGE/mine-{{ version }}.jar" "$BUILDROOT/usr/share/java/mine.jar"
packages:
  - name: mine{{ suffix }}
    summary: Mine
    files: [/usr/share/java/mine.jar]
"""
STACK = 'name: mine\nversion: "1.0"\nepoch: 1600000000\ncomponents: {mine: "1.0"}\n'
OWN_STACK = "stack: mine\noverlays: [overlay]\n"
INVENTORY = """\
cluster: small
ssh: {user: root}
ambari: {url: "http://127.0.0.1:1", password: "env:PW"}
repositories: [{url: "file:///nowhere/el8"}]
groups:
  all: {hosts: [node1.x.test], components: [ZOOKEEPER_SERVER]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with an overlay, an inventory, a package, and things that are not what they are given for."""
    for name in list(os.environ):
        if name.startswith(("BIGTOP_", "XDG_", "GITHUB_", "GITLAB_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/engine.sock")
    monkeypatch.setenv("PW", "x")
    project = tmp_path / "project"
    for name in ("empty", "full/demo", "rpms", "overlay/components/mine", "overlay/stacks", "overlay/platforms"):
        (project / name).mkdir(parents=True)
    for name in ("file", "file.rpm"):
        (project / name).write_text("text\n", encoding="utf-8")
    (project / "good.yaml").write_text(INVENTORY, encoding="utf-8")
    (project / "overlay/stacks/mine.yaml").write_text(STACK, encoding="utf-8")
    monkeypatch.chdir(project)
    return project


def write(folder: Path, mistake: dict[str, Any]) -> None:
    """Write the files of a mistake."""
    component = COMPONENT
    if swap := mistake.get("component"):
        assert swap[0] in component, "what is to be replaced is in the component"
        component = component.replace(*swap, 1)
    (folder / "overlay/components/mine/component.yaml").write_text(component.replace("DIGEST", DIGEST), "utf-8")
    for name, text in mistake.get("files", {}).items():
        (folder / name).write_text(text, encoding="utf-8")
    own = "component" in mistake or "files" in mistake
    project = mistake.get("project", OWN_STACK if own else "")
    (folder / "bigtop-builder.yaml").write_bytes(project if isinstance(project, bytes) else project.encode())
    if "rpms" in mistake["run"]:
        write_rpm(folder / "rpms", Spec(name="demo_3_2_0", release="1.el8"))


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake = MISTAKES[name]
    write(folder, mistake)
    for variable, value in mistake.get("environment", {}).items():
        monkeypatch.setenv(variable, value)
    code = app.run(shlex.split(mistake["run"]))
    said = capsys.readouterr().err.replace(f"{folder}/", "").replace(str(folder), "~/project")
    said = said.replace(str(folder.parent), "~")
    lines = said.splitlines()
    assert code == mistake["exit"], said
    places = [number for number, line in enumerate(lines) if mistake["says"].strip() in line.partition(": ")[2]]
    assert places, said
    place = places[0]
    assert lines[place].startswith(("error: ", "warning: ")), said
    if "hint" in mistake:
        assert lines[place + 1].startswith(f"  hint: {mistake['hint']}"), said


def test_the_table_is_large_and_each_mistake_is_another() -> None:
    kinds = ("run", "environment", "project", "component", "files")
    told = {repr([one.get(kind) for kind in kinds]) for one in MISTAKES.values()}
    assert len(told) == len(MISTAKES) == len(yaml.safe_load(TABLE.read_text(encoding="utf-8"))) >= 200
