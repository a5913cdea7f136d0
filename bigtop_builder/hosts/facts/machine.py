"""The operating system, the hardware and its file systems."""

from __future__ import annotations

from typing import Annotated

from bigtop_builder.hosts.facts.fact import Fact, FactGroup, Parser, Rows, firsts, flag
from bigtop_builder.hosts.os_families import family_of
from bigtop_builder.model.base import StrictModel

COMMANDS = "dnf yum curl python python2 python3 sudo systemctl chkconfig hostname ss"


class Mount(StrictModel):
    """A local file system; sizes in bytes."""

    path: str
    size: int
    free: int


OS_RELEASE = r"""
while IFS='=' read -r key value; do
    case $key in ID|VERSION_ID|PRETTY_NAME) value=${value#[\"\']}; emit os "$key" "${value%[\"\']}";; esac
done 2>/dev/null < /etc/os-release
"""

# HOSTTYPE is what bash was built for; it says powerpc64le where uname and rpm say ppc64le.
MACHINE = r"""
read -r kernel 2>/dev/null < /proc/sys/kernel/osrelease || kernel=$(uname -r)
emit machine "$HOSTNAME" "$kernel" "${HOSTTYPE/powerpc/ppc}" "$(nproc 2>/dev/null)"
"""

MEMORY = r"""
while read -r key value _; do
    case $key in MemTotal:|MemAvailable:|SwapTotal:) emit memory "${key%:}" "$value";; esac
done 2>/dev/null < /proc/meminfo
"""

# df hangs on a dead network file system: hence -l, and the time limit.
MOUNTS = r"""
while read -r _ size _ free _ mount; do
    case $size in *[!0-9]*) ;; *) emit mount "$size" "$free" "$mount";; esac
done < <(timeout 5 df -Pkl 2>/dev/null)
"""

CONTAINER = r"""
container=0
if [ -e /.dockerenv ] || [ -e /run/.containerenv ]; then container=1; fi
while IFS= read -r -d '' value; do case $value in container=*) container=1;; esac; done 2>/dev/null < /proc/1/environ
emit container "$container"
"""


def _os(key: str) -> Parser:
    return lambda rows: rows.pairs("os").get(key)


def _family(rows: Rows) -> str | None:
    system = rows.pairs("os")
    found = family_of(system.get("ID"), system.get("VERSION_ID"))
    return found.name if found else None


def _machine(index: int) -> Parser:
    return lambda rows: rows.required("machine")[index] or None


def _bytes(key: str) -> Parser:
    def parse(rows: Rows) -> int | None:
        kib = rows.pairs("memory").get(key)
        return int(kib) << 10 if kib is not None else None

    return parse


def _mounts(rows: Rows) -> tuple[Mount, ...]:
    return tuple(Mount(path=path, size=int(size) << 10, free=int(free) << 10) for size, free, path in rows.of("mount"))


class MachineFacts(FactGroup):
    """The operating system, the hardware and its file systems."""

    os_id: Annotated[str | None, Fact(OS_RELEASE, _os("ID"))] = None
    """``rocky``."""
    os_version: Annotated[str | None, Fact(OS_RELEASE, _os("VERSION_ID"))] = None
    os_name: Annotated[str | None, Fact(OS_RELEASE, _os("PRETTY_NAME"))] = None
    family: Annotated[str | None, Fact(OS_RELEASE, _family)] = None
    """The key of Ambari's repositories: ``redhat8``; None for a system that nothing is known of."""
    hostname: Annotated[str | None, Fact(MACHINE, _machine(0))] = None
    kernel: Annotated[str | None, Fact(MACHINE, _machine(1))] = None
    arch: Annotated[str | None, Fact(MACHINE, _machine(2))] = None
    cpus: Annotated[int | None, Fact(MACHINE, _machine(3))] = None
    memory: Annotated[int | None, Fact(MEMORY, _bytes("MemTotal"))] = None
    """Bytes."""
    memory_available: Annotated[int | None, Fact(MEMORY, _bytes("MemAvailable"))] = None
    swap: Annotated[int | None, Fact(MEMORY, _bytes("SwapTotal"))] = None
    mounts: Annotated[tuple[Mount, ...], Fact(MOUNTS, _mounts)] = ()
    systemd: Annotated[
        bool, Fact("[ -d /run/systemd/system ] && emit systemd 1 || emit systemd 0", flag("systemd"))
    ] = False
    """Whether systemd is running, and not only installed."""
    container: Annotated[bool, Fact(CONTAINER, flag("container"))] = False
    commands: Annotated[
        frozenset[str],
        Fact(
            f'for key in {COMMANDS}; do type -P "$key" >/dev/null && emit command "$key"; done',
            firsts("command"),
        ),
    ] = frozenset()
    """Those of a few programs that are installed."""

    def mount_of(self, path: str) -> Mount | None:
        """The file system that holds ``path``; None if it is unknown."""
        around = [mount for mount in self.mounts if f"{path}/".startswith(f"{mount.path.rstrip('/')}/")]
        return max(around, key=lambda mount: len(mount.path), default=None)
