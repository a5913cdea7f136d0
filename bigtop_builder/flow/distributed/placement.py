"""Which worker can carry out which order. The engine chooses among those that can."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bigtop_builder import __version__
from bigtop_builder.flow.build.work_order import WorkOrder
from bigtop_builder.flow.distributed.messages import WorkerFacts

MEMORY, SLOT = "memory", "slot"
"""What an order takes of a worker while it runs, in the engine's books."""


def resources_of(facts: WorkerFacts) -> dict[str, float]:
    """Return what a worker has to give."""
    return {SLOT: float(facts.slots), MEMORY: float(facts.memory)}


def demand(order: WorkOrder) -> dict[str, float]:
    """Return what an order takes."""
    return {SLOT: 1.0, MEMORY: float(memory(order))}


def memory(order: WorkOrder) -> int:
    """Return the bytes that the largest container of an order may use."""
    return max(order.limits.memory, order.build_limits.memory if order.kind == "compile" else 0)


def refusal(facts: WorkerFacts) -> str | None:
    """Return why a worker takes no part at all: orders of other versions mean something else."""
    if facts.version != __version__:
        return f"it has bigtop-builder {facts.version}, and this is {__version__}"
    return None


def unfit(facts: WorkerFacts, order: WorkOrder) -> str | None:
    """Return why a worker cannot carry out an order; None if it can."""
    if facts.machine != order.machine:
        return f"it builds on {facts.machine}, not on {order.machine}"
    if facts.platforms and order.builder not in facts.platforms:
        return f"it takes {', '.join(facts.platforms)}, not {order.builder}"
    if facts.memory < memory(order):
        return f"it has {_gib(facts.memory)} of memory, and {_gib(memory(order))} may be used"
    return None


def slots(workers: Iterable[WorkerFacts]) -> dict[str, int]:
    """Return how many orders can be carried out at once, by architecture."""
    found: dict[str, int] = {}
    for one in workers:
        found[one.machine] = found.get(one.machine, 0) + one.slots
    return found


def agreed_fingerprints(made: Mapping[str, Mapping[str, str]], before: Mapping[str, str | None]) -> dict[str, str]:
    """Choose one fingerprint for each image: the one that is known from ``before`` if a worker has it, else the most
    frequent. ``made`` is worker → image → fingerprint.
    """
    chosen: dict[str, str] = {}
    for image in sorted({image for images in made.values() for image in images}):
        found = [images[image] for _, images in sorted(made.items()) if image in images]
        known = before.get(image)
        chosen[image] = known if known in found and known else max(found, key=found.count)
    return chosen


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB"
