"""The repository files that Ambari's agents write: ``/etc/yum.repos.d/ambari-bigtop-1.repo``, one for each version.

Agents read every repository file of a host with Python's parser, and refuse one that has a section twice; then they
find no package at all. Nothing but us removes files of versions that are gone: they stay enabled.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Collection
from shlex import quote
from typing import TYPE_CHECKING

from bigtop_builder.hosts.operation import Operation
from bigtop_builder.hosts.packages import REPOSITORIES

if TYPE_CHECKING:
    from bigtop_builder.hosts.facts import HostFacts

_AGENTS = re.compile(re.escape(f"{REPOSITORIES}/ambari-") + r"(?P<stack>[a-z0-9]+)-(?P<version>[0-9]+)\.repo")


def unparsable(text: str) -> str | None:
    """Return why an agent cannot read a repository file: ``two sections [BIGTOP-3.2.0-repo-1]``; None if it can."""
    try:
        configparser.ConfigParser().read_string(text)
    except configparser.DuplicateSectionError as error:
        return f"two sections [{error.section}]"
    except configparser.Error as error:
        return str(error).splitlines()[0]
    return None


def is_agents(path: str) -> bool:
    """Return whether an agent has written the file."""
    return _AGENTS.fullmatch(path) is not None


def remove_agent_repositories(
    facts: HostFacts, stack: str, used: Collection[int], *, ours: bool = False
) -> tuple[Operation, ...]:
    """Plan to remove the files of a stack (``BIGTOP``) that are broken, or not of a version in ``used``.

    An agent writes its file again with the next installation. ``ours``: agents write none, and all of them go.
    """
    operations = []
    for path, file in sorted(facts.files.items()):
        name = _AGENTS.fullmatch(path)
        if name is None or name["stack"] != stack.lower():
            continue
        broken = unparsable(file.text) if file.text is not None else None
        if broken or ours or int(name["version"]) not in used:
            why = broken or ("hosts prepare writes the files of repositories" if ours else None)
            why = why or f"no service here uses the repository version {name['version']}"
            operations.append(Operation(f"remove {path}", why, f"rm -f {quote(path)}"))
    return tuple(operations)
