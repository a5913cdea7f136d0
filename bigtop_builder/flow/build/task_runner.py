"""What one run shares between its tasks, and how one task is carried out."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bigtop_builder.adapter.containers.engine import connect
from bigtop_builder.adapter.containers.image import SiteAccess, Workshop, ensure
from bigtop_builder.adapter.containers.image_recipe import ImageSpec, image_key
from bigtop_builder.adapter.containers.image_record import recorded
from bigtop_builder.adapter.sources import Fetcher
from bigtop_builder.adapter.sources.web import ca_bundle, proxies
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.adapter.store import Run, remove_tree, translated, write_atomically
from bigtop_builder.adapter.tools.addresses import Addresses
from bigtop_builder.adapter.tools.site import private_folder, site_files
from bigtop_builder.adapter.tools.super_pom import super_pom
from bigtop_builder.flow.bigtop.compile_task import compile_bigtop
from bigtop_builder.flow.build.compile_task import compile_component
from bigtop_builder.flow.build.dead_runs import clear_dead_runs
from bigtop_builder.flow.build.diagnosis import DISK_FULL, diagnose, tail
from bigtop_builder.flow.build.package_task import package_component
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.result import Result, stored_result
from bigtop_builder.flow.build.workbench import Shared, StepFailedError, Workbench
from bigtop_builder.flow.run.recorder import Recorder
from bigtop_builder.model.build_tools import debian
from bigtop_builder.model.errors import (
    BigtopBuilderError,
    ConfigurationError,
    EngineError,
    InterruptedRunError,
    SourceError,
    StoreError,
)
from bigtop_builder.model.event import Artifact, Failure, Notice
from bigtop_builder.plan.task import Plan, Task
from bigtop_builder.recipe.bigtop.tree import packaging_of

if TYPE_CHECKING:
    from docker import DockerClient

LOCK_POLL_SECONDS = 0.3
LOG_LIMIT = 8 << 20

FAILED = "failed"
"""The folder of the store that keeps the scratch of the last failure of each task, for ``shell``."""


@contextmanager
def open_shared(
    project: Project, request: Request, run: Run, emit: Recorder, cancelled: threading.Event
) -> Iterator[Shared]:
    """Connect what a run needs; clear what dead runs left behind first.

    Raises EngineError when no engine answers, ConfigurationError for a secret or bundle that cannot be read.
    """
    client = connect()
    try:
        store = project.store
        for told in clear_dead_runs(store, client):
            emit(Notice(text=told))
        with private_folder() as folder:
            shop, fetcher, addresses = _suppliers(project, request, run, emit, client, cancelled)
            site = site_files(project.file, folder, addresses, offline=request.offline)
            yield Shared(project, run, client, site, fetcher, emit, cancelled, shop, request.offline)
    finally:
        client.close()


def _suppliers(
    project: Project,
    request: Request,
    run: Run,
    emit: Recorder,
    client: DockerClient,
    cancelled: threading.Event,
) -> tuple[Workshop, Fetcher, Addresses]:
    """Images are made with fetched files, and on a host without Maven the first image tells where to fetch from."""
    file = project.file
    embedded = project.builder_platform

    def pom() -> str:
        if embedded is None:
            raise ConfigurationError(
                "the address of Maven Central is not known on a machine without Maven",
                hint="Install Maven, or name a mirror under mirrors.maven in the project file.",
            )
        emit(Notice(text="no Maven on this machine: the address of Maven Central is read out of Debian's package"))
        with LogWriter(run.log("images", "super-pom"), LOG_LIMIT) as log:
            return super_pom(shop, ensure(shop, project.package_image(embedded), log), log)

    addresses = Addresses(file.mirrors, super_pom=pom)
    fetcher = Fetcher(project.store.root, file, offline=request.offline, addresses=addresses)
    shop = Workshop(
        client=client,
        store=project.store,
        site=SiteAccess(
            debian_mirror=_debian(addresses, request) if embedded else "",
            proxies=proxies(file.network),
            ca_bundle=ca_bundle(file.network),
            ca_configured=file.network.ca_bundle is not None,
        ),
        run=run.id,
        fetch=lambda source: fetcher.fetch(source, base=run.folder, cancelled=cancelled).path,
        cancelled=cancelled,
    )
    return shop, fetcher, addresses


def _debian(addresses: Addresses, request: Request) -> str:
    """A closed site makes no images, so that it need not know of a mirror."""
    try:
        return debian.mirror(addresses)
    except ConfigurationError:
        if request.offline:
            return ""
        raise


def prepare_images(shared: Shared, plan: Plan, *, for_all: bool = False) -> bool:
    """Make the images that the plan's tasks need, with ``for_all`` those of reused ones too.

    True when a fingerprint is not the one the plan was made with.
    """
    project = shared.project
    before: dict[str, str | None] = {}
    for task in plan.tasks:
        for spec in _image_specs(project, task) if for_all or task.action == "build" else ():
            key = image_key(spec)
            if key not in before:
                known = recorded(project.store, key)
                before[key] = known.fingerprint if known else None
                with Workbench(shared, task).step("image") as log:
                    ensure(shared.shop, spec, log)
    after = {key: record.fingerprint if (record := recorded(project.store, key)) else None for key in before}
    return before != after


def _image_specs(project: Project, task: Task) -> list[ImageSpec]:
    evaluated = task.evaluated
    if task.kind == "compile":
        return [project.image_spec(evaluated, "compile")] if evaluated.compile_step == "container" else []
    return [project.image_spec(evaluated, "package"), project.host_spec(evaluated)]


def carry_out(bench: Workbench) -> list[Artifact]:
    """The steps of a task; the packages that it gives. Raises StepFailedError."""
    task = bench.task
    if task.kind == "package":
        return package_component(bench)
    if task.evaluated.packaging == "bigtop":
        compile_bigtop(bench, packaging_of(task.evaluated))
    else:
        compile_component(bench)
    return []


def execute(shared: Shared, task: Task, rerun: str) -> Result:
    """Carry out one task. Failures of the task are in the result."""
    store = shared.project.store
    started = time.monotonic()
    bench = Workbench(shared, task)
    try:
        with translated(store.root), _key_lock(shared, task):
            if store.has(task.kind, task.key) and "asked for" not in task.reasons:
                return stored_result(store, task)
            artifacts = carry_out(bench)
            store.record_last(task.id, task.key, task.ingredients, time.monotonic() - started)
        return Result(task, "done", tuple(artifacts), notes=tuple(bench.notes))
    except InterruptedRunError:
        return Result(task, "cancelled")
    except BigtopBuilderError as error:
        failure = failure_of(error, rerun)
        if _worth_entering(error, failure):
            # The failure itself is what the user must hear of.
            with suppress(OSError):
                _keep_for_shell(bench, error)
        return Result(task, "failed", failure=failure, notes=tuple(bench.notes))
    finally:
        # A large tree takes seconds to remove, which only the run's end has to wait for.
        threading.Thread(target=_clear, args=(bench.folder,), name="clear").start()


def _clear(folder: Path) -> None:
    with suppress(OSError):
        remove_tree(folder)


@contextmanager
def _key_lock(shared: Shared, task: Task) -> Iterator[None]:
    """Only one run builds a key; another waits for it and then finds the result."""
    told = False
    while True:
        with shared.project.store.locked(f"{task.kind}-{task.key}", wait=False) as mine:
            if mine:
                yield
                return
        if not told:
            told = True
            shared.emit(Notice(text="waiting for another run that builds the same", task=task.id))
        if shared.cancelled.wait(LOCK_POLL_SECONDS):
            raise InterruptedRunError(f"{task.id} was interrupted")


def failure_of(error: BigtopBuilderError, rerun: str) -> Failure:
    """The digest of a failure: step, probable cause, last lines, log and the command that repeats it."""
    if isinstance(error, StepFailedError):
        # Only what a build says can be read as a cause; the engine, the store and sources speak for themselves.
        own = isinstance(error.cause, EngineError | StoreError | SourceError)
        found = None if own else diagnose(error.log, error.message)
        return Failure(
            step=error.step,
            message=str(error.location) + ": " + error.message if error.location else error.message,
            cause=found[0] if found else None,
            hint=error.hint or (found[1] if found else None),
            last_lines=tail(error.log),
            log=str(error.log),
            rerun=rerun,
            exit_code=error.exit_code,
        )
    return Failure(step="run", message=error.message, hint=error.hint, rerun=rerun, exit_code=error.exit_code)


def _worth_entering(error: BigtopBuilderError, failure: Failure) -> bool:
    """Not without an engine, and not when the scratch is what fills the disk."""
    cause = error.cause if isinstance(error, StepFailedError) else error
    return not isinstance(cause, EngineError | StoreError) and failure.cause != DISK_FULL


def _keep_for_shell(bench: Workbench, error: BigtopBuilderError) -> None:
    """Keep the scratch of a failed task, and how its last container was made, so that ``shell`` can enter it."""
    if not bench.boxes or not bench.folder.is_dir():
        return
    box, cwd = bench.boxes[-1]
    root = bench.store.root / FAILED
    place = root / bench.folder.name
    root.mkdir(exist_ok=True)
    if place.exists():
        remove_tree(place)
    site = set(bench.shared.site.environment)
    description = {
        "task": bench.task.id,
        "component": bench.evaluated.name,
        "platform": bench.evaluated.target.platform.name,
        "step": error.step if isinstance(error, StepFailedError) else "run",
        "image": box.image,
        "cwd": cwd,
        "mounts": [
            [str(mount.host), mount.inside, mount.read_only]
            for mount in box.mounts
            if not mount.host.is_relative_to(bench.folder) and not mount.inside.startswith(("/site", "/etc"))
        ],
        # What the site injects holds credentials: it is made anew when the shell is opened.
        "environment": {name: value for name, value in box.environment.items() if name not in site},
        "network": box.network,
        "memory": box.memory,
        "cpus": box.cpus,
        "user": asdict(box.user),
    }
    bench.folder.rename(place)
    write_atomically(place / "shell.json", json.dumps(description, indent=1) + "\n")
