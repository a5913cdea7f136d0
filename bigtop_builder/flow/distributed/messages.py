"""What travels: an order to a worker, and back what happens while it is carried out. All of it is plain JSON.

Artifacts never travel this way: they go through the store of results.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from bigtop_builder.adapter.containers.image_record import ImageRecord
from bigtop_builder.flow.build.images import NeededImage
from bigtop_builder.flow.build.result import Result
from bigtop_builder.flow.build.work_order import WorkOrder

if TYPE_CHECKING:
    from pydantic import TypeAdapter


@dataclass(frozen=True)
class SentSource:
    """The user's own source as it lies in the store of results: its digest, and the name of a file."""

    digest: str
    name: str = ""
    """Empty for the archive of a folder."""


@dataclass(frozen=True)
class RemoteOrder:
    """One attempt to carry something out on a worker: an order, or only the making of images."""

    name: str
    """Of this attempt: no two have the same."""
    run: str
    """The run that it belongs to, on the machine that submits it."""
    lease: float
    """In seconds: how long the worker goes on without contact."""
    log_size: int
    images: tuple[NeededImage, ...]
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    """The key of an image → the fingerprint that it must have."""
    order: WorkOrder | None = None
    source: SentSource | None = None
    """What takes the place of the order's local source."""
    offline: bool = False


@dataclass(frozen=True)
class Verdict:
    """How an attempt ended: with the result of the task, or the records of the images that were made."""

    result: Result | None = None
    images: tuple[ImageRecord, ...] = ()


def order_to_json(order: RemoteOrder) -> bytes:
    """Return an order as JSON."""
    return _orders().dump_json(order)


def order_from_json(text: bytes) -> RemoteOrder:
    """Read an order. Raises pydantic's ValidationError for anything else."""
    return _orders().validate_json(text)


def verdict_to_json(verdict: Verdict) -> str:
    """Return a verdict as JSON."""
    return _verdicts().dump_json(verdict).decode()


def verdict_from_json(text: str) -> Verdict:
    """Read a verdict. Raises pydantic's ValidationError for anything else."""
    return _verdicts().validate_json(text)


def facts_to_data(facts: WorkerFacts) -> dict[str, Any]:
    """Return what a worker says of itself when it joins; its name and address are the engine's to say."""
    return {name: value for name, value in asdict(facts).items() if name not in ("name", "address")}


@dataclass(frozen=True)
class WorkerFacts:
    """What a worker is. ``memory`` is in bytes."""

    version: str
    """Of this program."""
    machine: str
    """The architecture that it builds on: ``x86_64``."""
    engine: str
    """``Docker 27.3``."""
    slots: int
    memory: int
    platforms: tuple[str, ...]
    """The platforms whose images it takes; empty for all."""
    ssh: str
    """How people reach it: ``builder@build3.example.com``."""
    name: str = ""
    address: str = ""

    def __str__(self) -> str:
        return self.name or self.ssh


def facts_from_data(address: str, data: Mapping[str, Any]) -> WorkerFacts | None:
    """Read what a worker says of itself; None if it says something else, as another version may."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(WorkerFacts).validate_python({**data, "address": address})
    except ValidationError:
        return None


@cache
def _orders() -> TypeAdapter[RemoteOrder]:
    from pydantic import TypeAdapter

    return TypeAdapter(RemoteOrder)


@cache
def _verdicts() -> TypeAdapter[Verdict]:
    from pydantic import TypeAdapter

    return TypeAdapter(Verdict)
