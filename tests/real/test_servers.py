"""A server and agents set up for real over SSH on container hosts, with packages that stand in for Ambari's, and with
the real PostgreSQL and MariaDB."""

from __future__ import annotations

import hashlib
import json
import secrets
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from bigtop_builder.adapter.ambari.client import Ambari
from bigtop_builder.adapter.containers import engine
from bigtop_builder.adapter.containers.image_recipe import image_key
from bigtop_builder.adapter.containers.image_record import recorded
from bigtop_builder.adapter.rpm.gnupg import make_key, open_signer
from bigtop_builder.adapter.secret import Secrets
from bigtop_builder.adapter.ssh import Fleet
from bigtop_builder.flow.deploy.ambari_server import set_up_servers
from bigtop_builder.flow.deploy.registration import UnregisteredError, await_registration
from bigtop_builder.flow.hosts.operations import WorkResult
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.flow.publish.publisher import publish
from bigtop_builder.hosts import database
from bigtop_builder.hosts.database import Engine
from bigtop_builder.model.event import AnyEvent, Change, HostFailed
from bigtop_builder.model.inventory import DatabaseKind
from bigtop_builder.recipe.catalog import Catalog
from bigtop_builder.recipe.document import load
from bigtop_builder.recipe.inventory import LoadedInventory, load_inventory
from bigtop_builder.recipe.settings import load_settings
from tests import standins
from tests.real.conftest import Tool

STACK, PLATFORM = "bigtop-3.2.0", Catalog().platform("el8")
ADMINISTRATOR, DATABASE, KEY = "of-the-Administrator", "of-the'Data:base\\\"", "of-the-key"
ENGINES: dict[DatabaseKind, Engine] = {
    "embedded": Engine((), (), "postgresql"),
    "postgresql": replace(database.ENGINES["postgresql"], server=(), client=()),
    "mariadb": Engine((), (), "mariadb", settings="/etc/mysql/mariadb.conf.d"),
}
"""PostgreSQL is on the hosts, laid out as in Red Hat's family; MariaDB is Debian's, which the test installs itself."""


@dataclass
class Site:
    """A test bed, and what was told of it."""

    folder: Path
    over: dict[str, Any]
    hosts: list[str]
    events: list[AnyEvent] = field(default_factory=list)
    secrets: Secrets = field(default_factory=Secrets)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def inventory(self, *, url: str | None = None, **setup: Any) -> LoadedInventory:
        data = json.loads(json.dumps(self.over))
        data |= {"cluster": "c1", "groups": {"all": {"hosts": self.hosts}}}
        data["ambari"] |= {
            "password": f"file:{self.secret(ADMINISTRATOR)}",
            "registration_timeout": "20s",
            "poll": "1s",
        }
        if url:
            data["ambari"] |= {"url": url, "ca": str(self.folder / "https.crt")}
        data["ambari"]["setup"] |= {"version": "3.0.0.0", **setup}
        file = self.folder / "inventory.yaml"
        file.write_text(yaml.safe_dump(data), encoding="utf-8")
        return load_inventory(file)

    def secret(self, value: str) -> Path:
        """A file with it, of its own: a reference is read once."""
        path = self.folder / f"secret-{hashlib.sha256(value.encode()).hexdigest()[:8]}"
        path.write_text(value, encoding="utf-8")
        return path

    def client(self, loaded: LoadedInventory) -> Ambari:
        assert loaded.inventory.ambari is not None
        ca = loaded.inventory.ambari.ca
        return Ambari(loaded.inventory.ambari.url, "admin", ADMINISTRATOR, ca=Path(ca) if ca else None, timeout=20)

    def fleet(self, loaded: LoadedInventory) -> Fleet:
        return Fleet(loaded.inventory.ssh, loaded.hosts, self.secrets, self.cancelled)

    def set_up(self, loaded: LoadedInventory, *, dry_run: bool = False) -> WorkResult:
        self.events.clear()
        with self.fleet(loaded) as fleet, self.client(loaded) as client:
            return set_up_servers(
                loaded,
                fleet,
                client,
                self.secrets,
                self.events.append,
                dry_run=dry_run,
                cancelled=self.cancelled,
                engines=ENGINES,
            )

    def register(self, loaded: LoadedInventory) -> None:
        with self.fleet(loaded) as fleet, self.client(loaded) as client:
            await_registration(client, loaded, fleet, self.events.append, self.cancelled)

    def run(self, host: str, script: str) -> str:
        loaded = self.inventory()
        with self.fleet(loaded) as fleet:
            output = fleet.remote(host).run(script)
        assert output.code == 0, output.stderr
        return output.stdout

    def names(self, host: str) -> list[str]:
        return [event.name for event in self.events if isinstance(event, Change) and event.host == host]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_store: Path) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("project")
    (folder / "bigtop-builder.yaml").write_text(f"stack: {STACK}\nplatforms: [{PLATFORM.name}]\n")
    tool = Tool(folder, shared_store)
    name = f"servers-{secrets.token_hex(4)}"
    tool("testbed", "up", "--hosts", "1", "--name", name, "--ambari-packages", "http://127.0.0.1/none")
    try:
        workspace = open_project(load_settings(folder, {"store": str(shared_store)}))
        record = recorded(workspace.store, image_key(workspace.bare_host()))
        assert record is not None
        client = engine.connect()
        try:
            packages = standins.build(client, record.id, folder / "built", "2.8.0.0", "3.0.0.0")
        finally:
            client.close()
        make_key(folder / "gnupg", "A test", "test@example.org")
        with open_signer(folder / "gnupg") as signer:
            publish(packages, folder / "repository", STACK, PLATFORM, signer)
        (repodata,) = (folder / "repository").rglob("repodata")
        found = tool.json("testbed", "up", "--hosts", "3", "--name", name, "--ambari-packages", str(repodata.parent))
        over = load(shared_store / "testbeds" / name / "testbed.yaml").data
        yield Site(folder, over, [host["name"] for host in found["hosts"]])
    finally:
        tool("testbed", "down", name)


def _no_secrets(site: Site, *values: str) -> None:
    """Neither arguments nor environments of Ambari's programs, nor what was told, hold a secret."""
    text = "".join(event.model_dump_json() for event in site.events)
    for host in site.hosts:
        text += site.run(host, "cat /var/log/ambari-*/calls.jsonl 2>/dev/null || true")
    assert '"argv"' in text
    for value in values:
        assert value not in text
        assert json.dumps(value)[1:-1] not in text


def test_from_nothing_to_registered_hosts_and_again(site: Site) -> None:
    loaded = site.inventory()
    server, repository = site.hosts[0], site.over["ambari"]["setup"]["repository"]
    site.run(
        site.hosts[2],
        f"dnf -y -q --repofrompath a,{repository} --nogpgcheck install ambari-agent-2.8.0.0",
    )

    planned = site.set_up(loaded, dry_run=True)
    assert not planned.failed
    told = [(event.host, event.name) for event in site.events if isinstance(event, Change)]
    site.run(server, "! rpm -q ambari-server && ! test -e /etc/yum.repos.d/ambari.repo")

    done = site.set_up(loaded)
    assert not done.failed, site.events
    assert {(event.host, event.name) for event in site.events if isinstance(event, Change) and event.host} == set(told)
    assert [event.name for event in site.events if isinstance(event, Change) and not event.host] == [
        "change the password of admin"
    ]
    site.register(loaded)
    assert "\ngpgcheck=1\n" in site.run(server, "cat /etc/yum.repos.d/ambari.repo")
    versions = {site.run(host, "rpm -q --qf '%{VERSION}' ambari-agent") for host in site.hosts}
    assert versions == {"3.0.0.0"}
    _no_secrets(site, ADMINISTRATOR)

    again = site.set_up(loaded)
    assert again.changes == 0 and not again.failed
    assert site.events == []


def test_a_daemon_that_died_is_started_and_a_killed_run_is_made_good(site: Site) -> None:
    loaded = site.inventory()
    site.set_up(loaded)
    site.run(site.hosts[0], "ambari-server stop; ambari-agent stop")
    site.run(site.hosts[1], "touch /var/lib/bigtop-builder/restart/ambari-agent")
    done = site.set_up(loaded)
    assert site.names(site.hosts[0]) == ["start ambari-server", "start ambari-agent"]
    assert site.names(site.hosts[1]) == ["restart ambari-agent"]
    assert done.changes == 3
    assert site.set_up(loaded).changes == 0


@pytest.fixture(scope="module")
def databases(site: Site) -> None:
    """MariaDB on the second host, its client on the first."""
    install = """
        export DEBIAN_FRONTEND=noninteractive
        for attempt in 1 2 3 4 5; do
            apt-get -q -o APT::Update::Error-Mode=any update &&
                apt-get -qy install --no-install-recommends {} && exit
            sleep $((attempt * 5))
        done
        exit 1
    """
    packages = ("mariadb-client", "mariadb-server")
    with ThreadPoolExecutor() as pool:
        for done in [
            pool.submit(site.run, host, install.format(package))
            for host, package in zip(site.hosts, packages, strict=False)
        ]:
            done.result()


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_database_on_another_host_is_made_and_loaded_once(site: Site, databases: None, kind: str) -> None:
    server, other = site.hosts[:2]
    site.run(server, "mkdir -p /usr/share/java; echo jar > /usr/share/java/mysql-connector-java.jar")
    chosen = {"kind": kind, "host": other, "password": f"file:{site.secret(DATABASE)}"}
    loaded = site.inventory(database=chosen)
    done = site.set_up(loaded)
    assert not done.failed, site.events
    assert site.names(other)[-1] == "create the database ambari"
    loads = "load Ambari's tables into ambari if it has none"
    assert loads in site.names(server)
    site.register(loaded)
    _no_secrets(site, ADMINISTRATOR, DATABASE)
    assert site.run(server, "cat /etc/ambari-server/conf/password.dat") == DATABASE
    assert site.run(server, "stat -c %a /etc/ambari-server/conf/password.dat") == "600\n"

    assert site.set_up(loaded).changes == 0
    assert not site.events

    changed = {**chosen, "password": f"file:{site.secret('another')}"}
    assert not site.set_up(site.inventory(database=changed)).failed, site.events
    assert site.names(other)[-1] == "create the database ambari"
    assert not {"install", "start", "restart"} & {name.partition(" ")[0] for name in site.names(other)}
    assert site.names(server) == [loads, "write /etc/ambari-server/conf/password.dat", "restart ambari-server"]

    foreign = {**chosen, "create": False, "password": f"file:{site.secret('a wrong one')}"}
    failed = site.set_up(site.inventory(database=foreign)).failed
    assert "check that ambari.setup.database.password" in (failed[server].hint or "")
    assert not site.names(server)


def test_a_server_that_cannot_use_its_database_says_why(site: Site, databases: None) -> None:
    server, other = site.hosts[:2]
    chosen = {"kind": "postgresql", "host": other, "password": f"file:{site.secret('another')}"}
    loaded = site.inventory(database=chosen)
    assert not site.set_up(loaded).failed
    site.run(server, "ambari-server stop")
    site.run(other, "cd /; runuser -u postgres -- psql -q ambari -c 'alter table ambari.metainfo rename to gone'")
    failed = site.set_up(loaded).failed
    assert "Ambari's tables are missing from the database" in failed[server].message
    (event,) = [event for event in site.events if isinstance(event, HostFailed)]
    assert "Ambari's tables are missing from the database" in event.message
    site.run(other, "cd /; runuser -u postgres -- psql -q ambari -c 'alter table ambari.gone rename to metainfo'")
    site.run(other, "cd /; runuser -u postgres -- psql -q ambari -c 'drop table ambari.qrtz_fired_triggers'")
    failed = site.set_up(loaded).failed
    assert "has some tables, but not all of Ambari's" in failed[server].message


def test_https_with_a_key_that_has_a_password(site: Site) -> None:
    server = site.hosts[0]
    assert not site.set_up(site.inventory()).failed, site.events
    _certificate(site.folder, server, site.over["hosts"][server]["address"])
    https = {
        "certificate": str(site.folder / "https.crt"),
        "key": str(site.folder / "https.key"),
        "key_password": f"file:{site.secret(KEY)}",
    }
    loaded = site.inventory(url=f"https://{site.over['hosts'][server]['address']}:8443", https=https)
    done = site.set_up(loaded)
    assert not done.failed, site.events
    assert site.names(server)[-1] == "restart ambari-server"
    assert site.run(server, "stat -c %a /var/lib/ambari-server/keys/https.* | sort -u") == "600\n"
    _no_secrets(site, ADMINISTRATOR, KEY)
    with site.client(loaded) as client:
        assert client.clusters() == []
    assert site.set_up(loaded).changes == 0

    plain = site.inventory()
    assert "uses HTTPS, but ambari.url is not https" in site.set_up(plain).failed[server].message
    site.run(server, "sed -i s/api.ssl=true/api.ssl=false/ /etc/ambari-server/conf/ambari.properties")
    site.run(server, "ambari-server restart")
    assert site.set_up(plain).changes == 0


def _certificate(folder: Path, name: str, address: str) -> None:
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-days", "2", "-subj", f"/CN={name}"]
    words += ["-addext", f"subjectAltName=DNS:{name},IP:{address}", "-passout", f"pass:{KEY}"]
    words += ["-keyout", str(folder / "https.key"), "-out", str(folder / "https.crt")]
    subprocess.run(words, check=True, capture_output=True)


def test_hosts_that_do_not_register_say_why(site: Site) -> None:
    loaded = site.inventory()
    first, second, third = site.hosts
    assert not site.set_up(loaded).failed
    site.run(first, "ambari-agent stop; sed -i 's/3.0.0.0/2.8.0.0/' /usr/sbin/ambari-agent; ambari-agent start")
    site.run(second, "echo debian9 > /etc/ambari-agent/standin-os; ambari-agent restart")
    site.run(third, "ambari-agent stop")
    site.run(first, "ambari-server restart")
    with pytest.raises(UnregisteredError) as caught:
        site.register(loaded)
    reasons = {host: cause.message.partition(";")[0] for host, cause in caught.value.reasons.items()}
    assert reasons == {
        first: "the server has version 3.0.0.0 and rejects the agent's version 2.8.0.0",
        second: "the server does not support the host's operating system, debian9",
        third: "ambari-agent is not running",
    }


def test_an_agent_of_another_server_is_pointed_here_with_new_keys(site: Site) -> None:
    loaded = site.inventory()
    last = site.hosts[2]
    site.run(last, "echo old > /var/lib/ambari-agent/keys/ca.crt; ambari-agent stop")
    site.run(last, "sed -i s/^hostname=.*/hostname=former.example.com/ /etc/ambari-agent/conf/ambari-agent.ini")
    assert not site.set_up(loaded).failed
    assert site.names(last) == ["reset ambari-agent", "point ambari-agent at its server", "start ambari-agent"]
    assert site.run(last, "ls /var/lib/ambari-agent/keys") == ""
    assert "; hostname=commented" in site.run(last, "cat /etc/ambari-agent/conf/ambari-agent.ini")
    assert site.set_up(loaded).changes == 0
