"""Probable causes of failed tasks, judging by what their scripts said.

Source lines of a traceback do not count: ``raise Fail("No package found for {0}(expected name: {1})")`` says nothing
about a host. The patterns are from recorded exchanges with a real server (their numbers are in
``tests/fast/test_failure_causes.py``), from the scripts of Ambari 2.8 and 3.0 and of its stack BIGTOP, and from dnf.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bigtop_builder.flow.deploy.task_output import exception, messages


@dataclass(frozen=True)
class Cause:
    """Why a task failed. ``lasting``: it fails in the same way again until somebody changes something."""

    text: str
    hint: str | None = None
    lasting: bool = False


@dataclass(frozen=True)
class Rule:
    """A kind of failure; groups of ``pattern`` fill in the names in braces in ``cause`` and ``hint``."""

    pattern: re.Pattern[str]
    cause: str
    hint: str
    lasting: bool


def _rule(pattern: str, cause: str, hint: str, *, lasting: bool = True) -> Rule:
    return Rule(re.compile(pattern, re.MULTILINE), cause, hint, lasting)


def _passing(pattern: str, cause: str, hint: str) -> Rule:
    return _rule(pattern, cause, hint, lasting=False)


_COMPLETE = "The complete output is in the log."
_PUBLISH = "See what is missing with: bigtop-builder repo check-stack; then publish it, or fix the repository's URL."
_ENABLE = (
    "Enable the operating system's repository that has it: prepare.powertools does for PowerTools (el8) and CRB (el9). "
    "If it has just been added, the host's dnf may not know yet: dnf clean expire-cache."
)
_PROVIDES = "Install the package that has it: `dnf provides {path}` names it. `rpm -V` shows what an installation lost."

_REPOSITORIES = (
    _rule(
        r"Duplicate(?:Section|Option)Error: While reading from '(?P<file>[^']+)' \[line +(?P<line>\d+)\]: (?P<what>.+)",
        "the agent finds no packages because it cannot read {file}: {what} (line {line})",
        "Remove the repeated part, or the file if an earlier cluster left it there.",
    ),
    _rule(
        r"(?:MissingSectionHeader|Parsing)Error: (?P<what>File contains no section headers|Source contains parsing "
        r"errors)[.:]\s*(?:file: )?'(?P<file>[^']+)'",
        "the agent finds no packages because it cannot read {file}: {what}",
        "Fix or remove the file.",
    ),
)
"""What keeps an agent from listing packages at all; it goes on then, and reports the first one as missing."""
_DOWNLOADS = (
    _rule(
        r"Status code: (?P<code>4\d\d) for (?P<url>\S+)",
        "a repository is not where the host looks for it: {url} answers {code}",
        "Check repositories[].url of the inventory; for others, the .repo files in /etc/yum.repos.d of the host.",
    ),
    _rule(
        r"Curl error \(60\): (?P<text>[^\[\n]+)",
        "the host does not trust the certificate of a repository: {text}",
        "Set prepare.ca to the PEM file of the site's certificate authority.",
    ),
    _passing(
        r"Curl error \(\d+\): (?P<text>[^\[\n]+)",
        "the host cannot reach a repository: {text}",
        "Try the URL of repositories[].url on the host with curl; hosts check does the same.",
    ),
    _passing(
        r"(?:Could not resolve host|Cannot download|Failed to download metadata|Errors during downloading metadata)",
        "the host cannot reach the repository",
        "Try the URL of repositories[].url on the host with curl; hosts check does the same.",
    ),
    _passing(
        r"Downloading successful, but checksum doesn't match|does not match intended download",
        "the host's metadata of a repository are older than the repository",
        "Clear them (dnf clean expire-cache), then run the deployment again.",
    ),
)
_PACKAGES = (
    _rule(
        r"No package found for (?P<name>\S+?)\(expected name: (?P<package>[^){]+)\)",
        "no repository of the host has a package {package}",
        _PUBLISH,
    ),
    _rule(
        r"(?:Unable to find a match:|No match for argument:|No package) (?P<packages>\S*_\d+_\d+\S*|bigtop-select)",
        "no repository of the host has a package {packages}",
        _PUBLISH,
    ),
    _rule(
        r"(?:Unable to find a match:|No match for argument:|Unable to locate package) (?P<packages>[^\n']+)",
        "no repository of the host has the package {packages}",
        _ENABLE,
    ),
    _rule(r"No package (?P<package>\S+) available", "no repository of the host has the package {package}", _ENABLE),
    _rule(
        r"nothing provides (?P<what>.+?) needed by (?P<package>\S+)",
        "{package} needs {what}, which no repository of the host has",
        "Publish it, or enable the operating system's repository that has it (CRB, PowerTools).",
    ),
    _rule(
        r"Package (?P<package>\S+) is not signed",
        "{package} is not signed",
        "Sign the repository (repo publish) and check repositories[].gpg_key of the inventory.",
    ),
    _rule(
        r"GPG check FAILED|Public key for .* is not installed",
        "a package is signed with a key that the host does not trust",
        "Check repositories[].gpg_key of the inventory, and with which key the repository is signed.",
    ),
    _rule(
        r"^\s*file (?P<file>\S+) (?:conflicts between|from install of (?P<package>\S+) conflicts)",
        "two packages have the file {file}",
        "Remove the package of another distribution that has it.",
    ),
    _passing(
        r"Existing lock \S+|Waiting for process with pid|System management is locked|Unable to lock the administration "
        r"directory|Could not get lock",
        "another program installs packages on the host",
        "Wait until it has ended; updates that run by themselves may be off during a deployment.",
    ),
    _rule(
        r"(?:scriptlet failed, exit status|Error in \S+ scriptlet in rpm package) ?(?P<what>\S*)",
        "a script of a package failed: {what}",
        _COMPLETE,
    ),
)
_STACK = (
    _rule(
        r"is not supported by this version of the stack-select tool",
        "the installed bigtop-select does not know this component",
        "Publish a newer bigtop-select: repo check-stack lists the names that it must know.",
    ),
    _rule(
        r"Unable to query for supported packages using (?P<path>\S+)",
        "{path} does not work on the host",
        "Run it there with the argument `packages`, or install bigtop-select again.",
    ),
    _rule(
        r"Stack features not defined by stack|(?:Cannot find|There are no) stack-select packages",
        "cluster-env has lost what the stack keeps in it, which every script reads",
        "Make an older version of cluster-env current in Ambari, or destroy the cluster and deploy it again.",
    ),
    _rule(
        r"\w+ for cluster_id=\d+ is missing",
        "the agent has not received the cluster's configurations",
        "Restart the agent of this host, then run the deployment again.",
    ),
    _rule(
        r"^(?:[\w.]+\.)?Fail: Configuration parameter '(?P<name>[^']+)' was not found in configurations dictionary!",
        "the cluster has no configuration {name}, which the script needs",
        "Add it under configurations of the inventory, or the service that it belongs to.",
    ),
    _rule(
        r"parent directory (?P<folder>\S+) doesn't exist",
        "{folder} is missing: the post-install script of its package did not create it",
        "On the host: is there an `alternatives` command, and what does `rpm -V` say of the package?",
    ),
    _rule(
        r"Unexpected file/directory found in (?P<folder>\S+?):",
        "{folder} contains something that is not a version of the stack",
        "Move it away; distro-select refuses to work otherwise. hosts check finds such leftovers.",
    ),
    _rule(
        r"symlink target (?P<target>\S+).*already exists and it is not a symlink",
        "{target} is in the way of a link of distro-select",
        "Remove what an earlier installation left in /usr/bigtop/current.",
    ),
    _rule(
        r"Source file (?P<file>\S+) is not found",
        "{file} is missing among Ambari's own files, which agents get from the server",
        "Was the Ambari server's package built completely?",
    ),
    _rule(r"Source (?P<path>/\S+) doesn't exist", "{path} does not exist on the host", _PROVIDES),
    _passing(
        r"Failed to download file from (?P<url>\S+) due to HTTP error: (?P<why>.+)",
        "the agent cannot download {url}: {why}",
        "The Ambari server offers it; a JDBC driver only after ambari-server setup --jdbc-db --jdbc-driver.",
    ),
)
_HOST = (
    _rule(
        r"Execution of '(?P<path>/\S+) .*embedded-yarn-ats-hbase.*' returned 127",
        "YARN's timeline reader runs an HBase of its own, and {path} does not exist on the host",
        "Add HBase's packages to this host, or set yarn-hbase-env/use_external_hbase to true.",
    ),
    _rule(
        r"returned 127\.[\s\S]{0,400}?(?P<path>[^\s:'\"]+)['\"]?: (?:No such file or directory|(?:command )?not found)",
        "{path} does not exist on the host",
        _PROVIDES,
    ),
    _rule(
        r"Unable to access (?P<java>\S+)\. Confirm you have copied jdk"
        r"|(?P<missing>/\S+/bin/java)['\"]?: (?:No such file|not found)"
        r"|JAVA_HOME (?:is not set|\S+ does not exist)",
        "Java is not where Ambari looks for it",
        "All hosts need the JDK at the same path: see prepare.jdk and prepare.java_home.",
    ),
    _rule(
        r"ModuleNotFoundError: No module named '(?P<module>[^']+)'",
        "Python of the host lacks the module {module}, which agents need",
        "Install its package (python3-{module}), or a Python that this Ambari supports.",
    ),
    _rule(
        r"No space left on device",
        "the host's disk is full",
        "Free some space; hosts check shows how much each mount has.",
    ),
    _rule(
        r"Cannot allocate memory|insufficient memory for the Java Runtime|OutOfMemoryError",
        "the host, or the heap of the process, has too little memory",
        "Give the process a smaller or larger heap under configurations, or move components to another host.",
    ),
    _passing(
        r"Address already in use|BindException",
        "another process uses the port",
        "Run ss -ltnp on the host; hosts check lists the required ports.",
    ),
    _rule(
        r"(?P<kind>User|Group) '(?P<name>[^']+)' doesn't exist",
        "{kind} {name} does not exist on the host",
        "Packages create it when they are installed: what does `rpm -V` say of the component's package?",
    ),
    _rule(
        r"(?P<path>/[^\s:'\"]+)['\"]?: Permission denied",
        "no permission for {path}",
        "Check its owner and its folders'.",
    ),
    _passing(
        r"was killed due timeout after|Python script has been killed due to timeout|Execution timed out",
        "the command took longer than Ambari allows",
        "See agent.task.timeout and agent.package.install.task.timeout in ambari.properties.",
    ),
)
_SERVICES = (
    _passing(
        r"Failed to find datanode|There are 0 datanode|could only be (?:written|replicated) to 0",
        "HDFS has no running DataNode, though Ambari may show them as started",
        "See the DataNodes' own logs on their hosts, in /var/log/hadoop-hdfs or /var/log/hadoop/hdfs.",
    ),
    _passing(
        r"SafeModeException|Name node is in safe mode|-safemode get \| grep",
        "the NameNode does not leave its safe mode",
        "It waits for the blocks that DataNodes report: hdfs dfsadmin -report shows which of them run.",
    ),
    _rule(
        r"Incompatible clusterIDs in (?P<folder>[^:\s]+)",
        "{folder} belongs to another HDFS",
        "Remove the folder if nobody needs its data (destroy --wipe-hosts does), or restore its own NameNode.",
    ),
    _rule(r"NameNode is not formatted", "the NameNode has no file system yet", "See why its formatting failed above."),
    _passing(
        r"Call From \S+ to (?P<server>\S+) failed on connection exception",
        "{server} does not accept connections",
        "Is the server there running, and does a firewall block its port?",
    ),
    _passing(
        r"returned status_code=\d+[\s\S]*\"exception\": \"(?P<kind>\w+)\"[\s\S]*\"message\": \"(?P<text>[^\"\n]+)",
        "HDFS refuses: {kind}: {text}",
        "See the NameNode's log on its host.",
    ),
    _passing(
        r"Execution of 'curl [^\n]*?(?P<url>https?://[^\s'|]+)[^\n]*\| *grep 200' returned",
        "{url} does not answer, or not with 200",
        "Does the server that should answer there run? See its log on its host.",
    ),
    _passing(r"^.*curl: \(\d+\) (?P<text>.+)", "a server does not answer: {text}", "Is it running? See its log."),
    _passing(r"kinit: (?P<text>.+)", "Kerberos: {text}", "Are KDC, principal and keytab right, and the clocks equal?"),
)
_KNOWN = (*_DOWNLOADS, *_PACKAGES, *_STACK, *_HOST, *_SERVICES)
TABLE = (*_REPOSITORIES, *_KNOWN)
"""All kinds, as the page on troubleshooting lists them."""
_ANY = (
    _passing(
        r"Execution of '[^\n]*test -f (?P<pid>\S+\.pid) && [^\n]*ps -p[^\n]*' returned",
        "the process ended right after its start ({pid})",
        "Its log says why; the end of it is in this task's output.",
    ),
    _passing(
        r"Failed to execute command '(?P<command>[^']+)', exited with code '\d+', message: '(?P<text>[^\n]*)",
        "{command} failed: {text}",
        _COMPLETE,
    ),
    _passing(
        r"Execution of '(?P<command>[^\n]{1,80})[^\n]*' returned (?P<code>\d+)\. ?(?P<text>.{0,200})",
        "`{command}` exited with {code}: {text}",
        _COMPLETE,
    ),
    _passing(r"^(?:[\w.]+\.)?Fail: (?P<text>.{1,300})$", "{text}", _COMPLETE),
    _passing(r"^(?:[\w.]+\.)?(?P<text>\w+(?:Error|Exception): .{1,300})$", "{text}", _COMPLETE),
)
"""Whatever a script ends with."""
_PASSED_OVER = re.compile(r" - Skipping (?:param|failure)")
"""What scripts say in every task about things that do not matter."""
_NOT_LISTED = re.compile(r"^(?:[\w.]+\.)?Fail: No package found for ", re.MULTILINE)


def probable_cause(status: str, stderr: str, stdout: str) -> Cause | None:
    """Return the cause of a failed task; None if none is known.

    The exception that ended the script counts first, then what it said before. A package that is not found may have
    a cause of its own, which only stands in the messages before.
    """
    if status == "TIMEDOUT":
        return Cause("the agent did not report the end of the command in time", "Is the agent running on the host?")
    ending = exception(stderr)
    said = f"{messages(stderr)}\n{messages(stdout)}".splitlines()
    everything = "\n".join(line for line in said if not _PASSED_OVER.search(line))
    before = (*_REPOSITORIES, *_DOWNLOADS) if _NOT_LISTED.search(ending) else ()
    for rules, text in ((before, everything), (_KNOWN, ending), (_KNOWN, everything), (_ANY, ending)):
        for rule in rules:
            if found := rule.pattern.search(text):
                named = {name: value.strip() for name, value in found.groupdict().items() if value}
                return Cause(_filled(rule.cause, named), _filled(rule.hint, named), rule.lasting)
    return None


def _filled(text: str, named: dict[str, str]) -> str:
    """Fill in the names of a match; a name that matched nothing leaves nothing, nor a colon before it."""
    names = dict.fromkeys(re.findall(r"\{(\w+)\}", text), "") | named
    return text.format_map(names).removesuffix(": ").strip()
