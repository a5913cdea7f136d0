"""Cardinalities: how often a component may be in a cluster: ``1``, ``1+``, ``0-1``, ``ALL``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cardinality:
    """A cardinality. ``most`` is None for any number; ``everywhere`` means every group."""

    text: str
    least: int = 0
    most: int | None = None
    everywhere: bool = False

    @classmethod
    def parse(cls, text: str) -> Cardinality:
        """Parse the notation of stacks."""
        if text == "ALL":
            return cls(text, everywhere=True)
        if text.endswith("+"):
            return cls(text, int(text[:-1]))
        least, dash, most = text.partition("-")
        return cls(text, int(least), int(most if dash else least))

    def holds(self, count: int) -> bool:
        """Return whether ``count`` is allowed; never for ALL, which depends on the cluster (as in Ambari)."""
        return not self.everywhere and self.least <= count and (self.most is None or count <= self.most)
