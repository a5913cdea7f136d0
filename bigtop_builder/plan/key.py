"""Build keys: the named ingredients that shape a result, and what to say when one has changed."""

from __future__ import annotations

from collections.abc import Mapping

from bigtop_builder.model import digest
from bigtop_builder.recipe.bigtop import ingredients as bigtop_key
from bigtop_builder.recipe.evaluate import Evaluated, RenderedFile

FORMAT = "1"
"""Raised when the meaning of a step changes, so that results of an older program are not reused."""


def compiles(evaluated: Evaluated) -> bool:
    """Whether the component has a compile step at all."""
    own = evaluated.build.script.strip() or evaluated.sources or evaluated.local_source
    return bool(evaluated.bigtop or own)


def runs_compile_container(evaluated: Evaluated) -> bool:
    """Whether compiling needs a container; without a script or patches the source tree is the result."""
    return bool(evaluated.bigtop or evaluated.build.script.strip() or evaluated.patches)


def compile_ingredients(
    evaluated: Evaluated, image: str, local_digest: str | None, dependencies: Mapping[str, str]
) -> dict[str, str]:
    """What shapes a staged tree. ``image`` is the fingerprint, ``dependencies`` component → compile key."""
    if evaluated.bigtop is not None:
        return bigtop_key.compile_ingredients(evaluated, evaluated.bigtop, image, local_digest, dependencies)
    build = evaluated.build
    ingredients = {
        "format": FORMAT,
        "component": evaluated.name,
        "version": evaluated.version,
        "script": digest.of_text(build.script),
        "epoch": str(evaluated.stack.epoch),
    }
    if runs_compile_container(evaluated):
        ingredients["image"] = image
    if build.network is False:
        ingredients["network"] = "none"
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
    """What shapes packages. ``dependencies`` is component → package key."""
    if evaluated.bigtop is not None:
        return bigtop_key.package_ingredients(evaluated, image, compile_key, dependencies)
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


_SAYINGS = {
    "format": "this program builds in another way than before",
    "image": "builder image changed",
    "compile": "compiled anew",
    "script": "compile script changed",
    "install": "install script changed",
    "version": "version changed",
    "release": "release or dist tag changed",
    "spec": "spec changed",
    "packaging": "packaged another way than last time",
    "epoch": "SOURCE_DATE_EPOCH changed",
}

_GENERAL = ("spec",)
"""Ingredients that change along with a more telling one."""


def reasons(old: Mapping[str, str] | None, new: Mapping[str, str]) -> tuple[str, ...]:
    """Why a key is another one than last time, most telling first. ``old`` None: it was never built."""
    if old is None:
        return ("not built yet",)
    changed = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    if not changed:
        return ("its result is not in the store any more",)
    if "packaging" in changed:
        return (_SAYINGS["packaging"],)
    telling = [name for name in changed if name not in _GENERAL] or changed
    return tuple(dict.fromkeys(_say(name, old, new) for name in telling))


def _say(name: str, old: Mapping[str, str], new: Mapping[str, str]) -> str:
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
    return _SAYINGS.get(name, f"{name} {verb}")
