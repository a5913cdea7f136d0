"""Wait for the Ambari server, and set its administrator's password."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from bigtop_builder.hosts.ambari_logs import server_cause
from bigtop_builder.hosts.server import LOG
from bigtop_builder.model.errors import AmbariError, HostError, InterruptedRunError
from bigtop_builder.model.event import AnyEvent, Change, Notice
from bigtop_builder.model.inventory import Ambari as Choice

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.secret import Secrets
    from bigtop_builder.adapter.ssh.remote import Remote

Emit = Callable[[AnyEvent], None]

LOGIN_GRACE = 20.0
"""Seconds for which a starting server may reject a correct password."""
SHIPPED_PASSWORD = "admin"
POLL = 2.0


class SilentServerError(AmbariError):
    """The server does not answer; ``last_lines`` are from its log."""

    def __init__(self, message: str, *, hint: str | None, last_lines: tuple[str, ...]) -> None:
        super().__init__(message, hint=hint)
        self.last_lines = last_lines


def administrator_ready(
    choice: Choice,
    remote: Remote,
    client: Ambari,
    secrets: Secrets,
    emit: Emit,
    cancelled: threading.Event,
    limit: float,
) -> int:
    """Wait at most ``limit`` seconds until the server on ``remote`` answers, then make the inventory's password work.

    Return the number of changes. Raises AmbariError and InterruptedRunError.
    """
    user = choice.user
    wanted = secrets.value(choice.password, "ambari.password")
    reference = choice.setup.initial_password if choice.setup else None
    initial = secrets.value(reference, "ambari.setup.initial_password") if reference else SHIPPED_PASSWORD
    try:
        works = _first_that_works(client, user, (wanted, initial), emit, cancelled, limit)
    except TimeoutError as error:
        raise _silent(choice, remote, str(error), limit) from error
    if works == wanted:
        return 0
    begin = time.monotonic()
    name = f"change the password of {user}"
    client.renew(initial)
    try:
        client.change_password(initial, wanted)
    except AmbariError:
        client.renew(wanted)
        emit(Change(phase="ambari", name=name, state="failed"))
        raise
    detail = "from the initial one of the installation"
    emit(Change(phase="ambari", name=name, state="done", detail=detail, seconds=time.monotonic() - begin))
    return 1


def _first_that_works(
    client: Ambari, user: str, passwords: tuple[str, ...], emit: Emit, cancelled: threading.Event, limit: float
) -> str:
    """Return the first password that works, and say what is waited for.

    Raises TimeoutError, AmbariError and InterruptedRunError.
    """
    from bigtop_builder.adapter.ambari.errors import (
        AuthenticationError,
        ServerError,
        UnavailableError,
        UnreachableError,
    )

    begin = time.monotonic()
    refused: float | None = None
    said: set[str] = set()

    def waiting(text: str) -> None:
        if text not in said:
            said.add(text)
            emit(Notice(text=text))

    while True:
        try:
            for password in dict.fromkeys(passwords):
                if client.check_password(user, password):
                    return password
            refused = refused or time.monotonic()
            if time.monotonic() - refused > min(LOGIN_GRACE, limit):
                raise AuthenticationError(
                    f"the Ambari server accepts neither ambari.password nor the initial password of {user}",
                    status=403,
                    answer="",
                    hint="was the password changed? Then set ambari.password to the new one",
                )
            waiting(
                f"the Ambari server rejects ambari.password and the initial password of {user}; "
                f"trying for {min(LOGIN_GRACE, limit):.0f} s, because a starting server rejects correct ones"
            )
        except (UnreachableError, UnavailableError, ServerError) as error:
            if isinstance(error, UnreachableError) and not error.again:
                raise
            if time.monotonic() - begin > limit:
                raise TimeoutError(error.message) from error
            waiting(f"waiting up to {limit:.0f} s for the Ambari server at {client.url} to answer")
        if cancelled.wait(POLL):
            raise InterruptedRunError("stopped while waiting for the Ambari server")


def _silent(choice: Choice, remote: Remote, last_error: str, limit: float) -> SilentServerError:
    try:
        log = remote.run(f"tail -n 40 {LOG}", timeout=60).stdout
    except HostError:
        log = ""
    # What was logged before the last start no longer matters.
    cause = server_cause(log.rpartition("Started Server")[2])
    return SilentServerError(
        f"the Ambari server on {remote.name} did not answer at {choice.url} within {limit:g} s:"
        f" {cause.message if cause else last_error}",
        hint=cause.hint if cause else f"see {LOG} on {remote.name}; is ambari.url the server's address?",
        last_lines=tuple(log.splitlines()[-20:]),
    )
