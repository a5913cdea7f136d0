"""Every recorded exchange is understood: the call of the client that it belongs to parses its answer, or raises the
error of its cause."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bigtop_builder.adapter.ambari import errors
from bigtop_builder.adapter.ambari.client import Ambari
from bigtop_builder.adapter.ambari.connection import Json, listed
from bigtop_builder.adapter.ambari.repository import repository_version
from bigtop_builder.adapter.ambari.request import task_view
from bigtop_builder.adapter.ambari.service import host_component
from bigtop_builder.cluster.configuration import Configuration
from tests.fast.ambari_replay import Call, Server
from tests.transcripts import Transcript, needs_transcripts, transcripts

LEFT_OUT = {
    465: "HEAD, which the client does not send",
    466: "OPTIONS, which the client does not send",
    470: "an address outside /api/v1, which the client cannot ask for",
}

REFUSED = {
    errors.AuthenticationError: [1, 2, 3, 4, 5, 462, 474, 475, 476, 505],
    errors.PermissionDeniedError: [499, 500, 501, 502],
    errors.NotFoundError: [
        *(17, 21, 23, 27, 34, 42, 53, 58, 71, 88, 95, 103, 126, 145, 154, 170, 192, 213, 224, 230, 253, 327, 330, 332),
        *(467, 468),
    ],
    errors.ConflictError: [45, 46, 61, 82, 128, 139, 226, 229, 266, 345, 349],
    errors.InUseError: [245, 319, 321],
    errors.AdvisorError: [512, 514],
    errors.InvalidRequestError: [
        *(7, 8, 9, 25, 35, 36, 40, 41, 48, 57, 62, 70, 73, 74, 77, 78, 79, 80, 92, 94, 96, 97, 99, 100, 101, 102, 104),
        *(160, 169, 190, 191, 227, 267, 347, 350, 362, 369, 454, 457, 458, 459, 473, 516, 517, 522),
    ],
    errors.ServerError: [43, 75, 162, 254, 352, 357, 610, 611, 644],
}
"""By cause, not by status: what the server tells with 500 is often the caller's mistake."""

GONE_IS_FINE = {17, 95, 126, 224, 253, 327, 330}
"""Where the typed call takes the refusal for an answer: None, or nothing left to remove."""

LESS = frozenset(
    {
        *(11, 56, 67, 89, 112, 142, 205, 207, 220, 244, 256, 346, 387, 443),
        *(606, 607, 663, 678, 683, 708, 710, 762, 767, 771, 775, 776),
    }
)
"""Whoever recorded these asked for less than the client's call reads: what is not there is not taken for empty."""

Route = Callable[[Ambari, Transcript, Any], Any]
ROUTES: list[tuple[str, str, str, Route]] = []


def route(method: str, pattern: str, query: str = "") -> Callable[[Route], Route]:
    """The call for a method, a path and, where it matters, a query; the first that fits is taken."""

    def add(function: Route) -> Route:
        ROUTES.append((method, pattern, query, function))
        return function

    return add


def parts(exchange: Transcript) -> list[str]:
    return exchange.path.split("/")


def items(exchange: Transcript) -> list[Json]:
    return listed(exchange.json["items"])


@route("GET", "clusters/?")
def clusters(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    assert ambari.clusters() == [item["Clusters"]["cluster_name"] for item in items(exchange)]


@route("GET", "hosts", r"^(?!.*page_size)")
def hosts(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    found = ambari.hosts()
    assert [(host.name, host.state) for host in found] == sorted(
        (item["Hosts"]["host_name"], item["Hosts"].get("host_state", "")) for item in items(exchange)
    )


@route("GET", "hosts/[^/]+")
def one_host(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    host = ambari.host(parts(exchange)[1])
    if exchange.status == 404:
        assert host is None
        return
    about = exchange.json["Hosts"]
    assert host is not None
    assert (host.name, host.state, host.os_family) == (
        about["host_name"],
        about.get("host_state", ""),
        about.get("os_family", ""),
    )


@route("GET", "services/AMBARI/components/AMBARI_SERVER")
def version(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    assert ambari.version() == "3.0.0.0"


@route("GET", "services/AMBARI/components/AMBARI_AGENT")
def agents(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    assert sorted(ambari.agent_versions()) == [f"node{number}.cluster.local" for number in (1, 2, 3, 4)]


@route("GET", "stacks/BIGTOP/versions/[^/]+/services")
def stack_services(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    found = {
        item["StackServices"]["service_name"]: item for item in ambari.stack_services("BIGTOP", parts(exchange)[3])
    }
    assert {"ZOOKEEPER", "HDFS", "SPARK"} <= set(found)
    assert "ZOOKEEPER_SERVER" in json.dumps(found["ZOOKEEPER"])


@route("GET", "stacks/BIGTOP/versions/[^/]+/services/[^/]+/configurations")
def service_defaults(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    found = ambari.stack_defaults("BIGTOP", "3.2.0", parts(exchange)[5])
    # Stacks list some properties twice; the last counts.
    known = {(one["type"], one["property_name"]): one for one in (i["StackConfigurations"] for i in items(exchange))}
    for (kind, name), about in known.items():
        assert found[kind.removesuffix(".xml")].properties.get(name) == about.get("property_value")


@route("GET", "stacks/BIGTOP/versions/[^/]+/configurations")
def stack_level_defaults(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    assert "repo_suse_rhel_template" in ambari.stack_defaults("BIGTOP", "3.2.0")["cluster-env"].properties


@route("GET", "stacks/BIGTOP/versions/[^/]+/operating_systems")
def families(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    assert ambari.os_families("BIGTOP", "3.2.0") == ("openeuler22", "redhat7", "redhat8", "redhat9")


@route("GET", "stacks/BIGTOP/versions/[^/]+/repository_versions")
def repository_versions(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    found = ambari.repository_versions("BIGTOP", "3.2.0")
    assert [one.id for one in found] == [item["RepositoryVersions"]["id"] for item in items(exchange)]
    if exchange.number == 51:
        assert found[0].version == "3.2.0"
        assert found[0].os["redhat8"][0].url.startswith("http://")
        assert found[0].managed == {"redhat8"}


@route("GET", "stacks/BIGTOP/versions/[^/]+/repository_versions/[0-9]+")
def repository_version_one(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    found = repository_version(ambari.get(exchange.path, fields="*"))
    assert (found.id, set(found.os)) == (1, {"redhat8"})


@route("GET", "version_definitions", r"^(?!.*show_available)")
def version_definitions(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    assert [one.id for one in ambari.version_definitions()] == [
        item["VersionDefinition"]["id"] for item in items(exchange)
    ]


@route("GET", "blueprints")
def blueprints(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    assert ambari.blueprints() == [item["Blueprints"]["blueprint_name"] for item in items(exchange)]


@route("GET", "blueprints/[^/]+")
def blueprint(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    found = ambari.blueprint(parts(exchange)[1])
    assert found is not None
    assert "href" not in found
    assert found["host_groups"] == exchange.json["host_groups"]


@route("GET", "clusters/[^/]+", r"^(?!.*format=)")
def cluster(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    found = ambari.cluster(parts(exchange)[1])
    if exchange.status == 404:
        assert found is None
        return
    about = exchange.json["Clusters"]
    assert found is not None
    assert (found.name, found.provisioning_state) == (about["cluster_name"], about["provisioning_state"])
    assert found.total_hosts == about["total_hosts"]
    assert set(found.desired_configs) == set(about.get("desired_configs", {}))


@route("GET", "clusters/[^/]+", "format=blueprint")
def export(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    assert ambari.export_blueprint(parts(exchange)[1]) == exchange.json


@route("GET", "clusters/[^/]+/requests")
def requests(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    found = ambari.requests(parts(exchange)[1])
    assert [view.id for view in found] == sorted(item["Requests"]["id"] for item in items(exchange))


@route("GET", "clusters/[^/]+/requests/[0-9]+")
def one_request(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    view = ambari.request(parts(exchange)[1], int(parts(exchange)[3]))
    about = exchange.json["Requests"]
    assert (view.id, view.status, view.percent) == (about["id"], about["request_status"], about["progress_percent"])
    assert view.tasks == about.get("task_count", 0)
    assert sum(view.counts.values()) == view.tasks or "completed_task_count" not in about
    for item in exchange.json.get("tasks", []):
        assert task_view(item["Tasks"]).status == item["Tasks"]["status"]


@route("GET", "clusters/[^/]+/requests/[0-9]+/tasks")
def tasks(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    found = list(ambari.tasks(parts(exchange)[1], int(parts(exchange)[3]), statuses=["FAILED"], with_output=True))
    assert [(task.id, task.status, task.stderr) for task in found] == [
        (item["Tasks"]["id"], item["Tasks"]["status"], item["Tasks"].get("stderr", "")) for item in items(exchange)
    ]


@route("GET", "clusters/[^/]+/host_components")
def host_components(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    found = list(ambari.host_components(parts(exchange)[1]))
    assert [(one.host, one.component, one.state) for one in found] == [
        (about["host_name"], about["component_name"], about.get("state", ""))
        for about in (item["HostRoles"] for item in items(exchange))
    ]


@route("GET", "clusters/[^/]+/hosts/[^/]+/host_components/[^/]+")
def one_host_component(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    about = exchange.json["HostRoles"]
    assert host_component(ambari.get(exchange.path)["HostRoles"]).state == about["state"]


@route("GET", "clusters/[^/]+/services")
def services(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    assert [(one.name, one.state) for one in ambari.services(parts(exchange)[1])] == [
        (item["ServiceInfo"]["service_name"], item["ServiceInfo"]["state"]) for item in items(exchange)
    ]


@route("GET", "clusters/[^/]+/alerts")
def alerts(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    assert [(one.name, one.host, one.state, one.seen) for one in ambari.alerts(parts(exchange)[1])] == [
        (about["definition_name"], about["host_name"], about["state"], about["latest_timestamp"] / 1000)
        for about in (item["Alert"] for item in items(exchange))
    ]


@route("GET", "clusters/[^/]+/configurations", "tag=")
def configuration(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    found = ambari.configuration(parts(exchange)[1], "zoo.cfg", "TOPOLOGY_RESOLVED")
    assert found.properties["clientPort"] == "2181"


@route("GET", "clusters/[^/]+/stack_versions")
def stack_versions(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    assert ambari.stack_versions("c1")[1] == "CURRENT"


@route("GET", "users/admin")
def administrator(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    assert ambari.is_administrator()


@route("GET", ".*")
def anything(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    assert ambari.get(exchange.path, query=exchange.query) == exchange.json


@route("POST", "version_definitions")
def register(ambari: Ambari, exchange: Transcript, body: Any) -> None:
    encoded = body["VersionDefinition"].get("version_base64") if isinstance(body, dict) else None
    if encoded is None and (exchange.status >= 400 or exchange.number == 39):
        assert ambari.post(exchange.path, body if isinstance(body, dict) else None).request is None
        return
    xml = base64.b64decode(encoded).decode() if encoded else exchange.sent or ""
    assert ambari.register_version(xml) == exchange.json["resources"][0]["VersionDefinition"]["id"]


@route("POST", "blueprints/[^/]+")
def create_blueprint(ambari: Ambari, exchange: Transcript, body: Any) -> None:
    ambari.create_blueprint(parts(exchange)[1], body or {}, validate="validate_topology" not in exchange.query)


@route("POST", "clusters/[^/]+")
def create_cluster(ambari: Ambari, exchange: Transcript, body: Any) -> None:
    name = parts(exchange)[1]
    if body and "blueprint" in body:
        assert ambari.create_cluster(name, body) == exchange.json["Requests"]["id"]
    else:
        ambari.create_empty_cluster(name, (body or {}).get("Clusters", {}).get("version", ""))


@route("POST", "clusters/[^/]+/requests")
def run(ambari: Ambari, exchange: Transcript, body: Any) -> None:
    cluster = parts(exchange)[1]
    expected = exchange.json["Requests"]["id"] if exchange.status == 202 else None
    target = (body or {}).get("Requests/resource_filters", [{}])[0]
    if "hosts_predicate" in target:
        assert ambari.restart_stale(cluster) == expected
    elif "component_name" in target:
        assert ambari.restart(cluster, "ZOOKEEPER", target["component_name"], ["node1.cluster.local"]) == expected
    else:
        command = (body or {}).get("RequestInfo", {}).get("command", "")
        assert ambari.service_check(cluster, target.get("service_name", "ZOOKEEPER"), command) == expected


@route("POST", "clusters/[^/]+/hosts")
def add_hosts(ambari: Ambari, exchange: Transcript, body: Any) -> None:
    cluster = parts(exchange)[1]
    if isinstance(body, dict):
        ambari.add_host_components(cluster, ["ZOOKEEPER_SERVER"], ["node1.cluster.local"])
    elif "blueprint" in body[0]:
        assert ambari.add_hosts(cluster, body) == exchange.json["Requests"]["id"]
    else:
        ambari.map_hosts(cluster, [entry["Hosts"]["host_name"] for entry in body])


@route("POST", "clusters/[^/]+/hosts/[^/]+/host_components/[^/]+")
def add_host_component(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    ambari.add_host_component(parts(exchange)[1], parts(exchange)[3], parts(exchange)[5])


@route("POST", "clusters/[^/]+/services")
def add_service(ambari: Ambari, exchange: Transcript, body: Any) -> None:
    ambari.add_service(parts(exchange)[1], listed(body)[0]["ServiceInfo"]["service_name"], 1)


@route("POST", "clusters/[^/]+/services/[^/]+/components/[^/]+")
def add_component(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    ambari.add_component(parts(exchange)[1], parts(exchange)[3], parts(exchange)[5])


@route("POST", "stacks/BIGTOP/versions/[^/]+/recommendations")
def recommend(ambari: Ambari, exchange: Transcript, body: Any) -> None:
    body = body or {"recommend": "host_groups", "hosts": [], "services": []}
    found = ambari.recommend(
        "BIGTOP", "3.2.0", body["recommend"], body["hosts"], body["services"], body.get("recommendations")
    )
    assert found["blueprint"]["host_groups"]


@route("POST", "stacks/BIGTOP/versions/[^/]+/validations")
def validate(ambari: Ambari, exchange: Transcript, body: Any) -> None:
    found = ambari.validate(
        "BIGTOP", "3.2.0", body["validate"], body["hosts"], body["services"], body["recommendations"]
    )
    if exchange.status == 200:
        (answer,) = exchange.json["resources"]
        assert [(one.level, one.component) for one in found] == [
            (item["level"], item["component-name"]) for item in answer["items"]
        ]
    else:
        assert (found[0].level, found[0].kind) == ("WARN", "advisor")
        assert "TypeError" in found[0].message


@route("POST", ".*")
def post(ambari: Ambari, exchange: Transcript, body: Any) -> None:
    assert ambari.post(exchange.path, body, query=exchange.query).data == exchange.json


@route("PUT", "clusters/[^/]+")
def put_configurations(ambari: Ambari, exchange: Transcript, body: Any) -> None:
    about = listed(body)[0].get("Clusters", {"desired_config": {"type": "zoo.cfg", "properties": {}}})
    entry = listed(about["desired_config"])[0]
    ambari.put_configurations(parts(exchange)[1], {entry["type"]: Configuration(entry["properties"])}, "note")


@route("PUT", "clusters/[^/]+/services(/[^/]+)?")
def set_services(ambari: Ambari, exchange: Transcript, body: Any) -> None:
    names = {"": None, "ServiceInfo/service_name.in(SPARK,ZOOKEEPER)": ["SPARK", "ZOOKEEPER"]}[exchange.query]
    if len(parts(exchange)) > 3:
        names = [parts(exchange)[3]]
    state = body.get("Body", body)["ServiceInfo"]["state"]
    expected = exchange.json["Requests"]["id"] if exchange.status == 202 else None
    assert ambari.set_services(parts(exchange)[1], state, names, "because") == expected


@route("PUT", "clusters/[^/]+/hosts/[^/]+/host_components/[^/]+")
def set_host_component(ambari: Ambari, exchange: Transcript, body: Any) -> None:
    _, name, _, host, _, component = parts(exchange)
    about = body.get("Body", body)["HostRoles"]
    if "maintenance_state" in about:
        ambari.set_maintenance(name, host, component, about["maintenance_state"] == "ON")
    else:
        expected = exchange.json["Requests"]["id"]
        assert ambari.set_host_components(name, about["state"], host, [component]) == expected


@route("PUT", "clusters/[^/]+/requests/[0-9]+")
def abort(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    ambari.abort(parts(exchange)[1], int(parts(exchange)[3]), "operator asked")


@route("PUT", "stacks/BIGTOP/versions/[^/]+/repository_versions/[0-9]+")
def update_repositories(ambari: Ambari, exchange: Transcript, body: Any) -> None:
    sent = {"RepositoryVersions": {"id": 1, "repository_version": "3.2.0"}, "operating_systems": [], **body}
    os = {"redhat8": repository_version(sent).os.get("redhat8", ())}
    ambari.update_repositories("BIGTOP", "3.2.0", int(parts(exchange)[-1]), os)


@route("PUT", ".*")
def put(ambari: Ambari, exchange: Transcript, body: Any) -> None:
    assert ambari.put(exchange.path, body).data == exchange.json


@route("DELETE", "blueprints/[^/]+")
def delete_blueprint(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    ambari.delete_blueprint(parts(exchange)[1])


@route("DELETE", "clusters/[^/]+")
def delete_cluster(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    ambari.delete_cluster(parts(exchange)[1])


@route("DELETE", "clusters/[^/]+/hosts/[^/]+")
def delete_host(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    ambari.delete_host(parts(exchange)[1], parts(exchange)[3])


@route("DELETE", "clusters/[^/]+/hosts/[^/]+/host_components/[^/]+")
def delete_host_component(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    ambari.delete_host_component(parts(exchange)[1], parts(exchange)[3], parts(exchange)[5])


@route("DELETE", "clusters/[^/]+/services/[^/]+")
def delete_service(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    ambari.delete_service(parts(exchange)[1], parts(exchange)[3])


@route("DELETE", "stacks/BIGTOP/versions/[^/]+/repository_versions/[0-9]+")
def delete_repository_version(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    ambari.delete_repository_version("BIGTOP", "3.2.0", int(parts(exchange)[-1]))


@route("DELETE", ".*")
def delete(ambari: Ambari, exchange: Transcript, _: Any) -> None:
    assert ambari.delete(exchange.path).request is None


def route_of(exchange: Transcript) -> Route:
    for method, pattern, query, function in ROUTES:
        if method == exchange.method and re.fullmatch(pattern, exchange.path) and re.search(query, exchange.query):
            return function
    raise AssertionError(f"no call for {exchange.name}")


def sent_body(exchange: Transcript) -> Any:
    try:
        return json.loads(exchange.sent or "")
    except ValueError:
        return None


@pytest.fixture(scope="module")
def replaying() -> Iterator[Server]:
    with Server(lambda call: None) as server:
        yield server


COVERED = [exchange for exchange in transcripts() if exchange.number not in LEFT_OUT]


@needs_transcripts
@pytest.mark.parametrize("exchange", COVERED, ids=lambda exchange: exchange.name)
def test_the_clients_call_understands_the_recorded_answer(exchange: Transcript, replaying: Server) -> None:
    def respond(call: Call) -> None:
        if call.place == exchange.path.rstrip("/"):
            call.replay(exchange)
        else:
            # What else a call looks at: requests before a cluster is deleted.
            assert (call.command, call.place) == ("GET", f"{exchange.path}/requests")
            call.reply(200, '{"items": []}')

    expected = next((error for error, numbers in REFUSED.items() if exchange.number in numbers), None)
    assert (expected is not None) == (exchange.status >= 400)
    replaying.respond = respond
    replaying.calls.clear()
    call = route_of(exchange)
    with Ambari(replaying.url, "admin", "Winter-1848", pauses=()) as ambari:
        if exchange.number in LESS:
            with pytest.raises(errors.UnexpectedAnswerError, match="Ambari's answer has no "):
                call(ambari, exchange, sent_body(exchange))
        elif expected is None or exchange.number in GONE_IS_FINE or call is validate:
            call(ambari, exchange, sent_body(exchange))
        else:
            with pytest.raises(expected) as caught:
                call(ambari, exchange, sent_body(exchange))
            assert type(caught.value) is expected
            told = exchange.json["message"] if exchange.json else exchange.body
            assert caught.value.status == exchange.status
            assert caught.value.answer[:100] == told[:100]
            assert "Winter-1848" not in str(caught.value)
    assert exchange.method in {made.command for made in replaying.calls}
    for made in replaying.calls:
        assert made.headers["Accept"] == "*/*"
        assert made.headers["X-Requested-By"]
        assert made.headers["Authorization"].startswith("Basic ")
        assert made.headers["Cookie"] is None


@needs_transcripts
def test_the_share_of_exchanges_that_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    everything = transcripts()
    typed = [exchange for exchange in COVERED if route_of(exchange) not in (anything, post, put, delete)]
    with capsys.disabled():
        print(
            f"\nthe client understands {len(COVERED)} of {len(everything)} recorded exchanges, {len(typed)} by a typed "
            "call;",
            end="",
        )
        print(" left out:", "; ".join(f"{number}: {why}" for number, why in LEFT_OUT.items()))
    assert set(LEFT_OUT) <= {exchange.number for exchange in everything}
    assert len(COVERED) / len(everything) > 0.99
