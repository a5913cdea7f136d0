"""SSH without a server: host keys, credentials, what goes over the line, bounds of a fleet."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bigtop_builder.adapter.secret import Secrets
from bigtop_builder.adapter.ssh import Fleet
from bigtop_builder.adapter.ssh.access import keep_key
from bigtop_builder.adapter.ssh.command import BOOTSTRAP, MARK, command_line
from bigtop_builder.adapter.ssh.known_hosts import KnownHosts, fingerprint, host_id
from bigtop_builder.adapter.ssh.remote import Remote
from bigtop_builder.model.errors import ConfigurationError, HostError, InterruptedRunError, UnreachableHostError
from bigtop_builder.model.login import Login, Ssh
from bigtop_builder.recipe.inventory import HostEntry

KIND = "ssh-ed25519"
OURS, OTHER = (base64.b64decode(text) for text in ("b3Vycw==", "b3RoZXI="))


def line(names: str, key: bytes = OURS, kind: str = KIND) -> str:
    return f"{names} {kind} {base64.b64encode(key).decode()}\n"


def known(path: Path, text: str) -> KnownHosts:
    path.write_text(text)
    return KnownHosts(path, "strict")


@pytest.mark.parametrize(
    ("names", "name"),
    [
        ("node1.example.com", "node1.example.com"),
        ("NODE1.example.com,10.0.0.1", "node1.example.com"),
        ("[10.0.0.1]:2222", "[10.0.0.1]:2222"),
        ("*.example.com", "node1.example.com"),
        ("node?.example.com,!node2.example.com", "node1.example.com"),
    ],
)
def test_known_names(tmp_path: Path, names: str, name: str) -> None:
    hosts = known(tmp_path / "known", "# comment\n\nnonsense\n" + line(names))
    hosts.check(name, KIND, OURS)
    assert hosts.kinds(name) == [KIND]
    with pytest.raises(UnreachableHostError, match=r"known:4 has"):
        hosts.check(name, KIND, OTHER)


def test_names_that_are_not_meant(tmp_path: Path) -> None:
    hosts = known(tmp_path / "known", line("node?.example.com,!node2.example.com") + line("[10.0.0.1]:2222"))
    for name in ("node2.example.com", "node12.example.com", "10.0.0.1"):
        with pytest.raises(UnreachableHostError, match="is not in"):
            hosts.check(name, KIND, OURS)


def test_hashed_names_as_openssh_writes_them(tmp_path: Path) -> None:
    key = base64.b64decode(keep_key(tmp_path / "key", "").split()[1])
    path = tmp_path / "known"
    path.write_text(line("node1.example.com", key) + line("[node2.example.com]:2222", key))
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(path)], check=True, capture_output=True)
    hosts = KnownHosts(path, "strict")
    hosts.check("node1.example.com", KIND, key)
    hosts.check("[node2.example.com]:2222", KIND, key)
    with pytest.raises(UnreachableHostError, match="is not in"):
        hosts.check("node2.example.com", KIND, key)


def test_a_key_of_another_type_is_a_changed_key(tmp_path: Path) -> None:
    hosts = known(tmp_path / "known", line("node1", OURS, "ssh-rsa"))
    with pytest.raises(UnreachableHostError, match="has changed"):
        hosts.check("node1", KIND, OTHER)


def test_a_revoked_key(tmp_path: Path) -> None:
    hosts = known(tmp_path / "known", line("node1") + "@revoked " + line("*"))
    with pytest.raises(UnreachableHostError, match=r"revoked: .*known:2"):
        hosts.check("node1", KIND, OURS)


def test_first_keys_are_noted_behind_what_others_wrote(tmp_path: Path) -> None:
    path = tmp_path / "ssh" / "known"
    hosts = KnownHosts(path, "accept-new")
    hosts.check("node1", KIND, OURS)
    with path.open("a") as stream:
        stream.write(line("node2").rstrip("\n"))
    threads = [threading.Thread(target=hosts.check, args=(f"[node{n}]:2222", KIND, OURS)) for n in range(3, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    hosts.check("node2", KIND, OURS)
    names = [text.split()[0] for text in path.read_text().splitlines()]
    assert names[:2] == ["node1", "node2"]
    assert sorted(names[2:]) == [f"[node{n}]:2222" for n in range(3, 9)]
    with pytest.raises(UnreachableHostError, match="has changed"):
        hosts.check("node1", KIND, OTHER)


def test_host_id_and_fingerprint(tmp_path: Path) -> None:
    assert host_id("Node1.Example.com", 22) == "node1.example.com"
    assert host_id("10.0.0.1", 2222) == "[10.0.0.1]:2222"
    public = keep_key(tmp_path / "key", "")
    (tmp_path / "key.pub").write_text(public)
    shown = subprocess.run(
        ["ssh-keygen", "-lf", str(tmp_path / "key.pub")], check=True, capture_output=True, text=True
    ).stdout
    assert fingerprint(base64.b64decode(public.split()[1])) == shown.split()[1]


def bootstrap(script: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    head = f"a password nobody asked for\n{MARK}{len(script.encode())}\n".encode()
    return subprocess.run(
        ["bash", "-c", BOOTSTRAP], input=head + script.encode() + stdin, capture_output=True, check=False
    )


def test_the_bootstrap_takes_exactly_the_script() -> None:
    done = bootstrap("read -r one\necho \"[$one] ü\"\ncat <<'E'\n$x\nE\ncat; exit 5\n\n", b"first\nrest\n\n")
    mark, _, rest = done.stdout.partition(b"\n")
    assert int(mark.removeprefix(MARK.encode())) > 1
    assert rest.decode() == "[first] ü\n$x\nrest\n\n"
    assert (done.returncode, done.stderr) == (5, b"")


def test_a_script_that_does_not_arrive() -> None:
    done = subprocess.run(["bash", "-c", BOOTSTRAP], input=b"", capture_output=True, check=False)
    assert done.returncode == 97


def test_command_lines() -> None:
    assert command_line(Ssh(), None).startswith("bash -c ")
    assert command_line(Ssh(), "root").startswith("bash -c ")
    assert command_line(Ssh(), "hdfs").startswith("runuser -s /bin/bash -l hdfs -c ")
    assert command_line(Ssh(user="ops", sudo=True), None).startswith("sudo -n -H -- bash -c ")
    password = Ssh(user="ops", sudo=True, sudo_password="env:SUDO")
    assert command_line(password, "hdfs").split(" -c ")[0].endswith("-H -- runuser -s /bin/bash -l hdfs")
    assert " -S -p " in command_line(password, None)


def test_credentials_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / "broken").write_text("no key\n")
    keep_key(tmp_path / "good", "")
    (tmp_path / "good").chmod(0o600)

    def fleet(**ssh: object) -> Fleet:
        return Fleet(Ssh.model_validate(ssh), [HostEntry("n1.x.test", "127.0.0.1", 22)], Secrets(), threading.Event())

    with pytest.raises(ConfigurationError, match="no key, no running agent and no password"):
        fleet()
    with pytest.raises(ConfigurationError, match=r"absent cannot be read: No such file"):
        fleet(key=str(tmp_path / "absent"))
    with pytest.raises(ConfigurationError, match="is not a usable private key"):
        fleet(key=str(tmp_path / "broken"))
    (tmp_path / "locked").write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.BestAvailableEncryption(b"right"),
        )
    )
    monkeypatch.setenv("WRONG", "wrong")
    with pytest.raises(ConfigurationError, match=r"is not a usable private key, or the passphrase is wrong$"):
        fleet(key=str(tmp_path / "locked"), key_passphrase="env:WRONG")
    monkeypatch.setenv("NEEDLESS", "passphrase")
    fleet(key=str(tmp_path / "good"), key_passphrase="env:NEEDLESS").close()


def entries(count: int) -> list[HostEntry]:
    return [HostEntry(f"node{number}", "127.0.0.1", 1) for number in range(count)]


def over(tmp_path: Path, count: int, **ssh: object) -> Fleet:
    keep_key(tmp_path / "key", "")
    settings = {"key": str(tmp_path / "key"), "known_hosts": str(tmp_path / "known"), "agent": False} | ssh
    return Fleet(Ssh.model_validate(settings), entries(count), Secrets(), threading.Event())


def test_hosts_have_logins_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWN", "secret of node1")
    hosts = [
        HostEntry("node0", "127.0.0.1", 1),
        HostEntry("node1", "127.0.0.1", 1, login=Login(user="ops", password="env:OWN"), given=(("user", "groups.g"),)),
    ]
    keep_key(tmp_path / "key", "")
    with Fleet(Ssh(key=str(tmp_path / "key"), agent=False), hosts, Secrets(), threading.Event()) as fleet:
        for name, user in (("node0", "root"), ("node1", "ops")):
            with pytest.raises(UnreachableHostError, match=f"{user}@127.0.0.1:1"):
                fleet.remote(name).run("true")
    broken = HostEntry("node2", "127.0.0.1", 1, login=Login(key=str(tmp_path / "no")), given=(("key", "groups.g"),))
    with pytest.raises(ConfigurationError, match=r"groups\.g\.key: .*/no cannot be read"):
        Fleet(Ssh(), [broken], Secrets(), threading.Event())


def test_work_is_bounded_and_a_host_s_error_is_its_result(tmp_path: Path) -> None:
    at_once, most = set[str](), []
    gate = threading.Barrier(3)

    def work(remote: Remote) -> str:
        at_once.add(remote.name)
        gate.wait(10)
        most.append(len(at_once))
        gate.wait(10)
        at_once.discard(remote.name)
        if remote.name == "node4":
            raise HostError("not this one")
        return remote.name

    with over(tmp_path, 9, parallel=3) as fleet:
        results = fleet.each(work)
    assert list(results) == [f"node{number}" for number in range(9)]
    assert isinstance(results.pop("node4"), HostError)
    assert all(name == result for name, result in results.items())
    assert max(most) <= 3


def test_a_defect_ends_the_whole(tmp_path: Path) -> None:
    with over(tmp_path, 4, parallel=1) as fleet, pytest.raises(ZeroDivisionError):
        fleet.each(lambda remote: 1 // 0)


def test_a_cancellation_ends_the_whole(tmp_path: Path) -> None:
    never = threading.Event()
    with over(tmp_path, 2) as fleet:
        threading.Timer(0.1, fleet.cancelled.set).start()
        with pytest.raises(InterruptedRunError):
            fleet.each(lambda remote: never.wait(5))
    never.set()


def test_a_refused_connection_and_a_server_that_is_none(tmp_path: Path) -> None:
    import socket

    with over(tmp_path, 1) as fleet, pytest.raises(UnreachableHostError, match="refused"):
        fleet.remote("node0").run("true")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            server.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        keep_key(tmp_path / "key", "")
        ssh = Ssh(key=str(tmp_path / "key"), known_hosts=os.devnull, agent=False)
        entry = HostEntry("node0", "127.0.0.1", server.getsockname()[1])
        with (
            Fleet(ssh, [entry], Secrets(), threading.Event()) as fleet,
            pytest.raises(UnreachableHostError, match="was lost during the log-in"),
        ):
            fleet.remote("node0").run("true")
        thread.join()


def test_a_jump_host_that_cannot_be_reached_is_tried_once(tmp_path: Path) -> None:
    import socket

    accepted = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)

        def hang_up() -> None:
            while True:
                try:
                    line = server.accept()[0]
                except OSError:
                    return
                accepted.append(line.getpeername())
                line.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with over(tmp_path, 5, jump={"host": "127.0.0.1", "port": server.getsockname()[1]}) as fleet:
            results = fleet.each(lambda remote: remote.run("true").stdout)
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert {str(result).split(" root@")[0] for result in results.values()} == {"the jump host"}
    assert len(accepted) == 1


@pytest.mark.parametrize(("missing", "shown"), [(0, "ümlaut\nrest ü\n"), (1, "")])
def test_a_script_runs_whole_or_not_at_all(missing: int, shown: str) -> None:
    """Its length is in bytes, whatever the locale; what follows it is its own input."""
    script = "echo ümlaut\ncat\n".encode()
    stdin = f"{MARK}{len(script) + missing}\n".encode() + script + ("rest ü\n".encode() if not missing else b"")
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    done = subprocess.run(["bash", "-c", BOOTSTRAP], input=stdin, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout.decode().partition("\n")[2]) == (97 if missing else 0, shown)
