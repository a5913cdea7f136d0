"""What tasks do with the tree of a failure: keep it, warn of its loss, take over what somebody finished in it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bigtop_builder.adapter.containers.container import LABEL, Sandbox
from bigtop_builder.adapter.store import remove_tree, write_atomically
from bigtop_builder.flow.build.failed_tree import CONTAINER, FAILED, FailedTree, failed_tree, reserved
from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.model.errors import BuildError


@contextmanager
def finished_tree(bench: Workbench) -> Iterator[FailedTree]:
    """Reserve the tree that an order takes over from a shell. Raises BuildError if it is gone, or a shell is open."""
    order, store = bench.order, bench.store
    tree = failed_tree(store, order.task)
    if tree is None or tree.data.get("key") != order.from_shell:
        raise BuildError(f"the tree of {order.task} that a shell could have finished is no longer in the store")
    with reserved(store, tree.folder) as mine:
        if not mine or _still_mounted(bench, tree):
            raise BuildError(
                f"a shell is still open in the tree of {order.task}",
                hint="Leave it, then run the command again: what others can still change is not taken over.",
            )
        yield tree


def _still_mounted(bench: Workbench, tree: FailedTree) -> bool:
    """Whether a container outlived the command that had opened it."""
    found = bench.worker.client.api.containers(filters={"label": [f"{LABEL}.task={tree.task}"]})
    sources = {mount.get("Source") for one in found for mount in one.get("Mounts", ())}
    return str(tree.box) in sources


def warn_of_tree(bench: Workbench) -> None:
    """Say before a build that a tree in which somebody worked is lost if the build fails as well."""
    tree = failed_tree(bench.store, bench.order.task)
    if tree is not None and tree.entered and bench.order.from_shell is None:
        bench.tell(
            f"{tree}, in which a shell was opened, is not used, and is replaced if this build fails as well; "
            f"to package it instead: bigtop-builder build {bench.order.component} --from-shell"
        )


def keep_tree(bench: Workbench, step: str) -> bool:
    """Keep the scratch of a failed task and the description of its last container, so that ``shell`` can enter it.

    Return whether it is kept.
    """
    if not bench.boxes or not bench.folder.is_dir():
        return False
    box, cwd = bench.boxes[-1]
    root = bench.store.root / FAILED
    place = root / bench.folder.name
    root.mkdir(mode=0o700, exist_ok=True)
    with reserved(bench.store, place) as mine:
        if not mine:
            bench.tell(f"the tree of this failure is not kept: a shell is open in that of an earlier one ({place})")
            return False
        former = failed_tree(bench.store, bench.order.task)
        if place.exists():
            remove_tree(place)
        description = _description(bench, box, cwd, step, place)
        bench.folder.rename(place)
        write_atomically(place / CONTAINER, json.dumps(description, indent=1) + "\n")
    name = bench.order.component
    use = f", build {name} --from-shell packages it" if bench.order.kind == "compile" else ""
    replaced = f"; it replaces {former}" if former is not None else ""
    bench.tell(f"the tree is kept until this task fails again: shell {name} enters it{use}{replaced}")
    return True


def _description(bench: Workbench, box: Sandbox, cwd: str, step: str, place: Path) -> dict[str, Any]:
    order, site = bench.order, bench.worker.sites.variables
    return {
        "task": order.task,
        "component": order.component,
        "platform": order.platform,
        "step": step,
        "run": bench.worker.run.id,
        "key": order.key,
        "ingredients": dict(order.ingredients),
        "started": bench.started,
        "failed": time.time(),
        "image": box.image,
        "cwd": cwd,
        "mounts": [
            [str(_moved(mount.host, bench.folder, place)), mount.inside, mount.read_only]
            for mount in box.mounts
            if not mount.inside.startswith(("/site", "/etc"))
        ],
        # The site's variables contain credentials: opening the shell generates them again.
        "environment": {name: value for name, value in box.environment.items() if name not in site},
        "network": box.network,
        "memory": box.memory,
        "cpus": box.cpus,
        "measured": None if box.measured is None else str(_moved(box.measured, bench.folder, place)),
        "user": asdict(box.user),
    }


def _moved(path: Path, former: Path, place: Path) -> Path:
    return place / path.relative_to(former) if path.is_relative_to(former) else path
