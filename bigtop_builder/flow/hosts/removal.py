"""Uninstall what deployments put on hosts: the last part of ``destroy``."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from bigtop_builder.flow.hosts.facts import gather
from bigtop_builder.flow.hosts.operations import Emit, WorkResult, apply
from bigtop_builder.hosts.removal import removal, wanted
from bigtop_builder.recipe.inventory import LoadedInventory

if TYPE_CHECKING:
    from bigtop_builder.adapter.ssh.fleet import Fleet


def uninstall(
    loaded: LoadedInventory, fleet: Fleet, emit: Emit, *, dry_run: bool, gone: Collection[str] = ()
) -> WorkResult:
    """Remove the stack from all hosts that are not ``gone``; with ``dry_run`` only report what would be removed."""
    needed = {host.name: wanted(loaded, host.name) for host in loaded.hosts if host.name not in gone}
    facts, lost = gather(fleet, needed, phase="destroy", emit=emit)
    plan = {host: removal(known, loaded) for host, known in facts.items()}
    done = apply(fleet, plan, phase="destroy", emit=emit, dry_run=dry_run)
    return WorkResult(failed=lost).joined(done)
