"""git, which npm and bower run for dependencies that are repositories."""

from __future__ import annotations

from bigtop_builder.model.build_tools.tool import CA, BuildTool, Site, ToolSettings

OVER_TLS = {
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "url.https://github.com/.insteadOf",
    "GIT_CONFIG_VALUE_0": "git://github.com/",
}
"""GitHub switched off the git protocol, which old lists of dependencies name."""


def _settings(site: Site) -> ToolSettings:
    return ToolSettings(environment={"GIT_SSL_CAINFO": CA, **(OVER_TLS if site.addresses.redirects else {})})


TOOL = BuildTool("git", settings=_settings)
