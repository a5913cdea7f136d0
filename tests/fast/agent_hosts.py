"""Hosts whose repository files are those that the paper agents have written: scripts change them in a real bash."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bigtop_builder.adapter.ssh import Output
from bigtop_builder.ambari_simulator.agents.paper import PaperAgent
from bigtop_builder.ambari_simulator.agents.paper_hosts import OneByOne
from bigtop_builder.hosts.packages import REPOSITORIES
from bigtop_builder.model.errors import HostError, UnreachableHostError


class AgentHost:
    """One host; other scripts than those that gather facts run with its repository files in a folder."""

    def __init__(self, name: str, agent: PaperAgent, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.files = agent.files.setdefault(name, {})
        self.scripts: list[str] = []
        self.lost = False
        folder.mkdir()

    def run(self, script: str, *, stdin: bytes = b"", timeout: float | None = None, user: str | None = None) -> Output:
        if self.lost:
            raise UnreachableHostError(f"{self.name} is unreachable")
        if "emit facts 1" in script:
            return Output(0, self._facts(), "")
        if "rpm -qa" in script:
            raise HostError("there are no packages on paper")
        self.scripts.append(script)
        for path, text in self.files.items():
            (self.folder / Path(path).name).write_text(text)
        ran = subprocess.run(
            ["bash", "-c", script.replace(REPOSITORIES, str(self.folder))],
            input=stdin.replace(REPOSITORIES.encode(), str(self.folder).encode()),
            capture_output=True,
            timeout=60,
            check=False,
        )
        for path in list(self.files):
            if not (self.folder / Path(path).name).exists():
                del self.files[path]
        return Output(ran.returncode, ran.stdout.decode(), ran.stderr.decode())

    def close(self) -> None:
        pass

    def _facts(self) -> str:
        rows = ["facts\t1\t1.0", f"machine\t{self.name}\t4.18\tx86_64\t2", "limits\t1024\t1024\t1024\t1024"]
        for path, text in self.files.items():
            data = text.encode()
            rows.append(f"file\t{path}\tregular file\t{len(data)}\troot\troot\t644")
            rows.append(f"sha256\t{path}\t{hashlib.sha256(data).hexdigest()}")
            rows.append(f"texts\t{base64.b64encode(data).decode()}\t{path}")
        return "\n".join([*rows, "end\t2.0", ""])


class AgentFleet(OneByOne[AgentHost]):
    """The connections to such hosts."""

    def __init__(self, hosts: Sequence[AgentHost]) -> None:
        self.hosts = {host.name: host for host in hosts}
        self.round_trips = 0
