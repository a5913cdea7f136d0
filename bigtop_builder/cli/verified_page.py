"""The page that lists what has been built and run of the shipped components, generated from their records."""

from __future__ import annotations

from bigtop_builder.recipe.catalog import Catalog
from bigtop_builder.recipe.verified import Verified, verified

HEAD = """\
# What has been built and run

Each line was written by `bigtop-builder verify-component`, which builds a component and runs its smoke test on a clean
host; on more hosts it ran with the services of the whole stack. Seconds are those of the machine that it ran on. A
recipe that has changed since is marked: what ran then may not run now.

| component | version | platform | date | source | compile | package | hosts | ran |
|---|---|---|---|---|---:|---:|---:|---|
"""


def verified_page(catalog: Catalog) -> str:
    """Return the page in Markdown."""
    rows, never = [], []
    for name in sorted(catalog.component_files):
        records = verified(catalog.component(name))
        rows += [_row(name, one) for one in records]
        if not records:
            never.append(f"`{name}`")
    text = HEAD + "".join(f"{row}\n" for row in rows)
    if never:
        text += f"\nNever verified here: {', '.join(never)}.\n"
    return text


def _row(name: str, one: Verified) -> str:
    record, seconds = one.record, one.record.seconds
    ran = ", ".join(record.runs) + "".join(f"; skipped {skipped}" for skipped in record.skipped)
    cells = (
        name,
        record.version
        + (f" ({record.variant})" if record.variant else "")
        + "".join(f", `{key}={value}`" for key, value in record.chosen.items()),
        record.platform,
        record.date + ("" if one.current else ", changed since"),
        _source(record.source),
        f"{seconds.compile:g} s" if seconds.compile is not None else "",
        f"{seconds.package:g} s",
        str(record.hosts),
        ran.replace("|", "\\|"),
    )
    return f"| {' | '.join(cells)} |"


def _source(text: str) -> str:
    """Shorten a digest to what people compare."""
    words, colon, digest = text.rpartition(":")
    return f"{words} `{digest[:12]}`" if colon else text
