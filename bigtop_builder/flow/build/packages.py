"""Packages that a container made, taken over before anything else looks at them."""

from __future__ import annotations

from pathlib import Path

from bigtop_builder.adapter.untrusted import take, walk
from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.model.errors import BuildError


def take_packages(bench: Workbench, below: str, suffix: str) -> list[Path]:
    """Move the packages in a folder of the box, however nested, into ``result/rpms``; return them sorted by name.

    What the check step reads and installs, and what the store keeps, are these very files, which no container can
    write. Raises BuildError.
    """
    into = bench.private("result") / "rpms"
    into.mkdir()
    found = [folder.inside(entry.name) for folder in walk(bench.box, below) for entry in folder.entries]
    for path in sorted(found):
        name = path.rpartition("/")[2]
        if name.endswith(suffix):
            if (into / name).exists():
                raise BuildError(f"the build made two packages of the name {name}")
            take(bench.box, f"{below}/{path}", into / name, bench.budget)
            if (into / name).is_symlink():
                raise BuildError(f"the build left a link in the place of the package {path}")
            (into / name).chmod(0o644)
    return sorted(into.iterdir())
