"""The simulated server as a process and an object: connections, TLS, sessions, late agents, faults, its end."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
import requests

from bigtop_builder.ambari_simulator.__main__ import set_password
from bigtop_builder.ambari_simulator.arguments import faults
from bigtop_builder.ambari_simulator.assembly import make_world, serve, simulate
from bigtop_builder.ambari_simulator.engine.injection import CallFault
from bigtop_builder.ambari_simulator.engine.repository_probe import fetch
from bigtop_builder.ambari_simulator.engine.state import Host
from bigtop_builder.ambari_simulator.engine.work import work_of
from bigtop_builder.ambari_simulator.rest.server import Simulation, _is_own
from bigtop_builder.model.errors import ConfigurationError
from tests.fast.misbehaving import Server, always, redirecting

ADMIN = ("admin", "admin")
HEADERS = {"X-Requested-By": "test", "Accept": "*/*"}
STACK = "stacks/BIGTOP/versions/3.2.0"


class Clock:
    now = 1_795_377_358.0

    def __call__(self) -> float:
        return self.now


class Caller:
    """Calls of the administrator, without a cookie jar."""

    def __init__(self, simulation: Simulation, clock: Clock) -> None:
        self.simulation = simulation
        self.clock = clock

    def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        more = {"auth": ADMIN, "headers": HEADERS, "timeout": 10, **more}
        data = json.dumps(body) if body is not None else None
        return requests.request(method, f"{self.simulation.url}/api/v1/{path}", data=data, **more)

    def states(self) -> dict[str, str]:
        items = self("GET", "hosts?fields=Hosts/host_state").json()["items"]
        return {item["Hosts"]["host_name"]: item["Hosts"]["host_state"] for item in items}


@pytest.fixture
def call() -> Iterator[Caller]:
    clock = Clock()
    hosts = [Host(f"n{number}.lab", f"10.0.0.{number}", registers_at=clock.now) for number in range(1, 4)]
    with serve(make_world(hosts, clock=clock)) as simulation:
        yield Caller(simulation, clock)


def test_one_connection_carries_many_calls(call: Caller) -> None:
    with requests.Session() as session:
        session.auth = ADMIN
        for _ in range(3):
            assert session.get(f"{call.simulation.url}/api/v1/hosts", timeout=10).status_code == 200
        assert len(call.simulation.site.sessions.known) == 1


def test_a_session_ends_when_it_is_not_used(call: Caller) -> None:
    with requests.Session() as session:
        url = f"{call.simulation.url}/api/v1/hosts"
        assert session.get(url, auth=ADMIN, timeout=10).status_code == 200
        call.clock.now += 1700
        assert session.get(url, timeout=10).status_code == 200
        call.clock.now += 1801
        assert session.get(url, timeout=10).status_code == 403


def test_logout_forgets_the_session(call: Caller) -> None:
    with requests.Session() as session:
        base = f"{call.simulation.url}/api/v1"
        session.get(f"{base}/hosts", auth=ADMIN, timeout=10)
        assert session.get(f"{base}/logout", timeout=10).status_code == 200
        assert session.get(f"{base}/hosts", timeout=10).status_code == 403


def test_an_agent_that_comes_late_and_one_that_dies(call: Caller) -> None:
    world = call.simulation.world
    world.hosts["late.lab"] = Host("late.lab", "10.0.0.9", registers_at=call.clock.now + 30)
    assert set(call.states()) == {"n1.lab", "n2.lab", "n3.lab"}
    assert call("GET", "hosts/late.lab").status_code == 404
    call.clock.now += 30
    assert call.states()["late.lab"] == "HEALTHY"
    world.hosts["n1.lab"].lost_at = call.clock.now
    call.clock.now += 120
    assert call.states()["n1.lab"] == "HEALTHY"
    call.clock.now += 1
    assert call.states()["n1.lab"] == "HEARTBEAT_LOST"
    with world.lock:
        world.register(world.hosts["n1.lab"])
    assert call.states()["n1.lab"] == "HEALTHY"


def test_password_is_changed_with_the_old_one(call: Caller) -> None:
    def change(old: str) -> int:
        body = {"Users": {"user_name": "admin", "password": "new", "old_password": old}}
        return call("PUT", "users/admin", body).status_code

    assert change("wrong") == 400
    assert change("admin") == 200
    assert call("GET", "hosts").status_code == 403
    assert call("GET", "hosts", auth=("admin", "new")).status_code == 200


def test_a_long_query_travels_in_a_post(call: Caller) -> None:
    body = {"RequestInfo": {"query": "fields=Hosts/ip&Hosts/host_name.in(n1.lab,n3.lab)"}}
    answer = call("POST", "hosts", body, headers={**HEADERS, "X-Http-Method-Override": "GET"})
    assert [item["Hosts"]["ip"] for item in answer.json()["items"]] == ["10.0.0.1", "10.0.0.3"]
    other = call("POST", "hosts", body, headers={**HEADERS, "X-Http-Method-Override": "DELETE"})
    assert other.status_code == 400


def test_bootstrap_brings_agents_to_known_hosts(call: Caller) -> None:
    world = call.simulation.world
    world.hosts["new.lab"] = Host("new.lab", "10.0.0.8", registers_at=float("inf"))
    started = call("POST", "bootstrap", {"hosts": ["new.lab", "stranger.lab"], "sshKey": "k", "user": "root"}).json()
    assert (started["status"], started["requestId"]) == ("OK", 1)
    assert call("POST", "bootstrap", {"hosts": ["new.lab"]}).json()["status"] == "ERROR"
    assert call("GET", "bootstrap/1").json()["status"] == "RUNNING"
    assert call("GET", "bootstrap/7").status_code == 204
    call.clock.now += 6
    told = call("GET", "bootstrap/1").json()
    assert told["status"] == "ERROR"
    assert [host["status"] for host in told["hostsStatus"]] == ["DONE", "FAILED"]
    assert "new.lab" not in call.states()
    call.clock.now += 6
    assert call.states()["new.lab"] == "HEALTHY"


def test_checks_of_hosts_end_with_what_was_found(call: Caller) -> None:
    parameters = {"check_execute_list": "host_resolution_check,last_agent_env_check", "hosts": "n1.lab,n2.lab"}
    body = {"RequestInfo": {"action": "check_host", "context": "Check", "parameters": parameters}}
    accepted = call("POST", "requests", body)
    assert accepted.status_code == 202
    path = f"requests/{accepted.json()['Requests']['id']}?fields=Requests/request_status,tasks/Tasks/*"
    assert call("GET", path).json()["Requests"]["request_status"] == "IN_PROGRESS"
    call.clock.now += 4
    document = call("GET", path).json()
    assert document["Requests"]["request_status"] == "COMPLETED"
    found = {task["Tasks"]["host_name"]: task["Tasks"]["structured_out"] for task in document["tasks"]}
    assert found["n2.lab"]["host_resolution_check"]["failed_count"] == 0
    assert call("POST", "requests", {"RequestInfo": {"action": "nonsense"}}).status_code == 500


@pytest.mark.parametrize(
    ("services", "hosts"),
    [
        (["ZOOKEEPER"], 1),
        (["ZOOKEEPER", "HDFS"], 3),
        (["ZOOKEEPER", "HDFS", "YARN", "MAPREDUCE2", "TEZ", "HIVE", "HBASE", "KAFKA", "FLINK", "SOLR"], 3),
        (["ZOOKEEPER", "SPARK"], 1),
    ],
)
def test_advice_passes_the_servers_own_validation(call: Caller, services: list[str], hosts: int) -> None:
    names = [f"n{number}.lab" for number in range(1, hosts + 1)]
    asked = {"hosts": names, "services": services}
    advice = call("POST", f"{STACK}/recommendations", {"recommend": "host_groups", **asked}).json()
    layout = advice["resources"][0]["recommendations"]
    verdict = call("POST", f"{STACK}/validations", {"validate": "host_groups", **asked, "recommendations": layout})
    messages = [item["message"] for item in verdict.json()["resources"][0]["items"]]
    # What belongs to services that were not chosen cannot be advised (741).
    assert [text for text in messages if "SLIDER" not in text and "_CLIENT" not in text] == []
    blueprint = {
        "Blueprints": {"stack_name": "BIGTOP", "stack_version": "3.2.0"},
        "host_groups": [{**group, "cardinality": "1"} for group in layout["blueprint"]["host_groups"]],
    }
    made = call("POST", "blueprints/advised", blueprint)
    assert made.status_code == 201, made.text


def test_advice_for_strangers_is_refused(call: Caller) -> None:
    asked = {"recommend": "host_groups", "hosts": ["stranger.lab"], "services": ["ZOOKEEPER"]}
    answer = call("POST", f"{STACK}/recommendations", asked)
    assert (answer.status_code, "stranger.lab" in answer.text) == (500, True)


def test_injected_faults_meet_calls(call: Caller) -> None:
    injections = work_of(call.simulation.world).injections
    injections.calls.append(CallFault(path="/hosts", effect="error", status=503, skip=1))
    assert [call("GET", "hosts").status_code for _ in range(3)] == [200, 503, 200]
    injections.calls.append(CallFault(effect="slow", seconds=0.5))
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{call.simulation.url}/api/v1/hosts", auth=ADMIN, timeout=0.1)
    injections.calls.append(CallFault(method="GET", effect="reset"))
    with pytest.raises(requests.ConnectionError):
        call("GET", "users")
    with requests.Session() as session:
        url = f"{call.simulation.url}/api/v1/hosts"
        session.get(url, auth=ADMIN, timeout=10)
        injections.calls.append(CallFault(effect="expire"))
        assert session.get(url, timeout=10).status_code == 403


def test_a_fault_of_the_server_is_told_by_number(call: Caller, capsys: pytest.CaptureFixture[str]) -> None:
    assert call.states()["n1.lab"] == "HEALTHY"
    call.simulation.world.hosts["n1.lab"].registered_at = "never"  # type: ignore[assignment]
    answer = call("GET", "hosts/n1.lab")
    assert answer.status_code == 500
    assert "please refer the exception by" in answer.json()["message"]
    assert "Traceback" in capsys.readouterr().err


def test_https(tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path)
    world = make_world([Host("n1.lab", "10.0.0.1")])
    with serve(world, certificate=certificate, key=key) as simulation:
        url = f"{simulation.url}/api/v1/hosts"
        answer = requests.get(url, auth=ADMIN, verify=str(certificate), timeout=10)
        assert simulation.url.startswith("https://")
        assert answer.json()["href"] == url
        assert ";Secure" in answer.headers["Set-Cookie"]
        with pytest.raises(requests.ConnectionError):
            requests.get(url.replace("https", "http"), timeout=10)


def _certificate(folder: Path) -> tuple[Path, Path]:
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(secret, hashes.SHA256())
    )
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate, key


def test_a_rehearsals_server_goes_on_by_itself() -> None:
    with simulate([Host("n1.lab", "10.0.0.1")]) as simulation:
        answer = requests.get(f"{simulation.url}/api/v1/hosts", auth=ADMIN, timeout=10)
        assert len(answer.json()["items"]) == 1
    with pytest.raises(requests.ConnectionError):
        requests.get(simulation.url, timeout=10)


def test_a_process_of_its_own_ends_on_sigterm(tmp_path: Path) -> None:
    state, inject = tmp_path / "state.json", tmp_path / "faults.yaml"
    inject.write_text("calls: [{path: /users, status: 502}]\n", encoding="utf-8")
    argv = [sys.executable, "-m", "bigtop_builder.ambari_simulator", "--port", "0", "--host", "n1.lab=10.0.0.1"]
    argv += ["--state-file", str(state), "--inject", str(inject)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("simulated Ambari at http://127.0.0.1:")
        told = json.loads(state.read_text(encoding="utf-8"))
        assert told["pid"] == process.pid
        answer = requests.get(f"{told['url']}/api/v1/hosts", auth=ADMIN, timeout=10)
        assert answer.json()["items"][0]["Hosts"]["host_name"] == "n1.lab"
        assert requests.get(f"{told['url']}/api/v1/users", auth=ADMIN, timeout=10).status_code == 502
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(20) == 0
    assert not state.exists()


@pytest.mark.parametrize(
    ("text", "words"), [("calls: [{path: /users, status: 200}]", "400"), ("cals: []", "calls"), ("calls: [", "faults")]
)
def test_a_file_of_faults_with_a_mistake_is_refused(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "faults.yaml"
    file.write_text(text + "\n", encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        faults(file)
    assert words in str(refused.value)


def test_a_process_tells_a_mistake_without_a_trace(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "bigtop_builder.ambari_simulator", "--port", "0"]
    argv += ["--inject", str(tmp_path / "none.yaml")]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert "none.yaml" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.fixture
def served() -> Iterator[Simulation]:
    with simulate([Host("n1.lab", "10.0.0.1")]) as simulation:
        yield simulation


def exchange(simulation: Simulation, request: bytes) -> bytes:
    """Send bytes as they are; return what comes until the connection is closed."""
    with socket.create_connection(("127.0.0.1", simulation.port), timeout=20) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(request)
        pieces = []
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(65536):
                pieces.append(piece)
    return b"".join(pieces)


BASIC = b"Authorization: Basic " + base64.b64encode(b"admin:admin") + b"\r\n"
PATHS = [
    "/",
    "/api/v1",
    "/api/v1/clusters",
    "/api/v1/nosuch",
    "/index.html",
    "/simulation/faults",
    "/api/v1/../x",
    "/%00",
]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_nothing_is_answered_without_login(served: Simulation, method: str) -> None:
    work_of(served.world).injections.calls.append(CallFault(path="/", status=502))
    for path in [*PATHS, "/simulation/restart", "/simulation/hosts/n1.lab/register"]:
        for headers in (
            b"",
            b"Authorization: Basic YWRtaW46eA==\r\n",
            b"Authorization: Basic !\r\n",
            b"Cookie: a=b\r\n",
        ):
            request = f"{method} {path} HTTP/1.1\r\nHost: x\r\nX-Requested-By: x\r\nConnection: close\r\n".encode()
            assert exchange(served, request + headers + b"\r\n").startswith(b"HTTP/1.1 403 "), (path, headers)
    assert len(work_of(served.world).injections.calls) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" * 200_000, 400),
        (b"[" * 200_000 + b"]" * 200_000, 400),
        (b'{"a":' * 500 + b"1" + b"}" * 500, 400),
        (b'{"Clusters": {"version": ' + b"9" * 100_000 + b"}}", 400),
        (b'{"Clusters": {"version": NaN}}', 400),
        (b'{"Clusters": {"version": Infinity}}', 400),
        (b"\xff\xfe", 400),
        (b'"text"', 400),
        (b" " * (17 << 20), 413),
    ],
    ids=["open", "deep", "objects", "digits", "nan", "infinity", "utf-8", "text", "large"],
)
def test_bodies_that_are_none(served: Simulation, body: bytes, status: int) -> None:
    for path in ("clusters/c", "blueprints/b"):
        head = f"POST /api/v1/{path} HTTP/1.1\r\nHost: x\r\nX-Requested-By: x\r\nConnection: close\r\n".encode() + BASIC
        answer = exchange(served, head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert answer.startswith(b"HTTP/1.1 %d " % status) or (status == 413 and not answer)
    override = b"POST /api/v1/hosts HTTP/1.1\r\nHost: x\r\nX-Requested-By: x\r\nX-Http-Method-Override: GET\r\n" + BASIC
    exchange(served, override + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert requests.get(f"{served.url}/api/v1/clusters", auth=ADMIN, timeout=10).status_code == 200


def test_half_a_pair_of_surrogates(served: Simulation) -> None:
    body = r'{"Hosts": {"\ud800": "x"}}'
    address = f"{served.url}/api/v1/hosts/n1.lab"
    answer = requests.put(address, data=body, auth=ADMIN, headers=HEADERS, timeout=10)
    assert answer.status_code == 400
    assert "Hosts/?" in answer.text


@pytest.mark.parametrize(
    ("head", "body", "status"),
    [
        (b"Transfer-Encoding: chunked", b'2\r\n{"\r\n3;x=y\r\na":\r\n5\r\n "1"}\r\n0\r\nX: y\r\n\r\n', 400),
        (b"Transfer-Encoding: chunked", b"zz\r\n", 400),
        (b"Transfer-Encoding: chunked", b"-1\r\n", 400),
        (b"Transfer-Encoding: chunked", b"ffffffff\r\n", 413),
        (b"Transfer-Encoding: chunked", b"0\r\n" + b"X: y\r\n" * 100, 400),
        (b"Transfer-Encoding: gzip", b"", 400),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5", b"0\r\n\r\n", 400),
        (b"Content-Length: -1", b"", 400),
        (b"Content-Length: x", b"", 400),
        (b"Content-Length: \xb2", b"", 400),
        (b"Content-Length: " + b"9" * 5000, b"", 400),
        (b"Content-Length: 999999999999", b"", 413),
        (b"Content-Length: 1\r\nContent-Length: 2", b"xx", 400),
    ],
)
def test_how_long_a_body_is(served: Simulation, head: bytes, body: bytes, status: int) -> None:
    request = b"POST /api/v1/clusters/c HTTP/1.1\r\nHost: x\r\nX-Requested-By: x\r\nConnection: close\r\n"
    known = exchange(served, request + BASIC + head + b"\r\n\r\n" + body)
    assert known.startswith(b"HTTP/1.1 %d " % status)
    assert known.count(b"HTTP/1.1 ") == 1
    assert exchange(served, request + head + b"\r\n\r\n" + body).startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(
    "query",
    [
        "(" * 200_000,
        "!(" * 20_000 + "Hosts/cpu_count=1" + ")" * 20_000,
        "(" * 60 + "Hosts/cpu_count=1" + ")" * 60,
        "Hosts/host_name.matches(" + "(" * 5000 + ")",
        "Hosts/host_name.matches(a{99999999999})",
        "page_size=" + "9" * 5000,
        "fields=" + "nosuch/" * 5000,
    ],
    ids=["open", "negations", "nested", "pattern", "repeats", "page", "fields"],
)
def test_queries_that_are_none(served: Simulation, query: str) -> None:
    headers = {**HEADERS, "X-Http-Method-Override": "GET"}
    body = json.dumps({"RequestInfo": {"query": query}})
    answer = requests.post(f"{served.url}/api/v1/hosts", data=body, auth=ADMIN, headers=headers, timeout=30)
    assert answer.status_code == 400


def test_long_queries(served: Simulation) -> None:
    headers = {**HEADERS, "X-Http-Method-Override": "GET"}
    for sign in "|&":
        body = json.dumps({"RequestInfo": {"query": sign.join(["Hosts/host_name=n1.lab"] * 3000)}})
        answer = requests.post(f"{served.url}/api/v1/hosts", data=body, auth=ADMIN, headers=headers, timeout=60)
        assert len(answer.json()["items"]) == 1
    fields = ",".join(["Hosts/host_name"] * 3000)
    answer = requests.get(f"{served.url}/api/v1/hosts?fields={fields}", auth=ADMIN, timeout=60)
    assert len(answer.json()["items"]) == 1


ADDRESSES = [
    "file:///etc/passwd",
    "ftp://x/",
    "data:,x",
    "jar:http://x!/",
    "http://x/\nenabled=1",
    "//x",
    "netdoc:/etc",
]


@pytest.mark.parametrize("url", ADDRESSES)
def test_only_addresses_of_http(served: Simulation, url: str, tmp_path: Path) -> None:
    def call(method: str, path: str, body: Any) -> requests.Response:
        address = f"{served.url}/api/v1/{path}"
        return requests.request(method, address, data=json.dumps(body), auth=ADMIN, headers=HEADERS, timeout=10)

    probed = {"Repositories": {"base_url": url, "repo_name": "x", "verify_base_url": True}}
    place = f"{STACK}/operating_systems/redhat8/repositories/x?validate_only=true"
    assert call("POST", place, probed).status_code == 400
    repository = {"Repositories": {"base_url": url, "repo_id": "x", "repo_name": "x"}}
    system = {"OperatingSystems": {"os_type": "redhat8"}, "repositories": [repository]}
    body = {"RepositoryVersions": {"repository_version": "3.2.0", "display_name": "x"}, "operating_systems": [system]}
    assert call("POST", f"{STACK}/repository_versions", body).status_code == 400
    assert call("POST", "version_definitions", {"VersionDefinition": {"version_url": url}}).status_code in (400, 500)
    assert fetch(url)[0] == 0


def test_a_redirect_does_not_lead_to_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    with Server() as server:
        for target in (f"file://{tmp_path}/secret", "ftp://127.0.0.1/x", "data:,secret"):
            server.routes["/x"] = redirecting(target)
            assert "secret" not in fetch(server.url("/x"))[1].replace(target, "")
        server.routes["/large"] = always(200, b"x" * (2 << 20))
        assert len(fetch(server.url("/large"))[1]) == 1 << 20


def test_a_definition_declares_no_entities(served: Simulation) -> None:
    text = '<!DOCTYPE r [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><repository-version>&b;</repository-version>'
    body = {"VersionDefinition": {"version_base64": base64.b64encode(text.encode()).decode()}}
    address = f"{served.url}/api/v1/version_definitions"
    answer = requests.post(address, data=json.dumps(body), auth=ADMIN, headers=HEADERS, timeout=10)
    assert answer.status_code == 400
    assert "document type" in answer.text


def test_callers_of_other_networks_are_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with serve(make_world(), allowed=[IPv4Network("10.9.0.0/16")]) as simulation:
        assert b" 403 " in exchange(simulation, request)
        monkeypatch.setattr("bigtop_builder.ambari_simulator.rest.server._is_own", lambda address: False)
        assert exchange(simulation, request) == b""
    with serve(make_world(), allowed=[IPv4Network("10.9.0.0/16"), IPv4Network("127.0.0.0/8")]) as simulation:
        assert b" 403 " in exchange(simulation, request)


def test_addresses_of_this_machine() -> None:
    assert _is_own("127.0.0.1")
    assert not _is_own("192.0.2.200")


def test_a_password_of_its_own(tmp_path: Path) -> None:
    file, world = tmp_path / "password", make_world()
    file.write_text("of this bed\n")
    assert set_password(world, file) == "of this bed"
    assert world.users["admin"].password == "of this bed"
    world.users["admin"].password = "changed meanwhile"
    set_password(world, file)
    assert world.users["admin"].password == "changed meanwhile"
    for bad in (tmp_path / "none", tmp_path):
        with pytest.raises(ConfigurationError):
            set_password(world, bad)
    file.write_text("\n")
    with pytest.raises(ConfigurationError, match="empty"):
        set_password(world, file)
