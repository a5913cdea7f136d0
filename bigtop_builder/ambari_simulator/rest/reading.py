"""GET: rows of a resource type selected by id and predicate, reduced to the requested fields, with addresses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bigtop_builder.ambari_simulator.rest.query import Fields, Row, parse_page, text
from bigtop_builder.ambari_simulator.rest.registry import Call, Place, Resource, value_at
from bigtop_builder.ambari_simulator.rest.render import arrange, select
from bigtop_builder.ambari_simulator.rest.replies import Refusal, Reply


def read(place: Place, call: Call) -> Reply:
    """Answer a GET of one resource or of a collection."""
    resource = place.resource
    fields = wanted_fields(resource, call, everything=place.single)
    check_names(resource, fields, call)
    rows = chosen_rows(place, call)
    form = call.parameters.get("format", "default")
    if form not in {"default", "minimal"}:
        if form not in resource.formats:
            raise Refusal(400, f"Invalid Request: Invalid renderer name for resource of type {resource.type}")
        return Reply(200, resource.formats[form](call, rows))
    if place.single:
        head = {} if call.minimal else {"href": _own_address(resource, call)}
        return Reply(200, head | _document(resource, rows[0], fields, call, call.path, top=True, reduced=False))
    return Reply(200, _collection(resource, rows, fields, call))


def wanted_fields(resource: Resource, call: Call, *, everything: bool) -> Fields:
    """Return what ``fields=`` and the predicate request; one resource without ``fields=`` is printed whole."""
    fields = Fields()
    given = [path for path in call.parameters.get("fields", "").split(",") if path.strip()]
    for path in given:
        fields.add(path.strip().split("[")[0], resource.children)
    fields.everything |= everything and not given
    for name in call.predicate.names if call.predicate else ():
        fields.add(name, resource.children, tested=True)
    return fields


def check_names(resource: Resource, fields: Fields, call: Call) -> None:
    """Refuse properties that the type does not have, like the server: 400 with their names."""
    check_properties(resource, fields.own)
    for name, below in fields.children.items():
        check_names(resource.children[name], below, call)


def check_properties(resource: Resource, paths: Iterable[str]) -> None:
    """Refuse properties that the type does not have: 400 with their names."""
    unknown = [path for path in paths if not resource.known(path) and path not in resource.writable]
    if unknown:
        raise Refusal(
            400,
            f"The properties [{', '.join(dict.fromkeys(unknown))}] specified in the request or predicate "
            f"are not supported for the resource type {resource.type}.",
        )


def chosen_rows(place: Place, call: Call) -> list[Row]:
    """Return the rows that the id in the URI and the predicate select; an unknown id is refused with 404."""
    resource = place.resource
    rows = list(resource.rows(call))
    if place.single:
        rows = [row for row in rows if text(value_at(row, resource.key)) == place.ids[resource.key]]
        if not rows:
            raise Refusal(404, f"The requested resource doesn't exist: {missing_text(resource, call)}")
    return matching(resource, rows, call)


def missing_text(resource: Resource, call: Call) -> str:
    """The server's message about a resource that does not exist."""
    return resource.missing(call) if resource.missing else f"{resource.type} not found"


def matching(resource: Resource, rows: list[Row], call: Call) -> list[Row]:
    """Return the rows that match the call's predicate."""
    predicate = call.predicate
    if predicate is None:
        return rows
    return [row for row in rows if predicate.test(lambda path, row=row: _values(resource, row, path, call))]  # type: ignore[misc]


def _values(resource: Resource, row: Row, path: str, call: Call) -> list[Any]:
    head, _, rest = path.partition("/")
    child = resource.children.get(head)
    if child is not None and rest:
        below = call.below((*_row_path(resource, row, call), head), {resource.key: text(value_at(row, resource.key))})
        return [value for inner in child.rows(below) for value in _values(child, inner, rest, below)]
    try:
        return [value_at(row, path)]
    except KeyError:
        return []


def _collection(resource: Resource, rows: list[Row], fields: Fields, call: Call) -> dict[str, Any]:
    document: dict[str, Any] = {} if call.minimal else {"href": call.url}
    rows = _sorted(rows, call.parameters.get("sortBy", ""))
    page = parse_page(call.parameters)
    if page:
        if resource.cut_twice:
            rows = page.cut(rows)
        document["itemTotal"] = str(len(rows))
        rows = page.cut(rows)
    document["items"] = [_item(resource, row, fields, call, call.path, top=True) for row in rows]
    return document


def _sorted(rows: list[Row], order: str) -> list[Row]:
    for part in reversed([part for part in order.split(",") if part]):
        name, _, direction = part.rpartition(".") if part.endswith((".asc", ".desc")) else (part, "", "asc")
        rows = sorted(rows, key=lambda row, name=name: _sort_key(row, name), reverse=direction == "desc")  # type: ignore[misc]
    return rows


def _sort_key(row: Row, name: str) -> tuple[bool, float, str]:
    try:
        value = value_at(row, name)
    except KeyError:
        return (False, 0.0, "")
    if isinstance(value, int | float):
        return (True, float(value), "")
    return (True, 0.0, text(value))


def _row_path(resource: Resource, row: Row, call: Call) -> tuple[str, ...]:
    key = text(value_at(row, resource.key))
    if call.path and call.path[-1] == key and len(call.path) % 2 == 0:
        return call.path
    return (*call.path, key)


def _item(
    resource: Resource, row: Row, fields: Fields, call: Call, path: tuple[str, ...], *, top: bool = False
) -> dict[str, Any]:
    key = text(value_at(row, resource.key))
    address = resource.href(call, row) if resource.href else call.href(*path, key)
    head = {} if call.minimal else {"href": address}
    return head | _document(resource, row, fields, call, (*path, key), top=top, reduced=call.minimal)


def _document(
    resource: Resource, row: Row, fields: Fields, call: Call, path: tuple[str, ...], *, top: bool, reduced: bool
) -> dict[str, Any]:
    """Reduce a row to its fields, with its sub-resources; references are printed if the row itself was requested.

    ``reduced``: keep only what was requested by name, as ``minimal_response`` does with all but a single resource;
    ``fields=*`` names nothing, so that keys are left (602, 606).
    """
    children = dict(fields.children)
    if reduced:
        asked = fields.requested
        begun = [name for name, value in row.items() if isinstance(value, dict) and name.startswith(asked)]
        document = select(row, [*(resource.minimal_keys or (resource.key,)), *asked, *begun])
    elif fields.everything:
        document = dict(row)
    else:
        document = select(row, [*(resource.keys or (resource.key,)), *fields.own])
    if fields.everything:
        listed = (name for name, child in resource.children.items() if child.listed)
        children |= {name: Fields() for name in listed if name not in children}
    printed = arrange(document)
    if resource.links and top:
        printed |= resource.links(call, row)
    for name, child in resource.children.items():
        if name in children:
            below = call.below((*path, name), {resource.key: text(value_at(row, resource.key))})
            printed[name] = [_item(child, inner, children[name], below, below.path) for inner in child.rows(below)]
    return printed


def _own_address(resource: Resource, call: Call) -> str:
    return call.url if resource.query_in_href else call.href(*call.path)
