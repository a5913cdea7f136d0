"""Ambari's requests and tasks: read them with little traffic, and abort them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from bigtop_builder.adapter.ambari.connection import Connection, Json, listed, required
from bigtop_builder.adapter.ambari.progress import RequestView, unfinished
from bigtop_builder.adapter.ambari.query import all_of, any_of, fields, one_of, path

NEWEST = 1000
"""Number of requests to read; by default Ambari lists the newest 20."""
TASK_PAGE = 1000
OUTPUT_PAGE = 20
"""Tasks whose output is fetched in one call: one may have megabytes."""
_REQUEST_FIELDS = fields(
    "Requests",
    "request_context request_status progress_percent task_count queued_task_count completed_task_count "
    "failed_task_count aborted_task_count timed_out_task_count create_time start_time end_time "
    "pending_host_request_count",
)
_TASK_FIELDS = fields(
    "Tasks", "request_id host_name role command command_detail status start_time end_time attempt_cnt stage_id"
)
_OUTPUT_FIELDS = fields("Tasks", "stdout stderr output_log error_log")


@dataclass(frozen=True)
class TaskView:
    """A task, without its exit code, which is 0 for failed and aborted tasks too.

    ``start`` and ``end`` are seconds since the epoch by the server's clock, or None before that point. The last four
    are empty unless the output was requested; ``stdout_log`` and ``stderr_log`` are paths on the host.
    """

    id: int
    request: int
    stage: int
    host: str
    role: str
    command: str
    detail: str
    status: str
    attempts: int
    start: float | None
    end: float | None
    stdout: str = ""
    stderr: str = ""
    stdout_log: str = ""
    stderr_log: str = ""


class RequestCalls(Connection):
    """``/clusters/…/requests`` and, with ``cluster`` None, ``/requests``."""

    def request(self, cluster: str | None, id: int) -> RequestView:
        """Return one request: a small response, whatever its number of tasks. Raises NotFoundError."""
        return request_view(self.get(_requests(cluster, id), fields=_REQUEST_FIELDS, minimal=True))

    def requests(
        self, cluster: str | None, *, unfinished_only: bool = False, newest: int = NEWEST
    ) -> list[RequestView]:
        """Return the newest requests by id. Raises NotFoundError for an unknown cluster.

        A logical request is only listed while it waits for its first host; then its physical requests are.
        """
        query = f"to=end&page_size={newest}"
        found = self.get(_requests(cluster), fields=_REQUEST_FIELDS, query=query, minimal=True)
        views = sorted((request_view(item) for item in listed(required(found, "items"))), key=lambda view: view.id)
        return unfinished(views) if unfinished_only else views

    def tasks(
        self,
        cluster: str | None,
        id: int,
        *,
        statuses: Collection[str] = (),
        ended_since: float | None = None,
        ids: Collection[int] = (),
        with_output: bool = False,
    ) -> Iterator[TaskView]:
        """Yield the tasks of a request, with one page in memory at a time.

        ``statuses`` and ``ended_since`` (seconds by the server's clock) select tasks in one of the statuses or ended
        since then; ``ids`` selects tasks by id. ``with_output`` fetches their output.
        """
        changed = [one_of("Tasks/status", sorted(statuses))] if statuses else []
        if ended_since is not None:
            changed.append(f"Tasks/end_time>={int(ended_since * 1000)}")
        query = all_of(
            changed[0] if len(changed) == 1 else any_of(changed) if changed else "",
            one_of("Tasks/id", sorted(ids)) if ids else "",
        )
        requested = f"{_TASK_FIELDS},{_OUTPUT_FIELDS}" if with_output else _TASK_FIELDS
        return self._task_pages(
            f"{_requests(cluster, id)}/tasks", requested, query, OUTPUT_PAGE if with_output else TASK_PAGE
        )

    def _task_pages(self, where: str, requested: str, query: str, size: int) -> Iterator[TaskView]:
        """Page by id instead of position.

        For tasks the server cuts a page twice, so that with ``from`` every page after the first is empty, and
        ``itemTotal`` is the size of one page (2.7, 2.8, 3.0: HostRoleCommandDAO.findAll).
        """
        last = 0
        while True:
            page = all_of(query, f"Tasks/id>{last}" if last else "", f"sortBy=Tasks/id.asc&page_size={size}")
            found = listed(required(self.get(where, fields=requested, query=page, minimal=True), "items"))
            fresh = [view for view in (task_view(item["Tasks"]) for item in found) if view.id > last]
            yield from fresh
            if not fresh or len(found) < size:
                return
            last = max(view.id for view in fresh)

    def abort(self, cluster: str | None, id: int, reason: str) -> None:
        """Abort a physical request, if it is not over.

        For a logical request this stops nothing: abort its physical ones, and use ``remove_pending_hosts``.
        """
        body = {"Requests": {"request_status": "ABORTED", "abort_reason": reason or "aborted"}}
        self.put(_requests(cluster, id), body)

    def remove_pending_hosts(self, cluster: str, id: int) -> None:
        """Make a logical request stop waiting for missing hosts. Raises InvalidRequestError for other requests."""
        self.put(_requests(cluster, id), {"Requests": {"remove_pending_host_requests": True}})


def request_view(item: Json) -> RequestView:
    """Parse a request."""
    about = item.get("Requests", {})
    context = about.get("request_context") or ""
    pending = about.get("pending_host_request_count")

    def count(name: str) -> int:
        return int(about.get(f"{name}_task_count") or 0)

    return RequestView(
        id=int(required(about, "id")),
        context=context,
        status=required(about, "request_status") or "",
        percent=float(about.get("progress_percent") or 0.0),
        tasks=int(about.get("task_count") or 0),
        queued=count("queued"),
        completed=count("completed"),
        failed=count("failed"),
        aborted=count("aborted"),
        timed_out=count("timed_out"),
        pending_hosts=int(pending or 0),
        logical=pending is not None or context.startswith("Logical Request"),
        create=_seconds(about.get("create_time")),
        start=_seconds(about.get("start_time")),
        end=_seconds(about.get("end_time")),
    )


def task_view(about: Json) -> TaskView:
    """Parse a task."""
    return TaskView(
        id=int(about["id"]),
        request=int(about.get("request_id") or 0),
        stage=int(about.get("stage_id") or 0),
        host=about.get("host_name") or "",
        role=about.get("role") or "",
        command=about.get("command") or "",
        detail=about.get("command_detail") or "",
        status=required(about, "status") or "",
        attempts=int(about.get("attempt_cnt") or 0),
        start=_seconds(about.get("start_time")),
        end=_seconds(about.get("end_time")),
        stdout=about.get("stdout") or "",
        stderr=about.get("stderr") or "",
        stdout_log=about.get("output_log") or "",
        stderr_log=about.get("error_log") or "",
    )


def _requests(cluster: str | None, id: int | None = None) -> str:
    parts: list[str | int] = ["clusters", cluster, "requests"] if cluster is not None else ["requests"]
    return path(*parts, *([id] if id is not None else []))


def _seconds(value: Any) -> float | None:
    return value / 1000 if isinstance(value, int | float) and value > 0 else None
