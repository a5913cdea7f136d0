"""Users: accounts, passwords, and their own view of themselves (472-473, 497, 504-505; contract 1.3)."""

from __future__ import annotations

from typing import Any

from bigtop_builder.ambari_simulator.engine.state import User
from bigtop_builder.ambari_simulator.rest.query import Row, text
from bigtop_builder.ambari_simulator.rest.registry import Body, Call, Resource, properties
from bigtop_builder.ambari_simulator.rest.replies import CREATED, DONE, Refusal, Reply

POLICY = "The password does not meet the Ambari user password policy : "


def _rows(call: Call) -> list[Row]:
    shown = [user for user in call.world.users.values() if call.user.admin or user is call.user]
    return [_row(user) for user in sorted(shown, key=lambda user: user.name)]


def _row(user: User) -> dict[str, Any]:
    return {
        "Users": {
            "active": user.active,
            "admin": user.admin,
            "consecutive_failures": user.failures,
            "created": int(user.created * 1000),
            "display_name": user.name,
            "groups": [],
            "ldap_user": False,
            "local_user_name": user.name,
            "user_name": user.name,
            "user_type": "LOCAL",
        }
    }


def _create(call: Call, bodies: tuple[Body, ...]) -> Reply:
    for body in bodies:
        given = body.properties
        name = call.ids.get(USER.key) or given.get("Users/user_name")
        password = given.get("Users/password")
        if not name:
            raise Refusal(400, "User name must be supplied.")
        if not password:
            raise Refusal(400, "Invalid value for password. It must not be empty")
        name = name.lower()
        if name in call.world.users:
            raise Refusal(409, f"User {name} already exists")
        _check_policy(name, password)
        call.world.users[name] = User(
            name,
            password,
            admin=given.get("Users/admin") == "true",
            active=given.get("Users/active", "true") == "true",
            created=call.world.now(),
        )
    return CREATED


def _check_policy(name: str, password: str) -> None:
    if name in password.lower():
        raise Refusal(400, f"{POLICY}password cannot contain the username")


def _update(call: Call, rows: list[Row], body: Body) -> Reply:
    given = body.properties
    for row in rows:
        user = call.world.users[text(row["Users"]["user_name"])]
        if "Users/password" in given:
            _change_password(call, user, given.get("Users/old_password"), given["Users/password"])
        if "Users/active" in given:
            user.active = given["Users/active"] == "true"
        if "Users/admin" in given:
            user.admin = given["Users/admin"] == "true"
    return DONE


def _change_password(call: Call, user: User, old: str | None, new: str) -> None:
    """Change a password: an administrator sets those of others without the old one, nobody their own."""
    if user is call.user and old != user.password:
        raise Refusal(400, "Wrong current password provided")
    if new == user.password:
        raise Refusal(400, "The new password must be different from the last 1 passwords")
    _check_policy(user.name, new)
    user.password = new


def _delete(call: Call, rows: list[Row]) -> Reply:
    for row in rows:
        del call.world.users[text(row["Users"]["user_name"])]
    return DONE


USER = Resource(
    type="User",
    plural="users",
    key="Users/user_name",
    properties=properties(
        "Users",
        "active admin consecutive_failures created display_name groups ldap_user local_user_name user_name user_type "
        "password old_password",
    ),
    rows=_rows,
    missing=lambda call: f"User, user_name={call.id('Users/user_name')}",
    create=_create,
    update=_update,
    delete=_delete,
)
