"""How often a component may stand in a cluster: ``1``, ``1+``, ``0-1``, ``ALL``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cardinality:
    """``most`` None: any number; ``everywhere``: on every group."""

    text: str
    least: int = 0
    most: int | None = None
    everywhere: bool = False

    @classmethod
    def parse(cls, text: str) -> Cardinality:
        """Read a cardinality as stacks write it."""
        if text == "ALL":
            return cls(text, everywhere=True)
        if text.endswith("+"):
            return cls(text, int(text[:-1]))
        least, dash, most = text.partition("-")
        return cls(text, int(least), int(most if dash else least))

    def holds(self, count: int) -> bool:
        """Whether ``count`` is allowed; that of ALL is never, for it depends on the cluster (as in Ambari)."""
        return not self.everywhere and self.least <= count and (self.most is None or count <= self.most)
