"""Facts: the script runs on this machine, and its output is parsed strictly."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from bigtop_builder.hosts.facts import FileFacts, Gathered, HostFacts, SoftwareFacts, UserFacts, Wanted
from bigtop_builder.hosts.facts.fact import Fact, pairs, single
from bigtop_builder.model.errors import HostError


def gather(wanted: Wanted, facts: type[HostFacts] = HostFacts, **environment: str) -> str:
    done = subprocess.run(
        [shutil.which("bash") or "bash", "-c", facts.script(wanted)],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_this_machine(tmp_path: Path) -> None:
    text = "tab\tand ümlaut\n"
    odd = tmp_path / "it's $odd"
    odd.write_text(text)
    odd.chmod(0o640)
    big = tmp_path / "big"
    big.write_bytes(bytes(70_000))
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\x00")
    link = tmp_path / "link"
    link.symlink_to(odd)
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "nothing")
    paths = (odd, big, binary, link, dangling, tmp_path, tmp_path / "absent")
    wanted = Wanted(
        files=tuple(map(str, paths)),
        urls=(f"file://{binary}", f"file://{tmp_path}/no"),
        names=("localhost", "no-such-host.invalid"),
    )
    facts = HostFacts.parse("me", gather(wanted), began=0.0, ended=1.0)
    assert facts.name == "me"
    assert facts.memory and facts.cpus and facts.arch == os.uname().machine
    assert facts.clock_skew is not None and facts.clock_skew > 1e9
    assert facts.mount_of(str(tmp_path)) is not None
    assert facts.users["root"].uid == 0 and "root" in facts.groups["root"]
    assert facts.open_files is not None
    assert "localhost" in facts.lookups and "no-such-host.invalid" not in facts.lookups
    found = facts.files[str(odd)]
    assert (found.kind, found.text, found.mode) == ("regular file", text, "640")
    assert found.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert facts.files[str(big)].text is None
    assert facts.files[str(big)].sha256 == hashlib.sha256(bytes(70_000)).hexdigest()
    assert facts.files[str(binary)].text is None
    assert (facts.files[str(link)].link, facts.files[str(link)].text) == (str(odd), text)
    assert facts.files[str(tmp_path)].kind == "directory"
    assert str(dangling) not in facts.files and str(tmp_path / "absent") not in facts.files
    assert "tab" not in repr(facts)
    if shutil.which("curl"):
        assert facts.urls[f"file://{binary}"].reached
        assert not facts.urls[f"file://{tmp_path}/no"].reached


def test_a_machine_with_coreutils_only(tmp_path: Path) -> None:
    for name in ["date", "uname", "stat", "sha256sum", "base64", "timeout", "nproc", "df", "readlink", "cat", "tr"]:
        found = shutil.which(name)
        assert found is not None
        (tmp_path / name).symlink_to(found)
    facts = HostFacts.parse("me", gather(Wanted(files=("/etc/passwd",), urls=("http://x/",)), PATH=str(tmp_path)))
    assert facts.fqdn is None and facts.packages == {} and not facts.rpm and facts.urls == {}
    assert facts.clock_skew is None
    assert facts.users["root"].home == "/root"
    assert facts.files["/etc/passwd"].text == Path("/etc/passwd").read_text()


class MoreFacts(HostFacts):
    """Two made-up facts, each declared in one place."""

    uptime: Annotated[float | None, Fact('read -r up _ < /proc/uptime; emit uptime "$up"', single("uptime"))] = None
    sizes: Annotated[
        dict[str, int],
        Fact('for one in "${files[@]}"; do emit size "$one" "$(wc -c < "$one")"; done', pairs("size"), background=True),
    ] = Field(default_factory=dict)
    """Of the wanted files: a fact with a parameter."""


def test_a_fact_is_declared_in_one_place(tmp_path: Path) -> None:
    file = tmp_path / "it's a file"
    file.write_bytes(b"12345")
    facts = MoreFacts.parse("me", gather(Wanted(files=(str(file),)), MoreFacts))
    assert facts.uptime is not None and facts.uptime > 0
    assert facts.sizes == {str(file): 5}
    assert facts.files[str(file)].size == 5 and facts.users["root"].uid == 0


def test_a_pid_file_may_lack_the_line_end(tmp_path: Path) -> None:
    for name, pid in (("ambari-server", f"{os.getpid()}"), ("ambari-agent", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.pid").write_text(pid)
    script = HostFacts.script(Wanted()).replace("/var/run/$one/$one.pid", f"{tmp_path}/$one/$one.pid")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert HostFacts.parse("me", done.stdout).ambari_daemons == {"ambari-server"}


def test_every_fragment_runs_once() -> None:
    fragments = [fact.fragment for _, fact in HostFacts.declared()]
    assert len(set(fragments)) < len(fragments)
    script = HostFacts.script(Wanted(urls=("http://x/",), packages=("p",), conditions=("key true",)))
    assert {script.count(fragment) for fragment in fragments} == {1}
    # What asks about nothing is left out: each process costs a host a millisecond.
    assert {HostFacts.script(Wanted()).count(fragment) for fragment in fragments} == {0, 1}


def test_every_field_is_declared_as_a_fact() -> None:
    """The exceptions come from the inventory and from the round trip itself."""
    declared = [name for name, _ in HostFacts.declared()]
    assert len(set(declared)) == len(declared)
    assert set(HostFacts.model_fields) - set(declared) == {"name", "clock", "clock_skew", "clock_precision"}


def host_output(*rows: str) -> str:
    """The output of a small host, with further rows."""
    base = ["facts\t1\t1000.5", "machine\tn1\t4.18\tx86_64\t", "limits\t1024\tunlimited\t1\t2"]
    return "\n".join([*base, *rows, "end\t1001.5", ""])


def test_rows() -> None:
    facts = HostFacts.parse(
        "n1.x.org",
        host_output(
            "os\tID\trocky",
            "os\tVERSION_ID\t8.10",
            "package\tzookeeper_3_2_0\t1\t3.5.9\t1.el8\tnoarch\t(none)",
            "package\tkernel\t0\t4.18\t1\tx86_64\tRocky",
            "package\tkernel\t0\t4.18\t2\tx86_64\tRocky",
            "current\tspark-client\t/usr/bigtop/3.2.0/usr/lib/spark",
            "current\tcurious\t/elsewhere/spark",
            "port\t22\t",
            "port\t22\tsshd",
            "unit\tmysqld mariadb\tloaded\tactive\tenabled\t77",
            "unit\tabsent\tnot-found\tinactive\t\t0",
            "unit\told\tloaded\tinactive\tgenerated\t0",
            "unit\tfirewalld\tloaded\tactive\tenabled\t5",
            "script\told\t\t1\t",
            "script\tambari-agent\t1\t0\t12 13",
            "firewall\tnone",
            "runs\tambari-agent",
        ),
        began=900.0,
        ended=904.0,
    )
    assert facts.family == "redhat8"
    assert facts.cpus is None
    assert facts.open_files == (1024, None)
    assert facts.packages["zookeeper_3_2_0"][0].evr == "1:3.5.9-1.el8"
    assert facts.packages["zookeeper_3_2_0"][0].vendor is None
    assert [package.release for package in facts.packages["kernel"]] == ["1", "2"]
    assert facts.selectors == {"spark-client": "3.2.0"}
    assert facts.ports == {22: "sshd"}
    assert facts.services["mariadb"] == facts.services["mysqld"]
    assert facts.services["mysqld"].pids == (77,)
    assert "absent" not in facts.services
    assert facts.services["old"].enabled and not facts.services["old"].running
    assert facts.services["ambari-agent"].pids == (12, 13) and not facts.services["ambari-agent"].enabled
    assert facts.firewall == "firewalld"
    assert facts.ambari_daemons == {"ambari-agent"}
    assert (facts.clock, facts.clock_skew, facts.clock_precision) == (1001.5, 99.0, 1.5)


@pytest.mark.parametrize(
    "output",
    [
        "",
        "bash: line 1: oops",
        host_output()[:-20],
        host_output("port\tmany\t"),
        host_output("passwd\troot"),
        host_output("facts\t1\t1"),
    ],
)
def test_incomplete_or_malformed_output_is_an_error(output: str) -> None:
    with pytest.raises(HostError, match=r"n1: its facts"):
        HostFacts.parse("n1", output)


def test_two_wanted_are_joined() -> None:
    joined = Wanted(files=("/a", "/b"), names=("x",)) | Wanted(files=("/b", "/c"), services=("s",))
    assert joined == Wanted(files=("/a", "/b", "/c"), names=("x",), services=("s",))


def test_the_mount_of_a_path() -> None:
    facts = HostFacts.parse("n1", host_output("mount\t10\t5\t/", "mount\t20\t6\t/usr", "mount\t30\t7\t/usr/local"))

    def mount(path: str) -> str:
        found = HostFacts.mount_of(facts, path)
        assert found is not None
        return found.path

    assert [mount(path) for path in ("/", "/usr", "/usrlocal", "/usr/local/x")] == ["/", "/usr", "/", "/usr/local"]


class Accounts(UserFacts, FileFacts, Gathered):
    """Two groups of facts."""


class AccountsFirst(FileFacts, UserFacts, Gathered):
    """The same, gathered in the other order."""


@pytest.mark.parametrize("kind", [Accounts, AccountsFirst])
def test_some_groups_of_facts_are_gathered_alone(tmp_path: Path, kind: type[Accounts | AccountsFirst]) -> None:
    """In any order: a fragment must not use the name of what was wanted for something of its own."""
    script = kind.script(Wanted(files=(str(tmp_path),)))
    assert "rpm -qa" not in script and "hostname" not in script and "rpm -qa" in SoftwareFacts.script(Wanted())
    found = kind.parse("me", subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout)
    assert found.files[str(tmp_path)].kind == "directory" and found.users["root"].uid == 0
    assert set(kind.model_fields) == {"name", "clock", "clock_skew", "clock_precision", "users", "groups", "files"}
    assert issubclass(HostFacts, SoftwareFacts)


def test_many_rows_arrive_in_few_messages(tmp_path: Path) -> None:
    """Each write of a shell is a message of SSH; none of the rows is lost, and no text gets between two."""
    paths = [tmp_path / f"{number:03}-{'x' * 100}" for number in range(200)]
    for path in paths:
        path.write_text(f"{path.name}\n")
    script = Accounts.script(Wanted(files=tuple(map(str, paths))))
    emitted = script.replace("printf %s ", "writes+=.; printf %s ") + 'echo "$writes"\n'
    done = subprocess.run(["bash", "-c", emitted], capture_output=True, text=True, check=True)
    found = Accounts.parse("me", done.stdout)
    assert 3 <= len(done.stdout.splitlines()[-1]) <= 10
    assert {path: found.files[str(path)].text for path in paths} == {path: f"{path.name}\n" for path in paths}


PASSWD = "root:x:0:0:root:/root:/bin/bash\n# a comment\n\n+::::::\nhdfs:x:1001:1001::/home/hdfs:/bin/sh\n"


@pytest.mark.parametrize(
    ("rules", "asked"),
    [
        ("passwd:         files systemd\ngroup: files [SUCCESS=merge] systemd\n", False),
        ("passwd: files\ngroup: files\n", False),
        ("passwd: sss files\ngroup: files\n", True),
        ("passwd: files ldap\ngroup: files ldap\n", True),
        ("", True),
    ],
)
def test_accounts_are_read_from_files_where_nothing_else_has_any(tmp_path: Path, rules: str, asked: bool) -> None:
    """getent is asked only where a directory service may know more."""
    for name, text in (("nsswitch.conf", rules), ("passwd", PASSWD), ("group", "root:x:0:\nhdfs:x:1001:yarn\n")):
        (tmp_path / name).write_text(text)
    getent = 'timeout() { [ "$3" = passwd ] && echo far:x:9:9::/:/bin/sh || echo far:x:9:; }\n'
    script = getent + Accounts.script(Wanted()).replace("/etc/", f"{tmp_path}/")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    found = Accounts.parse("me", done.stdout)
    assert found.users.keys() == found.groups.keys() == ({"far"} if asked else {"root", "hdfs"})
    if not asked:
        assert (found.users["hdfs"].uid, found.groups["hdfs"]) == (1001, ("yarn", "hdfs"))
