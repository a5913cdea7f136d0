"""Ambari's own daemons."""

from __future__ import annotations

from typing import Annotated

from bigtop_builder.hosts.facts.fact import Fact, FactGroup, firsts

# systemd does not know: administrators and this tool start the daemons with their own commands. The files may lack the
# line end without which read sets the value but fails.
DAEMONS = r"""
for one in ambari-server ambari-agent; do
    value=
    read -r value 2>/dev/null < "/var/run/$one/$one.pid"
    [ -n "$value" ] && kill -0 "$value" 2>/dev/null && emit runs "$one"
done
"""


class AmbariFacts(FactGroup):
    """Ambari's own daemons."""

    ambari_daemons: Annotated[frozenset[str], Fact(DAEMONS, firsts("runs"))] = frozenset()
    """Those of ``ambari-server`` and ``ambari-agent`` that are running."""
