"""Hosts on paper: they know their packages, the selector's links and the files that deployments keep, and run nothing.

Deployments send them the scripts that real hosts get. A script is recognised by the template that it was made from, and
its effect is noted. Every other script fails: no part of any is ever given to a shell.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from string import Formatter
from typing import Generic, TypeVar

from bigtop_builder.adapter.ssh import Output
from bigtop_builder.hosts import hdfs_upgrade
from bigtop_builder.hosts.files import WRITE
from bigtop_builder.hosts.operation import KEPT, RESTARTS
from bigtop_builder.hosts.packages import NAMES
from bigtop_builder.hosts.script import Received, read_back
from bigtop_builder.hosts.standalone import SELECTOR
from bigtop_builder.hosts.upgrade import SCHEMA, VERSIONS
from bigtop_builder.model.errors import HostError
from bigtop_builder.model.evr import evr_key, parse_evr

T = TypeVar("T")
H = TypeVar("H")
Effect = Callable[[Mapping[str, str], bytes], tuple[int, str]]
"""Notes what a script does, given the fields of its template and standard input; returns exit code and output."""
DONE = 0, ""


class PaperHost:
    """One host. ``packages``: ``[epoch:]version-release`` by name; ``offered``: ``name-[epoch:]version-release``.

    host = PaperHost("n1", {"zookeeper_3_2_0": "3.5.9-2"}, ["zookeeper_3_3_0-3.7.2-1"])
    host.run(set_packages({"zookeeper_3_3_0": "3.7.2-1"}, {})[0].script)
    """

    def __init__(
        self,
        name: str,
        packages: Mapping[str, str] | None = None,
        offered: Iterable[str] = (),
        selected: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.packages = dict(packages or {})
        self.offered = set(offered)
        """What its repositories have."""
        self.selected = dict(selected or {})
        """The version that each link of the selector leads to."""
        self.files: dict[str, bytes] = {}
        """Content by path; all belong to root."""
        self.modes: dict[str, str] = {}
        """Modes of files that are not 0644."""
        self.rolling = False
        """Whether its NameNode keeps an image to go back to."""
        self.cut = False
        """Whether the connection is gone."""
        self.full = False
        """Whether there is no space left for packages."""
        self.without_hdfs = False
        """Whether HDFS does not answer."""
        self._known: list[tuple[re.Pattern[str], Effect]] = [
            (_pattern(VERSIONS), self._install),
            (re.compile(rf"(?P<lines>({re.escape(SELECTOR)} set [^\n]+\n?)+)"), self._select),
            (_pattern(WRITE), self._write),
            (re.compile(r"rm -f (?P<path>/\S+)"), self._remove),
            (_pattern(SCHEMA), lambda fields, stdin: (0, "the schema is current")),
            (re.compile(re.escape(NAMES)), lambda fields, stdin: (0, "\n".join(self.packages))),
            (_hdfs(hdfs_upgrade.QUERY), lambda fields, stdin: self._hdfs()),
            (_hdfs(hdfs_upgrade.SINGLE), lambda fields, stdin: self._hdfs(True)),
            (_hdfs(hdfs_upgrade.PREPARE), lambda fields, stdin: self._hdfs(True)),
            (_hdfs(hdfs_upgrade.FINALIZE), lambda fields, stdin: self._hdfs(False)),
        ]

    @property
    def kept(self) -> list[str]:
        """What deployments have left on the host, by the first part of the names."""
        own = (path.removeprefix(f"{KEPT}/").partition("/")[0] for path in self.files if path.startswith(f"{KEPT}/"))
        return sorted({*own})

    def run(self, script: str, *, stdin: bytes = b"", timeout: float | None = None, user: str | None = None) -> Output:
        """See ``adapter.ssh.Remote``."""
        if self.cut:
            raise HostError(f"{self.name} is unreachable")
        if "emit facts 1" in script:
            return Output(0, "\n".join(["facts\t1\t1.0", *self.facts(), "end\t2.0", ""]), "")
        received = read_back(script, stdin)
        if received is not None:
            return Output(0, self._in_order(*received), "")
        code, said = self.execute(script)
        return Output(code, said if code == 0 else "", said if code else "")

    def execute(self, script: str, stdin: bytes = b"") -> tuple[int, str]:
        """Note what a script does; return its exit code and output."""
        for pattern, effect in self._known:
            found = pattern.fullmatch(script.strip())
            if found is not None:
                return effect(found.groupdict(), stdin)
        first = next((line for line in script.splitlines() if line.strip()), "")
        return 127, f"a host on paper does not know what this does: {first}"

    def install(self, names: Iterable[str], selected: Collection[str], version: str) -> None:
        """Take what an agent installs: the newest package offered of each name, and links that are new."""
        for name in names:
            found = [evr for one, evr in map(_parted, self.offered) if one == name]
            if found and name not in self.packages:
                self.packages[name] = max(found, key=lambda evr: evr_key(parse_evr(evr)))
        for link in selected:
            self.selected.setdefault(link, version)

    def close(self) -> None:
        """See ``adapter.ssh.Remote``."""

    def _in_order(self, mark: str, operations: Sequence[Received]) -> str:
        lines = []
        for index, one in enumerate(operations):
            for service in one.restarts:
                self.files[f"{RESTARTS}/{service}"] = b""
            code, said = self.execute(one.script, one.stdin)
            if code:
                lines += [said, ""]
            lines.append(f"{mark} {index} {code} 0.0 0.0")
            if code:
                break
        return "\n".join(lines)

    def _install(self, fields: Mapping[str, str], _: bytes) -> tuple[int, str]:
        wanted = dict(map(_parted, shlex.split(fields["words"])))
        missing = [name for name, evr in wanted.items() if self.packages.get(name) != evr]
        if missing and self.full:
            return 1, "No space left on device"
        for name in missing:
            if f"{name}-{wanted[name]}" not in self.offered:
                return 1, f"No match for argument: {name}-{wanted[name]}"
        self.packages |= wanted
        return DONE

    def _select(self, fields: Mapping[str, str], stdin: bytes) -> tuple[int, str]:
        present = {found[1].replace("_", ".") for name in self.packages if (found := VERSIONED.search(name))}
        for _, _, name, version in map(shlex.split, fields["lines"].splitlines()):
            if version.partition("-")[0] not in present:
                return 1, f"there is no version {version}"
            self.selected[name] = version
        return DONE

    def _write(self, fields: Mapping[str, str], stdin: bytes) -> tuple[int, str]:
        (path,) = shlex.split(fields["path"])
        self.files[path], self.modes[path] = stdin, fields["mode"]
        return DONE

    def _remove(self, fields: Mapping[str, str], _: bytes) -> tuple[int, str]:
        self.files.pop(shlex.split(fields["path"])[0], None)
        return DONE

    def _hdfs(self, rolling: bool | None = None) -> tuple[int, str]:
        if self.without_hdfs:
            return 1, f"Call From {self.name} failed on connection exception"
        self.rolling = self.rolling if rolling is None else rolling
        return 0, hdfs_upgrade.READY if self.rolling else hdfs_upgrade.NONE

    def facts(self) -> list[str]:
        """Return the rows that gathering facts prints between its first and last."""
        rows = [f"machine\t{self.name}\t4.18\tx86_64\t2", "limits\t1024\t1024\t1024\t1024"]
        for name, text in self.packages.items():
            epoch, version, release = parse_evr(text)
            rows.append(f"package\t{name}\t{epoch}\t{version}\t{release}\tnoarch\t(none)")
        rows += [f"current\t{name}\t/usr/bigtop/{version}/usr/lib/{name}" for name, version in self.selected.items()]
        for path, content in self.files.items():
            rows.append(f"file\t{path}\tregular file\t{len(content)}\troot\troot\t{self.modes.get(path, '0644')}")
            rows.append(f"sha256\t{path}\t{hashlib.sha256(content).hexdigest()}")
            rows.append(f"texts\t{base64.b64encode(content).decode()}\t{path}")
        return rows


class OneByOne(Generic[H]):
    """Connections to hosts that are served one after the other."""

    hosts: Mapping[str, H]

    def each(
        self,
        work: Callable[[H], T],
        hosts: Sequence[str] | None = None,
        *,
        done: Callable[[str, T | HostError], None] | None = None,
    ) -> dict[str, T | HostError]:
        """See ``adapter.ssh.Fleet``."""
        results: dict[str, T | HostError] = {}
        for name in self.hosts if hosts is None else dict.fromkeys(hosts):
            try:
                results[name] = work(self.hosts[name])
            except HostError as error:
                results[name] = error
            if done is not None:
                done(name, results[name])
        return results

    def close(self) -> None:
        """See ``adapter.ssh.Fleet``."""


class PaperFleet(OneByOne[PaperHost]):
    """The connections to hosts on paper."""

    round_trips = 0

    def __init__(self, hosts: Iterable[PaperHost]) -> None:
        self.hosts = {host.name: host for host in hosts}

    def remote(self, host: str) -> PaperHost:
        """See ``adapter.ssh.Fleet``."""
        return self.hosts[host]


VERSIONED = re.compile(r"_(\d+(?:_\d+)+)(?=-|$)")


def _parted(word: str) -> tuple[str, str]:
    """``zookeeper_3_2_0-3.5.9-2`` → ``zookeeper_3_2_0``, ``3.5.9-2``."""
    name, version, release = word.rsplit("-", 2)
    return name, f"{version}-{release}"


def _pattern(template: str) -> re.Pattern[str]:
    """Return what matches the scripts made from a template, with its fields as groups."""
    parts, known = [], set[str]()
    for text, field, _, _ in Formatter().parse(template.strip()):
        parts.append(re.escape(text))
        if field:
            parts.append(f"(?P={field})" if field in known else rf"(?P<{field}>[^\n]*?)")
            known.add(field)
    return re.compile("".join(parts))


def _hdfs(script: str) -> re.Pattern[str]:
    """The same for a script for HDFS, after a login or without."""
    login = _pattern(hdfs_upgrade.LOGIN).pattern
    return re.compile(rf"(?:{login}\n)?{re.escape(script.strip())}")
