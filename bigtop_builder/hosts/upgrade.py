"""Operations that move a host to other packages, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from shlex import quote
from typing import TYPE_CHECKING

from bigtop_builder.hosts.files import write_file
from bigtop_builder.hosts.operation import KEPT, Operation
from bigtop_builder.hosts.standalone import SELECTOR

if TYPE_CHECKING:
    from bigtop_builder.hosts.facts import HostFacts

FORMER = f"{KEPT}/former-packages.json"
"""On a host: what it had before a move that has not ended."""

# What yum knows of the repository may be older than the release that is wanted. An older release is no update: yum
# calls it a downgrade, and dnf either.
VERSIONS = """yum -q clean expire-cache
yum -y install {words} || true
rpm -q {words} >/dev/null || yum -y downgrade {words}
rpm -q {words}
"""


def note_former(facts: HostFacts, text: str) -> tuple[Operation, ...]:
    """Before anything is changed, what is there is written down. The facts must hold ``FORMER``."""
    return write_file(facts, FORMER, text.encode(), mode="0600")


def forget_former() -> Operation:
    """After the move."""
    return Operation("end of the move", f"{FORMER} removed", f"rm -f {FORMER}")


def set_packages(
    wanted: Mapping[str, str], present: Mapping[str, str], *, restarts: Iterable[str] = ()
) -> tuple[Operation, ...]:
    """Packages at these EVRs, in one transaction; ``present`` are those that are there, for telling.

    ``restarts``: services that Ambari does not manage and that stand on these packages.
    """
    if not wanted:
        return ()
    words = [f"{name}-{evr}" for name, evr in sorted(wanted.items())]
    told = [f"{name} {present.get(name, 'none')} -> {evr}" for name, evr in sorted(wanted.items())]
    name = f"install {' '.join(words[:4])}" + (f" and {len(words) - 4} more" if len(words) > 4 else "")
    script = VERSIONS.format(words=" ".join(map(quote, words)))
    return (Operation(name, "\n".join(told), script, restarts=tuple(restarts)),)


def set_selected(wanted: Mapping[str, str], present: Mapping[str, str]) -> tuple[Operation, ...]:
    """The selector's links, in one operation."""
    if not wanted:
        return ()
    script = "\n".join(f"{SELECTOR} set {quote(name)} {quote(version)}" for name, version in sorted(wanted.items()))
    told = [f"{name} {present.get(name, 'none')} -> {version}" for name, version in sorted(wanted.items())]
    return (Operation(f"select {', '.join(sorted(set(wanted.values())))}", "\n".join(told), script),)
