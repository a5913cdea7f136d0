"""Turns page models into HTML: templates whose every output is escaped, in English or Chinese."""

from __future__ import annotations

import json
import shlex
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol, get_args
from urllib.parse import quote

import jinja2

from bigtop_builder.cli.text_format import clean, size, span
from bigtop_builder.cli.views.closing import MARKS
from bigtop_builder.cli.views.html.run_page import CELL_STATES, LISTED, matrices, status_colour

Language = Literal["en", "zh"]
Theme = Literal["auto", "light", "dark"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
THEMES: tuple[Theme, ...] = get_args(Theme)
HERE = Path(__file__).parent
STATIC = HERE / "static"


class Texts:
    """The texts of a language by name. A name that the catalogue lacks is an error."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._texts: dict[str, str] = json.loads((HERE / "messages" / f"{language}.json").read_text(encoding="utf-8"))

    def __getattr__(self, name: str) -> str:
        try:
            return self._texts[name]
        except KeyError:
            raise AttributeError(name) from None

    def counted(self, name: str, number: int) -> str:
        """Return a text with a number, as the language says it for one and for more."""
        return self._texts[f"{name}_one" if number == 1 else name].format(number)

    def state(self, name: str) -> str:
        """Return the word for a state; one that the catalogue lacks, such as Ambari's, stays as it is."""
        if name.startswith("exit "):
            return self.exit_code.format(name.removeprefix("exit "))
        return self._texts.get(f"state_{name}", name)

    def phase(self, name: str) -> str:
        """Return the words for a phase of a deployment."""
        return self._texts.get(f"phase_{name}", name)

    def kind(self, name: str) -> str:
        """Return the word for a kind of run."""
        return self._texts.get(f"kind_{name}", name)

    @property
    def names(self) -> set[str]:
        """The names of all texts."""
        return set(self._texts)


class Links(Protocol):
    """Where pages find each other: on a server by their addresses, in a report by anchors. None: not there."""

    def run(self, run: str) -> str | None:
        """The page of a run."""

    def log(self, run: str, place: str | None) -> str | None:
        """A log of a run, by its place below the run's logs."""

    def component(self, name: str) -> str | None:
        """The page of a component."""

    def package(self, name: str) -> str | None:
        """The page of a package, by the name of its file."""

    def cluster(self, name: str) -> str | None:
        """The page of a cluster."""

    def download(self, run: str, name: str) -> str | None:
        """A file of a run for download: ``events.jsonl``, ``junit.xml``, ``report.html``."""


@dataclass(frozen=True)
class WebLinks:
    """Addresses on the web server; ``root`` comes before all of them, where a proxy serves a part of its site."""

    root: str = ""

    def to(self, *parts: str) -> str:
        """Return the address of a page by the parts of its path."""
        return f"{self.root}/" + "/".join(quote(part, safe="@+") for part in parts)

    def run(self, run: str) -> str | None:
        """The page of a run."""
        return self.to("runs", run)

    def log(self, run: str, place: str | None) -> str | None:
        """A log of a run."""
        return self.to("runs", run, "logs", *place.split("/")) if place else None

    def component(self, name: str) -> str | None:
        """The page of a component."""
        return self.to("components", name)

    def package(self, name: str) -> str | None:
        """The page of a package."""
        return self.to("packages", name)

    def cluster(self, name: str) -> str | None:
        """The page of a cluster."""
        return self.to("clusters", name)

    def request(self, name: str, number: int) -> str:
        """The page of a request of Ambari."""
        return self.to("clusters", name, "requests", str(number))

    def download(self, run: str, name: str) -> str | None:
        """A file of a run for download."""
        return self.to("runs", run, name)


@cache
def texts(language: Language) -> Texts:
    """Return the catalogue of a language."""
    return Texts(language)


@cache
def environment() -> jinja2.Environment:
    """Return the templates. Whatever they show is escaped, and freed of what could control a terminal or mislead."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        finalize=_shown,
    )
    made.filters |= {
        "shellquote": shlex.quote,
        "span": span,
        "size": size,
        "when": when,
        "plain": clean,
        "anchor": anchor,
    }
    made.globals |= {
        "MARKS": MARKS,
        "CELL_STATES": CELL_STATES,
        "LISTED": LISTED,
        "matrices": matrices,
        "status_colour": status_colour,
    }
    return made


def _shown(value: Any) -> Any:
    # What is Markup already is a subclass of str, and left alone.
    return value if type(value) is not str or value.isprintable() else clean(value)


def when(seconds: float) -> str:
    """``2026-11-28 18:59:18``, UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds)) if seconds else ""


def anchor(text: str) -> str:
    """Return a text as the id of an element."""
    return quote(text, safe="").replace("%", "_")


@cache
def pieces(language: Language, root: str = "") -> Any:
    """Return the macros of the parts of a run's page that change while it goes on."""
    template = environment().get_template("pieces.html")
    return template.make_module({"t": texts(language), "links": WebLinks(root), "live": True})


def render(template: str, language: Language, links: Links, **context: object) -> str:
    """Return a page."""
    return environment().get_template(template).render(t=texts(language), links=links, **context)
