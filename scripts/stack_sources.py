"""Which source trees of the stack a folder has, which it lacks, and where those are published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from bigtop_builder.model.source import (
    ApacheSource,
    DebianSource,
    FileSource,
    GitSource,
    HttpsSource,
    MavenSource,
    PypiSource,
)
from bigtop_builder.recipe.evaluate import Evaluated

ARCHIVES = (".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar", ".zip")
SHARED = {"hadoop-native": "hadoop", "ranger-native": "ranger", "zookeeper-native": "zookeeper"}
"""Components that are compiled from the tree of another one."""


def given_sources(folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """Return the trees and archives of ``folder`` by component: ``NAME/`` or ``NAME.tar.gz`` and the like."""
    found: dict[str, Path] = {}
    for name in names:
        stem = SHARED.get(name, name)
        for place in (folder / stem, *(folder / f"{stem}{ending}" for ending in ARCHIVES)):
            if place.is_dir() or (place.is_file() and place != folder / stem):
                found[name] = place
                break
    return found


def unknown_entries(folder: Path, names: Iterable[str]) -> list[str]:
    """Return what lies in ``folder`` and belongs to no component: probably a wrong name."""
    known = set(names)
    return sorted(entry.name for entry in folder.iterdir() if _stem(entry.name) not in known and entry.name[0] != ".")


def _stem(name: str) -> str:
    return next((name[: -len(ending)] for ending in ARCHIVES if name.endswith(ending)), name)


def published(evaluated: Evaluated) -> tuple[str, ...]:
    """Say where each source of a component is published, its first place only."""
    return tuple(_place(source.alternatives[0]) for source in evaluated.sources)


def _place(source: object) -> str:
    match source:
        case GitSource():
            return f"{source.git} {source.tag or 'commit'} {source.commit[:12]}"
        case HttpsSource():
            return source.https
        case ApacheSource():
            return f"https://archive.apache.org/dist/{source.apache}"
        case MavenSource():
            return f"Maven {source.maven}"
        case PypiSource():
            return f"PyPI {source.pypi}"
        case DebianSource():
            return f"Debian's source package {source.debian}, {source.file}"
        case FileSource():
            return f"the file {source.file}"
        case _:
            return str(source)


def report(names: Iterable[str], given: Mapping[str, Path], places: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return a line for each component with a source: the given one, or where what lacks is published."""
    lines = []
    for name in names:
        if name in given:
            lines.append(f"{name:22} {given[name]}")
        elif places[name]:
            lines.append(f"{name:22} lacking; published at {' and '.join(places[name])}")
    return lines
