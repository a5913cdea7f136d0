"""What ``hosts prepare`` can set: Java, SELinux, the firewall, settings of the kernel."""

from __future__ import annotations

from collections.abc import Mapping

from bigtop_builder.hosts.checks.rule import PREPARED, Fleetwide, Level, Problem, Problems, Rule
from bigtop_builder.hosts.facts import HostFacts


def _jdk(host: HostFacts, fleet: Fleetwide) -> Problems:
    prepare = fleet.loaded.inventory.prepare
    home = prepare.java_home
    if home is not None and not any(jdk.path == home for jdk in host.jdks):
        found = ", ".join(jdk.path for jdk in host.jdks) or "none"
        level: Level = "warning" if prepare.jdk else "error"
        yield Problem(level, f"no Java in {home} (found: {found})", "See prepare.java_home and prepare.jdk.")
    elif not host.jdks:
        if prepare.jdk:
            yield Problem("warning", "no Java is installed", f"hosts prepare installs {prepare.jdk}.")
        else:
            yield Problem("error", "no Java is installed", "Install a JDK, or name its package in prepare.jdk.")


def _selinux(host: HostFacts, fleet: Fleetwide) -> Problems:
    choice = fleet.loaded.inventory.prepare.selinux
    if host.selinux == "enforcing" and choice != "enforcing":
        hint = "Ambari expects permissive." if choice == "keep" else PREPARED
        yield Problem("warning", "SELinux is enforcing", hint)


def _firewall(host: HostFacts, fleet: Fleetwide) -> Problems:
    if host.firewall not in (None, "none"):
        hint = "Open the services' ports, or set prepare.firewall: disable."
        if fleet.loaded.inventory.prepare.firewall == "disable":
            hint = PREPARED
        yield Problem("warning", f"{host.firewall} is running", hint)


def _huge_pages(host: HostFacts, fleet: Fleetwide) -> Problems:
    if host.thp == "always":
        keep = fleet.loaded.inventory.prepare.transparent_huge_pages == "keep" or host.container
        hint = "They slow down Hadoop and databases; set them to madvise." if keep else PREPARED
        yield Problem("warning", "transparent huge pages are always on", hint)


def _swappiness(host: HostFacts, fleet: Fleetwide) -> Problems:
    choice = fleet.loaded.inventory.prepare.swappiness
    value = host.sysctl.get("vm.swappiness")
    if value is not None and int(value) > (choice if choice is not None else 10) and host.swap != 0:
        hint = "Set vm.swappiness to 1." if choice is None or host.container else PREPARED
        yield Problem("warning", f"vm.swappiness is {value}", hint)


CHECKS: Mapping[str, Rule] = {
    "jdk": _jdk,
    "selinux": _selinux,
    "firewall": _firewall,
    "huge-pages": _huge_pages,
    "swappiness": _swappiness,
}
