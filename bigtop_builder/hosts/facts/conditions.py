"""Conditions: commands of the inventory that say by their exit code whether something has been done already."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bigtop_builder.hosts.facts.fact import Fact, FactGroup, firsts

SECONDS = 120
"""How long a condition may take. One that is not finished by then does not hold."""

# Each is a key, a space and a script. Some ask a service that answers slowly.
CONDITIONS = r"""
for one in "${conditions[@]}"; do
    timeout __SECONDS__ bash -c "${one#* }" >/dev/null 2>&1 < /dev/null && emit condition "${one%% *}"
done
""".replace("__SECONDS__", str(SECONDS))


class ConditionFacts(FactGroup):
    """Which of the wanted conditions hold."""

    conditions: Annotated[
        tuple[str, ...], Fact(CONDITIONS, firsts("condition"), background=True, about=("conditions",))
    ] = Field(default_factory=tuple)
    """The keys of the conditions that hold."""
