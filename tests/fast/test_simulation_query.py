"""The query language and the printing of resources: tables of queries and what they choose."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigtop_builder.ambari_simulator.engine.state import World
from bigtop_builder.ambari_simulator.rest.dispatch import body_text, respond
from bigtop_builder.ambari_simulator.rest.query import parse_page, parse_predicate
from bigtop_builder.ambari_simulator.rest.registry import Body, Call, Registry, Resource, properties
from bigtop_builder.ambari_simulator.rest.render import Leaf, to_text
from bigtop_builder.ambari_simulator.rest.replies import DONE, Refusal, Reply, accepted

STATES = {"n0": "STARTED", "n1": "INSTALLED", "n2": "STARTED"}


def _parts(call: Call) -> list[dict[str, Any]]:
    host = call.id("Hosts/host_name")
    return [
        {"Part": {"host": host, "name": name, "state": STATES[host] if name == "server" else "INSTALLED"}}
        for name in ("client", "server")
    ]


def _hosts(call: Call) -> list[dict[str, Any]]:
    return [
        {
            "Hosts": {
                "host_name": name,
                "cpu": number + 1,
                "report": Leaf(zeta=1, alpha=2),
                "nested": {"deep": {"x": number}},
                **({"cluster": "c1"} if number else {}),
            }
        }
        for number, name in enumerate(STATES)
    ]


def _update(call: Call, rows: list[Any], body: Body) -> Reply:
    if "Hosts/cpu" in body.properties:
        return accepted(call.href("requests", 7), 7)
    if not body.properties:
        raise Refusal(400, "nothing said")
    return DONE


MADE: list[tuple[str, str]] = []


def _make_part(call: Call, bodies: tuple[Body, ...]) -> Reply:
    MADE.extend((call.id("Hosts/host_name"), body.properties["Part/name"]) for body in bodies)
    return Reply(201)


PART = Resource(
    type="Part",
    plural="parts",
    key="Part/name",
    keys=("Part/host", "Part/name"),
    properties=properties("Part", "host name state"),
    rows=_parts,
    create=_make_part,
)
HOST = Resource(
    type="Host",
    plural="hosts",
    key="Hosts/host_name",
    properties=properties("Hosts", "host_name cpu report nested cluster"),
    rows=_hosts,
    sub=(PART,),
    update=_update,
)
REGISTRY = Registry([HOST])


def call(target: str, method: str = "GET", content: str = "") -> Reply:
    world = World(clock=lambda: 0.0)
    user = world.users["admin"]
    return respond(REGISTRY, world, user, method, f"/api/v1/{target}", host="h:1", content=content)


def names(target: str) -> list[str]:
    reply = call(target)
    assert reply.status == 200, reply.document
    return [item["Hosts"]["host_name"] for item in reply.document["items"]]


@pytest.mark.parametrize(
    ("query", "chosen"),
    [
        ("Hosts/host_name=n1", ["n1"]),
        ("Hosts/host_name!=n1", ["n0", "n2"]),
        ("Hosts/cpu>1", ["n1", "n2"]),
        ("Hosts/cpu>=2&Hosts/cpu<3", ["n1"]),
        ("Hosts/cpu<=1", ["n0"]),
        ("Hosts/host_name.in(n0,n2)", ["n0", "n2"]),
        ("Hosts/host_name.matches(n[12])", ["n1", "n2"]),
        ("Hosts/host_name.matches(.*(0|2))", ["n0", "n2"]),
        ("Hosts/cluster.isEmpty()", ["n0"]),
        ("!(Hosts/cluster.isEmpty())", ["n1", "n2"]),
        ("Hosts/host_name=n0|Hosts/host_name=n2", ["n0", "n2"]),
        ("Hosts/host_name=n0|Hosts/host_name=n1&Hosts/cpu=9", ["n0"]),
        ("(Hosts/host_name=n0|Hosts/host_name=n1)&Hosts/cpu=2", ["n1"]),
        ("!(Hosts/host_name=n0|Hosts/host_name=n1)", ["n2"]),
        ("parts/Part/state=STARTED", ["n0", "n2"]),
        ("Hosts/nested/deep/x=1", ["n1"]),
        ("Hosts%2Fhost_name%3Dn2", ["n2"]),
        ("Hosts/host_name=n0%7CHosts/host_name=n1", ["n0", "n1"]),
        ("sortBy=Hosts/cpu.desc", ["n2", "n1", "n0"]),
        ("sortBy=Hosts/cpu.desc&page_size=2", ["n2", "n1"]),
        ("page_size=1&from=1", ["n1"]),
        ("page_size=2&to=end", ["n1", "n2"]),
        ("_=17", ["n0", "n1", "n2"]),
    ],
)
def test_predicates_choose(query: str, chosen: list[str]) -> None:
    assert names(f"hosts?{query}") == chosen


@pytest.mark.parametrize(
    "query", ["(Hosts/cpu=1", "Hosts/cpu=1)", "Hosts/cpu", "Hosts/host_name.matches([)", "|Hosts/cpu=1", "page_size=x"]
)
def test_what_cannot_be_read_is_400(query: str) -> None:
    assert call(f"hosts?{query}").status == 400


@given(st.text(alphabet="Hosts/cpu=<>!()&|.in,1 ", max_size=30))
def test_any_text_is_a_predicate_or_refused(text: str) -> None:
    try:
        predicate = parse_predicate(text)
    except Refusal as refusal:
        assert refusal.status == 400
    else:
        assert predicate is None or predicate.names


def test_fields_reduce_what_is_printed() -> None:
    (item, *_) = call("hosts?fields=Hosts/cpu,parts/Part/state&minimal_response=true").document["items"]
    assert item == {
        "Hosts": {"host_name": "n0", "cpu": 1},
        "parts": [
            {"Part": {"name": "client", "state": "INSTALLED"}},
            {"Part": {"name": "server", "state": "STARTED"}},
        ],
    }


def test_a_minimal_response_has_keys_and_what_was_requested_by_name() -> None:
    """As recorded in 602 and 606; what only the predicate names is left out."""
    (item,) = call("hosts?Hosts/cpu=1&fields=*&minimal_response=true").document["items"]
    assert item["Hosts"] == {"host_name": "n0"}
    (item,) = call("hosts?Hosts/cpu=1&fields=Hosts/*&minimal_response=true").document["items"]
    assert item["Hosts"]["cpu"] == 1
    assert call("hosts/n0?minimal_response=true").document["Hosts"]["cpu"] == 1


def test_one_resource_is_printed_whole_and_its_parts_by_key() -> None:
    document = call("hosts/n1").document
    assert document["href"] == "http://h:1/api/v1/hosts/n1"
    assert list(document["Hosts"]) == ["cluster", "cpu", "host_name", "report", "nested"]
    assert document["parts"][0] == {
        "href": "http://h:1/api/v1/hosts/n1/parts/client",
        "Part": {"host": "n1", "name": "client"},
    }
    assert call("hosts/n1?fields=*").document == document | {"href": "http://h:1/api/v1/hosts/n1?fields=*"}


@pytest.mark.parametrize(
    ("fields", "printed"),
    [
        ("Hosts", {"host_name", "cpu", "report", "nested", "cluster"}),
        ("Hosts/*", {"host_name", "cpu", "report", "nested", "cluster"}),
        ("Hosts/nested/deep", {"host_name", "nested"}),
        ("Hosts/cluster", {"host_name", "cluster"}),
        ("parts", {"host_name"}),
    ],
)
def test_categories_and_wildcards(fields: str, printed: set[str]) -> None:
    assert set(call(f"hosts/n1?fields={fields}").document["Hosts"]) == printed


def test_paging_tells_the_total_as_text() -> None:
    document = call("hosts?page_size=1").document
    assert document["itemTotal"] == "3"
    page = parse_page({"from": "2"})
    assert page is not None
    assert page.size == 20


@pytest.mark.parametrize(
    ("target", "method", "content", "status"),
    [
        ("hosts/n9", "GET", "", 404),
        ("nothing", "GET", "", 404),
        ("hosts/n1/nothing", "GET", "", 404),
        ("hosts?format=nonsense", "GET", "", 400),
        ("hosts?fields=Hosts/nonsense", "GET", "", 400),
        ("hosts?fields=parts/Part/nonsense", "GET", "", 400),
        ("hosts?parts/Part/nonsense=1", "GET", "", 400),
        ("hosts/n1", "DELETE", "", 405),
        ("hosts", "POST", "{}", 405),
        ("hosts/n9", "PUT", '{"Hosts/cpu": 3}', 404),
        ("hosts/n1", "PUT", '{"Hosts": {"cpu": 3}}', 202),
        ("hosts/n1", "PUT", '{"RequestInfo": {"context": "x"}, "Body": {"Hosts": {"cpu": 3}}}', 202),
        ("hosts/n1", "PUT", '{"Hosts/cluster": "c2"}', 200),
        ("hosts/n1", "PUT", "{}", 400),
        ("hosts/n1", "PUT", "{", 400),
        ("hosts/n1", "PUT", '"text"', 400),
        ("hosts?Hosts/host_name=n9", "PUT", '{"Hosts/cluster": "c2"}', 200),
    ],
)
def test_codes(target: str, method: str, content: str, status: int) -> None:
    assert call(target, method, content).status == status


def test_blocks_of_a_body_stop_at_the_first_answer_that_is_not_200() -> None:
    content = '[{"Body": {"Hosts/cluster": "a"}}, {"Body": {"Hosts/cpu": 1}}, {"Body": {}}]'
    assert call("hosts/n1", "PUT", content).status == 202


def test_parts_are_made_below_each_match() -> None:
    MADE.clear()
    content = '{"parts": [{"Part": {"name": "a"}}, {"Part": {"name": "b"}}]}'
    assert call("hosts?Hosts/host_name.in(n0,n2)", "POST", content).status == 201
    assert MADE == [("n0", "a"), ("n0", "b"), ("n2", "a"), ("n2", "b")]
    reply = call("hosts?Hosts/host_name=n9", "POST", content)
    assert (reply.status, reply.document["items"]) == (200, [])


def test_text_is_printed_with_the_servers_blanks() -> None:
    document = {"a": 1, "b": [], "c": {}, "d": [{"e": "é\n"}, True, None, 1.5]}
    assert to_text(document) == (
        '{\n  "a" : 1,\n  "b" : [ ],\n  "c" : { },\n  "d" : [\n    {\n      "e" : "é\\n"\n    },\n'
        "    true,\n    null,\n    1.5\n  ]\n}"
    )
    assert body_text(DONE) == ""
