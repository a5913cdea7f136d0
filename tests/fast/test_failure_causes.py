"""Why tasks failed: every recorded failure has its cause, and what Ambari's scripts and dnf say besides."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from bigtop_builder.ambari_simulator.agents.tracebacks import failure_text
from bigtop_builder.flow.deploy.failure_causes import Cause, probable_cause
from bigtop_builder.flow.deploy.task_output import exception, folded, last_lines, messages, telling_lines
from tests.transcripts import needs_transcripts, transcripts


@cache
def failed_tasks() -> dict[tuple[int, int], dict[str, Any]]:
    """By recording and task."""
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for exchange in transcripts():
        for task in _tasks(exchange.json):
            if task.get("status") in ("FAILED", "TIMEDOUT") and task.get("stderr"):
                found.setdefault((exchange.number, task["id"]), task)
    return found


def _tasks(value: Any) -> Iterator[dict[str, Any]]:
    """All tasks of an answer, whatever they are part of."""
    if isinstance(value, dict):
        if isinstance(value.get("Tasks"), dict):
            yield value["Tasks"]
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _tasks(inner)


def cause_of(task: dict[str, Any]) -> Cause:
    cause = probable_cause(task["status"], task["stderr"], task["stdout"])
    assert cause is not None
    return cause


RECORDED = {
    (115, 2): ("no repository of the host has a package zookeeper_3_2_0_9", "check-stack", True),
    (279, 58): (
        "/usr/bigtop/current/zookeeper-server/bin/zkServer.sh does not exist on the host",
        "dnf provides /usr/bigtop/current/zookeeper-server/bin/zkServer.sh",
        True,
    ),
    (361, 85): ("the agent has not received the cluster's configurations", "Restart the agent", True),
    (534, 10000): (
        "/etc/spark/conf is missing: the post-install script of its package did not create it",
        "alternatives",
        True,
    ),
    (554, 25): ("http://node1.cluster.local:18081 does not answer, or not with 200", "Does the server", False),
    (559, 26): ("spark_3_2_0-3.2.3-1.el7.noarch.rpm is not signed", "gpg_key", True),
    (640, 10005): ("no repository of the host has the package snappy", "PowerTools", True),
    (640, 10025): ("no repository of the host has the package snappy", "PowerTools", True),
    (640, 10040): ("no repository of the host has the package snappy-devel", "PowerTools", True),
    (647, 60): ("no repository of the host has the package snappy", "clean expire-cache", True),
    (750, 10005): ("no repository of the host has the package snappy", "PowerTools", True),
    (650, 110): ("HDFS has no running DataNode, though Ambari may show them as started", "/var/log/hadoop", False),
    (653, 148): (
        "YARN's timeline reader runs an HBase of its own, and /usr/bigtop/3.2.0/usr/lib/hbase/bin/hbase-daemon.sh does "
        "not exist on the host",
        "use_external_hbase",
        True,
    ),
}


@needs_transcripts
@pytest.mark.parametrize("place", RECORDED, ids=str)
def test_recorded_failures_have_their_cause(place: tuple[int, int]) -> None:
    text, hint, lasting = RECORDED[place]
    cause = cause_of(failed_tasks()[place])
    assert (cause.text, cause.lasting) == (text, lasting)
    assert cause.hint is not None and hint in cause.hint


@needs_transcripts
def test_every_recorded_failure_has_a_cause_that_is_in_the_table() -> None:
    known = {text for text, _, _ in RECORDED.values()}
    assert {cause_of(task).text for task in failed_tasks().values()} == known
    assert set(RECORDED) <= set(failed_tasks())


@needs_transcripts
def test_source_lines_are_not_messages() -> None:
    for task in failed_tasks().values():
        said = messages(task["stderr"])
        assert "    raise " not in said and "^^^" not in said and "SyntaxWarning" not in said
        assert exception(task["stderr"]) and said.endswith(exception(task["stderr"]))


FAIL = "resource_management.core.exceptions.Fail: "
FAILED = "resource_management.core.exceptions.ExecutionFailed: Execution of "
YUM = "RuntimeError: Failed to execute command '/usr/bin/yum -y install x', exited with code '1', message: '"
HOOKS = "/var/lib/ambari-agent/cache/stack-hooks/before-START/files"
REFUSED = """{
  "RemoteException": {
    "exception": "AccessControlException",
    "message": "Permission denied: user=x"
  }
}"""
NOT_LISTED = (
    'Traceback (most recent call last):\n  File "script.py", line 535, in get_package_from_available\n'
    '    raise Fail("No package found for {0}(expected name: {1})".format(name, name_with_version))\n'
    f"{FAIL}No package found for zookeeper_${{stack_version}}(expected name: zookeeper_3_2_0)"
)
BROKEN = (
    "2026-11-28 01:02:03,004 - Unable to load available packages\nTraceback (most recent call last):\n"
    '  File "/usr/lib/python3.11/configparser.py", line 1091, in _read\n'
    "    raise DuplicateSectionError(sectname, fpname,\n                                lineno)\n"
    "configparser.DuplicateSectionError: While reading from '/etc/yum.repos.d/ambari-bigtop-1.repo' [line  9]: section "
    "'BIGTOP-3.2.0-repo-1' already exists\n"
)


@pytest.mark.parametrize(
    ("stderr", "stdout", "expected", "lasting"),
    [
        (
            NOT_LISTED,
            BROKEN,
            "cannot read /etc/yum.repos.d/ambari-bigtop-1.repo: section 'BIGTOP-3.2.0-repo-1' already exists (line 9)",
            True,
        ),
        (BROKEN + NOT_LISTED, "", "cannot read /etc/yum.repos.d/ambari-bigtop-1.repo", True),
        (
            NOT_LISTED,
            "configparser.MissingSectionHeaderError: File contains no section headers.\n"
            "file: '/etc/yum.repos.d/own.repo', line: 1\n'baseurl=x\\n'",
            "cannot read /etc/yum.repos.d/own.repo: File contains no section headers",
            True,
        ),
        (
            NOT_LISTED,
            '- Command execution error: command = "/usr/bin/yum list available", exit code = 1, stderr = Errors during '
            "downloading metadata for repository 'BIGTOP':\n  - Curl error (6): Couldn't resolve host name for http://r/"
            "repodata/repomd.xml [Could not resolve host: r]",
            "the host cannot reach a repository: Couldn't resolve host name for http://r/repodata/repomd.xml",
            False,
        ),
        (
            NOT_LISTED,
            "  - Status code: 404 for http://r/x/repodata/repomd.xml (IP: 10.0.0.2)",
            "http://r/x/repodata/repomd.xml answers 404",
            True,
        ),
        (NOT_LISTED, "", "no repository of the host has a package zookeeper_3_2_0", True),
        (
            YUM + "Error: Unable to find a match: snappy snappy-devel\n'",
            "",
            "no repository of the host has the package snappy snappy-devel",
            True,
        ),
        (YUM + "Error: Unable to find a match: tez_3_2_0\n'", "", "has a package tez_3_2_0", True),
        (YUM + "No package libtirpc-devel available.\n'", "", "has the package libtirpc-devel", True),
        (YUM + "E: Unable to locate package libsnappy1\n'", "", "has the package libsnappy1", True),
        (YUM + "Public key for a.rpm is not installed\n'", "", "a key that the host does not trust", True),
        (YUM + "  - nothing provides libx.so needed by hadoop_3_2_0-3.3.4\n'", "", "needs libx.so", True),
        (
            YUM + "Error: Transaction test error:\n  file /usr/bin/hdfs from install of hadoop-3.3.4 conflicts with "
            "file from package cdh\n'",
            "",
            "two packages have the file /usr/bin/hdfs",
            True,
        ),
        (YUM + "Waiting for process with pid 7 to finish.\n'", "", "another program installs packages", False),
        (YUM + "Error: strange\n'", "", "/usr/bin/yum -y install x failed: Error: strange", False),
        (YUM + "'", "", "/usr/bin/yum -y install x failed: '", False),
        (FAIL + "Stack features not defined by stack", "", "cluster-env has lost", True),
        (FAIL + "Cannot find stack-select packages for the BIGTOP stack", "", "cluster-env has lost", True),
        (
            FAIL + "Configuration parameter 'hadoop-env' was not found in configurations dictionary!",
            "",
            "the cluster has no configuration hadoop-env",
            True,
        ),
        (
            FAIL + "The package hbase-master is not supported by this version of the stack-select tool.",
            "",
            "bigtop-select does not know this component",
            True,
        ),
        (
            f"{FAIL}StaticFile('fast-hdfs-resource.jar') Source file {HOOKS}/fast-hdfs-resource.jar is not found",
            "",
            f"{HOOKS}/fast-hdfs-resource.jar is missing among Ambari's",
            True,
        ),
        (
            FAIL + "Unable to access /usr/lib/jvm/java/bin/java. Confirm you have copied jdk to this host.",
            "",
            "Java is not where Ambari looks for it",
            True,
        ),
        ("ModuleNotFoundError: No module named 'distro'", "", "Python of the host lacks the module distro", True),
        (FAILED + "'frob --now' returned 127. -bash: line 1: frob: command not found", "", "frob does not exist", True),
        (
            FAILED + "'ambari-sudo.sh  -H -E test -f /run/zk.pid && ps -p `cat /run/zk.pid`' returned 1. ",
            "2026-11-28 00:00:00 - Skipping param: x, due to Configuration parameter 'y-env' was not found in "
            "configurations dictionary!",
            "the process ended right after its start (/run/zk.pid)",
            False,
        ),
        (
            FAILED + "'ambari-sudo.sh  -H -E test -f /run/zk.pid && ps -p `cat /run/zk.pid`' returned 1. ",
            "==> /var/log/zk.out <==\njava.net.BindException: Address already in use",
            "another process uses the port",
            False,
        ),
        (
            FAILED + "'hdfs start namenode' returned 1. ERROR: Cannot set priority of namenode process 7",
            "org.apache.hadoop.hdfs.server.common.InconsistentFSStateException: x\njava.io.IOException: Incompatible "
            "clusterIDs in /data/hdfs/data: namenode clusterID = a; datanode clusterID = b",
            "/data/hdfs/data belongs to another HDFS",
            True,
        ),
        (
            FAILED + "'hdfs start namenode' returned 1. ERROR: Cannot set priority of namenode process 7",
            "java.io.FileNotFoundException: /x/java/y (No such file or directory)",
            "`hdfs start namenode` exited with 1: ERROR: Cannot set priority of namenode process 7",
            False,
        ),
        (FAILED + "'do it' returned 3. ", "", "`do it` exited with 3", False),
        (
            f"WebHDFSCallException: Execution of 'curl -X PUT http://n:1/x' returned status_code=403. \n{REFUSED}",
            "",
            "HDFS refuses: AccessControlException: Permission denied: user=x",
            False,
        ),
        (
            "WebHDFSCallException: Execution of 'curl http://n:50070/x' returned status_code=000. curl: (7) Failed to "
            "connect to n port 50070: Connection refused",
            "",
            "a server does not answer: Failed to connect to n port 50070: Connection refused",
            False,
        ),
        (FAIL + "Could not bootstrap standby namenode", "", "Could not bootstrap standby namenode", False),
        ("KeyError: 'dfs.namenode.name.dir'", "", "KeyError: 'dfs.namenode.name.dir'", False),
        (
            "Python script has been killed due to timeout after waiting 900 secs",
            "",
            "the command took longer than Ambari allows",
            False,
        ),
    ],
)  # fmt: skip
def test_what_scripts_and_package_managers_say(stderr: str, stdout: str, expected: str, lasting: bool) -> None:
    cause = probable_cause("FAILED", stderr, stdout)
    assert cause is not None
    assert expected in cause.text
    assert cause.lasting is lasting
    assert cause.hint and "{" not in cause.text + cause.hint


def test_without_a_message_there_is_no_cause() -> None:
    assert probable_cause("FAILED", "", "2026-11-28 - Skipping installation of existing package unzip") is None
    timed_out = probable_cause("TIMEDOUT", "", "")
    assert timed_out is not None and "did not report" in timed_out.text


@needs_transcripts
def test_last_lines_are_what_was_said() -> None:
    task = failed_tasks()[653, 148]
    assert last_lines(task["stderr"], task["stdout"]) == [exception(task["stderr"])]
    assert last_lines("", "a\nb\n") == ["a", "b"]


def test_equal_tracebacks_of_one_output_are_shown_once() -> None:
    """As on a real server: one failure of a start, tried again and again, printed nine tracebacks."""
    traceback = 'Traceback (most recent call last):\n  File "x", line 1, in y\n    y()\n'
    one = "2026-11-28 03:3{0}:35,433 - WARNING. No answer from pid {0}\n" + traceback + "Fail: no answer\n"
    stderr = "first\n" + "".join(one.format(number) for number in range(9)) + "last\n"
    assert last_lines(stderr, "") == [
        "first",
        "2026-11-28 03:38:35,433 - WARNING. No answer from pid 8 (9 times)",
        "Fail: no answer (9 times)",
        "last",
    ]


def test_lines_that_differ_and_brackets_stay() -> None:
    lines = ["{", '  "a": 1', "}", "{", '  "a": 2', "}", "", ""]
    assert folded(lines) == lines


INFO = "26/11/28 03:40:02 INFO Y: Z"
SPARK = """\
26/11/28 03:40:00 INFO SparkContext: Running Spark version 3.2.3
26/11/28 03:40:01 ERROR SparkContext: Error initializing SparkContext.
java.io.FileNotFoundException: File does not exist: hdfs://n:8020/spark-history
\tat org.apache.hadoop.hdfs.DistributedFileSystem.getFileStatus(DistributedFileSystem.java:1)
Caused by: java.lang.IllegalStateException: no
\t... 12 more
26/11/28 03:40:02 INFO ShutdownHookManager: Shutdown hook called
26/11/28 03:40:02 INFO ShutdownHookManager: Deleting directory /tmp/spark-ERROR
"""


def test_a_failed_program_shows_its_errors_first() -> None:
    assert telling_lines("Pi is not\n", SPARK, 3) == [
        "26/11/28 03:40:01 ERROR SparkContext: Error initializing SparkContext.",
        "java.io.FileNotFoundException: File does not exist: hdfs://n:8020/spark-history",
        "Caused by: java.lang.IllegalStateException: no",
    ]


@pytest.mark.parametrize(
    ("stdout", "stderr", "expected"),
    [
        ("1\n2\n3\n4\n", "", ["2", "3", "4"]),
        ("", f"JAR does not exist or is not a normal file: /x.jar\n{INFO}\n", ["JAR does not exist"]),
        ("", f"{INFO}\n", [INFO]),
        ("", "Error: Could not find or load main class X\n", ["Error: Could not find or load main class X"]),
        ("", 'Traceback (most recent call last):\n  File "x", line 1\n    y()\nNameError: y\n', ["NameError: y"]),
        ("2026-11-28 03:34:35,802 ERROR [main] x: y\nend\n", "", ["2026-11-28 03:34:35,802 ERROR [main] x: y"]),
        ("", "", []),
    ],
)  # fmt: skip
def test_the_lines_that_tell_why_a_program_failed(stdout: str, stderr: str, expected: list[str]) -> None:
    found = telling_lines(stdout, stderr, 3)
    assert len(found) == len(expected)
    assert all(line.startswith(begin) for line, begin in zip(found, expected, strict=True))


@needs_transcripts
@pytest.mark.parametrize("place", [(117, 10002), (279, 58), (534, 10000), (640, 10005)], ids=str)
def test_simulated_agents_end_like_real_ones(place: tuple[int, int]) -> None:
    task = failed_tasks()[place]
    message = exception(task["stderr"]).partition(": ")[2]
    text = failure_text(message, "X", task["role"], task["command"])
    recorded, simulated = ([line.strip() for line in said.splitlines()] for said in (task["stderr"], text))
    raised = [next(line for line in reversed(lines) if line.startswith("raise ")) for lines in (recorded, simulated)]
    assert raised[0] == raised[1]
    assert recorded[-len(message.splitlines()) :] == simulated[-len(message.splitlines()) :]
    assert ("NoneType: None" in recorded) == ("NoneType: None" in simulated)
    assert probable_cause("FAILED", text, "") == cause_of(task)


@pytest.mark.parametrize("unit", ["a", "/a", "1", " ", "\n", "-"])
def test_an_output_that_is_made_for_patterns_to_search_long_has_a_cause_all_the_same(unit: str) -> None:
    stderr = unit * (300_000 // len(unit)) + "\nFail: there is no space\n"
    cause = probable_cause("FAILED", stderr, "")
    assert cause is not None and "there is no space" in cause.text
