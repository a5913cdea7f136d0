"""Probable causes: a small table of what build logs contain when a known problem occurs."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

TAIL_BYTES = 256 << 10
LONGEST_LINE = 1000
LINE_LIMIT = 400
SHOWN_LINES = 15
DISK_FULL = "the disk is full"


@dataclass(frozen=True)
class Pattern:
    """``regex`` is searched in the end of a log; ``cause`` and ``hint`` are for the user."""

    regex: re.Pattern[str]
    cause: str
    hint: str


def _pattern(regex: str, cause: str, hint: str) -> Pattern:
    return Pattern(re.compile(regex, re.IGNORECASE), cause, hint)


NATIVE_IN_NOARCH = re.compile(r"Arch dependent binaries in noarch package", re.IGNORECASE)

PATTERNS = (
    _pattern(
        r"PKIX path building failed|unable to find valid certification path|SSLHandshakeException"
        r"|certificate verify failed|self.signed certificate|SSL certificate problem|unable to get local issuer",
        "a TLS certificate is not trusted",
        "Set network.ca_bundle to the PEM file of your site's certificate authority. See: bigtop-builder doctor",
    ),
    _pattern(
        r"No space left on device|ENOSPC|Disk quota exceeded",
        DISK_FULL,
        "Free some space, for example with: bigtop-builder gc",
    ),
    _pattern(
        r"java\.lang\.OutOfMemoryError|Cannot allocate memory|out of memory: a process was killed|\bOOMKilled\b"
        r"|GC overhead limit exceeded|virtual memory exhausted|There is insufficient memory for the Java",
        "out of memory",
        "Give the build more with limits.memory in the project file, or run fewer at once with -j.",
    ),
    _pattern(
        r"Hunk #(\d+) FAILED at",
        "a patch does not apply to this source",
        "Refresh the patch against this version, or remove it.",
    ),
    _pattern(
        r"checksum (mismatch|validation failed)|digest .* does not match|sha(256|512|1)sum.*(FAILED|mismatch)"
        r"|Checksum validation failed",
        "a download does not match its checksum",
        "A mirror or proxy may have served a damaged file; try another mirror preset.",
    ),
    _pattern(
        r"maven-default-http-blocker|Blocked mirror for repositories",
        "Maven blocks a repository without TLS that a POM names",
        "Use a mirror preset other than 'none': its mirror of '*' takes precedence over the block.",
    ),
    _pattern(
        r"bower\.herokuapp\.com",
        "bower uses a registry that has been shut down",
        "Use a mirror preset other than 'none', or set mirrors.bower.",
    ),
    _pattern(
        r"status(?: code)?: (?:401|407)|\b401 (?:Unauthorized|Error)|ReasonPhrase: ?Unauthorized|code E401"
        r"|Proxy Authentication Required",
        "a mirror, the site's cache or a proxy rejects the credentials",
        "Check the credentials under mirrors and network.proxy in the project file. See: bigtop-builder doctor",
    ),
    _pattern(
        r"UnknownHostException|Could not resolve host|Temporary failure in name resolution|getaddrinfo (EAI_AGAIN|"
        r"ENOTFOUND)|Connection refused|Connection timed out|Connect to .* failed|ConnectTimeoutException"
        r"|Could not transfer artifact|Network is unreachable|ECONNRESET|ETIMEDOUT|Read timed out",
        "a repository or host is unreachable",
        "Check mirrors and network.proxy in the project file. See: bigtop-builder doctor",
    ),
    _pattern(
        r"Could not find artifact|Could not resolve dependencies|status(?: code)?: 404|404 Not Found",
        "an artifact is not in any of the repositories",
        "Check mirrors.maven: does your mirror have everything?",
    ),
    _pattern(
        r"(?:bash|sh|line \d+): (?:line \d+: )?([\w./+-]+): (?:command )?not found"
        r"|([\w.+-]+): No such file or directory.*exec|Cannot run program \"([^\"]+)\""
        r"|no acceptable C compiler found",
        "a tool is missing in the builder image",
        "Add its package under build.packages of the component.",
    ),
    _pattern(
        r"Unsupported class file major version|invalid target release|UnsupportedClassVersionError"
        r"|source (?:option|release) \S+ is no longer supported|Fatal error compiling",
        "the JDK does not match this source",
        "Check build.jdk of the component.",
    ),
    _pattern(
        r"COMPILATION ERROR|error: compilation failed|fatal error: .*\.h: No such file",
        "the source does not compile",
        "Look at the first error in the log.",
    ),
    _pattern(
        r"File not found: /|File must begin with \"/\"|Installed \(but unpackaged\) file\(s\) found",
        "the file list does not match what the install script installed",
        "Compare 'files' of the component's packages with its install script.",
    ),
    Pattern(
        NATIVE_IN_NOARCH,
        "a noarch package has native files",
        "Set arch: native in the component file (BuildArch in a spec of Bigtop's), or do not install these files.",
    ),
    _pattern(
        r"Bad exit status from \S+ \(%install\)",
        "the install script of the component failed",
        "Its output is just before the first 'Bad exit status' in the log; enter the build with: bigtop-builder shell",
    ),
    _pattern(r"Permission denied", "no permission to read or write a file", "The last lines of the log name the file."),
)


MISSING = tuple(
    re.compile(regex)
    for regex in (
        r"in offline mode and the artifact (\S+) has not been downloaded",
        r"artifact (\S+) has not been downloaded from it before",
        r"No versions available for (\S+) within specified range",
        r"No cached version of (\S+) available for offline mode",
        r"ENOTCACHED[\s\S]{,200}? request to (\S+)",
        r"Plugin not found in any plugin repository[^\n]*?(\S+:\S+)",
        r"No plugin found for prefix '([^']+)'",
        r"[Cc]ould not resolve host:? '?([^\s';]+)",
        r"UnknownHostException: ([^\s:]+)",
        r"getaddrinfo (?:ENOTFOUND|EAI_AGAIN) ([^\s:]+)",
        r"([\w.-]+): (?:Temporary failure in name resolution|Name or service not known)",
        r"unable to resolve host address .?([^\s'’]+)",
        r"connect to ([^\s:]+)[^\n]*? failed: (?:Network is unreachable|Temporary failure)",
    )
)
"""What build tools print when they may not ask anybody: each names an artifact, or the host that has it."""


def missing_download(log: Path) -> str | None:
    """Return what the build asked for and did not get, from the end of the log of a build without a network."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", log_end(log))
    found = [match for pattern in MISSING if (match := pattern.search(text))]
    return min(found, key=lambda match: match.start())[1].rstrip(".,;") if found else None


MISSING_POM = re.compile(r"The POM for (\S+) is missing, no dependency information available")


def overlooked_download(log: Path, locked: Collection[str]) -> str | None:
    """Return an artifact that a locked build asked for and went on without.

    Maven takes an artifact whose POM is missing for one without dependencies, and only warns. Some never had a POM:
    then ``locked``, the paths of Maven's downloads, have the artifact alone.
    """
    folders = {path.rpartition("/")[0] for path in locked}
    with log.open(encoding="utf-8", errors="replace") as stream:
        for whole in stream:
            line = whole[:LONGEST_LINE]
            if "offline mode" in line and (match := MISSING[0].search(line)):
                return match[1]
            if "The POM for" in line and (match := MISSING_POM.search(line)):
                group, _, rest = match[1].partition(":")
                folder = f"{group.replace('.', '/')}/{rest.partition(':')[0]}/{rest.rpartition(':')[2]}"
                if folder not in folders:
                    return match[1]
    return None


def tail(log: Path, lines: int = SHOWN_LINES) -> list[str]:
    """Return the last ``lines`` of a log, without empty ones and colours, each cut to LINE_LIMIT characters."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", log_end(log))
    kept = [line.rstrip()[:LINE_LIMIT] for line in text.splitlines() if line.strip()]
    return kept[-lines:]


def log_end(log: Path) -> str:
    """Return the last TAIL_BYTES of a log, each line cut to LONGEST_LINE; empty if it cannot be read.

    Patterns that a build meets on purpose with one endless word would search for minutes.
    """
    try:
        with log.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - TAIL_BYTES))
            text = stream.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(line[:LONGEST_LINE] for line in text.splitlines())


def diagnose(log: Path, message: str = "") -> tuple[str, str] | None:
    """Return the probable cause and a hint: of the first pattern found in ``message`` or in the end of the log."""
    text = f"{message}\n{log_end(log)}"
    for pattern in PATTERNS:
        found = pattern.regex.search(text)
        if found:
            named = next((group for group in found.groups() if group), None)
            tool = f": {named}" if named and "tool" in pattern.cause else ""
            return pattern.cause + tool, pattern.hint
    return None
