"""The phase ``check``: find whatever is bound to fail before anything is changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bigtop_builder.cluster.version_definition import check_version
from bigtop_builder.flow.deploy.connections import Connections
from bigtop_builder.flow.deploy.deployment import Deployment
from bigtop_builder.flow.deploy.desired_layout import desired_layout
from bigtop_builder.flow.deploy.existing_cluster import check_drivers, refusals
from bigtop_builder.flow.deploy.host_states import await_reports
from bigtop_builder.flow.deploy.package_check import check_packages, system_packages
from bigtop_builder.flow.deploy.problems import Problems
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.repository import version_of
from bigtop_builder.flow.deploy.server_state import server_state
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.hosts.facts import Wanted
from bigtop_builder.hosts.server import DriverFile, driver_files
from bigtop_builder.model.errors import ConfigurationError, ConfigurationErrors, RecipeError
from bigtop_builder.model.event import CheckFinished
from bigtop_builder.model.properties import SecretReference
from bigtop_builder.recipe.document import near
from bigtop_builder.recipe.inventory import paths

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari


def check(deployment: Deployment) -> str:
    """Check inventory, secrets, server, cluster, layout, hosts and repository; report all that is wrong at once."""
    connections, world, reporter = deployment.connections, deployment.world, deployment.reporter
    problems = Problems()
    with problems.collecting():
        check_own(connections, world)
        _warn_of_words(connections, world, reporter)
    unusable = bool(problems)
    with problems.collecting():
        _standalone(world)
    if unusable:
        # Without its secrets nothing can be asked.
        problems.raise_any()
    managed, placed = world.inventory.ambari is not None, False
    answering = managed
    if managed:
        with problems.collecting():
            answering = False
            _server(connections, world, reporter)
            answering = True
    if answering:
        with problems.collecting():
            _layout(connections.client, world, reporter)
            placed = True
        with problems.collecting():
            _version(world)
        with problems.collecting():
            _addresses(connections, world, reporter)
        with problems.collecting():
            if world.removing.wanted and connections.client.cluster(world.cluster) is not None:
                # What may leave depends on states, which a server that has just restarted does not know yet.
                await_reports(connections.client, world, reporter)
            problems.add(refusals(connections.client, world))
        with problems.collecting():
            check_drivers(connections.client, world, reporter)
    families: tuple[str, ...] = ()
    if connections.hosted or answering:
        with problems.collecting():
            families = _hosts(connections, world, reporter, asked=placed)
    if placed:
        with problems.collecting():
            check_packages(world, reporter, families)
    problems.raise_any()
    return ""


def check_own(connections: Connections, world: World) -> None:
    """Check what is on this machine: the inventory's secrets and files. Raises ConfigurationError(s)."""
    problems = [*_secrets(connections, world), *_files(connections, world)]
    if problems:
        raise problems[0] if len(problems) == 1 else ConfigurationErrors(problems)


def _secrets(connections: Connections, world: World) -> Iterator[ConfigurationError]:
    """Read every secret, so that it is redacted from now on; yield an error for each that is unavailable."""
    for place, reference in _needed(connections, world):
        name = _name(place)
        try:
            connections.secrets.value(reference, name)
        except ConfigurationError as error:
            if error.location is None:
                error.location = world.loaded.place(*place)
                error.message = error.message.removeprefix(f"{name}: ")
            yield error


def _needed(connections: Connections, world: World) -> Iterator[tuple[tuple[str | int, ...], SecretReference]]:
    """Yield the secrets that will be needed: a rehearsal has no hosts to log in to."""
    for place, reference in references(world):
        login = place[0] in ("ssh", "hosts", "groups") and "configurations" not in place
        if connections.hosted or not login:
            yield place, reference


def _files(connections: Connections, world: World) -> Iterator[ConfigurationError]:
    for path, value in paths(world.inventory.model_dump()):
        # The file of host keys is created with the first key; a rehearsal has no hosts to log in to.
        if path[-1] == "known_hosts" or (path[0] in ("ssh", "hosts", "groups") and not connections.hosted):
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
    kerberos = world.inventory.security.kerberos
    if kerberos is not None and kerberos.administrator is None:
        data["security"]["kerberos"].pop("admin_password", None)
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
        inside = path[:1] == ("configurations",) or (path[:1] == ("groups",) and path[2:3] == ("configurations",))
        for key, value in data.items():
            secret = key in SECRET_KEYS or (key == "user" and str(path[-1:]).endswith("credentials',)"))
            if secret and isinstance(value, str) and (key == "secret" or not inside):
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


def _version(world: World) -> None:
    """Find a repository version that the server would refuse. Raises RecipeError."""
    if not world.inventory.repositories:
        return
    try:
        check_version(world.stack, version_of(world))
    except RecipeError as error:
        error.location = world.loaded.place("stack", "repository_version")
        raise


def _addresses(connections: Connections, world: World, reporter: Reporter) -> None:
    """Find repositories that hosts cannot reach: the server refuses them, and agents read nothing from its disk."""
    for index, one in enumerate(world.inventory.repositories):
        if not one.url.startswith("file:"):
            continue
        location = world.loaded.place("repositories", index, "url")
        message, hint = (
            "Ambari knows repositories by http and https alone",
            "Before deploying, serve the folder: bigtop-builder repo serve.",
        )
        if connections.hosted:
            raise ConfigurationError(message, hint=hint, location=location)
        event = CheckFinished(
            phase=reporter.phase, check="repositories", level="warning", message=f"{location}: {message}", hint=hint
        )
        reporter.emit(event)


def _warn_of_words(connections: Connections, world: World, reporter: Reporter) -> None:
    """Warn of secrets that cannot be masked everywhere, because they are words of the inventory's own names."""
    for place, reference in _needed(connections, world):
        if connections.secrets.is_word(connections.secrets.value(reference, _name(place))):
            reporter.emit(
                CheckFinished(
                    phase=reporter.phase,
                    check="secrets",
                    level="warning",
                    message=f"{world.loaded.place(*place)}: this secret is an everyday word, which is in names and "
                    "addresses too: it is masked in output of hosts and servers, and wherever it stands as a password",
                    hint="Choose another one: whoever sees the inventory can guess it.",
                )
            )


def _name(place: tuple[str | int, ...]) -> str:
    """Return the place of a secret as prompts name it, the same wherever it is read."""
    keys = [str(key) for key in place]
    if keys[0] == "hosts":
        keys[1] = keys[1].lower()
    return ".".join(keys)


def _standalone(world: World) -> None:
    if not world.inventory.standalone:
        return
    from bigtop_builder.hosts.standalone import validate_standalone

    errors = validate_standalone(world.loaded)
    if errors:
        raise errors[0] if len(errors) == 1 else ConfigurationErrors(errors)


def _hosts(connections: Connections, world: World, reporter: Reporter, *, asked: bool) -> tuple[str, ...]:
    """Check the hosts and return their OS families; ``asked``: whether it is known what they will need."""
    if not connections.hosted:
        return tuple(sorted({host.os_family for host in connections.client.hosts() if host.os_family}))
    from bigtop_builder.flow.hosts.checks import check_hosts

    also = system_packages(world) if asked else {}
    server, drivers = _drivers(world)
    also[server] = also.get(server, Wanted()) | Wanted(files=tuple(driver.path for driver in drivers))
    found = check_hosts(world.loaded, connections.fleet, reporter.emit, also=also, accesses=world.accesses)
    world.facts = found.facts
    missing = [driver.missing(found.facts[server]) for driver in drivers if server in found.facts]
    for error in filter(None, missing):
        reporter.emit(
            CheckFinished(
                phase=reporter.phase,
                check="JDBC drivers",
                host=server,
                level="error",
                message=error.message.removeprefix(f"{server}: "),
                hint=error.hint,
            )
        )
    found.raise_for_errors()
    for error in filter(None, missing):
        raise error
    return tuple(sorted({facts.family for facts in found.facts.values() if facts.family}))


def _drivers(world: World) -> tuple[str, tuple[DriverFile, ...]]:
    """Return the host of the Ambari server that we set up, and the JDBC drivers that must be there."""
    setup = world.inventory.ambari.setup if world.inventory.ambari is not None else None
    return (setup.host.lower(), driver_files(setup)) if setup is not None else ("", ())


def _ok(reporter: Reporter, name: str, message: str) -> None:
    reporter.emit(CheckFinished(phase=reporter.phase, check=name, level="ok", message=message))
