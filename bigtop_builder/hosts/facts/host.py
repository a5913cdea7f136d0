"""Facts of a host together: the script that gathers them, and its output parsed."""

from __future__ import annotations

from typing import Self

from pydantic import ValidationError

from bigtop_builder.hosts.facts.ambari import AmbariFacts
from bigtop_builder.hosts.facts.conditions import ConditionFacts
from bigtop_builder.hosts.facts.fact import Fact, FactGroup, Rows, Wanted
from bigtop_builder.hosts.facts.files import FileFacts
from bigtop_builder.hosts.facts.java import JavaFacts
from bigtop_builder.hosts.facts.kernel import KernelFacts
from bigtop_builder.hosts.facts.machine import MachineFacts
from bigtop_builder.hosts.facts.network import NetworkFacts
from bigtop_builder.hosts.facts.packages import PackageFacts
from bigtop_builder.hosts.facts.services import ServiceFacts
from bigtop_builder.hosts.facts.users import UserFacts
from bigtop_builder.model.errors import HostError

# Look-ups and HTTP requests may be slow. They start first and run alongside the rest; each of their lines is written
# in one piece, and read at the end. The shell's own lines wait for one another: each write is a message of SSH, which
# costs both sides more than the line. Those of a subshell cannot wait: what it keeps is lost with it.
BEGIN = r"""set +e +u; cd /
rows=
flush() { printf %s "$rows"; rows=; }
emit() {
    local IFS=$'\t'
    if [ "$BASHPID" != "$$" ]; then printf '%s\n' "$*"; return; fi
    rows+=$*$'\n'
    [ "${#rows}" -lt 16384 ] || flush
}
now() { if [ -n "$EPOCHREALTIME" ]; then clock=${EPOCHREALTIME/,/.}; else clock=$(date +%s.%N); fi; }
now; emit facts 1 "$clock"
readers=()
"""

BACKGROUND = """exec {{reader}}< <(
{fragment}
)
readers+=("$reader")
"""

END = r"""
for reader in "${readers[@]}"; do
    while IFS= read -r value; do printf '%s\n' "$value"; done <&"$reader"
done
now; emit end "$clock"; flush
"""


class Gathered(FactGroup):
    """What is known about a host at one moment. A class with this and some groups gathers only their facts:

    class Some(FileFacts, UserFacts, Gathered): ...

    Each group costs processes on the host, and that of names may wait for DNS.
    """

    name: str
    """The host's name in the inventory."""
    clock: float
    """Seconds since 1970 when the facts were complete."""
    clock_skew: float | None = None
    """Seconds by which the host is ahead of this machine; None if the round trip was not timed."""
    clock_precision: float = 0.0
    """Seconds by which ``clock_skew`` may be wrong."""

    @classmethod
    def script(cls, wanted: Wanted) -> str:
        """Compose the bash script whose output ``parse`` reads. It changes nothing and always exits with 0."""
        facts: dict[str, Fact] = {fact.fragment: fact for _, fact in cls.declared() if fact.matters(wanted)}
        slow = [BACKGROUND.format(fragment=fact.fragment) for fact in facts.values() if fact.background]
        return "\n".join(
            [BEGIN, wanted.arrays(), *slow, *(fact.fragment for fact in facts.values() if not fact.background), END]
        )

    @classmethod
    def parse(cls, name: str, stdout: str, *, began: float | None = None, ended: float | None = None) -> Self:
        """Parse the output of ``script``.

        ``name``: the host's name in the inventory. ``began`` and ``ended``: this machine's clock before and after the
        round trip, in seconds since 1970. Raises HostError if the output is incomplete or malformed.
        """
        rows = Rows(stdout)
        if len(rows.of("facts")) != 1 or len(rows.of("end")) != 1:
            last = " ".join(stdout.split("\n")[-2:])[-200:]
            raise HostError(f"{name}: its facts are incomplete: {last or 'no output'}")
        try:
            values = {field: fact.parse(rows) for field, fact in cls.declared()}
            return cls.model_validate({"name": name, **_clock(rows, began, ended), **values})
        except (ValueError, IndexError, KeyError) as error:
            what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else repr(error)
            raise HostError(f"{name}: its facts are malformed: {what}") from error


class SoftwareFacts(PackageFacts, ServiceFacts, FileFacts, ConditionFacts, Gathered):
    """What packages, files and services are planned from, once a host is set up."""


class HostFacts(
    MachineFacts,
    KernelFacts,
    NetworkFacts,
    JavaFacts,
    UserFacts,
    AmbariFacts,
    SoftwareFacts,
):
    """All facts of a host. What could not be found out is None or missing, never a guess."""


def _clock(rows: Rows, began: float | None, ended: float | None) -> dict[str, float]:
    """The host's clock and its skew.

    The host's reading lies somewhere between ``began`` and ``ended``: half of the time that the script itself did not
    use is what the skew may be wrong by.
    """
    first, last = float(rows.required("facts")[1]), float(rows.required("end")[0])
    if began is None or ended is None:
        return {"clock": last}
    in_transit = max(0.0, (ended - began) - (last - first))
    skew = (first + last) / 2 - (began + ended) / 2
    return {"clock": last, "clock_skew": skew, "clock_precision": in_transit / 2}
