"""What an attestation says of a package, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from bigtop_builder.model.build_tools.registry import CACHES

SHOWN = 16
"""How many digits of a digest people see."""


def statement_facts(said: dict[str, Any], attested: bool) -> Iterator[tuple[str, str]]:
    """Yield what an attestation says of a package: what it is, and the text."""
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
