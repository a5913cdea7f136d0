"""Agents on paper: package names are looked up, nothing is installed; for rehearsals and for thousands of hosts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bigtop_builder.ambari_simulator.agents.packages import HOOK_PACKAGES, exact_names, features_missing, pick
from bigtop_builder.ambari_simulator.agents.paper_hosts import PaperHost
from bigtop_builder.ambari_simulator.agents.repository_files import repository_file, unreadable
from bigtop_builder.ambari_simulator.agents.tracebacks import failure_text
from bigtop_builder.ambari_simulator.engine.state import World
from bigtop_builder.ambari_simulator.engine.task import Order, Outcome
from bigtop_builder.ambari_simulator.engine.work import Context, Work

Available = Callable[[str], frozenset[str] | None]
"""Base URL of a repository -> names of its packages; ``None`` if it cannot be read."""


class PaperAgent:
    """Answers like a real agent. ``available`` reads a repository's metadata; without it every package exists.

    ``hosts`` have packages and links: agents install on them, and report the version that a link leads to. ``own``:
    repositories that hosts have themselves, where agents write no files.
    """

    def __init__(
        self,
        available: Available | None = None,
        hosts: Mapping[str, PaperHost] | None = None,
        own: Sequence[str] = (),
    ) -> None:
        self.available = available
        self.own = own
        self.hosts = hosts or {}
        self.running: set[tuple[str, str]] = set()
        self.files: dict[str, dict[str, str]] = {}
        """Repository files by host and path."""

    def execute(
        self, command: str, component: str, host: str, context: Context
    ) -> tuple[bool, str, str, dict[str, Any]]:
        """See ``work.Agent``."""
        if command == "STATUS":
            return (host, component) in self.running, "", "", {}
        if lost := features_missing(context.configurations):
            return False, "", failure_text(lost, context.service, component, command), {}
        on_paper = self.hosts.get(host)
        version = {"repository_version_id": context.repository_id, "version": context.repository_version}
        if command == "INSTALL":
            said = self._write_repositories(host, context)
            reason = pick(context.packages, (), context.repository_version).missing if said else self._missing(context)
            if reason:
                text = failure_text(reason, context.service, component, command)
                # Agents log errors on both streams.
                return False, said or "", f"{said}\n{text}" if said else text, {}
            if on_paper is not None:
                names = exact_names(context.packages, context.repository_version)
                on_paper.install((*HOOK_PACKAGES, *names), context.selected, context.repository_version)
            return True, "", "None", version
        if command in {"START", "RESTART"}:
            self.running.add((host, component))
            if on_paper is not None and context.selected:
                version["version"] = on_paper.selected[context.selected[0]]
            return True, "Component has started with pid(s): 458", "None", version
        if command == "STOP":
            self.running.discard((host, component))
        return True, "", "None", {}

    def _write_repositories(self, host: str, context: Context) -> str | None:
        """Write the version's repositories; return what the agent says if a file on the host is unreadable then."""
        files = self.files.setdefault(host, {})
        file = repository_file(context)
        if file is not None:
            files[file.path] = file.content
        return unreadable(files)

    def _missing(self, context: Context) -> str | None:
        if self.available is None:
            return None
        names: set[str] = set()
        urls = [url for _, url in context.repositories] or self.own
        for url in urls:
            found = self.available(url)
            if found is None:
                return _failed_install(
                    f"Errors during downloading metadata for repository at {url}\n"
                    f"Error: Failed to download metadata for repo at {url}: Cannot download repomd.xml"
                )
            names |= found
        select = [name for name in HOOK_PACKAGES if name == "bigtop-select" and name not in names]
        if select and urls:
            return _failed_install("Error: Unable to find a match: bigtop-select")
        return pick(context.packages, names, context.repository_version).missing


def _failed_install(said: str) -> str:
    """Return the failure of the first package that an agent installs."""
    return (
        f"Failed to execute command '/usr/bin/yum -y install bigtop-select', exited with code '1', message: '{said}\n'"
    )


class PaperCrew:
    """Paper agents of all hosts: outcomes are known at once and reported after ``seconds`` (by command)."""

    def __init__(self, agent: PaperAgent | None = None, seconds: Mapping[str, float] | float = 0.0) -> None:
        self.agent = agent or PaperAgent()
        self._seconds = seconds

    def take(self, work: Work, order: Order, now: float) -> None:
        """See ``work.Crew``."""
        if order.cancel:
            return
        task = order.task
        command = task.custom or task.command
        then = now + self._duration(command)
        work.engine.after(then, lambda when: work.report(order, self._outcome(work, order, command), when))

    def _outcome(self, work: Work, order: Order, command: str) -> Outcome:
        context = work.context_of(order.task)
        if context is None:
            return Outcome(False, "", work.missing_text(order.task), None)
        return Outcome(*self.agent.execute(command, order.task.role, order.task.host, context))

    def _duration(self, command: str) -> float:
        return self._seconds if isinstance(self._seconds, float | int) else self._seconds.get(command, 0.0)

    def look(self, work: Work, now: float) -> None:
        """See ``work.Crew``: a component killed on paper is reported as INSTALLED."""
        for cluster in work.world.clusters.values():
            for one in cluster.components.values():
                if one.state == "STARTED" and (one.host, one.component) not in self.agent.running:
                    work.process_died(cluster.name, one.host, one.component)

    def find_running(self, world: World) -> None:
        """Take what a restored world says for running: processes on paper survive a restart of the server."""
        for cluster in world.clusters.values():
            for one in cluster.components.values():
                if one.desired == "STARTED":
                    self.agent.running.add((one.host, one.component))

    def close(self) -> None:
        """See ``work.Crew``."""
