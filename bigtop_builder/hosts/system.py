"""Operations on a host's own settings: accounts, kernel, SELinux, firewall, /etc/hosts.

For a setting that is impossible (a container shares the kernel of its machine) they return a ``Cannot`` instead of an
operation that would fail every time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from shlex import quote
from typing import TYPE_CHECKING

from bigtop_builder.hosts.files import block_lines, managed_block, write_file
from bigtop_builder.hosts.operation import Cannot, Operation
from bigtop_builder.hosts.services import service_stopped

if TYPE_CHECKING:
    from bigtop_builder.hosts.facts import HostFacts, UserFacts

Parts = tuple[Operation | Cannot, ...]

HOSTS_FILE = "/etc/hosts"
SELINUX_FILE = "/etc/selinux/config"
THP = "/sys/kernel/mm/transparent_hugepage"
THP_BOOT = "/etc/tmpfiles.d/bigtop-builder-thp.conf"
IN_CONTAINER = "the kernel belongs to the machine around this container"


def make_user(facts: UserFacts, name: str, groups: Iterable[str] = ()) -> tuple[Operation, ...]:
    """Plan a user and its supplementary groups; missing groups are created."""
    wanted = list(dict.fromkeys(groups))
    operations = [
        Operation(f"create the group {group}", "missing", f"groupadd --force {quote(group)}")
        for group in wanted
        if group not in facts.groups
    ]
    if name not in facts.users:
        more = f" --groups {quote(','.join(wanted))}" if wanted else ""
        # 9: by now a package has created the user, or there is only a group of that name.
        add = f"useradd --create-home --shell /bin/bash{more}"
        script = (
            f"code=0; {add} --user-group {quote(name)} || code=$?\n"
            '[ "$code" = 9 ] || exit "$code"\n'
            f"id {quote(name)} >/dev/null 2>&1 || {add} --gid {quote(name)} {quote(name)}"
        )
        detail = f"with groups {', '.join(wanted)}" if wanted else "missing"
        return (*operations, Operation(f"create the user {name}", detail, script))
    lacking = [group for group in wanted if name not in facts.groups.get(group, ())]
    if lacking:
        script = f"usermod --append --groups {quote(','.join(lacking))} {quote(name)}"
        operations.append(Operation(f"groups of {name}", f"+ {', '.join(lacking)}", script))
    return tuple(operations)


def sysctl(facts: HostFacts, values: Mapping[str, str], path: str) -> Parts:
    """Plan kernel settings for now and, in the file ``path`` below /etc/sysctl.d, for every boot."""
    if facts.container:
        lacking = [name for name, value in values.items() if facts.sysctl.get(name) != value]
        return tuple(Cannot(name, IN_CONTAINER) for name in lacking)
    content = "".join(f"{name} = {value}\n" for name, value in sorted(values.items()))
    written = write_file(facts, path, f"# Written by bigtop-builder.\n{content}".encode())
    now = tuple(
        Operation(
            f"sysctl {name}",
            f"{facts.sysctl.get(name, 'unknown')} -> {value}",
            f"sysctl --write {quote(f'{name}={value}')}",
        )
        for name, value in sorted(values.items())
        if facts.sysctl.get(name) != value
    )
    return (*written, *now)


def transparent_huge_pages(facts: HostFacts, wanted: str) -> Parts:
    """Plan ``never`` or ``madvise`` for now and for every boot; ``never`` also satisfies ``madvise``."""
    right = facts.thp in (None, wanted) or (wanted == "madvise" and facts.thp == "never")
    if facts.container or facts.thp is None:
        return () if right else (Cannot(f"transparent huge pages: {wanted} (now {facts.thp})", IN_CONTAINER),)
    operations: list[Operation] = []
    # A kernel whose default is right needs no file of ours; a file that we wrote earlier must stay.
    if not right or THP_BOOT in facts.files:
        lines = [f"w {THP}/{name} - - - - {wanted}" for name in ("enabled", "defrag")]
        content = "".join(f"{line}\n" for line in ["# Written by bigtop-builder.", *lines])
        operations += write_file(facts, THP_BOOT, content.encode())
    if not right:
        script = "\n".join(f"echo {wanted} > {THP}/{name}" for name in ("enabled", "defrag"))
        operations.append(Operation("transparent huge pages", f"{facts.thp} -> {wanted}", script))
    return tuple(operations)


def selinux(facts: HostFacts, wanted: str) -> Parts:
    """Plan ``permissive``, ``enforcing`` or ``disabled`` for now and for every boot.

    A host without SELinux needs nothing, and ``disabled`` also satisfies ``permissive``.
    """
    now = facts.selinux or "disabled"
    parts: list[Operation | Cannot] = []
    file = facts.files.get(SELINUX_FILE)
    if file is None or file.text is None:
        if wanted == "enforcing":
            return (Cannot("SELinux: enforcing", "this host has no SELinux"),)
        return ()
    lenient = wanted == "permissive" and now == "disabled"
    configured = re.search(r"^SELINUX=(\w+)", file.text, re.MULTILINE)
    if configured and configured[1] != wanted and not (lenient and configured[1] == "disabled"):
        content = re.sub(r"^SELINUX=.*$", f"SELINUX={wanted}", file.text, flags=re.MULTILINE)
        parts += write_file(facts, SELINUX_FILE, content.encode(), owner=file.owner, group=file.group, mode=file.mode)
    if now == "disabled" and wanted == "enforcing":
        parts.append(Cannot("SELinux: enforcing", "it is disabled in the running kernel; reboot the host"))
    elif (now == "enforcing") != (wanted == "enforcing") and now != "disabled":
        flag = "1" if wanted == "enforcing" else "0"
        parts.append(Operation("SELinux mode", f"{now} -> {wanted}", f"setenforce {flag}"))
    return tuple(parts)


def no_firewall(facts: HostFacts) -> tuple[Operation, ...]:
    """Plan to stop firewalld for now and for every boot."""
    return service_stopped(facts, "firewalld")


def hosts_entries(facts: HostFacts, addresses: Mapping[str, str], names: Iterable[str]) -> tuple[Operation, ...]:
    """Plan lines for all hosts in our block of ``/etc/hosts``.

    ``addresses``: by FQDN, as far as known; hosts without one keep their existing line. Installers often give the
    host's name a loopback address: such lines outside our block lose the name, because the first line wins.
    """
    file = facts.files.get(HOSTS_FILE)
    text = (file.text if file else None) or ""
    former = {line.split()[1]: line for line in block_lines(text, "hosts") if len(line.split()) > 1}
    known = list(names)
    lines = [
        " ".join((addresses[name], *dict.fromkeys((name, name.partition(".")[0]))))
        if name in addresses
        else former[name]
        for name in known
        if name in addresses or name in former
    ]
    cleaned = _without_loopback(text, {*known, *(name.partition(".")[0] for name in known)})
    content = managed_block(cleaned, "hosts", lines)
    owner, group, mode = (file.owner, file.group, file.mode) if file else ("root", "root", "0644")
    return write_file(facts, HOSTS_FILE, content.encode(), owner=owner, group=group, mode=mode)


def _without_loopback(text: str, names: set[str]) -> str:
    kept: list[str] = []
    for line in text.splitlines():
        entry, mark, comment = line.partition("#")
        words = entry.split()
        loopback = bool(words) and (words[0].startswith("127.") or words[0] == "::1")
        if loopback and names & set(words[1:]):
            words = [word for word in words if word not in names]
            if len(words) == 1:
                continue
            line = " ".join(words) + (f" {mark}{comment}" if mark else "")
        kept.append(line)
    return "".join(f"{line}\n" for line in kept)
