"""Settings of the kernel, and the limits of a log-in."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bigtop_builder.hosts.facts.fact import Fact, FactGroup, Parser, Rows, pairs, single

SYSCTLS = "vm.swappiness vm.overcommit_memory vm.max_map_count fs.file-max net.core.somaxconn"

LIMITS = r"""
{ read -r value; emit umask "$value"; limits=(); while read -r value; do limits+=("$value"); done; } < <(
    umask; ulimit -Sn; ulimit -Hn; ulimit -Su; ulimit -Hu
)
emit limits "${limits[@]}"
"""

SYSCTL = rf"""
for key in {SYSCTLS}; do
    if read -r value 2>/dev/null < "/proc/sys/${{key//.//}}"; then emit sysctl "$key" "$value"; fi
done
"""

# Without the file, SELinux may be off or just invisible, as in a container: only the kernel's list of file systems
# shows which.
SELINUX = r"""
if read -r value 2>/dev/null < /sys/fs/selinux/enforce; then
    [ "$value" = 1 ] && emit selinux enforcing || emit selinux permissive
elif [ -r /proc/filesystems ]; then
    while read -r _ value; do [ "$value" = selinuxfs ] && break; done < /proc/filesystems
    [ "$value" = selinuxfs ] || emit selinux disabled
fi
"""

HUGE_PAGES = r"""
if read -r value 2>/dev/null < /sys/kernel/mm/transparent_hugepage/enabled; then
    value=${value#*[}; emit thp "${value%%]*}"
fi
"""


def _limits(first: int) -> Parser:
    def parse(rows: Rows) -> tuple[int | None, ...]:
        values = rows.required("limits")[first : first + 2]
        return tuple(None if value == "unlimited" else int(value) for value in values)

    return parse


class KernelFacts(FactGroup):
    """Settings of the kernel, and the limits of a log-in."""

    umask: Annotated[str | None, Fact(LIMITS, single("umask"))] = None
    open_files: Annotated[tuple[int | None, int | None] | None, Fact(LIMITS, _limits(0))] = None
    """Soft and hard limit of a log-in; a None inside means unlimited."""
    processes: Annotated[tuple[int | None, int | None] | None, Fact(LIMITS, _limits(2))] = None
    """Like ``open_files``."""
    selinux: Annotated[str | None, Fact(SELINUX, single("selinux"))] = None
    """``enforcing``, ``permissive`` or ``disabled``."""
    thp: Annotated[str | None, Fact(HUGE_PAGES, single("thp"))] = None
    """Transparent huge pages: ``always``, ``madvise`` or ``never``."""
    sysctl: Annotated[dict[str, str], Fact(SYSCTL, pairs("sysctl"))] = Field(default_factory=dict)
