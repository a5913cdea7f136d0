"""Probable causes of failed tasks, judging by their last output.

The patterns are from recorded exchanges with a real server and from the scripts of Ambari 2.8 and 3.0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LAST_LINES = 12


@dataclass(frozen=True)
class _Rule:
    pattern: re.Pattern[str]
    cause: str
    hint: str


def _rule(pattern: str, cause: str, hint: str) -> _Rule:
    return _Rule(re.compile(pattern, re.MULTILINE), cause, hint)


_RULES = (
    _rule(
        r"No package found for (?P<name>\S+?)\(expected name: (?P<package>[^)]+)\)",
        "no repository of the host has a package {package}",
        "See what is missing with: bigtop-builder repo check-stack; then publish it, or fix the repository's URL.",
    ),
    _rule(
        r"Unable to find a match: (?P<package>[^\n'\\]+)",
        "no enabled repository of the host has {package}",
        "Publish it, or enable the operating system's repository that has it: see prepare.powertools.",
    ),
    _rule(
        r"is not supported by this version of the stack-select tool",
        "the installed bigtop-select does not know this component",
        "Publish a newer bigtop-select: repo check-stack lists the names that it must know.",
    ),
    _rule(
        r"GPG check FAILED|is not signed|Public key for .* is not installed",
        "a package is not signed, or signed with a key that the host does not trust",
        "Sign the repository (repo publish) and check repositories[].gpg_key of the inventory.",
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
        r"(?:Could not resolve host|Cannot download|Failed to download metadata|Errors during downloading metadata)",
        "the host cannot reach the repository",
        "Try the URL of repositories[].url on the host with curl; hosts check does the same.",
    ),
    _rule(
        r"nothing provides (?P<what>.+?) needed by (?P<package>\S+)",
        "{package} needs {what}, which no repository of the host has",
        "Publish it, or enable the operating system's repository that has it (CRB, PowerTools).",
    ),
    _rule(
        r"No space left on device",
        "the host's disk is full",
        "Free some space; hosts check shows how much each mount has.",
    ),
    _rule(
        r"Address already in use|BindException",
        "another process uses the port",
        "Run ss -ltnp on the host; hosts check lists the required ports.",
    ),
    _rule(
        r"Configurations for cluster_id=\d+ is missing",
        "the agent has not received the cluster's configurations",
        "Restart the agent of this host, then run the deployment again.",
    ),
    _rule(
        r"java(?:\.io)?.*No such file or directory|JAVA_HOME.*(?:not set|does not exist|is not)",
        "Java is not where Ambari looks for it",
        "All hosts need the JDK at the same path: see prepare.jdk and prepare.java_home.",
    ),
    _rule(
        r"Python script has been killed due to timeout|Execution timed out",
        "the command took longer than Ambari allows",
        "See agent.task.timeout and agent.package.install.task.timeout in ambari.properties.",
    ),
    _rule(
        r"returned (?P<code>\d+)\.\s+(?P<text>.{1,200})$",
        "a command exited with {code}: {text}",
        "The complete output is in the log.",
    ),
    _rule(
        r"^(?:resource_management\.core\.exceptions\.)?Fail: (?P<text>.{1,300})$",
        "{text}",
        "The complete output is in the log.",
    ),
)


def probable_cause(status: str, stderr: str, stdout: str) -> tuple[str | None, str | None]:
    """Return cause and hint of a failed task; (None, None) if none is known."""
    if status == "TIMEDOUT":
        return "the agent did not report the end of the command in time", "Is the agent running on the host?"
    if status == "ABORTED":
        if not stderr.strip():
            return None, None
        return "aborted before it ended", None
    for text in (stderr, stdout):
        for rule in _RULES:
            found = rule.pattern.search(text)
            if found:
                named = {name: value.strip() for name, value in found.groupdict().items() if value}
                return rule.cause.format(**named), rule.hint
    return None, None


def last_lines(stderr: str, stdout: str) -> list[str]:
    """Return the last lines of a task's stderr, or of its stdout if stderr is empty."""
    text = stderr if stderr.strip() else stdout
    return [line.rstrip()[:400] for line in text.strip().splitlines()[-LAST_LINES:]]
