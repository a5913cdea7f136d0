"""The executor of a Dask cluster: its workers carry out the orders, one for each slot of a worker."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bigtop_builder.adapter.dask_cluster.access import Access
from bigtop_builder.adapter.dask_cluster.client import connected
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.distributed.execution import DaskExecution
from bigtop_builder.flow.distributed.results import SharedResults
from bigtop_builder.flow.run.recorder import Bus
from bigtop_builder.model.base import seconds
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.event import Notice

if TYPE_CHECKING:
    from bigtop_builder.adapter.store import Run


class DaskExecutor:
    """Carries tasks out on the workers of a cluster; what they make goes through ``results``."""

    def __init__(self, access: Access, results: SharedResults) -> None:
        self._access = access
        self._results = results

    @contextmanager
    def open(
        self, project: Project, request: Request, run: Run, emit: Bus, cancelled: threading.Event
    ) -> Iterator[DaskExecution]:
        """See ``Executor.open``."""
        if request.from_shell is not None:
            raise ConfigurationError(
                "--from-shell takes over a tree of this machine, and this project builds on a cluster",
                hint="Run it on the worker that has the tree, or add --executor local.",
            )
        file = project.file.executor
        with connected(self._access) as cluster:
            execution = DaskExecution(
                cluster,
                self._results,
                project,
                run,
                emit,
                offline=request.offline,
                lease=seconds(file.lease),
                patience=seconds(file.patience),
                token=secrets.token_hex(4),
            )
            with execution.at_work(cancelled):
                where = f"; the engine's dashboard: {cluster.dashboard}" if cluster.dashboard else ""
                emit(Notice(text=f"building on {execution.described()} of {self._access.address}{where}"))
                yield execution
