"""What ``hosts prepare`` can set: Java, SELinux, the firewall, settings of the kernel."""

from __future__ import annotations

from collections.abc import Mapping

from bigtop_builder.hosts.checks.rule import PREPARED, Fleetwide, Level, Problem, Problems, Rule
from bigtop_builder.hosts.facts import HostFacts
from bigtop_builder.hosts.preparation import java_major, jdk_major
from bigtop_builder.recipe.inventory import LoadedInventory

AMBARI_JAVA = 17
"""The oldest Java that Ambari 3.1 runs with."""


def java_homes(loaded: LoadedInventory) -> dict[str, str]:
    """Return the Java homes that the inventory names, each with its first key."""
    inventory = loaded.inventory
    setup = inventory.ambari.setup if inventory.ambari else None
    keys = {
        "prepare.java_home": inventory.prepare.java_home,
        "ambari.setup.java_home": setup.java_home if setup else None,
        "ambari.setup.stack_java_home": setup.stack_java_home if setup else None,
    }
    homes: dict[str, str] = {}
    for key, home in keys.items():
        if home is not None:
            homes.setdefault(home, key)
    return homes


def _jdk(host: HostFacts, fleet: Fleetwide) -> Problems:
    prepare = fleet.loaded.inventory.prepare
    homes = java_homes(fleet.loaded)
    known = {jdk.path: jdk for jdk in host.jdks}
    lacking = {home: key for home, key in homes.items() if home not in known}
    installs = [name for name in (prepare.jdk, *prepare.packages) if name and name not in host.packages]
    found = ", ".join(known) or "none"
    for home, key in lacking.items():
        level: Level = "warning" if any(jdk_major(name) for name in installs) else "error"
        hint = f"Correct {key}, or install the JDK: prepare.jdk and prepare.packages name packages."
        yield Problem(level, f"no Java in {home} (found: {found})", hint)
    if not host.jdks and not lacking:
        if prepare.jdk:
            yield Problem("warning", "no Java is installed", f"hosts prepare installs {prepare.jdk}.")
        else:
            yield Problem("error", "no Java is installed", "Install a JDK, or name its package in prepare.jdk.")
    yield from _ambaris_java(host, fleet)


def _ambaris_java(host: HostFacts, fleet: Fleetwide) -> Problems:
    """Ambari 3.1 refuses an older Java at its setup, after everything was prepared."""
    ambari = fleet.loaded.inventory.ambari
    setup = ambari.setup if ambari else None
    if setup is None or setup.version is None or tuple(map(int, setup.version.split(".")))[:2] < (3, 1):
        return
    home, key = setup.java_home, "ambari.setup.java_home"
    if home is None:
        home, key = fleet.loaded.inventory.prepare.java_home, "prepare.java_home"
    for jdk in host.jdks:
        major = java_major(jdk.version)
        if jdk.path == home and major is not None and major < AMBARI_JAVA:
            yield Problem(
                "error",
                f"{home} ({key}) is Java {major}; Ambari {setup.version} itself requires {AMBARI_JAVA} or newer",
                f"Name a JDK {AMBARI_JAVA} in ambari.setup.java_home; services keep theirs with"
                " ambari.setup.stack_java_home.",
            )


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
