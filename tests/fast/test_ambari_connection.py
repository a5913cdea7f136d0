"""The Ambari client against servers that misbehave: what is tried again, what is not, and what the user is told."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import struct
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bigtop_builder.adapter.ambari import errors
from bigtop_builder.adapter.ambari.client import Ambari
from bigtop_builder.model.errors import AmbariError, ConfigurationError, InterruptedRunError
from tests.fast.ambari_replay import Call, Server

NEW_PASSWORD = "new-S3cret"
PASSWORD = 'p"ss/w0rd&ü'
QUICK = (0.0, 0.0, 0.0)


def client(url: str, **settings: object) -> Ambari:
    return Ambari(url, "admin", PASSWORD, **{"pauses": QUICK, "timeout": 20, **settings})  # type: ignore[arg-type]


def reset(call: Call) -> None:
    """Closes so that the other side is reset."""
    call.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    call.connection.close()
    call.close_connection = True


def cut(call: Call) -> None:
    """Half a body, then the end."""
    call.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"items": [')
    call.wfile.flush()
    reset(call)


def fine(call: Call) -> None:
    call.reply(200, '{"items": []}')


def in_turn(*answers: Callable[[Call], None]) -> Callable[[Call], None]:
    """Each call gets the next answer; the last goes on for ever."""
    left = list(answers)
    return lambda call: (left.pop(0) if len(left) > 1 else left[0])(call)


@pytest.mark.parametrize("trouble", [reset, cut, lambda call: call.reply(503), lambda call: call.reply(502, "<html>")])
def test_a_read_is_tried_again(trouble: Callable[[Call], None]) -> None:
    with Server(in_turn(trouble, fine)) as server, client(server.url) as ambari:
        assert ambari.clusters() == []
        assert ambari.calls == len(server.calls) == 2


@pytest.mark.parametrize("trouble", [reset, cut])
def test_tries_have_a_bound(trouble: Callable[[Call], None]) -> None:
    with Server(trouble) as server, client(server.url) as ambari:
        with pytest.raises(errors.UnreachableError, match="was lost during GET clusters"):
            ambari.clusters()
        assert len(server.calls) == len(QUICK) + 1


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("trouble", [reset, cut, lambda call: call.reply(503)])
def test_a_change_that_was_sent_is_never_sent_again(method: str, trouble: Callable[[Call], None]) -> None:
    with Server(trouble) as server, client(server.url) as ambari:
        with pytest.raises(AmbariError) as caught:
            getattr(ambari, method.lower())("clusters/c1", {"a": 1})
        assert len(server.calls) == 1
    assert isinstance(caught.value, errors.UnavailableError) or (
        isinstance(caught.value, errors.UnreachableError)
        and caught.value.sent
        and "may have been carried out" in str(caught.value.hint)
    )


def test_a_change_that_could_not_be_sent_is_tried_again() -> None:
    """The server begins to listen between the first and a later try."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    taken.close()
    ambari = client(f"http://127.0.0.1:{port}")
    servers: list[Server] = []

    class Late(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            if not servers:
                servers.append(Server(lambda call: call.reply(201), port=port).__enter__())
            return False

    ambari.cancelled = Late()
    with ambari:
        assert ambari.post("blueprints/b", {}).status == 201
        assert len(servers[0].calls) == 1
        assert ambari.calls == 2
    servers[0].__exit__(None, None, None)


def test_a_refused_connection_is_told_with_its_hint() -> None:
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    taken.close()
    with client(f"http://127.0.0.1:{port}") as ambari:
        with pytest.raises(errors.UnreachableError, match="Connection refused") as caught:
            ambari.post("blueprints/b", {})
        assert not caught.value.sent
        assert "is the Ambari server running" in (caught.value.hint or "")
        assert ambari.calls == len(QUICK) + 1


def test_an_unknown_name_is_told_at_once() -> None:
    with client("http://nowhere.invalid:8080") as ambari:
        with pytest.raises(errors.UnreachableError, match=r"cannot resolve the name nowhere\.invalid"):
            ambari.clusters()
        assert ambari.calls == 1


def test_a_kept_connection_that_the_server_closed_does_not_harm_a_change() -> None:
    def once(call: Call) -> None:
        call.reply(200, '{"items": []}')
        # Without saying so: the client still takes the connection for open.
        call.close_connection = True

    with Server(once) as server, client(server.url) as ambari:
        for _ in range(5):
            ambari.clusters()
            ambari.put("clusters/c1", {})
        assert len(server.calls) == 10


def test_a_silent_server_runs_into_the_time_limit() -> None:
    silent = threading.Event()

    def respond(call: Call) -> None:
        silent.wait(30)

    with Server(respond) as server, client(server.url, timeout=0.3) as ambari:
        with pytest.raises(errors.NoAnswerError):
            ambari.clusters()
        assert len(server.calls) == 2, "a read is tried once more after its time limit"
        with pytest.raises(errors.NoAnswerError) as caught:
            ambari.post("clusters/c1", {})
        assert caught.value.sent
        assert len(server.calls) == 3
        silent.set()


def test_a_server_that_drips_runs_into_the_time_limit() -> None:
    end = threading.Event()

    def drip(call: Call) -> None:
        call.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not end.wait(0.05):
            try:
                call.wfile.write(b" ")
            except OSError:
                return

    with Server(drip) as server, client(server.url, timeout=0.4, pauses=()) as ambari:
        with pytest.raises(errors.NoAnswerError):
            ambari.clusters()
        end.set()


def test_a_wait_ends_when_the_run_is_stopped() -> None:
    cancelled, end = threading.Event(), threading.Event()

    def respond(call: Call) -> None:
        cancelled.set()
        end.wait(30)

    with Server(respond) as server, client(server.url, cancelled=cancelled) as ambari:
        with pytest.raises(InterruptedRunError):
            ambari.clusters()
        with pytest.raises(InterruptedRunError):
            ambari.post("clusters/c1", {})
        assert len(server.calls) == 1
        end.set()


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ("<html>Welcome</html>", {}),
        ("42", {}),
        ('{"items": [', {}),
        (b"\xff\xfe\x00garbage", {}),
        (b"no gzip at all", {"Content_Encoding": "gzip"}),
    ],
)
def test_what_is_not_ambaris_is_told(body: bytes | str, headers: dict[str, str]) -> None:
    with Server(lambda call: call.reply(200, body, **headers)) as server, client(server.url) as ambari:
        with pytest.raises(errors.UnexpectedAnswerError) as caught:
            ambari.clusters()
        assert "ambari.url" in (caught.value.hint or "")


def test_a_redirect_is_not_followed() -> None:
    def login(call: Call) -> None:
        call.reply(302, Location="https://sso.example.com/login?token=abcd1234")

    with Server(login) as server, client(server.url) as ambari:
        with pytest.raises(
            errors.UnexpectedAnswerError, match=r"redirect to https://sso\.example\.com/login"
        ) as caught:
            ambari.post("clusters/c1", {"Clusters": {}})
        assert "abcd1234" not in str(caught.value)
        assert len(server.calls) == 1


def test_gzip_is_understood() -> None:
    def packed(call: Call) -> None:
        assert "gzip" in call.headers["Accept-Encoding"]
        data = {"items": [{"Clusters": {"cluster_name": "c1"}}]}
        call.reply(200, gzip.compress(json.dumps(data).encode()), Content_Encoding="gzip")

    with Server(packed) as server, client(server.url) as ambari:
        assert ambari.clusters() == ["c1"]


def test_a_plain_text_refusal_is_shown_and_a_page_of_html_is_not() -> None:
    answers = in_turn(
        lambda call: call.reply(400, "Request body is not correct"), lambda call: call.reply(404, "<html>no</html>")
    )
    with Server(answers) as server, client(server.url) as ambari:
        with pytest.raises(errors.InvalidRequestError, match="Request body is not correct"):
            ambari.get("a")
        with pytest.raises(errors.NotFoundError, match="no explanation") as caught:
            ambari.get("b")
        assert "ambari.url" in (caught.value.hint or "")


def test_what_is_missing_is_told_apart_from_an_address_that_is_none() -> None:
    missing = json.dumps({"status": 404, "message": "The requested resource doesn't exist: Cluster not found"})
    answers = in_turn(lambda call: call.reply(404, missing), lambda call: call.reply(404))
    with Server(answers) as server, client(server.url) as ambari:
        assert ambari.cluster("c1") is None
        with pytest.raises(errors.NotFoundError) as caught:
            ambari.cluster("c1")
        assert "ambari.url" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("status", "message", "expected", "hint"),
    [
        (401, "", errors.AuthenticationError, ""),
        (403, "", errors.PermissionDeniedError, ""),
        (403, "Too many authentication failures", errors.AuthenticationError, "unlock"),
        (403, "The account is disabled", errors.AuthenticationError, "activate"),
        (500, "An internal system exception occurred: Could not locate NON_ROLLING upgrade pack for stack BIGTOP-3.2.0",
         errors.InvalidRequestError, "BIGTOP ships none"),
        (409, "Base url http://x is already defined for another repository version", errors.ConflictError, "its own"),
        (500, "Repository version can't be deleted as it is used by the following hosts", errors.InUseError, "still"),
        (500, "Internal server error, please refer the exception by 31b7ebb0-6544-444a-ac0a-6ebb735d9399 in the server "
         "log file", errors.ServerError, "31b7ebb0-6544-444a-ac0a-6ebb735d9399 in /var/log/ambari-server"),
        (500, "something new", errors.ServerError, "/var/log/ambari-server"),
        (418, "something new", errors.InvalidRequestError, ""),
        (503, "", errors.UnavailableError, "try again"),
    ],
)  # fmt: skip
def test_causes_that_were_not_recorded(status: int, message: str, expected: type[AmbariError], hint: str) -> None:
    answer = json.dumps({"status": status, "message": message})
    with Server(lambda call: call.reply(status, answer)) as server, client(server.url, pauses=()) as ambari:
        with pytest.raises(expected) as caught:
            ambari.post("x", {})
        assert type(caught.value) is expected
        assert hint in (caught.value.hint or "")


def test_many_threads_may_call_at_once() -> None:
    with Server(fine) as server, client(server.url) as ambari:
        threads = [threading.Thread(target=lambda: [ambari.clusters() for _ in range(10)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ambari.calls == len(server.calls) == 80


def test_a_cookie_is_never_sent_back() -> None:
    def with_cookie(call: Call) -> None:
        call.reply(200, '{"items": []}', Set_Cookie="AMBARISESSIONID=node0abc;Path=/;HttpOnly")

    with Server(with_cookie) as server, client(server.url) as ambari:
        ambari.clusters()
        ambari.clusters()
        ambari.put("clusters/c1", {})
        assert [call.headers["Cookie"] for call in server.calls] == [None] * 3


def test_proxies_of_the_environment_are_not_used_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with Server(fine) as server, client(server.url) as ambari:
        assert ambari.clusters() == []


def test_a_proxy_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with client("http://ambari.example.com:8080") as ambari:
        with pytest.raises(errors.UnreachableError, match="proxy") as caught:
            ambari.clusters()
        assert "NO_PROXY" in (caught.value.hint or "")


def test_a_long_predicate_goes_in_the_body() -> None:
    hosts = [f"node{number:04}.example.com" for number in range(1000)]

    def respond(call: Call) -> None:
        assert call.command == "POST"
        assert call.headers["X-Http-Method-Override"] == "GET"
        assert call.query == ""
        query = json.loads(call.sent)["RequestInfo"]["query"]
        assert query.startswith("Hosts/host_name.in(node0000.example.com,")
        assert "fields=Hosts/host_state" in query
        reset(call) if len(server.calls) == 1 else call.reply(200, '{"items": []}')

    with Server(respond) as server, client(server.url) as ambari:
        ambari.get("hosts", query=f"Hosts/host_name.in({','.join(hosts)})", fields="Hosts/host_state")
        assert len(server.calls) == 2, "it is a read, and tried again as one"


def test_pages_are_read_one_at_a_time() -> None:
    count = 2345

    def respond(call: Call) -> None:
        asked = dict(term.split("=") for term in call.query.split("&") if "=" in term)
        begin, size = int(asked["from"]), int(asked["page_size"])
        page = [{"Hosts": {"host_name": f"n{number:05}"}} for number in range(begin, min(begin + size, count))]
        call.reply(200, json.dumps({"itemTotal": str(count), "items": page}))

    with Server(respond) as server, client(server.url) as ambari:
        items = ambari.items("hosts", page_size=500)
        assert next(items)["Hosts"]["host_name"] == "n00000"
        assert len(server.calls) == 1
        assert sum(1 for _ in items) == count - 1
        assert len(server.calls) == 5


def test_lists_of_one_may_come_as_the_object_itself() -> None:
    answer = '{"items": {"Clusters": {"cluster_name": "c1"}}}'
    with Server(lambda call: call.reply(200, answer)) as server, client(server.url) as ambari:
        assert ambari.clusters() == ["c1"]


def test_a_deletion_that_failed_in_part_is_an_error() -> None:
    result = {
        "deleteResult": [
            {"deleted": {"key": "n1"}},
            {"error": {"key": "n2", "code": 500, "message": "Cannot remove host: not in the removable state"}},
        ]
    }
    with (
        Server(lambda call: call.reply(200, json.dumps(result))) as server,
        client(server.url) as ambari,
        pytest.raises(errors.InUseError, match="n2: Cannot remove host"),
    ):
        ambari.delete("hosts", query="Hosts/host_name.in(n1,n2)")


def test_what_names_hold_does_not_reach_another_address() -> None:
    with Server(lambda call: call.reply(404, '{"message": "Host not found"}')) as server, client(server.url) as ambari:
        assert ambari.host("../clusters/c1?a=b#c") is None
        assert server.calls[0].path.startswith("/api/v1/hosts/..%2Fclusters%2Fc1%3Fa%3Db%23c?")


def test_no_error_shows_a_secret() -> None:
    """The server repeats everything that it was sent, in each kind of refusal."""
    secrets = [PASSWORD, "hive-S3cret", "kdc-S3cret", NEW_PASSWORD]

    def echo(call: Call) -> None:
        received = f"{call.headers['Authorization']} {PASSWORD} {call.sent.decode()} {json.loads(call.sent or b'{}')}"
        call.reply(400, json.dumps({"status": 400, "message": received}))

    template = {
        "default_password": "hive-S3cret",
        "credentials": [{"alias": "kdc.admin.credential", "key": "kdc-S3cret"}],
        "configurations": [{"hive-site": {"properties": {"javax.jdo.option.ConnectionPassword": "hive-S3cret"}}}],
    }
    calls: list[Callable[[Ambari], object]] = [
        lambda ambari: ambari.create_cluster("c1", template),
        lambda ambari: ambari.change_password(PASSWORD, NEW_PASSWORD),
        lambda ambari: ambari.check_password("admin", NEW_PASSWORD),
        lambda ambari: ambari.clusters(),
    ]
    with Server(echo) as server, client(server.url) as ambari:
        assert PASSWORD not in repr(ambari)
        for call in calls:
            with pytest.raises(AmbariError) as caught:
                call(ambari)
            assert "***" in str(caught.value)
            told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(vars(caught.value))
            for secret in secrets:
                assert secret not in told
                assert json.dumps(secret)[1:-1] not in told


@pytest.mark.parametrize("url", ["http://admin:S3cret@ambari:8080", "ftp://ambari", "ambari:8080", ""])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        client(url)
    assert "S3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "message", "accepted"),
    [
        (200, "", True),
        (403, "Unable to sign in. Invalid username/password combination.", False),
        (403, "You do not have permissions to access this resource.", True),
    ],
)
def test_a_password_is_checked_without_a_session(status: int, message: str, accepted: bool) -> None:
    body = json.dumps({"status": status, "message": message})
    with Server(lambda call: call.reply(status, body)) as server, client(server.url) as ambari:
        assert ambari.check_password("admin", "other") is accepted


def test_a_changed_password_is_used_from_then_on() -> None:
    with Server(lambda call: call.reply(200)) as server, client(server.url) as ambari:
        ambari.change_password("admin", "new")
        ambari.put("clusters/c1", {})
        first, second = (call.headers["Authorization"] for call in server.calls)
        assert first != second
        assert json.loads(server.calls[0].sent)["Users"]["old_password"] == "admin"


def test_a_starting_server_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bigtop_builder.adapter.ambari.server.READY_POLL", 0.0)
    refused = json.dumps({"status": 403, "message": "Unable to sign in."})
    answers = in_turn(
        reset, lambda call: call.reply(503), lambda call: call.reply(403, refused), lambda call: call.reply(500), fine
    )
    with Server(answers) as server, client(server.url, pauses=()) as ambari:
        ambari.wait_ready(60)
        assert len(server.calls) == 5
    with (
        Server(lambda call: call.reply(503)) as server,
        client(server.url, pauses=()) as ambari,
        pytest.raises(AmbariError, match="not ready within 0 s"),
    ):
        ambari.wait_ready(0)


def test_a_cluster_with_open_requests_is_not_deleted() -> None:
    """The server would take it and then carry out no request of any cluster any more."""
    request = {"id": 6, "request_context": "Start components on host n1", "request_status": "PENDING", "task_count": 1}

    def respond(call: Call) -> None:
        assert call.command == "GET"
        call.reply(200, json.dumps({"items": [{"Requests": request}]}))

    with Server(respond) as server, client(server.url) as ambari:
        with pytest.raises(AmbariError, match=r"unfinished requests: 6 \(Start components on host n1\)") as caught:
            ambari.delete_cluster("c1")
        assert "abort" in (caught.value.hint or "")


def test_a_host_that_is_half_removed_is_removed_again() -> None:
    broken = json.dumps({"status": 500, "message": "Object: null is not a known Entity type."})
    gone = json.dumps({"status": 404, "message": "The specified resource doesn't exist: Host not found"})
    answers = in_turn(lambda call: call.reply(500, broken), lambda call: call.reply(404, gone))
    with Server(answers) as server, client(server.url) as ambari:
        ambari.delete_host("c1", "n1")
        assert [call.command for call in server.calls] == ["DELETE", "DELETE"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Certificates that sign themselves, each with its key: ``good.pem`` for 127.0.0.1, ``other.pem`` for another name,
    ``old.pem`` and ``early.pem``, which are not valid today."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder = tmp_path_factory.mktemp("certificates")
    now = datetime.now(UTC)
    here, other = x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("other.example.com")
    today = (now - timedelta(days=1), now + timedelta(days=1))
    kinds = {
        "good": (here, *today),
        "other": (other, *today),
        "old": (here, datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 2, 3, tzinfo=UTC)),
        "early": (here, datetime(2121, 2, 3, tzinfo=UTC), datetime(2122, 2, 3, tzinfo=UTC)),
    }
    for name, (alternative, first, last) in kinds.items():
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(first)
            .not_valid_after(last)
            .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        (folder / f"{name}.pem").write_bytes(pem)
        (folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    yield folder


def tls(folder: Path, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return context


def test_https_with_the_authority_given(certificates: Path) -> None:
    with (
        Server(fine, tls(certificates, "good")) as server,
        client(server.url, ca=certificates / "good.pem") as ambari,
    ):
        assert ambari.clusters() == []


def test_https_with_the_authority_of_the_environment(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates / "good.pem"))
    with Server(fine, tls(certificates, "good")) as server, client(server.url) as ambari:
        assert ambari.clusters() == []


def test_a_certificate_that_is_not_trusted(certificates: Path) -> None:
    with Server(fine, tls(certificates, "good")) as server, client(server.url) as ambari:
        with pytest.raises(errors.CertificateError, match="is not trusted") as caught:
            ambari.clusters()
        assert "ambari.ca" in (caught.value.hint or "")
        assert ambari.calls == 1
        assert not server.calls


def test_a_certificate_of_another_name(certificates: Path) -> None:
    with (
        Server(fine, tls(certificates, "other")) as server,
        client(server.url, ca=certificates / "other.pem") as ambari,
        pytest.raises(errors.CertificateError, match="is for another name"),
    ):
        ambari.clusters()


@pytest.mark.parametrize(("name", "said"), [("old", "expired on 2021-02-03"), ("early", "only valid from 2121-02-03")])
def test_a_certificate_that_is_not_valid_today(certificates: Path, name: str, said: str) -> None:
    with Server(fine, tls(certificates, name)) as server, client(server.url, ca=certificates / f"{name}.pem") as ambari:
        with pytest.raises(errors.CertificateError, match=f"the certificate of 127.0.0.1:.* {said}") as caught:
            ambari.clusters()
        assert "renew it" in (caught.value.hint or "")
        assert not server.calls


def test_plain_http_to_a_server_of_https(certificates: Path) -> None:
    with Server(fine, tls(certificates, "good")) as server, client(server.url.replace("https", "http")) as ambari:
        with pytest.raises(errors.UnreachableError) as caught:
            ambari.clusters()
        assert "https" in (caught.value.hint or "")


def test_https_to_a_server_of_plain_http() -> None:
    with Server(fine) as server, client(server.url.replace("http", "https")) as ambari:
        with pytest.raises(errors.UnreachableError, match="uses plain HTTP") as caught:
            ambari.clusters()
        assert "to http://127.0.0.1" in (caught.value.hint or "")


def test_an_authority_that_is_not_there_or_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"ambari\.ca"):
        client("https://ambari:8443", ca=tmp_path / "none.pem")
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate")
    with pytest.raises(ConfigurationError, match=r"empty\.pem: it contains no certificate"):
        client("https://ambari:8443", ca=empty)
