"""yarn 1, which uses npm's registry and finds its credentials in ``.npmrc``."""

from __future__ import annotations

import json

from bigtop_builder.model.build_tools.tool import CA, BuildTool, Site, ToolSettings


def _settings(site: Site) -> ToolSettings:
    lines = [f"cafile {json.dumps(CA)}", "disable-self-update-check true"]
    if registry := site.address("npm"):
        lines.append(f"registry {json.dumps(registry)}")
    return ToolSettings(files={"yarnrc": "\n".join(lines) + "\n"}, links={".yarnrc": "yarnrc"})


TOOL = BuildTool("yarn", settings=_settings)
