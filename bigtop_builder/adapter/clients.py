"""The texts of the settings that build tools read: Maven, npm, pip, ivy, sbt, Gradle."""

from __future__ import annotations

import re
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
    mirrors: list[Repository], proxies: list[ProxyServer], no_proxy: list[str], *, offline: bool = False
) -> str:
    """``settings.xml``; secrets stand in it as ``${env.NAME}``, which Maven fills in itself."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<settings>"]
    lines += ["<offline>true</offline>", "<mirrors>"] if offline else ["<mirrors>"]
    for mirror in mirrors:
        fields = _fields({"id": mirror.id, "url": mirror.url, "mirrorOf": mirror.mirror_of})
        lines.append(f"<mirror>{fields}</mirror>")
    lines += ["</mirrors>", "<servers>"]
    for mirror in mirrors:
        if mirror.user is not None and mirror.password is not None:
            lines.append(f"<server>{_fields({'id': mirror.id})}{_login(mirror.user, mirror.password)}</server>")
    lines += ["</servers>", "<proxies>"]
    hosts = "|".join(non_proxy_hosts(no_proxy))
    for proxy in proxies:
        fields = _fields({"id": proxy.scheme, "protocol": proxy.scheme, "host": proxy.host, "port": str(proxy.port)})
        login = _login(proxy.user, proxy.password) if proxy.user and proxy.password else ""
        lines.append(f"<proxy>{fields}{login}{_fields({'nonProxyHosts': hosts})}</proxy>")
    return "\n".join([*lines, "</proxies>", "</settings>", ""])


def _fields(values: dict[str, str]) -> str:
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


def npmrc(registry: str | None, cafile: str, *, offline: bool = False) -> str:
    """``.npmrc``."""
    lines = [f"cafile={cafile}", "update-notifier=false", "fund=false", "audit=false"]
    lines += ["offline=true"] if offline else []
    return "\n".join(lines + ([f"registry={registry}"] if registry else [])) + "\n"


def pip_conf(index: str, cafile: str) -> str:
    """``pip.conf``."""
    return f"[global]\nindex-url = {index.replace('%', '%%')}\ncert = {cafile}\ndisable-pip-version-check = true\n"


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


GRADLE_OFFLINE = "gradle.startParameter.offline = true\n"
"""A line of ``init.gradle``."""


def gradle_init(repository: Repository) -> str:
    """``init.gradle``: the repository takes the place of every remote one that a build names."""
    login = ""
    if repository.user is not None:
        login = f"""
        repository.credentials {{
            username = System.getenv('{repository.user}')
            password = System.getenv('{repository.password}')
        }}"""
    address = repository.url.replace("\\", "\\\\").replace("'", "\\'")
    return f"""def address = '{address}'
def redirect = {{ handler ->
    handler.maven {{ repository ->
        repository.name = 'site'
        repository.url = address
        if (address.startsWith('http:') && repository.hasProperty('allowInsecureProtocol')) {{
            repository.allowInsecureProtocol = true
        }}{login}
    }}
    handler.all {{ other ->
        if (other.name != 'site' && other.hasProperty('url') && other.url?.scheme in ['http', 'https']) {{
            handler.remove(other)
        }}
    }}
}}
settingsEvaluated {{ settings -> redirect(settings.pluginManagement.repositories) }}
allprojects {{
    redirect(buildscript.repositories)
    redirect(repositories)
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
    return "".join(f"systemProp.{name}={value}\n" for name, value in properties.items())
