"""The Ambari server on its host: the operations that install, configure and start it.

``ambari-server setup`` takes the database's password only as an argument (Ambari 2.7 to 3.0), which the process list
shows. But it does not use the password of a database that is not embedded: so setup gets a placeholder, and the
password is written to the file named by ``server.jdbc.user.passwd``, which the server reads when it starts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from shlex import quote
from typing import TYPE_CHECKING, NamedTuple

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
from bigtop_builder.hosts.files import write_file
from bigtop_builder.hosts.operation import KEPT, Operation
from bigtop_builder.hosts.os_aliases import OS_FAMILY_FILES, tell_ambari
from bigtop_builder.hosts.packages import OPEN, Access, RepositoryFile, install_packages, repository
from bigtop_builder.hosts.preparation import CERTIFICATES
from bigtop_builder.hosts.server_https import FILES as HTTPS_FILES
from bigtop_builder.hosts.server_https import Https, https_operations
from bigtop_builder.hosts.services import restart_mark
from bigtop_builder.model.errors import HostError
from bigtop_builder.model.inventory import DatabaseKind, DriverKind, NewServer
from bigtop_builder.model.repository import filled

if TYPE_CHECKING:
    from bigtop_builder.hosts.facts import HostFacts

REPOSITORY_FILE = "/etc/yum.repos.d/ambari.repo"
PASSWORD_FILE = "/etc/ambari-server/conf/password.dat"
LOG = "/var/log/ambari-server/ambari-server.log"
LATER = "written-to-password.dat"
"""The placeholder that setup gets instead of a password."""
OWN_JAVA = "ambari.java.home"
"""The property with the JDK of Ambari itself from 3.0.0 on; before, and where it is missing, ``java.home``."""
USER = "ambari-server.user"
"""The property that ``ambari-server setup`` writes last (2.7 to 3.0: ``service_setup``), after database and views."""
UNFINISHED = f"{KEPT}/ambari-server-setup"
"""Exists while setup runs: the properties of an earlier setup would hide that a later one broke off."""

JDBC_NAMES: Mapping[str, str] = {"mysql": "mysql", "postgresql": "postgres"}
"""A database in the inventory → as ``ambari-server setup --jdbc-db`` calls it."""
USUAL_DRIVERS: Mapping[DriverKind, str] = {
    "mysql": DEFAULT_DRIVER,
    "postgresql": "/usr/share/java/postgresql-jdbc.jar",
}
"""Where the distribution's packages put drivers."""

FILES = (
    REPOSITORY_FILE,
    CERTIFICATES,
    PROPERTIES,
    PASSWORD_FILE,
    UNFINISHED,
    OS_FAMILY_FILES[NAME],
    *HTTPS_FILES,
    restart_mark(NAME),
)
"""Files that the facts of the server's host must include, besides the JDBC drivers."""


class AmbariRepository(RepositoryFile):
    """The repository of Ambari's own packages. Ambari's bootstrap expects a file of this name."""

    @property
    def path(self) -> str:
        """The path of the file on the host."""
        return REPOSITORY_FILE


def ambari_repository(facts: HostFacts, setup: NewServer, access: Access = OPEN) -> AmbariRepository:
    """Return the repository file for servers and agents."""
    key = filled(setup.gpg_key, facts.family) if setup.gpg_key else None
    return AmbariRepository(
        "ambari",
        filled(setup.repository, facts.family),
        key,
        setup.gpg_check,
        repo_gpg_check=False,
        certificates=CERTIFICATES if CERTIFICATES in facts.files and setup.repository.startswith("https:") else None,
        access=access,
        key_source=filled(key, None, facts.variables) if key else None,
    )


def properties(facts: HostFacts) -> dict[str, str]:
    """Return the server's properties; empty if it is not installed."""
    file = facts.files.get(PROPERTIES)
    return parse_properties(file.text or "") if file else {}


def installed_version(facts: HostFacts, name: str = NAME) -> str | None:
    """Return the version of an installed package, without the release: ``3.0.0.0``; None if it is not installed."""
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
    access: Access = OPEN,
    engines: Mapping[DatabaseKind, Engine] = ENGINES,
    files: Mapping[str, bytes] | None = None,
) -> tuple[Operation, ...]:
    """Plan everything from the repository file to a running server; nothing if all of it is in place.

    ``password``: the database's; None keeps the embedded database as Ambari creates it. ``state``: of the database.
    ``files``: more that the server reads when it starts; the facts must include them.
    Raises HostError if another version of Ambari is installed, or if the JDBC driver is missing.
    """
    _same_version(facts, setup)
    now = properties(facts)
    operations = [
        *repository(facts, ambari_repository(facts, setup, access)),
        *_package(facts, setup),
        *tell_ambari(facts, NAME),
    ]
    operations += _drivers(facts, setup, target, now)
    if password is not None:
        operations += schema_operations(facts, target, password, state, engines=engines)
    ran = _setup(setup, target, now, java_home, broke_off=UNFINISHED in facts.files)
    operations += ran
    operations += _password(facts, target, password, now, anew=bool(ran))
    if https is not None:
        operations += https_operations(facts, https, now)
    for path, content in (files or {}).items():
        operations += write_file(facts, path, content, restarts=(NAME,))
    return (
        *operations,
        *daemon_running(facts, NAME, running=running, changed=any(NAME in one.restarts for one in operations)),
    )


def _same_version(facts: HostFacts, setup: NewServer) -> None:
    packages = facts.packages.get(NAME)
    if packages and setup.version and packages[0].version != setup.version:
        raise HostError(
            f"{facts.name}: ambari-server {packages[0].version} is installed, the inventory requires {setup.version}",
            hint="Ambari is upgraded by its own procedure (ambari-server upgrade, with a backup of its database):"
            " follow it, or set ambari.setup.version to the installed version",
        )


def _package(facts: HostFacts, setup: NewServer) -> tuple[Operation, ...]:
    versions = {NAME: setup.version} if setup.version else {}
    return install_packages(facts, [NAME], versions=versions, restarts=(NAME,))


class DriverFile(NamedTuple):
    """A JDBC driver that must be on the server's host. ``key``: its place below ``ambari.setup``."""

    kind: str
    path: str
    package: str | None
    key: tuple[str, ...]

    def missing(self, facts: HostFacts) -> HostError | None:
        """Return the error if the driver is not there, and no package is to bring it."""
        if self.package or self.path in facts.files:
            return None
        package = "driver_package" if self.key == ("database",) else "package"
        return HostError(
            f"{facts.name}: the JDBC driver {self.path} for {self.kind} is missing",
            hint=f"set ambari.setup.{'.'.join(self.key)}.{package} to the package that contains it, or copy it there",
        )


def driver_files(setup: NewServer) -> tuple[DriverFile, ...]:
    """Return the drivers of Ambari itself, which contains one for PostgreSQL, and of services."""
    database = setup.database
    own = [DriverFile(database.kind, database.driver or DEFAULT_DRIVER, database.driver_package, ("database",))]
    return (
        *(own if database.registered_driver else ()),
        *(
            DriverFile(kind, driver.path or USUAL_DRIVERS[kind], driver.package, ("drivers", kind))
            for kind, driver in setup.drivers.items()
        ),
    )


def _drivers(facts: HostFacts, setup: NewServer, target: Target, now: Mapping[str, str]) -> list[Operation]:
    """Install and register the JDBC drivers of Ambari itself, and of services, which the server hands to the hosts."""
    operations: list[Operation] = []
    for driver in driver_files(setup):
        error = driver.missing(facts)
        if error is not None:
            raise error
        if driver.package:
            operations += install_packages(facts, [driver.package], restarts=(NAME,))
        own = driver.key == ("database",)
        if own and target.type == "mysql":
            operations += set_properties(now, {"server.jdbc.driver.path": driver.path})
        operations += _registered(target.type if own else JDBC_NAMES[driver.key[1]], driver.path, now)
    return operations


def _registered(type: str, path: str, now: Mapping[str, str]) -> list[Operation]:
    name = PurePosixPath(path).name
    if now.get(f"custom.{type}.jdbc.name") == name:
        return []
    words = ("setup", f"--jdbc-db={type}", f"--jdbc-driver={path}")
    return [Operation(f"register the JDBC driver {name}", " ".join((NAME, *words)), _ambari(*words), restarts=(NAME,))]


def _ambari(*words: str) -> str:
    return " ".join(quote(word) for word in (NAME, *words))


def wanted_properties(
    setup: NewServer, target: Target, java_home: str | None, now: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the properties that ``ambari-server setup`` has to write."""
    wanted = {
        "server.jdbc.database": target.type,
        "server.persistence.type": "local" if target.kind == "embedded" else "remote",
        "server.jdbc.database_name": target.name,
        "server.jdbc.user.name": target.user,
    }
    if target.kind != "embedded":
        wanted |= {"server.jdbc.hostname": target.host, "server.jdbc.port": str(target.port)}
    if java_home:
        wanted[_own_java(now or {})] = java_home
    if setup.stack_java_home:
        wanted["stack.java.home"] = setup.stack_java_home
    return wanted


def _own_java(now: Mapping[str, str]) -> str:
    """Return the property with the JDK of Ambari itself; servers that write another one have it after their setup."""
    return OWN_JAVA if OWN_JAVA in now else "java.home"


_FIND_JAVA = """java_home=$(readlink -f "$(command -v java)")
java_home=${java_home%/bin/java}
if [ -x "${java_home%/jre}/bin/java" ]; then java_home=${java_home%/jre}; fi
"""

# Up to the first builds of 3.0, -j is Ambari's own JDK and the stack's can differ (AMBARI-26238). In 3.0.0, -j is the
# stack's and Ambari has an option; in 3.1, -j may only repeat one of the two others (AMBARI-26641).
_JAVA = """java_home={own}
stack_java_home={stack}
if ambari-server setup --help 2>/dev/null | grep -e --ambari-java-home >/dev/null; then
    java=(--java-home="$stack_java_home" --ambari-java-home="$java_home" --stack-java-home="$stack_java_home")
else
    java=(--java-home="$java_home"{option})
fi
"""


def _setup(
    setup: NewServer, target: Target, now: Mapping[str, str], java_home: str | None, *, broke_off: bool
) -> list[Operation]:
    """Run Ambari's own setup unless the last one came to its end and wrote what is wanted."""
    wanted = wanted_properties(setup, target, java_home, now)
    differing = {key: value for key, value in wanted.items() if now.get(key) != value}
    if not differing and not broke_off and now.get(_own_java(now)) and now.get(USER):
        return []
    embedded = target.kind == "embedded"
    words = [
        "setup",
        "-s",
        '"${java[@]}"',
        f"--database={'embedded' if embedded else target.type}",
        f"--databasehost={'localhost' if embedded else target.host}",
        f"--databaseport={target.port}",
        f"--databasename={target.name}",
        f"--databaseusername={target.user}",
        f"--databasepassword={SHIPPED_PASSWORD if embedded else LATER}",
    ]
    if target.kind == "postgresql":
        words.append(f"--postgresschema={target.name}")
    call = " ".join((NAME, *(word if "$" in word else quote(word) for word in words)))
    # A JDK that is installed in the same run is only known on the host.
    stack = quote(setup.stack_java_home) if setup.stack_java_home else ""
    found = ("" if java_home else _FIND_JAVA) + _JAVA.format(
        own=quote(java_home) if java_home else "$java_home",
        stack=stack or "$java_home",
        option=' --stack-java-home="$stack_java_home"' if stack else "",
    )
    changes = [f"{key}: {now.get(key, 'not set')} -> {value}" for key, value in differing.items()]
    if not differing and now.get(_own_java(now)):
        changes = ["an earlier setup broke off"]
    script = f"mkdir -p {KEPT}\n: > {UNFINISHED}\n{found}{call}\nrm -f {UNFINISHED}"
    # setup tolerates a running server: it is only restarted afterwards.
    return [Operation("set up the Ambari server", "\n".join(changes) or call, script, restarts=(NAME,))]


def _password(
    facts: HostFacts, target: Target, password: str | None, now: Mapping[str, str], *, anew: bool
) -> list[Operation]:
    """Write the database's password to the file that the server reads. An alias means that the password is in Ambari's
    own encrypted store, which stays untouched."""
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
    # Not write_file: setup replaces the file after the facts were gathered.
    user = quote(now.get(USER) or "root")
    # The file's content is what the next run judges by, so it only appears when its owner is right.
    new = f"{PASSWORD_FILE}.new"
    script = f"umask 077\ncat > {new}\nchown {user} {new}\nmv -f {new} {PASSWORD_FILE}"
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
if [ -n "$action" ] && ! {name} "$action" && ! {{
    # On a slow machine the server needs longer than the 90 seconds of its command, which leaves it running.
    now=$(cat {pid} 2>/dev/null) && [ "$now" != "$pid" ] && kill -0 "$now" 2>/dev/null &&
        echo "{name} is still starting"
}}; then
    tail -n 10 {log}.out 2>/dev/null || true
    tail -n 25 {log}.log 2>/dev/null || true
    exit 1
fi
rm -f {mark}"""


def daemon_running(facts: HostFacts, name: str, *, running: bool, changed: bool) -> tuple[Operation, ...]:
    """Plan to start ``ambari-server`` or ``ambari-agent``, or to restart it if its files have changed.

    With the daemon's own command, because systemd does not know a daemon that an administrator started by hand. The
    facts must include its restart mark.
    """
    script = _RUN.format(
        name=name, pid=f"/var/run/{name}/{name}.pid", log=f"/var/log/{name}/{name}", mark=restart_mark(name)
    )
    if not running:
        return (Operation(f"start {name}", "not running", script),)
    if changed or restart_mark(name) in facts.files:
        return (Operation(f"restart {name}", "its packages or files have changed", script),)
    return ()
