"""The command import: comparing with a Bigtop tree, and starting from one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bigtop_builder.cli import options
from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.model.errors import ConfigurationError, ExitCode

if TYPE_CHECKING:
    from bigtop_builder.flow.bigtop.packaging import BigtopTreePackaging
    from bigtop_builder.flow.bigtop.spec_query import ReadSpec
    from bigtop_builder.flow.build.project import Project
    from bigtop_builder.flow.build.worker import Worker
    from bigtop_builder.model.source import Source


def import_(
    invocation: Invocation,
    tree: Annotated[str, typer.Argument(metavar="bigtop:PATH", help="A checkout or a release archive of Bigtop.")],
    component: Annotated[str, typer.Argument(metavar="COMPONENT", help="A component in its bill of materials.")],
    platform: Annotated[
        str | None,
        typer.Option(
            "--platform", "-p", metavar="NAME", help="The default is the project's first.", show_default=False
        ),
    ] = None,
    lock: Annotated[
        bool,
        typer.Option("--lock", help="Fetch its source and trust it: the digest goes into bigtop-sources.lock.yaml."),
    ] = False,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write", metavar="DIR", help="An overlay: write a component file there to start from.", show_default=False
        ),
    ] = None,
) -> None:
    """Show how our packages of a component differ from those of a Bigtop tree."""
    from bigtop_builder.flow.bigtop.comparison import compare_with_bigtop, read_bigtop_spec
    from bigtop_builder.flow.bigtop.packaging import tree_packaging
    from bigtop_builder.flow.open_project import open_project
    from bigtop_builder.flow.publish.package_compare import as_text
    from bigtop_builder.recipe.evaluate import Target

    if tree == options.OWN:
        raise ConfigurationError(
            f"{tree!r} is not bigtop:PATH", hint="For example: bigtop-builder import bigtop:../bigtop zookeeper"
        )
    project = open_project(options.settings_with(invocation, tree))
    chosen = platform or project.file.platforms[0]
    labelled = project.platform(chosen)
    bigtop = tree_packaging(project)
    packaging = bigtop.component(component)
    if lock:
        _lock(invocation, project, bigtop, component)
        return
    own = open_project(options.without_packaging(project.settings))
    known = component in own.catalog.component_files
    if write is not None and known:
        raise ConfigurationError(
            f"{component} already has a component file", hint="Leave out --write to compare the two."
        )
    with _engine(project) as worker:
        if known:
            found = compare_with_bigtop(worker, own, project, packaging, component, chosen)
            invocation.say(f"compared {found.basis}")
            invocation.answer(as_text(found.differences), [asdict(difference) for difference in found.differences])
            if any(difference.explained is None for difference in found.differences):
                raise typer.Exit(ExitCode.PUBLISH)
            return
        builder = project.platform(project.builder_platform or chosen)
        read = read_bigtop_spec(worker, project, packaging, Target(labelled, builder, project.arch))
    invocation.answer(_packages_text(read), [dict(header) for header in read.headers])
    if write is not None:
        from bigtop_builder.flow.bigtop.skeleton import write_skeleton

        file = write_skeleton(invocation.cwd / write, packaging, read, _source(invocation, bigtop, component))
        invocation.say(f"wrote {file}; add {write} to 'overlays' in the project file")


def _packages_text(read: ReadSpec) -> str:
    lines: list[str] = []
    for header in read.headers:
        name = header["name"]
        lines.append(f"{name} {header['version']}-{header['release']} {header['arch']}: {header['summary']}")
        lines += [f"  requires {need}" for need in sorted(set(filter(None, header["requires"].split("\x1e"))))]
        lines += [f"  file     {entry.path}" for entry in read.files.get(name, [])]
    return "\n".join(lines)


@contextmanager
def _engine(project: Project) -> Iterator[Worker]:
    """Open what containers need, for work that is not recorded as a run."""
    from bigtop_builder.flow.build.project import Request
    from bigtop_builder.flow.build.worker import open_worker
    from bigtop_builder.flow.run.recorder import Recorder

    run = project.store.open().start_run()
    try:
        with open_worker(project, Request(), run, Recorder(lambda _: None, None), threading.Event()) as worker:
            yield worker
    finally:
        run.close()


def _lock(invocation: Invocation, project: Project, bigtop: BigtopTreePackaging, name: str) -> None:
    """Fetch a component's source, and write its digest or commit into the lock file."""
    from bigtop_builder.adapter.sources.first_use import commit_of, fetch_first, places
    from bigtop_builder.adapter.store import write_atomically
    from bigtop_builder.recipe.bigtop.pins import LOCK_FILE, LockedSource, lock_text
    from bigtop_builder.recipe.bigtop.source import addresses, apache_path

    component = bigtop.bom.component(name)
    store, cancelled = project.store.open(), threading.Event()
    if component.git is not None:
        found = commit_of(project.file, component.git.repository, component.git.reference, cancelled)
    elif component.download is not None:
        where = places(project.file, apache_path(bigtop.bom, component), addresses(component))
        found = fetch_first(store.root, project.file, where, cancelled)
    else:
        raise ConfigurationError(f"{name} has no source: Bigtop builds it from its own files")
    locked = LockedSource(address=found.address, sha512=found.sha512, commit=found.commit)
    file = project.settings.root / LOCK_FILE
    write_atomically(file, lock_text(bigtop.lock, name, component.base_version, locked))
    invocation.say(f"warning: {found.address} was trusted as downloaded; compare it with what the project publishes")
    invocation.answer(
        f"{name} {component.base_version}: {found.sha512 or found.commit}", locked.model_dump(exclude_none=True)
    )


def _source(invocation: Invocation, bigtop: BigtopTreePackaging, name: str) -> Source | None:
    """Return the source for a component file; None, with a message, when its digest is unknown."""
    from bigtop_builder.model.errors import RecipeError

    try:
        return bigtop.source(bigtop.bom.component(name))
    except RecipeError as error:
        invocation.say(f"the file has no source: {error.message}. {error.hint or ''}".rstrip())
        return None
