"""Alerts judged by their age: what was seen before the last change does not count.

Agents look at an alert once per interval of its definition (a minute for most, 686), also at those of components that
have not started yet, and report only changes: ``latest_timestamp`` of an alert that stays as it is never moves (676,
708 and 710; ``AlertStatusReporter`` of 3.0). So an alert counts once it is newer than the last change, or once the time
of a look has passed since then.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigtop_builder.flow.deploy.desired_layout import desired_layout, starting
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model.base import seconds
from bigtop_builder.model.event import CheckFinished

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.ambari.progress import RequestView
    from bigtop_builder.adapter.ambari.service import Alert

LOOK_SECONDS = 20.0
"""Seconds beyond its interval in which a look has ended and was reported (agents report every five seconds)."""
MINUTE = 60.0
LONGEST_MINUTES: Mapping[str, int] = {"CRITICAL": 5, "WARNING": 1, "UNKNOWN": 1}
"""The longest interval that is waited for, by state: only critical alerts fail a deployment, OK ones need no look."""
SHOWN = 300
CHECK = re.compile(r"service[ _]check$", re.IGNORECASE)
"""The context of a request that changes nothing."""
AMBARI = "AMBARI"
"""The service of alerts about hosts and the server itself, which requests do not change."""


@dataclass(frozen=True)
class JudgedAlert:
    """An alert. ``pending``: an agent is about to look at it again; ``outdated``: nobody has since the last change."""

    alert: Alert
    pending: bool
    outdated: bool
    meant: bool
    """Whether it is about something that should run."""


def read_alerts(client: Ambari, world: World, reporter: Reporter, *, wait: bool) -> list[JudgedAlert]:
    """Return the alerts of the cluster, except those in maintenance; with ``wait`` once none is pending any more."""
    wanted = starting(world.stack, desired_layout(client, world, reporter))
    intervals = client.alert_intervals(world.cluster)
    changed = last_change(client.requests(world.cluster))
    registered = {host.name: host.registered or 0.0 for host in client.hosts()}
    services = {one.service for one in world.components() if one.component in wanted.get(one.host, ())}
    offset = client.clock() - reporter.clock()
    reported = False
    while True:
        now = reporter.clock() + offset
        found = [alert for alert in client.alerts(world.cluster) if not alert.maintenance]
        judged = [_judged(alert, intervals, changed, registered, now, wanted) for alert in found]
        # Right after a cluster was created nobody has looked at anything.
        blank = services & {service for service, _ in intervals} - {alert.service for alert in found}
        pending = sum(one.pending for one in judged)
        if not wait or not (pending or (blank and now < changed + MINUTE + LOOK_SECONDS)):
            return judged
        if not reported:
            reported = True
            reporter.notice(
                f"waiting for agents to look at {pending or 'the'} alerts again: they were last seen before the change"
            )
        reporter.sleep(seconds(world.loaded.ambari.poll))


def last_change(requests: Iterable[RequestView]) -> float:
    """Return when the last request that may have changed something ended, by the server's clock; 0 if none has."""
    return max((one.end or 0.0 for one in requests if not CHECK.search(one.context)), default=0.0)


def _judged(
    alert: Alert,
    intervals: Mapping[tuple[str, str], int],
    changed: float,
    registered: Mapping[str, float],
    now: float,
    wanted: Mapping[str, Iterable[str]],
) -> JudgedAlert:
    meant = alert.host is None or alert.service == AMBARI or alert.component in (None, *wanted.get(alert.host, ()))
    since = 0.0 if alert.service == AMBARI else changed
    if alert.state != "OK":
        since = max(since, registered.get(alert.host or "", 0.0))
    interval = intervals.get((alert.service, alert.name), 1)
    looked = now >= since + interval * MINUTE + LOOK_SECONDS
    old = not looked and (alert.seen or 0.0) < since
    # A critical alert may be from a look at a service that was just coming up: the time of a whole look has to pass.
    unsure = old or (alert.state == "CRITICAL" and not looked)
    return JudgedAlert(alert, unsure and interval <= LONGEST_MINUTES.get(alert.state, 0), old, meant)


def critical_alerts(client: Ambari, world: World, reporter: Reporter) -> int:
    """Wait for alerts that are newer than the last change, report those that are not OK, and return the number of
    critical ones; warnings, outdated alerts, and alerts about what should not run, do not count."""
    judged = read_alerts(client, world, reporter, wait=True)
    critical = 0
    for one in judged:
        alert = one.alert
        if alert.state not in ("CRITICAL", "WARNING"):
            continue
        warning = alert.state == "WARNING" or not one.meant or one.outdated
        text = alert.text.strip().replace("\n", " ")[:SHOWN]
        message = f"{alert.state} before the last change, not seen since: {text}" if one.outdated else text
        _report(reporter, f"alert {alert.label or alert.name}", message, alert.host, "warning" if warning else "error")
        critical += not warning
    unknown = unknown_alerts(judged)
    if unknown:
        _report(reporter, "alerts", unknown, None, "warning")
    return critical


def unknown_alerts(judged: Sequence[JudgedAlert]) -> str:
    """Return how many alerts are UNKNOWN, which, and why the first is; an empty text if none is."""
    unknown = [one.alert for one in judged if one.alert.state == "UNKNOWN"]
    if not unknown:
        return ""
    labels = Counter(alert.label or alert.name for alert in unknown)
    shown = ", ".join(f"{label} ({number})" if number > 1 else label for label, number in labels.most_common(5))
    more = f" and {len(labels) - 5} more" if len(labels) > 5 else ""
    text = unknown[0].text.strip().replace("\n", " ")[:SHOWN]
    return f"{len(unknown)} of {len(judged)} alerts are UNKNOWN: {shown}{more}; the first: {text}"


def _report(reporter: Reporter, check: str, message: str, host: str | None, level: str) -> None:
    reporter.emit(
        CheckFinished.model_validate(
            {"phase": reporter.phase, "check": check, "host": host, "level": level, "message": message}
        )
    )
