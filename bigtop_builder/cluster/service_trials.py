"""Trials of services: small pieces of real work, because some of Ambari's service checks say little.

Recorded (690 to 694): the checks of HDFS and YARN succeed while every DataNode and NodeManager is dead. A trial for
another service is one more entry of ``TRIALS``. Services whose own check does real work need none: ZooKeeper's writes
through one server and reads through all of them, Tez's runs a DAG.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote

from bigtop_builder.cluster.layout import Layout, plain_properties
from bigtop_builder.model.ambari_stack import StackDefinition
from bigtop_builder.model.inventory import Job


@dataclass(frozen=True)
class Trial:
    """A piece of work on the first host that has a component.

    ``script`` is bash after ``PRELUDE``, with ``$count`` (of ``counted`` components) and ``$hosts`` (those that have
    the component).
    """

    name: str
    """``put and get``."""
    on: str
    user: tuple[str, str]
    """The property that names the user, and its default: ``("hadoop-env/hdfs_user", "hdfs")``."""
    script: str
    expect: str
    """A regular expression for the output; an exit code other than 0 is a failure as well."""
    counted: str | None = None
    requires: tuple[str, ...] = ()
    """More components that the layout must have."""
    port: tuple[str, str] | None = None
    """The property with ``$port``, its last number, and the default."""


PRELUDE = """set -eo pipefail
export PATH={current}/hadoop-client/bin:{versioned}/usr/bin:$PATH
count={count} port={port} hosts=({hosts})
# Daemons report some seconds after they have started.
enough() {{
    for try in 1 2 3 4 5 6; do
        found=$("$2") || true; found=${{found:-0}}
        if [ "$found" -ge "$count" ]; then echo "$found $1 of $count"; return; fi
        sleep 10
    done
    echo "only $found $1 of $count" >&2; exit 1
}}
"""

SMOKE_USER = ("cluster-env/smokeuser", "ambari-qa")

TRIALS: Mapping[str, tuple[Trial, ...]] = {
    "HDFS": (
        Trial(
            "put and get",
            "HDFS_CLIENT",
            ("hadoop-env/hdfs_user", "hdfs"),
            """live() { hdfs dfsadmin -report -live 2>/dev/null | sed -n 's/^Live datanodes (\\([0-9]*\\)).*/\\1/p'; }
enough "live DataNodes" live
here=$(mktemp -d) there=/tmp/bigtop-builder-trial-$$
trap 'rm -rf "$here"; hdfs dfs -rm -r -f -skipTrash "$there" >/dev/null 2>&1 || true' EXIT
head -c 1000000 /dev/urandom > "$here/put"
hdfs dfs -mkdir -p "$there"
hdfs dfs -put "$here/put" "$there/file"
hdfs dfs -get "$there/file" "$here/get"
cmp "$here/put" "$here/get"
echo "put and get: identical, $found live DataNodes"
""",
            r"put and get: identical.*",
            counted="DATANODE",
        ),
    ),
    "YARN": (
        Trial(
            "active nodes",
            "YARN_CLIENT",
            SMOKE_USER,
            """active() { yarn node -list 2>/dev/null | sed -n 's/^Total Nodes:\\([0-9]*\\).*/\\1/p'; }
enough "active NodeManagers" active
""",
            r"\d+ active NodeManagers.*",
            counted="NODEMANAGER",
        ),
    ),
    "MAPREDUCE2": (
        Trial(
            "a job",
            "MAPREDUCE2_CLIENT",
            SMOKE_USER,
            "yarn jar {current}/hadoop-mapreduce-client/hadoop-mapreduce-examples.jar pi 2 100\n",
            r"Estimated value of Pi is [\d.]+",
            requires=("NODEMANAGER", "HDFS_CLIENT"),
        ),
    ),
    "HBASE": (
        Trial(
            "put and scan",
            "HBASE_CLIENT",
            ("hbase-env/hbase_user", "hbase"),
            """table="bigtop_builder_trial_$$"
{current}/hbase-client/bin/hbase shell -n <<END
create '$table', 'f'
put '$table', 'row', 'f:q', 'kept'
scan '$table'
disable '$table'
drop '$table'
END
""",
            r"value=kept",
        ),
    ),
    "KAFKA": (
        Trial(
            "produce and consume",
            "KAFKA_BROKER",
            ("kafka-env/kafka_user", "kafka"),
            """bin={current}/kafka-broker/bin broker=${hosts[0]}:$port topic=bigtop-builder-trial-$$
"$bin/kafka-topics.sh" --bootstrap-server "$broker" --create --topic "$topic" --partitions 1 --replication-factor 1
trap '"$bin/kafka-topics.sh" --bootstrap-server "$broker" --delete --topic "$topic" || true' EXIT
echo kept | "$bin/kafka-console-producer.sh" --bootstrap-server "$broker" --topic "$topic"
"$bin/kafka-console-consumer.sh" --bootstrap-server "$broker" --topic "$topic" --from-beginning --max-messages 1 \\
    --timeout-ms 60000
""",
            r"^kept$",
            port=("kafka-broker/listeners", "9092"),
        ),
    ),
    "HIVE": (
        Trial(
            "a query",
            "HIVE_SERVER",
            ("hive-env/hive_user", "hive"),
            """{current}/hive-client/bin/beeline -u "jdbc:hive2://${hosts[0]}:$port/default" -n hive -e 'select 40 + 2'
""",
            r"\b42\b",
            port=("hive-site/hive.server2.thrift.port", "10000"),
        ),
    ),
}
"""By service, in the order in which they build on each other."""


def trials_of(service: str, layout: Layout, stack: StackDefinition, version: str) -> list[tuple[str, Job]]:
    """Return the trials of a service that are possible in a layout: their names, and each as a job.

    ``version`` is the repository version. Components that are only installed are not counted.
    """
    found = []
    for trial in TRIALS.get(service, ()):
        places = layout.hosts_with(trial.on)
        if places and {*trial.requires} <= {*layout.components}:
            found.append((trial.name, _job(trial, places, layout, stack, version)))
    return found


def _job(trial: Trial, places: list[str], layout: Layout, stack: StackDefinition, version: str) -> Job:
    given = plain_properties(layout.configurations)
    paths = {"current": f"{stack.root}/current", "versioned": f"{stack.root}/{version.partition('-')[0]}"}
    port = ""
    if trial.port is not None:
        numbers = re.findall(r"\d+", _property(given, *trial.port))
        port = numbers[-1] if numbers else trial.port[1]
    head = PRELUDE.format(
        **paths, count=_running(layout, trial.counted), port=quote(port), hosts=" ".join(quote(host) for host in places)
    )
    script = trial.script
    for name, value in paths.items():
        script = script.replace(f"{{{name}}}", value)
    return Job(
        on=places[0], user=_property(given, *trial.user), command=head + script, expect=trial.expect, timeout="10m"
    )


def _running(layout: Layout, component: str | None) -> int:
    return sum(
        len(group.hosts)
        for group in layout.groups
        for placed in group.components
        if placed.name == component and placed.provision != "INSTALL_ONLY"
    )


def _property(given: Mapping[str, Mapping[str, str]], place: str, default: str) -> str:
    kind, _, name = place.partition("/")
    return given.get(kind, {}).get(name, default)
