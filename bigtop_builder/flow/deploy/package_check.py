"""The part of the phase ``check`` that looks for packages: in the repositories, on the hosts, and for jobs."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from bigtop_builder.cluster.demand_check import StackFinding, choose_components, path_held
from bigtop_builder.cluster.demands import PackageWish, all_components, wanted_packages
from bigtop_builder.flow.deploy.recommended_values import places_of
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.repository import version_of
from bigtop_builder.flow.deploy.repository_state import check_repository_states
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.flow.publish.stack_check import check_offer
from bigtop_builder.hosts.facts import Wanted
from bigtop_builder.hosts.powertools import powertools
from bigtop_builder.model.errors import AmbariError, PublishError
from bigtop_builder.model.event import CheckFinished

if TYPE_CHECKING:
    from bigtop_builder.flow.publish.stack_check import Offer
    from bigtop_builder.hosts.facts import HostFacts

SYSTEM = "packages of the operating system"
NAMED_HOSTS = 5
NAMED_PACKAGES = 10


def system_packages(world: World) -> dict[str, Wanted]:
    """Return the packages to look for on each host: those that agents expect from the operating system."""
    # What family a host belongs to is among the facts that come with the answer.
    wanted = {
        host: [wish.expected for family in world.stack.families for wish in _system_wishes(world, host, family)]
        for host in world.hosts
    }
    return {host: Wanted(packages=tuple(dict.fromkeys(names))) for host, names in wanted.items()}


def _system_wishes(world: World, host: str, family: str) -> list[PackageWish]:
    components = _components(world, host)
    found = wanted_packages(world.stack, components, family, version_of(world))
    return [wish for wish in found if wish.origin == "system"]


def _components(world: World, host: str) -> tuple[str, ...]:
    """Return the components of a host; all that the services need if nobody has placed them yet."""
    if world.layout is None:
        return tuple(all_components(world.stack, world.inventory.services))
    return world.layout.hosts[host].names if host in world.layout.hosts else ()


def check_packages(world: World, reporter: Reporter, families: tuple[str, ...]) -> None:
    """Check that hosts can install every package that agents will request. Raises AmbariError, PublishError."""
    offers: dict[str, Offer] = {}
    lacking: list[str] = []
    if world.inventory.repositories and world.layout is not None:
        for family in families:
            offers[family] = _offer(world, family)
            check_repository_states(world, reporter, family)
            lacking += _check_offer(world, reporter, family, offers[family])
        _check_jobs(world, reporter, offers)
    missing = _check_hosts(world, reporter, offers) if world.facts else 0
    if lacking:
        names = list(dict.fromkeys(lacking))
        more = f" and {len(names) - NAMED_PACKAGES} more" if len(names) > NAMED_PACKAGES else ""
        raise AmbariError(
            f"the repository lacks packages that the stack requires: {', '.join(names[:NAMED_PACKAGES])}{more}",
            hint="Build and publish the missing packages, or leave out the services that require them.",
        )
    if missing:
        raise AmbariError(
            f"hosts lack packages of the operating system that the stack requires: {missing} errors",
            hint="Enable the repositories that have them, or publish them in a repository of the inventory.",
        )


def _offer(world: World, family: str) -> Offer:
    try:
        return world.offer(family)
    except PublishError as error:
        error.location = world.loaded.place("repositories")
        error.hint = f"Is the URL correct, and is the repository being served? Otherwise: {error.hint or 'publish it'}"
        raise


def _check_offer(world: World, reporter: Reporter, family: str, offer: Offer) -> list[str]:
    """Report what the repositories lack; return the packages, paths and names that are missing."""
    layout, check = world.layout, f"repository for {family}"
    if layout is None:
        return []
    found = check_offer(
        offer,
        world.stack,
        choose_components(world.stack, (), layout.components),
        family=family,
        version=version_of(world),
        places=places_of(world, layout),
    )
    # The hosts themselves are asked for what is expected from their system.
    shown = [one for one in found if one.kind != "elsewhere" or one.level != "info" or not world.facts]
    for finding in shown:
        reporter.emit(_event(reporter, check, finding))
    lacking = [finding.subject for finding in found if finding.level == "error"]
    if not lacking:
        urls = ", ".join(world.logins(family))
        reporter.emit(_passed(reporter, check, f"{urls}, {len(offer.packages)} packages"))
    return lacking


def _event(reporter: Reporter, check: str, finding: StackFinding) -> CheckFinished:
    wanted = f" (for {finding.wanted_by})" if finding.wanted_by else ""
    return CheckFinished.model_validate(
        {
            "phase": reporter.phase,
            "check": check,
            "level": {"error": "error", "warning": "warning", "info": "ok"}[finding.level],
            "message": f"{finding.subject}{wanted} {finding.message}",
            "hint": finding.hint,
        }
    )


def _passed(reporter: Reporter, check: str, message: str) -> CheckFinished:
    return CheckFinished(phase=reporter.phase, check=check, level="ok", message=message)


def _check_hosts(world: World, reporter: Reporter, offers: Mapping[str, Offer]) -> int:
    """Report packages of the operating system that hosts can install from nowhere; return the number of errors."""
    lacking: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    asked = 0
    for host, facts in (world.facts or {}).items():
        family = facts.family or ""
        offered = {package.name for package in offers[family].packages} if family in offers else set()
        for wish in _system_wishes(world, host, family):
            asked += 1
            if wish.expected in facts.available or wish.expected in offered:
                continue
            level, message, hint = _cause(world, facts)
            message = f"{wish.expected} (for {', '.join(wish.services)}) {message}"
            lacking[(message, level, hint)].append(host)
    for (message, level, hint), hosts in lacking.items():
        more = f" and {len(hosts) - NAMED_HOSTS} more" if len(hosts) > NAMED_HOSTS else ""
        reporter.emit(
            CheckFinished.model_validate(
                {
                    "phase": reporter.phase,
                    "check": SYSTEM,
                    "host": hosts[0] if len(hosts) == 1 else None,
                    "level": level,
                    "message": f"{message} on {', '.join(hosts[:NAMED_HOSTS])}{more}",
                    "hint": hint or None,
                }
            )
        )
    if asked and not lacking:
        reporter.emit(_passed(reporter, SYSTEM, "hosts have them, or can install them"))
    return sum(level == "error" for _, level, _ in lacking)


def _cause(world: World, facts: HostFacts) -> tuple[str, str, str]:
    """Return level, message and hint for a package that a host does not find."""
    if facts.availability_unknown is not None:
        return "warning", f"may be missing, {facts.availability_unknown},", ""
    found = powertools(facts)
    if found is not None and not found.enabled:
        if world.inventory.prepare.powertools:
            return "ok", f"is expected from {found.id}, which the phase prepare enables,", ""
        hint = f"If {found.id} has it, which is disabled: {found.command}, or prepare.powertools: true."
        return "error", "is in no enabled repository", hint
    hint = "Add a repository that has it (PowerTools on EL 8, CRB on EL 9), or publish it in one of the inventory's."
    return "error", "is in no enabled repository", hint


STACK_PATH = re.compile(r"/usr/bigtop/[A-Za-z0-9._/+*-]+")


def _check_jobs(world: World, reporter: Reporter, offers: Mapping[str, Offer]) -> None:
    """Warn of files of the stack that a job names, and that no package has: jobs run last."""
    for name, job in world.inventory.jobs.items():
        for path in dict.fromkeys(one.rstrip("/.") for one in STACK_PATH.findall(job.command)):
            if not any(_held(world, path, offer) for offer in offers.values()):
                reporter.emit(
                    CheckFinished(
                        phase=reporter.phase,
                        check=f"job {name}",
                        level="warning",
                        message=f"{path} is in none of the packages",
                        hint="Correct jobs, or publish the package that has it; the job would fail at the end.",
                    )
                )


def _held(world: World, path: str, offer: Offer) -> bool:
    """Return whether some package has the path, which may lead through the links in ``current``."""
    return any(path_held(one, offer.packages) for one in _real_paths(world, path))


def _real_paths(world: World, path: str) -> Iterator[str]:
    stack, version = world.stack, version_of(world).partition("-")[0]
    current = f"{stack.root}/current/"
    if not path.startswith(current):
        yield path
        return
    selected, _, rest = path.removeprefix(current).partition("/")
    folder = stack.folder_of(selected)
    base = f"{stack.root}/{version}/usr/lib/{folder}" if folder else path
    yield f"{base}/{rest}" if rest else base
    # Configuration folders are links that distro-select makes.
    if rest == "conf" or rest.startswith("conf/"):
        yield base
