"""Operations that switch a host to other packages, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from shlex import quote
from typing import TYPE_CHECKING

from bigtop_builder.hosts.files import write_file
from bigtop_builder.hosts.operation import KEPT, Operation
from bigtop_builder.hosts.standalone import SELECTOR

if TYPE_CHECKING:
    from bigtop_builder.hosts.facts import FileFacts

FORMER = f"{KEPT}/former-packages.json"
"""A file on a host: the packages that it had before an upgrade that has not finished."""

# yum's cached metadata may be older than the wanted release. An older release takes the command downgrade, with dnf
# as well.
VERSIONS = """yum -q clean expire-cache
yum -y install {words} || true
rpm -q {words} >/dev/null || yum -y downgrade {words}
rpm -q {words}
"""


def note_former(facts: FileFacts, text: str) -> tuple[Operation, ...]:
    """Plan to record the installed packages before anything changes. The facts must include ``FORMER``."""
    return write_file(facts, FORMER, text.encode(), mode="0600")


def forget_former() -> Operation:
    """Return the operation that removes the record after the upgrade."""
    return Operation("end of the upgrade", f"{FORMER} removed", f"rm -f {FORMER}")


def set_packages(
    wanted: Mapping[str, str], present: Mapping[str, str], *, restarts: Iterable[str] = ()
) -> tuple[Operation, ...]:
    """Plan packages at these EVRs, in one transaction. ``present``: the installed ones, to show the difference.

    ``restarts``: services outside Ambari that use these packages.
    """
    if not wanted:
        return ()
    words = [f"{name}-{evr}" for name, evr in sorted(wanted.items())]
    changes = [f"{name} {present.get(name, 'none')} -> {evr}" for name, evr in sorted(wanted.items())]
    name = f"install {' '.join(words[:4])}" + (f" and {len(words) - 4} more" if len(words) > 4 else "")
    script = VERSIONS.format(words=" ".join(map(quote, words)))
    return (Operation(name, "\n".join(changes), script, restarts=tuple(restarts)),)


# schematool -info fails if the schema is not that of the program.
SCHEMA = """tool={tool}
as_hive() {{ su -s /bin/bash hive -c "HIVE_CONF_DIR=/etc/hive/conf $tool -dbType {kind} $1"; }}
if as_hive -info; then echo "the schema is current"; else as_hive -upgradeSchema; fi
"""


def upgrade_hive_schema(home: str, kind: str) -> Operation:
    """Return the operation that brings the schema of Hive's metastore to the Hive in ``home``, if it is older.

    ``kind``: the database, as Ambari calls it (``hive-env/hive_database_type``).
    """
    script = SCHEMA.format(tool=quote(f"{home}/bin/schematool"), kind=quote(kind))
    return Operation(
        "schema of Hive's metastore",
        f"{home}/bin/schematool -dbType {kind} -upgradeSchema, if -info finds it older: there is no way back from that "
        "but a dump of the database",
        script,
    )


def set_selected(wanted: Mapping[str, str], present: Mapping[str, str]) -> tuple[Operation, ...]:
    """Plan the links of the selector, in one operation. ``present``: the current ones, to show the difference."""
    if not wanted:
        return ()
    script = "\n".join(f"{SELECTOR} set {quote(name)} {quote(version)}" for name, version in sorted(wanted.items()))
    changes = [f"{name} {present.get(name, 'none')} -> {version}" for name, version in sorted(wanted.items())]
    return (Operation(f"select {', '.join(sorted(set(wanted.values())))}", "\n".join(changes), script),)
