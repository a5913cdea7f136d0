"""Ivy, as Ant builds use it."""

from __future__ import annotations

from urllib.parse import urlsplit

from bigtop_builder.model.base import Address
from bigtop_builder.model.build_tools import maven
from bigtop_builder.model.build_tools.tool import SITE, BuildTool, CacheLayout, Repository, Site, ToolSettings


class IvyMirrors:
    """Fields of ``mirrors``."""

    ivy: Address | None = None
    """Maven-layout repository for ivy and sbt."""


def site_repository(site: Site) -> Repository | None:
    """Return the repository of ivy and sbt; None leaves them their own."""
    mirror = maven.repository(site.addresses, "ivy")
    return site.repositories("ivy", [mirror])[0] if mirror else None


def _settings(site: Site) -> ToolSettings:
    if (repository := site_repository(site)) is None:
        return ToolSettings()
    return ToolSettings(
        files={"ivysettings.xml": _settings_xml(repository)},
        options={"ANT_OPTS": [f"-Divy.settings.file={SITE}/ivysettings.xml"]},
    )


def _settings_xml(repository: Repository) -> str:
    from xml.sax.saxutils import quoteattr

    login = ""
    if repository.user is not None:
        host = quoteattr(urlsplit(repository.url).hostname or "")
        login = (
            f'<credentials host={host} username="${{env.{repository.user}}}" '
            f'passwd="${{env.{repository.password}}}"/>\n'
        )
    return (
        '<ivysettings>\n<properties environment="env"/>\n<settings defaultResolver="site"/>\n'
        f"{login}<resolvers>\n"
        f'<ibiblio name="site" m2compatible="true" root={quoteattr(repository.url)}/>\n'
        "</resolvers>\n</ivysettings>\n"
    )


def _unit(path: str) -> str:
    """Group the files of a module: Ivy reads its description alone when nothing compiles against the jar."""
    return "/".join(path.split("/")[:2])


TOOL = BuildTool(
    "ivy",
    mirrors=IvyMirrors,
    cache=CacheLayout(
        ".ivy2/cache",
        {
            r"(\.lck|\.part|^resolved-[^/]*)$": "private",
            r"/(ivydata-[^/]*\.properties|ivy-[^/]*\.xml(\.original)?)$": "bookkeeping",
            r"/": "content",
        },
        unit=_unit,
    ),
    settings=_settings,
)
