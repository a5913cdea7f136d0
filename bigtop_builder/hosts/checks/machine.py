"""The machine: clock, memory, disks, and the limits of a log-in."""

from __future__ import annotations

from collections.abc import Mapping

from bigtop_builder.hosts.checks.rule import GIB, PREPARED, Fleetwide, Problem, Problems, Rule
from bigtop_builder.hosts.facts import HostFacts
from bigtop_builder.model.base import seconds


def _clock(host: HostFacts, fleet: Fleetwide) -> Problems:
    limit = float(seconds(fleet.loaded.inventory.require.clock_skew))
    if host.clock_skew is None:
        return
    apart = host.clock_skew - fleet.skew
    hint = "Keep its clock right with chronyd" + (" or ntpd." if host.container else " (prepare.chrony).")
    # Hosts that disagree break Kerberos and HBase; a whole cluster that is off breaks nothing between its hosts.
    if abs(apart) - host.clock_precision > limit:
        way = "ahead of" if apart > 0 else "behind"
        yield Problem("error", f"its clock is {abs(apart):.1f} s {way} most hosts", hint)
    elif abs(host.clock_skew) - host.clock_precision > limit:
        way = "ahead of" if host.clock_skew > 0 else "behind"
        yield Problem("warning", f"its clock is {abs(host.clock_skew):.1f} s {way} this machine's", hint)


def _memory(host: HostFacts, fleet: Fleetwide) -> Problems:
    need = fleet.loaded.inventory.require.memory
    # The total does not include what firmware and kernel keep for themselves.
    if host.memory is not None and host.memory < need * GIB * 0.93:
        yield Problem("error", f"{host.memory / GIB:.1f} GiB of memory, {need} required", "See require.memory.")


def _disk(host: HostFacts, fleet: Fleetwide) -> Problems:
    need = fleet.loaded.inventory.require.disk
    reported: set[str] = set()
    for path in fleet.loaded.inventory.require.mounts:
        mount = host.mount_of(path)
        if mount is None:
            yield Problem("warning", f"the free space of {path} is unknown")
        elif mount.free < need * GIB and mount.path not in reported:
            reported.add(mount.path)
            hint = "Free some space, or see require.disk and require.mounts."
            yield Problem("error", f"{mount.free / GIB:.1f} GiB free on {mount.path}, {need} required", hint)


def _umask(host: HostFacts, fleet: Fleetwide) -> Problems:
    if host.umask is not None and int(host.umask, 8) & 0o055:
        yield Problem(
            "error" if int(host.umask, 8) & 0o005 else "warning",
            f"umask is {host.umask}: services cannot read installed files",
            "Set umask 0022 for root (/etc/profile, /etc/login.defs).",
        )


def _limits(host: HostFacts, fleet: Fleetwide) -> Problems:
    need = fleet.loaded.inventory.require.open_files
    soft = host.open_files[0] if host.open_files else None
    if soft is not None and soft < need:
        hint = "Raise nofile below /etc/security/limits.d."
        if fleet.loaded.inventory.prepare.limits:
            hint = f"{PREPARED} If it already has: sshd needs UsePAM, and the machine's own limit is an upper bound."
        yield Problem("warning", f"{soft} open files allowed, {need} required", hint)


CHECKS: Mapping[str, Rule] = {
    "clock": _clock,
    "memory": _memory,
    "disk": _disk,
    "umask": _umask,
    "open-files": _limits,
}
