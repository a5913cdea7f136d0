"""sbt, which shares Ivy's repository and cache."""

from __future__ import annotations

from urllib.parse import urlsplit

from bigtop_builder.model.build_tools.ivy import site_repository
from bigtop_builder.model.build_tools.java_proxy import property_value, proxy_properties
from bigtop_builder.model.build_tools.tool import SITE, BuildTool, Site, ToolSettings

REALM = "Sonatype Nexus Repository Manager"
"""sbt finds credentials by realm and host, and most sites' caches have this realm."""


def _settings(site: Site) -> ToolSettings:
    files, links, environment = {}, {}, {}
    options = [f"-D{name}={value}" for name, value in proxy_properties(site).items()]
    if (repository := site_repository(site)) is not None:
        files["sbt-repositories"] = f"[repositories]\n  local\n  site: {repository.url}\n"
        links[".sbt/repositories"] = "sbt-repositories"
        options += ["-Dsbt.override.build.repos=true", f"-Dsbt.repository.config={SITE}/sbt-repositories"]
        if repository.user is not None and repository.password is not None:
            user, password = site.value(repository.user), site.value(repository.password)
            files["sbt-credentials"] = _credentials(repository.url, user, password)
            options.append(f"-Dsbt.boot.credentials={SITE}/sbt-credentials")
            environment["SBT_CREDENTIALS"] = f"{SITE}/sbt-credentials"
    return ToolSettings(files, links, environment, {"SBT_OPTS": options})


def _credentials(url: str, user: str, password: str) -> str:
    """Return the file that ``SBT_CREDENTIALS`` names; it cannot refer to variables."""
    host = urlsplit(url).hostname or ""
    return f"realm={REALM}\nhost={host}\nuser={property_value(user)}\npassword={property_value(password)}\n"


TOOL = BuildTool("sbt", settings=_settings)
