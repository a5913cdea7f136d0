"""SSH against real sshd servers in containers: keys, jump host, sudo, broken lines, big data, secrets."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest

from bigtop_builder.adapter.containers.image_record import ImageRecord
from bigtop_builder.adapter.secret import Secrets
from bigtop_builder.adapter.ssh import Fleet, Remote
from bigtop_builder.adapter.ssh.access import keep_key
from bigtop_builder.hosts.facts import HostFacts, Wanted
from bigtop_builder.model.errors import (
    ConfigurationError,
    HostError,
    HostLimitError,
    InterruptedRunError,
    UnreachableHostError,
)
from bigtop_builder.model.login import Login, Ssh
from bigtop_builder.recipe.inventory import HostEntry

NAMES = ("node1", "node2", "jump")
PASSWORD = "Pass word'\"$1"
START = """set -e
mkdir -p /run/sshd /root/.ssh
useradd --create-home --shell /bin/bash ops
mkdir /home/ops/.ssh
printf '%s\\n' "$KEYS" | tee /root/.ssh/authorized_keys > /home/ops/.ssh/authorized_keys
chown -R ops /home/ops/.ssh
chmod 700 /root/.ssh /home/ops/.ssh
printf '%s\\n' "root:$PASSWORD" "ops:$PASSWORD" | chpasswd
unset KEYS PASSWORD
rm -f /etc/ssh/ssh_host_*
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
exec /usr/sbin/sshd -D -e -o PermitRootLogin=yes -o PasswordAuthentication=yes -o HostKey=/etc/ssh/ssh_host_ed25519_key
"""


@dataclass
class Lab:
    """Three hosts, their keys, and fleets over them."""

    folder: Path
    containers: dict[str, Any]
    addresses: dict[str, str]
    key: Path
    secrets: Secrets = field(default_factory=Secrets)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def fleet(self, *names: str, by_name: bool = False, **ssh: Any) -> Fleet:
        """``ssh``: what differs from a key and a known_hosts file of the test's own."""
        settings: dict[str, Any] = {
            "key": str(self.key),
            "known_hosts": str(self.folder / "known_hosts"),
            "host_keys": "accept-new",
            "agent": False,
            "connect_timeout": "10s",
            "command_timeout": "60s",
        } | ssh
        entries = [
            HostEntry(name, f"{name}.ssh.test" if by_name else self.addresses[name], 22) for name in names or ("node1",)
        ]
        return Fleet(Ssh(**settings), entries, self.secrets, self.cancelled)

    def inside(self, name: str, script: str) -> str:
        done = self.containers[name].exec_run(["bash", "-c", script])
        return str(done.output.decode())

    def runs(self, name: str, word: str) -> bool:
        """Whether a process with this word in its arguments runs on a host."""
        return bool(self.inside(name, f"ps -eo args | grep -v 'grep\\|bash -c ps' | grep -- '{word}' || true").strip())

    def gone(self, name: str, word: str) -> bool:
        return any(_pause(not self.runs(name, word)) for _ in range(50))


def _pause(outcome: bool) -> bool:
    if not outcome:
        time.sleep(0.1)
    return outcome


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory, host: ImageRecord) -> Iterator[tuple[Path, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("keys")
    public = keep_key(folder / "key", "test")
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "open sesame", "-f", str(folder / "locked")], check=True
    )
    keys = f"{public}\n{(folder / 'locked.pub').read_text()}"
    client = docker.from_env()
    suffix = os.getpid()
    name_of_network = f"bigtop-builder-test-ssh-{suffix}"
    network = client.networks.create(name_of_network)
    made = {}
    try:
        for name in NAMES:
            made[name] = client.containers.create(
                host.id,
                ["bash", "-c", START],
                name=f"bigtop-builder-test-ssh-{name}-{suffix}",
                hostname=f"{name}.ssh.test",
                environment={"KEYS": keys, "PASSWORD": PASSWORD},
                network=name_of_network,
                networking_config={
                    name_of_network: client.api.create_endpoint_config(aliases=[f"{name}.ssh.test"]),
                },
            )
            made[name].start()
        for container in made.values():
            _await_sshd(container)
        yield folder, made
    finally:
        for container in made.values():
            container.remove(force=True, v=True)
        network.remove()
        client.close()


def _await_sshd(container: Any) -> None:
    for _ in range(200):
        if b"Server listening" in container.logs():
            container.reload()
            return
        time.sleep(0.1)
    raise AssertionError(container.logs().decode())


@pytest.fixture
def lab(machines: tuple[Path, dict[str, Any]], tmp_path: Path) -> Lab:
    keys, containers = machines
    addresses = {}
    for name, container in containers.items():
        networks = container.attrs["NetworkSettings"]["Networks"]
        addresses[name] = next(iter(networks.values()))["IPAddress"]
    return Lab(tmp_path, containers, addresses, keys / "key")


def ask(remote: Remote) -> str:
    return remote.run("echo hello; hostname -f").stdout


def test_script_input_output_and_exit_code(lab: Lab) -> None:
    with lab.fleet() as fleet:
        script = 'read -r first; echo "got $first"; cat; echo \'to "err"\' >&2; exit 7'
        output = fleet.remote("node1").run(script, stdin=b"one\ntwo\n")
    assert (output.code, output.stdout, output.stderr) == (7, "got one\ntwo\n", 'to "err"\n')


def test_one_connection_for_all_round_trips(lab: Lab) -> None:
    with lab.fleet() as fleet:
        remote = fleet.remote("node1")
        first, second = (remote.run("echo $SSH_CONNECTION").stdout for _ in range(2))
        assert fleet.round_trips == 2
    assert first == second != "\n"


def test_twenty_megabytes_both_ways(lab: Lab) -> None:
    data = os.urandom(1 << 20).hex().encode() * 10
    with lab.fleet() as fleet:
        output = fleet.remote("node1").run("tee >(sha256sum >&2); wait $!", stdin=data)
    assert len(output.stdout) == 20 << 20
    assert hashlib.sha256(output.stdout.encode()).hexdigest() == hashlib.sha256(data).hexdigest()
    assert output.stderr.split()[0] == hashlib.sha256(data).hexdigest()


def test_input_that_nobody_reads(lab: Lab) -> None:
    with lab.fleet() as fleet:
        assert fleet.remote("node1").run("exit 4", stdin=bytes(8 << 20)).code == 4


def test_a_daemon_that_keeps_the_output_open_holds_nobody_up(lab: Lab) -> None:
    with lab.fleet() as fleet:
        assert fleet.remote("node1").run("sleep 567 & echo started", timeout=30).stdout == "started\n"
    assert lab.runs("node1", "sleep 567")
    lab.inside("node1", "kill $(ps -eo pid,args | awk '/sleep 567/ && !/awk/ {print $1}')")


def test_what_a_login_shell_says_is_no_output(lab: Lab) -> None:
    lab.inside("node1", "cp /root/.bashrc /root/.bashrc.kept; sed -i '1i echo welcome; echo to you >&2' /root/.bashrc")
    try:
        with lab.fleet() as fleet:
            assert fleet.remote("node1").run("echo x").stdout == "x\n"
    finally:
        lab.inside("node1", "mv /root/.bashrc.kept /root/.bashrc")


def test_another_user(lab: Lab) -> None:
    with lab.fleet() as fleet:
        output = fleet.remote("node1").run("id -un; echo $HOME; cat", stdin=b"in", user="ops")
        assert output.stdout == "ops\n/home/ops\nin"
        with pytest.raises(HostError, match="nobody-here"):
            fleet.remote("node1").run("id", user="nobody-here")


def test_a_key_with_a_passphrase(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = str(lab.key.parent / "locked")
    monkeypatch.setenv("PHRASE", "open sesame")
    with lab.fleet(key=locked, key_passphrase="env:PHRASE") as fleet:
        assert ask(fleet.remote("node1")) == "hello\nnode1.ssh.test\n"
    with pytest.raises(ConfigurationError, match="needs a passphrase"):
        lab.fleet(key=locked)
    monkeypatch.setenv("WRONG", "close sesame")
    with pytest.raises(ConfigurationError, match="passphrase is wrong"):
        lab.fleet(key=locked, key_passphrase="env:WRONG")


def test_a_running_agent(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    socket = str(lab.folder / "agent")
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", socket)
        assert any(_pause(Path(socket).exists()) for _ in range(50))
        subprocess.run(["ssh-add", "-q", str(lab.key)], check=True)
        monkeypatch.setenv("HOME", str(lab.folder))
        with lab.fleet(key=None, agent=True) as fleet:
            assert ask(fleet.remote("node1")) == "hello\nnode1.ssh.test\n"
    finally:
        agent.terminate()
        agent.wait()


def test_password(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGIN", PASSWORD)
    with lab.fleet(key=None, password="env:LOGIN") as fleet:
        assert ask(fleet.remote("node1")) == "hello\nnode1.ssh.test\n"
    monkeypatch.setenv("MISTAKEN", "something else")
    with lab.fleet(key=None, password="env:MISTAKEN") as fleet, pytest.raises(UnreachableHostError) as caught:
        ask(fleet.remote("node1"))
    assert "the host rejected the password" in str(caught.value)
    assert "something else" not in str(caught.value)


def test_a_key_that_the_host_does_not_know(lab: Lab) -> None:
    keep_key(lab.folder / "stranger", "stranger")
    with (
        lab.fleet(key=str(lab.folder / "stranger")) as fleet,
        pytest.raises(UnreachableHostError, match=r"the host rejected the key .*stranger"),
    ):
        ask(fleet.remote("node1"))


def test_host_keys(lab: Lab) -> None:
    known = lab.folder / "known_hosts"
    with lab.fleet(host_keys="strict") as fleet, pytest.raises(UnreachableHostError, match="is not in") as caught:
        ask(fleet.remote("node1"))
    shown = lab.inside("node1", "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub").split()[1]
    assert shown in caught.value.message
    assert not known.exists()
    with lab.fleet("node1", "node2") as fleet:
        fleet.each(ask)
    assert sorted(line.split()[0] for line in known.read_text().splitlines()) == sorted(
        [lab.addresses["node1"], lab.addresses["node2"]]
    )
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(known)], check=True, capture_output=True)
    assert lab.addresses["node1"] not in known.read_text()
    with lab.fleet(host_keys="strict") as fleet:
        assert ask(fleet.remote("node1")) == "hello\nnode1.ssh.test\n"


@pytest.mark.parametrize("policy", ["strict", "accept-new"])
def test_a_changed_host_key_is_refused(lab: Lab, policy: str) -> None:
    known = lab.folder / "known_hosts"
    other = keep_key(lab.folder / "other", "").strip()
    known.write_text(f"# mine\n\n{lab.addresses['node1']} {other}\n")
    before = known.read_text()
    with lab.fleet(host_keys=policy) as fleet, pytest.raises(UnreachableHostError, match="has changed") as caught:
        ask(fleet.remote("node1"))
    assert f"{known}:3" in caught.value.message
    assert "ssh-keygen" in (caught.value.hint or "")
    assert known.read_text() == before


def test_jump_host(lab: Lab) -> None:
    jump = {"host": lab.addresses["jump"]}
    with lab.fleet("node1", "node2", by_name=True, jump=jump) as fleet:
        came_from = fleet.each(lambda remote: remote.run("echo $SSH_CONNECTION").stdout.split()[0])
    assert came_from == {"node1": lab.addresses["jump"], "node2": lab.addresses["jump"]}


def test_hosts_with_logins_of_their_own_behind_one_jump_host(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The jump host has the log-in of all; each host behind it may have another."""
    monkeypatch.setenv("LOGIN", PASSWORD)
    settings = {"known_hosts": str(lab.folder / "known_hosts"), "host_keys": "accept-new", "agent": False}
    ssh = Ssh.model_validate(settings | {"key": str(lab.key), "jump": {"host": lab.addresses["jump"]}})
    other = lab.folder / "other"
    keep_key(other, "")
    hosts = [
        HostEntry("node1", "node1.ssh.test", 22, login=Login(user="ops", key=str(other), password="env:LOGIN")),
        HostEntry("node2", "node2.ssh.test", 22),
    ]
    with Fleet(ssh, hosts, lab.secrets, lab.cancelled) as fleet:
        found = fleet.each(lambda remote: remote.run("echo $(id -un) ${SSH_CONNECTION%% *}").stdout.split())
    assert found == {"node1": ["ops", lab.addresses["jump"]], "node2": ["root", lab.addresses["jump"]]}


def test_what_a_jump_host_cannot_reach(lab: Lab) -> None:
    jump = {"host": lab.addresses["jump"]}
    entry = HostEntry("node9", "node9.ssh.test", 22)
    ssh = Ssh(key=str(lab.key), known_hosts=str(lab.folder / "k"), host_keys="accept-new", jump=jump, agent=False)
    with (
        Fleet(ssh, [entry], lab.secrets, lab.cancelled) as fleet,
        pytest.raises(UnreachableHostError, match=r"the jump host .* cannot connect"),
    ):
        ask(fleet.remote("node9"))


def test_hosts_that_cannot_be_reached_do_not_hold_up_the_others(lab: Lab) -> None:
    lab.addresses |= {"refusing": lab.addresses["node2"], "absent": "no-such-host.invalid"}
    entries = [
        HostEntry("node1", lab.addresses["node1"], 22),
        HostEntry("refusing", lab.addresses["node2"], 2222),
        HostEntry("absent", "no-such-host.invalid", 22),
        HostEntry("failing", lab.addresses["node2"], 22),
    ]
    ssh = Ssh(key=str(lab.key), known_hosts=str(lab.folder / "k"), host_keys="accept-new", agent=False)

    def work(remote: Remote) -> str:
        if remote.name == "failing":
            raise HostError("it does not work")
        return ask(remote)

    told: list[str] = []
    with Fleet(ssh, entries, lab.secrets, lab.cancelled) as fleet:
        results = fleet.each(work, done=lambda host, result: told.append(host))
    assert list(results) == ["node1", "refusing", "absent", "failing"]
    assert sorted(told) == sorted(results)
    assert results["node1"] == "hello\nnode1.ssh.test\n"
    assert isinstance(results["refusing"], UnreachableHostError) and "refused" in results["refusing"].message
    assert isinstance(results["absent"], UnreachableHostError) and "resolved" in results["absent"].message
    assert isinstance(results["failing"], HostError) and not isinstance(results["failing"], UnreachableHostError)


def test_a_line_that_breaks_in_the_midst_of_a_command(lab: Lab) -> None:
    with lab.fleet() as fleet:
        remote = fleet.remote("node1")
        ask(remote)
        with pytest.raises(UnreachableHostError, match="was lost"):
            remote.run("echo begun; kill -KILL $(ps -o ppid= $PPID) $PPID; sleep 30")
        assert ask(remote) == "hello\nnode1.ssh.test\n"


def test_a_line_that_broke_between_commands_is_opened_again(lab: Lab) -> None:
    with lab.fleet() as fleet:
        remote = fleet.remote("node1")
        former = remote.run("echo $SSH_CONNECTION").stdout
        lab.inside("node1", "kill -KILL $(ps -eo pid,args | awk '/sshd-session: root@/ || /sshd: root@/ {print $1}')")
        assert any(_pause(not lab.runs("node1", "root@notty")) for _ in range(50))
        assert remote.run("echo $SSH_CONNECTION").stdout != former


def test_a_command_that_takes_too_long(lab: Lab) -> None:
    with lab.fleet() as fleet:
        with pytest.raises(HostLimitError, match="1 s; its last line: working"):
            fleet.remote("node1").run("echo working; sleep 4321", timeout=1)
        assert lab.gone("node1", "sleep 4321")
        assert ask(fleet.remote("node1")) == "hello\nnode1.ssh.test\n"


def test_a_cancellation_ends_what_runs(lab: Lab) -> None:
    def cancel() -> None:
        any(_pause(lab.runs("node1", "sleep 4322")) for _ in range(50))
        lab.cancelled.set()

    with lab.fleet("node1", "node2") as fleet:
        thread = threading.Thread(target=cancel)
        thread.start()
        with pytest.raises(InterruptedRunError):
            fleet.each(lambda remote: remote.run("sleep 4322"))
        thread.join()
    assert lab.gone("node1", "sleep 4322")
    assert lab.gone("node2", "sleep 4322")


def test_secrets_are_in_no_process_list(lab: Lab) -> None:
    secret = "S3cret-" + os.urandom(6).hex()
    seen: list[str] = []

    def look() -> None:
        any(_pause(lab.runs("node1", "sleep 4323")) for _ in range(50))
        seen.append(lab.inside("node1", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' ' '"))
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.append(entry.read_text(errors="replace"))
            except OSError:
                continue
        lab.inside("node1", "kill $(ps -eo pid,args | awk '/sleep 4323/ && !/awk/ {print $1}')")

    with lab.fleet() as fleet:
        thread = threading.Thread(target=look)
        thread.start()
        output = fleet.remote("node1").run(f"word={secret}; sleep 4323; cat; echo $word", stdin=secret.encode())
        thread.join()
    assert output.stdout == f"{secret}{secret}\n"
    assert len(seen) > 1 and "sleep 4323" in seen[0]
    assert not any(secret in text for text in seen)


@pytest.fixture(scope="module")
def sudo(machines: tuple[Path, dict[str, Any]]) -> Callable[[str], None]:
    """Installs sudo on node2; call it with the rights that ops has."""
    container = machines[1]["node2"]
    script = (
        "grep -m1 trixie /etc/apt/sources.list > /tmp/one.list || exit 1; "
        "options='-o Dir::Etc::SourceList=/tmp/one.list -o Dir::Etc::SourceParts=/dev/null'; "
        "apt-get $options -qq update && apt-get $options -qq install --yes --no-install-recommends sudo"
    )
    done = container.exec_run(["bash", "-c", script])
    assert done.exit_code == 0, done.output.decode()

    def allow(rights: str) -> None:
        script = f"printf '%s\\n' '{rights}' > /etc/sudoers.d/ops; chmod 440 /etc/sudoers.d/ops"
        assert container.exec_run(["bash", "-c", script]).exit_code == 0

    return allow


def test_sudo(lab: Lab, sudo: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_WORD", PASSWORD)
    monkeypatch.setenv("OTHER_WORD", "another")
    script = "id -un; echo $HOME; cat; ps -eo args >&2"
    sudo("ops ALL=(ALL) ALL")
    with lab.fleet("node2", user="ops", sudo=True, sudo_password="env:SUDO_WORD") as fleet:
        output = fleet.remote("node2").run(script, stdin=b"in")
        assert output.stdout == "root\n/root\nin"
        assert PASSWORD not in output.stderr
        assert fleet.remote("node2").run("id -un; cat", stdin=b"in", user="ops").stdout == "ops\nin"
        with pytest.raises(HostLimitError):
            fleet.remote("node2").run("sleep 4324", timeout=1)
        assert lab.gone("node2", "sleep 4324")
    with (
        lab.fleet("node2", user="ops", sudo=True, sudo_password="env:OTHER_WORD") as fleet,
        pytest.raises(HostError, match="sudo rejects the password"),
    ):
        fleet.remote("node2").run(script)
    with (
        lab.fleet("node2", user="ops", sudo=True) as fleet,
        pytest.raises(HostError, match="a password is required") as caught,
    ):
        fleet.remote("node2").run(script)
    assert "ssh.sudo_password" in (caught.value.hint or "")
    sudo("ops ALL=(ALL) NOPASSWD: ALL")
    for password in (None, "env:SUDO_WORD"):
        with lab.fleet("node2", user="ops", sudo=True, sudo_password=password) as fleet:
            assert fleet.remote("node2").run(script, stdin=b"in").stdout == "root\n/root\nin"


def test_facts_of_a_real_host(lab: Lab) -> None:
    wanted = Wanted(
        files=("/etc/passwd", "/etc", "/etc/no-such-file", "/usr/lib/jvm/java"),
        urls=("file:///etc/passwd", "http://node2.ssh.test:22/", "http://no-such-host.invalid/"),
        services=("ssh", "no-such-service"),
        names=("node1.ssh.test", "node2.ssh.test", "no-such-host.invalid"),
    )
    with lab.fleet() as fleet:
        began = time.time()
        output = fleet.remote("node1").run(HostFacts.script(wanted))
        facts = HostFacts.parse("node1.ssh.test", output.stdout, began=began, ended=time.time())
        assert fleet.round_trips == 1
    assert output.code == 0 and output.stderr == ""
    assert (facts.os_id, facts.family, facts.fqdn) == ("rocky", "redhat8", "node1.ssh.test")
    assert facts.addresses == (lab.addresses["node1"],)
    assert "node1.ssh.test" in facts.reverse[lab.addresses["node1"]]
    assert facts.lookups["node2.ssh.test"] == (lab.addresses["node2"],)
    assert "no-such-host.invalid" not in facts.lookups
    assert facts.clock_skew is not None and abs(facts.clock_skew) <= facts.clock_precision + 0.5
    assert facts.ports[22] == "sshd"
    assert facts.users["ops"].home == "/home/ops" and "ops" in facts.groups["ops"]
    assert facts.container and not facts.systemd and facts.umask == "0022"
    assert facts.services["ssh"].running and "no-such-service" not in facts.services
    passwd = facts.files["/etc/passwd"]
    assert passwd.text == lab.inside("node1", "cat /etc/passwd")
    assert passwd.sha256 == lab.inside("node1", "sha256sum /etc/passwd").split()[0]
    assert facts.files["/etc"].kind == "directory" and "/etc/no-such-file" not in facts.files
    assert facts.files["/usr/lib/jvm/java"].link is not None
    assert facts.urls["file:///etc/passwd"].reached
    assert not facts.urls["http://node2.ssh.test:22/"].reached
    assert "resolve" in facts.urls["http://no-such-host.invalid/"].message
    assert facts.jdks and all(jdk.version.startswith("1.8.0") for jdk in facts.jdks)
    assert facts.packages and all(package.name == name for name, found in facts.packages.items() for package in found)
