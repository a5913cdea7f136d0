"""Preflight: packages of the operating system on the hosts, missing packages by name, files that jobs name."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from bigtop_builder.adapter.secret import Secrets
from bigtop_builder.cluster.demand_check import OfferedPackage
from bigtop_builder.cluster.layout import layout_of
from bigtop_builder.cluster.layout_rules import check_layout
from bigtop_builder.cluster.stack_data import load_stack
from bigtop_builder.flow.deploy.connections import Connections
from bigtop_builder.flow.deploy.package_check import SYSTEM, check_packages, system_packages
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.flow.publish.stack_check import Offer
from bigtop_builder.hosts.facts import HostFacts, Wanted
from bigtop_builder.model.errors import AmbariError
from bigtop_builder.model.event import AnyEvent, CheckFinished
from bigtop_builder.recipe.inventory import load_inventory
from tests.fast.test_demands import ROOT, package
from tests.fast.test_facts import gather
from tests.fast.test_needs import HADOOP
from tests.fast.test_operations import file
from tests.fast.test_powertools import FOLDER, ROCKY

STACK = load_stack()
SYSTEM_PACKAGES = ("snappy", "snappy-devel", "libtirpc-devel")
RANGER = package("ranger_3_2_0-hdfs-plugin")
CONF = package(
    "hadoop_3_2_0-conf", *(f"{ROOT}/{path}" for path in ("usr/lib/hadoop-hdfs/x", "etc/hadoop/conf.empty/x"))
)
OFFER = [
    *(one for one in HADOOP if one.name not in ("hadoop_3_2_0-client",)),
    package("hadoop_3_2_0-client", requires=["hadoop_3_2_0-conf"]),
    CONF,
    RANGER,
]
INVENTORY = """
cluster: c1
ambari: {url: "http://ambari.x.org:8080", password: "env:P"}
repositories: [{url: "http://repository.test/el8"}]
groups:
  master: {hosts: [n1.x.org], components: [NAMENODE, SECONDARY_NAMENODE, HDFS_CLIENT]}
  worker: {hosts: ["n[2-9].x.org"], components: [DATANODE]}
"""


class Desk:
    """A preflight with facts and packages in the test's hands."""

    def __init__(self, folder: Path, text: str = INVENTORY, packages: Sequence[OfferedPackage] = OFFER) -> None:
        path = folder / "inventory.yaml"
        path.write_text(text)
        loaded = load_inventory(path)
        self.world = World(loaded, cast(Connections, None))
        self.world.__dict__["stack"] = STACK
        self.world.layout = check_layout(layout_of(loaded), STACK, loaded.place).layout
        self.world._offers["redhat8"] = Offer(tuple(packages), None)
        self.events: list[AnyEvent] = []
        self.reporter = Reporter(self.events.append, Secrets(), folder)

    def facts(self, available: Sequence[str] = SYSTEM_PACKAGES, **known: Any) -> None:
        self.world.facts = {
            host: HostFacts(name=host, clock=0.0, family="redhat8", available=frozenset(available), **known)
            for host in self.world.hosts
        }

    def check(self) -> None:
        check_packages(self.world, self.reporter, ("redhat8",))

    def told(self, *levels: str) -> list[CheckFinished]:
        return [one for one in self.events if isinstance(one, CheckFinished) and one.level in levels]


def test_every_host_is_asked_for_what_its_components_need(tmp_path: Path) -> None:
    asked = system_packages(Desk(tmp_path).world)
    assert set(asked) == {f"n{number}.x.org" for number in range(1, 10)}
    assert set(asked["n9.x.org"].packages) == set(SYSTEM_PACKAGES)


def test_hosts_that_have_everything_pass(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.facts()
    desk.check()
    assert not desk.told("error", "warning")
    assert SYSTEM in [one.check for one in desk.told("ok")]


def test_a_missing_package_is_named_with_service_and_hosts(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.facts(["snappy"])
    with pytest.raises(AmbariError, match="2 errors"):
        desk.check()
    first, second = desk.told("error")
    assert first.message.startswith("snappy-devel (for HDFS) is in no enabled repository on n1.x.org, n2.x.org")
    assert first.message.endswith("and 4 more")
    assert second.message.startswith("libtirpc-devel (for HDFS)")


def test_a_repository_of_the_inventory_may_have_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path, packages=[*OFFER, *(package(name) for name in SYSTEM_PACKAGES)])
    desk.facts([])
    desk.check()
    assert not desk.told("error")


def test_it_says_how_powertools_is_enabled(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.facts(["snappy"], files={f"{FOLDER}/Rocky-PowerTools.repo": file(ROCKY)})
    with pytest.raises(AmbariError):
        desk.check()
    hint = desk.told("error")[0].hint
    assert hint is not None
    assert "dnf config-manager --set-enabled powertools" in hint
    assert "prepare.powertools: true" in hint


def test_what_prepare_will_enable_is_not_missing(tmp_path: Path) -> None:
    desk = Desk(tmp_path, INVENTORY + "prepare: {powertools: true}\n")
    desk.facts(["snappy"], files={f"{FOLDER}/Rocky-PowerTools.repo": file(ROCKY)})
    desk.check()
    assert "which the phase prepare enables" in desk.told("ok")[-1].message


def test_a_host_whose_yum_does_not_answer_is_a_warning(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.facts([], availability_unknown="yum ended with 1: Error: Failed to download metadata for repo 'baseos'")
    desk.check()
    assert "Failed to download metadata" in desk.told("warning")[0].message


def test_without_ssh_the_operating_system_s_packages_are_said_to_be_expected(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.check()
    expected = [one.message for one in desk.told("ok") if "expected from the operating system" in one.message]
    assert [text.split()[0] for text in expected] == list(SYSTEM_PACKAGES)


def test_a_missing_package_of_the_stack_is_named(tmp_path: Path) -> None:
    desk = Desk(tmp_path, packages=[one for one in OFFER if one is not RANGER])
    desk.facts()
    with pytest.raises(AmbariError, match="lacks packages that the stack requires: ranger_3_2_0-hdfs-plugin"):
        desk.check()
    (found,) = desk.told("error")
    assert found.message == "ranger_3_2_0-hdfs-plugin (for HDFS) is not in the repository"


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        ("yarn jar /usr/bigtop/current/hadoop-mapreduce-client/hadoop-mapreduce-examples-3.3.4.jar pi", None),
        ("/usr/bigtop/3.2.0/usr/lib/hadoop/hadoop-common.jar", None),
        ("ls /usr/bigtop/current/hadoop-client", None),
        ("cat /usr/bigtop/current/hadoop-client/conf/core-site.xml", None),
        ("yarn jar /usr/bigtop/current/hadoop-mapreduce-client/hadoop-mapreduce-examples*.jar pi", None),
        (
            "spark-submit /usr/bigtop/3.2.0/usr/lib/spark-pi/spark-pi.jar",
            "/usr/bigtop/3.2.0/usr/lib/spark-pi/spark-pi.jar",
        ),
        ("x /usr/bigtop/current/hadoop-client/examples.jar.", "/usr/bigtop/current/hadoop-client/examples.jar"),
    ],
)
def test_files_that_jobs_name(tmp_path: Path, command: str, missing: str | None) -> None:
    desk = Desk(tmp_path, INVENTORY + f"jobs: {{one: {{on: master, command: '{command}'}}}}\n")
    desk.facts()
    desk.check()
    assert [one.message for one in desk.told("warning")] == (
        [f"{missing} is in none of the packages"] if missing else []
    )


YUM = """#!/bin/bash
[ "$1" != -q ] || shift
[ "$1 $2" = "list available" ] || exit 2
shift 2; code=1
for name in "$@"; do [ "$name" != snappy ] || { echo "snappy.x86_64   1.1.8-3.el8   baseos"; code=0; }; done
[ "$code" = 0 ] || echo "Error: No matching Packages to list" >&2
exit $code
"""
RPM = '#!/bin/bash\n[ "$1 $2 $3" = "-q --quiet --whatprovides" ] && [ "$4" = gcc ]\n'


def ask(tmp_path: Path, yum: str, *names: str) -> HostFacts:
    for name in (
        "date",
        "uname",
        "stat",
        "sha256sum",
        "base64",
        "timeout",
        "nproc",
        "df",
        "readlink",
        "cat",
        "tr",
        "bash",
    ):
        found = shutil.which(name)
        assert found is not None
        (tmp_path / name).symlink_to(found)
    for name, text in (("yum", yum), ("rpm", RPM)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return HostFacts.parse("me", gather(Wanted(packages=names), PATH=str(tmp_path)))


def test_a_host_says_what_it_has_and_what_it_can_install(tmp_path: Path) -> None:
    facts = ask(tmp_path, YUM, "gcc", "snappy", "snappy-devel")
    assert facts.available == {"gcc", "snappy"}
    assert facts.availability_unknown is None


def test_a_host_where_nothing_is_found_knows_that(tmp_path: Path) -> None:
    facts = ask(tmp_path, YUM, "snappy-devel")
    assert facts.available == frozenset()
    assert facts.availability_unknown is None


def test_a_host_whose_yum_fails_says_why(tmp_path: Path) -> None:
    failing = "#!/bin/bash\necho some repository; echo 'Error: no network' >&2; exit 1\n"
    facts = ask(tmp_path, failing, "snappy")
    assert facts.availability_unknown == "yum ended with 1: Error: no network"
