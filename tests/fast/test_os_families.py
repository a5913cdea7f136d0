"""Operating systems: their families, and what Ambari is told of those that it does not list."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.hosts.os_aliases import OS_FAMILY_FILES, tell_ambari
from bigtop_builder.hosts.os_families import family_of
from tests.fast.test_host_checks import found, inventory
from tests.fast.test_host_checks import host as checked_host
from tests.fast.test_operations import file, host, shown

FILE = OS_FAMILY_FILES["ambari-agent"]


@pytest.mark.parametrize(
    ("os_id", "version", "family", "alias"),
    [
        ("rocky", "8.10", "redhat8", None),
        ("rhel", "9.4", "redhat9", None),
        ("centos", "7", "redhat7", None),
        ("openEuler", "22.03", "openeuler22", None),
        ("almalinux", "9.1", "redhat9", "almalinux9"),
        ("almalinux", "8.10", "redhat8", "almalinux8"),
        ("anolis", "8.8", "redhat8", "anolis8"),
        ("openEuler", "24.03", "openeuler22", "openeuler24"),
        ("kylin", "V10", "openeuler22", "kylinV10"),
        ("UOS", "20", "redhat8", "uos20"),
        ("openEuler", "20.03", "openeuler20", None),
        ("anolis", "23", None, None),
        ("almalinux", "10.0", None, None),
        ("tencentos", "3.1", None, None),
        (None, None, None, None),
    ],
)
def test_families(os_id: str | None, version: str | None, family: str | None, alias: str | None) -> None:
    known = family_of(os_id, version)
    assert (known and known.name, known and known.alias) == (family, alias)


def test_ambari_is_told_once(tmp_path: Path) -> None:
    alma = {"os_id": "almalinux", "os_version": "8.10"}
    (operation,) = tell_ambari(host(**alma), "ambari-agent")
    assert operation.restarts == ("ambari-agent",)
    listed = tmp_path / "os_family.json"
    listed.write_text('{"mapping": {"redhat": {"versions": [8]}}, "aliases": {"suse11sp3": "suse11"}}')
    for _ in range(2):
        script = operation.script.replace(FILE, str(listed))
        subprocess.run(["bash", "-euo", "pipefail", "-c", script], check=True)
    assert json.loads(listed.read_text()) == {
        "mapping": {"redhat": {"versions": [8]}},
        "aliases": {"suse11sp3": "suse11", "almalinux8": "redhat8"},
    }
    assert shown(tuple(tell_ambari(host(**alma, files={FILE: file(listed.read_text())}), "ambari-agent"))) == []
    assert shown(tuple(tell_ambari(host(os_id="rocky", os_version="8.10"), "ambari-agent"))) == []


SETUP = {"host": "n1.x.org", "repository": "http://repo.x.org/ambari"}


@pytest.mark.parametrize(
    ("ambari", "system", "level", "message", "hint"),
    [
        (
            {},
            {"os_id": "almalinux", "os_version": "8.10", "os_name": "AlmaLinux 8.10"},
            "warning",
            "Ambari does not list AlmaLinux 8.10: it is treated as redhat8",
            f'"almalinux8": "redhat8" to aliases in {FILE}',
        ),
        (
            {"setup": SETUP},
            {"os_id": "almalinux", "os_version": "8.10", "os_name": "AlmaLinux 8.10"},
            "warning",
            "treated as redhat8",
            "deploy adds almalinux8: redhat8",
        ),
        (
            {},
            {"os_id": "tencentos", "os_version": "3.1", "os_name": "TencentOS 3.1", "family": None},
            "error",
            "TencentOS 3.1 is not supported",
            '"tencentos3": "redhat8"',
        ),
        (
            {},
            {"os_id": "openEuler", "os_version": "20.03", "os_name": "openEuler 20.03", "family": "openeuler20"},
            "error",
            "openEuler 20.03 is not supported",
            "Install one of their systems",
        ),
    ],
)
def test_what_is_known_is_told(
    tmp_path: Path, ambari: dict[str, Any], system: dict[str, Any], level: str, message: str, hint: str
) -> None:
    loaded = inventory(tmp_path, ambari={"url": "http://n1.x.org:8080", "password": "env:AMBARI", **ambari})
    (one,) = [one for one in found(loaded, checked_host(**system)) if one.check == "os"]
    assert (one.level, message in one.message, hint in (one.hint or "")) == (level, True, True), one
