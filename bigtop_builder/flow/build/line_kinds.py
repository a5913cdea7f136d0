"""The kinds of lines in logs: what may tell why a build failed, what cannot, and where tools sum up."""

from __future__ import annotations

import re

WORDS = (
    "error",
    "fail",
    "err!",
    "fatal",
    "exception",
    "traceback",
    "violation",
    "mismatch",
    "goodbye",
    "killed",
    "terminated",
    "not found",
    "no such",
    "no rule",
    "no space",
    "no matching",
    "no longer",
    "not match",
    "not supported",
    "not in the",
    "cannot",
    "can't",
    "could not",
    "couldn't",
    "unable",
    "denied",
    "refused",
    "forbidden",
    "unauthorized",
    "blocked",
    "unreachable",
    "not ok",
    "timed out",
    "unknown",
    "unsupported",
    "unrecognized",
    "unapproved",
    "unresolved",
    "undefined",
    "invalid",
    "missing",
    "multiple definition",
    "incompatible",
    "duplicate",
    "corrupt",
    "more recent",
    "must begin",
    "needed by",
    "offline mode",
    "were not met",
    "quota",
    "ambiguous",
    "has shebang",
    "does not",
    "out of memory",
    "status",
    "not in gzip",
    "empty %files",
    "dependent binaries",
    "rpath",
)
"""Only lines with one of these words are looked at: a log may have a million, and most of them are harmless."""

WARNING = re.compile(r"^\W*(?:WARN(?:ING)?|DEBUG)\b|\bnpm warn\b|\bwarning:", re.IGNORECASE)

OUTPUT = re.compile(
    r"\b(?:fatal )?error: |CMake Error|undefined reference to|\*\*\* .*(?:Error \d|Stop)|[\w/]*sh: .*not found"
    r"|Rule \d+: .* failed with message|configure: error|\b401 Error\b|Could NOT find"
)
"""What Maven's plugins print with ``[WARNING]`` before it although it is the output of a program that failed."""

SUCCESS = re.compile(r"^(?:\[INFO\] )?BUILD SUCCESS(?:FUL)?\b")
"""Whatever a tool printed before was no error. Only unindented: a tool inside another is not the last one."""

BENIGN = re.compile(
    r"^\[INFO\] (?:Copying|Download(?:ing|ed)|Including|Excluding) |^\[ *\d+%\] Building|^\[EL Finest\]"
    r"|^(?:\[\w+\] )?-- "
)
"""Lines with names of files, which are full of words like ``failure``; and what CMake looked for and can do without."""

VERDICT = re.compile(
    r"^\[ERROR\] Failed to execute goal |^\[ERROR\] .*Non-resolvable |^\* What went wrong:"
    r"|^\[WARNING\] Rule \d+: .* failed with"
)
"""Where Maven and Gradle say themselves what failed."""

HELP = re.compile(
    r"^\[ERROR\] *$|^\[ERROR\] (?:To see the full stack trace|Re-run Maven using|For more information about the errors"
    r"|-> \[Help|\[Help \d+\]|After correcting the problems|  mvn <|Please refer to )|^\W*-+ *$|^\[INFO\] (?:-*"
    r"|BUILD FAILURE)$|^\[INFO\] *$"
    r"|^\[INFO\] (?:Total time|Finished at|Final Memory)|^\* Try:|^> (?:Run with|Get more help)|^Run with --"
    r"|^npm (?:ERR!|error)(?: 404| network)? *(?:$|A complete log|Note that|In most cases|This is a problem"
    r"|If you are|tarball,)"
    r"|^\s*at (?:java|jdk|sun|org\.junit|org\.apache\.maven|org\.codehaus\.plexus)\b",
)
"""Lines that help nobody who sees the rest of the log."""

END = re.compile(
    r"^\[INFO\] (?:BUILD FAILURE|Reactor Summary|\d+ errors?\b)|^\* Try:|^==> |^BUILD FAILED|^\[ERROR\] (?:\[Help"
    r"|Re-run|To see)|^RPM build errors:|^Executing\(|^\+ "
)
ERROR = re.compile(
    r"^\W*(?:ERROR|FATAL)\b|\berror(?:\[\w+\])?: |\bERR! |npm error|\*\*\* .*(?:Error|Stop)|^Exception in thread"
    r"|\bfatal: ",
    re.I,
)
TRACEBACK = re.compile(r"^\W*Traceback \(most recent call last\)")


def harmless(line: str) -> bool:
    """Whether a line is a warning, or help that tools print after every error."""
    return HELP.search(line) is not None or (WARNING.search(line) is not None and OUTPUT.search(line) is None)


def suspicious(line: str) -> bool:
    """Whether a line may tell why a build failed."""
    small = line.lower()
    return any(word in small for word in WORDS) and not BENIGN.match(line) and not harmless(line)
