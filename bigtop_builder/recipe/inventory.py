"""Reads inventory files: expands ranges of hosts, checks names, merges the addresses of a test bed."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bigtop_builder.model.errors import ConfigurationError, ConfigurationErrors, Location
from bigtop_builder.model.home import expand_home
from bigtop_builder.model.inventory import Ambari, Inventory
from bigtop_builder.model.login import Login
from bigtop_builder.model.properties import Configurations, Setting
from bigtop_builder.recipe.blueprint_shape import unfold
from bigtop_builder.recipe.document import Document, DocumentPath, load, near
from bigtop_builder.recipe.inventory_rules import rule_errors
from bigtop_builder.recipe.validation import validate

MAX_HOSTS = 10_000
PATHS: tuple[tuple[str, ...], ...] = (
    ("ssh", "key"),
    ("ssh", "known_hosts"),
    ("groups", "*", "key"),
    ("hosts", "*", "key"),
    ("ambari", "ca"),
    ("prepare", "ca"),
    ("ambari", "setup", "https", "certificate"),
    ("ambari", "setup", "https", "key"),
)
"""Paths on this machine, relative to the inventory's folder; ``*`` is any key."""

_RANGE = re.compile(r"\[([^\[\]]*)\]")
_HOST_NAME = re.compile(r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*(?![0-9]+$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
_LOCAL = re.compile(r"^localhost(\..*)?$")
_OWN_NAME = "Ambari knows hosts by the name that `hostname -f` prints there: node1.example.com."
_TOKEN = re.compile(r"%HOSTGROUP::([^%]*)%")


@dataclass(frozen=True)
class HostEntry:
    """A host: its name in lower case, as ``hostname -f`` prints it and Ambari stores it, and its SSH address."""

    name: str
    address: str
    port: int
    rack: str | None = None
    group: str | None = None
    """None for a host that runs only the Ambari server."""
    login: Login | None = None
    """What the host or its group has of its own for logging in."""
    given: tuple[tuple[str, str], ...] = ()
    """Where each field of ``login`` is given: ``groups.workers``, ``hosts.node1.x.test``."""


@dataclass(frozen=True)
class LoadedInventory:
    """An inventory with expanded ranges and checked names."""

    inventory: Inventory
    document: Document
    file: Path
    hosts: tuple[HostEntry, ...]
    groups: Mapping[str, tuple[str, ...]]
    """Group → FQDNs."""

    @property
    def ambari(self) -> Ambari:
        """The inventory's Ambari server. Raises ConfigurationError if it has none."""
        if self.inventory.ambari is None:
            raise ConfigurationError(
                "the inventory names no Ambari server", hint="Give ambari.url and ambari.password."
            )
        return self.inventory.ambari

    @property
    def cluster_hosts(self) -> tuple[str, ...]:
        """The hosts of the groups; an Ambari server's host that carries nothing else is not among them."""
        return tuple(entry.name for entry in self.hosts if entry.group is not None)

    def place(self, *path: str | int) -> Location:
        """Return the location of ``path``, or of the closest enclosing value."""
        return self.document.locate(path)

    def members(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the hosts of groups or host patterns, unique and in order."""
        found: dict[str, None] = {}
        for name in names:
            for host in self.groups.get(name) or expand(name):
                found[host] = None
        return tuple(found)

    def host(self, name: str) -> HostEntry:
        """Return the entry of an FQDN. Raises KeyError for an unknown one."""
        return {entry.name: entry for entry in self.hosts}[name]


def expand(pattern: str) -> list[str]:
    """Return the hosts of a range such as ``node[01-03].x``, in lower case.

    Several brackets are combined; ``[1,4-6]`` is a list. Raises ConfigurationError for an invalid range.
    """
    parts = _RANGE.split(pattern.lower())
    if any(sign in text for text in parts[::2] for sign in "[],"):
        raise ConfigurationError(f"invalid host range {pattern!r}", hint="Write node[01-50].example.com.")
    choices = [_numbers(text, pattern) if index % 2 else [text] for index, text in enumerate(parts)]
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > MAX_HOSTS:
        raise ConfigurationError(f"the host range {pattern!r} has {count} hosts", hint=f"The limit is {MAX_HOSTS}.")
    return ["".join(host) for host in itertools.product(*choices)]


def _numbers(text: str, pattern: str) -> list[str]:
    found: list[str] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not dash and re.fullmatch(r"[a-z0-9]+", first):
            found.append(first)
        elif first.isdecimal() and last.isdecimal() and int(first) <= int(last) < int(first) + MAX_HOSTS:
            found += [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
        elif first.isdecimal() and last.isdecimal() and int(first) <= int(last):
            raise ConfigurationError(
                f"the host range {pattern!r} has {int(last) - int(first) + 1} hosts", hint=f"The limit is {MAX_HOSTS}."
            )
        else:
            raise ConfigurationError(
                f"invalid [{text}] in the host range {pattern!r}",
                hint="Write numbers from low to high: node[01-50].example.com.",
            )
    return found


def load_inventory(file: Path, over: Document | None = None) -> LoadedInventory:
    """Read an inventory, overlaid with ``over`` (a test bed's addresses, key and server).

    Raises ConfigurationError, or ConfigurationErrors for several mistakes, each with its location.
    """
    if file.is_dir():
        raise ConfigurationError(f"the inventory {file} is a folder", hint="Name the YAML file in it.")
    if not file.is_file():
        raise ConfigurationError(
            f"there is no inventory {file}",
            hint="Write one with: bigtop-builder init --inventory; or see: bigtop-builder examples",
        )
    document = _absolute(_with_ids(unfold(load(file, words=True))), file.resolve().parent)
    lent = frozenset[str]()
    if over is not None:
        # A test bed may have more hosts than this inventory uses.
        lent = frozenset(over.data.get("hosts") or ()) - frozenset(document.data.get("hosts") or ())
        if "ambari" not in document.data:
            # Every test bed has an Ambari, but this inventory does without: its cluster would be missing there.
            over = replace(over, data={key: value for key, value in over.data.items() if key != "ambari"})
        document = _without_logins(document).merged(over)
    inventory = validate(document, Inventory)
    check = _Names(inventory, document, lent)
    groups = check.groups()
    known = {host: group for group, hosts in groups.items() for host in hosts}
    # With an invalid range, every name below would be reported as unknown.
    if not check.errors:
        check.references(known, groups)
    check.texts(groups)
    check.errors += rule_errors(inventory, document)
    if len(check.errors) == 1:
        raise check.errors[0]
    if check.errors:
        raise ConfigurationErrors(check.errors)
    return LoadedInventory(inventory, document, file, tuple(_entries(inventory, known)), groups)


def paths(data: object) -> Iterator[tuple[DocumentPath, str]]:
    """Yield the paths on this machine that an inventory's plain data has, each with its place."""
    for pattern in PATHS:
        yield from _matching(data, pattern, ())


def _matching(data: object, pattern: Sequence[str], path: DocumentPath) -> Iterator[tuple[DocumentPath, str]]:
    if not pattern:
        if isinstance(data, str):
            yield path, data
    elif isinstance(data, dict):
        for key in list(data) if pattern[0] == "*" else [pattern[0]]:
            yield from _matching(data.get(key), pattern[1:], (*path, key))


def _absolute(document: Document, folder: Path) -> Document:
    for path, value in list(paths(document.data)):
        data: Any = document.data
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = str(folder / expand_home(value))
    return document


def _without_logins(document: Document) -> Document:
    """Leave out how to log in to single hosts and groups: a test bed's hosts have one log-in."""
    for section in ("hosts", "groups"):
        entries = document.data.get(section)
        for entry in entries.values() if isinstance(entries, dict) else ():
            for field in Login.model_fields if isinstance(entry, dict) else ():
                entry.pop(field, None)
    return document


def _with_ids(document: Document) -> Document:
    """Give repositories without an id one of their own: the stack's name, with a number from the second on."""
    repositories, stack = document.data.get("repositories"), document.data.get("stack")
    choice = stack if isinstance(stack, dict) else {}
    base = f"{choice.get('name', 'BIGTOP')}-{choice.get('version', '3.2.0')}"
    if isinstance(repositories, list):
        known = [one for one in repositories if isinstance(one, dict)]
        taken = {str(one["id"]) for one in known if "id" in one}
        for one in known:
            if "id" not in one:
                one["id"] = next(
                    name
                    for number in itertools.count(1)
                    if (name := base if number == 1 else f"{base}-{number}") not in taken
                )
                taken.add(one["id"])
    return document


def _entries(inventory: Inventory, known: Mapping[str, str]) -> Iterator[HostEntry]:
    particular = {name.lower(): host for name, host in inventory.hosts.items()}
    names: dict[str, str | None] = dict(known)
    groups = inventory.groups
    if inventory.ambari and inventory.ambari.setup:
        names.setdefault(inventory.ambari.setup.host.lower(), None)
    for name, group in names.items():
        own = particular.get(name)
        levels: dict[str, Login | None] = {f"hosts.{name}": own, f"groups.{group}": groups.get(group or "")}
        given = {
            field: (place, value)
            for place, level in reversed(levels.items())
            for field in Login.model_fields
            if field != "port" and (value := getattr(level, field, None)) is not None
        }
        login = Login(**{field: value for field, (_, value) in given.items()}) if given else None
        yield HostEntry(
            name,
            (own.address if own else None) or name,
            next((level.port for level in levels.values() if level and level.port), inventory.ssh.port),
            (own.rack if own else None) or (groups[group].rack if group else None),
            group,
            login,
            tuple((field, place) for field, (place, _) in given.items()),
        )


def _not_a_host(name: str) -> str | None:
    """Return what is wrong with the name of a host; short names are fine where hosts call themselves so."""
    if _LOCAL.match(name):
        return f"{name} is every host's name for itself"
    return None if _HOST_NAME.match(name) else f"{name} is not a host name"


class _Names:
    """Checks what the model cannot: that every name refers to exactly one existing thing."""

    def __init__(self, inventory: Inventory, document: Document, lent: Set[str]) -> None:
        self.inventory = inventory
        self.lent = lent
        self.document = document
        self.errors: list[ConfigurationError] = []

    def _wrong(self, path: DocumentPath, message: str, hint: str = "") -> None:
        self.errors.append(ConfigurationError(message, hint=hint or None, location=self.document.locate(path)))

    def _expand(self, path: DocumentPath, pattern: str) -> list[str]:
        try:
            return expand(pattern)
        except ConfigurationError as error:
            error.location = self.document.locate(path)
            self.errors.append(error)
            return []

    def groups(self) -> dict[str, tuple[str, ...]]:
        """Return the hosts of every group, and record mistakes in them."""
        owner: dict[str, str] = {}
        groups: dict[str, tuple[str, ...]] = {}
        for name, group in self.inventory.groups.items():
            members: list[str] = []
            for index, pattern in enumerate(group.hosts):
                path = ("groups", name, "hosts", index)
                for host in self._expand(path, pattern):
                    if host in owner:
                        where = "is listed twice" if owner[host] == name else f"is also in the group {owner[host]}"
                        self._wrong(path, f"{host} {where}", "A host belongs to one group.")
                    elif (wrong := _not_a_host(host)) is not None:
                        self._wrong(path, wrong, _OWN_NAME)
                    else:
                        owner[host] = name
                        members.append(host)
            groups[name] = tuple(members)
        self._short_names(owner)
        return groups

    def _short_names(self, owner: Mapping[str, str]) -> None:
        """Find hosts that are listed by their short and their full name."""
        short = {host.partition(".")[0]: host for host in owner if "." in host}
        for host, group in owner.items():
            if host in short:
                self._wrong(
                    ("groups", group, "hosts"), f"{host} and {short[host]} are two names of one host", _OWN_NAME
                )

    def references(self, known: Mapping[str, str], groups: Mapping[str, tuple[str, ...]]) -> None:
        """Check every name of a host or a group."""
        setup = self.inventory.ambari.setup if self.inventory.ambari else None
        if setup:
            own = setup.host.lower()
            wrong = _not_a_host(own)
            full = next((host for host in known if host.startswith(f"{own}.")), None)
            if wrong is None and full is not None:
                wrong = f"{own} and {full} are two names of one host"
            if wrong is not None:
                self._wrong(("ambari", "setup", "host"), wrong, _OWN_NAME)
        hosts = [*known, *([setup.host.lower()] if setup else [])]
        for name in self.inventory.hosts:
            if name.lower() not in hosts and name not in self.lent:
                self._wrong(("hosts", name), f"{name} is in no group", near(name, hosts))
        for name, entry in self.inventory.standalone.items():
            for index, target in enumerate(entry.hosts):
                self._target(("standalone", name, "hosts", index), target, known, groups)
        for name, job in self.inventory.jobs.items():
            self._target(("jobs", name, "on"), job.on, known, groups)

    def texts(self, groups: Mapping[str, tuple[str, ...]]) -> None:
        """Check the text of values: groups in properties, patterns of jobs."""
        scopes: list[tuple[DocumentPath, Configurations]] = [(("configurations",), self.inventory.configurations)]
        scopes += [
            (("groups", name, "configurations"), one.configurations) for name, one in self.inventory.groups.items()
        ]
        for path, configurations in scopes:
            for kind, properties in configurations.items():
                for key, given in properties.items():
                    value = given.value if isinstance(given, Setting) else given
                    for group in _TOKEN.findall(value) if isinstance(value, str) else ():
                        if group not in groups:
                            self._wrong((*path, kind, key), f"there is no group {group!r}", near(group, groups))
        for name, job in self.inventory.jobs.items():
            try:
                re.compile(job.expect or "")
            except re.error as error:
                self._wrong(("jobs", name, "expect"), f"is not a regular expression: {error}")

    def _target(
        self, path: DocumentPath, target: str, known: Mapping[str, str], groups: Mapping[str, tuple[str, ...]]
    ) -> None:
        if target in groups:
            return
        unknown = [host for host in self._expand(path, target) if host not in known]
        if unknown:
            self._wrong(path, f"{unknown[0]} is neither a group nor a host of one", near(target, [*groups, *known]))
