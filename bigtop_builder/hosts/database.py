"""Ambari's database, seen from Ambari's host: inspect it, and create its tables.

Scripts log in as Ambari's own user, so that they test what Ambari will do. A password reaches a host on standard input
only, and the client program in a file that is removed when it exits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING, Literal

from bigtop_builder.hosts.ambari_properties import NAME
from bigtop_builder.hosts.operation import Operation
from bigtop_builder.hosts.packages import install_packages
from bigtop_builder.model.errors import HostError
from bigtop_builder.model.inventory import Database, DatabaseKind

if TYPE_CHECKING:
    from bigtop_builder.hosts.facts import HostFacts

Type = Literal["postgres", "mysql"]
"""The values of ``ambari-server setup --database``; MariaDB counts as ``mysql``."""

RESOURCES = "/var/lib/ambari-server/resources"
DEFAULT_DRIVER = "/usr/share/java/mysql-connector-java.jar"
"""Where Ambari itself looks for the MySQL driver (DBMSConfig of Ambari 2.7 to 3.0)."""

SHIPPED_PASSWORD = "bigdata"
"""The password that ``ambari-server setup`` gives the embedded database."""


@dataclass(frozen=True)
class Engine:
    """The names of a database's packages, service and folders on a family of operating systems."""

    server: tuple[str, ...]
    """Packages of the server."""
    client: tuple[str, ...]
    """Packages of the command-line client, needed on Ambari's host."""
    service: str
    initialise: str = ""
    """Bash that creates the data directory if it is missing."""
    settings: str = ""
    """The folder for configuration files (MySQL and MariaDB)."""


POSTGRESQL_DATA = (
    "if ! ls /var/lib/pgsql/data/PG_VERSION >/dev/null 2>&1; then\n"
    "  postgresql-setup --initdb || postgresql-setup initdb\n"
    "fi"
)

ENGINES: Mapping[DatabaseKind, Engine] = {
    "embedded": Engine((), (), "postgresql"),
    "postgresql": Engine(("postgresql-server",), ("postgresql",), "postgresql", POSTGRESQL_DATA),
    "mysql": Engine(("mysql-server",), ("mysql",), "mysqld", settings="/etc/my.cnf.d"),
    "mariadb": Engine(("mariadb-server",), ("mariadb",), "mariadb", settings="/etc/my.cnf.d"),
}
"""For hosts of the Red Hat family; by kind."""


@dataclass(frozen=True)
class Target:
    """The database that Ambari is to use."""

    kind: DatabaseKind
    host: str
    """FQDN; with ``embedded``, Ambari's host."""
    port: int
    name: str
    user: str

    @property
    def type(self) -> Type:
        """The database's type in Ambari's terms."""
        return "mysql" if self.kind in ("mysql", "mariadb") else "postgres"

    @property
    def tables(self) -> str:
        """The path of the file with the statements that create Ambari's tables."""
        return f"{RESOURCES}/Ambari-DDL-{'MySQL' if self.type == 'mysql' else 'Postgres'}-CREATE.sql"

    def __str__(self) -> str:
        return f"{self.kind} {self.name} on {self.host}:{self.port}"


def target(database: Database, server: str) -> Target:
    """Return the inventory's database for an Ambari server on the host ``server``."""
    port = 3306 if database.kind in ("mysql", "mariadb") else 5432
    embedded = database.kind == "embedded"
    return Target(
        database.kind,
        server if embedded else (database.host or server).lower(),
        port if embedded else database.port or port,
        database.name,
        database.user,
    )


@dataclass(frozen=True)
class State:
    """The state of the database. ``tables``: whether Ambari's tables exist: none, all, or (after an interrupted load)
    some."""

    login: bool
    tables: Literal["none", "some", "all"] = "none"
    message: str = ""
    """Why the login failed."""


UNSEEN = State(False)
NO_CLIENT = "no client program"
"""The message if the client program is not installed yet."""


def credentials(target: Target, password: str) -> bytes:
    """Return the file from which the client program reads the password: a line of .pgpass, or an option file."""
    if target.type == "postgres":
        escaped = password.replace("\\", "\\\\").replace(":", "\\:")
        return f"*:*:*:{target.user}:{escaped}\n".encode()
    escaped = password.replace("\\", "\\\\").replace('"', '\\"')
    return f'[client]\npassword="{escaped}"\n'.encode()


def _client(target: Target) -> str:
    """Return bash that defines ``query``, which runs statements from its standard input as Ambari's user and prints
    bare rows. The script reads the credentials from its own standard input."""
    # umask and trap: nobody else can read the file, and it is removed whatever happens.
    common = 'umask 077\ncredentials=$(mktemp)\ntrap \'rm -f "$credentials"\' EXIT\ncat > "$credentials"\n'
    where = f"{quote(target.host)} {quote(str(target.port))} {quote(target.user)} {quote(target.name)}"
    if target.type == "postgres":
        return (
            common + "export PGPASSFILE=$credentials PGCONNECT_TIMEOUT=10\n"
            'query_at() { psql -w -qAtX -v ON_ERROR_STOP=1 -h "$1" -p "$2" -U "$3" -d "$4" "${@:5}"; }\n'
            f'query() {{ query_at {where} "$@"; }}\n'
        )
    return (
        common + 'query_at() { mysql --defaults-extra-file="$credentials" --protocol=tcp --connect-timeout=10 -N -B '
        '-h "$1" -P "$2" -u "$3" "${@:5}" "$4"; }\n'
        f'query() {{ query_at {where} "$@"; }}\n'
    )


# Whether the last table of the file exists distinguishes a complete load from an interrupted one.
_LOOK = r"""last=$(grep -oiE '^[[:space:]]*create table (if not exists )?[^ (]+' TABLES 2>/dev/null | tail -n 1 |
    sed -E 's/.* //; s/[`";]//g; s/.*\.//' || :)
count() {
    local schema="'NAME'" further=""
    [ TYPE = mysql ] || schema="any(current_schemas(false))"
    [ $# = 0 ] || further=" and lower(table_name) = lower('$1')"
    query <<< "select count(*) from information_schema.tables where table_schema = $schema$further;"
}
look() {
    tables=$(count) || return 1
    complete=0
    [ -z "$last" ] || complete=$(count "$last")
}
"""


def _look(target: Target) -> str:
    """Return bash that defines ``look``, which sets ``tables`` and ``complete`` (1 if the last table exists)."""
    text = _client(target) + _LOOK
    return text.replace("TABLES", quote(target.tables)).replace("NAME", target.name).replace("TYPE", target.type)


def probe_script(target: Target) -> str:
    """Return bash for Ambari's host that inspects the database and changes nothing.

    Its standard input must be ``credentials``; ``parse_probe`` reads its output.
    """
    client = "mysql" if target.type == "mysql" else "psql"
    return (
        f"command -v {client} >/dev/null || {{ echo 'login no {NO_CLIENT}'; exit 0; }}\n"
        + _look(target)
        + 'if message=$(look 2>&1) && look; then echo "login yes $tables $complete"\n'
        "else echo \"login no ${message%%$'\\n'*}\"; fi\n"
    )


def parse_probe(output: str) -> State:
    """Parse the output of ``probe_script``."""
    for line in output.splitlines():
        words = line.split()
        if words[:2] == ["login", "yes"]:
            tables, complete = int(words[2]), int(words[3])
            return State(True, "all" if complete else "some" if tables else "none")
        if words[:2] == ["login", "no"]:
            return State(False, message=" ".join(words[2:]))
    return UNSEEN


def schema_operations(
    facts: HostFacts,
    target: Target,
    password: str,
    state: State,
    *,
    engines: Mapping[DatabaseKind, Engine] = ENGINES,
) -> tuple[Operation, ...]:
    """Plan the operations on Ambari's host that create its tables; none if all tables exist.

    Raises HostError after an interrupted load, because its remains cannot be distinguished from data.
    """
    if target.kind == "embedded" or state.tables == "all":
        return ()
    if state.tables == "some":
        raise half_loaded(target)
    operations = list(install_packages(facts, engines[target.kind].client))
    # PostgreSQL's file has its own COMMITs: without them, one transaction creates all tables or none.
    load = (
        f"sed -E '/^[[:space:]]*(BEGIN|COMMIT)[[:space:]]*;/Id' {quote(target.tables)} | query --single-transaction"
        if target.type == "postgres"
        else f"query < {quote(target.tables)}"
    )
    script = f"""if [ ! -r {quote(target.tables)} ]; then
    echo "{target.tables} is missing: is ambari-server installed?" >&2
    exit 1
fi
{_look(target)}look
[ "$complete" = 0 ] || exit 0
[ "$tables" = 0 ] || {{ echo {quote(half_loaded(target).message)} >&2; exit 1; }}
{load} > /dev/null"""
    operations.append(
        Operation(
            f"load Ambari's tables into {target.name}{'' if state.login else ' if it has none'}",
            f"{target.tables} into {target}",
            script,
            credentials(target, password),
            restarts=(NAME,),
        )
    )
    return tuple(operations)


def half_loaded(target: Target) -> HostError:
    """Return the error for a database that has only some of Ambari's tables."""
    return HostError(
        f"the database {target.name} on {target.host} has some tables, but not all of Ambari's: a load of"
        f" {target.tables} was interrupted, or the database belongs to something else",
        hint=f"if nothing in it is needed, drop the database {target.name} and run the command again",
    )
