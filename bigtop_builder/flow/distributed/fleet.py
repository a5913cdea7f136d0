"""The workers of a cluster as one run sees them: who takes part, who has its images, how many slots that makes."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Literal

from bigtop_builder.adapter.containers.image_record import ImageRecord, record_path
from bigtop_builder.adapter.store import Store, translated, write_atomically
from bigtop_builder.flow.build.work_order import WorkOrder
from bigtop_builder.flow.distributed import placement
from bigtop_builder.flow.distributed.messages import Verdict, WorkerFacts, facts_from_data
from bigtop_builder.flow.run.recorder import Bus
from bigtop_builder.model.errors import BigtopBuilderError, EngineError, InterruptedRunError
from bigtop_builder.model.event import Failure, Notice

LOOK_SECONDS = 1.0
"""How often the engine is asked for its workers."""
Rows = Mapping[str, Mapping[str, Any]]
"""What the engine says of its workers, by address."""


class Fleet:
    """The workers of a cluster. Only the thread of the execution changes it."""

    def __init__(self, emit: Bus, resized: Callable[[], object]) -> None:
        self.members: dict[str, WorkerFacts] = {}
        """Address → worker, of all that could take part."""
        self.slots: Mapping[str, int] = {}
        """How many orders can be carried out at once, by architecture."""
        self.agreed: dict[str, str] = {}
        """The key of an image → the fingerprint that the plan's keys have."""
        self.images_settled = threading.Event()
        """Set once every worker of the beginning has its images, or could not make them."""
        self._emit = emit
        self._resized = resized
        self._refused: dict[str, str] = {}
        self._making: set[str] = set()
        self._made: dict[str, dict[str, ImageRecord]] = {}
        self._tried: set[str] = set()
        """The addresses of those that make their images a second time."""
        self._failures: dict[str, Failure | None] = {}
        self._ready: set[str] = set()
        self._begun = False

    def described(self) -> str:
        """``3 workers (6 slots)``."""
        number, slots = len(self.members), sum(one.slots for one in self.members.values())
        return f"{number} worker{'s' if number != 1 else ''} ({slots} slot{'s' if slots != 1 else ''})"

    def addresses(self) -> set[str]:
        """Return the addresses of all that could take part."""
        return set(self.members)

    def see(self, rows: Rows) -> list[str]:
        """Take in what the engine says of its workers; return the addresses of those that have joined."""
        joined = []
        for address, row in rows.items():
            if address in self.members or address in self._refused:
                continue
            facts = facts_from_data(address, row)
            why = placement.refusal(facts) if facts else "it has another version of bigtop-builder"
            if facts is None or why is not None:
                self._refused[address] = f"the worker {row.get('name', address)} is left out: {why}"
                self._tell(self._refused[address], "warning")
                continue
            self.members[address] = facts
            joined.append(address)
            if self._begun:
                self._tell(f"the worker {facts} has joined: {facts.slots} slots on {facts.machine}")
        gone = [address for address in self.members if address not in rows]
        for address in gone:
            self._tell(f"the worker {self.members.pop(address)} has left", "warning")
            self._made.pop(address, None)
            self._tried.discard(address)
            self._making.discard(address)
        if gone:
            self._review()
        self._refused = {address: why for address, why in self._refused.items() if address in rows}
        return joined

    def await_first(self, rows: Callable[[], Rows], patience: float, cancelled: threading.Event) -> None:
        """Wait until a worker can take part. Raises EngineError when none joins in time, InterruptedRunError."""
        end = time.monotonic() + patience
        while True:
            self.see(rows())
            if self.members:
                return
            if time.monotonic() > end:
                raise self._missing(patience)
            if cancelled.wait(LOOK_SECONDS):
                raise InterruptedRunError("waiting for workers was interrupted")

    def _missing(self, waited: float) -> EngineError:
        if self._refused:
            return EngineError(
                "no worker of the cluster can take part:\n" + "\n".join(self._refused.values()),
                hint="Install the same version of bigtop-builder everywhere.",
            )
        return EngineError(
            f"no worker of bigtop-builder has joined the cluster in {waited:g} s",
            hint="Start one on a machine with a container engine: bigtop-builder worker",
        )

    def fit(self, order: WorkOrder) -> tuple[list[str], str]:
        """Return the addresses of the workers that can carry out an order; and if there are none, why."""
        reasons = {}
        fit = []
        for address, facts in sorted(self.members.items()):
            why = placement.unfit(facts, order)
            if why is None and address not in self._ready:
                why = "it does not have the images of this plan"
            if why is None:
                fit.append(address)
            else:
                reasons[str(facts)] = why
        return fit, "; ".join(f"{name}: {why}" for name, why in reasons.items()) or "no worker is left"

    # images

    def begin_images(self) -> None:
        """Note that each worker gets its images now, before it gets orders."""
        self._begun = True
        self.images_settled.clear()

    def making(self, address: str) -> None:
        """Note that a worker makes its images."""
        self._making.add(address)

    def images_made(self, address: str, verdict: Verdict | None) -> None:
        """Note what a worker made; None for one that was lost meanwhile."""
        self._making.discard(address)
        if verdict is not None and address in self.members:
            failure = verdict.result.failure if verdict.result else None
            if failure is not None:
                self._failures[address] = failure
                text = f"the worker {self.members[address]} could not make its images: {failure.message}"
                self._tell(text, "warning")
            else:
                self._made[address] = {record.key: record for record in verdict.images}
        self._review()

    def tries_again(self, address: str, why: str) -> bool:
        """Note that a worker did not come to the end of its images; return whether it shall make them once more."""
        if address in self.members and address not in self._tried:
            self._tried.add(address)
            return True
        self._making.discard(address)
        if address in self.members:
            self._failures[address] = Failure(step="image", message=f"making them did not end: {why}")
            self._tell(f"the worker {self.members[address]} could not make its images: {why}", "warning")
        self._review()
        return False

    def settle(self) -> None:
        """Note that nobody makes images any more, if that is so."""
        if not self._making:
            self.images_settled.set()

    def agree(self, before: Mapping[str, str | None], store: Store) -> bool:
        """Choose the images that the plan is made for, and record them; return whether any is another than before.

        Raises EngineError when no worker has the images.
        """
        made = {address: {key: one.fingerprint for key, one in found.items()} for address, found in self._made.items()}
        if before and not made:
            failure = next((one for one in self._failures.values() if one is not None), None)
            raise EngineError(
                "no worker of the cluster could make its images" + (f": {failure.message}" if failure else ""),
                hint=failure.hint if failure else None,
            )
        chosen = placement.agreed_fingerprints(made, before)
        changed = {key for key, fingerprint in chosen.items() if before.get(key) != fingerprint}
        for key in sorted(changed):
            record = next(one[key] for one in self._made.values() if key in one and one[key].fingerprint == chosen[key])
            with translated(store.root):
                write_atomically(record_path(store, key), json.dumps(dataclasses.asdict(record), indent=1))
        self.agreed = {**self.agreed, **chosen}
        self._review()
        return bool(changed)

    def _review(self) -> None:
        """Find out again who is ready, and tell who has other images than the rest."""
        before = self._ready
        self._ready = {address for address in self.members if self._has_images(address)}
        self.slots = placement.slots(self.members[address] for address in self._ready)
        self.settle()
        if self._begun and self._ready != before:
            self._resized()

    def _has_images(self, address: str) -> bool:
        if address in self._making or address in self._failures:
            return False
        if not self.agreed:
            return True
        found = self._made.get(address)
        if found is None:
            return False
        other = [
            record.name
            for key, record in found.items()
            if self.agreed.get(key, record.fingerprint) != record.fingerprint
        ]
        if other:
            self._failures[address] = None
            text = (
                f"the worker {self.members[address]} is left out: its image {other[0]} has other packages than that of "
                "the others"
            )
            self._tell(text, "warning")
        return not other

    def _tell(self, text: str, level: Literal["info", "warning"] = "info") -> None:
        with suppress(BigtopBuilderError):
            self._emit(Notice(text=text, level=level))
