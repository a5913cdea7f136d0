"""What is removed from a host when its cluster is destroyed: stand-alone services, agent, packages, their folders.

Removes only what our deployments installed; data folders, accounts and the host's own settings stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from shlex import quote
from typing import TYPE_CHECKING

from bigtop_builder.hosts import standalone
from bigtop_builder.hosts.agent_user import SUDOERS
from bigtop_builder.hosts.facts import Wanted
from bigtop_builder.hosts.files import remove_file
from bigtop_builder.hosts.operation import KEPT, Operation
from bigtop_builder.hosts.packages import REPOSITORIES, remove_packages, repository_path
from bigtop_builder.hosts.services import restart_mark, service_stopped
from bigtop_builder.recipe.inventory import LoadedInventory

if TYPE_CHECKING:
    from bigtop_builder.hosts.facts import HostFacts

AGENT, SERVER = "ambari-agent", "ambari-server"
AMBARI_REPOSITORY = f"{REPOSITORIES}/ambari.repo"
STACK_ROOT = "/usr/bigtop"
AGENT_FOLDERS = (
    "/var/lib/ambari-agent/keys",
    "/var/lib/ambari-agent/data",
    "/var/lib/ambari-agent/cache",
    "/etc/ambari-agent",
)
SERVER_FOLDERS = ("/etc/ambari-server", "/var/lib/ambari-server")
AGENTS_REPOSITORIES = re.compile(re.escape(f"{REPOSITORIES}/ambari-bigtop-") + r"[^/]+\.repo")
"""The files that Ambari's agents write, one per repository version."""


def wanted(loaded: LoadedInventory, host: str) -> Wanted:
    """Return the facts that ``removal`` needs of a host."""
    daemons = _daemons(loaded, host)
    files = (
        STACK_ROOT,
        KEPT,
        *AGENT_FOLDERS,
        *SERVER_FOLDERS,
        AMBARI_REPOSITORY,
        SUDOERS,
        *(repository_path(entry.id) for entry in loaded.inventory.repositories),
        *(restart_mark(name) for name in daemons),
    )
    return standalone.wanted(loaded, host) | Wanted(files=files, services=daemons)


def removal(facts: HostFacts, loaded: LoadedInventory) -> tuple[Operation, ...]:
    """Plan to stop services, erase packages, and remove folders and repository files."""
    return tuple(_removal(facts, loaded))


def _removal(facts: HostFacts, loaded: LoadedInventory) -> Iterator[Operation]:
    daemons = _daemons(loaded, facts.name)
    for name in daemons:
        yield from service_stopped(facts, name)
    yield from standalone.removal(facts, loaded, facts.name)
    yield from remove_packages(facts, _packages(facts, loaded, daemons))
    folders = [
        STACK_ROOT,
        KEPT,
        *(AGENT_FOLDERS if AGENT in daemons else ()),
        *(SERVER_FOLDERS if SERVER in daemons else ()),
    ]
    for folder in folders:
        if folder in facts.files:
            yield Operation(f"remove {folder}", "the folder and everything in it", f"rm -rf {quote(folder)}")
    ours = {AMBARI_REPOSITORY, SUDOERS, *(repository_path(entry.id) for entry in loaded.inventory.repositories)}
    for path in sorted(facts.files):
        if (path in ours and (path != AMBARI_REPOSITORY or daemons)) or AGENTS_REPOSITORIES.fullmatch(path):
            yield from remove_file(facts, path)


def _daemons(loaded: LoadedInventory, host: str) -> tuple[str, ...]:
    """Ambari's own services, if we set them up."""
    setup = loaded.inventory.ambari.setup if loaded.inventory.ambari else None
    if setup is None:
        return ()
    return (AGENT, SERVER) if host == setup.host.lower() else (AGENT,)


def _packages(facts: HostFacts, loaded: LoadedInventory, daemons: tuple[str, ...]) -> list[str]:
    """Installed packages with the stack's suffix, Bigtop's tools, Ambari's own, and those of stand-alone entries."""
    stack = loaded.inventory.stack
    version = re.escape((stack.repository_version or stack.version).replace(".", "_"))
    ours = re.compile(rf"bigtop-.+|.+_{version}(-.+)?")
    named = {package for _, entry in standalone.entries_of(loaded, facts.name) for package in entry.packages}
    return sorted(name for name in facts.packages if name in named or name in daemons or ours.fullmatch(name))
