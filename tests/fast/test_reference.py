"""Comparison with a reference: each kind of difference, and the ones that are meant."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.adapter.rpm.header import RpmHeader, read_header
from bigtop_builder.flow.publish.package_compare import (
    Allowance,
    Difference,
    as_json,
    as_text,
    compare,
    describe,
    read_reference,
)
from bigtop_builder.model.errors import ConfigurationError
from tests.rpmfile import File, Spec, write_rpm

SPEC = Spec(
    name="zookeeper_3_2_0",
    version="3.5.9",
    release="2.el8",
    requires=("bigtop-utils >= 0.7", "config(zookeeper_3_2_0) = 3.5.9-2.el8"),
    files={
        "/etc/zookeeper/zoo.cfg": File(b"x", flags=17),
        "/usr/lib/zookeeper/conf": File(link="/etc/zookeeper", mode=0o120777),
        "/usr/share/doc/zookeeper/README": File(b"x", flags=2),
    },
    scripts={"post": "true"},
)
NAME = SPEC.name


@pytest.fixture
def header(tmp_path: Path) -> RpmHeader:
    return read_header(write_rpm(tmp_path, SPEC))


@pytest.fixture
def reference(tmp_path: Path) -> dict[str, Any]:
    """The same package, labelled for another platform."""
    config = "config(zookeeper_3_2_0) = 3.5.9-2.el7"
    other = replace(SPEC, release="2.el7", requires=("bigtop-utils >= 0.7", config))
    return json.loads(json.dumps(describe(read_header(write_rpm(tmp_path, other)))))  # type: ignore[no-any-return]


def test_shape_of_a_description(reference: dict[str, Any]) -> None:
    assert reference == {
        "file": "zookeeper_3_2_0-3.5.9-2.el7.noarch.rpm",
        "name": "zookeeper_3_2_0",
        "version": "3.5.9",
        "release": "2.el7",
        "arch": "noarch",
        "summary": "A package of a test",
        "license": "ASL 2.0",
        "group": "Development/Libraries",
        "requires": ["bigtop-utils >= 0.7", "config(zookeeper_3_2_0) = 3.5.9-2.el7"],
        "provides": ["zookeeper_3_2_0 = 3.5.9-2.el7"],
        "scripts": ["postinstall"],
        "documentation_files": 1,
        "files": [
            {"path": "/etc/zookeeper/zoo.cfg", "mode": "-rw-r--r--", "owner": "root:root", "flags": "cn"},
            {
                "path": "/usr/lib/zookeeper/conf",
                "mode": "lrwxrwxrwx",
                "owner": "root:root",
                "link": "/etc/zookeeper",
            },
        ],
    }


def test_another_dist_tag_is_no_difference(header: RpmHeader, reference: dict[str, Any]) -> None:
    assert compare([header], [reference]) == []


def test_every_kind_of_difference(header: RpmHeader, reference: dict[str, Any]) -> None:
    reference.update(arch="x86_64", requires=["bigtop-utils >= 0.7", "chkconfig"], scripts=[], license="GPL")
    config, link = reference["files"]
    config.update(mode="-rwxr-xr-x", owner="zookeeper:hadoop")
    del config["flags"]
    link["link"] = "/elsewhere"
    reference["files"].append({"path": "/etc/more", "mode": "-rw-r--r--", "owner": "root:root"})
    assert compare([header], [reference]) == [
        Difference(NAME, "arch", "", "noarch", "x86_64"),
        Difference(NAME, "license", "", "ASL 2.0", "GPL"),
        Difference(NAME, "requires", "", "config(zookeeper_3_2_0) = 3.5.9-2", None),
        Difference(NAME, "requires", "", None, "chkconfig"),
        Difference(NAME, "scripts", "", "postinstall", None),
        Difference(NAME, "file", "/etc/more", None, "-rw-r--r--"),
        Difference(NAME, "file mode", "/etc/zookeeper/zoo.cfg", "-rw-r--r--", "-rwxr-xr-x"),
        Difference(NAME, "file owner", "/etc/zookeeper/zoo.cfg", "root:root", "zookeeper:hadoop"),
        Difference(NAME, "file flags", "/etc/zookeeper/zoo.cfg", "cn", None),
        Difference(NAME, "file link", "/usr/lib/zookeeper/conf", "/etc/zookeeper", "/elsewhere"),
    ]


def test_whole_packages_on_one_side(header: RpmHeader, reference: dict[str, Any]) -> None:
    other = {**reference, "name": "other", "file": "other.rpm"}
    assert compare([header], [other]) == [
        Difference("other", "package", "", None, "other.rpm"),
        Difference(NAME, "package", "", "zookeeper_3_2_0-3.5.9-2.el8.noarch.rpm", None),
    ]


def test_meant_differences_carry_their_reason(header: RpmHeader, reference: dict[str, Any]) -> None:
    reference.update(arch="x86_64")
    reference["files"].append({"path": "/etc/more", "mode": "-rw-r--r--", "owner": "root:root"})
    allow = [
        Allowance("the Java part is noarch", package="zookeeper*", kind="arch", subject="noarch"),
        Allowance("never", kind="file", subject="/usr/*"),
    ]
    found = compare([header], [reference], allow=allow)
    assert [difference.explained for difference in found] == ["the Java part is noarch", None]
    text = as_text(found)
    assert f"explained: the Java part is noarch\n    {NAME}: arch: ours noarch, theirs x86_64\n" in text
    assert f"{NAME}: file /etc/more: ours -, theirs -rw-r--r--\n" in text
    assert text.endswith("2 differences, 1 of them not explained")
    assert [item["kind"] for item in json.loads(as_json(found))] == ["arch", "file"]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '[{"version": "1"}]'])
def test_bad_reference_files(tmp_path: Path, content: str) -> None:
    path = tmp_path / "reference.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match="reference"):
        read_reference([path, tmp_path / "none"])
