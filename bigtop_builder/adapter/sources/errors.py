"""Explain to the user why a transfer failed."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

CA_HINT = "if your proxy intercepts TLS, set network.ca_bundle in bigtop-builder.yaml to the PEM file of its authority"
PROXY_HINT = "see network.proxy in bigtop-builder.yaml, or the variables http_proxy, https_proxy and no_proxy"


class TransferError(Exception):
    """A transfer failed. ``reason``: for the list that the user sees. ``again``: whether another try may help."""

    def __init__(self, reason: str, *, again: bool = False, hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again
        self.hint = hint


def public(address: str) -> str:
    """Return the address without user, password and query, safe to show and log."""
    parts = urlsplit(address)
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, netloc, parts.path, "…" if parts.query else "", ""))


def explain(error: Exception) -> TransferError:
    """Turn an error of requests, urllib3 or a socket into a TransferError without any credentials."""
    if isinstance(error, TransferError):
        return error
    import requests
    from urllib3 import exceptions as urllib3

    chain = _chain(error)
    for cause in chain:
        if isinstance(cause, urllib3.NameResolutionError):
            return TransferError("the host name cannot be resolved", hint=PROXY_HINT)
    if isinstance(error, requests.exceptions.ProxyError):
        return TransferError(f"the proxy failed: {_root(chain)}", hint=PROXY_HINT)
    if isinstance(error, requests.exceptions.SSLError | urllib3.SSLError):
        return TransferError(f"TLS failed: {_root(chain)}", hint=CA_HINT)
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return TransferError("no connection in time", again=True, hint=PROXY_HINT)
    if isinstance(error, requests.exceptions.ReadTimeout | urllib3.ReadTimeoutError):
        return TransferError("stalled: the server sent nothing in time", again=True)
    if any(isinstance(cause, ConnectionRefusedError) for cause in chain):
        return TransferError("connection refused", hint=PROXY_HINT)
    for cause in chain:
        if isinstance(cause, urllib3.IncompleteRead):
            missing = f": {cause.expected} bytes are missing" if isinstance(cause.expected, int) else ""
            return TransferError(f"the server ended the transfer too early{missing}", again=True)
    if isinstance(error, requests.exceptions.ConnectionError | urllib3.HTTPError | OSError):
        return TransferError(f"the connection was lost: {_root(chain)}", again=True)
    return TransferError(f"{type(error).__name__} while talking to the server", again=False)


def _chain(error: BaseException) -> list[BaseException]:
    """Return the error and everything behind it: causes, contexts, arguments, urllib3's ``reason``."""
    found: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        item = todo.pop(0)
        if isinstance(item, BaseException) and not any(item is known for known in found):
            found.append(item)
            todo += [*item.args, item.__cause__, item.__context__, getattr(item, "reason", None)]
    return found


def _root(chain: list[BaseException]) -> str:
    """Return the innermost text; those of requests repeat whole addresses, including secrets."""
    innermost = next((cause for cause in reversed(chain) if isinstance(cause, OSError) and cause.strerror), None)
    return str(innermost.strerror) if innermost is not None else type(chain[-1]).__name__
