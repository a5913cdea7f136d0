"""The state of a cluster as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigtop_builder.cli.invocation import Colour, Invocation
from bigtop_builder.cli.text_format import clean, columns, count

if TYPE_CHECKING:
    from bigtop_builder.flow.deploy.status import ClusterStatus

STALE = "outdated configuration"


def status_text(status: ClusterStatus, invocation: Invocation) -> str:
    """Return hosts, services, alerts and requests as text; the last line says whether all is well."""
    lines = []
    if status.url is not None:
        lines.append(f"Ambari {status.server_version} at {status.url}")
    if status.exists is False:
        lines.append(f"cluster {status.cluster} does not exist")
    elif status.exists:
        lines.append(f"cluster {status.cluster}, {status.version}")
    parts = [_hosts(status), _services(status), _standalone(status), _alerts(status), _requests(status)]
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
        "critical alert": sum(state == "CRITICAL" for state, *_ in status.alerts),
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
    rows = [[state, host, clean(label), clean(text)[:120]] for state, host, label, text in status.alerts]
    return columns(rows).splitlines()


def _requests(status: ClusterStatus) -> list[str]:
    rows = [
        [f"request {number}", state, f"{max(percent, 0):.0f}%", clean(context)]
        for number, context, state, percent in status.requests
    ]
    return columns(rows).splitlines()
