"""The phase ``check``: find whatever is bound to fail before anything is changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bigtop_builder.flow.deploy.connections import Connections
from bigtop_builder.flow.deploy.deployment import Deployment
from bigtop_builder.flow.deploy.desired_layout import desired_layout
from bigtop_builder.flow.deploy.package_check import check_packages, system_packages
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.server_state import server_state
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model.errors import ConfigurationError, ConfigurationErrors
from bigtop_builder.model.event import CheckFinished
from bigtop_builder.model.inventory import SecretReference
from bigtop_builder.recipe.document import near
from bigtop_builder.recipe.inventory import PATHS

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari


def check(deployment: Deployment) -> str:
    """Check the inventory, secrets, server, layout, hosts and repository, the cheap checks first."""
    check_own(deployment.connections, deployment.world)
    managed = deployment.world.inventory.ambari is not None
    if managed:
        _server(deployment.connections, deployment.world, deployment.reporter)
        _layout(deployment.connections.client, deployment.world, deployment.reporter)
    _standalone(deployment.world)
    families = _hosts(deployment.connections, deployment.world, deployment.reporter)
    if managed:
        check_packages(deployment.world, deployment.reporter, families)
    return ""


def check_own(connections: Connections, world: World) -> None:
    """Check what is on this machine: the inventory's secrets and files. Raises ConfigurationError(s)."""
    problems = [*_secrets(connections, world), *_files(connections, world)]
    if problems:
        raise problems[0] if len(problems) == 1 else ConfigurationErrors(problems)


def _secrets(connections: Connections, world: World) -> Iterator[ConfigurationError]:
    """Read every secret, so that it is redacted from now on; yield an error for each that is unavailable."""
    for place, reference in references(world):
        name = ".".join(map(str, place))
        if place[0] == "ssh" and not connections.hosted:
            continue
        try:
            connections.secrets.value(reference, name)
        except ConfigurationError as error:
            if error.location is None:
                error.location = world.loaded.place(*place)
                error.message = error.message.removeprefix(f"{name}: ")
            yield error


def _files(connections: Connections, world: World) -> Iterator[ConfigurationError]:
    data = world.inventory.model_dump()
    for path in PATHS:
        value: object = data
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        # The file of host keys is created with the first key; a rehearsal has no hosts to log in to.
        if not isinstance(value, str) or path[-1] == "known_hosts" or (path[0] == "ssh" and not connections.hosted):
            continue
        try:
            Path(value).open("rb").close()
        except OSError as error:
            yield ConfigurationError(
                f"{value} cannot be read: {error.strerror}",
                hint="Name an existing file; relative paths start at the folder of the inventory.",
                location=world.loaded.place(*path),
            )


def references(world: World) -> Iterator[tuple[tuple[str | int, ...], SecretReference]]:
    """Yield every secret reference of the inventory with its path."""
    data = world.inventory.model_dump(exclude_none=True)
    yield from _walk(data, ())


SECRET_KEYS = frozenset(
    {
        "key_passphrase",
        "password",
        "sudo_password",
        "key_password",
        "initial_password",
        "admin_password",
        "default_password",
        "secret",
    }
)


def _walk(data: object, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(data, dict):
        inside = bool(path) and path[0] in ("configurations", "groups")
        for key, value in data.items():
            if key in SECRET_KEYS and isinstance(value, str) and (key == "secret" or not inside):
                yield (*path, key), value
            else:
                yield from _walk(value, (*path, key))
    elif isinstance(data, list | tuple):
        for index, value in enumerate(data):
            yield from _walk(value, (*path, index))


def _server(connections: Connections, world: World, reporter: Reporter) -> None:
    """Check that an existing server answers, accepts the password, and has the stack; say why it does not answer."""
    if not world.server_answers:
        if world.server_error is not None:
            reporter.notice(server_state(connections, world.loaded.ambari, world.server_error))
        return
    found = f"{world.server_version} at {world.loaded.ambari.url}, stack {world.stack.id}"
    _ok(reporter, "Ambari server", found)


def _layout(client: Ambari, world: World, reporter: Reporter) -> None:
    inventory, stack = world.inventory, world.stack
    for index, name in enumerate(inventory.services):
        if name not in stack.services:
            raise ConfigurationError(
                f"the stack {stack.id} has no service {name}",
                location=world.loaded.place("services", index),
                hint=near(name, stack.services) or None,
            )
    if inventory.placement == "auto" and not world.server_answers:
        reporter.notice("the server recommends the layout once it is set up")
        return
    layout = desired_layout(client, world, reporter)
    _ok(reporter, "layout", f"{len(layout.components)} components on {len(layout.hosts)} hosts")


def _standalone(world: World) -> None:
    if not world.inventory.standalone:
        return
    from bigtop_builder.hosts.standalone import validate_standalone

    errors = validate_standalone(world.loaded)
    if errors:
        raise errors[0] if len(errors) == 1 else ConfigurationErrors(errors)


def _hosts(connections: Connections, world: World, reporter: Reporter) -> tuple[str, ...]:
    """Check the hosts and return their OS families."""
    if not connections.hosted:
        return tuple(sorted({host.os_family for host in connections.client.hosts() if host.os_family}))
    from bigtop_builder.flow.hosts.checks import check_hosts

    also = system_packages(world) if world.inventory.ambari is not None else {}
    found = check_hosts(world.loaded, connections.fleet, reporter.emit, also=also)
    world.facts = found.facts
    found.raise_for_errors()
    return tuple(sorted({facts.family for facts in found.facts.values() if facts.family}))


def _ok(reporter: Reporter, name: str, message: str) -> None:
    reporter.emit(CheckFinished(phase=reporter.phase, check=name, level="ok", message=message))
