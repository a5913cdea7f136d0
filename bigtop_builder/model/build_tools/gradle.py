"""Gradle, with its plugins and its wrapper."""

from __future__ import annotations

from bigtop_builder.model.base import Address
from bigtop_builder.model.build_tools import maven
from bigtop_builder.model.build_tools.java_proxy import property_value, proxy_logins, proxy_properties
from bigtop_builder.model.build_tools.tool import (
    AddressBook,
    BuildTool,
    CacheLayout,
    Download,
    MavenMirror,
    Remote,
    Repository,
    Site,
    ToolSettings,
)

PORTAL = "plugins.gradle.org"


class GradleMirrors:
    """Fields of ``mirrors``."""

    gradle: Address | None = None
    """Maven-layout repository for Gradle, its plugins included."""
    gradle_distributions: Address | None = None
    """Base address of the Gradle distributions, with ``gradle-8.5-bin.zip`` below it. Build scripts find it in
    ``$GRADLE_DISTRIBUTIONS``."""


class GradleSiteCache:
    """Fields of ``mirrors.cache``."""

    gradle_distributions: str | None = "gradle-proxy"
    """A raw proxy of the Gradle distributions."""


def plugins(book: AddressBook) -> MavenMirror | None:
    """Return a Maven-layout repository that has Gradle's plugin portal; None leaves Gradle its own."""
    if book.configured("gradle") or book.configured("maven") or book.cached("maven"):
        return maven.repository(book, "gradle")
    public = book.public("gradle_plugins")
    return MavenMirror(id="gradle-plugins", url=public) if public else None


def _settings(site: Site) -> ToolSettings:
    environment = {}
    script = "gradle.startParameter.offline = true\n" if site.offline else ""
    if (repository := maven.repository(site.addresses, "gradle")) is not None:
        portal = plugins(site.addresses)
        both = site.repositories("gradle", [repository, *([portal] if portal else [])])
        script += init_script(both[0], both[1] if portal else None)
    properties = proxy_properties(site) | proxy_logins(site)
    if base := site.address("gradle_distributions"):
        environment["GRADLE_DISTRIBUTIONS"] = base.rstrip("/")
        if login := site.login(base):
            user, password = map(site.value, login)
            properties |= {"gradle.wrapperUser": user, "gradle.wrapperPassword": password}
    text = "".join(f"systemProp.{name}={property_value(value)}\n" for name, value in properties.items())
    files = {"gradle.properties": text}
    links = {".gradle/gradle.properties": "gradle.properties"}
    if script:
        files["init.gradle"] = script
        links[".gradle/init.gradle"] = "init.gradle"
    return ToolSettings(files, links, environment)


def init_script(repository: Repository, portal: Repository | None) -> str:
    """Return an ``init.gradle`` whose repositories replace every remote one that a build names.

    ``portal`` has Gradle's plugins; without one, plugins come from where the build says.
    """
    script = _redirect("redirect", [repository], keep_portal=portal is None)
    if portal is not None:
        places = [repository] if portal.url == repository.url else [repository, portal]
        script += _redirect("redirectPlugins", places, keep_portal=False)
        script += "settingsEvaluated { settings -> redirectPlugins(settings.pluginManagement.repositories) }\n"
    # Since Gradle 6.8 a build may declare its repositories in its settings and reject any declared elsewhere.
    return (
        script
        + """def central = false
settingsEvaluated { settings ->
    if (settings.hasProperty('dependencyResolutionManagement')) {
        central = !settings.dependencyResolutionManagement.repositories.empty
        if (central) redirect(settings.dependencyResolutionManagement.repositories)
    }
}
allprojects {
"""
        + f"    {'redirectPlugins' if portal is not None else 'redirect'}(buildscript.repositories)\n"
        + "    if (!central) redirect(repositories)\n}\n"
    )


def _redirect(name: str, places: list[Repository], *, keep_portal: bool) -> str:
    """Return a closure that removes all remote repositories from a handler but ``places``.

    ``keep_portal`` keeps Gradle's plugin portal too.
    """
    names = [f"site{number or ''}" for number in range(len(places))]
    additions = "".join(map(_repository, places, names))
    kept = f" && other.url.host != '{PORTAL}'" if keep_portal else ""
    return f"""def {name} = {{ handler ->
{additions}    handler.all {{ other ->
        if (!(other.name in {names}) && other.hasProperty('url') && other.url?.scheme in ['http', 'https']{kept}) {{
            handler.remove(other)
        }}
    }}
}}
"""


def _repository(place: Repository, name: str) -> str:
    login = ""
    if place.user is not None:
        login = f"""
        repository.credentials {{
            username = System.getenv('{place.user}')
            password = System.getenv('{place.password}')
        }}"""
    address = place.url.replace("\\", "\\\\").replace("'", "\\'")
    return f"""    handler.maven {{ repository ->
        repository.name = '{name}'
        repository.url = '{address}'
        if ('{address}'.startsWith('http:') && repository.hasProperty('allowInsecureProtocol')) {{
            repository.allowInsecureProtocol = true
        }}{login}
    }}
"""


def _in_maven(path: str) -> str | None:
    """Return the path of ``files-2.1/GROUP/MODULE/VERSION/SHA-1/FILE`` in a Maven repository."""
    parts = path.split("/")
    if len(parts) != 6:
        return None
    _, group, module, version, _, name = parts
    return f"{group.replace('.', '/')}/{module}/{version}/{name}"


def _remotes(book: AddressBook, path: str) -> list[Remote]:
    inside = _in_maven(path)
    if inside is None:
        return []
    main, portal = maven.repository(book, "gradle"), plugins(book)
    known = [main] if main else maven.known_repositories(book)
    return maven.in_repositories([*known, *([portal] if portal and portal not in known else [])], inside)


def _digest(path: str) -> tuple[str, str] | None:
    """Return the SHA-1 in the path, which Gradle writes as a number: without leading zeros."""
    parts = path.split("/")
    return ("sha1", parts[4].zfill(40)) if len(parts) == 6 else None


def _purl(path: str) -> str:
    return maven.purl(_in_maven(path) or "")


def _unit(path: str) -> str:
    """Group the files of a module: Gradle reads its description alone when nothing compiles against the jar."""
    parts = path.split("/")
    return "/".join(parts[:4]) if parts[0] == "files-2.1" else path


TOOL = BuildTool(
    "gradle",
    downloads=(
        Download(
            "gradle_plugins",
            presets={
                "aliyun": "https://maven.aliyun.com/repository/gradle-plugin",
                "tencent": "https://mirrors.cloud.tencent.com/nexus/repository/gradle-plugins",
            },
            probed=False,
        ),
        Download(
            "gradle_distributions",
            # Aliyun's mirror has a folder for each version, which no wrapper's address has.
            presets={
                "huaweicloud": "https://repo.huaweicloud.com/gradle",
                "tencent": "https://mirrors.cloud.tencent.com/gradle",
            },
            probed=False,
        ),
    ),
    mirrors=GradleMirrors,
    site_cache=GradleSiteCache,
    cache=CacheLayout(
        ".gradle/caches/modules-2",
        {r"(\.lock|^gc\.properties)$": "private", r"^files-2\.1/": "content", r"^metadata-": "bookkeeping"},
        remotes=_remotes,
        digest=_digest,
        purl=_purl,
        unit=_unit,
    ),
    settings=_settings,
)
