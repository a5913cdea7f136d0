"""A build on a cluster of processes: real scheduler, workers and containers, TLS, and a worker that is killed."""

from __future__ import annotations

import pytest

from scripts import demo_distributed


def test_a_cluster_builds_the_same_bytes_although_a_worker_is_killed(capsys: pytest.CaptureFixture[str]) -> None:
    """The demo with its quick components; the killed worker compiles the one that takes longest."""
    demo_distributed.main(("bigtop-utils", "bigtop-select", "bigtop-groovy", "bigtop-jsvc"), "bigtop-jsvc")
    shown = capsys.readouterr().out
    assert "killed worker-" in shown and "on the cluster: the same bytes" in shown
    assert "a fresh machine: everything from shared results" in shown
