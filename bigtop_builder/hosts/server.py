"""The Ambari server on its host: from what is there to what is wanted.

``ambari-server setup`` takes the database's password as an argument only (Ambari 2.7 to 3.0), where a process list
shows it. It does not try it with a database that is not its own: so setup gets a word in its place, and the password
goes into the file that setup names in ``server.jdbc.user.passwd``, which the server reads when it starts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from shlex import quote
from typing import TYPE_CHECKING

from bigtop_builder.hosts.ambari_properties import NAME, PROPERTIES, parse_properties, set_properties
from bigtop_builder.hosts.database import (
    DEFAULT_DRIVER,
    ENGINES,
    SHIPPED_PASSWORD,
    Engine,
    State,
    Target,
    schema_operations,
)
from bigtop_builder.hosts.operation import Operation
from bigtop_builder.hosts.packages import RepositoryFile, install_packages, repository
from bigtop_builder.hosts.preparation import CERTIFICATES
from bigtop_builder.hosts.server_https import FILES as HTTPS_FILES
from bigtop_builder.hosts.server_https import Https, https_operations
from bigtop_builder.hosts.services import restart_mark
from bigtop_builder.model.errors import HostError
from bigtop_builder.model.inventory import DatabaseKind, NewServer

if TYPE_CHECKING:
    from bigtop_builder.hosts.facts import HostFacts

REPOSITORY_FILE = "/etc/yum.repos.d/ambari.repo"
PASSWORD_FILE = "/etc/ambari-server/conf/password.dat"
LOG = "/var/log/ambari-server/ambari-server.log"
LATER = "written-to-password.dat"
"""What setup is told instead of a password."""

FILES = (
    REPOSITORY_FILE,
    CERTIFICATES,
    PROPERTIES,
    PASSWORD_FILE,
    *HTTPS_FILES,
    restart_mark(NAME),
)
"""Files that the facts of the server's host must hold, beside the JDBC driver."""


class AmbariRepository(RepositoryFile):
    """The repository with Ambari's own packages. Ambari's bootstrap looks for a file of this name."""

    @property
    def path(self) -> str:
        return REPOSITORY_FILE


def ambari_repository(facts: HostFacts, setup: NewServer) -> AmbariRepository:
    """The repository file that servers and agents get."""
    return AmbariRepository(
        "ambari",
        setup.repository,
        setup.gpg_key,
        setup.gpg_check,
        repo_gpg_check=False,
        certificates=CERTIFICATES if CERTIFICATES in facts.files and setup.repository.startswith("https:") else None,
    )


def properties(facts: HostFacts) -> dict[str, str]:
    """The server's properties; empty when it is not installed."""
    file = facts.files.get(PROPERTIES)
    return parse_properties(file.text or "") if file else {}


def installed_version(facts: HostFacts, name: str = NAME) -> str | None:
    """The version of an installed package: ``3.0.0.0``; agents are compared without the release."""
    packages = facts.packages.get(name)
    return packages[0].version if packages else None


def server_operations(
    facts: HostFacts,
    setup: NewServer,
    target: Target,
    state: State,
    *,
    running: bool,
    java_home: str | None,
    password: str | None,
    https: Https | None,
    engines: Mapping[DatabaseKind, Engine] = ENGINES,
) -> tuple[Operation, ...]:
    """Everything from the repository file to a server that runs; nothing when it is all there.

    ``password``: the database's; None for an embedded one as Ambari makes it. ``state``: what a look into the
    database showed. Raises HostError when another version of Ambari is installed, or the driver is missing.
    """
    _same_version(facts, setup)
    now = properties(facts)
    operations = [*repository(facts, ambari_repository(facts, setup)), *_package(facts, setup)]
    operations += _driver(facts, setup, target, now)
    if password is not None:
        operations += schema_operations(facts, target, password, state, engines=engines)
    ran = _setup(setup, target, now, java_home)
    operations += ran
    operations += _password(facts, target, password, now, anew=bool(ran))
    if https is not None:
        operations += https_operations(facts, https, now)
    return (*operations, *daemon_running(facts, NAME, running=running, changed=bool(operations)))


def _same_version(facts: HostFacts, setup: NewServer) -> None:
    packages = facts.packages.get(NAME)
    if packages and setup.version and packages[0].version != setup.version:
        raise HostError(
            f"{facts.name}: ambari-server {packages[0].version} is installed, and the inventory wants {setup.version}",
            hint="Ambari is upgraded by its own procedure (ambari-server upgrade, with a backup of its database):"
            " do that, or write the installed version into ambari.setup.version",
        )


def _package(facts: HostFacts, setup: NewServer) -> tuple[Operation, ...]:
    versions = {NAME: setup.version} if setup.version else {}
    return install_packages(facts, [NAME], versions=versions, restarts=(NAME,))


def _driver(facts: HostFacts, setup: NewServer, target: Target, now: Mapping[str, str]) -> list[Operation]:
    """The JDBC driver installed and registered. Ambari brings the one of PostgreSQL itself."""
    database = setup.database
    if target.type == "postgres" and not database.driver and not database.driver_package:
        return []
    path = database.driver or DEFAULT_DRIVER
    operations: list[Operation] = []
    if database.driver_package:
        operations += install_packages(facts, [database.driver_package], restarts=(NAME,))
    elif path not in facts.files:
        raise HostError(
            f"{facts.name}: there is no JDBC driver {path} for {target.kind}",
            hint="name the package that brings it as ambari.setup.database.driver_package, or put it there",
        )
    if target.type == "mysql":
        operations += set_properties(now, {"server.jdbc.driver.path": path})
    name = PurePosixPath(path).name
    if now.get(f"custom.{target.type}.jdbc.name") != name:
        words = ("setup", f"--jdbc-db={target.type}", f"--jdbc-driver={path}")
        operations.append(
            Operation(f"register the JDBC driver {name}", " ".join((NAME, *words)), _ambari(*words), restarts=(NAME,))
        )
    return operations


def _ambari(*words: str) -> str:
    return " ".join(quote(word) for word in (NAME, *words))


def wanted_properties(setup: NewServer, target: Target, java_home: str | None) -> dict[str, str]:
    """What ``ambari-server setup`` shall have written."""
    wanted = {
        "server.jdbc.database": target.type,
        "server.persistence.type": "local" if target.kind == "embedded" else "remote",
        "server.jdbc.database_name": target.name,
        "server.jdbc.user.name": target.user,
    }
    if target.kind != "embedded":
        wanted |= {"server.jdbc.hostname": target.host, "server.jdbc.port": str(target.port)}
    if java_home:
        wanted["java.home"] = java_home
    if setup.stack_java_home:
        wanted["stack.java.home"] = setup.stack_java_home
    return wanted


_FIND_JAVA = """java_home=$(readlink -f "$(command -v java)")
java_home=${java_home%/bin/java}
if [ -x "${java_home%/jre}/bin/java" ]; then java_home=${java_home%/jre}; fi
"""


def _setup(setup: NewServer, target: Target, now: Mapping[str, str], java_home: str | None) -> list[Operation]:
    wanted = wanted_properties(setup, target, java_home)
    differing = {key: value for key, value in wanted.items() if now.get(key) != value}
    if not differing and now.get("java.home"):
        return []
    embedded = target.kind == "embedded"
    words = [
        "setup",
        "-s",
        f"--java-home={java_home}" if java_home else '--java-home="$java_home"',
        f"--database={'embedded' if embedded else target.type}",
        f"--databasehost={'localhost' if embedded else target.host}",
        f"--databaseport={target.port}",
        f"--databasename={target.name}",
        f"--databaseusername={target.user}",
        f"--databasepassword={SHIPPED_PASSWORD if embedded else LATER}",
    ]
    if target.kind == "postgresql":
        words.append(f"--postgresschema={target.name}")
    if setup.stack_java_home:
        words.append(f"--stack-java-home={setup.stack_java_home}")
    call = " ".join((NAME, *(word if "$" in word else quote(word) for word in words)))
    # A JDK that is installed in the same run is found on the host.
    found = "" if java_home else _FIND_JAVA
    told = [f"{key}: {now.get(key, 'not set')} -> {value}" for key, value in differing.items()]
    # With its own database, setup asks nothing of a server that runs; the port would be in its way.
    return [Operation("set up the Ambari server", "\n".join(told) or call, f"{found}{call}", restarts=(NAME,))]


def _password(
    facts: HostFacts, target: Target, password: str | None, now: Mapping[str, str], *, anew: bool
) -> list[Operation]:
    """The database's password where the server reads it. An alias means that it is in Ambari's own encrypted store,
    which is left alone."""
    place = now.get("server.jdbc.user.passwd", "")
    if password is None or (place.startswith("${alias=") and not anew):
        return []
    file = facts.files.get(PASSWORD_FILE)
    content = password.encode()
    same = file is not None and file.sha256 == hashlib.sha256(content).hexdigest()
    if same and not anew:
        return []
    operations: list[Operation] = []
    if target.kind == "embedded":
        operations.append(_embedded_password(target, password))
    # Setup has written the file since the facts were gathered, or will.
    user = quote(now.get("ambari-server.user") or "root")
    script = f"umask 077\ncat > {PASSWORD_FILE}\nchmod 0600 {PASSWORD_FILE}\nchown {user} {PASSWORD_FILE}"
    operations.append(
        Operation(f"write {PASSWORD_FILE}", "the database's password (not shown)", script, content, restarts=(NAME,))
    )
    return operations


def _embedded_password(target: Target, password: str) -> Operation:
    literal = "'" + password.replace("'", "''") + "'"
    statements = (
        "SET log_min_error_statement = panic;\nSET standard_conforming_strings = on;\n"
        f'ALTER ROLE "{target.user}" PASSWORD {literal};\n'
    )
    return Operation(
        "change the password of the embedded database",
        f"user {target.user}",
        "cd / && runuser -u postgres -- psql -qAtX -v ON_ERROR_STOP=1 -d postgres",
        statements.encode(),
    )


_RUN = """if [ -d /run/systemd/system ]; then systemctl enable {name} >/dev/null 2>&1 || true; fi
pid=$(cat {pid} 2>/dev/null || true)
if [ -z "$pid" ] || ! kill -0 "$pid" 2>/dev/null; then action=start
elif [ -e {mark} ]; then action=restart
else action=; fi
if [ -n "$action" ] && ! {name} "$action"; then
    tail -n 10 {log}.out 2>/dev/null || true
    tail -n 25 {log}.log 2>/dev/null || true
    exit 1
fi
rm -f {mark}"""


def daemon_running(facts: HostFacts, name: str, *, running: bool, changed: bool) -> tuple[Operation, ...]:
    """``ambari-server`` or ``ambari-agent`` started, or restarted when what it stands on has changed. Its own command
    does it: started so by hand, it would be unknown to systemd. The facts must hold its restart mark."""
    script = _RUN.format(
        name=name, pid=f"/var/run/{name}/{name}.pid", log=f"/var/log/{name}/{name}", mark=restart_mark(name)
    )
    if not running:
        return (Operation(f"start {name}", "it does not run", script),)
    if changed or restart_mark(name) in facts.files:
        return (Operation(f"restart {name}", "what it stands on has changed", script),)
    return ()
