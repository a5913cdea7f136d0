"""In which packages a library is: looked up in the SBOMs beside the published packages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from bigtop_builder.adapter.repository.metadata import PROVENANCE
from bigtop_builder.adapter.repository.pool import SBOM, STATEMENT
from bigtop_builder.flow.publish.served_repo_files import publications

MOST = 500
LARGEST = 64 << 20


@dataclass(frozen=True)
class FoundLibrary:
    """A library in a package. ``inside`` names the jar that it is shaded or packed into, if any."""

    library: str
    package: str
    component: str
    file: str
    inside: str = ""


def find_library(root: Path, text: str) -> list[FoundLibrary]:
    """Return where a library is, by a part of its name, version or file; at most ``MOST`` places."""
    found: list[FoundLibrary] = []
    wanted = text.lower()
    for one in publications(root) if root.is_dir() else ():
        for path in sorted((one.folder / PROVENANCE).glob(f"*{SBOM}")):
            for library in _libraries(path, path.stat().st_mtime_ns):
                if wanted in f"{library.library} {library.file}".lower():
                    found.append(library)
                    if len(found) >= MOST:
                        return found
    return found


def library_name(component: dict[str, Any]) -> str:
    """Return what a library of an SBOM is called: its package URL, else its name and version."""
    return str(component.get("purl") or f"{component['name']} {component.get('version', '')}".strip())


@lru_cache(maxsize=256)
def _libraries(path: Path, _changed: int) -> tuple[FoundLibrary, ...]:
    bill = _read(path)
    package = path.name.removesuffix(SBOM)
    statement = _read(path.with_name(package + STATEMENT))
    component = _component(statement)
    return tuple(_found(bill, package, component))


def _found(bill: dict[str, Any], package: str, component: str) -> Iterator[FoundLibrary]:
    try:
        for one in bill.get("components", ()):
            places = one.get("evidence", {}).get("occurrences") or [{"location": ""}]
            file = str(places[0].get("location", ""))
            yield FoundLibrary(library_name(one), package, component, file)
            for inner in one.get("components", ()):
                yield FoundLibrary(library_name(inner), package, component, file, Path(file).name)
    except (KeyError, TypeError, AttributeError):
        return


def _component(statement: dict[str, Any]) -> str:
    try:
        return str(statement["predicate"]["buildDefinition"]["externalParameters"]["component"])
    except (KeyError, TypeError):
        return ""


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST:
            return {}
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
