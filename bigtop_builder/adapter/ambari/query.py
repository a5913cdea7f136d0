"""The part of Ambari's query language that the client uses: predicates, encoding, paths."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

SAFE = "/=&,.()!<>*:~';@$"
"""Characters that a query may contain unencoded: ``|``, ``+``, ``%``, ``#`` and blanks may not."""


def path(*parts: str | int) -> str:
    """``clusters/c1/hosts/n1``: every part is encoded, so that none reaches into another address."""
    return "/".join(quote(str(part), safe="") for part in parts)


def fields(kind: str, names: str) -> str:
    """Return the names of fields: ``fields("Hosts", "ip cpu_count")`` → ``Hosts/ip,Hosts/cpu_count``."""
    return ",".join(f"{kind}/{name}" for name in names.split())


def one_of(name: str, values: Iterable[str | int]) -> str:
    """Return the predicate ``name.in(a,b)``."""
    return f"{name}.in({','.join(str(value) for value in values)})"


def any_of(terms: Iterable[str]) -> str:
    """Return the predicate ``(a|b)``."""
    return f"({'|'.join(terms)})"


def all_of(*terms: str) -> str:
    """Return the predicate ``a&b``; empty terms are left out."""
    return "&".join(term for term in terms if term)


def encode(query: str) -> str:
    """Return a query encoded for a URL."""
    return quote(query, safe=SAFE)
