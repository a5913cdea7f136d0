"""Set up an Ambari server and its agents: install, configure and start them until the server answers.

Without ``ambari.setup`` in the inventory an existing server is not touched.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigtop_builder.flow.deploy.administrator import administrator_ready
from bigtop_builder.flow.hosts.operations import Plan, WorkResult, apply, report_failure
from bigtop_builder.hosts import agent, database, server
from bigtop_builder.hosts.agent_user import NAME as AGENT
from bigtop_builder.hosts.agent_user import service_users
from bigtop_builder.hosts.ambari_logs import server_cause
from bigtop_builder.hosts.ambari_properties import NAME
from bigtop_builder.hosts.database import ENGINES, UNSEEN, Engine, State, Target
from bigtop_builder.hosts.database_server import service_operations
from bigtop_builder.hosts.facts import HostFacts, Wanted
from bigtop_builder.hosts.operation import Operation
from bigtop_builder.hosts.packages import Access
from bigtop_builder.hosts.repository_access import resolve_accesses
from bigtop_builder.hosts.server_https import Https
from bigtop_builder.hosts.services import restart_mark
from bigtop_builder.model.errors import ConfigurationError, HostError
from bigtop_builder.model.event import AnyEvent, HostFailed
from bigtop_builder.model.inventory import Ambari as Choice
from bigtop_builder.model.inventory import DatabaseKind, NewServer
from bigtop_builder.model.repository import variable_names

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.secret import Secrets
    from bigtop_builder.adapter.ssh.fleet import Fleet
    from bigtop_builder.adapter.ssh.remote import Remote
    from bigtop_builder.recipe.inventory import LoadedInventory

Emit = Callable[[AnyEvent], None]

START_SECONDS = 300.0
"""Time limit for a server that was just started to answer; on slow disks its first start takes minutes."""
ANSWER_SECONDS = 30.0
"""The same for a server that was running before."""


@dataclass(frozen=True)
class _Seen:
    """A host's facts, and whether Ambari's daemons run there."""

    facts: HostFacts
    server: bool
    agent: bool


@dataclass(frozen=True)
class _Site:
    """The inventory's settings of server and agents, resolved."""

    choice: Choice
    setup: NewServer
    host: str
    target: Target
    password: str | None
    """The database's."""
    https: Https | None
    java_home: str | None
    agents: tuple[str, ...]
    ours: frozenset[str]
    access: Access
    """To Ambari's own repository."""
    files: Mapping[str, bytes]
    """More files that the server reads when it starts."""


def set_up_servers(
    loaded: LoadedInventory,
    fleet: Fleet,
    client: Ambari,
    secrets: Secrets,
    emit: Emit,
    *,
    dry_run: bool,
    cancelled: threading.Event,
    engines: Mapping[DatabaseKind, Engine] = ENGINES,
    files: Mapping[str, bytes] | None = None,
) -> WorkResult:
    """Set up whatever is missing of database, server, administrator's password and agents, or report it (``dry_run``).

    The result has the hosts that failed; if the server failed, nothing else is tried. Raises AmbariError if the server
    does not answer or accepts neither password, and ConfigurationError.
    """
    choice = loaded.inventory.ambari
    if choice is None or choice.setup is None:
        return WorkResult()
    site = _site(loaded, choice, choice.setup, secrets, files or {})
    emit = _explained(emit)
    seen, failed = _look(fleet, site, engines, emit)
    result = WorkResult(failed=failed)
    if site.host in failed:
        return result
    result = result.joined(_set_up(fleet, site, seen, emit, dry_run, engines))
    if site.host in result.failed or site.target.host in result.failed:
        return result
    if not dry_run:
        started = bool(result.changed.get(site.host))
        limit = START_SECONDS if started else ANSWER_SECONDS
        remote = fleet.remote(site.host)
        changed = administrator_ready(choice, remote, client, secrets, emit, cancelled, limit)
        result = result.joined(WorkResult({site.host: changed}))
    accounts = service_users(loaded.inventory.configurations)
    version = _server_version(fleet, site, seen[site.host].facts, dry_run)
    plan = {
        host: agent.agent_operations(
            seen[host].facts, site.setup, version, running=seen[host].agent, access=site.access, accounts=accounts
        )
        for host in site.agents
        if host in seen
    }
    return result.joined(_applied(fleet, plan, emit, dry_run))


def _site(
    loaded: LoadedInventory, choice: Choice, setup: NewServer, secrets: Secrets, files: Mapping[str, bytes]
) -> _Site:
    host = setup.host.lower()
    reference = setup.database.password
    if setup.https is not None and not choice.url.startswith("https://"):
        raise ConfigurationError(
            "ambari.url is not https, but ambari.setup.https is given: a server with HTTPS does not answer plain HTTP",
            hint=f"set it to https://{host}:{setup.https.port}",
            location=loaded.place("ambari", "url"),
        )
    return _Site(
        choice,
        setup,
        host,
        database.target(setup.database, host),
        secrets.value(reference, "ambari.setup.database.password") if reference else None,
        _https(loaded, setup, secrets),
        setup.java_home or loaded.inventory.prepare.java_home,
        loaded.cluster_hosts,
        frozenset(entry.name for entry in loaded.hosts),
        resolve_accesses(loaded, secrets.value).ambari,
        files,
    )


def _https(loaded: LoadedInventory, setup: NewServer, secrets: Secrets) -> Https | None:
    https = setup.https
    if https is None:
        return None
    content: dict[str, bytes] = {}
    for name, path in (("certificate", https.certificate), ("key", https.key)):
        try:
            content[name] = Path(path).read_bytes()
        except OSError as error:
            raise ConfigurationError(
                f"{path} cannot be read: {error.strerror}",
                hint=f"ambari.setup.https.{name} must be a PEM file on this machine",
                location=loaded.place("ambari", "setup", "https", name),
            ) from error
    place = "ambari.setup.https.key_password"
    password = secrets.value(https.key_password, place) if https.key_password else None
    return Https(content["certificate"], content["key"], password, https.port)


def _look(
    fleet: Fleet, site: _Site, engines: Mapping[DatabaseKind, Engine], emit: Emit
) -> tuple[dict[str, _Seen], dict[str, HostError]]:
    """Gather the facts of every host involved, and report hosts that are unreachable."""
    drivers = [driver.path for driver in server.driver_files(site.setup)]
    service = engines[site.target.kind].service
    wanted = Wanted(
        files=(*dict.fromkeys((*server.FILES, *agent.FILES, *drivers, *site.files, restart_mark(service))),),
        services=(service,),
        variables=variable_names(site.setup.repository, site.setup.gpg_key),
    )
    script = HostFacts.script(wanted)

    def look(remote: Remote) -> _Seen:
        facts = HostFacts.parse(remote.name, remote.run(script).stdout)
        return _Seen(facts, NAME in facts.ambari_daemons, AGENT in facts.ambari_daemons)

    hosts = [site.host, *site.agents]
    if site.target.host in site.ours:
        hosts.append(site.target.host)
    found = fleet.each(look, hosts, done=report_failure("ambari", emit))
    failed = {host: result for host, result in found.items() if isinstance(result, HostError)}
    return {host: result for host, result in found.items() if isinstance(result, _Seen)}, failed


def _set_up(
    fleet: Fleet,
    site: _Site,
    seen: Mapping[str, _Seen],
    emit: Emit,
    dry_run: bool,
    engines: Mapping[DatabaseKind, Engine],
) -> WorkResult:
    """Set up database and server."""
    try:
        state = _database_state(fleet, site)
        plan = _plans(site, seen, state, engines)
    except HostError as error:
        report_failure("ambari", emit)(site.host, error)
        return WorkResult(failed={site.host: error})
    result = WorkResult()
    for host, operations in plan:
        result = result.joined(_applied(fleet, {host: operations}, emit, dry_run))
        if result.failed:
            return result
    return result


def _plans(
    site: _Site, seen: Mapping[str, _Seen], state: State, engines: Mapping[DatabaseKind, Engine]
) -> list[tuple[str, tuple[Operation, ...]]]:
    """Return the operations, host by host, in this order. Raises HostError."""
    target, facts = site.target, seen[site.host].facts
    if server.properties(facts).get("api.ssl") == "true" and not site.choice.url.startswith("https:"):
        raise HostError(
            f"the Ambari server on {site.host} uses HTTPS, but ambari.url is not https",
            hint="set ambari.url to its https address, or set api.ssl=false in its ambari.properties and restart it",
        )
    below: tuple[Operation, ...] = ()
    if site.password is not None and target.kind != "embedded" and not state.login:
        if site.setup.database.create and target.host in seen:
            below = service_operations(seen[target.host].facts, target, site.password, state, engines=engines)
        elif state is not UNSEEN and state.message != database.NO_CLIENT:
            cause = server_cause(state.message)
            raise HostError(
                f"Ambari's database {target} rejects the user {target.user}: {state.message}",
                hint=cause.hint if cause else "see ambari.setup.database in the inventory",
            )
    above = server.server_operations(
        facts,
        site.setup,
        target,
        state,
        running=seen[site.host].server,
        java_home=site.java_home,
        password=site.password,
        https=site.https,
        access=site.access,
        engines=engines,
        files=site.files,
    )
    if target.host == site.host:
        return [(site.host, (*below, *above))]
    return [(target.host, below), (site.host, above)]


def _database_state(fleet: Fleet, site: _Site) -> State:
    if site.target.kind == "embedded" or site.password is None:
        return UNSEEN
    script = database.probe_script(site.target)
    output = fleet.remote(site.host).run(script, stdin=database.credentials(site.target, site.password), timeout=60)
    return database.parse_probe(output.stdout)


def _applied(fleet: Fleet, plan: Plan, emit: Emit, dry_run: bool) -> WorkResult:
    result = apply(fleet, plan, phase="ambari", emit=emit, dry_run=dry_run)
    return WorkResult(result.changed, {name: _with_cause(error) for name, error in result.failed.items()})


def _with_cause(error: HostError) -> HostError:
    cause = server_cause("\n".join(getattr(error, "last_lines", ())))
    if cause is not None:
        error.message = f"{error.message}: {cause.message}"
        error.hint = cause.hint
    return error


def _explained(emit: Emit) -> Emit:
    """Add the probable cause to events of failed hosts, judging by their last lines."""

    def explaining(event: AnyEvent) -> None:
        if isinstance(event, HostFailed):
            cause = server_cause("\n".join(event.last_lines))
            if cause is not None:
                event = event.model_copy(update={"message": f"{event.message}: {cause.message}", "hint": cause.hint})
        emit(event)

    return explaining


def _server_version(fleet: Fleet, site: _Site, facts: HostFacts, dry_run: bool) -> str | None:
    """Return the server's version, which agents must have too; None if it is unknown until the installation."""
    if site.setup.version:
        return site.setup.version
    version = server.installed_version(facts)
    if version is None and not dry_run:
        output = fleet.remote(site.host).run(f"rpm -q --qf '%{{VERSION}}' {NAME}", timeout=60)
        version = output.stdout.strip() if output.code == 0 else None
    return version
