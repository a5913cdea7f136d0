"""The ``.repo`` file by which yum and dnf find a repository."""

from __future__ import annotations

from collections.abc import Iterable

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
