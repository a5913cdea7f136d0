"""Packages of two architectures, from a cluster of which one worker emulates the other architecture: qemu, real dnf."""

from __future__ import annotations

import pytest

from scripts import demo_architectures
from scripts.demo_architectures import OTHER, OWN


def test_a_worker_of_another_architecture_builds_what_is_native_and_noarch_is_built_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """``scripts/setup qemu`` sets up what it needs."""
    demo_architectures.main(("bigtop-utils", "bigtop-jsvc"))
    shown = capsys.readouterr().out
    assert f"bigtop-jsvc@debian-bootstrap.{OTHER}/compile: the worker {OTHER}" in shown
    assert f"bigtop-jsvc@debian-bootstrap/compile: the worker {OWN}" in shown
    assert [line for line in shown.splitlines() if line.startswith("bigtop-utils@")] == [
        f"bigtop-utils@debian-bootstrap/package: the worker {OWN}"
    ]
    assert "on the cluster: the same bytes" in shown
    assert f'["bigtop-jsvc", "{OTHER}"]' in shown and f'["bigtop-jsvc", "{OWN}"]' in shown
    assert shown.count('["bigtop-utils", "noarch"]') == 1
    assert f"a host of {OTHER}:\n  INSTALLED bigtop-jsvc {OTHER}\n  INSTALLED bigtop-utils noarch" in shown
