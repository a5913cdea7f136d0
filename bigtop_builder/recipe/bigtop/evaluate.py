"""A component of Bigtop's tree as the same typed value that component files give."""

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
from bigtop_builder.recipe.bigtop.tree import BigtopTree, Layout
from bigtop_builder.recipe.evaluate import Evaluated, Target


def bigtop_stack(bom: Bom, layout: Layout, epoch: int) -> Stack:
    """The stack that a bill of materials describes. Raises RecipeError for a version that no package can have."""
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
    """The components that Bigtop packages as RPMs."""
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
    """Evaluate one component. ``before`` are the components that are built too: those of them which Bigtop builds
    before this one are its dependencies.

    Raises ConfigurationError with the place of a mistake in the tree, or for a choice that Bigtop has not.
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
        bigtop=packaging,
    )


def _check_choice(component: BomComponent, choice: Choice) -> None:
    for what in ("version", "variant", "options"):
        if getattr(choice, what):
            raise ConfigurationError(
                f"{what} of {component.name} cannot be chosen: Bigtop's bill of materials says what is built",
                hint=f"Change {component.location.file}, or build with the component files.",
            )
