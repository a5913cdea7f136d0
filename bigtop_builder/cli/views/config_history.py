"""The history of configurations as text."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bigtop_builder.cli.text_format import clean, columns
from bigtop_builder.cluster.config_history import change_lines

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.config_history import ServiceVersion
    from bigtop_builder.cli.invocation import Invocation
    from bigtop_builder.flow.deploy.config_history import ConfigHistory


def history_text(history: ConfigHistory, invocation: Invocation) -> str:
    """Return the versions as lines, the current ones marked with ``*``; below them the difference, if there is one."""
    if not history.versions:
        return f"Ambari keeps no versions of the cluster {history.cluster}"
    lines = columns([_row(one) for one in history.versions]).splitlines()
    if history.compared is None:
        return "\n".join(lines)
    first, second = history.compared
    shown = [
        invocation.paint(clean(line), "red" if line.startswith("-") else "green")
        for line in change_lines(history.changes)
    ]
    return "\n".join([*lines, "", *(shown or [f"versions {first} and {second} have the same properties"])])


def _row(one: ServiceVersion) -> list[str]:
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(one.created)) if one.created else ""
    mark = "*" if one.current else " "
    return [mark, one.service, str(one.version), when, clean(one.user), clean(one.group), clean(one.note)]
