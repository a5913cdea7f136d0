"""The page that people see at a repository or at the root of repositories: what is there, and how to use it.

It is one file without scripts, so that it serves as well from a bucket or a plain web server as from ``repo serve``.
"""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from bigtop_builder.flow.publish.repo_file import install_lines
from bigtop_builder.recipe.catalog import shipped_templates

if TYPE_CHECKING:
    import jinja2

INDEX = "index.html"
GENERATOR = '<meta name="generator" content="bigtop-builder">'
"""What a page of ours says in its head."""


@dataclass(frozen=True)
class IndexedPackage:
    """A package on the page; ``path`` leads to its file from the page's folder."""

    file: str
    path: str
    size: int


@dataclass(frozen=True)
class IndexedRepository:
    """A repository on the page of a root; ``path`` leads to its folder."""

    stack: str
    platform: str
    path: str
    packages: int = 0


def repository_page(
    stack: str,
    platform: str,
    packages: Sequence[IndexedPackage],
    *,
    repo: str | None = None,
    published: int | None = None,
    keys: Sequence[str] = (),
    entries: Sequence[str] = (),
) -> bytes:
    """Return the page of a repository.

    ``repo`` is the address of its ``.repo`` file for hosts; without one the page tells nobody how to install from it.
    ``published`` is in seconds since the epoch, ``keys`` are the names of the files of public keys,
    ``entries`` those of everything in the folder, folders with a slash at their end.
    """
    folder, _, file = (repo or "").rpartition("/")
    beside = [file] if folder.endswith(f"/{stack}/{platform}") else []
    return _page(
        title=f"{stack} for {platform}",
        lines=install_lines(repo) if repo else [],
        links=[*beside, *keys],
        packages=sorted(packages, key=lambda one: one.file),
        published=published,
        repositories=(),
        entries=entries,
    )


def root_page(
    repositories: Sequence[IndexedRepository], *, repos: Sequence[str] = (), entries: Sequence[str] = ()
) -> bytes:
    """Return the page of a root of repositories; ``repos`` are the addresses of their ``.repo`` files for hosts."""
    return _page(
        title="Package repositories",
        lines=[install_lines(one)[0] for one in repos],
        links=(),
        packages=(),
        published=None,
        repositories=repositories,
        entries=entries,
    )


def _page(**context: object) -> bytes:
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return str(_template().render(style=style, style_digest=digest, **context)).encode("utf-8", "replace")


@cache
def _style() -> str:
    return (shipped_templates() / "repo" / "index.css").read_text(encoding="utf-8")


@cache
def _template() -> jinja2.Template:
    import jinja2

    folder = jinja2.FileSystemLoader(shipped_templates() / "repo")
    made = jinja2.Environment(loader=folder, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    made.filters |= {"size": _size, "date": _date, "address": lambda name: quote(os.fsencode(name))}
    return made.get_template("index.html.j2")


def _date(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def _size(count: int) -> str:
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:.1f} {unit}" if unit != "B" else f"{count} B"
