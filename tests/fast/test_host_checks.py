"""Checks of hosts as tables: facts and an inventory go in, findings come out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bigtop_builder.hosts.checks import CHECKS, Finding, check, wanted
from bigtop_builder.hosts.facts import FileFact, HostFacts, Jdk, Mount, Package, UrlFact
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.recipe.inventory import LoadedInventory, load_inventory

REPOSITORY = "http://repo.x.org/el8"
METADATA = f"{REPOSITORY}/repodata/repomd.xml"
NAMES = ("n1.x.org", "n2.x.org")


def inventory(folder: Path, **changes: Any) -> LoadedInventory:
    data: dict[str, Any] = {
        "cluster": "c1",
        "repositories": [{"url": REPOSITORY}],
        "ambari": {"url": "http://n1.x.org:8080", "password": "env:AMBARI"},
        "groups": {"all": {"hosts": ["n[1-2].x.org"], "components": ["ZOOKEEPER_SERVER"]}},
    }
    file = folder / "i.yaml"
    file.write_text(yaml.safe_dump(data | changes))
    return load_inventory(file)


def host(name: str = "n1.x.org", **changes: Any) -> HostFacts:
    """A host without problems."""
    facts: dict[str, Any] = {
        "name": name,
        "os_id": "rocky",
        "os_version": "8.10",
        "os_name": "Rocky Linux 8.10",
        "family": "redhat8",
        "arch": "x86_64",
        "hostname": name,
        "fqdn": name,
        "addresses": ("10.0.0.1",),
        "reverse": {"10.0.0.1": (name, "n")},
        "lookups": dict.fromkeys(NAMES, ("10.0.0.1",)),
        "clock": 1e9,
        "clock_skew": 0.0,
        "memory": 8 << 30,
        "swap": 1 << 30,
        "mounts": (Mount(path="/", size=100 << 30, free=50 << 30),),
        "umask": "0022",
        "open_files": (65536, 65536),
        "selinux": "permissive",
        "firewall": "none",
        "thp": "madvise",
        "sysctl": {"vm.swappiness": "1"},
        "commands": frozenset({"dnf", "python3"}),
        "jdks": (Jdk(path="/usr/lib/jvm/java", version="1.8.0_1", compiler=True),),
        "rpm": True,
        "urls": {
            METADATA: UrlFact(code=0, status=200, message=""),
            "http://n1.x.org:8080": UrlFact(code=0, status=200, message=""),
        },
    }
    return HostFacts(**(facts | changes))


def found(loaded: LoadedInventory, *hosts: HostFacts, **given: Any) -> list[Finding]:
    return [one for one in check({one.name: one for one in hosts}, loaded, **given) if one.level != "ok"]


def package(name: str, vendor: str | None = None) -> dict[str, tuple[Package, ...]]:
    return {name: (Package(name=name, epoch=0, version="1", release="1", arch="noarch", vendor=vendor),)}


def url(code: int, status: int, message: str = "") -> dict[str, dict[str, UrlFact]]:
    return {"urls": {METADATA: UrlFact(code=code, status=status, message=message)}}


def repository_file(name: str, text: str) -> dict[str, FileFact]:
    file = FileFact(kind="regular file", size=len(text), owner="root", group="root", mode="644", text=text)
    return {f"/etc/yum.repos.d/{name}.repo": file}


def test_good_hosts(tmp_path: Path) -> None:
    loaded = inventory(tmp_path)
    findings = check({name: host(name) for name in NAMES}, loaded, architectures=frozenset({"noarch", "x86_64"}))
    assert [one.check for one in findings] == list(CHECKS)
    assert {(one.host, one.level, one.message) for one in findings} == {(None, "ok", "2 hosts")}


def test_a_check_without_a_subject_is_not_reported_as_passed(tmp_path: Path) -> None:
    loaded = inventory(tmp_path, repositories=[], ambari=None)
    names = {one.check for one in check({"n1.x.org": host()}, loaded)}
    assert set(CHECKS) - names == {"repository", "ambari", "architecture"}


def test_unknown_facts_are_not_findings(tmp_path: Path) -> None:
    bare = HostFacts(name="n1.x.org", clock=1.0)
    errors = {one.check for one in found(inventory(tmp_path), bare) if one.level == "error"}
    assert errors == {"name", "forward-lookup", "names", "programs", "os"}


@pytest.mark.parametrize(
    ("name", "level", "message", "facts"),
    [
        ("name", "error", "calls itself other.x.org", {"fqdn": "other.x.org", "hostname": "other"}),
        ("name", "error", "does not know its own FQDN", {"fqdn": None}),
        ("forward-lookup", "error", "does not resolve", {"addresses": ()}),
        (
            "forward-lookup",
            "error",
            "resolves to 127.0.1.1",
            {"addresses": ("127.0.1.1",), "reverse": {"127.0.1.1": ("n",)}},
        ),
        ("reverse-lookup", "error", "resolves to wrong.x.org", {"reverse": {"10.0.0.1": ("wrong.x.org",)}}),
        ("reverse-lookup", "warning", "has no name", {"reverse": {}}),
        ("names", "error", "cannot resolve n2.x.org", {"lookups": {"n1.x.org": ("10.0.0.1",)}}),
        ("names", "warning", "too slow", {"lookups": {"n1.x.org": ("1",)}, "unanswered": ("n2.x.org",)}),
        ("memory", "error", "2.0 GiB of memory, 4", {"memory": 2 << 30}),
        ("umask", "error", "0077", {"umask": "0077"}),
        ("open-files", "warning", "1024 open files", {"open_files": (1024, 4096)}),
        ("jdk", "warning", "no Java", {"jdks": ()}),
        ("selinux", "warning", "enforcing", {"selinux": "enforcing"}),
        ("firewall", "warning", "firewalld is running", {"firewall": "firewalld"}),
        ("huge-pages", "warning", "huge pages", {"thp": "always"}),
        ("swappiness", "warning", "is 60", {"sysctl": {"vm.swappiness": "60"}}),
        ("programs", "error", "rpm with yum or dnf is missing", {"rpm": False}),
        ("programs", "warning", "Python is missing", {"commands": frozenset({"yum"})}),
        ("repository", "error", "it answers 404", url(0, 404)),
        ("repository", "error", "(6) Could not resolve", url(6, 0, "curl: (6) Could not resolve host")),
        ("os", "error", "not supported by Ambari's stack", {"os_name": "AlmaLinux 9", "family": None}),
        ("ports", "error", "port 2181, which ZOOKEEPER_SERVER needs, is taken by nc", {"ports": {2181: "nc"}}),
        ("ports", "error", "port 8670", {"ports": {8670: "python"}}),
        (
            "packages",
            "error",
            "distribution are installed: zookeeper",
            {"packages": package("zookeeper-server")},
        ),
        ("packages", "error", "hadoop_3_2_0", {"packages": package("hadoop_3_2_0", "Cloudera, Inc.")}),
        (
            "packages",
            "warning",
            "stack are installed: spark_3_3_0-core",
            {"packages": package("spark_3_3_0-core")},
        ),
        (
            "repository-files",
            "warning",
            "ambari-bigtop-1.repo: two sections [a]",
            {"files": repository_file("ambari-bigtop-1", "[a]\nbaseurl=b\n\n[a]\n")},
        ),
        ("repository-files", "error", "mine.repo: two sections [a]", {"files": repository_file("mine", "[a]\n[a]\n")}),
        ("leftovers", "warning", "/usr/bigtop/3.1.0", {"bigtop": ("3.1.0", "current")}),
    ],
)
def test_one_problem(tmp_path: Path, name: str, level: str, message: str, facts: dict[str, Any]) -> None:
    findings = found(inventory(tmp_path), host(**facts))
    assert [(one.check, one.level, one.host) for one in findings] == [(name, level, "n1.x.org")]
    assert message in findings[0].message
    assert findings[0].hint


@pytest.mark.parametrize(
    "facts",
    [
        {"packages": package("bigtop-select")},
        {"packages": package("sparkline")},
        {"packages": package("zookeeper_3_2_0"), "ports": {2181: "java"}, "bigtop": ("3.2.0", "current")},
        {"packages": package("ambari-agent"), "ports": {8670: "python3"}},
        {"files": repository_file("ambari-bigtop-1", "[a]\nbaseurl=b\n\n[c]\nname=50% of it\n")},
        {"swap": 0, "sysctl": {"vm.swappiness": "60"}},
        {"memory": int(3.8 * (1 << 30))},
    ],
)
def test_hosts_without_problems(tmp_path: Path, facts: dict[str, Any]) -> None:
    assert found(inventory(tmp_path), host(**facts)) == []


def test_what_prepare_fixes_is_a_warning(tmp_path: Path) -> None:
    loaded = inventory(tmp_path, prepare={"hosts_entries": True})
    lost = host(lookups={}, addresses=(), fqdn="n1", hostname="n1.x.org")
    assert {(one.check, one.level) for one in found(loaded, lost)} == {
        (name, "warning") for name in ("name", "forward-lookup", "names")
    }
    loaded = inventory(tmp_path, prepare={"jdk": None})
    assert [one.level for one in found(loaded, host(jdks=()))] == ["error"]


def test_clocks_are_compared_with_each_other(tmp_path: Path) -> None:
    loaded = inventory(tmp_path)
    skews = {"n1.x.org": 100.0, "n2.x.org": 100.5, "n3.x.org": 110.0}
    findings = found(loaded, *(host(name, clock_skew=skew) for name, skew in skews.items()))
    assert [(one.host, one.level) for one in findings if one.check == "clock"] == [
        ("n1.x.org", "warning"),
        ("n2.x.org", "warning"),
        ("n3.x.org", "error"),
    ]
    assert found(loaded, host(clock_skew=7.0, clock_precision=2.5)) == []


def test_each_full_disk_is_reported_once(tmp_path: Path) -> None:
    full = (Mount(path="/", size=30 << 30, free=1 << 30), Mount(path="/var", size=30 << 30, free=2 << 30))
    findings = found(inventory(tmp_path), host(mounts=full))
    assert [one.message.split(",")[0] for one in findings] == ["1.0 GiB free on /", "2.0 GiB free on /var"]


def test_one_os_and_the_repository_s_architecture(tmp_path: Path) -> None:
    hosts = [host("n1.x.org"), host("n2.x.org"), host("n3.x.org", os_version="9.4", family="redhat9", arch="aarch64")]
    findings = found(inventory(tmp_path), *hosts, architectures=frozenset({"x86_64", "noarch"}))
    assert [(one.check, one.host, one.level) for one in findings] == [
        ("os", "n3.x.org", "error"),
        ("architecture", "n3.x.org", "error"),
    ]


def test_a_repository_whose_certificate_is_not_trusted_yet(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("x")
    answer = url(60, 0, "curl: (60) SSL certificate problem")
    assert found(inventory(tmp_path), host(**answer))[0].level == "error"
    loaded = inventory(tmp_path, prepare={"ca": "ca.pem"})
    assert [one.level for one in found(loaded, host(**answer))] == ["warning"]


def test_wanted_facts(tmp_path: Path) -> None:
    needed = wanted(inventory(tmp_path, repositories=[{"url": "http://repo.x.org/{family}/"}]))
    assert needed.names == NAMES
    assert "http://repo.x.org/redhat8/repodata/repomd.xml" in needed.urls
    assert "http://repo.x.org/openeuler22/repodata/repomd.xml" in needed.urls
    assert "http://n1.x.org:8080" in needed.urls
    setup = {"host": "n1.x.org", "repository": "http://repo.x.org/ambari"}
    new = {"url": "http://n1.x.org:8080", "password": "env:AMBARI", "setup": setup}
    needed = wanted(inventory(tmp_path, ambari=new))
    assert "http://n1.x.org:8080" not in needed.urls
    assert "http://repo.x.org/ambari/repodata/repomd.xml" in needed.urls


def test_checks_are_ignored_by_name(tmp_path: Path) -> None:
    loaded = inventory(tmp_path, require={"ignore": ["huge-pages", "selinux"]})
    names = {one.check for one in check({"n1.x.org": host(thp="always", selinux="enforcing")}, loaded)}
    assert not names & {"huge-pages", "selinux"}
    loaded = inventory(tmp_path, require={"ignore": ["huge-page"]})
    with pytest.raises(ConfigurationError, match="no check 'huge-page'") as caught:
        check({}, loaded)
    assert "huge-pages" in (caught.value.hint or "")
    assert caught.value.location is not None and caught.value.location.path == "require.ignore[0]"


def test_packages_that_the_inventory_installs_are_of_no_other_distribution(tmp_path: Path) -> None:
    phoenix = host(packages=package("phoenix"))
    assert [one.check for one in found(inventory(tmp_path), phoenix)] == ["packages"]
    assert (
        found(inventory(tmp_path, standalone={"sql": {"hosts": ["n1.x.org"], "packages": ["phoenix"]}}), phoenix) == []
    )


def test_an_ntp_server_that_does_not_resolve(tmp_path: Path) -> None:
    loaded = inventory(tmp_path, prepare={"ntp_servers": ["ntp1.x.org", "ntp2.x.org"]})
    known = {**host().lookups, "ntp1.x.org": ("10.0.0.9",)}
    (lost,) = found(loaded, host(lookups=known))
    assert (lost.check, lost.level) == ("names", "error") and lost.message.endswith("NTP server ntp2.x.org")
    assert found(loaded, host(lookups={**known, "ntp2.x.org": ("10.0.0.9",)})) == []


def with_setup(folder: Path, prepare: dict[str, Any] | None = None, **setup: Any) -> LoadedInventory:
    ambari = {"url": "http://n1.x.org:8080", "password": "env:A"}
    server = {"host": "n1.x.org", "repository": "http://r.x.org", **setup}
    return inventory(folder, ambari={**ambari, "setup": server}, prepare=prepare or {})


EIGHT = Jdk(path="/usr/lib/jvm/java", version="1.8.0_1", compiler=True)


@pytest.mark.parametrize(
    ("prepare", "setup", "level", "message"),
    [
        ({}, {"stack_java_home": "/jdk8"}, "warning", "no Java in /jdk8 (found: /usr/lib/jvm/java)"),
        ({"jdk": None}, {"java_home": "/jdk17"}, "error", "no Java in /jdk17"),
        ({"jdk": None, "packages": ["java-17-openjdk"]}, {"java_home": "/jdk17"}, "warning", "no Java in /jdk17"),
        (
            {},
            {"java_home": "/usr/lib/jvm/java", "version": "3.1.0.0"},
            "error",
            "/usr/lib/jvm/java (ambari.setup.java_home) is Java 8; Ambari 3.1.0.0 itself requires 17 or newer",
        ),
    ],
)
def test_the_jdk_of_ambari_and_the_one_of_the_stack(
    tmp_path: Path, prepare: dict[str, Any], setup: dict[str, Any], level: str, message: str
) -> None:
    loaded = with_setup(tmp_path, prepare, **setup)
    (one,) = [one for one in found(loaded, host(jdks=(EIGHT,))) if one.check == "jdk"]
    assert one.level == level and message in one.message and one.hint
    assert set(wanted(loaded).homes) == {value for key, value in setup.items() if key != "version"}


def test_a_short_name_is_fine_where_the_host_calls_itself_so(tmp_path: Path) -> None:
    loaded = inventory(tmp_path, groups={"all": {"hosts": ["n1"]}})
    known = {"lookups": {"n1": ("10.0.0.1",)}, "reverse": {"10.0.0.1": ("n1",)}}
    assert found(loaded, host("n1", fqdn="n1", **known)) == []
    (one,) = [one for one in found(loaded, host("n1", fqdn="n1.x.org", **known)) if one.check == "name"]
    assert one.level == "error" and (one.hint or "").startswith("Write n1.x.org in the inventory")
