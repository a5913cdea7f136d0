"""``ambari.properties``: parsed, and changed in place."""

from __future__ import annotations

from collections.abc import Mapping
from shlex import quote

from bigtop_builder.hosts.operation import Operation

NAME = "ambari-server"
PROPERTIES = "/etc/ambari-server/conf/ambari.properties"


def parse_properties(text: str) -> dict[str, str]:
    """Parse ``ambari.properties`` as Java does, except for line continuations, which Ambari never writes."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        line = line.strip()
        if not line or line[0] in "#!":
            continue
        end = next((index for index, sign in enumerate(line) if sign in "=:" and line[index - 1] != "\\"), len(line))
        value = line[end + 1 :].strip()
        found[line[:end].strip()] = value.replace("\\:", ":").replace("\\=", "=")
    return found


_SET = r"""file={file}
new=$(mktemp "$file.XXXXXX")
trap 'rm -f "$new"' EXIT
awk 'NR == FNR {{ key = substr($0, 1, index($0, "=") - 1); want[key] = substr($0, index($0, "=") + 1); next }}
    {{ name = $0; sub(/^[ \t]+/, "", name); sub(/[ \t]*[=:].*/, "", name) }}
    name in want {{ if (!(name in done)) print name "=" want[name]; done[name] = 1; next }}
    {{ print }}
    END {{ for (name in want) if (!(name in done)) print name "=" want[name] }}' \
    <(printf '%s\n' {pairs}) "$file" > "$new"
chmod --reference="$file" "$new"
chown --reference="$file" "$new"
mv -f "$new" "$file"
"""


def set_properties(now: Mapping[str, str], wanted: Mapping[str, str]) -> list[Operation]:
    """Return an operation that sets the differing keys of ``ambari.properties`` and keeps the rest; none if all match.

    Not for secrets: the operation shows the values.
    """
    differing = {key: value for key, value in wanted.items() if now.get(key) != value}
    if not differing:
        return []
    pairs = " ".join(quote(f"{key}={value}") for key, value in differing.items())
    detail = "\n".join(f"{key}: {now.get(key, 'not set')} -> {value}" for key, value in differing.items())
    script = _SET.format(file=PROPERTIES, pairs=pairs)
    return [Operation(f"set {', '.join(differing)} of Ambari", detail, script, restarts=(NAME,))]
