"""Errors of Ambari by cause.

The server reports many mistakes of its caller with status 500, so the message decides, not only the status. The
fragments of messages were seen on a live server of 3.0 and read in the sources of 2.7 and 2.8.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bigtop_builder.model.errors import AmbariError
from bigtop_builder.model.json_text import parse_json

MESSAGE_LENGTH = 2000
SERVER_LOG = "/var/log/ambari-server/ambari-server.log"


class UnreachableError(AmbariError):
    """There was no response.

    ``sent``: the call may have reached the server and may have been carried out; ``again``: a retry may help.
    """

    def __init__(self, message: str, *, hint: str | None = None, sent: bool = False, again: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.sent = sent
        self.again = again


class UnknownNameError(UnreachableError):
    """The server's name cannot be resolved on this machine."""


class NoAnswerError(UnreachableError):
    """The server accepted the call but did not respond in time."""


class CertificateError(UnreachableError):
    """The server's certificate is not trusted, or belongs to another host."""


class UnexpectedAnswerError(AmbariError):
    """The response is not one of Ambari's: another server, a proxy, a login page, a truncated body."""


class RefusedError(AmbariError):
    """Ambari rejected the call with HTTP ``status``; ``answer`` is its message."""

    def __init__(self, message: str, *, status: int, answer: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.answer = answer


class AuthenticationError(RefusedError):
    """User or password is wrong, or the account is locked or disabled."""


class PermissionDeniedError(RefusedError):
    """The user lacks the permission."""


class NotFoundError(RefusedError):
    """The resource does not exist."""


class ConflictError(RefusedError):
    """The resource to create already exists."""


class InvalidRequestError(RefusedError):
    """Ambari considers the call invalid."""


class InUseError(RefusedError):
    """The resource to remove or change is in use: started, being installed, or a cluster was created from it."""


class UnavailableError(RefusedError):
    """The server, or a proxy in front of it, is temporarily unavailable."""


class AdvisorError(RefusedError):
    """Ambari's stack advisor failed."""


class ServerError(RefusedError):
    """A bug in the server, or a failure that it does not explain."""

    @property
    def reference(self) -> str | None:
        """The number under which the server's log has the exception."""
        found = _REFERENCE.search(self.answer)
        return found[1] if found else None


@dataclass(frozen=True)
class _Rule:
    fragment: str
    error: type[RefusedError]
    hint: str | None = None


_LOGIN = "check ambari.user and ambari.password; only an administrator can unlock a locked account"
_RIGHTS = "the user needs the role of a cluster administrator or an Ambari administrator"
_STOP = "stop running components first, and abort unfinished requests"
_VERSION = "GET stacks/NAME/versions lists the stacks that this server has"
_LAYOUT = "groups and stack.version of the inventory decide it: does this stack have what the message names?"
_OURS = "this call is not one that this server knows: report it, with the version of Ambari"
_FULL = "free some space on the hosts of the Ambari server and of its database, then run the command again"
_DATABASE = "Ambari's database does not answer: is it running, and can the Ambari server reach it?"

_RULES = (
    _Rule("could not extend file", ServerError, _FULL),
    _Rule("No space left on device", ServerError, _FULL),
    _Rule("unable to extend table", ServerError, _FULL),
    _Rule("' is full", ServerError, _FULL),
    _Rule("Communications link failure", ServerError, _DATABASE),
    _Rule("The connection attempt failed", ServerError, _DATABASE),
    _Rule("terminating connection due to", ServerError, _DATABASE),
    _Rule("Missing authentication token", AuthenticationError, _LOGIN),
    _Rule("Unable to sign in", AuthenticationError, _LOGIN),
    _Rule("Failed to decode basic authentication", AuthenticationError, _LOGIN),
    _Rule("Too many authentication failures", AuthenticationError, "an administrator must unlock the account"),
    _Rule("The account is disabled", AuthenticationError, "an administrator must activate the account"),
    _Rule("You do not have permissions to access", PermissionDeniedError, _RIGHTS),
    _Rule("The authenticated user", PermissionDeniedError, _RIGHTS),
    _Rule(
        "CSRF protection is turned on",
        InvalidRequestError,
        "something between here and the server removes the header X-Requested-By",
    ),
    _Rule("password does not meet", InvalidRequestError, "the rule is security.password.policy.regexp of the server"),
    _Rule("Attempted to create ", ConflictError),
    _Rule("already exists", ConflictError),
    _Rule("is already defined for another repository version", ConflictError, "give each version its own base URL"),
    _Rule("it is already in the cluster", ConflictError),
    _Rule("Configuration with tag", ConflictError),
    _Rule("Config group not found", NotFoundError),
    _Rule("cannot be deleted as cluster provisioning", InUseError, "delete the cluster first"),
    _Rule("can't be deleted as it is used", InUseError, "hosts still use this version"),
    _Rule("prohibiting component removal", InUseError, _STOP),
    _Rule("non-removable state", InUseError, _STOP),
    _Rule("not in the removable state", InUseError, _STOP),
    _Rule("Could not delete cluster", InUseError, _STOP),
    _Rule("Stack Advisor reported an error", AdvisorError, "the files that the message names are on the Ambari server"),
    _Rule("Error parsing services.json", AdvisorError, "does the stack have every service?"),
    _Rule("have not been registered with the server", InvalidRequestError, "is ambari-agent running on these hosts?"),
    _Rule(
        "Invalid transition for",
        InvalidRequestError,
        "install it again first: its installation failed or is unfinished",
    ),
    _Rule(
        "Invalid state transition",
        InvalidRequestError,
        "install it again first: its installation failed or is unfinished",
    ),
    _Rule("Could not locate", InvalidRequestError, "the stack has no upgrade pack: BIGTOP ships none"),
    _Rule("Could not access base url", InvalidRequestError, "can the Ambari server reach the repository?"),
    _Rule("Could not load url from", InvalidRequestError, "can the Ambari server reach this URL?"),
    _Rule("Could not identify repository version", InvalidRequestError, "register the version definition first"),
    _Rule("Several repositories were found", InvalidRequestError, "name the repository version"),
    _Rule("No repositories were found", InvalidRequestError, "register the version definition first"),
    _Rule(
        "is not supported by stack", InvalidRequestError, "the stack's repoinfo.xml lists the systems that it supports"
    ),
    _Rule("is not valid for the specified stack", InvalidRequestError, _LAYOUT),
    _Rule("Unsupported or invalid service in stack", InvalidRequestError, _LAYOUT),
    _Rule("Cluster Topology validation failed", InvalidRequestError, "add to groups of the inventory what is missing"),
    _Rule("are not supported for the resource type", InvalidRequestError, _OURS),
    _Rule("Malformed Request Body", InvalidRequestError, _OURS),
    _Rule("No enum constant", InvalidRequestError, _OURS),
    _Rule("Creation method is not known", InvalidRequestError, _OURS),
    _Rule("Error while fetching cluster resource ID", NotFoundError, "bigtop-builder deploy creates the cluster"),
    _Rule("There is no repository version", NotFoundError, "the next deployment registers one"),
    _Rule("Host not found", NotFoundError, "is ambari-agent running there, and registered under this name?"),
    _Rule("needs to belong to stack", InvalidRequestError, "a version starts with the first two numbers of its stack"),
    _Rule("is not found in Ambari metainfo", NotFoundError, _VERSION),
    _Rule("stack doesn't exist", NotFoundError, _VERSION),
    _Rule("Cluster not found", NotFoundError, "bigtop-builder deploy creates the cluster"),
    _Rule("Invalid host_group specified", InvalidRequestError, "blueprint and cluster template differ"),
    _Rule("Missing required password properties", InvalidRequestError, "give default_password or each of them"),
    _Rule("Unsupported action", InvalidRequestError, "the stack has no such command for this service"),
    _Rule("ServiceComponentHost not found", NotFoundError),
    _Rule("Service not found", NotFoundError),
    _Rule("does not exist", NotFoundError),
    _Rule("resource doesn't exist", NotFoundError),
)
_BY_STATUS: dict[int, type[RefusedError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    405: InvalidRequestError,
    406: InvalidRequestError,
    409: ConflictError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}
_NO_PATH = "the server does not know this path: is ambari.url the URL of Ambari itself?"
_SIZE = "a proxy in front of the server limits the size of calls: raise its limit, or go past it"
_HINTS: dict[int, str] = {
    401: "a proxy or a single sign-on in front of the server wants a login of its own: go past it",
    403: "a proxy or firewall in front of the server refuses this call, or the user may not make it",
    404: _NO_PATH,
    405: _OURS,
    406: "something between here and the server changes the header Accept",
    407: "a proxy requires a password: add the server to NO_PROXY",
    413: _SIZE,
    414: _SIZE,
    502: "a proxy in front of the server cannot reach it",
    503: "the server is starting or overloaded: try again",
    504: "a proxy in front of the server got no response from it",
}
_DEFAULTS: dict[type[RefusedError], str] = {
    AuthenticationError: _LOGIN,
    PermissionDeniedError: _RIGHTS,
    NotFoundError: "it may have been removed meanwhile: run the command again",
    ConflictError: "something else may have created it meanwhile: run the command again, which takes what exists",
    InvalidRequestError: "check what the message names in the inventory; if nothing there explains it, report it",
    ServerError: f"{SERVER_LOG} on the Ambari server may have more",
}
"""What to do if neither the message nor the status says it."""
NO_RESOURCE = ("", "Not Found")
"""Answers with 404 that are not about a resource: the URL is not one of Ambari's (467, 470)."""
_REFERENCE = re.compile(r"refer the exception by ([0-9a-fA-F-]{8,})")
_TITLE = re.compile(r"<title>\s*(.{1,200}?)\s*</title>", re.IGNORECASE | re.DOTALL)


def refusal(call: str, status: int, answer: str, page: str = "") -> RefusedError:
    """Return the error for a response with ``status`` 400 or more.

    ``call`` is method and path; ``answer`` is the server's message without secrets, ``page`` the title of a web page.
    """
    if len(answer) > MESSAGE_LENGTH:
        answer = f"{answer[:MESSAGE_LENGTH]} …"
    rule = next((rule for rule in _RULES if rule.fragment in answer), None)
    error = rule.error if rule else _BY_STATUS.get(status, ServerError if status >= 500 else InvalidRequestError)
    hint = rule.hint if rule else None
    if rule is None and (answer in NO_RESOURCE or error is UnavailableError):
        hint = _HINTS.get(status)
    if reference := _REFERENCE.search(answer):
        error, hint = ServerError, f"look for {reference[1]} in {SERVER_LOG} on the Ambari server"
    shown = answer or (f"a web page, {page}" if page else "no explanation")
    return error(
        f"Ambari rejected {call}: {status}, {shown}", status=status, answer=answer, hint=hint or _DEFAULTS.get(error)
    )


def message_of(body: str) -> str:
    """Return the message of an error's body: ``message`` of its JSON, or its plain text; HTML pages are dropped."""
    try:
        parsed = parse_json(body)
    except ValueError:
        text = "" if body.lstrip()[:1] == "<" else body
    else:
        text = str(parsed.get("message") or "") if isinstance(parsed, dict) else body
    return text.strip()


def title_of(body: str) -> str:
    """Return the title of an HTML page, which a proxy or the server's own web server sends; else an empty text."""
    found = _TITLE.search(body) if body.lstrip()[:1] == "<" else None
    return " ".join(found[1].split()) if found else ""
