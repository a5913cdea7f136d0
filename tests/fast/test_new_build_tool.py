"""A new build tool is one module and one line: a made-up one is added to a copy of the program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fast.test_site import DER, pem

ROOT = Path(__file__).resolve().parents[2]
MODULE = '''
"""A tool that nobody has heard of."""

from bigtop_builder.model.base import Address
from bigtop_builder.model.build_tools.tool import BuildTool, CacheLayout, Download, Site, ToolSettings


class Mirrors:
    smithy: Address | None = None
    """Registry for smithy."""


class SiteCache:
    smithy: str | None = "smithy-proxy"
    """A raw proxy."""


def settings(site: Site) -> ToolSettings:
    return ToolSettings(
        files={"smithy.toml": f"registry = {site.address('smithy')}\\noffline = {site.offline}\\n"},
        links={".smithy/config.toml": "smithy.toml"},
        environment={"SMITHY_HOME": "/work/home/.smithy"},
    )


TOOL = BuildTool(
    "smithy",
    downloads=(Download("smithy", presets={"tencent": "https://smithy.example/tencent"}),),
    mirrors=Mirrors,
    site_cache=SiteCache,
    cache=CacheLayout(".smithy/cache", {r"^crates/": "content", r"^index/": "bookkeeping"}),
    settings=settings,
)
'''
COMPONENT = """
name: anvil
summary: A component that is built with smithy.
versions: {"1.0": {sources: []}}
build: {caches: [smithy]}
packages: [{name: anvil, summary: An anvil.}]
"""
SCRIPT = r"""
import json, os, sys
from pathlib import Path

from bigtop_builder.adapter.bundle.cache import whole_cache
from bigtop_builder.adapter.tools.addresses import Addresses
from bigtop_builder.adapter.tools.cache import Cache
from bigtop_builder.adapter.tools.cache_use import content, used
from bigtop_builder.adapter.tools.site import site_files
from bigtop_builder.adapter.untrusted import Budget
from bigtop_builder.cli.schemas import json_schema
from bigtop_builder.model.bundle import BundledCache
from bigtop_builder.recipe.catalog import Catalog, shipped_templates
from bigtop_builder.recipe.settings import load_settings

project = Path.cwd()
settings = load_settings(project, {}, {"HOME": str(project)})
component = Catalog([shipped_templates(), *settings.overlays]).component("anvil").component
store, first, second = (project / name for name in ("store", "first", "second"))
for folder in (store, first / ".smithy/cache/crates", first / ".smithy/cache/index", second, project / "private"):
    folder.mkdir(parents=True)
(first / ".smithy/cache/crates/hammer").write_text("12345")
(first / ".smithy/cache/index/list").write_text("hammer")
(first / ".smithy/cache/lock").write_text("")
cache = Cache("smithy", store, "anvil")
merged = cache.take(project, "first", Budget(9, 99))
seeded = cache.seed(second, owner=(os.geteuid(), os.getegid()), links=False)
(second / ".smithy/cache/crates/tongs").write_text("123")
use = used("smithy", project, "second", seeded)
tencent = Addresses(settings.project.mirrors.model_copy(update={"preset": "tencent", "cache": None}))
site = site_files(settings.project, project / "private", offline=True)
schema = json_schema("project")["$defs"]
print(json.dumps({
    "caches": component.build.caches,
    "merged": [merged.files, merged.size],
    "seeded": sorted(seeded.files),
    "new": [dict(use.new), content("smithy", use.new).files],
    "whole": whole_cache(cache),
    "bundled": BundledCache(kind="smithy", path="caches/smithy.tar", files=1, size=1).kind,
    "text": (project / "private/site/smithy.toml").read_text(),
    "link": site.home_links[".smithy/config.toml"],
    "variable": site.environment["SMITHY_HOME"],
    "preset": tencent.address("smithy"),
    "documented": schema["Mirrors"]["properties"]["smithy"]["description"],
    "site cache": schema["SiteCache"]["properties"]["smithy"]["default"],
    "listed": json_schema("component")["$defs"]["Build"]["properties"]["caches"]["items"]["enum"],
}))
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A copy of the program with the tool."""
    root = tmp_path / "program"
    shutil.copytree(ROOT / "bigtop_builder", root / "bigtop_builder", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "templates").symlink_to(ROOT / "templates")
    tools = root / "bigtop_builder/model/build_tools"
    (tools / "smithy.py").write_text(MODULE)
    registry = (tools / "registry.py").read_text()
    (tools / "registry.py").write_text(registry.replace('    "ccache",\n', '    "ccache",\n    "smithy",\n'))
    return root


def test_one_module_and_one_line_are_a_new_build_tool(program: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    anvil = project / "overlay/components/anvil"
    anvil.mkdir(parents=True)
    (anvil / "component.yaml").write_text(COMPONENT)
    (project / "ca.pem").write_text(pem(DER[0]))
    mirrors = "{preset: none, cache: {url: 'http://nexus.example'}}"
    text = f"overlays: [overlay]\nnetwork: {{ca_bundle: ca.pem}}\nmirrors: {mirrors}\n"
    (project / "bigtop-builder.yaml").write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(program)}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    assert found == {
        "caches": ["smithy"],
        "merged": [2, 11],
        "seeded": ["crates/hammer", "index/list"],
        "new": [{"crates/tongs": 3}, 1],
        "whole": ["crates/hammer", "index/list"],
        "bundled": "smithy",
        "text": "registry = http://nexus.example/repository/smithy-proxy\noffline = True\n",
        "link": "/site/smithy.toml",
        "variable": "/work/home/.smithy",
        "preset": "https://smithy.example/tencent",
        "documented": "Registry for smithy.",
        "site cache": "smithy-proxy",
        "listed": ["maven", "npm", "gradle", "ivy", "pip", "ccache", "smithy"],
    }
