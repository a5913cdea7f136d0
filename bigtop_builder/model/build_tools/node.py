"""Node: its distributions, and the headers that native modules are compiled with."""

from __future__ import annotations

from bigtop_builder.model.base import Address
from bigtop_builder.model.build_tools.tool import CA, BuildTool, Download, Site, ToolSettings

DISTRIBUTIONS = "https://nodejs.org/dist"
"""Chosen by default because old Maven plugins use it without TLS."""

VARIABLES = ("npm_config_disturl", "NODEJS_ORG_MIRROR", "NVM_NODEJS_ORG_MIRROR")
"""Read by node-gyp and nvm."""


class NodeMirrors:
    """Fields of ``mirrors``."""

    node: Address | None = None
    """Base address of the Node downloads, with ``v16.20.2/node-v16.20.2-linux-x64.tar.gz`` below it."""


class NodeSiteCache:
    """Fields of ``mirrors.cache``."""

    node: str | None = "nodejs-proxy"
    """A raw proxy of the Node downloads."""


def _settings(site: Site) -> ToolSettings:
    environment = {"NODE_EXTRA_CA_CERTS": CA}
    if address := site.with_login(site.address("node")):
        environment |= dict.fromkeys(VARIABLES, address.rstrip("/"))
    return ToolSettings(environment=environment)


TOOL = BuildTool(
    "node",
    downloads=(
        Download(
            "node",
            presets={
                "default": DISTRIBUTIONS,
                "aliyun": "https://npmmirror.com/mirrors/node",
                "huaweicloud": "https://repo.huaweicloud.com/nodejs",
                "tencent": "https://mirrors.cloud.tencent.com/nodejs-release",
            },
        ),
    ),
    mirrors=NodeMirrors,
    site_cache=NodeSiteCache,
    settings=_settings,
)
