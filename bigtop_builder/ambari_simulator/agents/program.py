"""What agents know about a component: its files and folders, how to start, stop, monitor and check it.

Commands, users and paths are those that Ambari's own scripts were recorded with (137, 159, 554).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bigtop_builder.ambari_simulator.engine.work import Context

if TYPE_CHECKING:
    from bigtop_builder.recipe.sandbox import Sandbox

JAVA_HOME = "/usr/lib/jvm/java"
"""The JAVA_HOME of hosts; the test bed's image links it there."""


@dataclass(frozen=True)
class HostFile:
    """A file that an agent writes."""

    path: str
    content: str
    owner: str = "root"
    group: str = "root"
    mode: str = "0644"


@dataclass(frozen=True)
class Program:
    """How to run a service's components. Scripts are bash; ``start`` etc. belong to one component.

    ``prepare``: run before files are written (folders, users); ``status``: exit 0 while the process lives.
    """

    files: Callable[[Context, str, str], list[HostFile]]
    prepare: Callable[[Context, str], str]
    start: Callable[[Context, str], str]
    stop: Callable[[Context, str], str]
    status: Callable[[Context, str], str]
    check: Callable[[Context], str]


def filled(template: str, values: Mapping[str, Any]) -> str:
    """Render the ``content`` of a configuration with the values that its scripts provide; unknown ones are empty."""
    from bigtop_builder.recipe.meter import metered

    with metered():
        return _sandbox().from_string(template).render(values)


@lru_cache(maxsize=1)
def _sandbox() -> Sandbox:
    from bigtop_builder.recipe.sandbox import Sandbox

    return Sandbox(keep_trailing_newline=True)


def lives(pid_file: str) -> str:
    """Return a script that exits 0 while the process of a pid file is alive."""
    return f'pid=$(cat {pid_file} 2>/dev/null) && [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null'


def waited(pid_file: str, seconds: int = 15) -> str:
    """Return a script that waits until the process of a pid file is alive, and reports it as an agent does."""
    return (
        f"for turn in $(seq {seconds}); do if {lives(pid_file)}; then break; fi; sleep 1; done\n"
        f'{lives(pid_file)} || {{ echo "the process of {pid_file} does not live" >&2; exit 1; }}\n'
        f'echo "Component has started with pid(s): $(cat {pid_file})"\n'
    )
