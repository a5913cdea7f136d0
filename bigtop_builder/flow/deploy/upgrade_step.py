"""One step of an upgrade: stop, change and start services wave by wave, check them, and roll back if they fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from bigtop_builder.cluster.rolling import Wave, waves
from bigtop_builder.cluster.upgrade import Step
from bigtop_builder.flow.deploy.connections import Connections
from bigtop_builder.flow.deploy.consent import NotAgreedError
from bigtop_builder.flow.deploy.desired_layout import desired_layout, is_client, starting
from bigtop_builder.flow.deploy.host_states import await_reports, listed
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.request_follower import carry_out
from bigtop_builder.flow.deploy.service_state import put_state
from bigtop_builder.flow.deploy.verification import check_service
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.flow.hosts.operations import apply
from bigtop_builder.hosts.standalone import entries_of
from bigtop_builder.hosts.upgrade import forget_former, note_former, set_packages, set_selected
from bigtop_builder.model.errors import AmbariError, BigtopBuilderError, InterruptedRunError, LimitError

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.service import HostComponent
    from bigtop_builder.hosts.facts import SoftwareFacts
    from bigtop_builder.hosts.operation import Operation

CHECKS = 3
"""The number of failed service checks after which a service counts as broken."""

ANNOUNCED, ANNOUNCER = "HDFS", "HDFS_CLIENT"
"""A service that starts from the folder of the version that agents have reported last, whatever its links say (read in
``get_hadoop_dir`` of 3.0); and its client, which reports the version of its link without anything being stopped."""


class UpgradeStep:
    """The upgrade of services that belong together. ``checked``: services of the cluster whose check can succeed."""

    def __init__(
        self,
        connections: Connections,
        world: World,
        reporter: Reporter,
        step: Step,
        facts: Mapping[str, SoftwareFacts],
        checked: frozenset[str],
        before_start: Mapping[str, tuple[Operation, ...]] | None = None,
    ) -> None:
        self.connections, self.world, self.reporter = connections, world, reporter
        self.step, self.facts = step, facts
        self.checked = [service for service in step.services if service in checked]
        self.title = ", ".join(step.services)
        self.wanted = starting(world.stack, desired_layout(connections.client, world, reporter))
        self.before_start = before_start
        """Operations by host; with them the caller sees to the way back."""
        self.touched: list[str] = []
        self.was_running: set[tuple[str, str]] = set()
        self.announcing = False
        self.turn = ""
        """Which wave this is and why, for the names of changes."""

    @property
    def has_servers(self) -> bool:
        """Whether it stops and starts anything, which reports its version by that."""
        return bool(self._servers(self.step.moves))

    def announce(self) -> None:
        """Have a client report the new version before the first start. Raises AmbariError if none moves that early."""
        first = self._waves()[0].hosts
        if not any(one.component == ANNOUNCER for one in self._components(first)):
            raise AmbariError(
                f"{ANNOUNCED} would start from the folder of its former packages: Ambari learns of the new version "
                "when the first component has started",
                hint=f"Add {ANNOUNCER} to {' or '.join(first[:3])} first: it reports the version before that.",
            )
        self.announcing = True

    def carry_out(self) -> None:
        """Carry the step out. Raises AmbariError if the services failed with the new packages and were rolled back.

        An interruption, or a request that is not over in time, leaves everything as it is: the next run continues.
        """
        try:
            order = self._waves()
            for number, wave in enumerate(order, start=1):
                self.turn = f" (wave {number} of {len(order)}, because of other packages)"
                self._wave(wave)
                if wave.checked or wave is order[-1]:
                    self._check()
        except (InterruptedRunError, LimitError, NotAgreedError):
            raise
        except BigtopBuilderError as error:
            self.reporter.check_cancelled()
            if self.before_start is not None:
                raise AmbariError(f"{self.title}: {error.message}", hint=error.hint) from error
            self._roll_back(error)
        self._forget(self.step.moves)

    def _components(self, hosts: Iterable[str]) -> list[HostComponent]:
        """Return the step's components on these hosts, as they are now."""
        chosen = set(hosts)
        return [one for one in self.world.components() if one.host in chosen and one.service in self.step.services]

    def _waves(self) -> tuple[Wave, ...]:
        placed: dict[str, list[str]] = {host: [] for host in self.step.moves}
        down = set()
        for one in self._components(self.step.moves):
            placed[one.host].append(one.component)
            if one.state != "STARTED" and one.component in self.wanted.get(one.host, ()):
                down.add(one.host)
        return waves(self.world.stack, placed, down)

    def _wave(self, wave: Wave) -> None:
        self.touched += wave.hosts
        self._stop(wave.hosts)
        self._apply({host: self._forward(host) for host in wave.hosts})
        if self.announcing and self.touched == [*wave.hosts]:
            self._announce(wave.hosts)
        self._start(wave.hosts)

    def _announce(self, hosts: Iterable[str]) -> None:
        """Restart a client, so that Ambari learns which version the links lead to."""
        client = next((one for one in self._components(hosts) if one.component == ANNOUNCER), None)
        if client is None:
            return
        carry_out(
            self.connections.client,
            self.world,
            self.reporter,
            f"restart {listed([client])} (it reports the version)",
            lambda: self.connections.client.restart_components(
                self.world.cluster, [(client.service, client.component, [client.host])]
            ),
        )
        self.world.expected.state([client], "INSTALLED", current=True)

    def _forward(self, host: str) -> tuple[Operation, ...]:
        move, facts = self.step.moves[host], self.facts[host]
        present = {name: packages[-1].evr for name, packages in facts.packages.items()}
        return (
            *note_former(facts, move.former.text()),
            *set_packages(move.packages, present, restarts=self._outside(host)),
            *set_selected(move.selected, facts.selectors),
            *((self.before_start or {}).get(host, ()) if "HIVE" in self.step.services else ()),
        )

    def _backward(self, host: str) -> tuple[Operation, ...]:
        move = self.step.moves[host]
        return (
            *set_packages(move.former.packages, move.packages, restarts=self._outside(host)),
            *set_selected(move.former.selected, move.selected),
        )

    def _outside(self, host: str) -> list[str]:
        """Return stand-alone services with a package of this step: their own phase restarts them."""
        moving = {*self.step.moves[host].packages, *self.step.moves[host].former.packages}
        return [
            service.name
            for _, entry in entries_of(self.world.loaded, host)
            if moving & set(entry.packages)
            for service in entry.services
        ]

    def _apply(self, work: Mapping[str, tuple[Operation, ...]]) -> None:
        self.reporter.check_cancelled()
        for host, operations in work.items():
            self.world.expected.restarts(host, (name for one in operations for name in one.restarts))
        result = apply(
            self.connections.fleet,
            work,
            phase=self.reporter.phase,
            emit=self.reporter.emit,
            dry_run=self.reporter.dry_run,
        )
        self.reporter.changes += result.changes
        error = result.error()
        if error is not None:
            raise error

    def _stop(self, hosts: Iterable[str], *, agreed: bool = False) -> None:
        """Stop what runs. Who ``agreed`` to the step agreed to its way back."""
        running = [one for one in self._servers(hosts) if one.state != "INSTALLED"]
        if not running:
            return
        self.was_running |= {(one.host, one.component) for one in running if one.state == "STARTED"}
        self._request(
            f"stop {listed(running)}{self.turn}",
            "INSTALLED",
            running,
            lambda one: one.state == "INSTALLED",
            disrupts=[f"{one.component} on {one.host}" for one in running if one.state == "STARTED" and not agreed],
        )
        self.world.expected.state(running, "INSTALLED")

    def _start(self, hosts: Iterable[str]) -> None:
        """Start what was stopped, and what should run anyway: an earlier deployment may have stopped it."""
        down = [
            one
            for one in self._servers(hosts)
            if one.state != "STARTED"
            and ((one.host, one.component) in self.was_running or one.component in self.wanted.get(one.host, ()))
        ]
        if down:
            self._request(f"start {listed(down)}{self.turn}", "STARTED", down, lambda one: one.state == "STARTED")
            self.world.expected.state(down, "STARTED", current=True)

    def _servers(self, hosts: Iterable[str]) -> list[HostComponent]:
        return [one for one in self._components(hosts) if not is_client(self.world.stack, one.component)]

    def _request(
        self,
        name: str,
        state: str,
        components: list[HostComponent],
        reached: Callable[[HostComponent], bool],
        *,
        disrupts: Sequence[str] = (),
    ) -> None:
        """Request a state, and verify it: Ambari silently skips hosts without a heartbeat."""
        context = f"{name.split()[0].capitalize()} {self.title} to move to other packages"
        carry_out(
            self.connections.client,
            self.world,
            self.reporter,
            name,
            lambda: put_state(self.connections.client, self.world, state, components, context),
            disrupts=disrupts,
        )
        if self.reporter.dry_run:
            return
        await_reports(self.connections.client, self.world, self.reporter)
        meant = {(one.host, one.component) for one in components}
        left = [
            one
            for one in self._servers({one.host for one in components})
            if (one.host, one.component) in meant and not reached(one)
        ]
        if left:
            raise AmbariError(
                f"the request to {name} finished, but these are in another state: {listed(left)}",
                hint="See their logs on the hosts.",
            )

    def _check(self) -> None:
        if self.reporter.dry_run:
            return
        for service in self.checked:
            if not check_service(self.connections.client, self.world, self.reporter, service, attempts=CHECKS):
                raise AmbariError(f"the service check of {service} failed")

    def _forget(self, hosts: Iterable[str]) -> None:
        self._apply({host: (forget_former(),) for host in hosts})

    def _roll_back(self, reason: BigtopBuilderError) -> None:
        """Roll back. Always raises: a rollback does not make the upgrade a success."""
        hosts = list(dict.fromkeys(self.touched))
        failure = f"{self.title} cannot be upgraded: {reason.message}"
        self.reporter.notice(f"{failure}; rolling back on {', '.join(hosts)}", warning=True)
        self.turn = " (back to the former packages)"
        try:
            self._stop(hosts, agreed=True)
            self._apply({host: self._backward(host) for host in hosts})
            if any(self.step.moves[host].former.selected for host in hosts):
                self._announce(hosts)
            self._start(hosts)
            self._check()
            self._forget(hosts)
        except (InterruptedRunError, LimitError):
            raise
        except BigtopBuilderError as error:
            self.reporter.check_cancelled()
            raise AmbariError(
                f"{failure}; and the rollback failed: {error.message}",
                hint=error.hint or "Fix the problem above and run the deployment again: it continues from here.",
            ) from error
        raise AmbariError(
            f"{failure}; rolled back on {', '.join(hosts)}",
            hint="Fix the cause and run the deployment again, or revert the change of the inventory.",
        ) from reason
