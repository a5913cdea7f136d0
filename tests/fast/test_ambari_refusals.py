"""Every refusal has a message with the server's reason and a hint that says what to do."""

from __future__ import annotations

import json

import pytest

from bigtop_builder.adapter.ambari import errors
from bigtop_builder.adapter.ambari.client import Ambari
from bigtop_builder.adapter.ambari.errors import RefusedError, message_of, refusal, title_of
from tests.fast.ambari_replay import Call, Server
from tests.transcripts import Transcript, needs_transcripts, transcripts

RECORDED = [exchange for exchange in transcripts() if exchange.status >= 400]

HINTS = {
    3: "ambari.password",
    7: "removes the header X-Requested-By",
    17: "is ambari-agent running there",
    25: "report it",
    34: "is ambari.url the URL of Ambari itself?",
    35: "with the version of Ambari",
    45: "takes what exists",
    48: "can the Ambari server reach this URL?",
    53: "registers one",
    57: "repoinfo.xml",
    70: "does this stack have",
    75: "look for 31b7ebb0-6544-444a-ac0a-6ebb735d9399 in /var/log/ambari-server/ambari-server.log",
    79: "groups of the inventory",
    82: "takes what exists",
    95: "bigtop-builder deploy creates the cluster",
    128: "takes what exists",
    160: "no such command",
    227: "is ambari-agent running",
    245: "stop running components first",
    321: "delete the cluster first",
    332: "bigtop-builder deploy creates the cluster",
    350: "does this stack have",
    357: "71cb4102-cb0a-40f2-9b75-7764c3e20f23",
    362: "install it again first",
    369: "is not one that this server knows",
    454: "changes the header Accept",
    470: "is ambari.url the URL of Ambari itself?",
    499: "the role of a cluster administrator",
    512: "on the Ambari server",
    522: "default_password",
    610: "b705b4b6-1af5-43dc-9710-4cf217df5ca1",
    611: "8c387813-b745-4c30-994c-8745c55a89a3",
    644: "16d44619-271f-4285-ab6e-44bd57f021c5",
}
"""By recording: one of each kind."""


def refused(exchange: Transcript) -> RefusedError:
    return refusal(f"{exchange.method} {exchange.path}", exchange.status, message_of(exchange.body))


@needs_transcripts
def test_every_recorded_refusal_says_what_was_refused_why_and_what_to_do() -> None:
    assert len(RECORDED) > 100
    for exchange in RECORDED:
        error = refused(exchange)
        reason = exchange.json["message"] if exchange.json else exchange.body or "no explanation"
        assert f"Ambari rejected {exchange.method} {exchange.path}: {exchange.status}, {reason[:500]}" in error.message
        assert error.hint, exchange.name
        assert type(error) is not RefusedError


@needs_transcripts
def test_hints_fit_their_refusals() -> None:
    found = {exchange.number: refused(exchange).hint or "" for exchange in RECORDED}
    assert {number: hint for number, hint in HINTS.items() if hint not in found[number]} == {}


NGINX = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><center>nginx/1.20.1</center></body>\r\n</html>"
JETTY = (
    '<html>\n<head>\n<meta http-equiv="Content-Type" content="text/html;charset=ISO-8859-1"/>\n'
    "<title>Error 503 Service Unavailable</title>\n</head>\n<body><h2>HTTP ERROR 503</h2></body>\n</html>"
)
SQUID = "<!DOCTYPE html><html><head>\n<title>\nERROR: The requested\nURL could not be retrieved</title></head></html>"
DATABASE = "An internal system exception occurred: Exception [EclipseLink-4002]: DatabaseException Internal Exception: "


@pytest.mark.parametrize(
    ("status", "body", "kind", "message", "hint"),
    [
        (502, NGINX, errors.UnavailableError, "502, a web page, 502 Bad Gateway", "a proxy in front of the server"),
        (503, JETTY, errors.UnavailableError, "503, a web page, Error 503 Service Unavailable", "try again"),
        (503, "", errors.UnavailableError, "503, no explanation", "starting or overloaded"),
        (504, SQUID, errors.UnavailableError, "ERROR: The requested URL could not be retrieved", "got no response"),
        (500, "", errors.ServerError, "500, no explanation", "/var/log/ambari-server"),
        (500, "<html>no title</html>", errors.ServerError, "500, no explanation", "/var/log/ambari-server"),
        (401, "", errors.AuthenticationError, "401, no explanation", "single sign-on"),
        (403, "<title>403 Forbidden</title>", errors.PermissionDeniedError, "a web page, 403 Forbidden", "proxy"),
        (404, "<html><title>Not here</title></html>", errors.NotFoundError, "a web page, Not here", "ambari.url"),
        (405, "", errors.InvalidRequestError, "405, no explanation", "report it"),
        (407, "", errors.InvalidRequestError, "407, no explanation", "NO_PROXY"),
        (409, "", errors.ConflictError, "409, no explanation", "takes what exists"),
        (413, "<title>413 Too Large</title>", errors.InvalidRequestError, "a web page, 413 Too Large", "limit"),
        (400, "", errors.InvalidRequestError, "400, no explanation", "report it"),
    ],
)  # fmt: skip
def test_refusals_that_are_not_ambaris(
    status: int, body: str, kind: type[RefusedError], message: str, hint: str
) -> None:
    with (
        Server(lambda call: call.reply(status, body)) as server,
        Ambari(server.url, "admin", "Winter-1848", pauses=()) as ambari,
    ):
        with pytest.raises(kind) as caught:
            ambari.put("clusters/c1", {})
        assert type(caught.value) is kind
        assert message in caught.value.message and hint in (caught.value.hint or "")
        assert "<" not in caught.value.message


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ('org.postgresql.util.PSQLException: ERROR: could not extend file "base/1/2": No space left on device', "free"),
        ("java.sql.SQLException: The table 'host_role_command' is full", "free some space"),
        ("java.sql.SQLException: ORA-01653: unable to extend table AMBARI.ALERT_HISTORY", "free some space"),
        ("com.mysql.jdbc.exceptions.jdbc4.CommunicationsException: Communications link failure", "does not answer"),
        ("org.postgresql.util.PSQLException: The connection attempt failed.", "does not answer"),
    ],
)
def test_a_database_that_is_full_or_gone_is_named(message: str, hint: str) -> None:
    error = refusal("PUT clusters/c1", 500, DATABASE + message)
    assert isinstance(error, errors.ServerError)
    assert hint in (error.hint or "") and "database" in (error.hint or "")


def test_an_address_that_is_not_ambaris_is_not_taken_for_a_missing_resource() -> None:
    """Recording 470: ``/api/v2`` answers with JSON too."""

    def respond(call: Call) -> None:
        call.reply(404, json.dumps({"status": 404, "message": "Not Found"}))

    with Server(respond) as server, Ambari(server.url, "admin", "Winter-1848") as ambari:
        with pytest.raises(errors.NotFoundError) as caught:
            ambari.cluster("c1")
        assert "ambari.url" in (caught.value.hint or "")


def test_only_web_pages_have_a_title() -> None:
    assert title_of('{"message": "<title>x</title>"}') == ""
    assert title_of("plain <title>x</title>") == ""
    assert title_of("  <HTML><TITLE> a\n b </TITLE>") == "a b"
