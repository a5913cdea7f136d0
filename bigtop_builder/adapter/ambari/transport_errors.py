"""Why an exchange failed: exceptions of requests, urllib3 and ssl turned into errors with a cause and a hint."""

from __future__ import annotations

from urllib.parse import urlsplit

from bigtop_builder.adapter.ambari.certificate import untimely
from bigtop_builder.adapter.ambari.errors import (
    CertificateError,
    NoAnswerError,
    UnexpectedAnswerError,
    UnknownNameError,
    UnreachableError,
)
from bigtop_builder.model.errors import AmbariError

_TLS_RECORD = ("\\x15\\x03", "\x15\x03", "\\x16\\x03", "\x16\x03")
_PLAIN = ("wrong version number", "record layer failure", "http request", "unknown protocol", "packet length too long")


def explain(error: Exception, url: str, call: str) -> AmbariError:
    """Return our error for ``error``; its text has neither headers nor bodies."""
    import requests
    from urllib3.exceptions import NameResolutionError, NewConnectionError

    reason = _innermost(error)
    place = urlsplit(url).netloc
    if isinstance(error, requests.exceptions.ProxyError):
        return UnreachableError(f"the proxy on the way to {place} failed: {_short(reason)}", hint=_proxy_hint(place))
    if isinstance(error, requests.exceptions.SSLError):
        return _tls(reason, url, place)
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return UnreachableError(
            f"{place} does not accept a connection: nothing answered", hint=_address_hint(), again=True
        )
    if isinstance(reason, NameResolutionError):
        return UnknownNameError(
            f"cannot resolve the name {urlsplit(url).hostname}", hint="check ambari.url, DNS and /etc/hosts"
        )
    if isinstance(reason, NewConnectionError):
        return UnreachableError(f"cannot connect to {place}: {_cause(reason)}", hint=_address_hint(), again=True)
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return UnexpectedAnswerError(f"the response to {call} cannot be decompressed", hint=_other_hint())
    text = str(error)
    if urlsplit(url).scheme == "http" and any(mark in text for mark in _TLS_RECORD):
        return UnreachableError(
            f"{place} uses HTTPS, but ambari.url says plain HTTP", hint=f"set ambari.url to https://{place}"
        )
    if isinstance(error, requests.exceptions.Timeout):
        return NoAnswerError(
            f"{place} stopped responding during {call}",
            hint="raise ambari.timeout if the server is slow",
            sent=True,
            again=True,
        )
    if isinstance(error, requests.exceptions.RequestException):
        return UnreachableError(
            f"the connection to {place} was lost during {call}: {_short(reason)}",
            hint=_broken_hint(url, place),
            sent=True,
            again=True,
        )
    return UnexpectedAnswerError(f"{call} failed: {type(error).__name__}: {_short(error)}", hint=_other_hint())


def _tls(reason: BaseException, url: str, place: str) -> UnreachableError:
    text = str(reason).lower()
    if any(mark in text for mark in _PLAIN):
        return UnreachableError(
            f"{place} uses plain HTTP, but ambari.url says HTTPS", hint=f"set ambari.url to http://{place}"
        )
    if "hostname mismatch" in text or "ip address mismatch" in text or "doesn't match" in text:
        return CertificateError(
            f"the certificate of {place} is for another name", hint="use the name in the certificate in ambari.url"
        )
    if "expired" in text or "not yet valid" in text:
        return CertificateError(
            f"the certificate of {place} {untimely(url)} ({_short(reason)})",
            hint="renew it (ambari.setup.https, or ambari-server setup-security), or set the clock of this machine",
        )
    if "certificate verify failed" in text or "certificate_verify" in text:
        return CertificateError(
            f"the certificate of {place} is not trusted: {_short(reason)}",
            hint="set ambari.ca to the PEM file of the authority; verification cannot be turned off",
        )
    return UnreachableError(f"TLS with {place} failed: {_short(reason)}", hint=f"does {url} use HTTPS?", again=True)


def _innermost(error: BaseException) -> BaseException:
    """Return the innermost error: requests wraps urllib3's error, which wraps the socket's."""
    while True:
        inner = getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((item for item in error.args if isinstance(item, BaseException)), None)
        if inner is None or inner is error:
            return error
        error = inner


def _cause(error: BaseException) -> str:
    """``[Errno 111] Connection refused`` → ``Connection refused``."""
    text = str(error)
    return text.rpartition("] ")[2] if "[Errno" in text else text.rpartition(": ")[2]


def _short(error: BaseException) -> str:
    return str(error).strip()[:300] or type(error).__name__


def _address_hint() -> str:
    return "is the Ambari server running, is ambari.url correct, and does a firewall block this machine?"


def _broken_hint(url: str, place: str) -> str:
    if urlsplit(url).scheme == "http":
        return f"is the server running? If it uses HTTPS, set ambari.url to https://{place}"
    return "is the server running?"


def _proxy_hint(place: str) -> str:
    return f"add {place.rpartition(':')[0] or place} to NO_PROXY if the server is reachable directly"


def _other_hint() -> str:
    return "is ambari.url the URL of the Ambari server itself?"
