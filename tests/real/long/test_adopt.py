"""The main job of an operator on a test bed, as ``make adopt`` does it: containers, a a real ZooKeeper."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.real.conftest import ROOT, Tool

SECONDS = 3600


def test_a_cluster_made_by_hand_is_adopted_changed_repaired_and_changed_back(
    tmp_path: Path, shared_store: Path
) -> None:
    project = tmp_path / "bigtop-builder.yaml"
    project.write_text("stack: bigtop-3.2.0\nplatforms: [el8]\n")
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "adopt.py"), "--project", str(project)],
        env=Tool(tmp_path, shared_store).environment(),
        text=True,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    writers = re.findall(r"the client: writes (\d+), failures (\d+)", done.stdout)
    assert [failures for _, failures in writers] == ["0", "0", "0"]
    assert all(int(writes) > 0 for writes, _ in writers)
