"""Manual pages: every command has one, roff reads them without a complaint, the wheel installs them."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from bigtop_builder.adapter.bundle.wheels import TREE
from bigtop_builder.cli.app import app
from bigtop_builder.cli.man_pages import man_page, roff
from bigtop_builder.cli.reference import files

ROOT = Path(__file__).resolve().parents[2]
PAGES = {path: text for path, text in files().items() if path.startswith("man/")}
REQUESTS = {"TH", "SH", "SS", "TP", "PP", "B", '\\"'}


def commands(path: str, command: Any) -> list[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        return [(path, command)]
    return [found for name, one in inner.items() for found in commands(f"{path}-{name}", one)]


@pytest.mark.parametrize(("name", "command"), commands("bigtop-builder", get_command(app)), ids=lambda one: str(one))
def test_the_page_of_a_command_has_its_options(name: str, command: Any) -> None:
    page = PAGES[f"man/man1/{name}.1"]
    assert f"\\fB{name}(1)\\fR".replace("-", "\\-") in PAGES["man/man1/bigtop-builder.1"]
    everywhere = page + PAGES["man/man1/bigtop-builder.1"]
    for parameter in command.params:
        for option in parameter.opts if parameter.param_type_name == "option" else ():
            assert option.replace("-", "\\-") in everywhere


@pytest.mark.parametrize("path", sorted(PAGES))
def test_pages_have_only_requests_that_were_meant(path: str) -> None:
    for line in PAGES[path].splitlines():
        assert line.strip()
        assert not line.startswith("'")
        if line.startswith("."):
            assert re.split(r"[ .]", line[1:])[0] in REQUESTS


@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff")
@pytest.mark.parametrize("path", sorted(PAGES))
def test_groff_reads_pages_without_a_complaint(path: str) -> None:
    command = ["groff", "-k", "-man", "-ww", "-Wbreak", "-Tutf8", "-z"]  # words that no line can hold are no mistake
    done = subprocess.run(command, input=PAGES[path], capture_output=True, text=True, check=True)
    assert done.stderr == ""


@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff")
def test_what_a_text_says_is_what_is_shown() -> None:
    text = r"'x' \n C:\x --opt `co-de` .TP"
    page = man_page("bigtop-builder-x", 1, "a test", [("DESCRIPTION", [roff(text)])])
    done = subprocess.run(
        ["groff", "-k", "-man", "-Tascii", "-P-cbou"], input=page, capture_output=True, text=True, check=True
    )
    assert r"'x' \n C:\x --opt co-de .TP" in done.stdout


def test_the_wheel_of_a_bundle_is_made_from_all_that_a_wheel_has() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert {*wheel["wheel"]["only-include"], *wheel["wheel"]["shared-data"]} <= set(TREE)


@pytest.mark.skipif(not (ROOT / ".dockerignore").is_file(), reason="no image is made of this checkout")
def test_an_image_is_made_from_all_that_a_wheel_has() -> None:
    assert {f"!{name}" for name in TREE} <= set((ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines())


def test_the_wheel_installs_the_pages_where_man_looks() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert wheel["wheel"]["shared-data"] == {"man": "share/man"}
    assert {Path(path).parent.name for path in PAGES} == {"man1", "man5"}
