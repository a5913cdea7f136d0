"""The names of a version's repositories: they decide which repositories Ambari adds by itself.

When a version is registered, and at each start of the server, Ambari adds every repository of the stack whose **name**
the version lacks for that OS family, whatever its id (733, 734). Agents then write two sections of one id, and cannot
read the file any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class NamedRepository:
    """A repository for one OS family: ``BIGTOP-3.2.0``, ``bigtop``, its base URL."""

    id: str
    name: str
    url: str


def name_repositories(ours: Sequence[tuple[str, str]], stack: Sequence[tuple[str, str]]) -> tuple[NamedRepository, ...]:
    """Name our repositories (ids and URLs) so that Ambari adds none of the stack's (ids and names) to them.

    A repository with the id of one of the stack's takes its name; other names of the stack go to the others in order,
    and whatever is left is called like its id. If the stack has more repositories than we, the rest is registered
    with the URL of our first: ours hold all packages, and hosts may be unable to reach the stack's own address.
    """
    if not ours:
        return ()
    ids = {key for key, _ in ours}
    names = {key: name for key, name in stack if key in ids}
    left = [(key, name) for key, name in stack if name not in names.values()]
    for key, _ in ours:
        if key not in names and left:
            names[key] = left.pop(0)[1]
    taken = set(names.values())
    for key, _ in ours:
        if key not in names:
            names[key] = _unused(key.lower(), taken)
            taken.add(names[key])
    named = [NamedRepository(key, names[key], url) for key, url in ours]
    for key, name in left:
        named.append(NamedRepository(_unused(key, ids), name, ours[0][1]))
        ids.add(named[-1].id)
    return tuple(named)


def _unused(name: str, taken: set[str]) -> str:
    """Return the name, or the first with a number behind it that is not taken."""
    if name not in taken:
        return name
    number = 2
    while f"{name}-{number}" in taken:
        number += 1
    return f"{name}-{number}"
