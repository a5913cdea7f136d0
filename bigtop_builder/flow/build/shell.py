"""A shell in the container of a build that failed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bigtop_builder.adapter.containers.container import Mount
from bigtop_builder.adapter.containers.interactive import open_shell
from bigtop_builder.adapter.tools.site import SiteSettings, private_folder, site_files
from bigtop_builder.flow.build.failed_tree import ENTERED, FailedTree, failed_trees, reserved, sandbox_of
from bigtop_builder.flow.build.project import Project
from bigtop_builder.model.errors import ConfigurationError, NothingSelectedError
from bigtop_builder.recipe.document import near


def failed_builds(project: Project) -> list[dict[str, str]]:
    """Return the builds that ``shell`` can enter, newest first: task, component, platform, step and folder of each."""
    return [
        {**{name: tree.data[name] for name in ("task", "component", "platform", "step")}, "folder": str(tree.folder)}
        for tree in failed_trees(project.store)
    ]


def newest_failure(project: Project, component: str) -> FailedTree:
    """Return the newest failed build of a component, which may end in ``@PLATFORM``. Raises NothingSelectedError."""
    trees = failed_trees(project.store)
    name, _, platform = component.partition("@")
    chosen = [one for one in trees if one.data["component"] == name and platform in ("", one.data["platform"])]
    if not chosen:
        raise NothingSelectedError(
            f"there is no failed build of {component} to enter",
            hint=near(name, {one.data["component"] for one in trees}) or "Only failed builds are kept.",
        )
    return chosen[0]


def open_failed(project: Project, tree: FailedTree, command: tuple[str, ...] = ("bash",)) -> int:
    """Open the container of a failed build; return the exit code of the shell.

    Raises NothingSelectedError when a build takes it over or replaces it right now, EngineError.
    """
    with reserved(project.store, tree.folder, shared=True) as mine, private_folder() as private:
        if not mine:
            raise NothingSelectedError(f"a build is working with {tree}")
        (tree.folder / ENTERED).touch()
        site = _site(project, private)
        site_mounts = [Mount(host, inside) for host, places in site.mounts.items() for inside in places]
        box = sandbox_of(tree, project.store)
        box = replace(box, mounts=[*box.mounts, *site_mounts], environment={**box.environment, **site.environment})
        return open_shell(box, cwd=tree.data["cwd"], command=command)


def _site(project: Project, private: Path) -> SiteSettings:
    """Return the site's network for a shell: without Maven where nothing says which repository it has."""
    try:
        return site_files(project.file, private)
    except ConfigurationError:
        return site_files(project.file, private, without=("maven",))
