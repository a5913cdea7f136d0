"""The texts of the settings that build tools read: Maven, npm, yarn, bower, pip, ivy, sbt, Gradle."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit
from xml.sax.saxutils import escape, quoteattr

LOCAL = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Repository:
    """A Maven-layout repository; ``user`` and ``password`` are names of environment variables."""

    id: str
    url: str
    mirror_of: str = "*"
    user: str | None = None
    password: str | None = None


@dataclass(frozen=True)
class ProxyServer:
    """A proxy for ``scheme``; ``user`` and ``password`` are names of environment variables."""

    scheme: str
    host: str
    port: int
    user: str | None = None
    password: str | None = None


def maven_settings(
    mirrors: list[Repository],
    proxies: list[ProxyServer],
    no_proxy: list[str],
    *,
    properties: Mapping[str, str] | None = None,
    logins: Mapping[str, tuple[str, str]] | None = None,
    offline: bool = False,
) -> str:
    """``settings.xml``; secrets stand in it as ``${env.NAME}``, which Maven fills in itself.

    ``properties`` are those of a profile that is always active, so that no command line has to name them; ``logins``
    are further servers: id → names of the variables with user and password.
    """
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<settings>"]
    lines += ["<offline>true</offline>", "<mirrors>"] if offline else ["<mirrors>"]
    for mirror in mirrors:
        fields = _fields({"id": mirror.id, "url": mirror.url, "mirrorOf": mirror.mirror_of})
        lines.append(f"<mirror>{fields}</mirror>")
    lines += ["</mirrors>", "<servers>"]
    for mirror in mirrors:
        if mirror.user is not None and mirror.password is not None:
            lines.append(f"<server>{_fields({'id': mirror.id})}{_login(mirror.user, mirror.password)}</server>")
    for name, variables in (logins or {}).items():
        lines.append(f"<server>{_fields({'id': name})}{_login(*variables)}</server>")
    lines += ["</servers>", "<proxies>"]
    hosts = "|".join(non_proxy_hosts(no_proxy))
    for proxy in proxies:
        fields = _fields({"id": proxy.scheme, "protocol": proxy.scheme, "host": proxy.host, "port": str(proxy.port)})
        login = _login(proxy.user, proxy.password) if proxy.user and proxy.password else ""
        lines.append(f"<proxy>{fields}{login}{_fields({'nonProxyHosts': hosts})}</proxy>")
    lines.append("</proxies>")
    if properties:
        lines += ["<profiles><profile><id>site</id>", f"<properties>{_fields(properties)}</properties>"]
        lines += ["</profile></profiles>", "<activeProfiles><activeProfile>site</activeProfile></activeProfiles>"]
    return "\n".join([*lines, "</settings>", ""])


def _fields(values: Mapping[str, str]) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in values.items())


def _login(user: str, password: str) -> str:
    return _fields({"username": f"${{env.{user}}}", "password": f"${{env.{password}}}"})


def non_proxy_hosts(no_proxy: list[str]) -> list[str]:
    """``no_proxy`` in Java's words: ``.corp`` → ``*.corp``, ``10.0.0.0/8`` → ``10.*``.

    A network that is no whole number of bytes cannot be said in Java's words, and is left out.
    """
    found = []
    for entry in (*LOCAL, *no_proxy):
        network = re.fullmatch(r"([0-9.]+)/(8|16|24)", entry)
        if network:
            found.append(".".join(network.group(1).split(".")[: int(network.group(2)) // 8]) + ".*")
        elif "/" not in entry:
            found.append(f"*{entry}" if entry.startswith(".") else entry)
    return list(dict.fromkeys(found))


def npmrc(registry: str | None, cafile: str, *, login: tuple[str, str] | None = None, offline: bool = False) -> str:
    """``.npmrc``, which yarn reads too.

    ``login`` names the variables with the user and with the password in base64: every npm since the first and yarn 1
    take that form, and yarn 1 sends it only when told to.
    """
    lines = [f"cafile={cafile}", "update-notifier=false", "fund=false", "audit=false"]
    lines += ["offline=true"] if offline else []
    if registry:
        lines.append(f"registry={registry}")
    if registry and login:
        place = "//" + registry.partition("://")[2].rstrip("/") + "/"
        lines += [f"{place}:username=${{{login[0]}}}", f"{place}:_password=${{{login[1]}}}"]
        lines.append(f"{place}:always-auth=true")
    return "\n".join(lines) + "\n"


def yarnrc(registry: str | None, cafile: str) -> str:
    """``.yarnrc`` of yarn 1."""
    lines = [f"cafile {json.dumps(cafile)}", "disable-self-update-check true"]
    return "\n".join(lines + ([f"registry {json.dumps(registry)}"] if registry else [])) + "\n"


def bowerrc(registry: str | None, cafile: str) -> str:
    """``.bowerrc``."""
    settings: dict[str, object] = {"ca": cafile, "strict-ssl": True, "analytics": False, "interactive": False}
    return json.dumps(settings | ({"registry": registry} if registry else {}), indent=1) + "\n"


def pip_conf(index: str | None, cafile: str) -> str:
    """``pip.conf``. An index without TLS is one that the site has chosen, which pip must be told."""
    lines = ["[global]", f"cert = {cafile}", "disable-pip-version-check = true"]
    if index:
        parts = urlsplit(index)
        lines.append(f"index-url = {index}")
        lines += [f"trusted-host = {parts.netloc.rpartition('@')[2]}"] if parts.scheme == "http" else []
    return "\n".join([*lines, ""])


def ivy_settings(repository: Repository) -> str:
    """``ivysettings.xml``."""
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


def sbt_repositories(repository: Repository) -> str:
    """The file that ``-Dsbt.repository.config`` names."""
    return f"[repositories]\n  local\n  site: {repository.url}\n"


SBT_REALM = "Sonatype Nexus Repository Manager"
"""sbt finds credentials by realm and host, and this is the realm of most sites' caches."""


def sbt_credentials(repository: Repository, user: str, password: str) -> str:
    """The file that ``SBT_CREDENTIALS`` names; it cannot name variables."""
    host = urlsplit(repository.url).hostname or ""
    return f"realm={SBT_REALM}\nhost={host}\nuser={_property(user)}\npassword={_property(password)}\n"


GRADLE_PORTAL = "plugins.gradle.org"
GRADLE_OFFLINE = "gradle.startParameter.offline = true\n"
"""A line of ``init.gradle``."""


def gradle_init(repository: Repository, plugins: Repository | None) -> str:
    """``init.gradle``: the repositories take the place of every remote one that a build names.

    ``plugins`` holds Gradle's plugin portal; without one, plugins come from where the build says.
    """
    script = _redirect("redirect", [repository], portal=plugins is None)
    if plugins is not None:
        places = [repository] if plugins.url == repository.url else [repository, plugins]
        script += _redirect("redirectPlugins", places, portal=False)
        script += "settingsEvaluated { settings -> redirectPlugins(settings.pluginManagement.repositories) }\n"
    # Since Gradle 6.8 a build may keep its repositories in its settings and refuse any elsewhere.
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
        + f"    {'redirectPlugins' if plugins is not None else 'redirect'}(buildscript.repositories)\n"
        + "    if (!central) redirect(repositories)\n}\n"
    )


def _redirect(name: str, places: list[Repository], *, portal: bool) -> str:
    """A closure that takes a handler of repositories and leaves these alone in it, and what is on this machine.

    ``portal`` leaves Gradle's plugin portal too.
    """
    names = [f"site{number or ''}" for number in range(len(places))]
    additions = "".join(map(_gradle_repository, places, names))
    kept = f" && other.url.host != '{GRADLE_PORTAL}'" if portal else ""
    return f"""def {name} = {{ handler ->
{additions}    handler.all {{ other ->
        if (!(other.name in {names}) && other.hasProperty('url') && other.url?.scheme in ['http', 'https']{kept}) {{
            handler.remove(other)
        }}
    }}
}}
"""


def _gradle_repository(place: Repository, name: str) -> str:
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


def java_proxy(proxies: list[ProxyServer], no_proxy: list[str]) -> dict[str, str]:
    """The system properties by which a JVM knows its proxies, without user and password."""
    found = {}
    for proxy in proxies:
        found[f"{proxy.scheme}.proxyHost"] = proxy.host
        found[f"{proxy.scheme}.proxyPort"] = str(proxy.port)
    return {**found, "http.nonProxyHosts": "|".join(non_proxy_hosts(no_proxy))} if found else {}


def gradle_properties(properties: dict[str, str]) -> str:
    """``gradle.properties`` that sets system properties."""
    return "".join(f"systemProp.{name}={_property(value)}\n" for name, value in properties.items())


def _property(value: str) -> str:
    """As Java's property files spell it: they are Latin-1, and a space at the beginning is not of the value."""
    units = [high << 8 | low for high, low in zip(*[iter(value.encode("utf-16-be"))] * 2, strict=True)]
    spelled = "".join(chr(unit) if 32 <= unit < 127 and unit != 92 else f"\\u{unit:04x}" for unit in units)
    return f"\\{spelled}" if spelled.startswith(" ") else spelled
