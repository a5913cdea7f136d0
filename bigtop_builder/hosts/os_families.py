"""Operating systems by the families of Ambari's repositories, and what Ambari has to be told of some of them.

Agents name their system after ``/etc/os-release`` and look the name up in ``os_family.json``. Of the systems here that
Ambari does not list, the server refuses agents (AMBARI: "not supported os type"), unless that file of the agent has an
alias: agents then present themselves as the other system (``OSCheck.get_alias``, 2.7 to 3.1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_LISTED: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "openeuler": ("openeuler", ("22",)),
    **dict.fromkeys(
        ("rhel", "centos", "rocky", "ol", "oraclelinux", "scientific", "redhat"), ("redhat", ("6", "7", "8", "9"))
    ),
}
"""The systems that Ambari lists: their family and its versions."""

_RELATED: Mapping[tuple[str, str], str] = {
    ("almalinux", "8"): "redhat8",
    ("almalinux", "9"): "redhat9",
    ("anolis", "7"): "redhat7",
    ("anolis", "8"): "redhat8",
    ("openeuler", "24"): "openeuler22",
    ("kylin", "v10"): "openeuler22",
    ("kylin", "v11"): "openeuler22",
    ("uos", "20"): "redhat8",
}
"""Systems that Ambari does not list → the family whose packages they install: rebuilds of Red Hat's (AlmaLinux, Anolis
8, UOS Server 20 in the edition built from it), and descendants of openEuler (Kylin V10 and V11)."""


@dataclass(frozen=True)
class OsFamily:
    """The family of a system: ``redhat8``. ``alias``: the name that Ambari has to be told; None if it lists it."""

    name: str
    alias: str | None = None


def alias_of(os_id: str | None, version: str | None) -> str | None:
    """Return the name that an agent looks up among the aliases: ``almalinux`` 9.1 → ``almalinux9``; None if unknown."""
    return f"{os_id.lower()}{version.partition('.')[0]}" if os_id and version else None


def family_of(os_id: str | None, version: str | None) -> OsFamily | None:
    """Return the family of a system, by ID and VERSION_ID of its ``/etc/os-release``; None if it is unknown."""
    name, first = (os_id or "").lower(), (version or "").lower().partition(".")[0]
    related = _RELATED.get((name, first))
    if related is not None:
        return OsFamily(related, alias_of(os_id, version))
    family, _ = _LISTED.get(name, (None, ()))
    major = re.match(r"[0-9]+", first)
    return OsFamily(f"{family}{major[0]}") if family and major else None
