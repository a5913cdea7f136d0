"""Where downloads go: the configured address, else the site's cache, else the preset, else what the host's clients use.

The addresses of public registries are never written down: each is read at run time from the client that owns it
(Maven's super POM, pip's index, apt's or debootstrap's mirror).
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from bigtop_builder.adapter.tools.debian_mirror import debian_mirror
from bigtop_builder.adapter.tools.maven_central import maven_central
from bigtop_builder.model.base import Credentials
from bigtop_builder.model.build_tools.registry import DOWNLOADS
from bigtop_builder.model.build_tools.tool import MavenMirror
from bigtop_builder.model.mirrors import Mirrors

CLIENT_TIMEOUT = 30
"""Seconds."""


class ThisHost:
    """The clients of this machine: ``model.build_tools.tool.Host``.

    ``super_pom`` returns the text of Maven's super POM when the machine has no Maven, for example from a container
    image.
    """

    def __init__(self, super_pom: Callable[[], str] | None = None) -> None:
        self._super_pom = super_pom

    def variable(self, name: str) -> str | None:
        """Return an environment variable."""
        return os.environ.get(name)

    def output(self, command: list[str]) -> str | None:
        """Run a command and return what it prints; None when it is missing, fails or takes too long."""
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=CLIENT_TIMEOUT, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout if done.returncode == 0 else None

    def maven_central(self) -> str:
        """Return the address of Maven Central. Raises ConfigurationError when it is unknown."""
        return maven_central(super_pom=self._super_pom)

    def debian_mirror(self) -> str:
        """Return the address of a Debian mirror. Raises ConfigurationError when it is unknown."""
        return debian_mirror()


class Addresses:
    """The addresses of one project: ``model.build_tools.tool.AddressBook``. Thread-safe.

    A client of the host is asked at most once. For ``super_pom`` see ``ThisHost``.
    """

    def __init__(self, mirrors: Mirrors, *, super_pom: Callable[[], str] | None = None) -> None:
        self._mirrors = mirrors
        self._host = ThisHost(super_pom)
        self._found: dict[str, str | None] = {}
        self._lock = threading.RLock()

    def without_credentials(self) -> Addresses:
        """Return the same addresses without users and passwords."""
        other = _Anonymous(self._mirrors)
        other._host, other._found, other._lock = self._host, self._found, self._lock
        return other

    @property
    def preset(self) -> str:
        """The name of the preset."""
        return self._mirrors.preset

    @property
    def redirects(self) -> bool:
        """False when each tool keeps its own defaults."""
        return self.preset != "none"

    def configured(self, name: str) -> Any:
        """Return a field of ``mirrors``; None or empty when the user left it out."""
        return getattr(self._mirrors, name, None)

    def cached(self, name: str) -> str | None:
        """Return the address of a download in the site's cache."""
        cache = self._mirrors.cache
        place: str | None = getattr(cache, name, None)
        if cache is None or place is None:
            return None
        path = place.strip("/") if "/" in place else f"repository/{place}{DOWNLOADS[name].below}"
        return f"{cache.url.rstrip('/')}/{path}"

    def public(self, name: str) -> str | None:
        """Return the address of a download in the preset."""
        return DOWNLOADS[name].presets.get(self.preset)

    def own(self, name: str) -> str | None:
        """Return the address that the host's client uses; None if it has none of its own.

        Raises ConfigurationError when it is unknown.
        """
        find = DOWNLOADS[name].own
        if find is None:
            return None
        with self._lock:
            if name not in self._found:
                self._found[name] = find(self._host)
            return self._found[name]

    def address(self, name: str) -> str | None:
        """Return the address of a download; None leaves the tool its own default. Raises ConfigurationError."""
        found = self.configured(name) or self.cached(name) or self.public(name)
        return found or (self.own(name) if self.redirects else None)

    def credentials(self, address: str) -> Credentials | None:
        """Return the credentials of the site's cache if ``address`` is in it."""
        cache = self._mirrors.cache
        if cache is not None and f"{address}/".startswith(cache.url.rstrip("/") + "/"):
            return cache.credentials
        return None


class _Anonymous(Addresses):
    def configured(self, name: str) -> Any:
        found = super().configured(name)
        if isinstance(found, list):
            return [_without_login(one) for one in found]
        return _without_login(found) if isinstance(found, str) else found

    def cached(self, name: str) -> str | None:
        found = super().cached(name)
        return found and _without_login(found)

    def own(self, name: str) -> str | None:
        found = super().own(name)
        return found and _without_login(found)

    def credentials(self, address: str) -> Credentials | None:
        return None


Place = TypeVar("Place", str, MavenMirror)


def _without_login(place: Place) -> Place:
    if isinstance(place, MavenMirror):
        return place.model_copy(update={"url": _without_login(place.url), "credentials": None})
    parts = urlsplit(place)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
