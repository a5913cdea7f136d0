"""Which components and platforms a command is about."""

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
    """Pairs of component and platform for selectors ``NAME``, ``GLOB`` and either with ``@PLATFORM``.

    The order is that of the selectors, then of ``known``; no pair comes twice. A selector that matches nothing
    raises NothingSelectedError with the near names, as does no selector at all.
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
    """Raises ConfigurationError with the near names for a platform that is not known."""
    if platform not in known:
        raise ConfigurationError(f"there is no platform {platform!r}", hint=near(platform, known) or None)
