"""Resource types and their tree: the meaning of the URIs below ``/api/v1``.

A type is declared once; GET with ``fields``, predicates, paging, sorting, hrefs and JSON follow from the declaration,
and so do 404, 405 and 400 for unknown properties. Rows are nested as they are printed; a property that a row does not
have is not printed, one that is ``None`` is printed as null. ``render.Leaf`` is a map that counts as one property.

    SERVICE = Resource(
        type="Service",                       # as errors call it
        plural="services",                    # as URIs and parents call it
        key="ServiceInfo/service_name",       # what stands in the URI
        keys=("ServiceInfo/cluster_name", "ServiceInfo/service_name"),   # always printed
        properties=properties("ServiceInfo", "cluster_name service_name state maintenance_state"),
        rows=lambda call: [{"ServiceInfo": {...}}, ...],   # of call.world and call.id("Clusters/cluster_name")
        missing=lambda call: "Service not found, clusterName=...",  # after "The requested resource doesn't exist: "
        sub=(COMPONENT, ...),                 # in the order in which they are printed
        update=update_service, create=..., delete=...,
    )

    def update_service(call: Call, rows: list[Row], body: Body) -> Reply:
        if body.properties["ServiceInfo/state"] not in STATES:
            raise Refusal(400, "No enum constant ...")
        if nothing_to_do:
            return DONE                                                   # 200, empty
        return accepted(call.href("clusters", "c1", "requests", 7), 7)    # 202
        # or CREATED (201, empty), resources({"href": ..., "X": {...}}) (201 with data); raise internal("...") for 500

``rows(call)`` gives all rows below the parents in ``call.ids`` (key property of the parent -> id in the URI); the
engine filters them by own id and predicate. It raises ``Refusal`` when a parent does not exist. Hooks:
``create(call, bodies)`` for POST on a collection, or on one, then with the own id in ``call.ids``;
``update(call, rows, body)`` for PUT; ``delete(call, rows)``. ``rows`` are those that id or predicate chose. An id that
does not exist is refused with 404 before ``update`` and ``delete`` unless ``passes_missing`` (then ``rows`` is empty).
A hook that is missing means 405.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

from bigtop_builder.ambari_simulator.engine.state import User, World
from bigtop_builder.ambari_simulator.rest.query import Predicate, Row
from bigtop_builder.ambari_simulator.rest.replies import Reply


@dataclass(frozen=True)
class Body:
    """One object of a request's body.

    ``properties``: slash path -> value, primitives as text (the server turns every one into a string), arrays as
    lists of nested objects; ``document``: the same nested; ``info``: ``RequestInfo`` as slash paths.
    """

    properties: Mapping[str, Any]
    document: Mapping[str, Any]
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """One call as a resource sees it.

    ``base``: ``http://HOST:PORT/api/v1`` with the caller's Host header; ``path``: segments of the collection or item;
    ``parameters``: controls and directives of the query string, decoded; ``text``: the raw body.
    """

    world: World
    user: User
    method: str
    base: str
    url: str
    path: tuple[str, ...]
    ids: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    predicate: Predicate | None = None
    minimal: bool = False
    bodies: tuple[Body, ...] = ()
    text: str = ""
    content_type: str = ""

    def id(self, key: str) -> str:
        """Return the id of a parent (or of the resource itself) in the URI, by its key property."""
        return self.ids[key]

    def href(self, *segments: str | int) -> str:
        """Return the full address of a path below ``/api/v1``."""
        return "/".join((self.base, *map(str, segments)))

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a parameter that is ``true`` or ``false``."""
        return self.parameters.get(name, str(default)).lower() == "true"

    def below(self, path: Sequence[str], ids: Mapping[str, str]) -> Call:
        """Return the same call as seen by a sub-resource."""
        return replace(self, path=tuple(path), ids={**self.ids, **ids}, predicate=None)


Rows = Callable[[Call], Iterable[Row]]


@dataclass(frozen=True)
class Resource:
    """A type of resource; see the module docstring."""

    type: str
    plural: str
    key: str
    rows: Rows
    properties: frozenset[str]
    writable: frozenset[str] = frozenset()
    """Properties that may be sent and are never printed."""
    keys: tuple[str, ...] = ()
    minimal_keys: tuple[str, ...] = ()
    """What ``minimal_response`` always prints if that is not ``key`` alone."""
    missing: Callable[[Call], str] | None = None
    directives: frozenset[str] = frozenset()
    sub: tuple[Resource, ...] | Callable[[], tuple[Resource, ...]] = ()
    """Sub-resources; a function where types refer to each other."""
    href: Callable[[Call, Row], str] | None = None
    """The address of a row if it is not collection plus id."""
    links: Callable[[Call, Row], Mapping[str, Any]] | None = None
    """References printed after a row's properties, such as a component's ``host``, unless it is part of another."""
    listed: bool = True
    """Whether a parent that is printed whole lists it."""
    cut_twice: bool = False
    """Whether paging is applied twice: first when rows are read, so that a page by position is empty after the first
    and ``itemTotal`` counts one page (tasks: HostRoleCommandDAO.findAll of 2.7 to 3.0)."""
    query_in_href: bool = True
    """Whether the address of one resource repeats the query string (requests do not)."""
    guard: Callable[[Call], None] | None = None
    """Refuse users who may not do this; called before anything else."""
    create: Callable[[Call, tuple[Body, ...]], Reply] | None = None
    create_by_id: bool = True
    """Whether POST may name the new one in the URI."""
    update: Callable[[Call, list[Row], Body], Reply] | None = None
    delete: Callable[[Call, list[Row]], Reply] | None = None
    passes_missing: bool = False
    formats: Mapping[str, Callable[[Call, list[Row]], Any]] = field(default_factory=dict)
    """``format=NAME`` -> the whole document from the selected rows (``format=blueprint`` of a cluster)."""

    @property
    def children(self) -> dict[str, Resource]:
        """Return sub-resources by the name in the URI."""
        sub = self.sub() if callable(self.sub) else self.sub
        return {child.plural: child for child in sub}

    def known(self, path: str) -> bool:
        """Whether ``path`` is a property, a part of one, or a category."""
        for name in self.properties:
            if path == name or path.startswith(name + "/") or name.startswith(path + "/"):
                return True
        return False


@dataclass(frozen=True)
class Place:
    """The target of a URI: the resource type, the ids of parents (and its own), and whether it names one resource."""

    resource: Resource
    ids: Mapping[str, str]
    parents: tuple[tuple[Resource, str], ...]
    single: bool
    segments: tuple[str, ...]

    @property
    def creates(self) -> bool:
        """Whether POST creates something here."""
        return self.resource.create is not None and (self.resource.create_by_id or not self.single)

    @property
    def methods(self) -> str:
        """``Allow`` of an answer to any other method."""
        hooks = {"DELETE": self.resource.delete, "POST": self.creates, "PUT": self.resource.update}
        return ",".join(["HEAD", *(name for name, hook in hooks.items() if hook), "GET", "OPTIONS"])


class Registry:
    """The tree of resource types below ``/api/v1``."""

    def __init__(
        self, roots: Iterable[Resource], handlers: Mapping[str, Callable[[Call], Reply]] | None = None
    ) -> None:
        self.roots = {root.plural: root for root in roots}
        self.handlers = dict(handlers or {})
        """First segment -> handler of paths below it that are not resources."""

    def handles(self, segments: Sequence[str]) -> bool:
        """Whether a handler answers this path."""
        return bool(segments) and segments[0] in self.handlers

    @staticmethod
    def segments(path: str) -> list[str]:
        """Split an undecoded path below ``/api/v1`` into decoded parts."""
        return [unquote(part) for part in path.strip("/").split("/") if part]

    def find(self, segments: Sequence[str]) -> Place | None:
        """Return the target of ``segments``; ``None`` if no resource has such a URI."""
        level: Mapping[str, Resource] = self.roots
        if tuple(segments[2:4]) == ("configurations", "service_config_versions"):
            segments = [*segments[:2], *segments[3:]]
        ids: dict[str, str] = {}
        parents: list[tuple[Resource, str]] = []
        resource = None
        for place in range(0, len(segments), 2):
            resource = level.get(segments[place])
            if resource is None:
                return None
            if place + 1 < len(segments):
                ids[resource.key] = segments[place + 1]
                if place + 2 < len(segments):
                    parents.append((resource, segments[place + 1]))
            level = resource.children
        if resource is None:
            return None
        return Place(resource, ids, tuple(parents), single=len(segments) % 2 == 0, segments=tuple(segments))


def properties(category: str, names: str) -> frozenset[str]:
    """Build property paths of a category from names separated by blanks; ``""`` for properties without category."""
    return frozenset(f"{category}/{name}" if category else name for name in names.split())


def value_at(row: Row, path: str) -> Any:
    """Return the property at a slash path; keys may contain slashes. Raises ``KeyError`` if it is missing."""
    if path in row:
        return row[path]
    for name, inner in row.items():
        if path.startswith(name + "/") and isinstance(inner, dict):
            return value_at(inner, path[len(name) + 1 :])
    raise KeyError(path)
