"""The build attestation of a package: an in-toto Statement v1 with SLSA provenance v1 as its predicate.

It contains what the store's manifests recorded when the package was built, and names what they did not record.
``docs/provenance.md`` describes the build type.

The attestation is a plain statement with a detached OpenPGP signature by the repository's key: whoever installs from
the repository already has that key and ``gpgv``. With a key for it, the same bytes also come as a DSSE envelope, which
verifiers of in-toto read: those take raw keys and no OpenPGP.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from bigtop_builder.adapter.rpm.header import RpmHeader, read_header
from bigtop_builder.adapter.store import Store
from bigtop_builder.model.build_tools.registry import CACHES
from bigtop_builder.model.errors import PublishError, StoreError
from bigtop_builder.model.purl import package_url
from bigtop_builder.plan.key import BY_HAND

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:bigtop-builder:build-type:rpm:1"
BUILDER = "urn:bigtop-builder:builder"
SBOM_TYPE = "application/vnd.cyclonedx+json"


@dataclass(frozen=True)
class Origin:
    """The result in the store that a package belongs to.

    ``package`` is its manifest, ``compiled`` that of its staged tree; ``sha256`` is that of the file as built, before
    signing.
    """

    package: Mapping[str, Any]
    compiled: Mapping[str, Any] | None
    path: Path
    sha256: str


class Origins:
    """Look up the packages in a store by their content; without a store there are none."""

    def __init__(self, store: Store | None) -> None:
        self._store = store

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for path in self._store.root.glob("package/*/rpms/*.rpm") if self._store else ():
            found.setdefault(path.name, []).append(path)
        return found

    def find(self, header: RpmHeader) -> Origin | None:
        """Return the result that a package, signed or not, comes from; None if no result of the store holds it.

        A package is identified by its header, which holds the digests of all its files. If several results produced the
        same header, the newest is returned.
        """
        return self.holding(header.file_name, header.sha256)

    def holding(self, file_name: str, content: str) -> Origin | None:
        """Return the same for a file name and the SHA-256 of a header."""
        same = [origin for path in self._by_name.get(file_name, ()) if (origin := self._read(path, content))]
        return max(same, key=lambda origin: float(origin.package["built"]), default=None)

    def named(self, text: str) -> list[Path]:
        """Return the packages whose file name, or the name before version and release, is ``text``; the newest last."""
        paths = [
            path for name, paths in self._by_name.items() if text in (name, name.rsplit("-", 2)[0]) for path in paths
        ]
        return sorted(paths, key=lambda path: path.stat().st_mtime)

    def names(self) -> set[str]:
        """Return the names of all packages."""
        return {name.rsplit("-", 2)[0] for name in self._by_name}

    def _read(self, path: Path, content: str) -> Origin | None:
        assert self._store is not None
        try:
            if read_header(path).sha256 != content:
                return None
            package = self._store.manifest("package", path.parent.parent.name)
            key = package.get("compile_key")
            kept = key and self._store.has("compile", key)
            compiled = self._store.manifest("compile", key) if key and kept else package.get("compiled")
            return Origin(package, compiled, path, package["rpms"][path.name])
        except (PublishError, StoreError, KeyError):
            return None


def statement(origin: Origin, header: RpmHeader, file: str, sha256: str, sbom: Mapping[str, str]) -> bytes:
    """Build the statement about a published ``file`` with this SHA-256; ``sbom`` maps its SBOM's name to a SHA-256."""
    package, missing = origin.package, list(_missing(origin))
    data = {
        "_type": STATEMENT,
        "subject": [
            {
                "name": file,
                "digest": {"sha256": sha256},
                "annotations": {"unsignedSha256": origin.sha256, "headerSha256": header.sha256},
            }
        ],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": _external(package),
                "internalParameters": {
                    "package": {"key": package["key"], "ingredients": package["ingredients"]},
                    "compile": _compile_parameters(origin),
                    "notRecorded": missing,
                },
                "resolvedDependencies": list(_dependencies(origin)),
            },
            "runDetails": {
                "builder": _without_empty(
                    {"id": BUILDER, "version": {"bigtop-builder": package["builder"]} if "builder" in package else {}}
                ),
                "metadata": _metadata(package),
                "byproducts": list(_byproducts(origin, sbom)),
            },
        },
    }
    return json.dumps(data, indent=1, ensure_ascii=False).encode() + b"\n"


def _external(package: Mapping[str, Any]) -> dict[str, Any]:
    names = ("component", "version", "release", "variant", "options", "variables", "platform", "architecture", "stack")
    given = {name: package[name] for name in names if package.get(name) is not None}
    if "stack" not in given and "stack" in package["ingredients"]:
        given["stack"] = {"name": package["ingredients"]["stack"]}
    return {**given, "packaging": package.get("packaging", "component file")}


def _compile_parameters(origin: Origin) -> dict[str, Any]:
    key = origin.package.get("compile_key")
    if origin.compiled is None:
        return {"key": key} if key else {}
    hermetic = {"hermetic": origin.compiled["hermetic"]} if "hermetic" in origin.compiled else {}
    by_hand = {"finishedByHand": _finished_by_hand(origin.compiled[BY_HAND])} if BY_HAND in origin.compiled else {}
    return {
        "key": key,
        "ingredients": origin.compiled["ingredients"],
        **hermetic,
        **by_hand,
        **_metadata(origin.compiled),
    }


def _finished_by_hand(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the failure after which somebody finished a compile in a shell."""
    return {"failedStep": facts["step"], "failedRun": facts["run"], "failedOn": _time(facts["failed"])}


def _metadata(manifest: Mapping[str, Any]) -> dict[str, str]:
    started = float(manifest["built"])
    return _without_empty(
        {
            "invocationId": manifest.get("run", ""),
            "startedOn": _time(started),
            "finishedOn": _time(started + float(manifest["seconds"])),
        }
    )


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _missing(origin: Origin) -> Iterator[str]:
    """List what the manifests do not record: an older version wrote them, or a result has been removed."""
    package, compiled = origin.package, origin.compiled
    if "run" not in package:
        yield "package: run, version of bigtop-builder, image, logs"
    if package.get("compile_key") and compiled is None:
        yield "compile: everything except the key, because its result is no longer in the store"
    if compiled is not None and "run" not in compiled:
        yield "compile: run, version of bigtop-builder, image, addresses of sources, notes of patches, logs"
    if compiled is not None and BY_HAND in compiled:
        yield "compile: what was done, and what was downloaded, by hand in a shell"
    elif compiled is not None and not compiled.get("hermetic"):
        why = "it had no lock" if "hermetic" in compiled else "an older version compiled it"
        yield f"compile: what it downloaded or found in download caches, because {why}"
    for name, source in compiled["sources"].items() if compiled else ():
        if "uri" in source and not source["address"] and not source["uri"].startswith("file:"):
            yield f"compile: the address that the source {name} was downloaded from"


def _dependencies(origin: Origin) -> Iterator[dict[str, Any]]:
    compiled = origin.compiled or {}
    for name, source in compiled.get("sources", {}).items():
        yield _without_empty(
            {
                "name": f"source {name}",
                "uri": source.get("uri", ""),
                "digest": source.get("digests") or {"sha256": source["digest"].removeprefix("sha256:")},
                "downloadLocation": source.get("address", ""),
                "annotations": _without_empty({"file": source.get("file", ""), "from": source["from"]}),
            }
        )
    ingredients = compiled.get("ingredients", {})
    if compiled.get("local_source") and "main" not in compiled.get("sources", {}):
        yield {
            "name": "source main",
            "digest": {"bigtopBuilderKey": ingredients["source:main"]},
            "annotations": {"from": "a tree or archive on the machine that built"},
        }
    yield from _patches(compiled)
    for kind, manifest in (("compile", compiled), ("package", origin.package)):
        if manifest.get("image"):
            yield _image(kind, manifest["image"])
    for name, key in ingredients.items():
        if name.startswith("dependency:"):
            yield {
                "name": f"staged tree of {name.removeprefix('dependency:')}",
                "uri": f"urn:bigtop-builder:compile:{key}",
                "digest": {"bigtopBuilderKey": key},
            }
    for kind, files in compiled.get("locked", {}).items():
        for path, sha256 in files.items():
            yield _without_empty(
                {"name": f"{kind} {path}", "uri": CACHES[kind].purl(path), "digest": {"sha256": sha256}}
            )


def _patches(compiled: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if "patches" in compiled:
        for patch in compiled["patches"]:
            name, digest = f"patch {patch['name']}", {"sha256": patch["sha256"]}
            yield _without_empty(
                {"name": name, "digest": digest, "annotations": _without_empty({"note": patch["note"]})}
            )
        return
    # For an older result, names and digests are among the ingredients of its key.
    for ingredient, digest in sorted(compiled.get("ingredients", {}).items()):
        if ingredient.startswith("patch:"):
            yield {"name": f"patch {ingredient.split(':', 2)[2]}", "digest": {"bigtopBuilderKey": digest}}


def _image(kind: str, image: Mapping[str, str]) -> dict[str, Any]:
    group, _, own = (image["tag"].rpartition(":")[0] or image["tag"]).rpartition("/")
    return {
        "name": f"image of the {kind} step",
        "uri": package_url("docker", own, image["id"], group=group),
        "digest": {"sha256": image["id"].removeprefix("sha256:")},
        "annotations": {"fingerprint": image["fingerprint"], "base": image["base"]},
    }


def _byproducts(origin: Origin, sbom: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for name, sha256 in sbom.items():
        yield {"name": name, "digest": {"sha256": sha256}, "mediaType": SBOM_TYPE}
    for kind, manifest in (("compile", origin.compiled or {}), ("package", origin.package)):
        for step, sha256 in manifest.get("logs", {}).items():
            yield {"name": f"{kind}/{step}.log", "digest": {"sha256": sha256}, "mediaType": "text/plain"}


def _without_empty(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value not in ("", {}, None)}
