"""Debian's archive: images that are made here, and sources with ``debian:``."""

from __future__ import annotations

from bigtop_builder.model.base import Address
from bigtop_builder.model.build_tools.tool import AddressBook, BuildTool, Download


class DebianMirrors:
    """Fields of ``mirrors``."""

    debian: Address | None = None
    """Debian mirror; without one, the host's or debootstrap's own."""


class DebianSiteCache:
    """Fields of ``mirrors.cache``."""

    debian: str | None = None
    """A proxy of a Debian mirror, without credentials: images are made through it."""


def mirror(book: AddressBook) -> str:
    """Return the Debian mirror, without a trailing slash. Raises ConfigurationError when none is known."""
    # Images are made of Debian even where nothing is redirected.
    address = book.address("debian") or book.own("debian")
    assert address is not None, "a host that does not know a mirror raises"
    return address.rstrip("/")


TOOL = BuildTool(
    "debian",
    downloads=(
        Download(
            "debian",
            presets={
                "aliyun": "https://mirrors.aliyun.com/debian",
                "huaweicloud": "https://repo.huaweicloud.com/debian",
                "tencent": "https://mirrors.cloud.tencent.com/debian",
            },
            own=lambda host: host.debian_mirror(),
        ),
    ),
    mirrors=DebianMirrors,
    site_cache=DebianSiteCache,
)
