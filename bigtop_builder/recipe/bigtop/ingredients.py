"""Build keys of components that a Bigtop tree packages: the ingredients that shape each result."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bigtop_builder.model import digest
from bigtop_builder.recipe.bigtop.spec import building, words
from bigtop_builder.recipe.bigtop.tree import NAME, BigtopRecipe, packaging_of
from bigtop_builder.recipe.evaluate import Evaluated

FORMAT = "bigtop 1"
"""Increase it when the meaning of a step changes, so that results of older versions are not reused."""

BOM = "SOURCES/bigtop.bom"


def compile_ingredients(
    evaluated: Evaluated, image: str, local_digest: str | None, depends: Mapping[str, str]
) -> dict[str, str]:
    """Return what shapes the tree that ``%install`` leaves: ingredient → text.

    Lines of the bill of materials count only if a file of the component names them, and macros of the platform only
    if the spec does: a component is not rebuilt for another component's version, or for another platform, that it
    cannot see. ``SOURCE_DATE_EPOCH`` does not count, because every commit to the tree changes it.
    """
    packaging = packaging_of(evaluated)
    spec = packaging.spec_text
    ingredients = {
        "packaging": NAME,
        "format": FORMAT,
        "component": evaluated.name,
        "image": image,
        "architecture": evaluated.target.arch,
        "spec": digest.of_text(spec),
        "seed": digest.of_data([packaging.seed.name, packaging.seed.made, packaging.seed.top]),
        **_definitions(packaging),
        **_files(packaging),
    }
    platform, named = evaluated.target.platform, words(spec)
    for name, value in platform.macros.items():
        if name in named:
            ingredients[f"platform macro {name}"] = value
    if re.search(r"%\{?\??(?:dist|release|\w+_release)\b", building(spec)):
        ingredients["release"] = f"{evaluated.release}{platform.dist}"
    for name, value in evaluated.build.environment.items():
        ingredients[f"environment:{name}"] = digest.of_text(value)
    for source in evaluated.sources:
        ingredients[f"source:{source.name}"] = digest.of_data(sorted(one.digest for one in source.alternatives))
    if packaging.licence is not None:
        ingredients["source:LICENSE"] = digest.of_bytes(packaging.licence)
    if local_digest is not None:
        ingredients["source:main"] = local_digest
    for name, key in depends.items():
        ingredients[f"dependency:{name}"] = key
    return ingredients


def package_ingredients(
    evaluated: Evaluated, image: str, compile_key: str | None, depends: Mapping[str, str]
) -> dict[str, str]:
    """Return what shapes the packages: everything in the compile key, and the platform.

    ``compile_key`` is never None here, because every component has a compile step.
    """
    target = evaluated.target
    ingredients = {
        "packaging": NAME,
        "format": FORMAT,
        "component": evaluated.name,
        "compile": compile_key or "nothing",
        "image": image,
        "platform": target.platform.name,
        "macros": digest.of_data(dict(target.platform.macros)),
        "payload": target.platform.payload,
        "release": f"{evaluated.release}{target.platform.dist}",
    }
    for name, key in depends.items():
        ingredients[f"dependency:{name}"] = key
    return ingredients


def _definitions(packaging: BigtopRecipe) -> dict[str, str]:
    """``definition:NAME`` → value, without the paths of this machine and without the release number."""
    named = words(packaging.spec_text)
    own = packaging.component.name.replace("-", "_")
    found: dict[str, str] = {}
    for define in (*packaging.source_defines(""), *packaging.binary_defines("")):
        name, _, value = define.partition(" ")
        name = name.replace("-", "_")
        if name in ("_topdir", f"{own}_release") or not (name.startswith(f"{own}_") or name in named):
            continue
        found[f"definition:{name}"] = value
    return found


def _files(packaging: BigtopRecipe) -> dict[str, str]:
    patches = {f"SOURCES/{name}" for name in packaging.patches}
    files = {file.name: file for file in packaging.files if file.name not in (packaging.spec, BOM)}
    text = b"\n".join(file.content for file in files.values()).decode("utf-8", "replace")
    named = words(text) | words(packaging.spec_text)
    # The spec has the order of the patches, so that their names suffice here.
    found = {
        (f"patch:spec:{name.removeprefix('SOURCES/')}" if name in patches else f"file:{name}"): file.digest
        for name, file in files.items()
    }
    for line in packaging.bom.version_lines().splitlines():
        name, _, version = line.partition("=")
        if name in named:
            found[f"bill:{name}"] = version
    return found
