"""Apache's releases: sources with ``apache:``."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from bigtop_builder.model.base import Address
from bigtop_builder.model.build_tools.tool import AddressBook, BuildTool, Download

ARCHIVE = "https://archive.apache.org/dist"
PUBLIC: Mapping[str, tuple[str, ...]] = {
    "default": ("https://dlcdn.apache.org", "https://downloads.apache.org"),
    "aliyun": ("https://mirrors.aliyun.com/apache",),
    "huaweicloud": ("https://repo.huaweicloud.com/apache",),
    "tencent": ("https://mirrors.cloud.tencent.com/apache",),
}
"""Mirrors of ``dist`` by preset, tried before the archive."""


class ApacheMirrors:
    """Fields of ``mirrors``."""

    apache: list[Address] = Field(default_factory=list)
    """Base addresses that mirror Apache's ``dist``; the Apache archive is always the last."""


class ApacheSiteCache:
    """Fields of ``mirrors.cache``."""

    apache: str | None = "apache-proxy"
    """A raw proxy of Apache's ``dist``."""


def releases(book: AddressBook) -> list[str]:
    """Return the bases that mirror ``dist``, in the order to try; the Apache archive is the last."""
    cached = book.cached("apache")
    bases = [*book.configured("apache"), *([cached] if cached else []), *PUBLIC.get(book.preset, ()), ARCHIVE]
    return list(dict.fromkeys(base.rstrip("/") for base in bases))


TOOL = BuildTool("apache", downloads=(Download("apache"),), mirrors=ApacheMirrors, site_cache=ApacheSiteCache)
