"""Ambari's database on its own host: operations that create the server, the database and the user."""

from __future__ import annotations

from collections.abc import Mapping
from shlex import quote
from typing import TYPE_CHECKING

from bigtop_builder.hosts.database import ENGINES, Engine, State, Target, Type
from bigtop_builder.hosts.operation import Operation
from bigtop_builder.hosts.packages import install_packages
from bigtop_builder.hosts.services import service_running
from bigtop_builder.model.inventory import DatabaseKind

if TYPE_CHECKING:
    from bigtop_builder.hosts.facts import HostFacts


def service_operations(
    facts: HostFacts,
    target: Target,
    password: str,
    state: State,
    *,
    engines: Mapping[DatabaseKind, Engine] = ENGINES,
) -> tuple[Operation, ...]:
    """Plan what the host of the database needs; nothing if Ambari's user can log in.

    The facts must include the service and its ``restart_mark``.
    """
    if state.login or target.kind == "embedded":
        return ()
    engine = engines[target.kind]
    operations = list(install_packages(facts, engine.server))
    if engine.initialise:
        operations.append(
            Operation(f"initialise {engine.service}", "its data directory, if it is missing", engine.initialise)
        )
    operations += service_running(facts, engine.service)
    postgresql = target.type == "postgres"
    operations.append(
        _postgresql_user(target, password, engine) if postgresql else _mysql_user(target, password, engine)
    )
    return tuple(operations)


def _restart(service: str) -> str:
    name = quote(service)
    return f"if [ -d /run/systemd/system ]; then systemctl restart {name}; else service {name} restart; fi"


def _literal(text: str, type: Type) -> str:
    if type == "mysql":
        text = text.replace("\\", "\\\\")
    return "'" + text.replace("'", "''") + "'"


def _postgresql_user(target: Target, password: str, engine: Engine) -> Operation:
    # Without this level, the server would log a failing statement with the password in it.
    statements = f"""SET log_min_error_statement = panic;
SET standard_conforming_strings = on;
DO $do$ BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{target.user}') THEN CREATE ROLE "{target.user}"; END IF;
END $do$;
ALTER ROLE "{target.user}" LOGIN PASSWORD {_literal(password, "postgres")};
SELECT 'CREATE DATABASE "{target.name}" OWNER "{target.user}"'
  WHERE NOT EXISTS (SELECT 1 FROM pg_database WHERE datname = '{target.name}')
\\gexec
\\connect "{target.name}"
CREATE SCHEMA IF NOT EXISTS "{target.name}" AUTHORIZATION "{target.user}";
ALTER ROLE "{target.user}" IN DATABASE "{target.name}" SET search_path TO "{target.name}", public;
ALTER SYSTEM SET listen_addresses = '*';
"""
    rule = f'host "{target.name}" "{target.user}" all md5'
    script = f"""postgres() {{
    (cd / && runuser -u postgres -- psql -qAtX -v ON_ERROR_STOP=1 -d postgres -p {target.port} "$@")
}}
postgres
rules=$(postgres -c 'SHOW hba_file')
if ! grep -qxF {quote(rule)} "$rules"; then
    former=$(cat "$rules")
    printf '%s\\n%s\\n' {quote(rule)} "$former" > "$rules"
fi
if [ "$(postgres -c 'SHOW listen_addresses')" != '*' ]; then
    {_restart(engine.service)}
else
    postgres -c 'SELECT pg_reload_conf()' >/dev/null
fi"""
    return Operation(
        f"create the database {target.name}",
        f"PostgreSQL: user {target.user}, database {target.name}, its schema {target.name}, access for the user from"
        " other hosts",
        script,
        statements.encode(),
    )


def _mysql_user(target: Target, password: str, engine: Engine) -> Operation:
    secret = _literal(password, "mysql")
    statements = f"CREATE DATABASE IF NOT EXISTS `{target.name}` DEFAULT CHARACTER SET utf8;\n"
    # An anonymous user of localhost would take precedence over '%'.
    for host in ("%", "localhost"):
        account = f"'{target.user}'@'{host}'"
        if target.kind == "mariadb":
            # Every MariaDB accepts this form, including 5.5 of EL 7; MySQL 8 dropped it.
            statements += f"GRANT ALL PRIVILEGES ON `{target.name}`.* TO {account} IDENTIFIED BY {secret};\n"
            continue
        statements += (
            f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY {secret};\n"
            f"ALTER USER {account} IDENTIFIED BY {secret};\n"
            f"GRANT ALL PRIVILEGES ON `{target.name}`.* TO {account};\n"
        )
    script = f"""mysql -u root --batch
case $(mysql -u root -N -B -e 'select @@bind_address' 2>/dev/null || true) in 127.*|localhost|::1)
    printf '[mysqld]\\nbind-address=0.0.0.0\\n' > {quote(engine.settings)}/zz-bigtop-builder.cnf
    {_restart(engine.service)};;
esac"""
    return Operation(
        f"create the database {target.name}",
        f"{target.kind}: database {target.name}, user {target.user} with all rights on it",
        script,
        statements.encode(),
    )
