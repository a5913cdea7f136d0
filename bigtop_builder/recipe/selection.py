"""Selects the components and platforms of a command."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterable

from bigtop_builder.model.errors import ConfigurationError, NothingSelectedError
from bigtop_builder.recipe.document import near


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
            raise NothingSelectedError(
                f"no component of the stack matches {pattern!r}",
                hint=near(pattern, known) or "See: bigtop-builder list",
            )
        for name in names:
            for chosen in (platform,) if platform else platforms:
                pairs[(name, chosen)] = None
    if not given:
        raise NothingSelectedError(
            "no component is selected", hint="Name components, or use --all. See: bigtop-builder list"
        )
    return list(pairs)


def check_platform(platform: str, known: Collection[str]) -> None:
    """Raise ConfigurationError, with similar names, for an unknown platform."""
    if platform not in known:
        raise ConfigurationError(f"there is no platform {platform!r}", hint=near(platform, known) or None)
