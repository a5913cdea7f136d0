"""The output of the script that gathers facts, read strictly."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from bigtop_builder.hosts.facts import (
    FileFact,
    HostFacts,
    Jdk,
    Mount,
    Package,
    ServiceFact,
    UrlFact,
    User,
)
from bigtop_builder.model.errors import HostError

_FAMILIES = {"openeuler": "openeuler"} | dict.fromkeys(
    ("rhel", "centos", "rocky", "ol", "oraclelinux", "scientific", "redhat"), "redhat"
)


def os_family(os_id: str | None, version: str | None) -> str | None:
    """As an Ambari agent finds it (contract of ``os_family.json``): ``rocky`` 8.10 → ``redhat8``.

    None for what Ambari has no family for; AlmaLinux and Kylin are such.
    """
    family = _FAMILIES.get((os_id or "").lower())
    major = re.match(r"[0-9]+", version or "")
    return f"{family}{major[0]}" if family and major else None


_Rows = dict[str, list[list[str]]]


def parse_facts(name: str, stdout: str, *, began: float | None = None, ended: float | None = None) -> HostFacts:
    """The facts in the output of ``gather_script``. ``name``: the host's name in the inventory; ``began`` and
    ``ended``: this machine's clock before and after the round trip.

    Raises HostError when the output is not whole.
    """
    rows: _Rows = {}
    for line in stdout.split("\n"):
        key, *values = line.split("\t")
        rows.setdefault(key, []).append(values)
    if len(rows.get("facts", ())) != 1 or len(rows.get("end", ())) != 1:
        last = " ".join(stdout.split("\n")[-2:])[-200:]
        raise HostError(f"{name}: its facts did not come completely: {last or 'nothing came'}")
    try:
        return HostFacts(name=name, **_machine(rows), **_clock(rows, began, ended), **_system(rows), **_content(rows))
    except (ValueError, IndexError, KeyError) as error:
        what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else repr(error)
        raise HostError(f"{name}: its facts cannot be understood: {what}") from error


def _one(rows: _Rows, key: str) -> str | None:
    """The single value of a fact; None when there is none."""
    values = rows.get(key)
    return (values[-1][0] or None) if values and values[-1] else None


def _pairs(rows: _Rows, key: str) -> dict[str, str]:
    return {values[0]: values[1] for values in rows.get(key, ())}


def _gathered(rows: _Rows, key: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for values in rows.get(key, ()):
        found.setdefault(values[0].lower(), {}).update(dict.fromkeys(values[1:]))
    return {name: tuple(values) for name, values in found.items()}


def _clock(rows: _Rows, began: float | None, ended: float | None) -> dict[str, object]:
    first, last = float(rows["facts"][0][1]), float(rows["end"][0][0])
    if began is None or ended is None:
        return {"clock": last}
    on_the_way = max(0.0, (ended - began) - (last - first))
    skew = (first + last) / 2 - (began + ended) / 2
    return {"clock": last, "clock_skew": skew, "clock_precision": on_the_way / 2}


def _machine(rows: _Rows) -> dict[str, object]:
    system = _pairs(rows, "os")
    hostname, kernel, arch, cpus = rows["machine"][0]
    memory = {key: int(value) << 10 for key, value in _pairs(rows, "memory").items()}
    limits = [None if value == "unlimited" else int(value) for value in rows["limits"][0]]
    return {
        "os_id": system.get("ID"),
        "os_version": system.get("VERSION_ID"),
        "os_name": system.get("PRETTY_NAME"),
        "family": os_family(system.get("ID"), system.get("VERSION_ID")),
        "arch": arch or None,
        "kernel": kernel or None,
        "hostname": hostname or None,
        "fqdn": _one(rows, "fqdn"),
        "addresses": tuple(dict.fromkeys(values[0] for values in rows.get("own", ()))),
        "reverse": {values[0]: tuple(" ".join(values[1:]).split()) for values in rows.get("reverse", ())},
        "lookups": _gathered(rows, "address"),
        "unanswered": tuple(values[0] for values in rows.get("unanswered", ())),
        "cpus": int(cpus) if cpus else None,
        "memory": memory.get("MemTotal"),
        "memory_available": memory.get("MemAvailable"),
        "swap": memory.get("SwapTotal"),
        "mounts": tuple(
            Mount(path=path, size=int(size) << 10, free=int(free) << 10) for size, free, path in rows.get("mount", ())
        ),
        "open_files": (limits[0], limits[1]),
        "processes": (limits[2], limits[3]),
    }


def _system(rows: _Rows) -> dict[str, object]:
    units = dict(_units(rows))
    firewalls = [name for name, unit in units.items() if unit.running and name in ("firewalld", "iptables", "nftables")]
    accounts = {
        name: User(uid=int(uid), gid=int(gid), home=home, shell=shell)
        for name, uid, gid, home, shell in rows.get("user", ())
    }
    by_group: dict[int, list[str]] = {}
    for name, account in accounts.items():
        by_group.setdefault(account.gid, []).append(name)
    ports: dict[int, str | None] = {}
    for number, owner in rows.get("port", ()):
        ports[int(number)] = owner or ports.get(int(number))
    return {
        "umask": _one(rows, "umask"),
        "selinux": _one(rows, "selinux"),
        "firewall": firewalls[0] if firewalls else _one(rows, "firewall"),
        "thp": _one(rows, "thp"),
        "sysctl": _pairs(rows, "sysctl"),
        "systemd": _one(rows, "systemd") == "1",
        "container": _one(rows, "container") == "1",
        "commands": frozenset(values[0] for values in rows.get("command", ())),
        "jdks": tuple(
            Jdk(path=path, version=version, compiler=compiler == "1") for path, version, compiler in rows.get("jdk", ())
        ),
        "ports": ports,
        "users": accounts,
        "groups": {
            name: tuple(dict.fromkeys([*filter(None, members.split(",")), *by_group.get(int(gid), ())]))
            for name, gid, members in rows.get("group", ())
        },
        "services": {**dict(_scripts(rows)), **units},
    }


def _units(rows: _Rows) -> Iterator[tuple[str, ServiceFact]]:
    scripts = {values[0]: values[2] == "1" for values in rows.get("script", ())}
    for names, load, active, state, pid in rows.get("unit", ()):
        for name in names.split():
            if load == "loaded":
                yield (
                    name,
                    ServiceFact(
                        running=active in ("active", "activating", "reloading"),
                        # systemd knows an init script as a unit that it made itself; the links tell.
                        enabled=state.startswith("enabled") or (state != "disabled" and scripts.get(name, False)),
                        pids=(int(pid),) if pid not in ("", "0") else (),
                        failed=active == "failed",
                    ),
                )


def _scripts(rows: _Rows) -> Iterator[tuple[str, ServiceFact]]:
    for name, running, enabled, pids in rows.get("script", ()):
        if running:
            found = tuple(int(pid) for pid in pids.split())
            yield name, ServiceFact(running=running == "1", enabled=enabled == "1", pids=found)


def _content(rows: _Rows) -> dict[str, object]:
    packages: dict[str, list[Package]] = {}
    for name, epoch, version, release, arch, vendor in rows.get("package", ()):
        packages.setdefault(name, []).append(
            Package(
                name=name,
                epoch=int(epoch),
                version=version,
                release=release,
                arch=arch,
                vendor=None if vendor == "(none)" else vendor,
            )
        )
    digests, texts, links = _pairs(rows, "sha256"), _pairs(rows, "text"), _pairs(rows, "link")
    selected = {
        name: found[1]
        for name, target in _pairs(rows, "current").items()
        if (found := re.match(r"(?:/usr/bigtop|\.\.)/([^/]+)/", target))
    }
    return {
        "rpm": "rpm" in rows,
        "packages": {name: tuple(found) for name, found in packages.items()},
        "bigtop": tuple(values[0] for values in rows.get("bigtop", ())),
        "selectors": selected,
        "files": {
            path: FileFact(
                kind="regular file" if kind == "regular empty file" else kind,
                size=int(size),
                owner=owner,
                group=group,
                mode=mode,
                sha256=digests.get(path),
                text=_decoded(texts, path),
                link=links.get(path),
            )
            for path, kind, size, owner, group, mode in rows.get("file", ())
        },
        "urls": {
            url: UrlFact(code=int(code), status=int(status or 0), message=message)
            for url, code, status, message in rows.get("url", ())
        },
    }


def _decoded(texts: Mapping[str, str], path: str) -> str | None:
    try:
        return base64.b64decode(texts[path], validate=True).decode() if path in texts else None
    except (UnicodeDecodeError, binascii.Error):
        return None
