"""What all pages share: the store, the settings, the inventories, and how a page is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from starlette.requests import Request
from starlette.responses import HTMLResponse

from bigtop_builder import __version__
from bigtop_builder.adapter.store import Store
from bigtop_builder.cli.views.html.page_renderer import LANGUAGES, THEMES, Language, Theme, WebLinks, render
from bigtop_builder.cli.web.access import Access
from bigtop_builder.cli.web.followed_run import FollowedRuns
from bigtop_builder.cli.web.run_index import RunIndex
from bigtop_builder.recipe.settings import Settings

if TYPE_CHECKING:
    from bigtop_builder.cli.web.actions import Actions
    from bigtop_builder.recipe.inventory import LoadedInventory

T = TypeVar("T")


class Kept(Generic[T]):
    """Values that take time to find, by key: found again when they are older than ``seconds``."""

    def __init__(self, seconds: float, most: int = 64) -> None:
        self._seconds = seconds
        self._most = most
        self._found: dict[Hashable, tuple[float, T]] = {}
        self._lock = Lock()

    def get(self, key: Hashable, find: Callable[[], T]) -> T:
        """Return the value of a key. One that is not there yet is found once, however many ask."""
        with self._lock:
            at, value = self._found.get(key, (0.0, None))
            if value is None or time.monotonic() - at > self._seconds:
                value = find()
                if len(self._found) >= self._most:
                    del self._found[min(self._found, key=lambda one: self._found[one][0])]
                self._found[key] = (time.monotonic(), value)
            return value


@dataclass
class Site:
    """A web site over one store. ``inventories`` are those of clusters that are asked for their status."""

    store: Store
    settings: Settings
    access: Access = field(default_factory=Access)
    inventories: Mapping[str, LoadedInventory] = field(default_factory=dict)
    actions: Actions | None = None
    index: RunIndex = field(init=False)
    runs: FollowedRuns = field(init=False)

    def __post_init__(self) -> None:
        self.index = RunIndex(self.store)
        self.runs = FollowedRuns(self.store)

    @property
    def links(self) -> WebLinks:
        """The addresses of pages."""
        return WebLinks(self.access.root)

    def page(self, request: Request, template: str, section: str, code: int = 200, **context: Any) -> HTMLResponse:
        """Return a page. Paths, language and theme come from the request."""
        user = request.scope.get("user") or ""
        shared = {
            "section": section,
            "path": request.url.path.removeprefix(self.access.root)
            + (f"?{request.url.query}" if request.url.query else ""),
            "theme": theme(request),
            "version": __version__,
            "user": user if user != "token" else "",
            "now": time.time(),
            "actions": self.access.actions,
            "csrf": self.access.csrf(user) if self.access.actions else "",
        }
        text = render(template, language(request), self.links, **(shared | context))
        return HTMLResponse(text, code)


def language(request: Request) -> Language:
    """Return the language of a request: the chosen one, else what the browser prefers of ours."""
    chosen = request.query_params.get("lang") or request.cookies.get("language")
    for known in LANGUAGES:
        if known == chosen:
            return known
    for part in request.headers.get("accept-language", "").split(","):
        for known in LANGUAGES:
            if part.strip().lower().startswith(known):
                return known
    return "en"


def theme(request: Request) -> Theme:
    """Return the theme that was chosen; ``auto`` follows the browser."""
    chosen = request.cookies.get("theme")
    return next((known for known in THEMES if known == chosen), "auto")
