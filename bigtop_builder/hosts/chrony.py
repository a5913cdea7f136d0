"""The clock of a host: chrony, and the NTP servers that it asks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bigtop_builder.hosts.files import block_lines, managed_block, write_file
from bigtop_builder.hosts.operation import Cannot, Operation
from bigtop_builder.hosts.services import service_running
from bigtop_builder.hosts.system import IN_CONTAINER

if TYPE_CHECKING:
    from bigtop_builder.hosts.facts import HostFacts

SERVICE = "chronyd"
OTHERS = ("ntpd", "systemd-timesyncd")
TIME_SERVICES = (SERVICE, *OTHERS)
"""chronyd is not installed where one of these is running."""
CONFIGURATION = "/etc/chrony.conf"
SHIPPED = """driftfile /var/lib/chrony/drift
makestep 1.0 3
rtcsync
keyfile /etc/chrony.keys
logdir /var/log/chrony
"""
"""What the distributions' packages configure besides servers; for a host whose own file is not there yet."""

_SOURCE = re.compile(r"\s*(server|pool|peer)\s")


def needs_chrony(facts: HostFacts) -> bool:
    """Return whether the host keeps its own time and nothing does so yet."""
    return not facts.container and not _running(facts, TIME_SERVICES)


def keep_time(facts: HostFacts, servers: Sequence[str]) -> Iterator[Operation | Cannot]:
    """Plan a running chronyd that asks ``servers``; without any, those of its configuration. The package comes first.

    Where another service keeps the time, it is left alone.
    """
    if facts.container:
        yield Cannot("the clock (chrony)", IN_CONTAINER)
        return
    other = next((name for name in OTHERS if _running(facts, [name])), None)
    if other is not None and not _running(facts, [SERVICE]):
        if servers:
            yield Cannot("the NTP servers", f"{other} keeps the time; configure it, or stop it for chronyd")
        return
    written = _configured(facts, servers) if servers else ()
    yield from written
    if written or not _running(facts, [SERVICE]) or servers:
        yield from service_running(facts, SERVICE, changed=bool(written))


def _running(facts: HostFacts, names: Sequence[str]) -> bool:
    return any(facts.services[name].running for name in names if name in facts.services)


def _configured(facts: HostFacts, servers: Sequence[str]) -> tuple[Operation, ...]:
    """Plan our block of servers; other sources become comments, since chrony would ask them too."""
    file = facts.files.get(CONFIGURATION)
    text = (file.text if file else None) or SHIPPED
    ours = {*block_lines(text, "ntp")}
    lines = [f"#{line}" if _SOURCE.match(line) and line not in ours else line for line in text.splitlines()]
    wanted = [f"server {name} iburst" for name in dict.fromkeys(servers)]
    content = managed_block("".join(f"{line}\n" for line in lines), "ntp", wanted)
    owner, group, mode = (file.owner, file.group, file.mode) if file else ("root", "root", "0644")
    return write_file(facts, CONFIGURATION, content.encode(), owner=owner, group=group, mode=mode, restarts=(SERVICE,))
