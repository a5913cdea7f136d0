"""How a fact is declared: its shell fragment, its parser and, by the field that it annotates, its type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from shlex import quote

from bigtop_builder.model.base import StrictModel


@dataclass(frozen=True)
class Wanted:
    """What a caller wants to know beyond the facts that are always gathered. Join two of them with ``|``.

    Fragments see each field as a bash array of the same name.
    """

    files: tuple[str, ...] = ()
    """Paths; files below ``/etc/yum.repos.d`` are always included."""
    urls: tuple[str, ...] = ()
    """Addresses that the host should reach."""
    url_options: tuple[str, ...] = ()
    """What curl needs for some of them: the address, a line break, lines for curl's configuration. May be secret."""
    variables: tuple[str, ...] = ()
    """Names of yum's variables in those addresses, the longest first."""
    services: tuple[str, ...] = ()
    """Names without ``.service``."""
    names: tuple[str, ...] = ()
    """Names that the host should resolve."""
    packages: tuple[str, ...] = ()
    """Names of packages that the host should have, or be able to install."""
    homes: tuple[str, ...] = ()
    """Java homes besides those in the usual folders."""
    conditions: tuple[str, ...] = ()
    """A key and a command each, with a space between: does the command succeed?"""

    def __or__(self, other: Wanted) -> Wanted:
        joined = {one.name: (*getattr(self, one.name), *getattr(other, one.name)) for one in fields(self)}
        return Wanted(**{name: tuple(dict.fromkeys(values)) for name, values in joined.items()})

    def arrays(self) -> str:
        """Bash that sets an array for each field, without duplicates."""
        return "\n".join(f"{one.name}=({words(dict.fromkeys(getattr(self, one.name)))})" for one in fields(self))


class Rows:
    """The lines that fragments printed, by their first word. Values are separated by tabs."""

    def __init__(self, stdout: str) -> None:
        self._rows: dict[str, list[list[str]]] = {}
        for line in stdout.split("\n"):
            key, *values = line.split("\t")
            self._rows.setdefault(key, []).append(values)

    def of(self, key: str) -> list[list[str]]:
        """The values of every line with this key; an empty list if there are none."""
        return self._rows.get(key, [])

    def required(self, key: str) -> list[str]:
        """The values of the first line with this key. Raises KeyError if there is none."""
        return self._rows[key][0]

    def single(self, key: str) -> str | None:
        """The first value of the last line with this key; None if it is missing or empty."""
        found = self.of(key)
        return (found[-1][0] or None) if found and found[-1] else None

    def firsts(self, key: str) -> tuple[str, ...]:
        """The first value of every line with this key, without duplicates."""
        return tuple(dict.fromkeys(values[0] for values in self.of(key)))

    def pairs(self, key: str) -> dict[str, str]:
        """The second value by the first one."""
        return {values[0]: values[1] for values in self.of(key)}


Parser = Callable[[Rows], object]
"""Returns the value of the annotated field. ValueError, KeyError and IndexError mean that the rows are malformed."""


@dataclass(frozen=True)
class Fact:
    """Declares how a field of ``HostFacts`` is gathered; put it into the field's ``Annotated`` type.

        uptime: Annotated[float | None, Fact('read -r up _ < /proc/uptime; emit uptime "$up"', single("uptime"))] = None

    Fields may share a fragment, which then runs once. A fragment must not depend on another one.
    """

    fragment: str
    """Bash that prints lines with ``emit KEY VALUE…`` (joined by tabs). It uses bash 4.2 (EL 7), coreutils and what
    the host happens to have; starts few processes, because each costs a millisecond; and changes nothing."""
    parse: Parser
    background: bool = False
    """Whether the fragment may be slow (name look-ups, HTTP): it then starts first and runs alongside the others."""
    about: tuple[str, ...] = ()
    """Fields of ``Wanted``: without any of them the fragment has nothing to find out, and is left out."""

    def matters(self, wanted: Wanted) -> bool:
        """Return whether there is anything to find out."""
        return not self.about or any(getattr(wanted, name) for name in self.about)


class FactGroup(StrictModel):
    """Related facts. A fact that could not be found out is None or missing, never a guess."""

    @classmethod
    def declared(cls) -> Iterator[tuple[str, Fact]]:
        """The facts of this class and its bases: the name of the field, and how it is gathered."""
        for name, field in cls.model_fields.items():
            for item in field.metadata:
                if isinstance(item, Fact):
                    yield name, item


def single(key: str) -> Parser:
    """A parser for one text; None if it is missing or empty."""
    return lambda rows: rows.single(key)


def flag(key: str) -> Parser:
    """A parser for 1 (true) and anything else (false)."""
    return lambda rows: rows.single(key) == "1"


def firsts(key: str) -> Parser:
    """A parser for a list of texts, one in each line."""
    return lambda rows: rows.firsts(key)


def pairs(key: str) -> Parser:
    """A parser for texts by name."""
    return lambda rows: rows.pairs(key)


def words(values: Iterable[str]) -> str:
    """Values as bash words."""
    return " ".join(quote(value) for value in values)
