"""Operating systems by the families of Ambari's repositories, and what Ambari has to be told of some of them.

Agents name their system after ``/etc/os-release`` and look the name up in ``os_family.json``. Of the systems here that
Ambari does not list, the server refuses agents (AMBARI: "not supported os type"), unless that file of the agent has an
alias: agents then present themselves as the other system (``OSCheck.get_alias``, 2.7 to 3.1).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING

from bigtop_builder.hosts.operation import Operation

if TYPE_CHECKING:
    from bigtop_builder.hosts.facts import HostFacts

OS_FAMILY_FILES: Mapping[str, str] = {
    name: f"/usr/lib/{name}/lib/ambari_commons/resources/os_family.json" for name in ("ambari-agent", "ambari-server")
}
"""By package: its list of operating systems."""

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


# Agents of 2.7 run with Python 2, the others with 3: the script suits both. The file keeps owner and mode.
_ALIAS = """file={file}
for python in python3 python2 python /usr/libexec/platform-python; do
    command -v "$python" >/dev/null || continue
    "$python" -c '
import json, sys
path, alias, family = sys.argv[1:]
with open(path) as stream:
    data = json.load(stream)
data.setdefault("aliases", {{}})[alias] = family
text = json.dumps(data, indent=2)
with open(path, "w") as stream:
    stream.write(text + "\\n")
' "$file" {alias} {family}
    exit 0
done
echo "Python is missing" >&2
exit 1
"""


def tell_ambari(facts: HostFacts, package: str) -> Iterator[Operation]:
    """Plan the alias that a server or an agent needs on this host. The facts must include its file."""
    family = family_of(facts.os_id, facts.os_version)
    path = OS_FAMILY_FILES[package]
    if family is None or family.alias is None or _aliases(facts, path).get(family.alias) == family.name:
        return
    script = _ALIAS.format(file=quote(path), alias=quote(family.alias), family=quote(family.name))
    yield Operation(
        f"let {package} know {family.alias}",
        f"{path}: aliases: + {family.alias}: {family.name}",
        script,
        restarts=(package,),
    )


def _aliases(facts: HostFacts, path: str) -> Mapping[str, object]:
    file = facts.files.get(path)
    try:
        data = json.loads(file.text) if file and file.text else {}
    except ValueError:
        return {}
    aliases = data.get("aliases") if isinstance(data, dict) else None
    return aliases if isinstance(aliases, dict) else {}
