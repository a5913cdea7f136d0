"""The phase ``verify``: service checks, alerts, stand-alone services and the inventory's own jobs."""

from __future__ import annotations

import re

from bigtop_builder.flow.deploy.context import Deployment
from bigtop_builder.flow.deploy.desired_layout import starting
from bigtop_builder.flow.deploy.failure_causes import last_lines
from bigtop_builder.flow.deploy.request_follower import TaskFailedError, follow
from bigtop_builder.model.base import seconds
from bigtop_builder.model.errors import AmbariError, HostError, LimitError, PartFailedError
from bigtop_builder.model.event import CheckFinished
from bigtop_builder.model.inventory import Job

JOINING_SECONDS = 10.0
"""Between two checks of a service that has just started."""
ATTEMPTS = 3
"""Checks of each service after a deployment that changed something."""


def verify(deployment: Deployment) -> str:
    """Everything is tried, then PartFailedError tells how much of it did not work."""
    failed = 0
    if deployment.mark is not None:
        deployment.mark.unlink(missing_ok=True)
    if deployment.inventory.ambari is not None:
        attempts = ATTEMPTS if deployment.all_changes else 1
        failed += sum(not check_service(deployment, service, attempts=attempts) for service in checkable(deployment))
        failed += check_alerts(deployment)
    if deployment.hosted:
        failed += check_standalone(deployment)
        failed += sum(not run_job(deployment, name, job) for name, job in deployment.inventory.jobs.items())
    if failed:
        raise PartFailedError(f"{failed} of the checks failed", hint="Each is told above with what it said.")
    if deployment.mark is not None:
        deployment.mark.parent.mkdir(parents=True, exist_ok=True)
        deployment.mark.touch()
        _links(deployment)
    return ""


def _links(deployment: Deployment) -> None:
    """Where the cluster can be seen: the pages of Ambari's web interface, and of stand-alone services."""
    if deployment.inventory.ambari is not None:
        for view in deployment.client.services(deployment.cluster):
            deployment.notice(f"{view.name}: {deployment.client.url}/#/main/services/{view.name}/summary")
    for entry in deployment.inventory.standalone.values():
        for service in entry.services:
            address = service.health.http if service.health else None
            if address is not None:
                for host in deployment.loaded.members(entry.hosts):
                    deployment.notice(f"{service.name}: {address.replace('{host}', host)}")


def due(deployment: Deployment) -> bool:
    """Whether something was changed since the last verification that succeeded, or none has."""
    return deployment.mark is None or not deployment.mark.exists()


def glance(deployment: Deployment) -> str:
    """The alerts only, and whether all runs that should. Raises PartFailedError."""
    if deployment.inventory.ambari is not None:
        critical = check_alerts(deployment)
        if critical:
            raise PartFailedError(
                f"there are {critical} critical alerts", hint="bigtop-builder verify tries everything."
            )
    return "verified before, and nothing has changed since: `verify` tries everything again"


def told(
    deployment: Deployment,
    check: str,
    ok: bool,
    message: str,
    *,
    host: str | None = None,
    hint: str | None = None,
    warning: bool = False,
) -> bool:
    """Tell how a check ended; gives ``ok``."""
    level = "ok" if ok else "warning" if warning else "error"
    deployment.emit(
        CheckFinished.model_validate(
            {
                "phase": deployment.phase,
                "check": check,
                "host": host,
                "level": level,
                "message": message,
                "hint": hint,
            }
        )
    )
    return ok


def checkable(deployment: Deployment) -> list[str]:
    """The cluster's services that have a check and something that runs: others' checks cannot succeed."""
    wanted = {component for components in starting(deployment).values() for component in components}
    there = {one.component for one in deployment.components()}
    found = []
    for view in deployment.client.services(deployment.cluster):
        service = deployment.stack.services.get(view.name)
        if service is None or view.maintenance:
            continue
        servers = {name for name, component in service.components.items() if not component.is_client}
        present = servers & there
        if present and not (present & wanted):
            deployment.notice(f"the check of {view.name} is left out: its servers are installed, not started")
            continue
        found.append(view.name)
    return found


def check_service(deployment: Deployment, service: str, *, attempts: int = 1) -> bool:
    """Ambari's own check of a service. ``attempts``: of a service that has just started, for its servers find each
    other a while after their processes run."""
    try:
        command = deployment.stack.check_command(service)
        follow(deployment, deployment.client.service_check(deployment.cluster, service, command))
    except TaskFailedError as error:
        if attempts > 1:
            deployment.notice(f"the service check of {service} fails; trying again in {JOINING_SECONDS:.0f} s")
            deployment.sleep(JOINING_SECONDS)
            return check_service(deployment, service, attempts=attempts - 1)
        first = error.tasks[0] if error.tasks else None
        cause = (first.cause or (first.last_lines or [""])[-1]) if first else error.message
        return told(deployment, f"service check of {service}", False, cause, hint=first.hint if first else None)
    except LimitError:
        raise
    except AmbariError as error:
        return told(deployment, f"service check of {service}", False, error.message, hint=error.hint)
    return told(deployment, f"service check of {service}", True, "")


def check_alerts(deployment: Deployment) -> int:
    """How many critical alerts there are; warnings, and what is not meant to run, are told."""
    wanted = starting(deployment)
    critical = 0
    for alert in deployment.client.alerts(deployment.cluster):
        if alert.maintenance or alert.state not in ("CRITICAL", "WARNING"):
            continue
        meant = alert.host is None or alert.component is None or alert.component in wanted.get(alert.host, ())
        warning = alert.state == "WARNING" or not meant
        name = f"alert {alert.label or alert.name}"
        told(deployment, name, False, alert.text.strip().replace("\n", " ")[:300], host=alert.host, warning=warning)
        critical += not warning
    return critical


def check_standalone(deployment: Deployment) -> int:
    """How many hosts have stand-alone services that are not as they should be."""
    if not deployment.inventory.standalone:
        return 0
    from bigtop_builder.flow.hosts.apply_standalone import verify_standalone

    return len(verify_standalone(deployment.loaded, deployment.fleet, deployment.emit).failed)


def run_job(deployment: Deployment, name: str, job: Job) -> bool:
    """A real job on a host."""
    host = deployment.loaded.members([job.on])[0]
    try:
        output = deployment.fleet.remote(host).run(
            job.command, timeout=seconds(job.timeout), user=None if job.user == "root" else job.user
        )
    except (HostError, LimitError) as error:
        return told(deployment, f"job {name}", False, error.message, host=host, hint=error.hint)
    if output.code != 0:
        end = " | ".join(last_lines(output.stderr, output.stdout)[-3:])
        return told(deployment, f"job {name}", False, f"ended with {output.code}: {end}", host=host)
    if job.expect is None:
        return told(deployment, f"job {name}", True, "", host=host)
    text = output.stdout + "\n" + output.stderr
    found = re.search(job.expect, text, re.MULTILINE)
    if found is None:
        return told(deployment, f"job {name}", False, f"its output has nothing like {job.expect!r}", host=host)
    line = next((line for line in text.splitlines() if found.group(0).splitlines()[0] in line), found.group(0))
    return told(deployment, f"job {name}", True, line.strip()[:200], host=host)
