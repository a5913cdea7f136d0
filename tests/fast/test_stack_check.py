"""``repo check-stack`` on real repository metadata and RPM files."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from bigtop_builder.adapter.repository.metadata import package_chunks, write_repodata
from bigtop_builder.cli.app import run
from bigtop_builder.cluster.demand_check import choose_components
from bigtop_builder.cluster.stack_data import load_stack
from bigtop_builder.flow.publish.server import RepositoryServer
from bigtop_builder.flow.publish.stack_check import check_offer, names_known, read_offer
from bigtop_builder.model.ambari_stack import AmbariLine
from bigtop_builder.model.errors import PublishError
from bigtop_builder.recipe.catalog import shipped_templates
from tests.rpmfile import Spec, write_rpm

OURS = (shipped_templates() / "components" / "bigtop-select" / "files" / "distro-select").read_bytes()
SELECT = "/usr/lib/bigtop-select/distro-select"
CONF = "/usr/lib/bigtop-select/conf-select"
ROOT = "/usr/bigtop/3.2.0"
ZOOKEEPER = Spec(
    name="zookeeper_3_2_0",
    files={f"{ROOT}/usr/lib/zookeeper/zookeeper.jar": b"", f"{ROOT}/etc/zookeeper/conf.dist/zoo.cfg": b""},
)


def repository(folder: Path, *specs: Spec) -> Path:
    packages = folder / "packages"
    chunks = []
    for spec in specs:
        path = write_rpm(packages, spec)
        chunks.append(package_chunks(path, path.name))
    write_repodata(folder, chunks, 1)
    return folder


def selector(text: bytes = OURS, version: str = "3.2.0") -> Spec:
    return Spec(name="bigtop-select", version=version, files={SELECT: text, CONF: b"#!/bin/sh"})


def test_a_folder_is_read(tmp_path: Path) -> None:
    stack = load_stack()
    folder = repository(tmp_path, selector(), ZOOKEEPER)
    components = choose_components(stack, ["ZOOKEEPER"])
    for place in (str(folder), f"file://{folder}"):
        offer = read_offer([place], stack)
        assert len(offer.packages) == 2
        assert check_offer(offer, stack, components, family="redhat8", version="3.2.0") == []


def test_a_location_that_is_no_path_is_told(tmp_path: Path) -> None:
    folder = repository(tmp_path, ZOOKEEPER)
    repomd = folder / "repodata" / "repomd.xml"
    for location in ("n" * 5000, "/etc/passwd", "../../../etc/passwd"):
        repomd.write_text(re.sub('href="[^"]*primary.xml.gz"', f'href="{location}"', repomd.read_text()))
        with pytest.raises(PublishError, match=r"is no path in|leads out of|is not in"):
            read_offer([str(folder)], load_stack())
        repomd.write_text(repomd.read_text().replace(location, "primary.xml.gz"))


def test_an_address_is_read(tmp_path: Path) -> None:
    repository(tmp_path / "bigtop-3.2.0" / "el8", selector(), ZOOKEEPER)
    with RepositoryServer(tmp_path, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            offer = read_offer([f"http://127.0.0.1:{server.server_address[1]}/bigtop-3.2.0/el8"], load_stack())
        finally:
            server.shutdown()
            thread.join()
    assert {package.name for package in offer.packages} == {"bigtop-select", "zookeeper_3_2_0"}
    assert offer.selector is not None
    assert "zookeeper-server" in offer.selector


def test_the_newest_selector_counts(tmp_path: Path) -> None:
    old, new = selector(b"leaves = {'zookeeper-client': 'zookeeper'}", "3.9.0"), selector(version="3.10.0")
    offer = read_offer([str(repository(tmp_path, old, new))], load_stack())
    assert offer.selector is not None
    assert "zookeeper-server" in offer.selector


def test_several_repositories_are_one_offer(tmp_path: Path) -> None:
    one, other = repository(tmp_path / "one", selector()), repository(tmp_path / "other", ZOOKEEPER)
    assert len(read_offer([str(one), str(other)], load_stack()).packages) == 2


def found_in(folder: Path, *specs: Spec, line: AmbariLine = "3.0", family: str = "redhat8") -> list[tuple[str, str]]:
    stack = load_stack(ambari=line)
    offer = read_offer([str(repository(folder, *specs))], stack)
    components = choose_components(stack, ["ZOOKEEPER"])
    found = check_offer(offer, stack, components, family=family, version="3.2.0")
    return [(one.level, f"{one.subject} {one.message}") for one in found if one.kind != "elsewhere"]


@pytest.mark.parametrize(
    ("first", "requires", "family", "said"),
    [
        ("#!/usr/bin/env python", (), "redhat8", "runs with python, which hosts of redhat8 do not have"),
        ("#!/usr/bin/python2", (), "redhat9", "runs with python2"),
        ("#!/usr/bin/env -S python3 -s", (), "redhat7", "runs with python3"),
        ("#!/usr/bin/python2", ("/usr/bin/python2",), "redhat8", None),
        ("#!/usr/bin/env python", (), "redhat7", None),
        ("#! /usr/bin/env python3", (), "redhat8", None),
        ("", (), "redhat8", "does not begin with #!"),
    ],
)
def test_the_interpreter_of_the_selector(
    first: str, requires: tuple[str, ...], family: str, said: str | None, tmp_path: Path
) -> None:
    text = f"{first}\nleaves = {{'zookeeper-client': 'zookeeper', 'zookeeper-server': 'zookeeper'}}\n".encode()
    tool = replace(selector(text), requires=requires)
    line: AmbariLine = "2.8" if family == "redhat7" else "3.0"
    found = found_in(tmp_path, tool, ZOOKEEPER, line=line, family=family)
    assert [level for level, _ in found] == (["error"] if said else [])
    assert not said or said in found[0][1]


@pytest.mark.parametrize(
    ("code", "line", "said"),
    [
        ("print 'packages'", "3.0", "Python 3 by agents of Ambari 3.0"),
        ("print 'packages'", "2.8", None),
        ("print(f'{leaves}')", "2.8", "line 3 needs Python 3"),
        ("print(f'{leaves}')", "3.0", None),
    ],
)
def test_agents_run_the_selector_with_their_own_python(
    code: str, line: AmbariLine, said: str | None, tmp_path: Path
) -> None:
    head = "#!/usr/bin/env bash\nleaves = {'zookeeper-client': 'zookeeper', 'zookeeper-server': 'zookeeper'}\n"
    family = "redhat7" if line == "2.8" else "redhat8"
    found = found_in(tmp_path, selector(f"{head}{code}\n".encode()), ZOOKEEPER, line=line, family=family)
    assert [level for level, _ in found] == (["error"] if said else [])
    assert not said or said in found[0][1]


def test_a_selector_that_is_in_no_package_is_told(tmp_path: Path) -> None:
    without = Spec(name="bigtop-select", version="3.2.0", files={SELECT: OURS})
    (only,) = found_in(tmp_path / "one", without, ZOOKEEPER)
    assert only[0] == "warning" and "conf-select is in no package" in only[1] and "reported an error" in only[1]
    elsewhere = Spec(name="conf-select", files={CONF: b"#!/bin/sh"})
    assert found_in(tmp_path / "two", without, elsewhere, ZOOKEEPER) == []
    neither = Spec(name="bigtop-select", version="3.2.0", files={"/usr/lib/bigtop-select/x": b""})
    assert [level for level, _ in found_in(tmp_path / "three", neither, ZOOKEEPER)].count("error") == 1


def test_a_version_that_the_repository_does_not_have_is_told(tmp_path: Path) -> None:
    other = Spec(name="zookeeper_3_2_0-native", version="3.5.8", files={"/n": b""})
    asking = replace(ZOOKEEPER, requires=("zookeeper_3_2_0-native >= 3.5.9",))
    (only,) = found_in(tmp_path, selector(), asking, other)
    assert only[0] == "error" and "the repository has zookeeper_3_2_0-native = 3.5.8" in only[1]


@pytest.mark.parametrize(
    ("text", "known", "unknown"),
    [
        ("FOLDERS = {'hive': 'hive-client hive-server2'}\nOTHER = {'spark-client': 1}", "hive-client", "spark-client"),
        ("leaves = {'spark-client': 'spark'}\naliases = {'livy-server': 'x'}", "spark-client", "livy-server"),
        ("leaves = {'spark-client': 'spark'}\nprint 'python 2'", "spark-client", "livy-server"),
        ("case $1 in zookeeper-client|zookeeper-server) ;; esac", "zookeeper-server", "livy-server"),
    ],
)
def test_names_of_a_selector(text: str, known: str, unknown: str) -> None:
    names = names_known(text)
    assert known in names
    assert unknown not in names


def test_our_selector_knows_every_name_of_the_stacks() -> None:
    stack = load_stack(version="3.3.0")
    known = names_known(OURS.decode())
    wanted = {name for names in stack.folders.values() for name in names}
    assert wanted <= known


def test_no_repository_is_told(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="repomd"):
        read_offer([str(tmp_path)], load_stack())


def test_damaged_metadata_is_told(tmp_path: Path) -> None:
    folder = repository(tmp_path, ZOOKEEPER)
    primary = next((folder / "repodata").glob("*primary*"))
    primary.write_bytes(primary.read_bytes()[:50])
    with pytest.raises(PublishError, match="metadata cannot be read"):
        read_offer([str(folder)], load_stack())


def test_command_names_what_is_missing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = repository(tmp_path / "repository", selector(), ZOOKEEPER)
    options = ["-C", str(tmp_path), "repo", "check-stack", str(folder), "--family", "redhat8"]
    assert run([*options, "--services", "ZOOKEEPER"]) == 0
    assert "nothing is missing" in capfd.readouterr().out
    assert run([*options, "--services", "ZOOKEEPER,TEZ", "--json"]) == 9
    answer = json.loads(capfd.readouterr().out)
    wrong = [(one["subject"], one["wanted_by"]) for one in answer["findings"] if one["level"] == "error"]
    assert wrong == [("tez_3_2_0", "TEZ")]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "no services are named"),
        (["--services", "ZOKEEPER"], "ZOOKEEPER"),
        (["--services", "ZOOKEEPER", "--stack", "BIGTOP"], "For example: BIGTOP-3.2.0"),
        (["--services", "ZOOKEEPER", "--stack", "BIGTOP-9.9.9"], "not known here"),
        (["--services", "ZOOKEEPER", "--platform", "debian-bootstrap"], "no OS family"),
    ],
)
def test_command_refuses_bad_input(
    options: list[str], said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["-C", str(tmp_path), "repo", "check-stack", str(tmp_path), *options]) == 2
    assert said in capfd.readouterr().err


def test_a_place_is_seen_from_the_given_folder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    repository(tmp_path / "here", selector(), ZOOKEEPER)
    options = ["-C", str(tmp_path), "repo", "check-stack", "--family", "redhat8", "--services", "ZOOKEEPER"]
    assert run([*options, "here"]) == 0
    assert run([*options, "here/repodata/repomd.xml"]) == 2
    assert "--inventory" in capfd.readouterr().err


def test_command_takes_an_inventory(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    repository(tmp_path / "repository" / "redhat8", selector(), ZOOKEEPER)
    file = tmp_path / "inventory.yaml"
    file.write_text(
        f"cluster: c1\nrepositories:\n  - url: file://{tmp_path}/repository/{{family}}\n"
        "groups:\n  all:\n    hosts: [n1.example.com]\n    components: [ZOOKEEPER_SERVER, {name: SPARK_CLIENT}]\n",
        encoding="utf-8",
    )
    options = ["repo", "check-stack", "--inventory", str(file), "--family", "redhat8", "--json"]
    assert run(["-C", str(tmp_path), *options]) == 9
    answer = json.loads(capfd.readouterr().out)
    assert answer["components"] == ["ZOOKEEPER_SERVER", "SPARK_CLIENT"]
    assert "spark_3_2_0-core" in {one["subject"] for one in answer["findings"]}
