"""The web application: which address is answered by what."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Lifespan

from bigtop_builder.cli.views.html.page_renderer import LANGUAGES, STATIC, THEMES, texts
from bigtop_builder.cli.web.access import COOKIE, Guard, read_form
from bigtop_builder.cli.web.cluster_pages import ClusterPages
from bigtop_builder.cli.web.metrics import Figures, metrics
from bigtop_builder.cli.web.repository_pages import RepositoryPages
from bigtop_builder.cli.web.run_pages import RunPages
from bigtop_builder.cli.web.site import Site, language
from bigtop_builder.cli.web.stack_pages import StackPages
from bigtop_builder.model.errors import BigtopBuilderError, NothingSelectedError

YEAR = 365 * 24 * 3600


def application(site: Site) -> Starlette:
    """Return the application that shows a site."""
    runs, stack = RunPages(site), StackPages(site)
    repositories, clusters = RepositoryPages(site), ClusterPages(site)
    figures = Figures(site.index, repositories, clusters)
    shared = SharedPages(site)

    def show_metrics(_: Request) -> Response:
        return Response(metrics(figures), media_type="text/plain; version=0.0.4; charset=utf-8")

    routes = [
        Route("/", shared.start),
        Route("/runs", runs.runs),
        Route("/stream", runs.changes),
        Route("/runs/{run}", runs.run),
        Route("/runs/{run}/stream", runs.stream),
        Route("/runs/{run}/events.jsonl", runs.events),
        Route("/runs/{run}/junit.xml", runs.junit),
        Route("/runs/{run}/report.html", runs.report),
        Route("/runs/{run}/logs/{place:path}", runs.log),
        Route("/runs/{run}/follow/{place:path}", runs.follow_log),
        Route("/components", stack.components),
        Route("/components/{name}", stack.component),
        Route("/packages", stack.packages),
        Route("/packages/{file}", stack.package),
        Route("/repositories", repositories.repositories),
        Route("/repositories/{stack}/{platform}", repositories.repository),
        Route("/clusters", clusters.clusters),
        Route("/clusters/{name}", clusters.cluster),
        Route("/clusters/{name}/requests/{number:int}", clusters.request),
        Route("/metrics", show_metrics),
        Route("/preferences", shared.preferences),
        Route("/login", shared.login, methods=["GET", "POST"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    if site.actions is not None:
        routes.append(Route("/actions", shared.actions, methods=["GET", "POST"]))
    root = site.access.root
    made = Starlette(
        routes=[Mount(root, routes=routes)] if root else routes,
        middleware=[Middleware(Guard, access=site.access)],
        exception_handlers={HTTPException: shared.refused, BigtopBuilderError: shared.failed},
        lifespan=_started(site),
    )
    made.state.close = runs.close
    return made


class Server(uvicorn.Server):
    """Serves the application. Streams end before it does."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End."""
        await self.config.app.state.close()  # type: ignore[union-attr]
        await super().shutdown(sockets)


def _started(site: Site) -> Lifespan[Starlette]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await run_in_threadpool(site.index.rows)
        yield
        if site.actions is not None:
            site.actions.close()

    return lifespan


class SharedPages:
    """Handles what belongs to no section: the start, preferences, logging in, actions, errors."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def start(self, _: Request) -> Response:
        """Lead to the runs."""
        return RedirectResponse(f"{self.site.access.root}/runs")

    def preferences(self, request: Request) -> Response:
        """Keep a language or theme in a cookie, and lead back."""
        answer = RedirectResponse(self._back(request.query_params.get("back", "")), 303)
        for name, known in (("language", LANGUAGES), ("theme", THEMES)):
            value = request.query_params.get(name)
            if value is not None and value in known:
                answer.set_cookie(name, value, max_age=YEAR, samesite="lax", httponly=True)
        return answer

    def _back(self, path: str) -> str:
        """Return a path on this site to lead to, whatever was asked for."""
        own = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
        return self.site.access.root + (path if own else "/runs")

    async def login(self, request: Request) -> Response:
        """Ask for the token, and keep it in a cookie in a form that is of no use elsewhere."""
        access = self.site.access
        if request.method == "GET":
            back = request.query_params.get("back", "/runs")
            return self.site.page(request, "login.html", "", back=back, wrong=False)
        given = await read_form(request)
        back = given.get("back", ["/runs"])[0]
        if not access.is_token(given.get("token", [""])[0]):
            return self.site.page(request, "login.html", "", 403, back=back, wrong=True)
        answer = RedirectResponse(self._back(back), 303)
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, access.session, httponly=True, samesite="strict", secure=secure)
        return answer

    async def actions(self, request: Request) -> Response:
        """Show what can be started, or start or stop something."""
        if request.method == "GET":
            return await run_in_threadpool(self._actions_page, request)
        form = await self.site.access.form(request, request.scope["user"])
        if form is None:
            return self._actions_page(request, texts(language(request)).refused_form, 403)
        try:
            said = await run_in_threadpool(self._act, request, form)
        except BigtopBuilderError as error:
            return await run_in_threadpool(self._actions_page, request, str(error), 400)
        return await run_in_threadpool(self._actions_page, request, said)

    def _act(self, request: Request, form: dict[str, list[str]]) -> str:
        actions, t = self.site.actions, texts(language(request))
        assert actions is not None
        what, run = form.get("do", [""])[0], form.get("run", [""])[0]
        if what == "build":
            return t.started_says.format(actions.build(form.get("component", []), force="force" in form).command)
        if what == "deploy":
            started = actions.deploy(form.get("cluster", [""])[0], dry_run="dry_run" in form, agreed="agreed" in form)
            return t.started_says.format(started.command)
        if what == "rerun":
            return t.started_says.format(actions.rerun(run).command)
        if what == "cancel":
            actions.cancel(run)
            return t.cancelled_says.format(run)
        raise HTTPException(400)

    def _actions_page(self, request: Request, said: str = "", status: int = 200) -> Response:
        actions = self.site.actions
        assert actions is not None
        return self.site.page(
            request,
            "actions.html",
            "actions",
            status,
            said=said,
            failed=status >= 400,
            components=actions.components(),
            clusters=list(actions.clusters),
            started=actions.started[::-1],
        )

    def refused(self, request: Request, error: Exception) -> Response:
        """Show that there is no such page, or that a request is not as it should be."""
        assert isinstance(error, HTTPException)
        t = texts(language(request))
        title = t.not_found if error.status_code == 404 else error.detail
        return self.site.page(
            request, "error.html", "", error.status_code, status_text=title, title=title, detail="", hint=""
        )

    def failed(self, request: Request, error: Exception) -> Response:
        """Show an error that says what is wrong and what to do."""
        assert isinstance(error, BigtopBuilderError)
        status = 404 if isinstance(error, NothingSelectedError) else 500
        return self.site.page(
            request,
            "error.html",
            "",
            status,
            status_text=error.message,
            title=error.message,
            detail="",
            hint=error.hint or "",
        )
