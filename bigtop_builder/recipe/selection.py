"""Selects the components and platforms of a command."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection, Iterable

from bigtop_builder.model.errors import ConfigurationError, NothingSelectedError
from bigtop_builder.recipe.document import near

ENTERPRISE_LINUX = re.compile(
    r"(?:almalinux|alma|anolis|centos|ol|oraclelinux|redhat|rhel|rocky|rockylinux)-?(?P<version>[0-9]+)(?:\.[0-9]+)?"
)
"""Systems whose packages are those of Enterprise Linux, by the names that people and Ambari give them."""


def select(
    selectors: Iterable[str],
    known: Collection[str],
    platforms: Collection[str],
    known_platforms: Collection[str],
) -> list[tuple[str, str]]:
    """Return pairs of component and platform for selectors ``NAME``, ``GLOB`` and either with ``@PLATFORM``.

    The order is that of the selectors, then of ``known``; each pair is unique. Raises NothingSelectedError, with
    similar names, for a selector that matches nothing and for no selector at all.
    """
    for platform in platforms:
        check_platform(platform, known_platforms)
    pairs: dict[tuple[str, str], None] = {}
    given = False
    for selector in selectors:
        given = True
        pattern, _, platform = selector.partition("@")
        if platform:
            check_platform(platform, known_platforms)
        names = [name for name in known if fnmatch.fnmatchcase(name, pattern)]
        if not names:
            raise NothingSelectedError(f"no component of the stack matches {pattern!r}", hint=_hint(pattern, known))
        for name in names:
            for chosen in (platform,) if platform else platforms:
                pairs[(name, chosen)] = None
    if not given:
        raise NothingSelectedError(
            "no component is selected", hint="Name components, or use --all. See: bigtop-builder list"
        )
    return list(pairs)


def _hint(pattern: str, known: Collection[str]) -> str:
    if "," in pattern:
        return f"Separate components with blanks: {pattern.replace(',', ' ')}"
    name, equals, version = pattern.partition("=")
    if equals and name in known:
        return f"A version is chosen by --set {name}.version={version}"
    return near(pattern, known) or "See: bigtop-builder list"


def check_platform(platform: str, known: Collection[str]) -> None:
    """Raise ConfigurationError, with similar names, for an unknown platform."""
    if platform in known:
        return
    hint = near(platform, known) or None
    if "," in platform:
        hint = f"Repeat the option: {' '.join(f'--platform {name}' for name in platform.split(','))}"
    elif (other := ENTERPRISE_LINUX.fullmatch(platform)) and f"el{other['version']}" in known:
        hint = f"The platform of this system is el{other['version']}."
    elif re.fullmatch(r"[0-9]+(\.[0-9]+)+", platform):
        hint = f"After @ stands a platform. A version is chosen by --set COMPONENT.version={platform}"
    raise ConfigurationError(f"there is no platform {platform!r}", hint=hint)
