"""What pages say: translations keep up with the English page, and commands in code blocks exist with their options."""

from __future__ import annotations

import os
import re
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from bigtop_builder.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
TRANSLATED = {"README.md": "README.zh-CN.md"} | {
    f"docs/{name}.md": f"docs/zh/{name}.md" for name in ("troubleshooting", "faq", "coming-from")
}
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
    if path.name != "CHANGELOG.md"
)
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"\s+# .*$")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def code(page: str) -> list[list[str]]:
    """The lines of each code block, without comments."""
    return [[COMMENT.sub("", line) for line in found[3].splitlines()] for found in BLOCK.finditer(text_of(page))]


def links(page: str) -> Counter[str]:
    """Where a page links to, by paths of the checkout, without links between the languages."""
    found = re.findall(r"\]\(([^)#\s]+)[^)\s]*\)", BLOCK.sub("", text_of(page)))
    english = {chinese: name for name, chinese in TRANSLATED.items()}
    paths = (one if ":" in one else os.path.normpath((ROOT / page).parent / one) for one in found)
    named = (path.removeprefix(f"{ROOT}/") for path in paths)
    return Counter(english.get(name, name) for name in named if english.get(name, name) not in ("README.md",))


@pytest.mark.parametrize("page", TRANSLATED)
def test_a_translation_has_the_commands_links_and_parts_of_its_page(page: str) -> None:
    chinese = TRANSLATED[page]
    assert code(chinese) == code(page)
    assert set(links(chinese)) == set(links(page))
    for part in (r"^(#+) ", r"^(\|).*\|$", r"^(\*\*)"):  # headings, rows of tables, questions
        found = [re.findall(part, BLOCK.sub("", text_of(one)), re.MULTILINE) for one in (page, chinese)]
        assert found[0] == found[1]
    assert len(re.findall("[\u4e00-\u9fff]", text_of(chinese))) > 300


def commands(page: str) -> list[str]:
    """The lines of code blocks that call the program, those that go on with a backslash as one."""
    found = []
    for block in code(page):
        for line in "\n".join(block).replace("\\\n", " ").splitlines():
            if called := re.match(r"(?:[$#] )?(?:\w+=\S+ )*(bigtop-builder [a-z-].*)", line.strip()):
                found.append(called[1])
    return found


def unknown(line: str) -> list[str]:
    """What the program does not know in a call of it: the command, or options."""
    words = shlex.split(re.split(r" (?:&&|\||>|2>) ", line)[0])[1:]
    command: Any = get_command(app)
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    takes = {name for parameter in command.params if not parameter.is_flag for name in parameter.opts}
    while words and hasattr(command, "commands"):
        word = words.pop(0)
        if word.startswith("-"):
            if word not in options:
                return [word]
            words = words[1:] if word in takes else words
        elif word in command.commands:
            command = command.commands[word]
        else:
            return [word]
    for parameter in command.params:
        options |= {*parameter.opts, *parameter.secondary_opts} if parameter.param_type_name == "option" else set()
    given = [word.partition("=")[0] for word in words[: words.index("--") if "--" in words else None]]
    return [word for word in given if re.match(r"--?[a-zA-Z]", word) and word not in (*options, "--help", "-h")]


def test_the_check_of_commands_finds_what_does_not_exist() -> None:
    assert unknown("bigtop-builder plan --all --json") == []
    assert unknown("bigtop-builder --project x repo verify") == []
    assert unknown("bigtop-builder repo verfy") == ["verfy"]
    assert unknown("bigtop-builder plan --everything") == ["--everything"]


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)])
def test_commands_of_pages_exist(page: str) -> None:
    assert {line: wrong for line in commands(page) if (wrong := unknown(line))} == {}
