"""A run in the log of GitHub Actions or GitLab CI: plain lines, with a task's lines in a group that folds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from bigtop_builder.cli.text_format import Line, clean, one_line
from bigtop_builder.cli.views.closing import failure_groups, group_digest, group_title
from bigtop_builder.cli.views.plain import Command, PlainView
from bigtop_builder.flow.run.build_state import TaskState
from bigtop_builder.flow.run.state import RunState
from bigtop_builder.model.event import Notice


def view_for(environment: Mapping[str, str]) -> type[PlainView]:
    """Return the view for the pipeline that the environment variables belong to, if any."""
    if environment.get("GITHUB_ACTIONS") == "true":
        return GitHubView
    return GitLabView if environment.get("GITLAB_CI") == "true" else PlainView


class GitHubView(PlainView):
    """Folds with ``::group::``, and shows warnings and errors as annotations of the pipeline's page."""

    full_logs = True

    def group(self, task: TaskState, title: str, inside: Iterable[str]) -> Iterator[str]:
        """Yield the lines about a task that has ended, folded."""
        yield Command(f"::group::{one_line(title)}")
        yield from inside
        yield Command("::endgroup::")

    def annotation(self, level: str, title: str, text: str) -> str:
        """Return a warning or an error as a command that annotates the page."""
        shown = "%0A".join(one_line(line.replace("%", "%25")) for line in text.split("\n"))
        name = one_line(title.replace("%", "%25").replace(":", "%3A").replace(",", "%2C"))
        return Command(f"::{level} title={name}::{shown}" if name else f"::{level}::{shown}")

    def notice(self, event: Notice) -> Iterator[str]:
        """Yield a notice of a build. An error is shown here as well, since the page needs it."""
        if event.level == "error":
            yield self.annotation("error", event.task or "", clean(event.text))
        else:
            yield from super().notice(event)

    def closing(self, state: RunState) -> Iterator[Line]:
        """Yield an annotation for each cause of failures, then the last words."""
        for group in failure_groups(state.build.components()):
            text = "\n".join(line for line, _ in group_digest(group))
            yield self.annotation("error", group_title(group), text), ""
        yield from super().closing(state)


class GitLabView(PlainView):
    """Folds with the section markers of GitLab's job log."""

    full_logs = True

    def group(self, task: TaskState, title: str, inside: Iterable[str]) -> Iterator[str]:
        """Yield the lines about a task that has ended, folded."""
        section = re.sub(r"[^A-Za-z0-9_.-]", "-", task.planned.task)
        started = int(task.started or 0)
        ended = int((task.started or 0) + task.seconds)
        yield Command(f"\x1b[0Ksection_start:{started}:{section}[collapsed=true]\r\x1b[0K{one_line(title)}")
        yield from inside
        yield Command(f"\x1b[0Ksection_end:{ended}:{section}\r\x1b[0K")
