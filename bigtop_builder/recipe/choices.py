"""What is built of a component: version, release, variant, options and sources, as the user chose or by default."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bigtop_builder.model.component import Component, Release, Variable, Variant
from bigtop_builder.model.errors import ConfigurationError, RecipeError
from bigtop_builder.model.project import Choice
from bigtop_builder.model.source import GitSource, Source
from bigtop_builder.recipe.document import Document, near
from bigtop_builder.recipe.renderer import Renderer
from bigtop_builder.recipe.source_version import stated_version
from bigtop_builder.recipe.variables import laid_over


def chosen_version(component: Component, document: Document, choice: Choice, versions: Mapping[str, str]) -> str:
    """Return the version: the user's, else that of ``versions``, else the component's default or only one.

    Raises RecipeError when none of them names one.
    """
    version = choice.version or versions.get(component.name) or component.version
    if version:
        return version
    if len(component.versions) == 1:
        return next(iter(component.versions))
    raise RecipeError(
        f"neither the stack nor the component says which version of {component.name} to build",
        location=document.locate(("versions",)),
        hint=f"Add 'version:' to the component, or use --set {component.name}.version=VERSION.",
    )


def chosen_release(component: Component, document: Document, version: str, choice: Choice) -> Release:
    """Return what the component file says about a version. Raises RecipeError when it has no such version.

    With a source tree of the user's any version will do.
    """
    release = component.versions.get(version)
    if release is None:
        if choice.source:
            return Release()
        raise RecipeError(
            f"version {version} of {component.name} has no source",
            location=document.locate(("versions",)),
            hint=f"Known: {', '.join(component.versions)}. Add it under 'versions' in an overlay, "
            f"or use a source tree with --source {component.name}=PATH.",
        )
    return release


def chosen_variant(component: Component, choice: Choice) -> tuple[str | None, Variant | None]:
    """Return the variant and its name; None for a component without variants.

    Raises ConfigurationError for an unknown one.
    """
    if not component.variants:
        if choice.variant:
            raise ConfigurationError(f"{component.name} has no variants, so {choice.variant!r} cannot be chosen")
        return None, None
    name = choice.variant or component.variant or ""
    if name not in component.variants:
        raise ConfigurationError(
            f"{component.name} has no variant {name!r}", hint=near(name, component.variants) or None
        )
    return name, component.variants[name]


def check_variant(component: Component, variant: str | None, choice: Choice, tree: Path) -> None:
    """Check that a source tree is not given to a variant that packages what was published already.

    Raises ConfigurationError with the variants that compile a tree, unless the user chose the variant.
    """
    if variant is None or choice.variant or stated_version(tree) is None:
        return
    compiling = [name for name in component.variants if _starts_from_a_tree(component, name)]
    if compiling and variant not in compiling:
        ways = " or ".join(f"--set {component.name}.variant={name}" for name in compiling)
        raise ConfigurationError(
            f"{tree} is a source tree, which {component.name}'s variant {variant!r} does not compile",
            hint=f"Compile it with {ways}, or package it as it is with --set {component.name}.variant={variant}.",
        )


def _starts_from_a_tree(component: Component, variant: str) -> bool:
    return any(
        isinstance(alternative, GitSource)
        for release in component.versions.values()
        for source in release.sources
        if source.name == "main" and source.variant in (None, variant)
        for alternative in source.alternatives
    )


def chosen_options(component: Component, choice: Choice) -> dict[str, str]:
    """Return the value of every option. Raises ConfigurationError for an unknown option or value."""
    values = {name: option.default for name, option in component.options.items()}
    for name, value in choice.options.items():
        option = component.options.get(name)
        if option is None:
            known = ["version", "release", "variant", *component.options]
            raise ConfigurationError(f"{component.name} has no option {name!r}", hint=near(name, known) or None)
        if option.choices != ["*"] and value not in option.choices:
            raise ConfigurationError(
                f"option {name} of {component.name} cannot be {value!r}",
                hint=f"Permitted: {', '.join(option.choices)}.",
            )
        values[name] = value
    return values


def chosen_variables(component: Component, choice: Choice) -> dict[str, Variable]:
    """Return the variables of the component's file, as far as the user sets no others.

    Raises ConfigurationError for one that the file does not have, and for a text in place of a mapping.
    """
    for name, value in choice.variables.items():
        if name not in component.variables:
            raise ConfigurationError(
                f"{component.name} has no variable {name!r}", hint=near(name, component.variables) or None
            )
        before = component.variables[name]
        if isinstance(before, str) != isinstance(value, str):
            raise ConfigurationError(
                f"the variable {name} of {component.name} is {'a text' if isinstance(before, str) else 'a mapping'}",
                hint=None if isinstance(before, str) else f"Set a key of it: variables.{name}.KEY=VALUE.",
            )
    return laid_over(component.variables, choice.variables)


def chosen_sources(
    release: Release, version: str, variant: str | None, choice: Choice, renderer: Renderer
) -> tuple[Source, ...]:
    """Return the sources of a variant, rendered; the user's own source tree replaces ``main``.

    Raises RecipeError when the variant has none, and ConfigurationError when the user's does not exist.
    """
    wanted: list[Source] = []
    for index, source in enumerate(release.sources):
        if source.variant is not None and source.variant != variant:
            continue
        if choice.source and source.name == "main":
            continue
        wanted.append(renderer.model(source, ("versions", version, "sources", index)))
    if choice.source and not Path(choice.source).exists():
        raise ConfigurationError(f"the source {choice.source} does not exist")
    needs_one = any(source.variant not in (None, variant) for source in release.sources)
    if needs_one and not wanted and not choice.source:
        raise RecipeError(
            f"version {version} has no source for the variant {variant!r}",
            location=renderer.document.locate(("versions", version, "sources")),
        )
    return tuple(wanted)
