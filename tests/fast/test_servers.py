"""Ambari's server, agents and database: facts in, operations out; and what their logs mean."""

from __future__ import annotations

import configparser
import hashlib
import os
import shutil
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from bigtop_builder.flow.deploy.registration import UnregisteredError, await_registration, parse_look, reason
from bigtop_builder.hosts import agent, server
from bigtop_builder.hosts.agent import agent_operations, server_of
from bigtop_builder.hosts.agent_user import SUDOERS, service_users, sudoers
from bigtop_builder.hosts.ambari_logs import agent_cause, server_cause
from bigtop_builder.hosts.ambari_properties import PROPERTIES, parse_properties, set_properties
from bigtop_builder.hosts.database import State, Target, credentials, parse_probe, target
from bigtop_builder.hosts.database_server import service_operations
from bigtop_builder.hosts.facts import FileFact, HostFacts, Package, User
from bigtop_builder.hosts.ini import set_ini
from bigtop_builder.hosts.operation import KEPT, Operation
from bigtop_builder.hosts.server import daemon_running, server_operations, wanted_properties
from bigtop_builder.hosts.server_https import CERTIFICATE, KEY, KEYSTORE, MADE_FROM, Https
from bigtop_builder.hosts.services import restart_mark
from bigtop_builder.model.errors import HostError
from bigtop_builder.model.event import AnyEvent, CheckFinished
from bigtop_builder.model.inventory import Database, NewServer
from bigtop_builder.recipe.inventory import LoadedInventory, load_inventory

SERVER, VERSION, JAVA = "ambari.example.com", "3.0.0.0", "/usr/lib/jvm/java-1.8.0"
SECRET = "of-the-database"


def package(name: str, version: str = VERSION) -> dict[str, tuple[Package, ...]]:
    return {name: (Package(name=name, epoch=0, version=version, release="1", arch="noarch"),)}


def file(text: str, mode: str = "644") -> FileFact:
    return FileFact(
        kind="regular file",
        size=len(text),
        owner="root",
        group="root",
        mode=mode,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        text=text,
    )


def facts(
    *, packages: dict[str, tuple[Package, ...]] | None = None, files: dict[str, FileFact] | None = None
) -> HostFacts:
    return HostFacts(name=SERVER, clock=0.0, packages=packages or {}, files=files or {})


def new_server(**values: Any) -> NewServer:
    return NewServer.model_validate({"host": SERVER, "repository": "http://repo.example.com/ambari", **values})


def database(kind: str, **values: Any) -> dict[str, Any]:
    return {"kind": kind, "password": "env:DATABASE", **values}


def as_set_up(setup: NewServer, password: str | None = None, **properties: str) -> HostFacts:
    """A host where all of it is done."""
    known = {**wanted_properties(setup, target(setup.database, SERVER), JAVA), server.USER: "root", **properties}
    text = "".join(f"{key}={value}\n" for key, value in known.items())
    files = {
        PROPERTIES: file(text),
        server.REPOSITORY_FILE: file(server.ambari_repository(facts(), setup).content().decode()),
    }
    if password is not None:
        files[server.PASSWORD_FILE] = file(password, "600")
    return facts(packages=package("ambari-server"), files=files)


def plan(found: HostFacts, setup: NewServer, **values: Any) -> tuple[Operation, ...]:
    given: dict[str, Any] = {"running": True, "java_home": JAVA, "password": None, "https": None, **values}
    state = given.pop("state", State(True, "all"))
    return server_operations(found, setup, target(setup.database, SERVER), state, **given)


def names(operations: tuple[Operation, ...]) -> list[str]:
    return [operation.name for operation in operations]


def test_an_empty_host_gets_everything_and_a_finished_one_nothing() -> None:
    setup = new_server(version=VERSION)
    assert names(plan(facts(), setup, running=False)) == [
        "write /etc/yum.repos.d/ambari.repo",
        "install ambari-server-3.0.0.0",
        "set up the Ambari server",
        "start ambari-server",
    ]
    assert plan(as_set_up(setup), setup) == ()


@pytest.mark.parametrize(
    ("kind", "shown"),
    [("embedded", "embedded"), ("postgresql", "postgres"), ("mysql", "mysql"), ("mariadb", "mysql")],
)
def test_setup_is_told_all_of_the_database_but_the_password(kind: str, shown: str) -> None:
    setup = new_server(database=database(kind, driver="/opt/driver.jar", driver_package="driver"))
    operations = plan(facts(), setup, running=False, password=SECRET, state=State(True))
    (ran,) = [operation for operation in operations if operation.name == "set up the Ambari server"]
    assert f"--database={shown}" in ran.script
    assert "setup -s" in ran.script
    for operation in operations:
        assert SECRET not in operation.script + operation.detail + operation.name
    (written,) = [operation for operation in operations if operation.name == f"write {server.PASSWORD_FILE}"]
    assert written.stdin == SECRET.encode()
    assert names(operations).index(ran.name) < names(operations).index(written.name)


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"java.home": "/usr/jdk7"}, ["set up the Ambari server", "write PASSWORD", "restart ambari-server"]),
        ({"server.jdbc.port": "5433"}, ["set up the Ambari server", "write PASSWORD", "restart ambari-server"]),
        ({"server.jdbc.user.passwd": "${alias=ambari.db.password}"}, []),
        ({"agent.task.timeout": "1"}, []),
    ],
)
def test_only_what_is_wanted_is_compared(properties: dict[str, str], expected: list[str]) -> None:
    setup = new_server(database=database("postgresql"))
    found = as_set_up(setup, SECRET, **properties)
    told = names(plan(found, setup, password=SECRET))
    assert [name.replace(server.PASSWORD_FILE, "PASSWORD") for name in told] == expected


@pytest.mark.parametrize("trace", ["no user", "mark"])
def test_a_setup_that_broke_off_is_run_again(trace: str) -> None:
    setup = new_server()
    # Ambari writes the properties of the database first and its own user last.
    found = as_set_up(setup, **({server.USER: ""} if trace == "no user" else {}))
    if trace == "mark":
        found = found.model_copy(update={"files": {**found.files, server.UNFINISHED: file("")}})
    operations = plan(found, setup)
    assert names(operations) == ["set up the Ambari server", "restart ambari-server"]
    assert operations[0].detail == "an earlier setup broke off"


@pytest.mark.parametrize("fails", [True, False])
def test_a_setup_leaves_its_mark_until_it_has_succeeded(tmp_path: Path, fails: bool) -> None:
    (operation,) = [one for one in plan(facts(), new_server(), running=False) if one.name == "set up the Ambari server"]
    mark = tmp_path / Path(server.UNFINISHED).name
    script = operation.script.replace(server.UNFINISHED, str(mark)).replace(KEPT, str(tmp_path))
    ran = f"ambari-server() {{ [ -e {mark} ] && {'false' if fails else 'true'}; }}\n{script}"
    ended = subprocess.run(["bash", "-euo", "pipefail", "-c", ran], check=False)
    assert (ended.returncode != 0, mark.exists()) == (fails, fails)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("-j --stack-java-home", ["--java-home=/jdk17", "--stack-java-home=/jdk8"]),
        (
            "-j --ambari-java-home --stack-java-home",
            ["--java-home=/jdk8", "--ambari-java-home=/jdk17", "--stack-java-home=/jdk8"],
        ),
    ],
)
def test_the_jdks_of_ambari_and_of_the_stack(tmp_path: Path, options: str, expected: list[str]) -> None:
    """Ambari names its options differently in 2.7, 3.0.0 and 3.1; only the installed one knows."""
    setup = new_server(stack_java_home="/jdk8")
    (ran,) = [one for one in plan(facts(), setup, running=False, java_home="/jdk17") if "set up" in one.name]
    calls = tmp_path / "calls"
    script = ran.script.replace(KEPT, str(tmp_path)).replace(server.UNFINISHED, str(tmp_path / "mark"))
    double = (
        f"ambari-server() {{ if [ $2 = --help ]; then echo '{options}'; else printf '%s\\n' \"$@\" > {calls}; fi; }}"
    )
    subprocess.run(["bash", "-euo", "pipefail", "-c", f"{double}\n{script}"], check=True)
    assert [word for word in calls.read_text().splitlines() if "java" in word] == expected


def test_a_server_that_is_set_up_with_two_jdks_is_left_alone() -> None:
    setup = new_server(stack_java_home="/jdk8")
    old = as_set_up(setup, **{"java.home": "/jdk17", "stack.java.home": "/jdk8"})
    new = as_set_up(setup, **{"java.home": "/jdk8", server.OWN_JAVA: "/jdk17", "stack.java.home": "/jdk8"})
    assert plan(old, setup, java_home="/jdk17") == plan(new, setup, java_home="/jdk17") == ()
    (ran, _) = plan(new, setup, java_home="/jdk21")
    assert ran.detail == "ambari.java.home: /jdk17 -> /jdk21"


def test_a_changed_password_is_written_and_the_server_restarted() -> None:
    setup = new_server(database=database("postgresql"))
    told = names(plan(as_set_up(setup, "former"), setup, password=SECRET))
    assert told == [f"write {server.PASSWORD_FILE}", "restart ambari-server"]
    embedded = new_server(database=database("embedded"))
    told = names(plan(as_set_up(embedded, "bigdata"), embedded, password=SECRET))
    assert told[0] == "change the password of the embedded database"


def test_another_version_is_not_replaced() -> None:
    found = facts(packages=package("ambari-server", "2.7.5.0"))
    with pytest.raises(HostError, match=r"ambari-server 2\.7\.5\.0 is installed") as caught:
        plan(found, new_server(version=VERSION))
    assert "ambari-server upgrade" in (caught.value.hint or "")


def test_a_driver_is_needed_for_mysql_and_registered_once() -> None:
    setup = new_server(database=database("mysql"))
    with pytest.raises(HostError, match=r"the JDBC driver /usr/share/java/mysql-connector-java\.jar for mysql"):
        plan(facts(), setup, password=SECRET)
    driver = "/usr/share/java/mysql-connector-java.jar"
    done = as_set_up(
        setup, SECRET, **{"server.jdbc.driver.path": driver, "custom.mysql.jdbc.name": "mysql-connector-java.jar"}
    )
    with_driver = done.model_copy(update={"files": {**done.files, driver: file("jar")}})
    assert plan(with_driver, setup, password=SECRET) == ()


def test_drivers_of_services_are_installed_and_registered_once() -> None:
    setup = new_server(drivers={"mysql": {"package": "mysql-connector-java"}, "postgresql": {"path": "/opt/pg.jar"}})
    with pytest.raises(HostError, match=r"the JDBC driver /opt/pg\.jar for postgresql is missing"):
        plan(facts(), setup)
    done = as_set_up(setup, None)
    with_jar = done.model_copy(update={"files": {**done.files, "/opt/pg.jar": file("jar")}})
    told = names(plan(with_jar, setup))
    assert told == [
        "install mysql-connector-java",
        "register the JDBC driver mysql-connector-java.jar",
        "register the JDBC driver pg.jar",
        "restart ambari-server",
    ]
    registered = {"custom.mysql.jdbc.name": "mysql-connector-java.jar", "custom.postgres.jdbc.name": "pg.jar"}
    done = as_set_up(setup, None, **registered)
    there = {**done.packages, **package("mysql-connector-java")}
    jar = {"files": {**done.files, "/opt/pg.jar": file("jar")}, "packages": there}
    assert plan(done.model_copy(update=jar), setup) == ()


def test_a_database_has_one_driver() -> None:
    with pytest.raises(ValueError, match="database registers the driver for mysql"):
        new_server(database=database("mysql"), drivers={"mysql": {"package": "x"}})
    with pytest.raises(ValueError, match="path or package is required"):
        new_server(drivers={"mysql": {}})


def test_tables_are_loaded_into_an_empty_database_only() -> None:
    setup = new_server(database=database("postgresql"))
    done = as_set_up(setup, SECRET)
    client = done.model_copy(update={"packages": {**done.packages, **package("postgresql")}})
    told = names(plan(client, setup, password=SECRET, state=State(True, "none")))
    assert told == ["load Ambari's tables into ambari", "restart ambari-server"]
    with pytest.raises(HostError, match="some tables, but not all"):
        plan(client, setup, password=SECRET, state=State(True, "some"))


def test_the_database_is_made_where_it_runs_unless_the_user_can_log_in() -> None:
    place = target(Database.model_validate(database("postgresql", host="DB.example.com")), SERVER)
    assert place == Target("postgresql", "db.example.com", 5432, "ambari", "ambari")
    made = service_operations(facts(), place, SECRET, State(False))
    assert names(made)[0] == "install postgresql-server"
    assert names(made)[-1] == "create the database ambari"
    assert SECRET in made[-1].stdin.decode()
    assert service_operations(facts(), place, SECRET, State(True)) == ()


def test_https_writes_certificate_key_keystore_and_properties() -> None:
    setup, https = new_server(), Https(b"certificate", b"key", "of the key", 8443)
    operations = plan(as_set_up(setup), setup, https=https)
    assert names(operations) == [
        f"write {CERTIFICATE}",
        f"write {KEY}",
        "create the HTTPS keystore",
        "set api.ssl, client.api.ssl.port, client.api.ssl.cert_name, client.api.ssl.key_name of Ambari",
        "restart ambari-server",
    ]
    assert all("of the key" not in operation.script + operation.detail for operation in operations)
    assert "key" not in operations[1].detail.replace("new (not shown: it holds secrets)", "").replace("owner", "")
    done = as_set_up(
        setup,
        **{
            "api.ssl": "true",
            "client.api.ssl.port": "8443",
            "client.api.ssl.cert_name": "https.crt",
            "client.api.ssl.key_name": "https.key",
        },
    )
    files = {CERTIFICATE: file("certificate", "600"), KEY: file("key", "600"), KEYSTORE: file("")}
    files[MADE_FROM] = file(hashlib.sha256(b"certificatekey").hexdigest() + "\n")
    assert plan(done.model_copy(update={"files": {**done.files, **files}}), setup, https=https) == ()
    files[MADE_FROM] = file("of an earlier certificate")
    told = names(plan(done.model_copy(update={"files": {**done.files, **files}}), setup, https=https))
    assert told == ["create the HTTPS keystore", "restart ambari-server"]


def test_a_restart_that_a_killed_run_owes_is_made_good() -> None:
    setup = new_server()
    done = as_set_up(setup)
    owing = done.model_copy(update={"files": {**done.files, restart_mark("ambari-server"): file("")}})
    assert names(plan(owing, setup)) == ["restart ambari-server"]


INI = "[server]\nhostname={host}\nurl_port=8440\n\n[agent]\n; hostname=no\nhostname=mine\n"


@pytest.mark.parametrize(
    ("former", "installed", "running", "expected"),
    [
        (None, None, False, ["install ambari-agent-3.0.0.0", "point", "start ambari-agent"]),
        ("localhost", VERSION, False, ["point", "start ambari-agent"]),
        ("old.example.com", VERSION, True, ["reset ambari-agent", "point", "restart ambari-agent"]),
        (SERVER, "2.8.0.0", True, ["install ambari-agent-3.0.0.0", "restart ambari-agent"]),
        (SERVER, VERSION, False, ["start ambari-agent"]),
        (SERVER, VERSION, True, []),
    ],
)
def test_agents_follow_their_server(
    former: str | None, installed: str | None, running: bool, expected: list[str]
) -> None:
    setup = new_server()
    files = {agent.CONFIGURATION: file(INI.format(host=former))} if former else {}
    files[server.REPOSITORY_FILE] = file(server.ambari_repository(facts(), setup).content().decode())
    found = facts(packages=package("ambari-agent", installed) if installed else {}, files=files)
    told = names(agent_operations(found, setup, VERSION, running=running))
    assert [name.replace("point ambari-agent at its server", "point") for name in told] == expected


def test_an_agent_that_is_not_root_gets_its_account_and_its_rules() -> None:
    setup = new_server(agent_user="ambari")
    ini = INI.format(host=SERVER) + "run_as_user=root\n"
    files = {
        agent.CONFIGURATION: file(ini),
        server.REPOSITORY_FILE: file(server.ambari_repository(facts(), setup).content().decode()),
    }
    found = facts(packages=package("ambari-agent"), files=files)
    accounts = service_users(
        {"hadoop-env": {"hdfs_user": "dfs"}, "zookeeper-env": {"zk_user": "a b"}, "x": {"y_user": "z"}}
    )
    operations = agent_operations(found, setup, VERSION, running=True, accounts=accounts)
    assert names(operations) == [
        "create the user ambari",
        f"write {SUDOERS}",
        "let ambari-agent run as ambari",
        "restart ambari-agent",
    ]
    rules = operations[1].stdin.decode()
    assert "chmod 0440" in operations[1].script
    assert "/bin/su dfs *" in rules and "/bin/su hdfs *" in rules and "a b" not in rules and "su z " not in rules
    assert rules.splitlines()[-1].startswith("ambari ALL=(ALL) NOPASSWD:SETENV: AMBARI_SYSTEM")
    users = {"ambari": User(uid=1001, gid=1001, home="/home/ambari", shell="/bin/bash")}
    done = {
        **files,
        agent.CONFIGURATION: file(ini.replace("=root", "=ambari")),
        SUDOERS: file(rules, "440"),
    }
    ready = found.model_copy(update={"files": done, "users": users})
    assert agent_operations(ready, setup, VERSION, running=True, accounts=accounts) == ()
    assert names(agent_operations(ready, new_server(), VERSION, running=True)) == [
        "let ambari-agent run as root",
        f"remove {SUDOERS}",
        "restart ambari-agent",
    ]


@pytest.mark.skipif(not shutil.which("visudo"), reason="no visudo")
def test_sudo_reads_the_rules(tmp_path: Path) -> None:
    path = tmp_path / "rules"
    path.write_bytes(sudoers("ambari", service_users({})))
    subprocess.run(["visudo", "-c", "-f", path], check=True)


@pytest.mark.parametrize(
    "text",
    [
        INI.format(host="localhost"),
        "[agent]\nhostname=mine\n[server]\n  hostname : x\nurl_port=8440",
        "[agent]\nhostname=mine\n",
        "[server]\nurl_port=8440\n[agent]\nhostname=mine\n",
        "",
    ],
)
def test_the_ini_file_is_changed_in_one_place(tmp_path: Path, text: str) -> None:
    path = tmp_path / "agent.ini"
    path.write_text(text)
    before = configparser.RawConfigParser()
    before.read_string(text)
    for _ in range(2):
        subprocess.run(["bash", "-euo", "pipefail", "-c", set_ini(str(path), "server", "hostname", SERVER)], check=True)
        assert server_of(path.read_text()) == SERVER
    after = configparser.RawConfigParser()
    after.read_string(path.read_text())
    changed = {section: dict(after[section]) for section in after.sections()}
    expected = {section: dict(before[section]) for section in before.sections()}
    expected.setdefault("server", {})["hostname"] = SERVER
    assert changed == expected


def test_properties_are_set_and_others_kept(tmp_path: Path) -> None:
    path = tmp_path / "ambari.properties"
    text = "# api.ssl=comment\napi.ssl = false\nother.api.ssl=x\nurl=jdbc\\:postgresql\\://h\n"
    path.write_text(text)
    (operation,) = set_properties(parse_properties(text), {"api.ssl": "true", "new": "a=b c", "other.api.ssl": "x"})
    script = operation.script.replace(PROPERTIES, str(path))
    for _ in range(2):
        subprocess.run(["bash", "-euo", "pipefail", "-c", script], check=True)
    assert path.read_text().splitlines()[0] == "# api.ssl=comment"
    assert parse_properties(path.read_text()) == {
        "api.ssl": "true",
        "other.api.ssl": "x",
        "url": "jdbc:postgresql://h",
        "new": "a=b c",
    }


def test_credentials_are_written_as_their_programs_read_them() -> None:
    place = Target("postgresql", "h", 5432, "d", "u")
    assert credentials(place, "a:b\\c") == b"*:*:*:u:a\\:b\\\\c\n"
    assert credentials(Target("mysql", "h", 3306, "d", "u"), 'a"b\\c') == b'[client]\npassword="a\\"b\\\\c"\n'


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("login yes 0 0\n", State(True, "none")),
        ("login yes 12 0\n", State(True, "some")),
        ("login yes 114 1\n", State(True, "all")),
        ("noise\nlogin no FATAL: no\n", State(False, message="FATAL: no")),
        ("", State(False)),
    ],
)
def test_a_look_into_the_database(output: str, expected: State) -> None:
    assert parse_probe(output) == expected


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ('ERROR: could not extend file "base/1/2": No space left on device', "the database has no space left"),
        ("java.sql.SQLException: The table 'alert_history' is full", "the database has no space left"),
        ("mkdir: cannot create directory: No space left on device", "a disk of the host is full"),
        ('FATAL: password authentication failed for user "ambari"', "rejects the password"),
        ("Access denied for user 'ambari'@'h' (using password: YES)", "rejects the password"),
        ('ERROR: relation "metainfo" does not exist', "tables are missing from the database"),
        ("java.net.BindException: Address already in use", "a port of the server is in use"),
        ("Unrecognized VM option 'UseConcMarkSweepGC'", "the JDK is not suitable"),
        ("java.lang.ClassNotFoundException: com.mysql.jdbc.Driver", "driver is missing"),
        ("No match for argument: ambari-server-9", "the package is not in the repository"),
        ("Package ambari-server.rpm is not signed", "signature cannot be verified"),
    ],
)
def test_the_servers_log_is_read(log: str, message: str) -> None:
    cause = server_cause(f"first\n{log}\nlast")
    assert cause is not None
    assert message in cause.message


REFUSED = (
    "ERROR 2024-10-01 HeartbeatThread.py:108 - Exception: Registration failed due to: Cannot register host with {what},"
    " hostname=n1, {rest}"
)


@pytest.mark.parametrize(
    ("log", "message", "lasting"),
    [
        (
            REFUSED.format(what="non compatible agent version", rest="agentVersion=2.7.5.0, serverVersion=3.0.0.0"),
            "the server has version 3.0.0.0 and rejects the agent's version 2.7.5.0",
            True,
        ),
        (
            REFUSED.format(what="not supported OS type", rest="serverOsType=redhat8, agentOsType=almalinux9"),
            "the server does not support the host's operating system, almalinux9",
            True,
        ),
        (
            "Two-way SSL authentication failed. Ensure that server and agent certificates were signed by the same CA",
            "TLS with the server fails: the agent's keys belong to another or a former server",
            False,
        ),
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1129)",
            "a certificate between the agent and the server is not valid today",
            False,
        ),
        (
            "ssl.SSLError: [SSL: SSLV3_ALERT_CERTIFICATE_EXPIRED] sslv3 alert certificate expired",
            "not valid today",
            False,
        ),
        ("Failed to connect to https://a:8440/ca due to [Errno -2] Name or service not known", "resolve", False),
        ("Server at https://a:8440 is not reachable, sleeping for 10 seconds...", "cannot reach", False),
    ],
)
def test_the_agents_log_is_read_from_its_end(log: str, message: str, lasting: bool) -> None:
    cause = agent_cause(f"Connection refused\n{log}\nINFO something", SERVER)
    assert cause is not None
    assert message in cause.message
    assert cause.lasting is lasting


LOOKED = "name {name}\n{state}ini\n" + INI.format(host=SERVER) + "\n--- log\n{log}\n"


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (LOOKED.format(name="n1.example.com", state="", log=""), "ambari-agent is not installed"),
        (LOOKED.format(name="n1.example.com", state="installed\n", log=""), "ambari-agent is not running"),
        (
            LOOKED.format(name="other.example.com", state="installed\nrunning\n", log=""),
            "the host calls itself other.example.com and has registered under that name",
        ),
        (
            LOOKED.format(name="n1.example.com", state="installed\nrunning\n", log="").replace(SERVER, "old"),
            f"its agent is configured for the server old, not {SERVER}",
        ),
    ],
)
def test_the_reason_of_a_host_that_does_not_come(output: str, message: str) -> None:
    cause = reason("n1.example.com", parse_look(output), SERVER, ["other.example.com"])
    assert cause is not None
    assert cause.message == message


RECEIVED = "INFO HeartbeatThread.py:132 - Registration response received"


@pytest.mark.parametrize(
    ("log", "registered", "message"),
    [
        (RECEIVED, [], "its agent has registered with the server old, which is not this one"),
        (RECEIVED, ["n1.example.com"], None),
        (
            f"{RECEIVED}\nServer at https://old:8440 is not reachable, sleeping",
            [],
            "the agent cannot reach the server old",
        ),
        ("INFO main.py:1 - Starting", [], None),
    ],
)
def test_an_agent_of_another_server(log: str, registered: list[str], message: str | None) -> None:
    """Without ``ambari.setup`` nobody knows which of the server's names agents should use."""
    looked = LOOKED.format(name="n1.example.com", state="installed\nrunning\n", log=log).replace(SERVER, "old")
    cause = reason("n1.example.com", parse_look(looked), None, registered)
    assert (cause.message if cause else None) == message


@dataclass
class Registry:
    """Answers with one list of hosts after the other, the last one for ever."""

    lists: list[dict[str, str]]
    asked: int = 0

    def hosts(self) -> list[Any]:
        now = self.lists[min(self.asked, len(self.lists) - 1)]
        self.asked += 1
        return [SimpleNamespace(name=name, state=state) for name, state in now.items()]


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedInventory:
    path = tmp_path / "inventory.yaml"
    ambari = {"url": "http://a.example.com:8080", "password": "env:X", "poll": "1s", "registration_timeout": "2s"}
    path.write_text(
        yaml.safe_dump({"cluster": "c", "ambari": ambari, "groups": {"g": {"hosts": ["n[1-2].example.com"]}}})
    )
    return load_inventory(path)


def test_late_hosts_are_waited_for(loaded: LoadedInventory) -> None:
    both = {"n1.example.com": "HEALTHY", "n2.example.com": "HEALTHY"}
    registry, told = Registry([{}, {**both, "n2.example.com": "HEARTBEAT_LOST"}, both]), list[AnyEvent]()
    await_registration(registry, loaded, None, told.append, threading.Event())  # type: ignore[arg-type]
    assert registry.asked == 3


def test_hosts_that_never_come_are_all_named(loaded: LoadedInventory) -> None:
    registry, told = Registry([{"n2.example.com": "HEARTBEAT_LOST"}]), list[AnyEvent]()
    with pytest.raises(UnregisteredError) as caught:
        await_registration(registry, loaded, None, told.append, threading.Event())  # type: ignore[arg-type]
    assert "n1.example.com: the server does not know it" in caught.value.message
    assert "n2.example.com: it is registered and its agent is HEARTBEAT_LOST" in caught.value.message
    checks = [event for event in told if isinstance(event, CheckFinished)]
    assert [check.host for check in checks] == ["n1.example.com", "n2.example.com"]


@pytest.mark.parametrize(
    ("action", "left", "code"),
    [
        ("start", "alive", 0),
        ("restart", "alive", 0),
        ("start", "dead", 1),
        ("start", "nothing", 1),
        ("restart", "former", 1),
    ],
)
def test_a_server_that_takes_longer_than_its_command_is_starting(
    tmp_path: Path, action: str, left: str, code: int
) -> None:
    """``ambari-server start`` ends with 1 after 90 seconds and leaves the process running."""
    known = HostFacts(name="node1", clock=0.0)
    (operation,) = daemon_running(known, "ambari-server", running=action == "restart", changed=True)
    (tmp_path / "bin").mkdir()
    pid, mark = tmp_path / "pid", tmp_path / "mark"
    with subprocess.Popen(["sleep", "60"]) as former, subprocess.Popen(["sleep", "60"]) as alive:
        try:
            if action == "restart":
                pid.write_text(f"{former.pid}\n")
                mark.touch()
            written = {"alive": alive.pid, "dead": 2**22 + 1, "former": former.pid}.get(left)
            command = tmp_path / "bin" / "ambari-server"
            command.write_text(f"#!/bin/sh\n{f'echo {written} > {pid}' if written else ':'}\nexit 1\n")
            command.chmod(0o755)
            script = operation.script.replace("/var/run/ambari-server/ambari-server.pid", str(pid))
            script = script.replace(restart_mark("ambari-server"), str(mark))
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", script],
                env={**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"},
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            former.kill()
            alive.kill()
    assert done.returncode == code, done
    assert ("is still starting" in done.stdout) == (code == 0)
    assert mark.exists() == (left == "former")
