"""POST, PUT and DELETE: parse the body, select rows, call hooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bigtop_builder.ambari_simulator.rest.json_body import parse_json
from bigtop_builder.ambari_simulator.rest.query import Predicate, Row, parse_predicate, text
from bigtop_builder.ambari_simulator.rest.reading import (
    check_names,
    check_properties,
    matching,
    missing_text,
    wanted_fields,
)
from bigtop_builder.ambari_simulator.rest.registry import Body, Call, Place, Resource, value_at
from bigtop_builder.ambari_simulator.rest.replies import DONE, Refusal, Reply

UNPARSABLE = "Invalid Request: Malformed Request Body.  An exception occurred parsing the request body: "


def parse_bodies(content: str) -> tuple[Body, ...]:
    """Parse the objects of a request's body. Raises ``Refusal`` 400 if it is not JSON."""
    if not content.strip():
        return ()
    try:
        document = parse_json(content)
    except ValueError as error:
        raise Refusal(400, f"{UNPARSABLE}{error}") from None
    items = document if isinstance(document, list) else [document]
    if not all(isinstance(item, dict) for item in items):
        raise Refusal(400, f"{UNPARSABLE}an object or an array of objects is expected")
    return tuple(body for item in items for body in _bodies(item))


def _bodies(item: dict[str, Any]) -> list[Body]:
    info = {name: value for name, value in item.items() if name.split("/")[0] == "RequestInfo"}
    rest = {name: value for name, value in item.items() if name not in info}
    flat_info = {name.removeprefix("RequestInfo/"): value for name, value in flatten(stringly(info)).items()}
    inner = rest.pop("Body", None)
    parts = inner if isinstance(inner, list) else [inner if isinstance(inner, dict) else {}]
    documents = [stringly({**rest, **part}) for part in parts]
    return [Body(flatten(document), document, flat_info) for document in documents]


def stringly(value: Any) -> Any:
    """Return a parsed document with every primitive as text."""
    if isinstance(value, dict):
        return {name: stringly(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [stringly(inner) for inner in value]
    return None if value is None else text(value)


def flatten(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested objects to slash paths; arrays are values."""
    flat: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}/")
        else:
            flat[prefix + name] = value
    return flat


def create(place: Place, call: Call) -> Reply:
    """POST on a collection or one resource; with a predicate and an array of sub-resources below each match."""
    child = _single_child(place, call)
    if child is not None:
        return _create_below(place, call, child)
    if place.resource.create is None or not place.creates:
        return Reply(405)
    return place.resource.create(call, call.bodies)


def _single_child(place: Place, call: Call) -> Resource | None:
    if place.single or call.predicate is None or len(call.bodies) != 1:
        return None
    names = list(call.bodies[0].document)
    if len(names) == 1 and isinstance(call.bodies[0].document[names[0]], list):
        return place.resource.children.get(names[0])
    return None


def _create_below(place: Place, call: Call, child: Resource) -> Reply:
    resource = place.resource
    rows = matching(resource, list(resource.rows(call)), call)
    if not rows:
        return Reply(200, {"href": call.url, "items": []})
    if child.create is None:
        return Reply(405)
    parts = call.bodies[0].document[child.plural]
    bodies = tuple(Body(flatten(part), part, call.bodies[0].info) for part in parts)
    reply = DONE
    for row in rows:
        key = text(value_at(row, resource.key))
        reply = child.create(call.below((*call.path, key, child.plural), {resource.key: key}), bodies)
    return reply


def update(place: Place, call: Call) -> Reply:
    """PUT; several blocks of a body run one after the other and stop at the first answer that is not 200."""
    hook = place.resource.update
    if hook is None:
        return Reply(405)
    reply = DONE
    for body in call.bodies or (Body({}, {}),):
        query = body.info.get("query")
        own = replace(call, predicate=parse_predicate(str(query))) if query else call
        check_properties(place.resource, list(body.properties))
        reply = hook(own, _rows_to_change(place, own), body)
        if reply.status != 200:
            break
    return reply


def delete(place: Place, call: Call) -> Reply:
    """DELETE of one resource, or of all that a predicate chooses."""
    hook = place.resource.delete
    if hook is None:
        return Reply(405)
    query = call.bodies[0].info.get("query") if call.bodies else None
    predicate: Predicate | None = parse_predicate(str(query)) if query else call.predicate
    own = replace(call, predicate=predicate)
    return hook(own, _rows_to_change(place, own))


def _rows_to_change(place: Place, call: Call) -> list[Row]:
    resource = place.resource
    check_names(resource, wanted_fields(resource, replace(call, parameters={}), everything=True), call)
    rows = list(resource.rows(call))
    if place.single:
        rows = [row for row in rows if text(value_at(row, resource.key)) == place.ids[resource.key]]
        if not rows and not resource.passes_missing:
            raise Refusal(404, f"The specified resource doesn't exist: {missing_text(resource, call)}")
    return matching(resource, rows, call)
