"""Hosts that are this machine: scripts are run by its bash, as they would be over SSH."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bigtop_builder.adapter.ssh.remote import Output
from bigtop_builder.model.errors import HostError, UnreachableHostError


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


class OneByOne:
    """A fleet that works on its hosts one after the other."""

    hosts: Mapping[str, Any]

    def each(
        self,
        work: Callable[[Any], Any],
        hosts: Sequence[str] | None = None,
        *,
        done: Callable[[str, Any], None] | None = None,
    ) -> dict[str, Any]:
        results: dict[str, Any] = {}
        for name in hosts if hosts is not None else self.hosts:
            try:
                results[name] = work(self.hosts[name])
            except HostError as error:
                results[name] = error
            if done is not None:
                done(name, results[name])
        return results


@dataclass
class LocalFleet(OneByOne):
    hosts: dict[str, LocalHost] = field(default_factory=dict)

    def close(self) -> None:
        """There is nothing to close."""

    @classmethod
    def of(cls, *names: str) -> LocalFleet:
        return cls({name: LocalHost(name) for name in names})
