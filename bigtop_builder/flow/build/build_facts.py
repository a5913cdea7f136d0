"""Provenance facts in the manifest of a result: attestations are made from them later."""

from __future__ import annotations

from typing import Any

from bigtop_builder import __version__
from bigtop_builder.adapter.sources import Fetched
from bigtop_builder.adapter.sources.candidates import uri
from bigtop_builder.flow.build.work_order import ImageRole
from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.model.digest import of_file
from bigtop_builder.model.source import GitSource

OWN_SOURCE = "own_source"
"""Among the facts of an order: what the user's own source is, in the place of the main one."""


def compile_facts(bench: Workbench, fetched: list[Fetched]) -> dict[str, Any]:
    """For the manifest of a staged tree: its builder, image, patches, and sources as they were fetched."""
    order = bench.order
    facts = dict(order.facts)
    own = {"main": facts.pop(OWN_SOURCE)} if OWN_SOURCE in facts else {}
    return {
        **_facts(bench, "compile" if "compile" in order.images else None),
        **facts,
        "platform": order.builder,
        **_downloads(bench),
        "sources": own | {source.name: source_facts(one) for source, one in zip(order.sources, fetched, strict=True)},
    }


def _downloads(bench: Workbench) -> dict[str, Any]:
    """Say whether nothing but what the manifest lists could get into the staged tree, and list the locked downloads."""
    order = bench.order
    if order.lock is not None:
        downloads = order.lock.downloads
        locked = {kind: {path: file.sha256 for path, file in files.items()} for kind, files in downloads.items()}
        return {"hermetic": True, "locked": locked}
    return {"hermetic": "compile" not in order.images or not (order.network or order.caches)}


def package_facts(bench: Workbench) -> dict[str, Any]:
    """For the manifest of packages: their builder, image, stack and choices."""
    return {**_facts(bench, "package"), **bench.order.facts, "architecture": bench.order.arch}


def _facts(bench: Workbench, image: ImageRole | None) -> dict[str, Any]:
    record = bench.image_record(image) if image else None
    return {
        "run": bench.worker.run.id,
        "builder": __version__,
        "image": {"tag": record.tag, "id": record.id, "fingerprint": record.fingerprint, "base": record.base}
        if record
        else None,
        "logs": {step: of_file(path) for step, path in bench.logs.items()},
    }


def source_facts(one: Fetched) -> dict[str, Any]:
    """For the manifest: what a fetched source is, and from where."""
    digests = {"sha256": one.digest.removeprefix("sha256:")}
    if isinstance(one.used, GitSource):
        digests["gitCommit"] = one.used.commit
    elif one.used is not None and one.used.sha512:
        digests["sha512"] = one.used.sha512
    return {
        "digest": one.digest,
        "from": one.alternative,
        "file": one.name,
        "uri": uri(one.used) if one.used else "",
        "address": one.address,
        "digests": digests,
    }
