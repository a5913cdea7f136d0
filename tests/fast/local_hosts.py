"""Hosts that are this machine: scripts are run by its bash, as they would be over SSH."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field

from bigtop_builder.adapter.ssh.remote import Output
from bigtop_builder.ambari_simulator.agents.paper_hosts import OneByOne
from bigtop_builder.model.errors import UnreachableHostError


@dataclass
class LocalHost:
    name: str
    lost: bool = False
    cut: int | None = None
    """Only so many bytes of standard input arrive."""
    runs: int = 0

    def run(self, script: str, *, stdin: bytes = b"", timeout: float | None = None, user: str | None = None) -> Output:
        if self.lost:
            raise UnreachableHostError(f"{self.name}: no route to host")
        self.runs += 1
        done = subprocess.run(
            ["bash", "-c", script], input=stdin[: self.cut], capture_output=True, timeout=timeout or 30, check=False
        )
        return Output(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def close(self) -> None:
        pass


@dataclass
class LocalFleet(OneByOne[LocalHost]):
    hosts: dict[str, LocalHost] = field(default_factory=dict)

    @classmethod
    def of(cls, *names: str) -> LocalFleet:
        return cls({name: LocalHost(name) for name in names})
