"""The command that shows where a package came from: provenance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bigtop_builder.cli import options
from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.model.errors import PublishError

if TYPE_CHECKING:
    from bigtop_builder.flow.publish.provenance_query import Provenance

SHOWN = 16
"""How many digits of a digest people see."""


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
    rows = [*(_statement(found.statement, found.attested) if found.statement else ()), *rows]
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        yield f"  {name:<{width}}  {text}"


def _statement(said: dict[str, Any], attested: bool) -> Iterator[tuple[str, str]]:
    definition, details = said["predicate"]["buildDefinition"], said["predicate"]["runDetails"]
    outer, inner = definition["externalParameters"], definition["internalParameters"]
    stack = outer.get("stack", {}).get("name", "unknown")
    yield "component", f"{outer['component']} {outer['version']}, release {outer['release']}"
    yield "for", f"{outer['platform']}, stack {stack}, by {outer['packaging']}"
    options = [f"{name}={value}" for name, value in outer.get("options", {}).items()]
    for name, value in outer.get("variables", {}).items():
        keys = {f"{name}.{key}": text for key, text in value.items()} if isinstance(value, dict) else {name: value}
        options += [f"variables.{key}={text}" for key, text in keys.items()]
    if outer.get("variant") or options:
        yield "choices", ", ".join([*([outer["variant"]] if outer.get("variant") else []), *options])
    yield "key", inner["package"]["key"]
    if inner["compile"]:
        yield "compile key", inner["compile"]["key"]
    from bigtop_builder.model.build_tools.registry import CACHES

    downloads = Counter[str]()
    for one in definition["resolvedDependencies"]:
        kind = one["name"].partition(" ")[0]
        if kind in CACHES:
            downloads[kind] += 1
        else:
            yield from _dependency(one)
    if "hermetic" in inner["compile"]:
        locked = ", ".join(f"{count} locked downloads of {kind}" for kind, count in downloads.items())
        yield "hermetic", f"yes, {locked or 'without downloads'}" if inner["compile"]["hermetic"] else "no"
    if "finishedByHand" in inner["compile"]:
        failed = inner["compile"]["finishedByHand"]
        yield "by hand", f"finished in a shell after {failed['failedStep']} of run {failed['failedRun']} had failed"
    versions = details["builder"].get("version", {})
    yield "builder", " ".join(f"{name} {version}" for name, version in versions.items()) or "not recorded"
    meta = details["metadata"]
    yield "built", f"{meta['startedOn']} to {meta['finishedOn']}, run {meta.get('invocationId', 'not recorded')}"
    if inner["compile"].get("startedOn"):
        yield "compiled", f"{inner['compile']['startedOn']} to {inner['compile']['finishedOn']}"
    for text in inner["notRecorded"]:
        yield "not recorded", text
    yield "attestation", "beside the package, signed" if attested else "none; this comes from the store"


def _dependency(one: dict[str, Any]) -> Iterator[tuple[str, str]]:
    notes = one.get("annotations", {})
    digests = ", ".join(f"{name} {value[:SHOWN]}…" for name, value in one["digest"].items())
    # An image's address repeats its digest.
    what = one.get("uri", "").partition("@sha256")[0] or notes.get("from") or notes.get("note", "")
    yield one["name"], f"{what} ({digests})" if what else digests
    if "downloadLocation" in one:
        yield "", f"from {one['downloadLocation']}"
    if "note" in notes and what != notes["note"]:
        yield "", notes["note"]


def _libraries(sbom: dict[str, Any]) -> Iterator[str]:
    for one in sbom["components"]:
        confidence = one["evidence"]["identity"][0]["confidence"]
        sure = "" if confidence == 1 else f"  (confidence {confidence})"
        yield f"  {_label(one)}{sure}  {one['evidence']['occurrences'][0]['location']}"
        for inner in one.get("components", ()):
            yield f"      {_label(inner)}"


def _label(one: dict[str, Any]) -> str:
    return str(one.get("purl") or f"{one['name']} {one.get('version', '')}".strip())
