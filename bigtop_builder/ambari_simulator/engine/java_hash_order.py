"""The iteration order of Java's hash maps, in which Ambari prints and numbers what it does not sort."""

from __future__ import annotations

from collections.abc import Iterable


def hash_order(names: Iterable[str]) -> list[str]:
    """Return names in the order in which a ``HashMap`` with default capacity iterates (``java.util.HashMap``)."""
    known = list(dict.fromkeys(names))
    buckets = 16
    while len(known) > buckets * 0.75:
        buckets *= 2
    return sorted(known, key=lambda name: _spread(name) & (buckets - 1))


def _spread(name: str) -> int:
    value = 0
    for unit in name.encode("utf-16-be").hex(" ", 2).split():
        value = (value * 31 + int(unit, 16)) & 0xFFFFFFFF
    return value ^ (value >> 16)
