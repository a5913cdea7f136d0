"""Why a build failed, from what its tools printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.flow.build.clean_host import NEEDED
from bigtop_builder.flow.build.diagnosis import diagnose
from bigtop_builder.flow.build.log_lines import log_end
from bigtop_builder.flow.build.native_files import refused_files

REFUSED = """\
Processing files: ambari-agent-3.0.0.0-1.el8.noarch
Provides: ambari-agent = 3.0.0.0-1.el8
Requires(rpmlib): rpmlib(CompressedFileNames) <= 3.0.4-1 rpmlib(FileDigests) <= 4.6.0-1
error: Arch dependent binaries in noarch package


RPM build errors:
    Arch dependent binaries in noarch package
"""
"""What rpmbuild 4.14 prints: the package, never the files."""
UNPACKAGED = """\
error: Installed (but unpackaged) file(s) found:
   /usr/lib/ambari-agent/x.so


RPM build errors:
    Installed (but unpackaged) file(s) found:
   /usr/lib/ambari-agent/x.so
"""
PYTHON = "usr/lib/ambari-agent/lib/ambari_simplejson"


@pytest.fixture
def build_root(tmp_path: Path) -> Path:
    tree = tmp_path / "BUILDROOT/ambari-agent-3.0.0.0-1.el8.x86_64"
    (tree / PYTHON).mkdir(parents=True)
    (tree / PYTHON / "_speedups.so").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(57))
    (tree / PYTHON / "_posixsubprocess.so").write_bytes(b"\x7fELF\x01")
    (tree / PYTHON / "encoder.py").write_text("import x\n")
    (tree / PYTHON / "empty.so").touch()
    (tree / PYTHON / "latest.so").symlink_to("_speedups.so")
    return tmp_path / "BUILDROOT"


@pytest.mark.parametrize("limit", [1 << 20, 700])
def test_native_files_of_a_noarch_package_are_named(tmp_path: Path, build_root: Path, limit: int) -> None:
    path = tmp_path / "package.log"
    with LogWriter(path, limit) as log:
        log.write(b"+ bash -eu install.sh\n" * 40 + REFUSED.encode())
        said = refused_files(log.end, build_root.parent, build_root.name)
    assert said == f": native files in a noarch package: /{PYTHON}/_posixsubprocess.so, /{PYTHON}/_speedups.so"
    found = diagnose(path, f"rpmbuild exited with 1{said}")
    assert found.cause == "a noarch package has native files" and "arch: native" in (found.hint or "")


def test_native_files_are_only_named_if_rpmbuild_refused_them(tmp_path: Path, build_root: Path) -> None:
    (tmp_path / "log").write_text(UNPACKAGED)
    assert refused_files(tmp_path / "log", build_root.parent, build_root.name) == ""
    found = diagnose(tmp_path / "log", "rpmbuild exited with 1")
    assert "file list does not match" in (found.cause or "")


def test_many_native_files_are_counted(tmp_path: Path, build_root: Path) -> None:
    (tmp_path / "log").write_text(REFUSED)
    for number in range(20):
        (build_root / "ambari-agent-3.0.0.0-1.el8.x86_64" / f"{number}.so").write_bytes(b"\x7fELF")
    assert refused_files(tmp_path / "log", build_root.parent, build_root.name).endswith("/17.so and 12 more")


@pytest.mark.parametrize("unit", ["a", "a ", "1", "\n", " ", "a:", "-", "[ERROR] "])
def test_a_log_that_is_made_for_patterns_to_search_long_is_diagnosed_all_the_same(tmp_path: Path, unit: str) -> None:
    """A word of 256 KiB kept a pattern searching for minutes: lines are cut before any is tried."""
    log = tmp_path / "log"
    log.write_text(unit * ((1 << 20) // len(unit)) + "\nbash: line 1: gmake: command not found\n")
    found = diagnose(log)
    assert "gmake" in (found.cause or "")
    assert max(map(len, log_end(log).splitlines())) <= 1000


def test_requirements_are_found_among_any_number_of_empty_lines() -> None:
    text = "\n" * 200_000 + "\tlib.so.1()(64bit) is needed by hadoop-3.3.4-1.noarch\n"
    assert [found["need"] for found in NEEDED.finditer(text)] == ["lib.so.1()(64bit)"]
