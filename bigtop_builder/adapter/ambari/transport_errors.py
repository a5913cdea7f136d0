"""Why an exchange broke off: the exceptions of requests, urllib3 and ssl in words."""

from __future__ import annotations

from urllib.parse import urlsplit

from bigtop_builder.adapter.ambari.errors import (
    CertificateError,
    NoAnswerError,
    UnexpectedAnswerError,
    UnreachableError,
)
from bigtop_builder.model.errors import AmbariError

_TLS_RECORD = ("\\x15\\x03", "\x15\x03", "\\x16\\x03", "\x16\x03")
_PLAIN = ("wrong version number", "record layer failure", "http request", "unknown protocol", "packet length too long")


def explain(error: Exception, url: str, call: str) -> AmbariError:
    """The error of ours for ``error``; its text holds neither headers nor bodies."""
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
        return UnreachableError(
            f"the name {urlsplit(url).hostname} cannot be resolved", hint="check ambari.url, DNS and /etc/hosts"
        )
    if isinstance(reason, NewConnectionError):
        return UnreachableError(f"{place} cannot be connected to: {_cause(reason)}", hint=_address_hint(), again=True)
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return UnexpectedAnswerError(f"the answer to {call} cannot be unpacked", hint=_other_hint())
    text = str(error)
    if urlsplit(url).scheme == "http" and any(mark in text for mark in _TLS_RECORD):
        return UnreachableError(
            f"{place} speaks HTTPS and was asked in plain HTTP", hint=f"write https://{place} in ambari.url"
        )
    if isinstance(error, requests.exceptions.Timeout):
        return NoAnswerError(
            f"{place} stopped answering during {call}",
            hint="raise ambari.timeout if the server is slow",
            sent=True,
            again=True,
        )
    if isinstance(error, requests.exceptions.RequestException):
        return UnreachableError(
            f"the connection to {place} broke off during {call}: {_short(reason)}",
            hint=_broken_hint(url, place),
            sent=True,
            again=True,
        )
    return UnexpectedAnswerError(f"{call} failed: {type(error).__name__}: {_short(error)}", hint=_other_hint())


def _tls(reason: BaseException, url: str, place: str) -> UnreachableError:
    text = str(reason).lower()
    if any(mark in text for mark in _PLAIN):
        return UnreachableError(
            f"{place} speaks plain HTTP and was asked in HTTPS", hint=f"write http://{place} in ambari.url"
        )
    if "hostname mismatch" in text or "ip address mismatch" in text or "doesn't match" in text:
        return CertificateError(
            f"the certificate of {place} is for another name", hint="use in ambari.url the name that it is made for"
        )
    if "expired" in text or "not yet valid" in text:
        return CertificateError(
            f"the certificate of {place} is not valid today: {_short(reason)}", hint="renew it, or set this clock"
        )
    if "certificate verify failed" in text or "certificate_verify" in text:
        return CertificateError(
            f"the certificate of {place} is not trusted: {_short(reason)}",
            hint="name the authority's PEM file in ambari.ca; verification cannot be switched off",
        )
    return UnreachableError(f"TLS with {place} failed: {_short(reason)}", hint=f"does {url} speak HTTPS?", again=True)


def _innermost(error: BaseException) -> BaseException:
    """requests wraps urllib3's error, which wraps the socket's; urllib3's tells most."""
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
    return "does the Ambari server run, is ambari.url right, and does a firewall let this machine through?"


def _broken_hint(url: str, place: str) -> str:
    if urlsplit(url).scheme == "http":
        return f"does the server run? If it speaks HTTPS, write https://{place} in ambari.url"
    return "does the server run?"


def _proxy_hint(place: str) -> str:
    return f"name {place.rpartition(':')[0] or place} in NO_PROXY if the server is reached directly"


def _other_hint() -> str:
    return "is ambari.url the address of the Ambari server itself?"
