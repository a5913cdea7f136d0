"""Build keys: the named ingredients that shape a result, and why a key has changed.

The ingredients here are those of component files; another packaging names its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from bigtop_builder.model import digest
from bigtop_builder.recipe.evaluate import Evaluated, RenderedFile

FORMAT = "1"
"""Increase it when the meaning of a step changes, so that results of older versions are not reused."""

BY_HAND = "by hand"
"""The ingredient of a compile that was finished in a shell, and that of its manifest. No other key has it."""


def compile_ingredients(
    evaluated: Evaluated, image: str, local_digest: str | None, dependencies: Mapping[str, str]
) -> dict[str, str]:
    """Return what shapes a staged tree: name of the ingredient → text.

    ``image`` is the fingerprint of the image, ``local_digest`` that of the user's own source tree, ``dependencies``
    is component → compile key.
    """
    build = evaluated.build
    ingredients = {
        "format": FORMAT,
        "component": evaluated.name,
        "version": evaluated.version,
        "script": digest.of_text(build.script),
        "epoch": str(evaluated.stack.epoch),
    }
    if evaluated.compile_step == "container":
        ingredients["image"] = image
    if build.network is False:
        ingredients["network"] = "none"
    if evaluated.lock is not None:
        ingredients["lock"] = evaluated.lock.digest
    if evaluated.native:
        ingredients["architecture"] = evaluated.target.arch
        ingredients["platform"] = evaluated.target.builder.name
    for name, value in build.environment.items():
        ingredients[f"environment:{name}"] = digest.of_text(value)
    for source in evaluated.sources:
        alternatives = sorted(alternative.digest for alternative in source.alternatives)
        shape = [source.unpack, str(source.strip), source.into]
        ingredients[f"source:{source.name}"] = digest.of_data([alternatives, shape])
    if local_digest is not None:
        ingredients["source:main"] = local_digest
    for number, patch in enumerate(evaluated.patches):
        ingredients[f"patch:{number:04}:{patch.name}"] = patch.digest
    for file in evaluated.build_files:
        ingredients[f"file:{file.name}"] = file.digest
    for name, key in dependencies.items():
        ingredients[f"dependency:{name}"] = key
    return ingredients


def package_ingredients(
    evaluated: Evaluated,
    spec: str,
    services: tuple[RenderedFile, ...],
    image: str,
    compile_key: str | None,
    dependencies: Mapping[str, str],
) -> dict[str, str]:
    """Return what shapes packages. ``dependencies`` is component → package key."""
    target = evaluated.target
    ingredients = {
        "format": FORMAT,
        "component": evaluated.name,
        "compile": compile_key or "nothing",
        "spec": digest.of_text(spec),
        "install": digest.of_text(evaluated.install),
        "image": image,
        "platform": target.platform.name,
        "architecture": evaluated.arch,
        "stack": evaluated.stack.name,
        "release": f"{evaluated.release}{target.platform.dist}",
    }
    for package in evaluated.packages:
        ingredients[f"files of {package.name}"] = digest.of_data(evaluated.format.file_list(package))
        ingredients[f"scripts of {package.name}"] = digest.of_data(dict(package.scripts))
    for file in (*evaluated.files, *services):
        ingredients[f"file:{file.name}"] = file.digest
    for name, key in dependencies.items():
        ingredients[f"dependency:{name}"] = key
    return ingredients


_REASONS = {
    BY_HAND: "the last one was finished by hand in a shell",
    "format": "this version of bigtop-builder builds differently",
    "image": "builder image changed",
    "compile": "recompiled",
    "script": "compile script changed",
    "install": "install script changed",
    "version": "version changed",
    "release": "release or dist tag changed",
    "spec": "spec changed",
    "packaging": "another packaging than last time",
    "epoch": "SOURCE_DATE_EPOCH changed",
}

_GENERAL = ("spec",)
"""Ingredients that always change together with a more specific one."""


def reasons(old: Mapping[str, str] | None, new: Mapping[str, str]) -> tuple[str, ...]:
    """Explain why a key differs from that of the last build. ``old`` is None when there was none."""
    if old is None:
        return ("not built yet",)
    changed = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    if not changed:
        return ("its result is no longer in the store",)
    if "packaging" in changed:
        return (_REASONS["packaging"],)
    specific = [name for name in changed if name not in _GENERAL] or changed
    return tuple(dict.fromkeys(_reason(name, old, new) for name in specific))


def _reason(name: str, old: Mapping[str, str], new: Mapping[str, str]) -> str:
    verb = "added" if name not in old else "removed" if name not in new else "changed"
    kind, _, rest = name.partition(":")
    if kind == "dependency":
        return f"dependency {rest} {'rebuilt' if verb == 'changed' else verb}"
    if kind == "patch":
        return f"patch {rest.partition(':')[2].removesuffix('.patch').removesuffix('.diff')} {verb}"
    if kind == "environment":
        return f"environment variable {rest} {verb}"
    if kind == "bill":
        return f"{rest} in the bill of materials {verb}"
    if kind in ("source", "file", "definition"):
        return f"{kind} {rest.removeprefix('SOURCES/')} {verb}"
    return _REASONS.get(name, f"{name} {verb}")
