"""Archives, packages and bundles that claim or unpack to far more than they are: refused within 1 GiB of memory."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests import bombs

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120
"""Seconds after which a test gives up; never asserted as a speed."""


def outcomes(kind: str, made: dict[str, Path]) -> dict[str, str]:
    """What a process with little memory says of each file."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bounded", kind, *map(str, made.values())],
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = dict(map(json.loads, done.stdout.splitlines()))
    return {name: told[str(path)] for name, path in made.items()}


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return outcomes("archive", bombs.write(tmp_path_factory.mktemp("archives"), bombs.ARCHIVES))


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return outcomes("package", bombs.write(tmp_path_factory.mktemp("packages"), bombs.PACKAGES))


@pytest.mark.parametrize("name", bombs.ARCHIVES)
def test_archive(archives: dict[str, str], name: str) -> None:
    assert re.match(rf"[0-9]+\.bomb(:| cannot).*{bombs.ARCHIVES[name][1]}", archives[name]), archives[name][:500]


@pytest.mark.parametrize("name", bombs.PACKAGES)
def test_package(packages: dict[str, str], name: str) -> None:
    assert re.search(rf"[0-9]+\.bomb: .*{bombs.PACKAGES[name][1]}", packages[name]), packages[name][:500]


def test_bundle(tmp_path: Path) -> None:
    made = {name: tmp_path / name for name in ("pax header", "manifest", "nested")}
    made["pax header"].write_bytes(bombs.header(tarfile.XHDTYPE, 2048 * bombs.MIB))
    with made["pax header"].open("ab") as file:
        file.truncate(2100 * bombs.MIB)
    with made["manifest"].open("wb") as file:
        file.write(bombs.header(tarfile.REGTYPE, 900 * bombs.MIB, "manifest.json"))
        file.truncate(901 * bombs.MIB)
    nested = b'{"a":' * 200_000
    made["nested"].write_bytes(bombs.header(tarfile.REGTYPE, len(nested), "manifest.json") + bombs.padded(nested))
    told = outcomes("bundle", made)
    assert "is not a bundle: a member has an extended header" in told["pax header"]
    assert "manifest.json is larger than" in told["manifest"]
    assert "the manifest is damaged" in told["nested"]
