"""The executor that a project names: this machine, or a Dask cluster. Nothing of Dask is loaded for this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bigtop_builder.flow.build.local_executor import LocalExecutor
from bigtop_builder.model.errors import ConfigurationError

if TYPE_CHECKING:
    from bigtop_builder.adapter.dask_cluster.access import Access
    from bigtop_builder.adapter.dask_cluster.certificates import Part
    from bigtop_builder.adapter.results.shared_results import SharedResults
    from bigtop_builder.flow.build.executor import Executor
    from bigtop_builder.flow.build.project import Project
    from bigtop_builder.flow.build.steps import Packagings


def executor_of(project: Project, packagings: Packagings) -> Executor:
    """Return what carries out the tasks of a project. Raises ConfigurationError for a cluster that is not usable."""
    access = access_of(project, "client")
    if access is None:
        return LocalExecutor(packagings)

    from bigtop_builder.flow.distributed.executor import DaskExecutor

    access.check()
    return DaskExecutor(access, results_of(project))


def access_of(project: Project, part: Part) -> Access | None:
    """Return how a part of a cluster reaches the scheduler that a project names; None if it names none."""
    executor = project.file.executor
    if executor.dask is None:
        return None

    from bigtop_builder.adapter.dask_cluster.access import Access

    certificates = Path(executor.certificates) if executor.certificates is not None else None
    place = project.settings.place("executor", "dask")
    return Access(executor.dask, part, certificates, executor.insecure, place)


def results_of(project: Project) -> SharedResults:
    """Return the store of results that the machines of a cluster share. Raises ConfigurationError if none is named."""
    from bigtop_builder.flow.build.result_sharing import open_results

    results = open_results(project.settings)
    if results is None:
        raise ConfigurationError(
            "a cluster needs a store of results that all of its machines reach",
            hint="Name it as results.url in the project file.",
            location=project.settings.place("executor", "dask"),
        )
    return results
