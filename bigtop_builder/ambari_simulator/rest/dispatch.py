"""From a request line to an answer: routing, query string, guards, errors; no sockets."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from urllib.parse import unquote_plus

from bigtop_builder.ambari_simulator.engine.state import User, World
from bigtop_builder.ambari_simulator.rest import reading, writing
from bigtop_builder.ambari_simulator.rest.authentication import check_role
from bigtop_builder.ambari_simulator.rest.query import CONTROLS, parse_predicate
from bigtop_builder.ambari_simulator.rest.registry import Call, Place, Registry
from bigtop_builder.ambari_simulator.rest.render import to_text
from bigtop_builder.ambari_simulator.rest.replies import Refusal, Reply, uncaught

PREFIX = "/api/v1"


def split_query(query: str, directives: frozenset[str]) -> tuple[dict[str, str], str]:
    """Split a query string into decoded controls and directives, and the rest: the text of the predicate."""
    parameters: dict[str, str] = {}
    predicate: list[str] = []
    for part in unquote_plus(query).split("&"):
        name, separator, value = part.partition("=")
        if separator and (name in CONTROLS or name in directives):
            parameters[name] = value
        elif part:
            predicate.append(part)
    return parameters, "&".join(predicate)


def respond(
    registry: Registry,
    world: World,
    user: User,
    method: str,
    target: str,
    *,
    host: str,
    scheme: str = "http",
    content: str = "",
    content_type: str = "",
) -> Reply:
    """Answer one authenticated call; ``target`` is path and query as sent. Never raises ``Refusal``."""
    try:
        path, _, query = target.partition("?")
        segments = registry.segments(path.removeprefix(PREFIX))
        place = registry.find(segments)
        if place is None and not registry.handles(segments):
            raise Refusal(404, None)
        parameters, predicate = split_query(query, place.resource.directives if place else frozenset())
        call = Call(
            world=world,
            user=user,
            method=method,
            base=f"{scheme}://{host}{PREFIX}",
            url=f"{scheme}://{host}{target}",
            path=place.segments if place else tuple(segments),
            ids=place.ids if place else {},
            parameters=parameters,
            minimal=parameters.get("minimal_response") == "true",
            text=content,
            content_type=content_type,
        )
        if place is not None:
            reply = _perform(place, call, predicate)
            return reply if reply.status != 405 else Reply(405, headers=(("Allow", place.methods),))
        with world.lock:
            world.settle()
            return registry.handlers[segments[0]](call)
    except Refusal as refusal:
        return refused(refusal)
    except Exception:
        # Like the real server: the traceback goes to its log, the caller gets an answer.
        traceback.print_exc(file=sys.stderr)
        return refused(uncaught())


def refused(refusal: Refusal) -> Reply:
    """Turn a refusal into an answer."""
    if refusal.message is None:
        return Reply(refusal.status)
    if refusal.plain:
        return Reply(refusal.status, text=refusal.message)
    document = {"status": refusal.status, "message": refusal.message}
    return Reply(refusal.status, document, uncaught=refusal.uncaught)


def _perform(place: Place, call: Call, predicate: str) -> Reply:
    check_role(call.user, call.method, call.path)
    if place.resource.guard:
        place.resource.guard(call)
    given: Mapping[str, object] = {"predicate": parse_predicate(predicate)}
    if call.method != "GET" and "xml" not in call.content_type.partition(";")[0].replace("application/xml", ""):
        given = {**given, "bodies": writing.parse_bodies(call.text)}
    call = Call(**{**vars(call), **given})
    with call.world.lock:
        call.world.settle()
        if call.method == "GET":
            return reading.read(place, call)
        call.world.changes += 1
        if call.method == "POST":
            return writing.create(place, call)
        if call.method == "PUT":
            return writing.update(place, call)
        if call.method == "DELETE":
            return writing.delete(place, call)
    return Reply(405)


def body_text(reply: Reply) -> str:
    """Return the body of an answer as Ambari prints it; empty if there is none."""
    if reply.text is not None:
        return reply.text
    return "" if reply.document is None else to_text(reply.document)
