"""The ``.repo`` file by which yum and dnf find a repository."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from bigtop_builder.model.errors import Location
from bigtop_builder.recipe.catalog import shipped_templates
from bigtop_builder.recipe.template import render


def repo_file_name(stack: str, platform: str) -> str:
    """Return its name: ``bigtop-3.2.0-el8.repo``."""
    return f"{stack}-{platform}.repo"


def repo_file(stack: str, platform: str, address: str, keys: Iterable[str], title: str | None = None) -> str:
    """Return its text; ``address`` is that of the repository, ``keys`` the names of the key files in it."""
    template = shipped_templates() / "repo" / "repository.repo.j2"
    context = {
        "stack": stack,
        "platform": platform,
        "title": title or platform,
        "base_url": address,
        "key_urls": " ".join(f"{address}/{name}" for name in keys),
    }
    return render(template.read_text(encoding="utf-8"), context, Location(template))


def address_of(text: str) -> str | None:
    """Return the address of the repository in the text of a ``.repo`` file."""
    found = re.search(r"^baseurl=(\S+)$", text, re.M)
    return found[1] if found else None


def is_local(address: str) -> bool:
    """Whether an address means something else on another host: a path, or the host itself."""
    parts = urlsplit(address)
    if parts.scheme == "file":
        return True
    host = parts.hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def local_address(text: str) -> str | None:
    """Return the address in the text of a ``.repo`` file if other hosts do not reach it."""
    address = address_of(text)
    return address if address and is_local(address) else None


def install_lines(address: str) -> list[str]:
    """Return the commands of which each gives a host the ``.repo`` file at an address: for any host, for dnf, for yum.

    The latter two are plugins (dnf-plugins-core, yum-utils), which small installations lack.
    """
    name = address.rpartition("/")[2]
    return [
        f"curl -f -o /etc/yum.repos.d/{name} {address}",
        f"dnf config-manager --add-repo {address}",
        f"yum-config-manager --add-repo {address}",
    ]
