"""The command that shows where a package came from: provenance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bigtop_builder.cli import options
from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.model.errors import PublishError

if TYPE_CHECKING:
    from bigtop_builder.flow.publish.provenance_query import Provenance


def provenance(
    invocation: Invocation,
    package: Annotated[
        str,
        typer.Argument(
            metavar="RPM",
            help="A package file, or the name of a package or its file in the project's repositories or the store.",
        ),
    ],
    sbom: Annotated[bool, typer.Option("--sbom", help="Also list the libraries inside.")] = False,
) -> None:
    """Show where a package came from (sources, patches, image, key, times) and what is inside."""
    from bigtop_builder.adapter.store import Store
    from bigtop_builder.flow.publish.provenance_query import find_package, read_provenance

    settings = invocation.settings()
    store = Store(settings.store)
    repositories = [settings.repository / options.stack_name(settings) / name for name in settings.project.platforms]
    found = read_provenance(find_package(package, invocation.cwd, repositories, store), store)
    if found.statement is None and not sbom:
        raise PublishError(
            f"the provenance of {found.path.name} is unknown: it has no attestation, and no result in the store "
            "contains it",
            hint="--sbom lists the contents of any package.",
        )
    lines = [*_facts(found), *(_libraries(found.sbom) if sbom else ())]
    data = {"package": str(found.path), "attested": found.attested, "statement": found.statement}
    invocation.answer("\n".join(lines), {**data, "sbom": found.sbom} if sbom else data)


def _facts(found: Provenance) -> Iterator[str]:
    from bigtop_builder.cli.views.provenance import statement_facts

    yield str(found.path)
    libraries = found.sbom["components"]
    files = [one for one in libraries if one.get("hashes")]
    inside = sum(len(one.get("components", ())) for one in libraries)
    key = found.header.signature.key_id if found.header.signature else "none: not signed"
    rows = [
        ("signing key", key),
        ("jars", f"{len(files)}, and {inside} more shaded or packed into them"),
        ("others", f"{len(libraries) - len(files)} Python and npm packages"),
    ]
    rows = [*(statement_facts(found.statement, found.attested) if found.statement else ()), *rows]
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        yield f"  {name:<{width}}  {text}"


def _libraries(sbom: dict[str, Any]) -> Iterator[str]:
    for one in sbom["components"]:
        confidence = one["evidence"]["identity"][0]["confidence"]
        sure = "" if confidence == 1 else f"  (confidence {confidence})"
        yield f"  {_label(one)}{sure}  {one['evidence']['occurrences'][0]['location']}"
        for inner in one.get("components", ()):
            yield f"      {_label(inner)}"


def _label(one: dict[str, Any]) -> str:
    return str(one.get("purl") or f"{one['name']} {one.get('version', '')}".strip())
