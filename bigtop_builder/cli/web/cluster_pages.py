"""Pages of clusters: what runs did to them, and for those with an inventory how they are now."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bigtop_builder.adapter.ambari.errors import NotFoundError
from bigtop_builder.adapter.ambari.progress import RequestView
from bigtop_builder.cli.views.html.run_page import Matrix, matrices
from bigtop_builder.cli.web.run_index import RunRow
from bigtop_builder.cli.web.site import Site
from bigtop_builder.flow.deploy.cluster_requests import newest_requests, request_with_tasks
from bigtop_builder.flow.deploy.status import ClusterStatus, read_status
from bigtop_builder.model.errors import BigtopBuilderError

STATUS_SECONDS = 15.0
"""How old a status may become while somebody looks at it."""
ASKING = 4
"""How many pages may wait for Ambari at once."""
RUNS = 50
PREPARING = ("prepare", "check")
"""The phases whose work on hosts is shown."""


@dataclass
class Watched:
    """The status of a cluster as it was last read, or why it could not be."""

    status: ClusterStatus | None = None
    requests: Sequence[RequestView] = ()
    error: str = ""
    read: float = 0.0
    reading: bool = False


@dataclass(frozen=True)
class ClusterRow:
    """A cluster in the list."""

    name: str
    last: RunRow | None
    inventory: str


class ClusterPages:
    """Handles requests about clusters. A status is read aside: no page waits for a server that does not answer."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._watched = {name: Watched() for name in site.inventories}
        self._lock = threading.Lock()
        self._asking = threading.BoundedSemaphore(ASKING)

    def watched(self, name: str, *, wait: bool = False) -> Watched:
        """Return the status of a cluster with an inventory, and have it read again if it is old."""
        one = self._watched[name]
        with self._lock:
            due = not one.reading and (not one.read or time.monotonic() - one.read > STATUS_SECONDS)
            one.reading = one.reading or due
        if due and wait:
            self._read(name, one)
        elif due:
            threading.Thread(target=self._read, args=(name, one), name=f"status of {name}", daemon=True).start()
        return one

    def _read(self, name: str, one: Watched) -> None:
        try:
            loaded = self.site.inventories[name]
            status = read_status(loaded, self.site.settings)
            one.requests = newest_requests(loaded, self.site.settings) if status.exists else ()
            one.status, one.error = status, ""
        except BigtopBuilderError as error:
            one.status, one.requests, one.error = None, (), f"{error.message}\n{error.hint or ''}".strip()
        finally:
            one.read, one.reading = time.monotonic(), False

    def rows(self) -> list[ClusterRow]:
        """Return the clusters with an inventory, and those that runs worked on."""
        last: dict[str, RunRow] = {}
        for run in self.site.index.rows():
            if run.cluster:
                last.setdefault(run.cluster, run)
        names = [*self.site.inventories, *(name for name in last if name not in self.site.inventories)]
        files = {name: str(loaded.file) for name, loaded in self.site.inventories.items()}
        return [ClusterRow(name, last.get(name), files.get(name, "")) for name in names]

    def clusters(self, request: Request) -> Response:
        """Show all clusters."""
        return self.site.page(request, "clusters.html", "clusters", rows=self.rows())

    def cluster(self, request: Request) -> Response:
        """Show one cluster."""
        name = request.path_params["name"]
        runs = [one for one in self.site.index.rows() if one.cluster == name]
        known = name in self.site.inventories
        if not runs and not known:
            raise HTTPException(404)
        watched = self.watched(name) if known else Watched()
        prepared_by, preparation = self._preparation(runs)
        return self.site.page(
            request,
            "cluster.html",
            "clusters",
            name=name,
            watched=known,
            status=watched.status,
            requests=watched.requests,
            error=watched.error,
            age=time.monotonic() - watched.read,
            runs=runs[:RUNS],
            prepared_by=prepared_by,
            preparation=preparation,
        )

    def request(self, request: Request) -> Response:
        """Show a request of Ambari: its tasks, and what one of them printed."""
        name, number = request.path_params["name"], request.path_params["number"]
        loaded = self.site.inventories.get(name)
        if loaded is None:
            raise HTTPException(404)
        try:
            task = int(request.query_params["task"]) if "task" in request.query_params else None
        except ValueError:
            raise HTTPException(404) from None
        # A server that does not answer keeps a few threads of the pages at most.
        if not self._asking.acquire(blocking=False):
            raise HTTPException(503)
        try:
            shown, tasks = request_with_tasks(loaded, self.site.settings, number, task)
        except NotFoundError:
            raise HTTPException(404) from None
        finally:
            self._asking.release()
        output = next((one for one in tasks if one.id == task), None)
        if task is not None and output is None:
            raise HTTPException(404)
        return self.site.page(request, "request.html", "clusters", name=name, shown=shown, tasks=tasks, output=output)

    def _preparation(self, runs: list[RunRow]) -> tuple[str, list[Matrix]]:
        """Return the newest run that changed or checked hosts, as matrices of hosts by operations."""
        for row in runs[:RUNS]:
            run = self.site.runs.get(row.id)
            if run is None:
                continue
            with run.lock:
                found = [
                    one
                    for name, phase in run.page().state.deploy.phases.items()
                    if name in PREPARING
                    for one in matrices(phase, row.id)
                ]
            if found:
                return row.id, found
        return "", []
