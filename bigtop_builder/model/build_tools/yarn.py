"""yarn 1, which uses npm's registry and finds its credentials in ``.npmrc``."""

from __future__ import annotations

import json

from bigtop_builder.model.base import Address
from bigtop_builder.model.build_tools.tool import CA, BuildTool, Download, Site, ToolSettings


class YarnMirrors:
    """Fields of ``mirrors``."""

    yarn: Address | None = None
    """Base address of yarn's releases, with ``v1.21.1/yarn-v1.21.1.tar.gz`` below it. Maven's frontend plugin downloads
    yarn itself, from GitHub by default; packages come from ``npm``."""


class YarnSiteCache:
    """Fields of ``mirrors.cache``."""

    yarn: str | None = None
    """A raw proxy of yarn's releases."""


def _settings(site: Site) -> ToolSettings:
    lines = [f"cafile {json.dumps(CA)}", "disable-self-update-check true"]
    if registry := site.address("npm"):
        lines.append(f"registry {json.dumps(registry)}")
    return ToolSettings(files={"yarnrc": "\n".join(lines) + "\n"}, links={".yarnrc": "yarnrc"})


TOOL = BuildTool(
    "yarn", downloads=(Download("yarn"),), mirrors=YarnMirrors, site_cache=YarnSiteCache, settings=_settings
)
