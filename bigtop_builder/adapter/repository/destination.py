"""Where publications are uploaded to: what every kind of place does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bigtop_builder.model.errors import PublishError

SMALL = 16 << 20
"""Bytes that no manifest or signature has."""


class PushError(PublishError):
    """A publication cannot be uploaded. What was uploaded before stays, and is not sent again."""


@dataclass(frozen=True)
class PushedFile:
    """A file to upload. ``name`` is its path below the destination."""

    name: str
    path: Path
    sha256: str
    size: int
    known: bool = False
    """Whether an earlier upload, which was completed and signed, had this very file."""


@dataclass(frozen=True)
class Sent:
    """What an upload moved."""

    files: int = 0
    size: int = 0

    def __add__(self, other: Sent) -> Sent:
        return Sent(self.files + other.files, self.size + other.size)


class Destination(Protocol):
    """A place for publications."""

    address: str
    """The place as messages show it, without secrets."""

    def read(self, name: str) -> bytes | None:
        """Return the content of a small file there; None if there is none. Raises PushError."""

    def send(self, files: Sequence[PushedFile]) -> Sent:
        """Upload the files that are missing there or differ, and check that what is there has their digests.

        Raises PushError.
        """
