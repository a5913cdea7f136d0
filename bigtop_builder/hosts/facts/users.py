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


# getent also lists accounts of a directory service, which may be slow or absent. Without one, the files have them all.
ACCOUNTS = r"""
kind=user files=0
while read -r key value; do
    value=${value/ \[SUCCESS=merge\]}
    case "$key ${value% systemd}" in "passwd: files"|"group: files") files=$((files + 1));; esac
done 2>/dev/null < /etc/nsswitch.conf
while IFS=: read -r name _ id group _ home shell; do
    case $name in
        ==) kind=group;;
        \#*|+*|-*|"") ;;
        *) if [ "$kind" = user ]; then emit user "$name" "$id" "$group" "$home" "$shell"
           else emit group "$name" "$id" "$group"; fi;;
    esac
done < <(
    exec 2>/dev/null
    if [ "$files" = 2 ]; then printf '%s\n' "$(< /etc/passwd)" == "$(< /etc/group)"; exit; fi
    timeout 10 getent passwd || cat /etc/passwd; echo ==; timeout 10 getent group || cat /etc/group
)
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

    users: Annotated[dict[str, User], Fact(ACCOUNTS, _users)] = Field(default_factory=dict)
    groups: Annotated[dict[str, tuple[str, ...]], Fact(ACCOUNTS, _groups)] = Field(default_factory=dict)
    """The members of each group, including the users whose primary group it is."""
