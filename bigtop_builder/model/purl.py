"""Package URLs: the names of packages of any ecosystem, by the purl specification."""

from __future__ import annotations


def package_url(kind: str, name: str, version: str, *, group: str = "", **qualifiers: str) -> str:
    """Return a package URL: ``pkg:maven/org.apache.zookeeper/zookeeper@3.5.9``; empty qualifiers are left out."""
    from packageurl import PackageURL

    given = {key: value for key, value in qualifiers.items() if value}
    return PackageURL(kind, group or None, name, version or None, given or None).to_string()
