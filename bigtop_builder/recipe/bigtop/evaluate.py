"""Evaluating a component of a Bigtop tree, into the same frozen value that component files become."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

from bigtop_builder.model.errors import ConfigurationError, Location, RecipeError
from bigtop_builder.model.project import Choice
from bigtop_builder.model.source import Source
from bigtop_builder.model.stack import Stack
from bigtop_builder.recipe.bigtop.bom import Bom, BomComponent
from bigtop_builder.recipe.bigtop.toolchain import toolchain
from bigtop_builder.recipe.bigtop.tree import NAME, BigtopTree, Layout
from bigtop_builder.recipe.evaluate import Evaluated, Target


def bigtop_stack(bom: Bom, layout: Layout, epoch: int) -> Stack:
    """Return the stack that a bill of materials describes. Raises RecipeError for an invalid version."""
    try:
        return Stack.model_validate(
            {
                "name": f"bigtop-{bom.base_version}",
                "version": bom.base_version,
                **({"prefix": layout.parent} if layout.parent else {}),
                "epoch": epoch,
                "components": {name: bom.components[name].version for name in members(bom)},
            }
        )
    except ValidationError as error:
        problem = error.errors()[0]
        raise RecipeError(
            f"{'.'.join(map(str, problem['loc']))} cannot be {problem['input']!r}: {problem['msg']}",
            location=Location(bom.file),
        ) from None


def members(bom: Bom) -> list[str]:
    """Return the components that Bigtop packages as RPMs."""
    return [name for name, component in bom.components.items() if component.packaging in (None, "rpm")]


def evaluate_bigtop(
    tree: BigtopTree,
    stack: Stack,
    name: str,
    target: Target,
    choice: Choice,
    layout: Layout,
    source: Source | None,
    before: Collection[str] = (),
) -> Evaluated:
    """Evaluate one component. ``before`` are the components that are built too; those of them that Bigtop builds
    before this one become its dependencies.

    Raises ConfigurationError with the place of a mistake in the tree, or for a choice that Bigtop does not offer.
    """
    component = tree.bom.component(name)
    _check_choice(component, choice)
    if choice.release is not None:
        layout = Layout(layout.suffix, layout.parent, str(choice.release))
    packaging = tree.packaging(name, layout)
    build = toolchain(tree.bom, component)
    return Evaluated(
        name=name,
        version=component.version,
        release=packaging.release,
        summary=component.notes or name,
        description="",
        license="",
        url="",
        group="",
        native=False,
        stack=stack,
        target=target,
        variant=None,
        options=MappingProxyType({}),
        sources=(source,) if source and not choice.source else (),
        local_source=Path(choice.source) if choice.source else None,
        source_base=tree.root,
        patches=(),
        build=build,
        install="",
        packages=(),
        left_out=(),
        lacks=(),
        deviations=(),
        build_depends=tuple(
            first for first, after in tree.bom.dependencies.items() if name in after and first in before
        ),
        runtime_depends=(),
        files=(),
        spec_template=tree.root / packaging.spec,
        spec_blocks=MappingProxyType({}),
        context=MappingProxyType({}),
        compile_step="container",
        packaging=NAME,
        payload=packaging,
    )


def _check_choice(component: BomComponent, choice: Choice) -> None:
    for what in ("version", "variant", "options"):
        if getattr(choice, what):
            raise ConfigurationError(
                f"{what} of {component.name} cannot be chosen: Bigtop's bill of materials determines what is built",
                hint=f"Edit {component.location.file}, or build with the component files.",
            )
