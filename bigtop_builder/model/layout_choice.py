"""The key ``layout`` of an inventory."""

from __future__ import annotations

from typing import Literal

from bigtop_builder.model.base import StrictModel

Placement = Literal["groups", "auto"]
Size = Literal["small", "from-facts"]


class LayoutChoice(StrictModel):
    """Who places components, and how large heaps and containers are."""

    by: Placement = "groups"
    """Who places components: the ``groups``, or Ambari's stack advisor (``auto``)."""
    size: Size | None = None
    """Heaps and container memory: ``small`` for hosts of 2 to 4 GiB, or hosts that share one machine; ``from-facts``
    in proportion to the memory of the hosts. Your own ``configurations`` take precedence. Default: the stack's
    values, which suit large hosts."""
