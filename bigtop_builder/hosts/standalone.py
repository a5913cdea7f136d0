"""Packages, files and services that Ambari does not manage: facts go in, operations come out, in the entries' order."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any

from bigtop_builder.hosts.facts import SoftwareFacts, Wanted
from bigtop_builder.hosts.files import remove_file, write_file
from bigtop_builder.hosts.operation import Operation
from bigtop_builder.hosts.packages import install_packages
from bigtop_builder.hosts.services import restart_mark, service_running, service_stopped
from bigtop_builder.model.base import seconds
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.standalone import Health, Once, Standalone
from bigtop_builder.recipe.document import near
from bigtop_builder.recipe.inventory import LoadedInventory
from bigtop_builder.recipe.template import render

SELECTOR = "/usr/lib/bigtop-select/distro-select"
"""The ``distro-select`` of the package bigtop-select."""


def entries_of(loaded: LoadedInventory, host: str) -> list[tuple[str, Standalone]]:
    """Return the entries that include a host, in the order in which they start."""
    entries = loaded.inventory.standalone
    return [(name, entries[name]) for name in order(loaded) if host in loaded.members(entries[name].hosts)]


def order(loaded: LoadedInventory) -> tuple[str, ...]:
    """Return the names of the entries, each after those in its ``after``, otherwise in the order of the file.

    Requires that ``validate_standalone`` found no errors.
    """
    entries = loaded.inventory.standalone
    found: dict[str, None] = {}

    def visit(name: str) -> None:
        if name not in found:
            for former in entries[name].after:
                visit(former)
            found[name] = None

    for name in entries:
        visit(name)
    return tuple(found)


def validate_standalone(loaded: LoadedInventory) -> list[ConfigurationError]:
    """Return the errors in the entries: ``after`` that names no entry or forms a circle, rivals, failing templates."""
    entries = loaded.inventory.standalone
    errors: list[ConfigurationError] = []
    for name, entry in entries.items():
        for key, others in (("after", entry.after), ("reads", entry.reads)):
            for index, other in enumerate(others):
                if other not in entries:
                    message, place = (
                        f"there is no stand-alone entry {other}",
                        loaded.place("standalone", name, key, index),
                    )
                    errors.append(ConfigurationError(message, hint=near(other, entries) or None, location=place))
    if not errors:
        errors += _circles(loaded)
    errors += _rivals(loaded)
    for name, entry in entries.items():
        for host in loaded.members(entry.hosts)[:1]:
            try:
                _contents(loaded, name, host)
                _once(loaded, name, host)
            except ConfigurationError as error:
                errors.append(error)
    return errors


def _circles(loaded: LoadedInventory) -> list[ConfigurationError]:
    entries = loaded.inventory.standalone
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> tuple[str, ...]:
        if name in path:
            return (*path[path.index(name) :], name)
        if name not in done:
            for former in entries[name].after:
                circle = visit(former, (*path, name))
                if circle:
                    return circle
            done.add(name)
        return ()

    for name in entries:
        circle = visit(name, ())
        if circle:
            message = f"these entries wait for each other: {' -> '.join(circle)}"
            return [ConfigurationError(message, location=loaded.place("standalone", circle[0], "after"))]
    return []


def _rivals(loaded: LoadedInventory) -> list[ConfigurationError]:
    """Entries with conflicting wishes for the same host."""
    entries = loaded.inventory.standalone
    errors: list[ConfigurationError] = []
    for (first, one), (second, other) in itertools.combinations(entries.items(), 2):
        if not set(loaded.members(one.hosts)) & set(loaded.members(other.hosts)):
            continue
        for path in other.files.keys() & one.files.keys():
            place = loaded.place("standalone", second, "files", path)
            errors.append(ConfigurationError(f"{first} also writes {path} on the same host", location=place))
        for name in other.select.keys() & one.select.keys():
            if other.select[name] != one.select[name]:
                place = loaded.place("standalone", second, "select", name)
                message = f"{first} selects {name} {one.select[name]} on the same host"
                errors.append(ConfigurationError(message, location=place))
    return errors


def wanted(loaded: LoadedInventory, host: str) -> Wanted:
    """Return the facts that the functions below need of a host."""
    entries = entries_of(loaded, host)
    services = tuple(dict.fromkeys(service.name for _, entry in entries for service in entry.services))
    return Wanted(
        files=(*(path for _, entry in entries for path in entry.files), *map(restart_mark, services)),
        services=services,
        conditions=tuple(
            f"{_key(once)} {_as_user(once, once.unless)}" for name, _ in entries for once in _once(loaded, name, host)
        ),
    )


def _key(once: Once) -> str:
    return hashlib.sha256(f"{once.user} {once.unless}".encode()).hexdigest()[:16]


def _as_user(once: Once, command: str) -> str:
    return f"cd / && runuser -u {quote(once.user)} -- bash -c {quote(command)}"


def _once(loaded: LoadedInventory, name: str, host: str) -> list[Once]:
    """Render the commands of an entry on a host. Raises RecipeError with the template's place."""
    context = _context(loaded, name, host)

    def rendered(index: int, once: Once, field: str) -> str:
        return render(getattr(once, field), context, loaded.place("standalone", name, "run", index, field))

    return [
        once.model_copy(update={field: rendered(index, once, field) for field in ("command", "unless")})
        for index, once in enumerate(loaded.inventory.standalone[name].run)
    ]


def _contents(loaded: LoadedInventory, name: str, host: str) -> dict[str, bytes]:
    """Render the files of an entry on a host. Raises RecipeError with the template's place."""
    context = _context(loaded, name, host)
    return {
        path: render(file.content, context, loaded.place("standalone", name, "files", path, "content")).encode()
        for path, file in loaded.inventory.standalone[name].files.items()
    }


def _context(loaded: LoadedInventory, name: str, host: str) -> dict[str, Any]:
    """The variables of an entry's templates on a host."""
    entries = loaded.inventory.standalone
    return {
        "host": host,
        "hosts": list(loaded.members(entries[name].hosts)),
        "groups": {group: list(hosts) for group, hosts in loaded.groups.items()},
        "services": {other: list(loaded.members(entry.hosts)) for other, entry in entries.items()},
    }


def install(facts: SoftwareFacts, loaded: LoadedInventory, host: str) -> tuple[Operation, ...]:
    """Plan the packages in one transaction, then the files and the selected versions of all entries of the host."""
    entries = entries_of(loaded, host)
    packages = [package for _, entry in entries for package in entry.packages]
    touched = [entry for _, entry in entries if not all(package in facts.packages for package in entry.packages)]
    operations = list(install_packages(facts, packages, restarts=_service_names(touched)))
    for name, entry in entries:
        restarts = _service_names([entry, *(other for _, other in entries if name in other.reads)])
        for path, content in _contents(loaded, name, host).items():
            file = entry.files[path]
            operations += write_file(
                facts, path, content, owner=file.owner, group=file.group, mode=file.mode, restarts=restarts
            )
    selected: dict[str, str] = {}
    for _, entry in entries:
        selected |= entry.select
    for component, version in selected.items():
        users = [entry for _, entry in entries if component in entry.select]
        operations += select(facts, component, version, restarts=_service_names(users))
    return tuple(operations)


def _service_names(entries: list[Standalone]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(service.name for entry in entries for service in entry.services))


def select(
    facts: SoftwareFacts, component: str, version: str, *, restarts: tuple[str, ...] = ()
) -> tuple[Operation, ...]:
    """Plan ``distro-select set COMPONENT VERSION``; ``all`` means all components that have a link."""
    links = facts.selectors.values() if component == "all" else [facts.selectors.get(component, "")]
    now = ", ".join(sorted(set(links)))
    if now == version:
        return ()
    script = f"{SELECTOR} set {quote(component)} {quote(version)}"
    return (Operation(f"select {component}", f"{now or 'none'} -> {version}", script, restarts=restarts),)


def start(
    facts: SoftwareFacts,
    loaded: LoadedInventory,
    name: str,
    installed: tuple[Operation, ...],
    also: Collection[str] = (),
) -> tuple[Operation, ...]:
    """Plan the commands that are to run once, then to enable and start the entry's services.

    Services that an operation in ``installed`` names are restarted, and ``also`` these.
    """
    changed = {*also, *(service for operation in installed for service in operation.restarts)}
    once = _once(loaded, name, facts.name)
    operations = [_run_once(one) for one in once if _key(one) not in facts.conditions]
    for service in loaded.inventory.standalone[name].services:
        operations += service_running(facts, service.name, enabled=service.enabled, changed=service.name in changed)
    return tuple(operations)


# The condition is tried again: services that it asks may have started since the facts were gathered.
RUN_ONCE = """if ! ({unless}) >/dev/null 2>&1 < /dev/null; then
    ({command}) < /dev/null
    if ! said=$(({unless}) 2>&1 < /dev/null); then
        printf '%s\\n' "$said" {message} >&2
        exit 1
    fi
fi
"""


def _run_once(once: Once) -> Operation:
    message = quote(f"it ran, but this still fails: {once.unless.strip()}")
    script = RUN_ONCE.format(unless=_as_user(once, once.unless), command=_as_user(once, once.command), message=message)
    return Operation(f"run: {once.name}", f"as {once.user}: {once.command.strip()}", script)


@dataclass(frozen=True)
class Probe:
    """A health check of a service on a host. ``script`` exits with 0 as soon as the service is healthy."""

    entry: str
    service: str
    what: str
    script: str


UNTIL = """probe() {{
    {probe}
}}
end=$((SECONDS + {within}))
until said=$(probe 2>&1); do
    if [ "$SECONDS" -ge "$end" ]; then
        echo {message}${{said:+: ${{said##*$'\\n'}}}} >&2
        exit 1
    fi
    sleep 1
done
"""


def probes(loaded: LoadedInventory, name: str, host: str, *, within: int | None = None) -> tuple[Probe, ...]:
    """Return the health checks of an entry on a host; ``within``: seconds to wait instead of each check's own limit."""
    found: list[Probe] = []
    for service in loaded.inventory.standalone[name].services:
        if service.health is not None:
            limit = within if within is not None else seconds(service.health.within)
            what, script = _probe(service.health, host)
            message = quote(f"{service.name}: {what} is not healthy after {limit} s")
            found.append(Probe(name, service.name, what, UNTIL.format(probe=script, within=limit, message=message)))
    return tuple(found)


def _probe(health: Health, host: str) -> tuple[str, str]:
    """Describe a health check, and return it as a command."""
    if health.port is not None:
        # A service may listen only on the host's own address, or only on the loopback address.
        tries = " || ".join(
            f"timeout 5 bash -c {quote(f'exec 3<>/dev/tcp/{address}/{health.port}')} 2>/dev/null"
            for address in (host, "127.0.0.1")
        )
        return f"port {health.port}", tries
    if health.http is not None:
        address = health.http.replace("{host}", host)
        return address, f"curl --fail --silent --show-error --max-time 10 --output /dev/null {quote(address)}"
    command = health.command or "false"
    return command, f"timeout 60 bash -c {quote(command)}"


def removal(facts: SoftwareFacts, loaded: LoadedInventory, host: str) -> tuple[Operation, ...]:
    """Plan to stop the entries' services in reverse order and to remove their files; packages stay."""
    operations: list[Operation] = []
    entries = list(reversed(entries_of(loaded, host)))
    for _, entry in entries:
        for service in reversed(entry.services):
            operations += service_stopped(facts, service.name)
    for _, entry in entries:
        for path in entry.files:
            operations += remove_file(facts, path)
    return tuple(operations)


def dependants(loaded: LoadedInventory) -> Mapping[str, set[str]]:
    """Return, by entry, all entries that start after it, directly or indirectly."""
    entries = loaded.inventory.standalone
    found: dict[str, set[str]] = {name: set() for name in entries}
    for name in reversed(order(loaded)):
        for former in entries[name].after:
            found[former] |= {name, *found[name]}
    return found
