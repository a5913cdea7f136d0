"""All runs of a store in short: read once when they have ended, and again while they go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bigtop_builder.adapter.store import Store
from bigtop_builder.cli.views.closing import headline
from bigtop_builder.cli.views.html.run_page import status_colour
from bigtop_builder.flow.run.records import RecordedRun, read_run, run_folders
from bigtop_builder.model.outcome import CacheFigures

KEPT = 10_000
"""The most runs that are listed."""
FRESH = 1.0
"""Seconds for which what was found is taken to be so still."""


@dataclass(frozen=True)
class RunRow:
    """A run in a list. ``components`` has the state of each ``NAME@PLATFORM``."""

    id: str
    kind: str
    status: str
    live: bool
    started: float
    seconds: float
    headline: str
    command: str
    project: str | None
    cluster: str
    dry_run: bool
    exit_code: int | None
    components: dict[str, str] = field(default_factory=dict)
    caches: dict[str, CacheFigures] = field(default_factory=dict)

    @property
    def colour(self) -> str:
        """The state whose colour it has."""
        return status_colour(self.status)


def row(run: RecordedRun) -> RunRow:
    """Return a run in short."""
    state = run.state
    live = run.live and state.exit_code is None
    return RunRow(
        run.id,
        state.kind,
        run.status,
        live,
        state.started,
        max(time.time() - state.started, 0.0) if live and state.started else state.elapsed,
        headline(state) if state.started else "",
        " ".join(state.command),
        state.project,
        state.deploy.cluster,
        state.deploy.dry_run or state.deploy.rehearsal,
        state.exit_code,
        {one.name: one.state for one in state.build.components()},
        dict(state.build.caches),
    )


@dataclass(frozen=True)
class Filter:
    """Which runs are wanted; an empty text means any."""

    kind: str = ""
    state: str = ""
    component: str = ""
    text: str = ""

    def matches(self, one: RunRow) -> bool:
        """Whether a run is wanted. ``state`` is ``done``, ``failed``, ``running`` or ``died``."""
        named = self.component.partition("@")[0]
        return (
            self.kind in ("", one.kind)
            and self._state(one)
            and (not self.component or any(named == name.partition("@")[0] for name in one.components))
            and (not self.text or self.text.lower() in f"{one.id} {one.command} {one.headline} {one.cluster}".lower())
        )

    def _state(self, one: RunRow) -> bool:
        if self.state == "failed":
            return one.status.startswith("exit")
        return self.state in ("", one.status) or (self.state == "died" and one.status == "no record")


class RunIndex:
    """The runs of a store, the newest first. Any thread may ask."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.version = 0
        """Changes whenever a run was added, removed, or went on."""
        self.unread = 0
        """How many runs have not been read yet."""
        self._rows: dict[str, RunRow] = {}
        self._sizes: dict[str, int] = {}
        self._lock = threading.Lock()
        self._looked = 0.0

    def rows(self) -> list[RunRow]:
        """Return the runs that are known now; the first call reads them all."""
        with self._lock:
            if time.monotonic() - self._looked > FRESH:
                self._refresh()
                self._looked = time.monotonic()
            return sorted(self._rows.values(), key=lambda one: one.id, reverse=True)

    def matching(self, wanted: Filter) -> Iterator[RunRow]:
        """Yield the runs that are wanted, the newest first."""
        return (one for one in self.rows() if wanted.matches(one))

    def _refresh(self) -> None:
        folders = run_folders(self.store)[:KEPT]
        gone = self._rows.keys() - {folder.name for folder in folders}
        for name in gone:
            del self._rows[name]
            self._sizes.pop(name, None)
        changed = bool(gone)
        todo = [folder for folder in folders if self._outdated(folder)]
        self.unread = len(todo)
        for folder in todo:
            found = row(read_run(self.store, folder, brief=True))
            changed = changed or found != self._rows.get(folder.name)
            self._rows[folder.name] = found
            self.unread -= 1
        self.version += changed

    def _outdated(self, folder: Path) -> bool:
        """Whether a run must be read: a new one, or one that has gone on since or has died."""
        known = self._rows.get(folder.name)
        if known is not None and known.exit_code is not None:
            return False
        try:
            size = (folder / "events.jsonl").stat().st_size
        except OSError:
            size = -1
        if known is None or self._sizes.get(folder.name) != size:
            self._sizes[folder.name] = size
            return True
        return known.live and not self.store.is_live(folder.name)
