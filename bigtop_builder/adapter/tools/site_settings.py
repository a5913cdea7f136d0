"""The network of a site as build tools see it: the settings of all tools, with secrets kept apart."""

from __future__ import annotations

import base64
from collections.abc import Collection, Sequence
from urllib.parse import quote, unquote, urlsplit

from bigtop_builder.adapter.redact import disguises
from bigtop_builder.adapter.secret import read_secret
from bigtop_builder.adapter.tools.addresses import Addresses
from bigtop_builder.model.base import Credentials
from bigtop_builder.model.build_tools.java_proxy import LOCAL
from bigtop_builder.model.build_tools.registry import TOOLS
from bigtop_builder.model.build_tools.tool import MavenMirror, ProxyServer, Repository, ToolSettings


class SiteNetwork:
    """What tools write their settings for: ``model.build_tools.tool.Site``.

    ``variables`` hold secrets; ``secrets`` are the values that no log may show.
    """

    def __init__(self, addresses: Addresses, proxies: dict[str, str], *, offline: bool) -> None:
        self.addresses = addresses
        self.offline = offline
        self.variables: dict[str, str] = {}
        self.secrets: list[str] = []
        self.no_proxy = [entry.strip() for entry in proxies.get("no_proxy", "").split(",") if entry.strip()]
        self.proxies = [
            self._proxy_server(scheme, proxies[scheme]) for scheme in ("http", "https") if scheme in proxies
        ]

    def address(self, name: str) -> str | None:
        """Return the address of a download, whose password, if any, is then masked in logs."""
        address = self.addresses.address(name)
        self._mask_login_in(address or "")
        return address

    def login(self, address: str | None) -> tuple[str, str] | None:
        """Return the variables with user and password for an address in the site's cache."""
        credentials = self.addresses.credentials(address) if address else None
        return self._read("CACHE", credentials, "mirrors.cache.credentials") if credentials else None

    def with_login(self, address: str | None) -> str | None:
        """Return the address with user and password in it, for tools that read them nowhere else."""
        login = self.login(address)
        if address is not None and login is not None:
            user, password = (quote(self.variables[name], safe="") for name in login)
            scheme, _, rest = address.partition("://")
            address = f"{scheme}://{user}:{password}@{rest}"
        self._mask_login_in(address or "")
        return address

    def value(self, variable: str) -> str:
        """Return the secret in a variable, for files that cannot refer to variables."""
        return self.variables[variable]

    def encoded(self, variable: str) -> str:
        """Return the name of another variable, with the secret in base64."""
        value = base64.b64encode(self.variables[variable].encode()).decode()
        self.variables[f"{variable}_BASE64"] = value
        self._mask(value, None)
        return f"{variable}_BASE64"

    def repositories(self, name: str, mirrors: Sequence[MavenMirror]) -> list[Repository]:
        """Return repositories with their credentials in variables. Each gets an id of its own, by which Maven finds
        the credentials."""
        found: list[Repository] = []
        for mirror in mirrors:
            taken = [repository.id for repository in found]
            key = mirror.id if mirror.id not in taken else f"{mirror.id}-{len(taken) + 1}"
            self._mask_login_in(mirror.url)
            user = password = None
            if mirror.credentials is not None:
                place = f"mirrors.maven ({mirror.id})"
                user, password = self._read(f"{name.upper()}_{len(found)}", mirror.credentials, place)
            found.append(Repository(key, mirror.url, mirror.mirror_of, user, password))
        return found

    def _proxy_server(self, scheme: str, address: str) -> ProxyServer:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        user = password = None
        if parts.username and parts.password:
            self._mask_login_in(address)
            login = unquote(parts.username), unquote(parts.password)
            user, password = self._keep(f"{scheme.upper()}_PROXY", *login)
        return ProxyServer(scheme, parts.hostname or "", port, user, password)

    def _read(self, name: str, credentials: Credentials, place: str) -> tuple[str, str]:
        user, password = (read_secret(secret, place) for secret in (credentials.user, credentials.password))
        return self._keep(name, user, password)

    def _keep(self, name: str, user: str, password: str) -> tuple[str, str]:
        """Put user and password into variables and return their names."""
        names = f"BIGTOP_SITE_{name}_USER", f"BIGTOP_SITE_{name}_PASSWORD"
        self.variables |= dict(zip(names, (user, password), strict=True))
        self._mask(password, user)
        return names

    def _mask_login_in(self, address: str) -> None:
        """Mask the password of ``https://user:password@host``."""
        parts = urlsplit(address)
        if parts.password:
            self._mask(unquote(parts.password), unquote(parts.username or ""))
            self._mask(parts.password, None)

    def _mask(self, password: str, user: str | None) -> None:
        self.secrets += [form for form in disguises(password, user=user) if form not in self.secrets]


def tool_settings(network: SiteNetwork, *, without: Collection[str] = ()) -> ToolSettings:
    """Collect the settings of all tools but those ``without``.

    Raises ConfigurationError for a secret or an address that is unavailable.
    """
    files: dict[str, str] = {}
    links: dict[str, str] = {}
    environment: dict[str, str] = {}
    options: dict[str, list[str]] = {}
    for tool in TOOLS:
        if tool.name in without:
            continue
        settings = tool.settings(network)
        files |= settings.files
        links |= settings.links
        environment |= settings.environment
        for variable, words in settings.options.items():
            options.setdefault(variable, []).extend(words)
    environment |= {variable: " ".join(words) for variable, words in options.items() if words}
    return ToolSettings(files, links, environment)


def proxy_variables(proxies: dict[str, str]) -> dict[str, str]:
    """Return ``http_proxy`` and the like in both spellings, since programs differ in which they read."""
    if not proxies.get("http") and not proxies.get("https"):
        return {}
    no_proxy = ",".join(filter(None, [*LOCAL, proxies.get("no_proxy", "")]))
    lower = {f"{scheme}_proxy": proxies[scheme] for scheme in ("http", "https") if scheme in proxies}
    lower["no_proxy"] = no_proxy
    return lower | {name.upper(): value for name, value in lower.items()}
