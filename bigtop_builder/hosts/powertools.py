"""The operating system's repository with development packages, off by default: PowerTools on EL 8, CRB on EL 9."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote

from bigtop_builder.hosts.facts import HostFacts
from bigtop_builder.hosts.files import write_file
from bigtop_builder.hosts.operation import Cannot, Operation
from bigtop_builder.hosts.packages import REPOSITORIES

_IDS = re.compile(r"(?:.*-)?(?:powertools|crb)|codeready-builder-for-rhel-\d+-.*-rpms", re.IGNORECASE)
_OTHERS = re.compile(r"debug|source", re.IGNORECASE)
SUBSCRIPTIONS = f"{REPOSITORIES}/redhat.repo"
"""Written by subscription-manager, which undoes changes of others."""


@dataclass(frozen=True)
class PowerTools:
    """The repository as a host describes it."""

    id: str
    path: str
    enabled: bool

    @property
    def command(self) -> str:
        """The command that enables it."""
        if self.path == SUBSCRIPTIONS:
            return f"subscription-manager repos --enable {self.id}"
        return f"dnf config-manager --set-enabled {self.id}"


def powertools(facts: HostFacts) -> PowerTools | None:
    """Return the repository, or None if no readable file of the host describes it."""
    for path, file in sorted(facts.files.items()):
        if not path.startswith(f"{REPOSITORIES}/") or file.text is None:
            continue
        parsed = configparser.RawConfigParser(strict=False)
        try:
            parsed.read_string(file.text)
        except configparser.Error:
            continue
        for section in parsed.sections():
            if _IDS.fullmatch(section) and not _OTHERS.search(section):
                enabled = parsed.get(section, "enabled", fallback="1").strip().lower() in ("1", "true", "yes")
                return PowerTools(section, path, enabled)
    return None


def enable_powertools(facts: HostFacts) -> Iterator[Operation | Cannot]:
    """Plan to enable the repository if it is not enabled yet."""
    found = powertools(facts)
    if found is None:
        yield Cannot("PowerTools or CRB", "no repository file describes it")
    elif not found.enabled and found.path == SUBSCRIPTIONS:
        yield Operation(f"enable {found.id}", found.command, f"subscription-manager repos --enable {quote(found.id)}")
    elif not found.enabled:
        file = facts.files[found.path]
        content = _enabled(file.text or "", found.id).encode()
        yield from write_file(facts, found.path, content, owner=file.owner, group=file.group, mode=f"0{file.mode}")


def _enabled(text: str, section: str) -> str:
    """Return the text of a repository file with ``enabled=1`` in a section; everything else stays."""
    lines: list[str] = []
    inside = False
    for line in text.splitlines():
        header = re.fullmatch(r"\[(.*)\]\s*", line)
        inside = header[1] == section if header else inside
        if inside and re.match(r"enabled\s*=", line):
            continue
        lines.append(line)
        if header and inside:
            lines.append("enabled=1")
    return "".join(f"{line}\n" for line in lines)
