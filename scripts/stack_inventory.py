"""The inventory of the stack, reduced to what packages exist for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any


def left_out(entries: dict[str, Any], ours: Collection[str], published: Collection[str]) -> dict[str, str]:
    """Return the stand-alone entries that cannot be deployed, and why.

    An entry is left out if one of its packages is ``ours`` and not ``published``, or if it comes after such an entry.
    Packages of the operating system are not ours.
    """
    gone: dict[str, str] = {}
    for name, entry in entries.items():
        missing = [package for package in entry.get("packages", ()) if package in ours and package not in published]
        if missing:
            gone[name] = f"there is no package {missing[0]}"
    waiting = True
    while waiting:
        waiting = False
        for name, entry in entries.items():
            former = next((one for one in entry.get("after", ()) if one in gone), None)
            if name not in gone and former is not None:
                gone[name] = f"it comes after {former}"
                waiting = True
    return gone


def reduced(document: dict[str, Any], gone: Collection[str]) -> dict[str, Any]:
    """Return the inventory without the entries in ``gone``."""
    entries = {
        name: {**entry, **({"reads": [one for one in entry["reads"] if one not in gone]} if "reads" in entry else {})}
        for name, entry in document["standalone"].items()
        if name not in gone
    }
    return {**document, "standalone": entries}


def without_components(document: dict[str, Any], gone: Collection[str]) -> dict[str, Any]:
    """Return the inventory without components of Ambari's stack."""
    groups = {
        name: {**group, "components": [one for one in group["components"] if one not in gone]}
        for name, group in document["groups"].items()
    }
    return {**document, "groups": groups}
