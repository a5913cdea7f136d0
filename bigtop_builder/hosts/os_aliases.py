"""The aliases in ``os_family.json`` of Ambari's server and agents, by which they know systems that it does not list."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from shlex import quote
from typing import TYPE_CHECKING

from bigtop_builder.hosts.operation import Operation
from bigtop_builder.hosts.os_families import family_of

if TYPE_CHECKING:
    from bigtop_builder.hosts.facts import HostFacts

OS_FAMILY_FILES: Mapping[str, str] = {
    name: f"/usr/lib/{name}/lib/ambari_commons/resources/os_family.json" for name in ("ambari-agent", "ambari-server")
}
"""By package: its list of operating systems."""

# Agents of 2.7 run with Python 2, the others with 3: the script suits both. The file keeps owner and mode.
_ALIAS = """file={file}
for python in python3 python2 python /usr/libexec/platform-python; do
    command -v "$python" >/dev/null || continue
    "$python" -c '
import json, sys
path, alias, family = sys.argv[1:]
with open(path) as stream:
    data = json.load(stream)
data.setdefault("aliases", {{}})[alias] = family
text = json.dumps(data, indent=2)
with open(path, "w") as stream:
    stream.write(text + "\\n")
' "$file" {alias} {family}
    exit 0
done
echo "Python is missing" >&2
exit 1
"""


def tell_ambari(facts: HostFacts, package: str) -> Iterator[Operation]:
    """Plan the alias that a server or an agent needs on this host. The facts must include its file."""
    family = family_of(facts.os_id, facts.os_version)
    path = OS_FAMILY_FILES[package]
    if family is None or family.alias is None or _aliases(facts, path).get(family.alias) == family.name:
        return
    script = _ALIAS.format(file=quote(path), alias=quote(family.alias), family=quote(family.name))
    yield Operation(
        f"let {package} know {family.alias}",
        f"{path}: aliases: + {family.alias}: {family.name}",
        script,
        restarts=(package,),
    )


def _aliases(facts: HostFacts, path: str) -> Mapping[str, object]:
    file = facts.files.get(path)
    try:
        data = json.loads(file.text) if file and file.text else {}
    except ValueError:
        return {}
    aliases = data.get("aliases") if isinstance(data, dict) else None
    return aliases if isinstance(aliases, dict) else {}
