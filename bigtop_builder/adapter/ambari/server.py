"""The server itself, its users, and the hosts that have registered with it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from bigtop_builder.adapter.ambari.connection import Connection, Json, listed, required
from bigtop_builder.adapter.ambari.errors import AuthenticationError, ServerError, UnavailableError, UnreachableError
from bigtop_builder.adapter.ambari.query import fields, path
from bigtop_builder.cluster.layout_fields import HOST_FIELDS
from bigtop_builder.model.errors import AmbariError, InterruptedRunError

READY_POLL = 1.0
LOGIN_GRACE = 20.0
"""Seconds for which a starting server may reject a correct password."""
_SERVER = "services/AMBARI/components/AMBARI_SERVER"
_AGENT = "services/AMBARI/components/AMBARI_AGENT"
_HOST_FIELDS = fields(
    "Hosts",
    "host_name host_state host_status os_family os_type cluster_name ip cpu_count total_mem last_heartbeat_time "
    "last_registration_time " + " ".join(field.property for field in HOST_FIELDS),
)


@dataclass(frozen=True)
class RegisteredHost:
    """A host whose agent has registered.

    ``state`` is HEALTHY, HEARTBEAT_LOST …; ``cluster`` is None for a free host; ``settings`` has the properties of the
    table of layout fields; ``heartbeat`` is in seconds since the epoch by the server's clock, None before the first one
    since the server's start, and so is ``registered``, the last registration.
    """

    name: str
    state: str
    status: str
    os_family: str
    os_type: str
    cluster: str | None
    ip: str
    cpu: int
    memory_kb: int
    settings: Mapping[str, str]
    heartbeat: float | None
    registered: float | None = None


class ServerCalls(Connection):
    """``/services/AMBARI``, ``/users``, ``/hosts``."""

    def version(self) -> str:
        """Return the server's version with four parts: ``3.0.0.0``."""
        data = self.get(_SERVER, fields="RootServiceComponents/component_version")
        return str(data.get("RootServiceComponents", {}).get("component_version", ""))

    def clock(self) -> float:
        """Return the server's time in seconds since the epoch; whole seconds."""
        data = self.get(_SERVER, fields="RootServiceComponents/server_clock")
        return float(data.get("RootServiceComponents", {}).get("server_clock") or time.time())

    def server_properties(self) -> dict[str, str]:
        """Return the properties of the server (``ambari.properties``) that it shows (018), without passwords."""
        data = self.get(_SERVER)
        found = data.get("RootServiceComponents", {}).get("properties") or {}
        return {str(name): str(value) for name, value in found.items()}

    def agent_versions(self) -> dict[str, str]:
        """Return the version of the agent by host."""
        found = self.get(_AGENT, fields="hostComponents/RootServiceHostComponents/component_version")
        agents = [item.get("RootServiceHostComponents", {}) for item in listed(found.get("hostComponents"))]
        return {str(agent["host_name"]): str(agent.get("component_version") or "") for agent in agents}

    def wait_ready(self, timeout: float) -> None:
        """Wait until the server has started.

        Raises AmbariError after ``timeout`` seconds, AuthenticationError if it keeps rejecting the password.
        """
        begin = time.monotonic()
        refused: float | None = None
        while True:
            try:
                self.get("clusters", minimal=True)
                return
            except AuthenticationError:
                refused = refused or time.monotonic()
                if time.monotonic() - refused > min(LOGIN_GRACE, timeout):
                    raise
            except (UnreachableError, UnavailableError, ServerError) as error:
                if isinstance(error, UnreachableError) and not error.again:
                    raise
                if time.monotonic() - begin > timeout:
                    raise AmbariError(
                        f"the Ambari server was not ready within {timeout:g} s: {error.message}", hint=error.hint
                    ) from error
            if self.cancelled.wait(READY_POLL):
                raise InterruptedRunError("stopped while waiting for the Ambari server")

    def check_password(self, user: str, password: str) -> bool:
        """Return whether the server accepts this password now."""
        try:
            self.answers_to(user, password, path("users", user))
        except AuthenticationError:
            return False
        except AmbariError as error:
            if getattr(error, "status", None) in (403, 404):
                return True
            raise
        return True

    def is_administrator(self) -> bool:
        """Return whether the user is an administrator of Ambari. A user without any role sees no clusters at all."""
        data = self.get(path("users", self.user), fields="Users/user_name,Users/active,Users/admin")
        return bool(data.get("Users", {}).get("admin"))

    def change_password(self, old: str, new: str) -> None:
        """Change the password of the connection's own user; the calls that follow use the new one."""
        user = {"user_name": self.user, "old_password": old, "password": new}
        self.put(path("users", self.user), {"Users": user})
        self.renew(new)

    def hosts(self) -> list[RegisteredHost]:
        """Return every registered host, in a cluster or free, sorted by name."""
        found = [_host(item.get("Hosts", {})) for item in self.items("hosts", fields=_HOST_FIELDS)]
        return sorted(found, key=lambda host: host.name)

    def host(self, name: str) -> RegisteredHost | None:
        """Return a registered host, or None."""
        item = self.find(path("hosts", name), fields=_HOST_FIELDS)
        return _host(item.get("Hosts", {})) if item else None


def _host(item: Json) -> RegisteredHost:
    beat = item.get("last_heartbeat_time") or 0
    registration = item.get("last_registration_time") or 0
    return RegisteredHost(
        name=str(required(item, "host_name")),
        state=required(item, "host_state") or "",
        status=item.get("host_status") or "",
        os_family=item.get("os_family") or "",
        os_type=item.get("os_type") or "",
        cluster=item.get("cluster_name") or None,
        ip=item.get("ip") or "",
        cpu=int(item.get("cpu_count") or 0),
        memory_kb=int(item.get("total_mem") or 0),
        settings={field.property: str(value) for field in HOST_FIELDS if (value := item.get(field.property))},
        heartbeat=beat / 1000 if beat > 0 else None,
        registered=registration / 1000 if registration > 0 else None,
    )
