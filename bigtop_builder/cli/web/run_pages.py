"""Pages of runs: the list, one run, its logs, and what comes while it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from html import escape

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from bigtop_builder.cli.views.html.page_renderer import Language
from bigtop_builder.cli.views.html.report import report
from bigtop_builder.cli.views.html.timeline import columns
from bigtop_builder.cli.views.junit import junit
from bigtop_builder.cli.web.followed_run import FollowedRun
from bigtop_builder.cli.web.log_reader import LogFollower, LogLine, LogReader, find_log, lines
from bigtop_builder.cli.web.run_index import Filter
from bigtop_builder.cli.web.site import Site, language
from bigtop_builder.model.event import RunKind

PER_PAGE = 50
CHARTED = 60
LOOK = 1.0
"""Seconds between two looks at what a run or a log has gained."""
ALIVE = 15.0
"""Seconds after which a stream without news says that it lives."""
STATES = ("done", "failed", "running", "died")
SHARE = 50
"""Looks at a run leave a pause of so many times what they and the messages to viewers took of the processor: a long or
busy run costs a build no more than a short one."""


@dataclass
class _Watched:
    """A run that somebody has open: the task that looks for news, and how many wait for it."""

    run: FollowedRun
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Is set by the next news, and then replaced."""
    viewers: int = 0
    task: asyncio.Task[None] = field(init=False)

    def wake(self) -> None:
        """Wake all that wait for news."""
        news, self.news = self.news, asyncio.Event()
        news.set()


class RunPages:
    """Handles requests about runs."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._watched: dict[str, _Watched] = {}
        self._closed = False

    async def close(self) -> None:
        """End all streams, so that the server can end."""
        self._closed = True
        for watched in list(self._watched.values()):
            watched.wake()

    def runs(self, request: Request) -> Response:
        """Show the runs that a filter lets through, with their durations."""
        asked = request.query_params
        wanted = Filter(
            asked.get("kind", ""), asked.get("state", ""), asked.get("component", ""), asked.get("text", "")
        )
        found = [*self.site.index.matching(wanted)]
        try:
            number = max(int(asked.get("page", "1")), 1)
        except ValueError:
            number = 1
        ended = [one for one in found if one.exit_code is not None][:CHARTED][::-1]
        rows = self.site.index.rows()
        return self.site.page(
            request,
            "runs.html",
            "runs",
            rows=found[(number - 1) * PER_PAGE : number * PER_PAGE],
            total=len(found),
            number=number,
            last=max(-(-len(found) // PER_PAGE), 1),
            wanted=wanted,
            kinds=RunKind.__args__,  # type: ignore[attr-defined]
            states=STATES,
            components=sorted({name.partition("@")[0] for one in rows for name in one.components}),
            charted=ended,
            chart=columns([one.seconds for one in ended]),
            live_version=self.site.index.version,
        )

    def _run(self, request: Request) -> FollowedRun:
        found = self.site.runs.get(request.path_params["run"])
        if found is None:
            raise HTTPException(404)
        return found

    def run(self, request: Request) -> Response:
        """Show one run."""
        run = self._run(request)
        with run.lock:
            page = run.page()
            if not page.state.begun:
                return self.site.page(request, "no_record.html", "runs", run=run.folder.name, status_text=page.status)
            return self.site.page(request, "run.html", "runs", page=page, after=run.number)

    def events(self, request: Request) -> Response:
        """Hand out the log of events."""
        path = self._run(request).folder / "events.jsonl"
        if not path.is_file():
            raise HTTPException(404)
        name = f"{request.path_params['run']}-events.jsonl"
        return FileResponse(path, media_type="application/x-ndjson", filename=name)

    def junit(self, request: Request) -> Response:
        """Hand out the run as JUnit."""
        run = self._run(request)
        with run.lock:
            data = junit(run.recorded.state)
        return _download(data, "application/xml", f"{run.folder.name}-junit.xml")

    def report(self, request: Request) -> Response:
        """Hand out the run as one file."""
        run = self._run(request)
        with run.lock:
            text = report(run.recorded, language(request))
        return _download(text.encode(), "text/html; charset=utf-8", f"{run.folder.name}.html")

    # logs

    def log(self, request: Request) -> Response:
        """Show a part of a log, by default its end; or what a search finds."""
        run, place = self._run(request), request.path_params["place"]
        path = find_log(run.folder, place)
        if path is None:
            raise HTTPException(404)
        asked = request.query_params
        if "raw" in asked:
            return FileResponse(path, media_type="text/plain; charset=utf-8", filename=path.name)
        reader = LogReader(path)
        try:
            at = max(int(asked["at"]), 0) if asked.get("at") else None
        except ValueError:
            at = None
        text = asked.get("find", "")
        hits, more = reader.find(text) if text else ([], False)
        window = reader.window(at)
        return self.site.page(
            request,
            "log.html",
            "runs",
            run=run.folder.name,
            place=place,
            window=window,
            find=text,
            hits=hits,
            more=more,
            live=run.live and window.end == window.size,
            earlier=max(window.start - (96 << 10), 0) if window.start else None,
        )

    async def follow_log(self, request: Request) -> Response:
        """Stream what a log gains, line by line, until the run ends."""
        run = await run_in_threadpool(self._run, request)
        path = await run_in_threadpool(find_log, run.folder, request.path_params["place"])
        if path is None:
            raise HTTPException(404)
        try:
            after = int(request.headers.get("last-event-id") or request.query_params.get("after", "0"))
            number = int(request.query_params.get("line", "0"))
        except ValueError:
            raise HTTPException(400) from None
        return _stream(self._log_lines(run, LogFollower(path, max(after, 0)), number))

    async def _log_lines(self, run: FollowedRun, follower: LogFollower, number: int) -> AsyncIterator[str]:
        quiet = 0.0
        while not self._closed:
            live = run.live
            data = await run_in_threadpool(follower.gained)
            if data:
                quiet = 0.0
                gained = [*lines(data, number + 1)] if number else [replace(one, number=0) for one in lines(data, 1)]
                number = gained[-1].number
                yield _event("lines", "".join(map(_line, gained)), follower.offset)
            elif not live:
                yield _event("end", "", follower.offset)
                return
            else:
                quiet += LOOK
                if quiet >= ALIVE:
                    quiet = 0.0
                    yield ": alive\n\n"
            await asyncio.sleep(LOOK)
            await run_in_threadpool(run.look)

    # what comes while a run goes on

    async def stream(self, request: Request) -> Response:
        """Stream the parts of a run's page that change, from the event on after which the page was made."""
        run = await run_in_threadpool(self._run, request)
        try:
            after = int(request.headers.get("last-event-id") or request.query_params.get("after", "0"))
        except ValueError:
            raise HTTPException(400) from None
        return _stream(self._parts(run, max(after, 0), language(request)))

    async def _parts(self, run: FollowedRun, after: int, lang: Language) -> AsyncIterator[str]:
        watched = self._watch(run)
        watched.viewers += 1
        try:
            while True:
                # Taken before the run is looked at, so that no news between the two are missed.
                news = watched.news
                number, live = run.number, run.live
                if number > after:
                    text = await run_in_threadpool(run.message, after, lang, self.site.access.root)
                    after = number
                    yield _event("pieces", text, after)
                if not live:
                    yield _event("end", "", after)
                    return
                if self._closed:
                    return
                try:
                    async with asyncio.timeout(ALIVE):
                        await news.wait()
                except TimeoutError:
                    yield ": alive\n\n"
        finally:
            watched.viewers -= 1

    def _watch(self, run: FollowedRun) -> _Watched:
        """Return what tells that a run has gone on. One task looks, however many viewers there are."""
        name = run.folder.name
        watched = self._watched.get(name)
        # A run that others pushed out of memory was opened anew: the former watcher looks at the former one only.
        if watched is None or watched.task.done() or watched.run is not run:
            watched = self._watched[name] = _Watched(run)
            watched.task = asyncio.create_task(self._look(run, watched))
        return watched

    async def _look(self, run: FollowedRun, watched: _Watched) -> None:
        known, spent = -1, run.spent
        try:
            while run.live and watched.viewers:
                await run_in_threadpool(run.look)
                # Whoever opens the page looks too, so that this look may find nothing new, and yet there are news.
                if run.number != known:
                    known = run.number
                    watched.wake()
                before, spent = spent, run.spent
                await asyncio.sleep(max(LOOK, SHARE * (spent - before)))
        finally:
            watched.wake()
            if self._watched.get(run.folder.name) is watched:
                del self._watched[run.folder.name]

    async def changes(self, request: Request) -> Response:
        """Stream that the list of runs has changed."""

        async def changed() -> AsyncIterator[str]:
            known, quiet = self.site.index.version, 0.0
            yield ": alive\n\n"
            while not self._closed:
                await asyncio.sleep(LOOK)
                await run_in_threadpool(self.site.index.rows)
                quiet += LOOK
                if self.site.index.version != known:
                    known, quiet = self.site.index.version, 0.0
                    yield _event("runs", "changed", known)
                elif quiet >= ALIVE:
                    quiet = 0.0
                    yield ": alive\n\n"

        return _stream(changed())


def _line(line: LogLine) -> str:
    number = f'<span class="n">{line.number}</span>' if line.number else '<span class="n"></span>'
    return f'<span class="l{" bad" if line.bad else ""}">{number}{escape(line.text)}</span>'


@lru_cache(maxsize=8)
def _event(name: str, text: str, number: int) -> str:
    data = "".join(f"data: {line}\n" for line in text.replace("\r", "").split("\n"))
    return f"id: {number}\nevent: {name}\n{data}\n"


def _stream(events: AsyncIterator[str]) -> StreamingResponse:
    headers = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


def _download(data: bytes, kind: str, name: str) -> Response:
    return Response(data, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})
