"""pip."""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

from bigtop_builder.model.base import Address
from bigtop_builder.model.build_tools.tool import (
    CA,
    SITE,
    AddressBook,
    BuildTool,
    CacheLayout,
    Download,
    Host,
    Site,
    ToolSettings,
)
from bigtop_builder.model.errors import ConfigurationError

# Starting pip takes long, so one process reads both its settings and its default.
ASK_PIP = """
from pip._internal.configuration import Configuration
from pip._internal.exceptions import ConfigurationError
from pip._internal.models.index import PyPI
settings = Configuration(isolated=False)
settings.load()
for key in ("install.index-url", "global.index-url"):
    try:
        print(settings.get_value(key))
        break
    except ConfigurationError:
        pass
else:
    print(PyPI.simple_url)
"""


class PipMirrors:
    """Fields of ``mirrors``."""

    pip: Address | None = None
    """Package index for pip."""


class PipSiteCache:
    """Fields of ``mirrors.cache``."""

    pip: str | None = "pypi-proxy"
    """Its index is ``<name>/simple``."""


def host_index(host: Host) -> str:
    """Return the simple index that the host's pip uses: PIP_INDEX_URL, its configuration, else its own default.

    Raises ConfigurationError when the host has no pip.
    """
    if configured := host.variable("PIP_INDEX_URL"):
        return configured
    for python in (sys.executable, "python3"):
        output = host.output([python, "-c", ASK_PIP])
        if output and output.strip():
            return output.strip()
    raise ConfigurationError(
        "the address of the Python package index is unknown: this machine has no pip to read it from",
        hint="Install pip, set PIP_INDEX_URL, or set mirrors.pip in bigtop-builder.yaml.",
    )


def index(book: AddressBook) -> str:
    """Return the simple index for our own downloads. Raises ConfigurationError when none is known."""
    address = book.address("pip") or book.own("pip")
    assert address is not None, "a host that does not know an index raises"
    return address


def _settings(site: Site) -> ToolSettings:
    lines = ["[global]", f"cert = {CA}", "disable-pip-version-check = true"]
    if address := site.with_login(site.address("pip")):
        parts = urlsplit(address)
        lines.append(f"index-url = {address}")
        # The site chose an index without TLS, which pip refuses unless it is trusted by name.
        lines += [f"trusted-host = {parts.netloc.rpartition('@')[2]}"] if parts.scheme == "http" else []
    return ToolSettings(
        files={"pip.conf": "\n".join([*lines, ""])},
        environment={"PIP_CERT": CA, "PIP_CONFIG_FILE": f"{SITE}/pip.conf"},
    )


TOOL = BuildTool(
    "pip",
    downloads=(
        Download(
            "pip",
            presets={
                "aliyun": "https://mirrors.aliyun.com/pypi/simple",
                "huaweicloud": "https://repo.huaweicloud.com/repository/pypi/simple",
                "tencent": "https://mirrors.cloud.tencent.com/pypi/simple",
            },
            below="/simple",
            own=host_index,
        ),
    ),
    mirrors=PipMirrors,
    site_cache=PipSiteCache,
    cache=CacheLayout(".cache/pip", {r"^http": "content"}),
    settings=_settings,
)
