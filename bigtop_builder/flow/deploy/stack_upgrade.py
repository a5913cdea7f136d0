"""Upgrade a cluster to another version of its stack, with a way back until the upgrade is finalized.

Packages are installed beside the former ones while everything runs. Then Ambari begins an upgrade with our pack
(``cluster.stack_upgrade``): it moves stack and configurations, and waits. Services move to the other packages one after
the other, like in any other move (``upgrade``). If one of them fails, all go back. Everything is read from Ambari and
the hosts, so that a deployment that was killed goes on, or goes back if the inventory has the former version again.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bigtop_builder.cluster.stack_upgrade import (
    OWN,
    Standing,
    configuration_changes,
    pack_name,
    shown_changes,
)
from bigtop_builder.flow.deploy.connections import Connections
from bigtop_builder.flow.deploy.consent import NotAgreedError
from bigtop_builder.flow.deploy.desired_layout import is_client
from bigtop_builder.flow.deploy.hdfs_upgrade import HdfsUpgrade
from bigtop_builder.flow.deploy.host_states import UNINSTALLED, listed
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.repository import refused, standing, version_of
from bigtop_builder.flow.deploy.request_follower import carry_out
from bigtop_builder.flow.deploy.stack_obstacles import obstacles
from bigtop_builder.flow.deploy.upgrade import install_ahead, upgrade
from bigtop_builder.flow.deploy.verification import check_service, checkable
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.hosts.upgrade import upgrade_hive_schema
from bigtop_builder.model.base import seconds
from bigtop_builder.model.errors import AmbariError, BigtopBuilderError, InterruptedRunError, LimitError

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.ambari.cluster import ClusterView
    from bigtop_builder.adapter.ambari.repository import RepositoryVersion
    from bigtop_builder.adapter.ambari.service import HostComponent
    from bigtop_builder.hosts.operation import Operation

END_SECONDS = 300.0
"""Time limit for the server to finalize an upgrade."""
CHECKS = 3


class StackUpgrade:
    """An upgrade of the stack, or its way back, in the phase ``cluster``."""

    def __init__(self, connections: Connections, world: World, reporter: Reporter, view: ClusterView) -> None:
        self.connections, self.world, self.reporter, self.view = connections, world, reporter, view
        self.client = connections.client
        self.at = standing(self.client, world, view)

    @property
    def moving(self) -> bool:
        """Whether the cluster is between two versions of its stack."""
        return self.at.course != "none"

    def switch(self) -> ClusterView:
        """Let Ambari have the inventory's stack; return the cluster afterwards. Raises AmbariError, HostError."""
        if self.at.refusal:
            raise refused(self.world, self.at)
        for obstacle in obstacles(self.client, self.world, self.view, self.at):
            raise obstacle
        if self.moving and not self.connections.packages_known:
            raise AmbariError(
                "the hosts cannot be reached, where the packages of the other version of the stack are needed",
                hint="An upgrade of the stack works with SSH to all hosts only.",
            )
        if self.moving and self.reporter.restart == "none":
            raise AmbariError("an upgrade of the stack restarts everything", hint="Leave --restart none out.")
        if self.at.course == "begin":
            self._begin()
        elif self.at.course == "back":
            self._back()
        if not self.moving or self.reporter.dry_run:
            return self.view
        return self.client.cluster(self.world.cluster) or self.view

    def move(self) -> None:
        """Move services and clients to the other packages; if that fails, all of them go back. Raises AmbariError."""
        try:
            upgrade(self.connections, self.world, self.reporter, self._before_start() if self.moving else None)
            if self.moving:
                self._clients()
        except (InterruptedRunError, LimitError, NotAgreedError):
            raise
        except BigtopBuilderError as error:
            if self.at.course not in ("begin", "forward") or self.reporter.dry_run:
                raise
            self.reporter.check_cancelled()
            self._all_back(error)

    def _begin(self) -> None:
        choice, world = self.world.inventory.stack, self.world
        if install_ahead(self.connections, world, self.reporter):
            raise AmbariError(
                "an earlier move of packages has not ended",
                hint=f"Finish it first: deploy with stack.version: {self.at.source}.",
            )
        version = self._version()
        states = self.client.stack_versions(world.cluster) if version is not None else {}
        if version is None or not version.resolved or states.get(version.id) not in ("INSTALLED", "CURRENT"):
            carry_out(
                self.client,
                world,
                self.reporter,
                f"agents find the packages of {choice.name}-{version_of(world)} on all hosts",
                partial(self.client.distribute, world.cluster, choice.name, choice.version, version_of(world)),
            )
        number = version.id if version is not None else 0
        HdfsUpgrade(self.connections, world, self.reporter, self.view).prepare()
        self.reporter.change(
            f"stack {choice.name}-{self.at.source} -> {choice.name}-{choice.version}",
            "\n".join(self._changes()),
            act=lambda: self.client.begin_upgrade(world.cluster, number, pack_name(self.at.source, choice.version)),
        )

    def _version(self) -> RepositoryVersion | None:
        choice = self.world.inventory.stack
        for one in self.client.repository_versions(choice.name, choice.version):
            if one.version == version_of(self.world):
                return one
        if not self.reporter.dry_run:
            raise AmbariError(
                f"Ambari knows no version {choice.name}-{version_of(self.world)}",
                hint="Run the phase repository first.",
            )
        return None

    def _changes(self) -> list[str]:
        """Return what the other stack changes in the configurations, as lines of a diff."""
        name, target = self.world.inventory.stack.name, self.world.inventory.stack.version
        old: dict[str, dict[str, str]] = {}
        new: dict[str, dict[str, str]] = {}
        for service in (None, *self.view.services):
            for into, version in ((old, self.at.source), (new, target)):
                for kind, one in self.client.stack_defaults(name, version, service).items():
                    into.setdefault(kind, {}).update(one.properties)
        tags = self.view.desired_configs
        present = {
            kind: dict(self.client.configuration(self.world.cluster, kind, tags[kind]).properties)
            for kind in {*old, *new} & {*tags}
        }
        return shown_changes(configuration_changes(old, new, present))

    def _back(self) -> None:
        """Begin the way back. An upgrade that was aborted already is one whose way back was killed in between."""
        last = self.at.last
        assert last is not None
        if last.status != "ABORTED":
            self.reporter.change(
                f"abort the upgrade to {last.version}",
                act=partial(self.client.abort_upgrade, self.world.cluster, last.request),
            )
        self.reporter.change(
            f"stack back to {self.world.inventory.stack.name}-{self.at.source}",
            "Ambari makes the configurations of that version current again",
            act=partial(self.client.begin_downgrade, self.world.cluster),
        )

    def _before_start(self) -> dict[str, tuple[Operation, ...]]:
        """Return what runs on hosts between the links and the start: the schema of Hive's metastore, on one of them."""
        hosts = sorted(one.host for one in self.world.components() if one.component == "HIVE_METASTORE")
        tag = self.view.desired_configs.get("hive-env")
        if self.at.course in ("back", "backward") or not hosts or tag is None:
            return {}
        kind = self.client.configuration(self.world.cluster, "hive-env", tag).properties.get("hive_database_type")
        home = f"{self.world.stack.root}/{version_of(self.world)}/usr/lib/hive"
        return {hosts[0]: (upgrade_hive_schema(home, kind or "mysql"),)}

    def _clients(self) -> None:
        """Restart clients that still report the former version: Ambari learns the version of one in no other way."""
        behind = [
            one
            for one in lagging(self.world)
            if is_client(self.world.stack, one.component) and one.state not in UNINSTALLED
        ]
        if not behind:
            return
        placed: dict[tuple[str, str], list[str]] = {}
        for one in behind:
            placed.setdefault((one.service, one.component), []).append(one.host)
        targets = [(service, component, sorted(hosts)) for (service, component), hosts in sorted(placed.items())]
        carry_out(
            self.client,
            self.world,
            self.reporter,
            f"restart {listed(behind)} (other packages)",
            partial(self.client.restart_components, self.world.cluster, targets),
        )
        self.world.expected.state(behind, "INSTALLED", current=True)

    def _all_back(self, reason: BigtopBuilderError) -> None:
        """Go back with everything. Always raises."""
        choice = self.world.inventory.stack
        failure = f"the upgrade to {choice.name}-{choice.version} has failed: {reason.message}"
        self.reporter.notice(f"{failure}; going back to {choice.name}-{self.at.source}", warning=True)
        try:
            go_back(self.connections, self.world, self.reporter, self.at.source)
        except (InterruptedRunError, LimitError):
            raise
        except BigtopBuilderError as error:
            self.reporter.check_cancelled()
            raise AmbariError(
                f"{failure}; and the way back failed: {error.message}",
                hint=f"{error.hint or 'Fix the problem above.'} Then run the deployment again, with stack.version: "
                f"{self.at.source} to go on with the way back.",
            ) from error
        raise AmbariError(
            f"{failure}; went back to {choice.name}-{self.at.source}",
            hint=reason.hint or "Fix the cause and run the deployment again, or revert the change of the inventory.",
        ) from reason


def go_back(connections: Connections, world: World, reporter: Reporter, source: str) -> None:
    """Bring the cluster back to the version of the stack that it had: deploy it as an inventory with that would."""
    version = connections.client.upgrades(world.cluster)[-1].former or None
    stack = world.inventory.stack.model_copy(update={"version": source, "repository_version": version})
    inventory = world.inventory.model_copy(update={"stack": stack})
    former = world.with_inventory(replace(world.loaded, inventory=inventory))
    reporter.passed = former.forget_components
    try:
        former.forget_components()
        view = connections.client.cluster(world.cluster)
        if view is None:
            raise AmbariError(f"there is no cluster {world.cluster} any more")
        way = StackUpgrade(connections, former, reporter, view)
        way.switch()
        way.move()
        conclude(connections, former, reporter)
    finally:
        reporter.passed = world.forget_components
        world.forget_components()


def lagging(world: World) -> list[HostComponent]:
    """Return the components that report another version than the wanted one."""
    wanted = version_of(world)
    return [one for one in world.components() if one.version not in (wanted, "UNKNOWN", "")]


def conclude(connections: Connections, world: World, reporter: Reporter) -> None:
    """End a way back, or finalize an upgrade if that was asked for. Raises AmbariError if something has not moved."""
    client = connections.client
    view = client.cluster(world.cluster)
    if view is None:
        return
    at = standing(client, world, view)
    choice = world.inventory.stack
    if at.refusal or at.course == "none":
        if reporter.finalize:
            _finish(connections, world, reporter, view)
        else:
            _remind(connections, world, reporter, view)
        return
    if at.course == "begin" and not (reporter.dry_run or reporter.finalize):
        reporter.notice(
            f"the upgrade from {at.source} to {choice.name}-{choice.version} has not begun: "
            "that is done by the phase 'cluster'"
        )
        return
    returning = at.course in ("back", "backward")
    if not returning and not reporter.finalize:
        reporter.notice(
            f"{choice.name}-{choice.version} is not final: stack.version: {at.source} goes back; "
            "deploy --finalize-upgrade ends the upgrade, and with it the way back"
        )
        return
    hdfs = HdfsUpgrade(connections, world, reporter, view)
    if not reporter.dry_run:
        _require_moved(world, at)
        for service in checkable(client, world, reporter):
            if not check_service(client, world, reporter, service, attempts=CHECKS):
                raise AmbariError(f"the service check of {service} failed: nothing was finalized")
        hdfs.require_running("finalized")
    end = partial(_finalize, client, world, reporter)
    if returning:
        hdfs.finalize()
        reporter.change(f"end the way back to {choice.name}-{choice.version}", act=end)
        return
    # Ambari first: it is what refuses the way back, and must not offer one that HDFS has given up.
    reporter.change(f"finalize {world.stack.id}", "there is no way back after this", act=end)
    _finalize_hdfs(hdfs, world)


def _finish(connections: Connections, world: World, reporter: Reporter, view: ClusterView) -> None:
    """Finalize HDFS if an earlier run ended after Ambari was final and before HDFS was."""
    if _upgraded(connections, world):
        hdfs = HdfsUpgrade(connections, world, reporter, view)
        hdfs.require_running("finalized")
        if hdfs.preparing():
            _finalize_hdfs(hdfs, world)
            return
    reporter.notice("there is no upgrade to finalize")


def _remind(connections: Connections, world: World, reporter: Reporter, view: ClusterView) -> None:
    """Say that HDFS is not final though Ambari is. A NameNode that does not answer now is no reason to fail."""
    with suppress(AmbariError):
        if _upgraded(connections, world) and HdfsUpgrade(connections, world, reporter, view).preparing():
            reporter.notice(
                f"{world.stack.id} is final in Ambari, but HDFS is not, and keeps what is deleted: "
                "deploy --finalize-upgrade finishes it",
                warning=True,
            )


def _upgraded(connections: Connections, world: World) -> bool:
    """Return whether the cluster came to its stack by an upgrade of ours, and hosts can be asked about it."""
    ours = (one.pack.startswith(OWN) for one in connections.client.upgrades(world.cluster))
    return connections.packages_known and any(ours)


def _finalize_hdfs(hdfs: HdfsUpgrade, world: World) -> None:
    try:
        hdfs.finalize()
    except AmbariError as error:
        raise AmbariError(
            f"{world.stack.id} is final in Ambari, so there is no way back; but HDFS is not: {error.message}",
            hint=f"{error.hint or 'Fix that.'} deploy --finalize-upgrade finishes it; until then HDFS keeps what is "
            "deleted.",
        ) from error


def _require_moved(world: World, at: Standing) -> None:
    behind = lagging(world)
    if behind:
        shown = "; ".join(f"{listed([one])}: {one.version}" for one in behind[:10])
        raise AmbariError(
            f"Ambari does not know {version_of(world)} of all components yet: {shown}",
            hint="They report their version when they start. Start what is stopped, or remove it; then run the "
            f"deployment again. {'' if at.course != 'forward' else f'To go back: stack.version: {at.source}.'}",
        )


def _finalize(client: Ambari, world: World, reporter: Reporter) -> None:
    """Release the step that the upgrade waits at, and wait for its end."""
    begin, released = reporter.clock(), False
    while True:
        last = client.upgrades(world.cluster)[-1]
        if last.status == "COMPLETED":
            return
        item = client.held_item(world.cluster, last.request)
        if item is not None and released and item.status != "HOLDING":
            raise AmbariError(
                f"Ambari cannot end the upgrade: {item.error or item.status}",
                hint="Fix that, then run the deployment again: it tries once more.",
            )
        if item is not None and not released:
            client.release_item(world.cluster, last.request, item)
            released = True
        if reporter.clock() - begin > END_SECONDS:
            raise LimitError(
                f"the server has not ended the upgrade after {END_SECONDS:.0f} s; it continues",
                hint="Run the deployment again.",
            )
        reporter.sleep(seconds(world.loaded.ambari.poll))
