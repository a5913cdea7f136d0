"""What tasks of a build leave: packages, and how much they used caches."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Artifact(BaseModel):
    """A finished package."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    file: str
    """The name of the file."""
    path: str
    """The path of the file."""
    size: int
    """Its size in bytes."""
    sha256: str
    """Its SHA-256."""


class CacheFigures(BaseModel):
    """How much a cache was used: requests and hits count files."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    asked: int = 0
    """Requests."""
    hit: int = 0
    """Requests that the cache answered."""
    hit_bytes: int = 0
    """Bytes that the cache answered with."""
    new_bytes: int = 0
    """Bytes downloaded."""

    def __add__(self, other: CacheFigures) -> CacheFigures:
        return CacheFigures(
            asked=self.asked + other.asked,
            hit=self.hit + other.hit,
            hit_bytes=self.hit_bytes + other.hit_bytes,
            new_bytes=self.new_bytes + other.new_bytes,
        )
