"""Probable causes of failed tasks, read from what an agent's script said last.

The texts were seen in recorded exchanges of a real server or stand in the scripts of Ambari 2.8 and 3.0.
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
        "no repository that the host sees has a package {package}",
        "See what is missing with: bigtop-builder repo check-stack; then publish it, or mend the repository's address.",
    ),
    _rule(
        r"is not supported by this version of the stack-select tool",
        "the installed bigtop-select does not know this component",
        "Publish a newer bigtop-select: repo check-stack tells which names it must know.",
    ),
    _rule(
        r"GPG check FAILED|is not signed|Public key for .* is not installed",
        "a package's signature is missing, or made with a key that the host does not trust",
        "Sign the repository (repo publish) and check repositories[].gpg_key of the inventory.",
    ),
    _rule(
        r"parent directory (?P<folder>\S+) doesn't exist",
        "{folder} is missing: its package's post-install script did not make it",
        "On the host: is there an `alternatives` command, and what does `rpm -V` say of the package?",
    ),
    _rule(
        r"Unexpected file/directory found in (?P<folder>\S+?):",
        "something that is no version of the stack lies in {folder}",
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
        "Try the address of repositories[].url on the host with curl; hosts check does.",
    ),
    _rule(
        r"nothing provides (?P<what>.+?) needed by (?P<package>\S+)",
        "{package} needs {what}, which no repository of the host has",
        "Publish it, or enable the operating system's repository that has it (CRB, PowerTools).",
    ),
    _rule(
        r"No space left on device",
        "the host's disk is full",
        "Make room; hosts check tells how much each mount has.",
    ),
    _rule(
        r"Address already in use|BindException",
        "another process has the port",
        "On the host: ss -ltnp; hosts check lists the ports that are needed.",
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
        "a command ended with {code}: {text}",
        "The whole output is in the log.",
    ),
    _rule(
        r"^(?:resource_management\.core\.exceptions\.)?Fail: (?P<text>.{1,300})$",
        "{text}",
        "The whole output is in the log.",
    ),
)


def probable_cause(status: str, stderr: str, stdout: str) -> tuple[str | None, str | None]:
    """Cause and hint of a task that ended badly; (None, None) when nothing is known."""
    if status == "TIMEDOUT":
        return "the agent did not report the end of the command in time", "Is the agent alive on the host?"
    if status == "ABORTED":
        if not stderr.strip():
            return None, None
        return "aborted before its end", None
    for text in (stderr, stdout):
        for rule in _RULES:
            found = rule.pattern.search(text)
            if found:
                named = {name: value.strip() for name, value in found.groupdict().items() if value}
                return rule.cause.format(**named), rule.hint
    return None, None


def last_lines(stderr: str, stdout: str) -> list[str]:
    """The end of what a task said; of its stderr if that says anything."""
    text = stderr if stderr.strip() else stdout
    return [line.rstrip()[:400] for line in text.strip().splitlines()[-LAST_LINES:]]
