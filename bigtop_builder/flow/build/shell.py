"""A shell in the container of a build that failed."""

from __future__ import annotations

import json
from pathlib import Path

from bigtop_builder.adapter.containers.container import Mount, Sandbox, User
from bigtop_builder.adapter.containers.interactive import open_shell
from bigtop_builder.adapter.tools.site import private_folder, site_files
from bigtop_builder.flow.build.project import Project
from bigtop_builder.flow.build.task_runner import CONTAINER, FAILED
from bigtop_builder.model.errors import NothingSelectedError
from bigtop_builder.recipe.document import near


def failed_builds(project: Project) -> list[dict[str, str]]:
    """Return the builds that ``shell`` can enter, newest first: task, component, platform, step and folder of each."""
    root = project.store.root / FAILED
    found = sorted(root.glob(f"*/{CONTAINER}"), key=lambda path: path.stat().st_mtime, reverse=True)
    descriptions = []
    for path in found:
        data = json.loads(path.read_text(encoding="utf-8"))
        descriptions.append({name: data[name] for name in ("task", "component", "platform", "step")})
        descriptions[-1]["folder"] = str(path.parent)
    return descriptions


def open_failed(project: Project, component: str, command: tuple[str, ...] = ("bash",)) -> int:
    """Open the container of a component's newest failed build; return the exit code of the shell.

    ``component`` may end in ``@PLATFORM``. Raises NothingSelectedError when there is no such build, EngineError.
    """
    builds = failed_builds(project)
    name, _, platform = component.partition("@")
    chosen = [one for one in builds if one["component"] == name and platform in ("", one["platform"])]
    if not chosen:
        raise NothingSelectedError(
            f"there is no failed build of {component} to enter",
            hint=near(name, {one["component"] for one in builds}) or "Only failed builds are kept.",
        )
    folder = Path(chosen[0]["folder"])
    data = json.loads((folder / CONTAINER).read_text(encoding="utf-8"))
    with private_folder() as private:
        site = site_files(project.file, private)
        site_mounts = [Mount(host, inside) for host, places in site.mounts.items() for inside in places]
        box = Sandbox(
            image=data["image"],
            run="shell",
            task=data["task"],
            store=project.store.root,
            user=User(**data["user"]),
            mounts=[
                *(Mount(Path(host), inside, read_only) for host, inside, read_only in data["mounts"]),
                *site_mounts,
            ],
            environment={**data["environment"], **site.environment},
            network=data["network"],
            memory=data["memory"],
            cpus=data["cpus"],
            measured=data["measured"] and Path(data["measured"]),
        )
        return open_shell(box, cwd=data["cwd"], command=command)
