"""Bigtop's own packaging in the place of the component files, for the planner and all that comes behind it."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from pathlib import Path

from bigtop_builder.adapter.store import Store
from bigtop_builder.flow.bigtop.tree import OpenedTree, open_tree
from bigtop_builder.model.errors import ConfigurationError, RecipeError, placed
from bigtop_builder.model.project import Choice, Packaging
from bigtop_builder.model.source import DebianSource, FileSource, PypiSource, Source
from bigtop_builder.model.stack import Stack
from bigtop_builder.plan.task import Refusal
from bigtop_builder.recipe.bigtop.bom import Bom, BomComponent
from bigtop_builder.recipe.bigtop.evaluate import bigtop_stack, evaluate_bigtop, members
from bigtop_builder.recipe.bigtop.pins import SourceLock, pinned, read_lock
from bigtop_builder.recipe.bigtop.tree import Layout
from bigtop_builder.recipe.catalog import Catalog
from bigtop_builder.recipe.document import near
from bigtop_builder.recipe.evaluate import Evaluated, Target
from bigtop_builder.recipe.settings import Settings

FROM_SOURCE = "source"
"""The variant of component files that compiles upstream's source."""

DISTRIBUTIONS = (PypiSource, DebianSource, FileSource)
"""Kinds of sources that are not what upstream released as its source."""


class BigtopRoute:
    """A tree as the project wants it packaged."""

    def __init__(self, packaging: Packaging, settings: Settings, catalog: Catalog, store: Store) -> None:
        self.packaging = packaging
        self.settings = settings
        self.layout = Layout(packaging.suffix, packaging.parent_dir, packaging.stamp)
        self._catalog = catalog
        self._store = store

    @cached_property
    def opened(self) -> OpenedTree:
        """Raises ConfigurationError with the place where the project names what is no tree."""
        with placed(self.settings.place("packaging", "bigtop")):
            return open_tree(Path(self.packaging.bigtop), self._store, self.settings.environment)

    @property
    def bom(self) -> Bom:
        return self.opened.tree.bom

    @cached_property
    def stack(self) -> Stack:
        """The stack of the tree's bill of materials."""
        stack = bigtop_stack(self.bom, self.layout, self.opened.epoch)
        for name in self.settings.project.sources:
            if name not in self.bom.components:
                raise ConfigurationError(
                    f"a source is given for {name!r}, which is no component of Bigtop {self.bom.version}",
                    location=self.settings.place("sources", name),
                    hint=near(name, self.bom.components) or None,
                )
        return stack

    def components(self) -> list[str]:
        """What the tree packages as RPMs, in the bill's order."""
        return members(self.bom)

    def needs(self, name: str) -> list[str]:
        """What Bigtop builds before a component. Raises ConfigurationError when that is no component."""
        return list(self.bom.prerequisites(name))

    def prerequisites(self, name: str) -> list[str]:
        """As ``needs``, without what is no component."""
        return [
            first for first, after in self.bom.dependencies.items() if name in after and first in self.stack.components
        ]

    def evaluate(self, name: str, target: Target, choice: Choice, before: Collection[str]) -> Evaluated | Refusal:
        """A component among others that are built as well; refused when it is not known what its source must be."""
        component = self.bom.component(name)
        try:
            source = None if choice.source else self.source(component)
        except RecipeError as error:
            hint = f" {error.hint}" if error.hint else ""
            return Refusal(name, target.platform.name, f"{error.message}.{hint}")
        return evaluate_bigtop(self.opened.tree, self.stack, name, target, choice, self.layout, source, before)

    @cached_property
    def lock(self) -> SourceLock:
        """The lock file beside the project file."""
        return read_lock(self.settings.root)

    def source(self, component: BomComponent) -> Source | None:
        """Raises RecipeError when nobody says what the source must be."""
        given = self.settings.project.sources.get(component.name)
        known = None if given else self._known(component)
        with placed(self.settings.place("sources", component.name)):
            return pinned(self.bom, component, given=given, known=known, lock=self.lock)

    def _known(self, component: BomComponent) -> Source | None:
        """The source of the same version in a component file; not one of a binary distribution."""
        if component.name not in self._catalog.component_files:
            return None
        own = self._catalog.component(component.name).component
        if component.base_version not in own.versions or (own.variants and FROM_SOURCE not in own.variants):
            return None
        for source in own.versions[component.base_version].sources:
            if source.variant in (None, FROM_SOURCE) and source.name == "main" and source.unpack == "auto":
                upstream = [one for one in source.alternatives if not isinstance(one, DISTRIBUTIONS)]
                # A template has no meaning outside of its component.
                plain = [one for one in upstream if "{{" not in str(one)]
                return source.model_copy(update={"alternatives": plain}) if plain else None
        return None
