"""The Debian mirror that this machine uses: that of its apt sources, else debootstrap's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from bigtop_builder.model.errors import ConfigurationError


def debian_mirror(root: Path = Path("/")) -> str:
    """Return the mirror of the apt sources below ``root``, else debootstrap's DEF_MIRROR. Raises ConfigurationError.

    Only an archive with the machine's own release and the component ``main`` counts, so that neither the security
    archive nor a vendor's repository is mistaken for the mirror.
    """
    release = _os_release(root / "etc/os-release")
    if release.get("ID") == "debian":
        suites = {"stable", "testing", "unstable", "sid", release.get("VERSION_CODENAME", "")}
        for uri, named, components in _apt_sources(root / "etc/apt"):
            if suites & set(named) and "main" in components:
                return uri.rstrip("/")
    script = root / "usr/sbin/debootstrap"
    if script.is_file():
        match = re.search(r'^DEF_MIRROR="?([^"\s]+)"?', script.read_text(errors="replace"), re.MULTILINE)
        if match and "$" not in match.group(1):
            return match.group(1).rstrip("/")
    raise ConfigurationError(
        "the address of a Debian mirror is unknown: this machine has no apt sources for Debian and no debootstrap",
        hint="Install debootstrap, or set mirrors.debian in bigtop-builder.yaml.",
    )


def _os_release(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    pairs = (line.partition("=") for line in file.read_text().splitlines())
    return {key: value.strip("\"'") for key, _, value in pairs}


def _apt_sources(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield URI, suites and components of every enabled binary entry, one-line and deb822."""
    one_line = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*.list"))]
    for file in one_line:
        for line in file.read_text(errors="replace").splitlines() if file.is_file() else ():
            if match := re.match(r"deb\s+(?:\[[^]]*\]\s*)?(https?://\S+)\s+(\S+)\s*([^#]*)", line.strip()):
                yield match.group(1), [match.group(2)], match.group(3).split()
    for file in sorted((folder / "sources.list.d").glob("*.sources")):
        for paragraph in re.split(r"\n\s*\n", file.read_text(errors="replace")):
            fields = _deb822(paragraph)
            if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() != "no":
                for uri in fields.get("uris", "").split():
                    if uri.startswith(("http://", "https://")):
                        yield uri, fields.get("suites", "").split(), fields.get("components", "").split()


def _deb822(paragraph: str) -> dict[str, str]:
    """Parse a paragraph: names in lower case, continuation lines joined, comments dropped."""
    fields: dict[str, str] = {}
    last = ""
    for line in paragraph.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line[0] in " \t":
            fields[last] = f"{fields.get(last, '')} {line.strip()}"
        else:
            key, _, value = line.partition(":")
            last = key.strip().lower()
            fields[last] = value.strip()
    return fields
