"""A run as one file that needs nothing else: for artifacts of pipelines, and for mail."""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from bigtop_builder import __version__
from bigtop_builder.cli.text_format import LogText
from bigtop_builder.cli.views.html.page_renderer import STATIC, Language, anchor, render
from bigtop_builder.cli.views.html.run_page import RunPage, log_place
from bigtop_builder.cli.views.junit import junit
from bigtop_builder.flow.run.records import RecordedRun, log_files

SHARE, SHARE_OF_FAILED = 16 << 10, 256 << 10
"""How much of the end of a log is in the file: of one that went well, and of a failed step."""
LARGEST = 16 << 20
"""Bytes of logs that a report has at most; those of failed steps come first."""


@dataclass(frozen=True)
class ReportLog:
    """The end of a log."""

    place: str
    size: int
    text: str

    @property
    def left_out(self) -> bool:
        """Whether the log is longer."""
        return self.size > len(self.text.encode())


class ReportLinks:
    """In a report, logs are further down and nothing else is there."""

    root = ""

    def __init__(self, places: set[str]) -> None:
        self._places = places

    def log(self, run: str, place: str | None) -> str | None:
        """The place of a log in the file."""
        return f"#log-{anchor(place)}" if place in self._places and place else None

    def run(self, run: str) -> str | None:
        """Nothing: other runs are not in the file."""

    def component(self, name: str) -> str | None:
        """Nothing."""

    def package(self, name: str) -> str | None:
        """Nothing."""

    def cluster(self, name: str) -> str | None:
        """Nothing."""

    def download(self, run: str, name: str) -> str | None:
        """Nothing: what can be saved is named at the top."""


def report(run: RecordedRun, language: Language = "en") -> str:
    """Return the page of a run with its style and the ends of its logs."""
    page = RunPage(run.state, run.status, time.time())
    logs = _logs(run)
    style = (STATIC / "style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    xml = base64.b64encode(junit(run.state)).decode()
    return render(
        "report.html",
        language,
        ReportLinks({log.place for log in logs}),
        page=page,
        logs=logs,
        style=Markup(style),
        style_digest=digest,
        downloads=[(f"{run.id}-junit.xml", f"data:application/xml;base64,{xml}")],
        version=__version__,
    )


def _logs(run: RecordedRun) -> list[ReportLog]:
    wanted: dict[str, bool] = {}
    for _, log in run.state.deploy.logs():
        wanted[log] = True
    for task in run.state.build.tasks.values():
        for step in task.steps.values():
            if step.log:
                wanted[step.log] = step.ok is False or (task.failure is not None and task.failure.log == step.log)
    found, left = {}, LARGEST
    for log, failed in sorted(wanted.items(), key=lambda item: not item[1]):
        place = log_place(log, run.id)
        if place is None or left <= 0:
            continue
        share = min(SHARE_OF_FAILED if failed else SHARE, left)
        parts = log_files(run.folder / "logs" / place)
        size = sum(part.stat().st_size for part in parts)
        if size:
            data = b"".join(_end(part, share) for part in parts)[-share:]
            left -= len(data)
            found[log] = ReportLog(place, size, LogText({}, colour=False).feed(data, last=True))
    return [found[log] for log in wanted if log in found]


def _end(path: Path, share: int) -> bytes:
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(size - share, 0))
        return stream.read(share)
