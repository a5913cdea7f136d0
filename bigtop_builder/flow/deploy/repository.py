"""The phase ``repository``: register the repository and its version definition with Ambari."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from bigtop_builder.cluster.repository_names import name_repositories
from bigtop_builder.cluster.stack_upgrade import Standing, stand
from bigtop_builder.cluster.version_definition import check_version
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model.errors import AmbariError
from bigtop_builder.model.repository import filled

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.ambari.cluster import ClusterView
    from bigtop_builder.adapter.ambari.repository import RepositoryEntry, RepositoryVersion


def version_of(world: World) -> str:
    """Return the repository version: without a build number, because agents derive package names from it."""
    choice = world.inventory.stack
    return choice.repository_version or choice.version


def os_families(client: Ambari, world: World) -> tuple[str, ...]:
    """Return the OS families of the inventory's hosts, as reported by their agents. Raises AmbariError if none has."""
    ours = set(world.hosts)
    families = {host.os_family for host in client.hosts() if host.name in ours and host.os_family}
    if not families:
        raise AmbariError(
            "none of the inventory's hosts has registered with Ambari", hint="Run the phase ambari first."
        )
    return tuple(sorted(families))


def wanted_repositories(world: World, families: tuple[str, ...]) -> dict[str, tuple[RepositoryEntry, ...]]:
    """Return the inventory's repositories by OS family, named so that Ambari adds none of the stack's own."""
    from bigtop_builder.adapter.ambari.repository import RepositoryEntry

    found = {}
    for family in families:
        ours = [(entry.id, filled(entry.url, family)) for entry in world.inventory.repositories]
        named = name_repositories(ours, world.stack_repositories.get(family, ()))
        found[family] = tuple(RepositoryEntry(one.id, one.name, one.url) for one in named)
    return found


def standing(client: Ambari, world: World, view: ClusterView) -> Standing:
    """Return where the cluster stands between its stack and that of the inventory."""
    choice = world.inventory.stack
    upgrades = client.upgrades(world.cluster)
    present = view.version or f"{choice.name}-{choice.version}"
    return stand(choice.name, choice.version, present, version_of(world), upgrades[-1] if upgrades else None)


def refused(world: World, at: Standing) -> AmbariError:
    """Return why the cluster cannot have the inventory's stack, as an error at its place in the inventory."""
    return AmbariError(
        f"the cluster {world.cluster} {at.refusal}", hint=at.hint, location=world.loaded.place("stack", "version")
    )


def registered(client: Ambari, world: World) -> RepositoryVersion | None:
    """Return the registered version of the cluster's services; without services that of the inventory, or None.

    Raises AmbariError if the cluster has another stack, and no way from it to the inventory's.
    """
    choice = world.inventory.stack
    found = client.repository_versions(choice.name, choice.version)
    cluster = client.cluster(world.cluster)
    if cluster is not None:
        if cluster.version not in ("", f"{choice.name}-{choice.version}"):
            at = standing(client, world, cluster)
            if at.refusal:
                raise refused(world, at)
        used = {service.repository_version for service in client.services(world.cluster)}
        for version in found:
            if version.id in used:
                return version
    wanted = version_of(world)
    return next((version for version in found if version.version == wanted), None)


def definition(client: Ambari, world: World) -> str:
    """Return the XML of the version definition."""
    from bigtop_builder.cluster.version_definition import version_definition

    wanted = wanted_repositories(world, os_families(client, world))
    return version_definition(
        world.stack,
        version_of(world),
        {family: [(one.id, one.name, one.url) for one in entries] for family, entries in wanted.items()},
    )


def register(client: Ambari, world: World, reporter: Reporter) -> str:
    """Register the version definition, or update the repositories of an existing one; return a note for the phase."""
    if not world.inventory.repositories:
        return "the inventory has no repositories: Ambari's own are used"
    choice = world.inventory.stack
    families = os_families(client, world)
    wanted = wanted_repositories(world, families)
    present = registered(client, world)
    title = f"{choice.name}-{version_of(world)}"
    if present is None:
        xml = definition(client, world)
        detail = "\n".join(
            f"+{family}: {one.url} ({one.name})" for family, entries in wanted.items() for one in entries
        )
        reporter.change(f"version definition {title}", detail, act=lambda: client.register_version(xml))
        made = None if reporter.dry_run else registered(client, world)
        if made is not None:
            # Whatever Ambari added by itself goes again.
            _update(client, world, reporter, made, wanted)
        return title
    if present.version != version_of(world):
        check_version(world.stack, version_of(world))
        return f"the cluster has {present.version} and will be upgraded to {title}"
    _update(client, world, reporter, present, wanted)
    return title


def switch_repositories(client: Ambari, world: World, reporter: Reporter) -> Callable[[], None] | None:
    """Replace the repositories of the cluster's version if the inventory wants another one; return an undo, or None.

    Without upgrade packs a service cannot be given another version. So its version gets the new repositories, and
    Ambari renames it once agents report the new packages. A registered version that already has the name, and that no
    service uses, would prevent that: it is removed.
    """
    present = registered(client, world)
    if present is None or present.version == version_of(world):
        return None
    choice = world.inventory.stack
    for other in client.repository_versions(choice.name, choice.version):
        if other.version == version_of(world):
            reporter.change(
                f"version definition {choice.name}-{other.version} removed, which no service uses",
                act=partial(client.delete_repository_version, choice.name, choice.version, other.id),
            )
    _update(client, world, reporter, present, wanted_repositories(world, os_families(client, world)))
    return lambda: _update(client, world, reporter, registered(client, world) or present, present.os)


def _update(
    client: Ambari,
    world: World,
    reporter: Reporter,
    version: RepositoryVersion,
    wanted: Mapping[str, tuple[RepositoryEntry, ...]],
) -> None:
    """Set the version's repositories to ``wanted``; other OS families keep theirs, and who writes their files.

    Agents write them unless repositories have credentials or proxies: then hosts have only the files that we wrote.

    Names count too: under the wrong one, as our first releases gave it, Ambari adds a repository of the same id.
    """
    agents = world.inventory.agents_write_repositories
    differing = {
        family: entries
        for family, entries in wanted.items()
        if _told(version, family) != _keys(entries) or agents != (family in version.managed)
    }
    if not differing:
        return
    handed = sorted(family for family in differing if family in version.os and agents != (family in version.managed))
    writers = "write their files" if agents else "leave their files to hosts prepare: credentials or a proxy"
    detail = "\n".join(
        [f"-{family}: {url} ({name})" for family in differing for _, name, url in _told(version, family)]
        + [f"+{family}: {one.url} ({one.name})" for family, entries in differing.items() for one in entries]
        + ([f"{', '.join(handed)}: agents {writers}"] if handed else [])
    )
    reporter.change(
        f"repositories of {world.inventory.stack.name}-{version.version}",
        detail,
        act=partial(_put, client, world, version, differing),
    )


def _put(
    client: Ambari, world: World, version: RepositoryVersion, changed: Mapping[str, tuple[RepositoryEntry, ...]]
) -> None:
    """Replace the repositories of some OS families. Raises AmbariError if Ambari has others afterwards."""
    choice = world.inventory.stack
    os, managed = {**version.os, **changed}, version.managed | {*changed}
    if not world.inventory.agents_write_repositories:
        managed -= {*changed}
    client.update_repositories(choice.name, choice.version, version.id, os, managed=managed)
    found = {one.id: one for one in client.repository_versions(choice.name, choice.version)}.get(version.id)
    lost = sorted(
        family
        for family, entries in os.items()
        if found is None or _told(found, family) != _keys(entries) or (family in managed) != (family in found.managed)
    )
    if lost:
        raise AmbariError(
            f"Ambari accepted the repositories of {choice.name}-{version.version}, but has others for "
            f"{', '.join(lost)}",
            hint="Correct them in Ambari (Stack and Versions), then run the deployment again.",
        )


def _told(version: RepositoryVersion, family: str) -> list[tuple[str, str, str]]:
    return _keys(version.os.get(family, ()))


def _keys(entries: tuple[RepositoryEntry, ...]) -> list[tuple[str, str, str]]:
    return sorted((entry.id, entry.name, entry.url.rstrip("/")) for entry in entries)
