"""How Java programs are configured to use proxies, for every tool that runs on a JVM."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bigtop_builder.model.build_tools.tool import Site

LOCAL = ("localhost", "127.0.0.1")


def non_proxy_hosts(no_proxy: Sequence[str]) -> list[str]:
    """Translate ``no_proxy`` into Java's patterns: ``.corp`` → ``*.corp``, ``10.0.0.0/8`` → ``10.*``.

    Java cannot express a network that is not a whole number of bytes: it is left out.
    """
    found = []
    for entry in (*LOCAL, *no_proxy):
        network = re.fullmatch(r"([0-9.]+)/(8|16|24)", entry)
        if network:
            found.append(".".join(network.group(1).split(".")[: int(network.group(2)) // 8]) + ".*")
        elif "/" not in entry:
            found.append(f"*{entry}" if entry.startswith(".") else entry)
    return list(dict.fromkeys(found))


def proxy_properties(site: Site) -> dict[str, str]:
    """Return the system properties that tell a JVM its proxies, without user and password."""
    found = {}
    for proxy in site.proxies:
        found[f"{proxy.scheme}.proxyHost"] = proxy.host
        found[f"{proxy.scheme}.proxyPort"] = str(proxy.port)
    return {**found, "http.nonProxyHosts": "|".join(non_proxy_hosts(site.no_proxy))} if found else {}


def proxy_logins(site: Site) -> dict[str, str]:
    """Return the properties with the proxies' user and password, for a file that cannot refer to variables."""
    found = {}
    for proxy in site.proxies:
        if proxy.user is not None and proxy.password is not None:
            found[f"{proxy.scheme}.proxyUser"] = site.value(proxy.user)
            found[f"{proxy.scheme}.proxyPassword"] = site.value(proxy.password)
    return found


def property_value(value: str) -> str:
    """Escape a value for a property file, which is Latin-1 and drops a leading space."""
    units = [high << 8 | low for high, low in zip(*[iter(value.encode("utf-16-be"))] * 2, strict=True)]
    spelled = "".join(chr(unit) if 32 <= unit < 127 and unit != 92 else f"\\u{unit:04x}" for unit in units)
    return f"\\{spelled}" if spelled.startswith(" ") else spelled
