"""What ``hosts prepare`` does: facts of a host and an inventory in, operations out."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.hosts.chrony import CONFIGURATION
from bigtop_builder.hosts.facts import HostFacts, Jdk, ServiceFact
from bigtop_builder.hosts.operation import Operation
from bigtop_builder.hosts.preparation import (
    CERTIFICATES,
    LIMITS_FILE,
    SYSCTL_FILE,
    java_major,
    jdk_major,
    limits,
    prepare,
    repository_file,
    wanted,
)
from bigtop_builder.hosts.removal import removal
from bigtop_builder.model.errors import HostError
from bigtop_builder.recipe.inventory import LoadedInventory, load_inventory
from tests.fast.test_operations import SYSCTL, THERE, file, host, package


def inventory(folder: Path, text: str = "") -> LoadedInventory:
    path = folder / "inventory.yaml"
    path.write_text('cluster: c\ngroups: {all: {hosts: ["node[1-2].example.com"]}}\n' + textwrap.dedent(text))
    return load_inventory(path)


def names(operations: tuple[Operation, ...]) -> list[str]:
    return [operation.name for operation in operations]


BARE = {"sysctl": {"vm.swappiness": "60"}, "thp": "always", "systemd": True, "family": "redhat8"}
READY: dict[str, Any] = {
    "sysctl": {"vm.swappiness": "1"},
    "thp": "madvise",
    "systemd": True,
    "jdks": (Jdk(path="/usr/lib/jvm/java", version="1.8.0_402", compiler=True),),
    "packages": package("chrony"),
    "services": {"chronyd": THERE},
    "files": {LIMITS_FILE: file(limits(0).decode()), SYSCTL_FILE: file(SYSCTL)},
}


def test_a_bare_host_gets_everything_in_one_go(tmp_path: Path) -> None:
    prepared = prepare(host(**BARE), inventory(tmp_path))
    assert names(prepared.operations) == [
        "install java-1.8.0-openjdk-devel chrony",
        "enable chronyd",
        "start chronyd",
        f"write {LIMITS_FILE}",
        f"write {SYSCTL_FILE}",
        "sysctl vm.swappiness",
        "write /etc/tmpfiles.d/bigtop-builder-thp.conf",
        "transparent huge pages",
    ]
    assert prepared.cannot == ()


def test_a_host_that_is_ready_is_left_alone(tmp_path: Path) -> None:
    prepared = prepare(host(**READY), inventory(tmp_path))
    assert (prepared.operations, prepared.cannot) == ((), ())


@pytest.mark.parametrize(
    ("changed", "setting", "expected"),
    [
        ({}, "jdk: java-17-openjdk", ["install java-17-openjdk"]),
        ({}, "jdk: null", []),
        ({"jdks": ()}, "jdk: null", []),
        ({}, "java_home: /opt/java8", ["install java-1.8.0-openjdk-devel"]),
        ({}, "java_home: /usr/lib/jvm/java", []),
        ({"services": {"ntpd": ServiceFact(running=True, enabled=True)}}, "chrony: true", []),
        ({"services": {}}, "chrony: false", []),
        ({"services": {}, "packages": {}, "container": True}, "chrony: false", []),
        ({}, "packages: [nmap, chrony]", ["install nmap"]),
        ({}, "jdbc_driver: mysql-connector-java", ["install mysql-connector-java"]),
        ({}, "swappiness: null", []),
        ({"thp": "always"}, "transparent_huge_pages: keep", []),
        ({"services": {"chronyd": THERE, "firewalld": THERE}}, "firewall: keep", []),
        (
            {"services": {"chronyd": THERE, "firewalld": THERE}},
            "firewall: disable",
            ["stop firewalld", "disable firewalld"],
        ),
        ({"selinux": "enforcing"}, "selinux: keep", []),
        ({}, "users: {alice: []}", ["create the user alice"]),
        ({"files": {SYSCTL_FILE: file(SYSCTL)}}, "limits: false", []),
    ],
)
def test_settings(tmp_path: Path, changed: dict[str, Any], setting: str, expected: list[str]) -> None:
    loaded = inventory(tmp_path, f"prepare: {{{setting}}}")
    assert names(prepare(host(**{**READY, **changed}), loaded).operations) == expected


NTP = "prepare: {ntp_servers: [ntp1.x.test, ntp2.x.test]}"


def test_chrony_asks_the_servers_of_the_inventory_alone(tmp_path: Path) -> None:
    loaded = inventory(tmp_path, NTP)
    own = "pool 2.pool.ntp.org iburst\nserver 10.0.0.1\nallow 10.0.0.0/8\n"
    files = {**READY["files"], CONFIGURATION: file(own)}
    prepared = prepare(host(**{**READY, "files": files}), loaded)
    assert names(prepared.operations) == [f"write {CONFIGURATION}", "restart chronyd"]
    written = prepared.operations[0].stdin.decode()
    assert written.splitlines() == [
        "#pool 2.pool.ntp.org iburst",
        "#server 10.0.0.1",
        "allow 10.0.0.0/8",
        "# bigtop-builder ntp: begin",
        "server ntp1.x.test iburst",
        "server ntp2.x.test iburst",
        "# bigtop-builder ntp: end",
    ]
    again = {**files, CONFIGURATION: file(written)}
    assert prepare(host(**{**READY, "files": again}), loaded).operations == ()


def test_a_host_without_chrony_gets_it_with_the_servers(tmp_path: Path) -> None:
    prepared = prepare(host(**{**READY, "packages": {}, "services": {}}), inventory(tmp_path, NTP))
    assert names(prepared.operations) == [
        "install chrony", f"write {CONFIGURATION}", "enable chronyd", "start chronyd"
    ]  # fmt: skip
    written = prepared.operations[1].stdin.decode()
    assert "makestep 1.0 3\n" in written and "server ntp1.x.test iburst\n" in written


def test_another_service_that_keeps_the_time_stays(tmp_path: Path) -> None:
    prepared = prepare(host(**{**READY, "services": {"ntpd": THERE}}), inventory(tmp_path, NTP))
    assert prepared.operations == ()
    assert [str(cannot).partition(";")[0] for cannot in prepared.cannot] == [
        "the NTP servers cannot be set here: ntpd keeps the time"
    ]


def test_a_container_says_what_cannot_be_set_and_does_the_rest(tmp_path: Path) -> None:
    facts = host(**{**BARE, "systemd": False, "container": True, "jdks": READY["jdks"]})
    prepared = prepare(facts, inventory(tmp_path))
    assert names(prepared.operations) == [f"write {LIMITS_FILE}"]
    assert [cannot.what.partition(":")[0] for cannot in prepared.cannot] == [
        "the clock (chrony)", "vm.swappiness", "transparent huge pages"
    ]  # fmt: skip


REPOSITORIES = """\
repositories:
  - {id: B, url: "https://repo.example.com/{family}/", repo_gpg_check: false}
  - {id: C, url: "http://repo.example.com/c", gpg_key: "http://repo.example.com/key"}
prepare: {jdk: null, chrony: false, limits: false, swappiness: null, transparent_huge_pages: keep}
"""


def test_repositories_carry_family_key_and_certificates(tmp_path: Path) -> None:
    loaded, facts = inventory(tmp_path, REPOSITORIES), host(**BARE)
    first, second = (repository_file(facts, one, CERTIFICATES) for one in loaded.inventory.repositories)
    assert (first.url, first.gpg_key) == (
        "https://repo.example.com/redhat8", "https://repo.example.com/redhat8/repodata/repomd.xml.key"
    )  # fmt: skip
    assert (
        b"gpgcheck=1\nrepo_gpgcheck=0\n" in first.content()
        and f"sslcacert={CERTIFICATES}\n".encode() in first.content()
    )
    assert second.gpg_key == "http://repo.example.com/key" and b"sslcacert" not in second.content()
    operations = prepare(facts, loaded, certificates=b"PEM").operations
    assert names(operations) == [
        f"write {CERTIFICATES}",
        "trust the key of B",
        "write /etc/yum.repos.d/bigtop-builder-B.repo",
        "trust the key of C",
        "write /etc/yum.repos.d/bigtop-builder-C.repo",
    ]
    there = {name.removeprefix("write "): file(operation.stdin.decode()) for name, operation in
             zip(names(operations), operations, strict=True) if name.startswith("write ")}  # fmt: skip
    assert prepare(host(**BARE, files=there), loaded, certificates=b"PEM").operations == ()
    assert set(there) <= set(wanted(loaded).files)


def test_a_host_of_an_unknown_family_cannot_have_an_address_by_family(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no OS family"):
        prepare(host(os_name="Solaris"), inventory(tmp_path, REPOSITORIES))


@pytest.mark.parametrize(
    ("package_name", "version"),
    [
        ("java-1.8.0-openjdk-devel", "1.8.0_402"),
        ("java-17-openjdk", "17.0.9"),
        ("jdk-11", "11"),
        ("java-21", "21.0.1+2"),
    ],
)
def test_a_jdk_is_known_by_its_major_version(package_name: str, version: str) -> None:
    assert jdk_major(package_name) == java_major(version) is not None
    assert jdk_major("bisheng") is None


WIPED = """\
ambari:
  url: http://node1.example.com:8080
  password: env:X
  setup: {host: node1.example.com, repository: http://repo.example.com/ambari}
"""
INSTALLED = (
    package("zookeeper_3_2_0") | package("spark_3_2_0-core") | package("bigtop-select") | package("ambari-agent")
    | package("ambari-server") | package("kernel_3_2_01") | package("bash") | package("zookeeper_3_3_0")
)  # fmt: skip


def test_a_wiped_host_loses_what_is_ours_and_nothing_else(tmp_path: Path) -> None:
    here = ("/usr/bigtop", "/etc/ambari-agent", "/etc/yum.repos.d/ambari-bigtop-1.repo", "/etc/yum.repos.d/rocky.repo")
    facts = HostFacts(
        name="node2.example.com",
        clock=0.0,
        packages=INSTALLED,
        services={"ambari-agent": THERE},
        files={path: file("") for path in here},
    )
    operations = removal(facts, inventory(tmp_path, WIPED))
    assert names(operations)[:2] == ["stop ambari-agent", "disable ambari-agent"]
    assert operations[2].script.split()[3:] == ["ambari-agent", "bigtop-select", "spark_3_2_0-core", "zookeeper_3_2_0"]
    assert names(operations)[3:] == [
        "remove /usr/bigtop", "remove /etc/ambari-agent", "remove /etc/yum.repos.d/ambari-bigtop-1.repo"
    ]  # fmt: skip


def test_an_ambari_that_was_there_before_stays(tmp_path: Path) -> None:
    facts = host(packages=package("ambari-agent"), files={"/etc/ambari-agent": file("")})
    assert removal(facts, inventory(tmp_path)) == ()
