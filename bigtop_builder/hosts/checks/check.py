"""All checks of hosts, by name."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping

from bigtop_builder.hosts.checks import installation, machine, names, settings, software
from bigtop_builder.hosts.checks.rule import Finding, Fleetwide, Rule
from bigtop_builder.hosts.facts import HostFacts, Wanted
from bigtop_builder.hosts.preparation import repository_variables
from bigtop_builder.hosts.repository_access import ALL_OPEN, Accesses
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.recipe.document import near
from bigtop_builder.recipe.inventory import LoadedInventory

CHECKS: Mapping[str, Rule] = {
    **names.CHECKS,
    **machine.CHECKS,
    **settings.CHECKS,
    **installation.CHECKS,
    **software.CHECKS,
}
"""By the name that ``require.ignore`` accepts, in the order in which they are reported."""


def wanted(loaded: LoadedInventory, accesses: Accesses = ALL_OPEN) -> Wanted:
    """The facts that the checks need beyond those that are always gathered."""
    return Wanted(
        urls=(*installation.repository_addresses(loaded), *installation.ambari_addresses(loaded)),
        url_options=installation.url_options(loaded, accesses),
        variables=repository_variables(loaded),
        names=(*(host.name for host in loaded.hosts), *loaded.inventory.prepare.ntp_servers),
        homes=tuple(settings.java_homes(loaded)),
    )


def check(
    facts: Mapping[str, HostFacts], loaded: LoadedInventory, *, architectures: frozenset[str] | None = None
) -> list[Finding]:
    """Run all checks: return the problems of each host, and one ``ok`` for each check that all hosts pass.

    ``facts``: by host. ``architectures``: of the packages in the repository, if known.
    Raises ConfigurationError if ``require.ignore`` names an unknown check.
    """
    skipped = _ignored(loaded) | _idle(loaded, architectures)
    skews = [one.clock_skew for one in facts.values() if one.clock_skew is not None]
    systems = Counter((one.os_id, one.os_version) for one in facts.values())
    fleet = Fleetwide(
        loaded,
        facts,
        architectures,
        statistics.median(skews) if skews else 0.0,
        systems.most_common(1)[0][0] if systems else (None, None),
    )
    findings: list[Finding] = []
    for name, rule in CHECKS.items():
        if name in skipped or not facts:
            continue
        found = [
            Finding(name, host, problem.level, problem.message, problem.hint)
            for host, one in facts.items()
            for problem in rule(one, fleet)
        ]
        findings += found or [Finding(name, None, "ok", f"{len(facts)} hosts" if len(facts) > 1 else "1 host")]
    return findings


def _idle(loaded: LoadedInventory, architectures: frozenset[str] | None) -> frozenset[str]:
    """Checks without anything to look at: they must not be reported as passed."""
    subjects = {
        "repository": installation.repository_addresses(loaded),
        "ambari": installation.ambari_addresses(loaded),
        "architecture": architectures,
    }
    return frozenset(name for name, subject in subjects.items() if not subject)


def _ignored(loaded: LoadedInventory) -> frozenset[str]:
    ignored = loaded.inventory.require.ignore
    for number, name in enumerate(ignored):
        if name not in CHECKS:
            raise ConfigurationError(
                f"there is no check {name!r}",
                hint=near(name, CHECKS),
                location=loaded.place("require", "ignore", number),
            )
    return frozenset(ignored)
