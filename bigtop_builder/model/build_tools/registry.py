"""All build tools. A new one is a module in this folder, and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from bigtop_builder.model.build_tools.tool import BuildTool, CacheLayout, Download

NAMES = (
    "apache",
    "maven",
    "npm",
    "yarn",
    "node",
    "bower",
    "git",
    "gradle",
    "ivy",
    "sbt",
    "pip",
    "ccache",
    "debian",
)
"""Modules, in the order in which files and reference pages list the tools."""

# Imported by name, so that a tool needs one line here and not two.
TOOLS: tuple[BuildTool, ...] = tuple(import_module(f"bigtop_builder.model.build_tools.{name}").TOOL for name in NAMES)

CACHES: Mapping[str, CacheLayout] = {tool.name: tool.cache for tool in TOOLS if tool.cache is not None}
DOWNLOADS: Mapping[str, Download] = {download.name: download for tool in TOOLS for download in tool.downloads}
MIRRORS: tuple[type, ...] = tuple(tool.mirrors for tool in TOOLS if tool.mirrors is not None)
SITE_CACHE: tuple[type, ...] = tuple(tool.site_cache for tool in TOOLS if tool.site_cache is not None)

if TYPE_CHECKING:
    CacheName = str
else:
    CacheName = Literal[tuple(CACHES)]
