"""All resource types of the simulated server."""

from __future__ import annotations

from bigtop_builder.simulation.registry import Registry


def registry() -> Registry:
    """The tree below ``/api/v1``."""
    return Registry(())
