"""ccache, which keeps compiled objects and downloads nothing."""

from __future__ import annotations

from bigtop_builder.model.build_tools.tool import BuildTool, CacheLayout

TOOL = BuildTool(
    "ccache",
    cache=CacheLayout(
        ".cache/ccache",
        {r"(stats|\.lock|\.tmp\.[^/]*)$": "private", r"^[0-9a-f]/": "content"},
    ),
)
