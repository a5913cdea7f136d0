"""bower, whose registry maps names to git repositories."""

from __future__ import annotations

import json

from bigtop_builder.model.base import Address
from bigtop_builder.model.build_tools.tool import CA, BuildTool, Download, Site, ToolSettings

REGISTRY = "https://registry.bower.io"
"""Chosen by default because bower before 1.8 uses an address that was switched off."""


class BowerMirrors:
    """Fields of ``mirrors``."""

    bower: Address | None = None
    """Registry for bower."""


class BowerSiteCache:
    """Fields of ``mirrors.cache``."""

    bower: str | None = "bower-proxy"
    """The registry of bower."""


def _settings(site: Site) -> ToolSettings:
    settings: dict[str, object] = {"ca": CA, "strict-ssl": True, "analytics": False, "interactive": False}
    environment = {}
    if registry := site.with_login(site.address("bower")):
        settings["registry"] = registry
        # A project's own .bowerrc wins over the one in $HOME, a variable over both.
        environment["bower_registry"] = registry
    return ToolSettings(
        files={"bowerrc": json.dumps(settings, indent=1) + "\n"},
        links={".bowerrc": "bowerrc"},
        environment=environment,
    )


TOOL = BuildTool(
    "bower",
    downloads=(Download("bower", presets=dict.fromkeys(("default", "aliyun", "huaweicloud", "tencent"), REGISTRY)),),
    mirrors=BowerMirrors,
    site_cache=BowerSiteCache,
    settings=_settings,
)
