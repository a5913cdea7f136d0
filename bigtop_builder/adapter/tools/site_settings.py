"""What each build tool in a container is told of the site: texts of settings files, variables, and secrets apart."""

from __future__ import annotations

import base64
from urllib.parse import quote, unquote, urlsplit

from bigtop_builder.adapter.redact import disguises
from bigtop_builder.adapter.secret import read_secret
from bigtop_builder.adapter.tools import tool_config
from bigtop_builder.adapter.tools.addresses import Addresses
from bigtop_builder.model.project import Credentials, MavenMirror

SITE = "/site"
CA = f"{SITE}/ca.pem"
NODE_SERVER = "site-node"
GIT_WITH_TLS = {
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "url.https://github.com/.insteadOf",
    "GIT_CONFIG_VALUE_0": "git://github.com/",
}
"""GitHub has switched off git's own protocol, which old lists of dependencies name."""


class ToolSettings:
    """The texts of the tools' settings, and the variables of those that are told by variables."""

    def __init__(self, addresses: Addresses, known: dict[str, str], *, offline: bool) -> None:
        self.addresses = addresses
        self.secrets = _Secrets()
        self.offline = offline
        self.environment = _proxy_variables(known)
        servers = _proxy_servers(known, self.secrets)
        no_proxy = [entry.strip() for entry in known.get("no_proxy", "").split(",") if entry.strip()]
        java = tool_config.java_proxy(servers, no_proxy)
        self.texts = {
            **self._maven(servers, no_proxy),
            **self._javascript(),
            "pip.conf": tool_config.pip_conf(self._with_login(addresses.pip_index()), CA),
            **self._gradle(java | self.secrets.java_login(servers)),
            **self._ivy_and_sbt(java),
        }

    def _maven(self, servers: list[tool_config.ProxyServer], no_proxy: list[str]) -> dict[str, str]:
        """With them, where Maven's frontend plugin gets Node and npm from, which it asks for by properties."""
        mirrors = self.secrets.repositories("maven", self.addresses.maven())
        properties: dict[str, str] = {}
        logins: dict[str, tuple[str, str]] = {}
        if node := self.addresses.node():
            properties["nodeDownloadRoot"] = node.rstrip("/") + "/"
            if login := self._login(node):
                logins[NODE_SERVER] = login
                properties["serverId"] = NODE_SERVER
        if npm := self.addresses.npm():
            properties["npmDownloadRoot"] = npm.rstrip("/") + "/npm/-/"
        if mirrors and mirrors[0].user is None:
            # Hadoop's and its neighbours' Ant builds know Central by this property, and some without TLS.
            self.environment["ANT_OPTS"] = f"-Drepo.maven.org={mirrors[0].url.rstrip('/')}/"
        text = tool_config.maven_settings(
            mirrors, servers, no_proxy, properties=properties, logins=logins, offline=self.offline
        )
        return {"m2-settings.xml": text}

    def _javascript(self) -> dict[str, str]:
        """npm, yarn, bower, and the Node headers that native modules are compiled with."""
        npm = self.addresses.npm()
        self.secrets.in_address(npm or "")
        login = self._login(npm)
        if login is not None:
            login = login[0], self.secrets.encoded(login[1])
        if node := self._with_login(self.addresses.node()):
            names = ("npm_config_disturl", "NODEJS_ORG_MIRROR", "NVM_NODEJS_ORG_MIRROR")
            self.environment |= dict.fromkeys(names, node.rstrip("/"))
        if bower := self._with_login(self.addresses.bower()):
            # A project's own .bowerrc wins over the one in $HOME, a variable over both.
            self.environment["bower_registry"] = bower
        if self.addresses.redirects:
            self.environment |= GIT_WITH_TLS
        return {
            "npmrc": tool_config.npmrc(npm, CA, login=login, offline=self.offline),
            "yarnrc": tool_config.yarnrc(npm, CA),
            "bowerrc": tool_config.bowerrc(bower, CA),
        }

    def _gradle(self, java: dict[str, str]) -> dict[str, str]:
        script = tool_config.GRADLE_OFFLINE if self.offline else ""
        if (repository := self.addresses.gradle()) is not None:
            plugins = self.addresses.gradle_plugins()
            both = self.secrets.repositories("gradle", [repository, *([plugins] if plugins else [])])
            script += tool_config.gradle_init(both[0], both[1] if plugins else None)
        if base := self.addresses.gradle_distributions():
            self.environment["GRADLE_DISTRIBUTIONS"] = base.rstrip("/")
            if login := self._login(base):
                user, password = (self.secrets.variables[name] for name in login)
                java = java | {"gradle.wrapperUser": user, "gradle.wrapperPassword": password}
        texts = {"gradle.properties": tool_config.gradle_properties(java)}
        return texts | ({"init.gradle": script} if script else {})

    def _ivy_and_sbt(self, java: dict[str, str]) -> dict[str, str]:
        texts: dict[str, str] = {}
        options = [f"-D{name}={value}" for name, value in java.items()]
        if (ivy := self.addresses.ivy()) is not None:
            repository = self.secrets.repositories("ivy", [ivy])[0]
            texts["ivysettings.xml"] = tool_config.ivy_settings(repository)
            texts["sbt-repositories"] = tool_config.sbt_repositories(repository)
            options += ["-Dsbt.override.build.repos=true", f"-Dsbt.repository.config={SITE}/sbt-repositories"]
            ant = self.environment.get("ANT_OPTS", "")
            self.environment["ANT_OPTS"] = f"{ant} -Divy.settings.file={SITE}/ivysettings.xml".strip()
            if repository.user is not None and repository.password is not None:
                login = (self.secrets.variables[name] for name in (repository.user, repository.password))
                texts["sbt-credentials"] = tool_config.sbt_credentials(repository, *login)
                options.append(f"-Dsbt.boot.credentials={SITE}/sbt-credentials")
                self.environment["SBT_CREDENTIALS"] = f"{SITE}/sbt-credentials"
        if options:
            self.environment["SBT_OPTS"] = " ".join(options)
        return texts

    def _login(self, address: str | None) -> tuple[str, str] | None:
        """The names of the variables with what the site's cache wants to be told at ``address``."""
        credentials = self.addresses.credentials(address) if address else None
        return self.secrets.read("CACHE", credentials, "mirrors.cache.credentials") if credentials else None

    def _with_login(self, address: str | None) -> str | None:
        """The address with user and password in it, for tools that cannot be told otherwise."""
        login = self._login(address)
        if address is not None and login is not None:
            user, password = (quote(self.secrets.variables[name], safe="") for name in login)
            scheme, _, rest = address.partition("://")
            address = f"{scheme}://{user}:{password}@{rest}"
        self.secrets.in_address(address or "")
        return address


class _Secrets:
    """Credentials on their way into variables, and the values that must not be shown."""

    def __init__(self) -> None:
        self.variables: dict[str, str] = {}
        self.values: list[str] = []

    def login(self, name: str, user: str, password: str) -> tuple[str, str]:
        """The names of the variables that carry user and password."""
        names = f"BIGTOP_SITE_{name}_USER", f"BIGTOP_SITE_{name}_PASSWORD"
        self.variables |= dict(zip(names, (user, password), strict=True))
        self._hide(password, user)
        return names

    def read(self, name: str, credentials: Credentials, place: str) -> tuple[str, str]:
        """Like ``login``, with what the references lead to."""
        user, password = (read_secret(secret, place) for secret in (credentials.user, credentials.password))
        return self.login(name, user, password)

    def encoded(self, name: str) -> str:
        """The name of a further variable, with the value of ``name`` in base64."""
        value = base64.b64encode(self.variables[name].encode()).decode()
        self.variables[f"{name}_BASE64"] = value
        self._hide(value, None)
        return f"{name}_BASE64"

    def repositories(self, kind: str, mirrors: list[MavenMirror]) -> list[tool_config.Repository]:
        """Each with an id of its own, because Maven finds the credentials by it."""
        found: list[tool_config.Repository] = []
        for mirror in mirrors:
            taken = [repository.id for repository in found]
            name = mirror.id if mirror.id not in taken else f"{mirror.id}-{len(taken) + 1}"
            self.in_address(mirror.url)
            user = password = None
            if mirror.credentials is not None:
                place = f"mirrors.maven ({mirror.id})"
                user, password = self.read(f"{kind.upper()}_{len(found)}", mirror.credentials, place)
            found.append(tool_config.Repository(name, mirror.url, mirror.mirror_of, user, password))
        return found

    def in_address(self, address: str) -> None:
        """Hides the password of ``https://user:password@host``."""
        parts = urlsplit(address)
        if parts.password:
            self._hide(unquote(parts.password), unquote(parts.username or ""))
            self._hide(parts.password, None)

    def java_login(self, servers: list[tool_config.ProxyServer]) -> dict[str, str]:
        """System properties with the proxies' user and password, for a file that cannot name variables."""
        found = {}
        for server in servers:
            if server.user is not None and server.password is not None:
                found[f"{server.scheme}.proxyUser"] = self.variables[server.user]
                found[f"{server.scheme}.proxyPassword"] = self.variables[server.password]
        return found

    def _hide(self, password: str, user: str | None) -> None:
        self.values += [form for form in disguises(password, user=user) if form not in self.values]


def _proxy_servers(known: dict[str, str], secrets: _Secrets) -> list[tool_config.ProxyServer]:
    found = []
    for scheme in ("http", "https"):
        if scheme not in known:
            continue
        parts = urlsplit(known[scheme] if "://" in known[scheme] else f"http://{known[scheme]}")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        user = password = None
        if parts.username and parts.password:
            secrets.in_address(known[scheme])
            login = unquote(parts.username), unquote(parts.password)
            user, password = secrets.login(f"{scheme.upper()}_PROXY", *login)
        found.append(tool_config.ProxyServer(scheme, parts.hostname or "", port, user, password))
    return found


def _proxy_variables(known: dict[str, str]) -> dict[str, str]:
    """``http_proxy`` and its like, in both spellings, since programs differ in what they read."""
    if not known.get("http") and not known.get("https"):
        return {}
    no_proxy = ",".join(filter(None, [*tool_config.LOCAL, known.get("no_proxy", "")]))
    lower = {f"{scheme}_proxy": known[scheme] for scheme in ("http", "https") if scheme in known}
    lower["no_proxy"] = no_proxy
    return lower | {name.upper(): value for name, value in lower.items()}
