"""Ingredients of the keys of components that Bigtop's own tree packages."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bigtop_builder.model import digest
from bigtop_builder.recipe.bigtop.spec import building, words
from bigtop_builder.recipe.bigtop.tree import BigtopPackaging
from bigtop_builder.recipe.evaluate import Evaluated

FORMAT = "bigtop 1"
"""Raised when the meaning of a step changes, so that results of an older program are not reused."""

BOM = "SOURCES/bigtop.bom"


def compile_ingredients(
    evaluated: Evaluated, packaging: BigtopPackaging, image: str, local_digest: str | None, depends: Mapping[str, str]
) -> dict[str, str]:
    """What shapes the tree that ``%install`` leaves. Of the bill of materials only those lines count that a file of
    the component names, and of the platform only the macros that its spec names: another component's version or
    another platform builds nothing anew that cannot see it. ``SOURCE_DATE_EPOCH`` does not count, since every commit
    to the tree changes it."""
    spec = spec_text(packaging)
    ingredients = {
        "packaging": "bigtop",
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
    """What shapes packages: all that the compile key has, and the platform. ``compile_key`` is never None here."""
    target = evaluated.target
    ingredients = {
        "packaging": "bigtop",
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


def spec_text(packaging: BigtopPackaging) -> str:
    """The spec, with the patches put in."""
    file = packaging.file(packaging.spec)
    assert file is not None
    return file.content.decode("utf-8", "surrogateescape")


def _definitions(packaging: BigtopPackaging) -> dict[str, str]:
    """``definition:NAME`` → value, without where things lie on this machine and without the release number."""
    named = words(spec_text(packaging))
    own = packaging.component.name.replace("-", "_")
    found: dict[str, str] = {}
    for define in (*packaging.source_defines(""), *packaging.binary_defines("")):
        name, _, value = define.partition(" ")
        name = name.replace("-", "_")
        if name in ("_topdir", f"{own}_release") or not (name.startswith(f"{own}_") or name in named):
            continue
        found[f"definition:{name}"] = value
    return found


def _files(packaging: BigtopPackaging) -> dict[str, str]:
    patches = {f"SOURCES/{name}" for name in packaging.patches}
    files = {file.name: file for file in packaging.files if file.name not in (packaging.spec, BOM)}
    text = b"\n".join(file.content for file in files.values()).decode("utf-8", "replace")
    named = words(text) | words(spec_text(packaging))
    # The order of patches is in the spec.
    found = {
        (f"patch:spec:{name.removeprefix('SOURCES/')}" if name in patches else f"file:{name}"): file.digest
        for name, file in files.items()
    }
    for line in packaging.bom.version_lines().splitlines():
        name, _, version = line.partition("=")
        if name in named:
            found[f"bill:{name}"] = version
    return found
