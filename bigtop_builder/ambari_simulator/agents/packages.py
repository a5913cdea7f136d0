"""Which packages an agent picks for the names in a stack's definition (contract 5.4)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bigtop_builder.cluster.demands import name_suffix

HOOK_PACKAGES = ("unzip", "curl", "bigtop-select")
"""The packages that the hook before each INSTALL requires, in its order."""


@dataclass(frozen=True)
class Picked:
    """Packages to install, and the agent's message for missing ones (``None`` if there are none)."""

    names: tuple[str, ...]
    missing: str | None = None


def pick(demanded: Sequence[str], available: Iterable[str], repository_version: str) -> Picked:
    """Return the packages that an agent installs for ``demanded`` (``zookeeper_{version}``), in their order.

    With a version without a dash an agent takes the first name whose suffix is digits and underlines, be it another
    version's; one with a dash is taken as it is.
    """
    known = sorted(set(available))
    names: list[str] = []
    for template, exact in zip(demanded, exact_names(demanded, repository_version), strict=True):
        if "{version}" not in template or "-" in repository_version:
            names.append(exact)
            continue
        found = _first(template, known)
        if found is None:
            wanted = template.replace("{version}", "${stack_version}")
            return Picked(tuple(names), f"No package found for {wanted}(expected name: {exact})")
        names.append(found)
    return Picked(tuple(names))


def exact_names(demanded: Iterable[str], repository_version: str) -> list[str]:
    """Return the names that packages of this version have."""
    return [template.replace("{version}", name_suffix(repository_version)) for template in demanded]


def _first(template: str, known: Sequence[str]) -> str | None:
    before, _, after = template.partition("{version}")
    pattern = re.compile(re.escape(before) + r"(\d|_)+" + re.escape(after))
    return next((name for name in known if pattern.fullmatch(name)), None)


def features_missing(configurations: Mapping[str, Mapping[str, str]]) -> str | None:
    """Return what Ambari's scripts fail with if ``cluster-env`` has lost the stack's features (stack_features.py)."""
    if configurations.get("cluster-env", {}).get("stack_features"):
        return None
    return "Stack features not defined by stack"
