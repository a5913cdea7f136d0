"""Accounts and groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from bigtop_builder.hosts.facts.fact import Fact, FactGroup, Rows
from bigtop_builder.model.base import StrictModel


class User(StrictModel):
    """An account."""

    uid: int
    gid: int
    home: str
    shell: str


# getent also lists accounts of a directory service, which may be slow or absent. Without one, the files have them all.
ACCOUNTS = r"""
only=0
while read -r key value; do
    value=${value/ \[SUCCESS=merge\]}
    case "$key ${value% systemd}" in "passwd: files"|"group: files") only=$((only + 1));; esac
done 2>/dev/null < /etc/nsswitch.conf
for key in passwd group; do
    if [ "$only" = 2 ]; then mapfile -t lines 2>/dev/null < "/etc/$key"
    else mapfile -t lines 2>/dev/null < <(timeout 10 getent "$key" || cat "/etc/$key"); fi
    [ "${#lines[@]}" = 0 ] || printf "$key\t%s\n" "${lines[@]}"
done
"""


def _entries(rows: Rows, key: str) -> Iterator[list[str]]:
    """Return the fields of each entry, without comments and what NIS adds or takes away."""
    for values in rows.of(key):
        line = "\t".join(values)
        if line and line[0] not in "#+-":
            yield line.split(":")


def _users(rows: Rows) -> dict[str, User]:
    return {
        name: User(uid=int(uid), gid=int(gid), home=home, shell=shell)
        for name, _, uid, gid, _, home, shell in _entries(rows, "passwd")
    }


def _groups(rows: Rows) -> dict[str, tuple[str, ...]]:
    # /etc/group does not list the users whose primary group it is.
    primary: dict[int, list[str]] = {}
    for name, user in _users(rows).items():
        primary.setdefault(user.gid, []).append(name)
    return {
        name: tuple(dict.fromkeys([*filter(None, members.split(",")), *primary.get(int(gid), ())]))
        for name, _, gid, members in _entries(rows, "group")
    }


class UserFacts(FactGroup):
    """Accounts and groups."""

    users: Annotated[dict[str, User], Fact(ACCOUNTS, _users)] = Field(default_factory=dict)
    groups: Annotated[dict[str, tuple[str, ...]], Fact(ACCOUNTS, _groups)] = Field(default_factory=dict)
    """The members of each group, including the users whose primary group it is."""
