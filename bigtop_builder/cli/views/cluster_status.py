"""The state of a cluster as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigtop_builder.cli.invocation import Colour, Invocation
from bigtop_builder.cli.text_format import clean, columns, count

if TYPE_CHECKING:
    from bigtop_builder.flow.deploy.status import ClusterStatus

STALE = "outdated configuration"
STATUS_SECONDS = 20
"""Seconds between two looks of an agent at its processes (recorded)."""


def status_text(status: ClusterStatus, invocation: Invocation, *, diff: bool = False) -> str:
    """Return hosts, services, alerts, requests and differences as text; the last line says whether all is well.

    With ``diff`` each difference has its lines.
    """
    lines = []
    if status.url is not None:
        lines.append(f"Ambari {status.server_version} at {status.url}")
    if status.exists is False:
        lines.append(f"cluster {status.cluster} does not exist")
    elif status.exists:
        lines.append(f"cluster {status.cluster}, {status.version}")
    if status.heard_seconds is not None:
        lines.append(
            f"as Ambari last heard from all agents {status.heard_seconds:.0f} s ago; "
            f"it sees up to {STATUS_SECONDS} s later that a process has ended"
        )
    parts = [
        _hosts(status),
        _services(status),
        _standalone(status),
        _alerts(status),
        _requests(status),
        _differences(status, invocation, diff=diff),
    ]
    lines += [line for part in parts if part for line in ("", *part)]
    shade: Colour = "green" if status.green else "red"
    word = "green: everything matches the inventory" if status.green else f"not green: {_wrong(status)}"
    return "\n".join([*lines, "", invocation.paint(word, shade)]).lstrip("\n")


def _wrong(status: ClusterStatus) -> str:
    if status.exists is False:
        return "there is no cluster; bigtop-builder deploy creates it"
    counts = {
        "host": sum(not host.green for host in status.hosts),
        "service": sum(not service.green for service in status.services),
        "critical alert": sum(not alert.green for alert in status.alerts),
        "difference": len(status.differences),
        "stand-alone check": sum(level == "error" for level, *_ in status.standalone),
    }
    return ", ".join(count(number, name) for name, number in counts.items() if number)


def _hosts(status: ClusterStatus) -> list[str]:
    rows = [
        [
            "✓" if host.green else "✗",
            host.name,
            host.group or "",
            host.state,
            count(host.components, "component"),
            "down: " + ", ".join(host.down) if host.down else "",
        ]
        for host in status.hosts
    ]
    return columns(rows).splitlines()


def _services(status: ClusterStatus) -> list[str]:
    rows = []
    for service in status.services:
        more = [f"{count(service.stale, 'component')} with {STALE}"] if service.stale else []
        more += ["in maintenance"] if service.maintenance else []
        runs = f"{service.running} of {service.wanted} running" if service.wanted else "nothing to run"
        rows.append(["✓" if service.green else "✗", service.name, service.state, runs, ", ".join(more)])
    return columns(rows).splitlines()


def _standalone(status: ClusterStatus) -> list[str]:
    marks = {"ok": "✓", "warning": "!", "error": "✗"}
    rows = [[marks[level], host, check, clean(message)] for level, host, check, message in status.standalone]
    return columns(rows).splitlines()


def _alerts(status: ClusterStatus) -> list[str]:
    rows = [
        [
            one.state,
            one.host,
            clean(one.label),
            ("before the last change: " if one.outdated else "") + clean(one.text)[:120],
        ]
        for one in status.alerts
    ]
    lines = columns(rows).splitlines()
    return [*lines, clean(status.unknown_alerts)] if status.unknown_alerts else lines


def _requests(status: ClusterStatus) -> list[str]:
    rows = [
        [f"request {number}", state, f"{max(percent, 0):.0f}%", clean(context)]
        for number, context, state, percent in status.requests
    ]
    return columns(rows).splitlines()


def _differences(status: ClusterStatus, invocation: Invocation, *, diff: bool) -> list[str]:
    if not status.differences:
        return []
    shades: dict[str, Colour] = {"+": "green", "-": "red"}
    lines = ["deploy would change:"]
    for one in status.differences:
        lines += [f"  {clean(line)}" for line in one.name.splitlines()]
        for line in one.detail.splitlines() if diff else ():
            shade = shades.get(line[:1])
            lines.append(f"    {invocation.paint(clean(line), shade) if shade else clean(line)}")
    if not diff and any(one.detail for one in status.differences):
        lines.append("(status --diff shows the values)")
    return lines
