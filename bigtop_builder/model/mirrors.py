"""Where downloads go: the section ``mirrors`` of the project file. Each build tool adds its own fields."""

from __future__ import annotations

from typing import Literal

from bigtop_builder.model.base import Address, Credentials, StrictModel
from bigtop_builder.model.build_tools.registry import MIRRORS, SITE_CACHE


class CachingProxy(StrictModel):
    """The fields of ``mirrors.cache`` that belong to no tool."""

    url: Address
    """The proxy's address: ``https://nexus.example.com``."""
    credentials: Credentials | None = None
    """User and password for the proxy."""


# The tools' fields come from plain classes: models of their own would cost time at every start. Pydantic takes the
# fields of the last base first.
class SiteCache(*reversed(SITE_CACHE), CachingProxy):  # type: ignore[misc]
    """The site's caching proxy (Nexus or any other), which every tool uses in place of the internet.

    Each kind of download has a name in it: ``maven-public`` is ``<url>/repository/maven-public``, as Nexus lays its
    repositories out; a value with a slash is a path below ``url``. ``null`` says that the cache has none of that
    kind: then the preset applies.
    """


class MirrorChoice(StrictModel):
    """The fields of ``mirrors`` that belong to no tool."""

    preset: Literal["default", "aliyun", "huaweicloud", "tencent", "none"] = "default"
    """A named set of public mirrors. ``default``: one Maven mirror of ``*`` on Maven Central, else what the tools
    and this host's clients use. ``none``: nothing is redirected at all."""
    cache: SiteCache | None = None
    """The site's caching proxy."""


class Mirrors(*reversed(MIRRORS), MirrorChoice):  # type: ignore[misc]
    """Where the downloads of sources and builds go.

    An address given here wins over the cache, the cache over the preset, the preset over a tool's own default.
    """
