"""npm."""

from __future__ import annotations

from bigtop_builder.model.base import Address
from bigtop_builder.model.build_tools.tool import CA, SITE, BuildTool, CacheLayout, Download, Site, ToolSettings


class NpmMirrors:
    """Fields of ``mirrors``."""

    npm: Address | None = None
    """Registry for npm and yarn."""


class NpmSiteCache:
    """Fields of ``mirrors.cache``."""

    npm: str | None = "npm-proxy"
    """npm and yarn."""


def _settings(site: Site) -> ToolSettings:
    """Write ``.npmrc``, which yarn reads too.

    Every npm since the first, and yarn 1, takes a user with a password in base64; yarn 1 sends them only when
    ``always-auth`` is set.
    """
    lines = [f"cafile={CA}", "update-notifier=false", "fund=false", "audit=false"]
    lines += ["offline=true"] if site.offline else []
    registry = site.address("npm")
    if registry:
        lines.append(f"registry={registry}")
        if login := site.login(registry):
            user, password = login
            place = "//" + registry.partition("://")[2].rstrip("/") + "/"
            lines += [f"{place}:username=${{{user}}}", f"{place}:_password=${{{site.encoded(password)}}}"]
            lines.append(f"{place}:always-auth=true")
    return ToolSettings(
        files={"npmrc": "\n".join(lines) + "\n"},
        links={".npmrc": "npmrc"},
        environment={"NPM_CONFIG_USERCONFIG": f"{SITE}/npmrc"},
    )


def _digest(path: str) -> tuple[str, str] | None:
    """Return the digest by which npm finds a file: ``content-v2/sha512/aa/bb/…``."""
    _, algorithm, *parts = path.split("/")
    return (algorithm, "".join(parts)) if algorithm in ("sha256", "sha512") else None


TOOL = BuildTool(
    "npm",
    downloads=(
        Download(
            "npm",
            presets={
                "aliyun": "https://registry.npmmirror.com",
                "huaweicloud": "https://repo.huaweicloud.com/repository/npm",
                "tencent": "https://mirrors.cloud.tencent.com/npm",
            },
            own=lambda host: host.variable("NPM_CONFIG_REGISTRY"),
        ),
    ),
    mirrors=NpmMirrors,
    site_cache=NpmSiteCache,
    cache=CacheLayout(
        ".npm/_cacache", {r"^content-v2/[^/]+/": "content", r"^index-v5/": "bookkeeping"}, digest=_digest
    ),
    settings=_settings,
)
