"""Provenance of packages that were really built, and builds that are checked by building twice."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import yaml

from bigtop_builder.adapter.store import Store
from bigtop_builder.model.digest import of_file
from tests.fast.served import address as served_at
from tests.real.conftest import SmallProject, Tool

DATED = """\
    cp hello.txt "$STAGE/"
    date +%s.%N > "$STAGE/when.txt"
"""


def results(store: Path, kind: str) -> dict[str, tuple[int, int]]:
    """Every result of the store, with what would change if it were replaced."""
    stats = {path.name: path.stat() for path in (store / kind).iterdir()}
    return {name: (stat.st_ino, stat.st_ctime_ns) for name, stat in stats.items()}


def test_a_published_build_tells_where_it_came_from(tmp_path: Path, shared_store: Path) -> None:
    project = {"stack": "bigtop-3.2.0", "platforms": ["el8"], "signing": {"homedir": str(tmp_path / "gnupg")}}
    (tmp_path / "bigtop-builder.yaml").write_text(yaml.safe_dump(project))
    tool = Tool(tmp_path, shared_store)
    tool("build", "bigtop-utils", "zookeeper", "bigtop-jsvc@debian-bootstrap")
    (published,) = tool.json("repo", "publish", "--make-key").values()
    assert published["not_attested"] == []
    (verdict,) = tool.json("repo", "verify").values()
    assert [problem for problem in verdict["problems"] if problem["kind"] == "provenance"] == []
    data = tool.json("provenance", "zookeeper_3_2_0", "--sbom")
    assert data["attested"] is True
    definition = data["statement"]["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["component"] == "zookeeper"
    (source,) = (one for one in definition["resolvedDependencies"] if one["name"] == "source main")
    assert len(source["digest"]["sha256"]) == 64
    found = {one.get("purl") for one in data["sbom"]["components"]}
    assert "pkg:maven/org.apache.zookeeper/zookeeper@3.5.9" in found
    text = tool("provenance", "zookeeper_3_2_0").stdout
    assert "zookeeper 3.5.9" in text and data["statement"]["subject"][0]["name"] in text


def test_a_new_result_leaves_nothing_unrecorded(small: SmallProject) -> None:
    small.component("recorded", f'echo {time.time_ns()} > note.txt; cp hello.txt note.txt "$STAGE/"\n')
    small.tool("build", "recorded")
    definition = small.tool.json("provenance", "recorded_1_0")["statement"]["predicate"]["buildDefinition"]
    assert definition["internalParameters"]["notRecorded"] == []
    names = [one["name"] for one in definition["resolvedDependencies"]]
    assert names == ["source main", "image of the compile step", "image of the package step"]
    assert all(one["digest"]["sha256"] for one in definition["resolvedDependencies"])


def test_an_own_source_from_elsewhere_is_attested_by_address_and_digest(small: SmallProject) -> None:
    small.component("forked", f'echo {time.time_ns()}; cp hello.txt "$STAGE/"\n')
    fork = small.root / "fork"
    small.write("fork/hello.txt", "hello from a fork\n")
    for command in ("init -q -b main", "add .", "-c user.name=a -c user.email=a@b.c commit -qm a", "tag v1.0.1"):
        subprocess.run(["git", "-C", str(fork), *command.split()], check=True)
    head = subprocess.run(["git", "-C", str(fork), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    archive = small.root / "fork.tar.gz"
    subprocess.run(["tar", "-czf", str(archive), "--exclude=.git", "-C", str(small.root), "fork"], check=True)
    address, sha256 = f"{served_at(small.root)}/fork.tar.gz", of_file(archive)
    git = f"git+file://{fork}@v1.0.1"
    for source, uri, digests in (
        (git, git, {"gitCommit": head.stdout.strip()}),
        (f"{address}#sha256={sha256}", address, {"sha256": sha256}),
    ):
        small.tool("build", "forked", "--source", f"forked={source}")
        definition = small.tool.json("provenance", "forked_1_0")["statement"]["predicate"]["buildDefinition"]
        (main,) = (one for one in definition["resolvedDependencies"] if one["name"] == "source main")
        assert main["uri"] == uri and digests.items() <= main["digest"].items()
        assert definition["internalParameters"]["notRecorded"] == []


def test_a_build_that_gives_the_same_twice_passes_the_check(small: SmallProject) -> None:
    small.component("steady", 'cp hello.txt "$STAGE/"\n')
    first = small.tool.json("build", "steady", "--check-reproducible")
    assert [component["identical"] for component in first["components"]] == [True]
    before = results(small.tool.store, "package")
    # What is reused is built twice as well.
    again = small.tool("build", "steady", "--check-reproducible", "--platform", "el8")
    assert "reused" in again.stderr and "built twice, byte-identical: 1 component" in again.stderr
    assert results(small.tool.store, "package").items() >= before.items()


def test_a_build_that_writes_the_date_is_told_by_the_file(small: SmallProject) -> None:
    small.component("dated", DATED)
    small.tool("build", "dated")
    manifests = {kind: results(small.tool.store, kind) for kind in ("compile", "package")}
    done = small.tool("build", "dated", "--check-reproducible", "--summary", "summary.md", code=12)
    assert "dated@el8 is not reproducible" in done.stderr
    assert "compile: when.txt: other content" in done.stderr
    assert "differs: `compile: when.txt: other content`" in (small.root / "summary.md").read_text()
    for kind, before in manifests.items():
        assert results(small.tool.store, kind).items() >= before.items()
    (component,) = small.tool.json("build", "dated", "--check-reproducible", code=12)["components"]
    assert component["state"] == "reused" and component["identical"] is False
    assert component["differences"] == ["compile: when.txt: other content"]
    assert Store(small.tool.store).dead_work() == []


def test_a_date_that_gets_into_the_package_is_told_by_its_path(small: SmallProject) -> None:
    small.component("stamped", 'cp hello.txt "$STAGE/"\n')
    path = small.root / "overlay" / "components" / "stamped" / "component.yaml"
    data = yaml.safe_load(path.read_text())
    data["install"] += 'date +%s.%N >> "$BUILDROOT{{ parent_dir }}/usr/lib/stamped/hello.txt"\n'
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    (component,) = small.tool.json("build", "stamped", "--check-reproducible", code=12)["components"]
    assert len(component["differences"]) == 1
    assert "usr/lib/stamped/hello.txt" in component["differences"][0]
    assert "other content" in component["differences"][0]
