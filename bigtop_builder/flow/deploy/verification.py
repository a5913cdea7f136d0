"""The phase ``verify``: service checks, alerts, stand-alone services and the inventory's own jobs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bigtop_builder.cluster.service_trials import TRIALS, trials_of
from bigtop_builder.flow.deploy.alerts import critical_alerts
from bigtop_builder.flow.deploy.connections import Connections
from bigtop_builder.flow.deploy.desired_layout import desired_layout, starting
from bigtop_builder.flow.deploy.host_states import await_reports
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.repository import version_of
from bigtop_builder.flow.deploy.request_follower import TaskFailedError, follow
from bigtop_builder.flow.deploy.smoke_check import run_smoke_tests
from bigtop_builder.flow.deploy.task_output import telling_lines
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model.base import seconds
from bigtop_builder.model.errors import AmbariError, HostError, LimitError, PartFailedError
from bigtop_builder.model.event import CheckFinished
from bigtop_builder.model.inventory import Job

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari

JOINING_SECONDS = 10.0
"""Seconds between two checks of a service that has just started."""
ATTEMPTS = 3
"""Checks of each service after a deployment that changed something."""


def verify(connections: Connections, world: World, reporter: Reporter) -> str:
    """Run all checks, then raise PartFailedError if some of them failed."""
    failed = 0
    if reporter.mark is not None:
        reporter.mark.unlink(missing_ok=True)
    if world.inventory.ambari is not None:
        failed += silent_hosts(connections.client, world, reporter)
        failed += check_services(connections, world, reporter)
    if connections.hosted:
        failed += check_standalone(connections, world, reporter)
        failed += run_smoke_tests(connections, world, reporter)
        failed += sum(
            not run_job(connections, world, reporter, f"job {name}", job) for name, job in world.inventory.jobs.items()
        )
    if world.inventory.ambari is not None:
        # Last, because agents take a minute to look at them again.
        failed += critical_alerts(connections.client, world, reporter)
    if failed:
        raise PartFailedError(f"{failed} of the checks failed", hint="They are listed above.")
    if reporter.mark is not None:
        reporter.mark.parent.mkdir(parents=True, exist_ok=True)
        reporter.mark.touch()
        _links(connections, world, reporter)
    return ""


def _links(connections: Connections, world: World, reporter: Reporter) -> None:
    """Report the URLs of the cluster: the pages of Ambari's web interface and of stand-alone services."""
    if world.inventory.ambari is not None:
        for view in connections.client.services(world.cluster):
            reporter.notice(f"{view.name}: {connections.client.url}/#/main/services/{view.name}/summary")
    for entry in world.inventory.standalone.values():
        for service in entry.services:
            address = service.health.http if service.health else None
            if address is not None:
                for host in world.loaded.members(entry.hosts):
                    reporter.notice(f"{service.name}: {address.replace('{host}', host)}")


def needs_verify(reporter: Reporter) -> bool:
    """Return whether there was no successful verification since the last change."""
    return reporter.mark is None or not reporter.mark.exists()


def check_alerts(connections: Connections, world: World, reporter: Reporter) -> str:
    """Check the alerts only. Raises PartFailedError if there are critical ones."""
    if world.inventory.ambari is not None:
        critical = critical_alerts(connections.client, world, reporter)
        if critical:
            raise PartFailedError(
                f"there are {critical} critical alerts", hint="bigtop-builder verify runs all checks."
            )
    return "verified before, and nothing has changed since: `verify` runs all checks again"


def report_check(
    reporter: Reporter,
    check: str,
    ok: bool,
    message: str,
    *,
    host: str | None = None,
    hint: str | None = None,
    warning: bool = False,
) -> bool:
    """Report the result of a check; return ``ok``."""
    level = "ok" if ok else "warning" if warning else "error"
    reporter.emit(
        CheckFinished.model_validate(
            {
                "phase": reporter.phase,
                "check": check,
                "host": host,
                "level": level,
                "message": message,
                "hint": hint,
            }
        )
    )
    return ok


def silent_hosts(client: Ambari, world: World, reporter: Reporter) -> int:
    """Report hosts that Ambari does not hear from, after waiting for their agents; return their number."""
    silent = sorted(await_reports(client, world, reporter))
    for host in silent:
        report_check(
            reporter,
            "agent",
            False,
            "Ambari does not hear from it",
            host=host,
            hint="Start it there: ambari-agent start",
        )
    return len(silent)


def checkable(client: Ambari, world: World, reporter: Reporter) -> list[str]:
    """Return the services that have a check and something that should run: other checks cannot succeed."""
    wanted = {
        component
        for components in starting(world.stack, desired_layout(client, world, reporter)).values()
        for component in components
    }
    there = {one.component for one in world.components()}
    found = []
    for view in client.services(world.cluster):
        service = world.stack.services.get(view.name)
        if service is None or view.maintenance:
            continue
        servers = {name for name, component in service.components.items() if not component.is_client}
        present = servers & there
        if present and not (present & wanted):
            reporter.notice(f"skipping the check of {view.name}: its servers are installed, not started")
            continue
        found.append(view.name)
    return found


def check_services(connections: Connections, world: World, reporter: Reporter) -> int:
    """Run Ambari's check of each service, and our own trials of those that pass; return the number of failures."""
    attempts = ATTEMPTS if reporter.earlier_changes else 1
    services = checkable(connections.client, world, reporter)
    passed = [
        service
        for service in services
        if check_service(connections.client, world, reporter, service, attempts=attempts)
    ]
    layout = desired_layout(connections.client, world, reporter)
    trials = {name: trials_of(name, layout, world.stack, version_of(world)) for name in sorted(passed, key=_rank)}
    untried = [name for name, found in trials.items() if found]
    why = "a rehearsal has no hosts to try them on" if not connections.hosted else ""
    why = "with Kerberos they need a ticket" if world.inventory.security.kerberos else why
    if why and untried:
        reporter.notice(f"Ambari's checks only, no trials of {', '.join(untried)}: {why}")
    failed = len(services) - len(passed)
    if not why:
        failed += sum(
            not run_job(connections, world, reporter, f"trial of {service}: {name}", job)
            for service, found in trials.items()
            for name, job in found
        )
    return failed


def _rank(service: str) -> int:
    order = list(TRIALS)
    return order.index(service) if service in order else len(order)


def check_service(client: Ambari, world: World, reporter: Reporter, service: str, *, attempts: int = 1) -> bool:
    """Run Ambari's own check of a service; return whether it succeeded.

    ``attempts`` is for services that have just started: their servers find each other some time after they run.
    """
    try:
        command = world.stack.check_command(service)
        follow(client, world, reporter, client.service_check(world.cluster, service, command))
    except TaskFailedError as error:
        if attempts > 1 and not error.lasting:
            reporter.notice(f"the service check of {service} failed; trying again in {JOINING_SECONDS:.0f} s")
            reporter.sleep(JOINING_SECONDS)
            return check_service(client, world, reporter, service, attempts=attempts - 1)
        first = error.tasks[0] if error.tasks else None
        cause = (first.cause or (first.last_lines or [""])[-1]) if first else error.message
        return report_check(reporter, f"service check of {service}", False, cause, hint=first.hint if first else None)
    except LimitError:
        raise
    except AmbariError as error:
        return report_check(reporter, f"service check of {service}", False, error.message, hint=error.hint)
    return report_check(reporter, f"service check of {service}", True, "")


def check_standalone(connections: Connections, world: World, reporter: Reporter) -> int:
    """Return the number of hosts with stand-alone services that are not as the inventory says."""
    if not world.inventory.standalone:
        return 0
    from bigtop_builder.flow.hosts.apply_standalone import verify_standalone

    return len(verify_standalone(world.loaded, connections.fleet, reporter.emit).failed)


def run_job(connections: Connections, world: World, reporter: Reporter, name: str, job: Job) -> bool:
    """Run a job on its host; return whether it succeeded. ``name`` is that of the check: ``job spark-pi``."""
    host = world.loaded.members([job.on])[0]
    try:
        output = connections.fleet.remote(host).run(
            job.command, timeout=seconds(job.timeout), user=None if job.user == "root" else job.user
        )
    except (HostError, LimitError) as error:
        return report_check(reporter, name, False, error.message, host=host, hint=error.hint)
    said = " | ".join(telling_lines(output.stdout, output.stderr, 3))
    if output.code != 0:
        return report_check(reporter, name, False, f"exited with {output.code}: {said}", host=host)
    if job.expect is None:
        return report_check(reporter, name, True, "", host=host)
    text = output.stdout + "\n" + output.stderr
    found = re.search(job.expect, text, re.MULTILINE)
    if found is None:
        return report_check(reporter, name, False, f"its output does not match {job.expect!r}: {said}", host=host)
    line = next((line for line in text.splitlines() if found.group(0).splitlines()[0] in line), found.group(0))
    return report_check(reporter, name, True, line.strip()[:200], host=host)
