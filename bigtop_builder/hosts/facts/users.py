"""Accounts and groups."""

from __future__ import annotations

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


# getent also lists accounts of a directory service, which may be slow or absent.
USERS = r"""
(timeout 10 getent passwd || cat /etc/passwd) 2>/dev/null | while IFS=: read -r name _ id group _ home shell; do
    emit user "$name" "$id" "$group" "$home" "$shell"
done
"""

GROUPS = r"""
(timeout 10 getent group || cat /etc/group) 2>/dev/null | while IFS=: read -r name _ id members; do
    emit group "$name" "$id" "$members"
done
"""


def _users(rows: Rows) -> dict[str, User]:
    return {
        name: User(uid=int(uid), gid=int(gid), home=home, shell=shell)
        for name, uid, gid, home, shell in rows.of("user")
    }


def _groups(rows: Rows) -> dict[str, tuple[str, ...]]:
    # /etc/group does not list the users whose primary group it is.
    primary: dict[int, list[str]] = {}
    for name, user in _users(rows).items():
        primary.setdefault(user.gid, []).append(name)
    return {
        name: tuple(dict.fromkeys([*filter(None, members.split(",")), *primary.get(int(gid), ())]))
        for name, gid, members in rows.of("group")
    }


class UserFacts(FactGroup):
    """Accounts and groups."""

    users: Annotated[dict[str, User], Fact(USERS, _users)] = Field(default_factory=dict)
    groups: Annotated[dict[str, tuple[str, ...]], Fact(GROUPS, _groups)] = Field(default_factory=dict)
    """The members of each group, including the users whose primary group it is."""
