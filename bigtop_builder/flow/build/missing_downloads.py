"""What a build without a network asked for and did not get, from what its tools printed."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from bigtop_builder.flow.build.log_lines import LONGEST_LINE, log_end

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

MISSING_POM = re.compile(r"The POM for (\S+) is missing, no dependency information available")


def missing_download(log: Path) -> str | None:
    """Return what the build asked for and did not get, from the end of the log of a build without a network."""
    text = log_end(log)
    found = [match for pattern in MISSING if (match := pattern.search(text))]
    return min(found, key=lambda match: match.start())[1].rstrip(".,;") if found else None


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
