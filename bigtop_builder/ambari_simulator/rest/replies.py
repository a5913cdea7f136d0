"""The answers of hooks: a reply is returned, a refusal is raised.

Ambari's success bodies are often empty: 201 for what was created at once, 200 for an update or delete with nothing to
report, 202 with the request's address for work that goes on (contract 2.4).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Reply:
    """Status and document (``None``: empty body); ``headers`` besides those of every answer."""

    status: int
    document: Any = None
    headers: tuple[tuple[str, str], ...] = field(default=())
    uncaught: bool = False
    """Printed by the servlet container, not by a resource."""
    text: str | None = None
    """A body that is not JSON, instead of ``document``."""


class Refusal(Exception):  # noqa: N818 - it is an answer, not a fault of the simulation
    """Ends a call with ``{"status": …, "message": …}``; without ``message`` an empty body, ``plain`` the text alone."""

    def __init__(self, status: int, message: str | None, *, uncaught: bool = False, plain: bool = False) -> None:
        super().__init__(f"{status} {message}")
        self.status = status
        self.message = message
        self.uncaught = uncaught
        self.plain = plain


DONE = Reply(200)
CREATED = Reply(201)


def accepted(address: str, request: int) -> Reply:
    """Work continues as request ``request``, whose full address is ``address``."""
    return Reply(202, {"href": address, "Requests": {"id": request, "status": "Accepted"}})


def resources(*documents: dict[str, Any], status: int = 201) -> Reply:
    """A creation that returns data; recommendations and validations do it with status 200."""
    return Reply(status, {"resources": list(documents)})


def internal(message: str) -> Refusal:
    """Ambari's own exception: a 500 with its text, often for the caller's mistake."""
    return Refusal(500, f"An internal system exception occurred: {message}")


def uncaught() -> Refusal:
    """An exception that the server does not handle: the text is only in its log."""
    return Refusal(
        500,
        f"Internal server error, please refer the exception by {uuid.uuid4()} in the server log file",
        uncaught=True,
    )
