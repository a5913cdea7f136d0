"""A run that somebody looks at: its state, read once for all viewers, and the parts of its page that changed."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from pathlib import Path

from bigtop_builder.adapter.store import Store
from bigtop_builder.cli.views.html.graph import Graph
from bigtop_builder.cli.views.html.page_renderer import Language, pieces
from bigtop_builder.cli.views.html.run_page import RunPage
from bigtop_builder.flow.run.records import RecordedRun, parse_event
from bigtop_builder.flow.run.state import detailed_state
from bigtop_builder.model.event import (
    AnyEvent,
    CacheUsed,
    Notice,
    PhaseEvent,
    RunFinished,
    RunStarted,
    StepProgress,
    TaskEvent,
    TaskFinished,
    TaskStarted,
)

KEPT = 12
"""The most runs whose state is kept."""
READ = 4 << 20
"""The most bytes of a log of events that are read at once."""
REDRAWN = 15.0
"""Seconds after which what takes long to draw is drawn again, while no task begins or ends or there are many."""
DRAWN = 300
"""From this many tasks on timeline and packages are not drawn again whenever a task begins or ends."""


class FollowedRun:
    """The state of a run. ``number`` counts the events read; ``look`` reads what is new. Any thread may ask."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.folder = folder
        self.number = 0
        self.live = True
        self.spent = 0.0
        """Processor seconds that reading it and writing the parts of its page have taken."""
        self.lock = threading.RLock()
        self._store = store
        self._state = detailed_state()
        self._offset = 0
        self._changed: dict[str, int] = {}
        """The number of the event that last changed each part of the page."""
        self._page: RunPage | None = None
        self._graph: Graph | None = None
        self._critical: set[int] = set()
        self._places: dict[str, int] = {}
        self._drawn = 0.0
        self._messages: dict[tuple[int, int, Language, str], str] = {}

    def look(self) -> None:
        """Read what the log has gained, as far as its lines are whole."""
        with self.lock:
            if not self.live:
                return
            began = time.thread_time()
            # Asked before the log is read: the last event of a run that ends in between is then read.
            live = self._store.is_live(self.folder.name)
            while self._read():
                pass
            self.live = live and self._state.exit_code is None
            if not self.live and self._state.exit_code is None:
                self._state.close()
                self._page = None
            self.spent += time.thread_time() - began

    def _read(self) -> bool:
        try:
            with (self.folder / "events.jsonl").open("rb") as log:
                log.seek(self._offset)
                data = log.read(READ)
        except OSError:
            return False
        whole = data.rfind(b"\n") + 1
        self._offset += whole
        for line in data[:whole].splitlines():
            event = parse_event(line)
            if event is not None:
                self.number += 1
                self._state.apply(event)
                self._mark(event)
        return whole > 0 and len(data) == READ

    def _mark(self, event: AnyEvent) -> None:
        """Note which parts of the page an event changes."""
        changed = ["summary"] if isinstance(event, RunStarted | RunFinished | TaskStarted | TaskFinished) else []
        if isinstance(event, RunStarted):
            self._page = None
        elif isinstance(event, TaskEvent | CacheUsed):
            changed += self._task_parts(event)
        elif isinstance(event, PhaseEvent):
            changed += [f"p-{event.phase}", "problems"]
        elif isinstance(event, Notice):
            changed += ["notices", "problems"]
        for name in changed:
            self._changed[name] = self.number

    def _task_parts(self, event: TaskEvent | CacheUsed) -> list[str]:
        if event.task not in self._places:
            self._places = {name: place for place, name in enumerate(self._state.build.tasks)}
            self._page = None
        place = self._places.get(event.task)
        if place is None:
            return []
        changed = [f"t-{place}"]
        ended = isinstance(event, TaskStarted | TaskFinished)
        few = len(self._places) < DRAWN
        if (ended and few) or ((ended or isinstance(event, StepProgress)) and event.time - self._drawn > REDRAWN):
            self._drawn = event.time
            changed += ["timeline", "packages"]
        if ended:
            changed += [f"n-{place}"]
        if isinstance(event, TaskFinished) and event.state == "failed":
            changed.append("problems")
        return changed

    @property
    def recorded(self) -> RecordedRun:
        """The run with its state."""
        return RecordedRun(self.folder, self.live, self._state)

    def page(self) -> RunPage:
        """Return the run as pages show it, as it is now. The lock must be held while it is used."""
        if self._page is None:
            self._page = RunPage(self._state, self.recorded.status, time.time(), self.live)
            self._graph = None
        self._page.now, self._page.live, self._page.status = time.time(), self.live, self.recorded.status
        return self._page

    def message(self, after: int, language: Language, root: str = "") -> str:
        """Return the parts of the page that changed after an event, each with its id; the same for all viewers."""
        with self.lock:
            key = (after, self.number, language, root)
            if key not in self._messages:
                if len(self._messages) > 2 * KEPT:
                    self._messages.clear()
                began = time.thread_time()
                self._messages[key] = self._message(after, language, root)
                self.spent += time.thread_time() - began
            return self._messages[key]

    def _message(self, after: int, language: Language, root: str) -> str:
        page = self.page()
        critical = set(page.critical())
        for place in critical ^ self._critical:
            self._changed[f"t-{place}"] = self._changed[f"n-{place}"] = self.number
        self._critical = critical
        macros = pieces(language, root)
        found = []
        for name, number in self._changed.items():
            if number > after:
                found.append(self._piece(macros, page, name))
        return "".join(found)

    def _piece(self, macros: object, page: RunPage, name: str) -> str:
        kind, _, rest = name.partition("-")
        if kind == "p":
            shown = page.state.deploy.phases.get(rest)  # type: ignore[call-overload]
            return str(macros.phase(page, shown)) if shown else ""  # type: ignore[attr-defined]
        if kind in ("t", "n"):
            place = int(rest)
            if kind == "t":
                text = macros.task_row(page, place, place in self._critical)  # type: ignore[attr-defined]
                # The parser of HTML drops rows that are in no table, unless they are in a template.
                return f"<template>{text}</template>"
            if self._graph is None:
                self._graph = page.graph()
            text = macros.node(page, self._graph, place, place in self._critical)  # type: ignore[attr-defined]
            return f"<template><svg>{text}</svg></template>"
        return str(getattr(macros, name)(page))


class FollowedRuns:
    """The runs that somebody looked at of late."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._runs: OrderedDict[str, FollowedRun] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, run: str) -> FollowedRun | None:
        """Return a run, read up to now; None if there is none of that name."""
        folder = self._store.root / "runs" / run
        if "/" in run or run.startswith(".") or not folder.is_dir():
            return None
        with self._lock:
            found = self._runs.pop(run, None) or FollowedRun(self._store, folder)
            self._runs[run] = found
            while len(self._runs) > KEPT:
                self._runs.popitem(last=False)
        found.look()
        return found
