"""Builds the documentation site in ``site/html`` and checks it: ``scripts/docs_site.py``, or ``make site``.

The pages are those of ``docs/`` with README.md in front, as they stand in the checkout. Copies are taken only because
their links lead out of ``docs/``: on the site such a link becomes one to another page, or to the file in the project's
repository. Every link must lead to something that exists, and no page may load anything from another server.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "site"
PAGES, HTML = SITE / "pages", SITE / "html"
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Homepage"]
"""Not ``repo_url`` of zensical.toml: with it, every page asks another server for figures of the repository."""
RENAMED = {
    "README.md": "index.md",
    "README.zh-CN.md": "zh/index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "docs/README.md": "contents.md",
}
"""File of the checkout → page of the site. The others keep their path below ``docs``."""
KINDS = {".md", ".css", ".svg", ".png"}
LINK = re.compile(r"(`+)[^`].*?\1|(!?\[[^\]\n]*\]\()([^)\s]+)(\))")
"""Code, in which nothing is a link, or a link."""
FENCE = re.compile(r"^(?: *)(```|~~~)")
LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "object": "data", "embed": "src"}
LOADED_RELS = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "modulepreload"}
CSS_ADDRESS = re.compile(r"(?:url\(|@import\s+)['\"]?((?:https?:)?//[^'\")\s]+)")


class SiteError(Exception):
    """A link or a page is wrong."""


def sources() -> dict[Path, str]:
    """Return the path on the site of every file that belongs to it."""
    files = (path for path in (ROOT / "docs").rglob("*") if path.suffix in KINDS)
    return {path: path.relative_to(ROOT / "docs").as_posix() for path in files} | {
        ROOT / path: page for path, page in RENAMED.items()
    }


def stage() -> None:
    """Copy the pages, with links as the site needs them."""
    pages = sources()
    shutil.rmtree(SITE, ignore_errors=True)
    wrong: list[str] = []
    for source, page in pages.items():
        target = PAGES / page
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            target.write_text(
                relinked(source, page, pages, wrong, source.read_text(encoding="utf-8")), encoding="utf-8"
            )
        else:
            shutil.copyfile(source, target)
    if wrong:
        raise SiteError("\n".join(wrong))


def relinked(source: Path, page: str, pages: dict[Path, str], wrong: list[str], text: str) -> str:
    """Return the text of a page with the links that it has on the site; ``wrong`` gets those that lead nowhere."""
    fenced, lines = False, []
    for number, line in enumerate(text.splitlines(), 1):
        fenced ^= bool(FENCE.match(line))

        def moved(found: re.Match[str], number: int = number) -> str:
            address, _, anchor = (found[3] or "").partition("#")
            if not address or urlsplit(address).scheme:
                return found[0]
            target = Path(os.path.normpath(source.parent / unquote(address)))
            if target in pages:
                new = os.path.relpath(pages[target], Path(page).parent)
            elif target.exists() and target.is_relative_to(ROOT):
                kind = "tree" if target.is_dir() else "blob"
                new = f"{REPOSITORY}/{kind}/main/{target.relative_to(ROOT).as_posix()}"
            else:
                wrong.append(f"{source.relative_to(ROOT)}:{number}: {address} does not exist")
                return found[0]
            return f"{found[2]}{new}{'#' + anchor if anchor else ''}{found[4]}"

        lines.append(line if fenced else LINK.sub(moved, line))
    return "\n".join(lines) + "\n"


def build() -> None:
    """Run Zensical; in its strict mode a warning ends the build."""
    command = [Path(sys.executable).parent / "zensical", "build", "--clean", "--strict"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SiteError(re.sub(r"\x1b\[[\d;]*m", "", done.stdout + done.stderr).split("Traceback (most")[0].strip())


class Page(HTMLParser):
    """What a page of HTML links to, loads and names."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.names: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the attributes that matter."""
        got = {name: value or "" for name, value in attrs}
        self.names |= {got[key] for key in ("id", "name") if key in got}
        if tag == "a" and "href" in got:
            self.links.append(got["href"])
        if (attribute := LOADING.get(tag)) and attribute in got:
            self.loads.append(got[attribute])
        if tag == "link" and set(got.get("rel", "").split()) & LOADED_RELS:
            self.loads.append(got.get("href", ""))
        self.loads += CSS_ADDRESS.findall(got.get("style", ""))


def mistakes(html: Path) -> Iterator[str]:
    """Yield what is wrong on a built site: links to nothing, and whatever comes from another server."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(html.rglob("*.html"))}
    for path, page in pages.items():
        name = path.relative_to(html)
        if path.name == "404.html":  # it has absolute links, because it is served for any path
            continue
        for address in page.loads:
            if urlsplit(address).scheme not in ("", "data") or address.startswith("//"):
                yield f"{name} loads {address}"
            elif not urlsplit(address).scheme and not (path.parent / unquote(urlsplit(address).path)).exists():
                yield f"{name} loads {address}, which does not exist"
        for address in page.links:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
            target = target / "index.html" if target.is_dir() else target
            if not target.exists():
                yield f"{name} links to {address}, which does not exist"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].names:
                yield f"{name} links to {address}, which has no such part"
    for path in html.rglob("*.css"):
        for address in CSS_ADDRESS.findall(path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(html)} loads {address}"
    for path in html.rglob("*.svg"):
        for address in re.findall(r"(?:href|src)=\"((?:https?:)?//[^\"]+)", path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(html)} loads {address}"


def main() -> int:
    """Build and check; tell what is wrong."""
    try:
        stage()
        build()
        if wrong := list(mistakes(HTML)):
            raise SiteError("\n".join(dict.fromkeys(wrong)))
    except SiteError as error:
        print(f"site: {error}", file=sys.stderr)
        return 1
    print(f"site: {len(list(HTML.rglob('*.html')))} pages in {HTML.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
