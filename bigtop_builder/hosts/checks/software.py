"""What else runs or is installed on a host that a cluster would collide with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from bigtop_builder.hosts.agent_repositories import is_agents, unparsable
from bigtop_builder.hosts.checks.rule import Fleetwide, Problem, Problems, Rule, some
from bigtop_builder.hosts.facts import HostFacts
from bigtop_builder.hosts.packages import REPOSITORIES
from bigtop_builder.model.inventory import Component, StackChoice
from bigtop_builder.recipe.inventory import LoadedInventory

SERVER_PORTS = (8440, 8441)
"""The ports of the Ambari server for its agents."""
AGENT_PORT = 8670
COMPONENT_PORTS = {
    "ZOOKEEPER_SERVER": (2181, 2888, 3888),
    "NAMENODE": (8020, 50070),
    "SECONDARY_NAMENODE": (50090,),
    "DATANODE": (50010, 50075, 8010),
    "JOURNALNODE": (8485, 8480),
    "ZKFC": (8019,),
    "RESOURCEMANAGER": (8088, 8050, 8030, 8025, 8141),
    "NODEMANAGER": (45454, 8042, 8040),
    "APP_TIMELINE_SERVER": (8188, 10200),
    "HISTORYSERVER": (19888, 10020),
    "HIVE_METASTORE": (9083,),
    "HIVE_SERVER": (10000,),
    "HBASE_MASTER": (16000, 16010),
    "HBASE_REGIONSERVER": (16020, 16030),
    "SPARK_JOBHISTORYSERVER": (18081,),
    "KAFKA_BROKER": (9092,),
    "SOLR_SERVER": (8983,),
    "LIVY_SERVER": (8999,),
    "ZEPPELIN_SERVER": (9995,),
    "FLINK_HISTORYSERVER": (8082,),
    "WEBHCAT_SERVER": (50111,),
    "INFRA_SOLR": (8886,),
    "METRICS_COLLECTOR": (6188,),
}
"""The default ports of Ambari's BIGTOP stack."""

_SOFTWARE = (
    "alluxio|flink|flume|hadoop|hbase|hive|hcatalog|impala|kafka|knox|kudu|livy|oozie|phoenix|pig|ranger|solr|spark|spark2|"
    "spark3|sqoop|tez|zeppelin|zookeeper"
)
_SUFFIXED = re.compile(rf"^(?:{_SOFTWARE}|bigtop)(?:-[a-z0-9-]+)?_(?P<version>[0-9]+(?:_[0-9]+)+)(?:-|$)")
_PLAIN = re.compile(rf"^(?:{_SOFTWARE})(?:-|$)")
_SELECTORS = ("hdp-select", "cdh-select", "hdf-select", "iop-select")
_VENDORS = re.compile(r"cloudera|hortonworks|mapr", re.IGNORECASE)


def _ports(host: HostFacts, fleet: Fleetwide) -> Problems:
    for port, reason, ours in _needed_ports(host, fleet.loaded):
        if port in host.ports and not ours:
            by = host.ports[port] or "another program"
            hint = "Stop that program, or use another port."
            yield Problem("error", f"port {port}, which {reason} needs, is taken by {by}", hint)


def _needed_ports(host: HostFacts, loaded: LoadedInventory) -> Iterator[tuple[int, str, bool]]:
    """Each port with the name of what needs it, and whether that probably holds the port already."""
    inventory = loaded.inventory
    if inventory.ambari is not None:
        setup = inventory.ambari.setup
        if setup is not None and setup.host.lower() == host.name:
            url = urlsplit(inventory.ambari.url)
            own = url.port or (443 if url.scheme == "https" else 80)
            for port in (own, *SERVER_PORTS):
                yield port, "the Ambari server", host.has_package("ambari-server")
        yield AGENT_PORT, "Ambari's agent", host.has_package("ambari-agent")
    components = [
        component.name if isinstance(component, Component) else component
        for name, group in inventory.groups.items()
        if host.name in loaded.groups[name]
        for component in group.components
    ]
    installed = any(_SUFFIXED.match(name) for name in host.packages)
    for component in components:
        for port in COMPONENT_PORTS.get(component, ()):
            yield port, component, installed and host.ports.get(port) in ("java", None)


def _packages(host: HostFacts, fleet: Fleetwide) -> Problems:
    foreign, other = _foreign_packages(host, fleet.loaded.inventory.stack)
    # Not all packages of our stack have its version in their name: phoenix has none.
    wanted = {package for entry in fleet.loaded.inventory.standalone.values() for package in entry.packages}
    foreign = [name for name in foreign if name not in wanted]
    if foreign:
        yield Problem(
            "error",
            f"packages of another distribution are installed: {some(foreign)}",
            "Remove them: they bring the same commands, users and paths.",
        )
    if other:
        yield Problem(
            "warning",
            f"packages of another stack are installed: {some(other)}",
            "Remove them if they are unused: the way back of an upgrade needs them until it is final.",
        )


def _foreign_packages(host: HostFacts, stack: StackChoice) -> tuple[list[str], list[str]]:
    """Installed packages of another distribution, and those of another version of a stack like ours."""
    suffix = (stack.repository_version or stack.version).replace(".", "_")
    foreign, other = [], []
    for name, packages in sorted(host.packages.items()):
        suffixed = _SUFFIXED.match(name)
        vendor = any(_VENDORS.search(package.vendor or "") for package in packages)
        if name in _SELECTORS or vendor or (_PLAIN.match(name) and not suffixed):
            foreign.append(name)
        elif suffixed and suffixed["version"] != suffix:
            other.append(name)
    return foreign, other


def _leftovers(host: HostFacts, fleet: Fleetwide) -> Problems:
    """Version folders in ``/usr/bigtop`` that no installed package accounts for."""
    installed = {found["version"] for name in host.packages if (found := _SUFFIXED.match(name))}
    folders = [name for name in host.bigtop if re.fullmatch(r"[0-9]+(\.[0-9]+)+", name)]
    left = [f"/usr/bigtop/{name}" for name in folders if name.replace(".", "_") not in installed]
    if left:
        yield Problem("warning", f"no package owns {some(left)}", "Remove it if nobody needs it.")


def _repository_files(host: HostFacts, fleet: Fleetwide) -> Problems:
    """Files of yum that an agent cannot read: it reads all of them, and finds no package if it fails."""
    for path, file in sorted(host.files.items()):
        why = unparsable(file.text) if file.text and path.startswith(f"{REPOSITORIES}/") else None
        if why and is_agents(path):
            yield Problem("warning", f"agents cannot read {path}: {why}", "bigtop-builder deploy removes the file.")
        elif why:
            hint = "Correct the file: Ambari's agents read every repository file, and find no package if one fails."
            yield Problem("error", f"agents cannot read {path}: {why}", hint)


CHECKS: Mapping[str, Rule] = {
    "ports": _ports,
    "packages": _packages,
    "leftovers": _leftovers,
    "repository-files": _repository_files,
}
