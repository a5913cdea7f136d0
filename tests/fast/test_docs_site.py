"""The documentation site: how links of the checkout become links of the site, and what its check finds."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from scripts.docs_site import REPOSITORY, mistakes, relinked, sources

ROOT = Path(__file__).resolve().parents[2]


def page_of(text: str) -> tuple[str, list[str]]:
    """The page that the site has for a guide with this text, and what is wrong with its links."""
    wrong: list[str] = []
    return relinked(ROOT / "docs/building.md", "building.md", sources(), wrong, text), wrong


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[x](publishing.md#a-new-key)", "[x](publishing.md#a-new-key)"),
        ("[x](../README.md)", "[x](index.md)"),
        ("[x](README.md)", "[x](contents.md)"),
        ("[x](../README.zh-CN.md)", "[x](zh/index.md)"),
        ("[x](../examples/overlay)", f"[x]({REPOSITORY}/tree/main/examples/overlay)"),
        ("[`x`](../schemas/event.json)", f"[`x`]({REPOSITORY}/blob/main/schemas/event.json)"),
        ("[x](#here), [y](https://example.com/a.md)", "[x](#here), [y](https://example.com/a.md)"),
        ("`[x](none.md)`", "`[x](none.md)`"),
        ("```\n[x](none.md)\n```", "```\n[x](none.md)\n```"),
    ],
)
def test_links_lead_to_a_page_or_to_the_repository(text: str, expected: str) -> None:
    assert page_of(text) == (expected + "\n", [])


def test_a_link_to_nothing_is_told_with_its_place() -> None:
    assert page_of("# A\n\n[x](none.md)")[1] == ["docs/building.md:3: none.md does not exist"]


GOOD = (
    '<a href="b.html#part">b</a><img src="p.svg"><a href="https://example.com">x</a><link rel="canonical" href="//c">'
)
BAD = {
    '<a href="c.html">': "a.html links to c.html, which does not exist",
    '<a href="b.html#none">': "a.html links to b.html#none, which has no such part",
    '<a href="#none">': "a.html links to #none, which has no such part",
    '<script src="https://cdn.example/x.js"></script>': "a.html loads https://cdn.example/x.js",
    '<img src="//cdn.example/x.png">': "a.html loads //cdn.example/x.png",
    '<img src="none.png">': "a.html loads none.png, which does not exist",
    '<link rel="stylesheet" href="https://fonts.example/f.css">': "a.html loads https://fonts.example/f.css",
    '<link rel="preconnect" href="https://fonts.example">': "a.html loads https://fonts.example",
    '<p style="background: url(https://cdn.example/x.png)">': "a.html loads https://cdn.example/x.png",
}


@pytest.mark.parametrize("html", ["", *BAD])
def test_the_check_finds_links_to_nothing_and_what_other_servers_would_be_asked_for(tmp_path: Path, html: str) -> None:
    (tmp_path / "a.html").write_text(GOOD + html)
    (tmp_path / "b.html").write_text('<h2 id="part">')
    (tmp_path / "p.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"></svg>')
    assert list(mistakes(tmp_path)) == ([BAD[html]] if html else [])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.css", "@import 'https://fonts.example/f.css';"),
        ("a.css", "p { background: url(//cdn.example/x.png) }"),
        ("a.svg", '<svg><image href="https://cdn.example/x.png"/></svg>'),
    ],
)
def test_styles_and_pictures_load_nothing_from_other_servers(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert len(list(mistakes(tmp_path))) == 1


def test_every_page_is_in_the_navigation_once() -> None:
    navigation = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    named = re.findall(r"[\w/-]+\.md", str(navigation))
    assert sorted(named) == sorted(page for page in sources().values() if page.endswith(".md"))


def test_no_page_names_its_repository_to_the_theme() -> None:
    """With ``repo_url`` each page would ask another server for the repository's figures."""
    assert "repo_url" not in tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
