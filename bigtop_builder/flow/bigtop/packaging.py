"""The packaging of a tree of Apache Bigtop: its bill of materials and its own specs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from bigtop_builder.adapter.store import Store
from bigtop_builder.flow.bigtop.tree import OpenedTree, open_tree
from bigtop_builder.flow.build.project import Project
from bigtop_builder.model.digest import of_bytes
from bigtop_builder.model.errors import ConfigurationError, RecipeError, placed
from bigtop_builder.model.project import Choice
from bigtop_builder.model.project import Packaging as Chosen
from bigtop_builder.model.source import DebianSource, FileSource, PypiSource, Source
from bigtop_builder.model.stack import Stack
from bigtop_builder.plan.task import Refusal
from bigtop_builder.recipe.bigtop import ingredients
from bigtop_builder.recipe.bigtop.bom import Bom, BomComponent
from bigtop_builder.recipe.bigtop.evaluate import bigtop_stack, evaluate_bigtop, members
from bigtop_builder.recipe.bigtop.pins import SourceLock, pinned, read_lock
from bigtop_builder.recipe.bigtop.tree import NAME, BigtopRecipe, Layout, packaging_of
from bigtop_builder.recipe.catalog import Catalog
from bigtop_builder.recipe.document import near
from bigtop_builder.recipe.evaluate import Evaluated, RenderedFile, Target
from bigtop_builder.recipe.settings import Settings

FROM_SOURCE = "source"
"""The variant of component files that compiles upstream's source."""

DISTRIBUTIONS = (PypiSource, DebianSource, FileSource)
"""Kinds of sources that are not what upstream released as its source."""


class BigtopTreePackaging:
    """``Packaging`` by a tree of Apache Bigtop, laid out as the project file says."""

    name = NAME
    origin = "Bigtop's packaging tree"
    outside = "a Bigtop tree"

    def __init__(self, chosen: Chosen, settings: Settings, catalog: Catalog, store: Store) -> None:
        self.layout = Layout(chosen.suffix, chosen.parent_dir, chosen.stamp)
        self._path = Path(chosen.bigtop)
        self._settings = settings
        self._catalog = catalog
        self._store = store

    @cached_property
    def opened(self) -> OpenedTree:
        """The tree. Raises ConfigurationError with the place in the project file for a path that is not one."""
        with placed(self._settings.place("packaging", "bigtop")):
            return open_tree(self._path, self._store, self._settings.environment)

    @property
    def bom(self) -> Bom:
        """The bill of materials of the tree."""
        return self.opened.tree.bom

    @property
    def stack_name(self) -> str:
        """The name of the stack that the bill of materials describes."""
        return self.stack.name

    @cached_property
    def stack(self) -> Stack:
        """The stack that the bill of materials describes. Raises ConfigurationError for a source of no component."""
        stack = bigtop_stack(self.bom, self.layout, self.opened.epoch)
        for name in self._settings.project.sources:
            if name not in self.bom.components:
                raise ConfigurationError(
                    f"a source is given for {name!r}, which is not a component of Bigtop {self.bom.version}",
                    location=self._settings.place("sources", name),
                    hint=near(name, self.bom.components) or None,
                )
        return stack

    def components(self) -> list[str]:
        """Return the components that the tree packages as RPMs, in the order of the bill of materials."""
        return members(self.bom)

    def known_components(self) -> Collection[str]:
        """Return the same components: only they can be built, so only for them can anything be chosen."""
        return self.stack.components

    def row(self, name: str, version: str | None) -> dict[str, object]:
        """Return a component's row in ``list``; the bill of materials knows no more than its release notes title."""
        return {"name": name, "version": version, "summary": self.bom.components[name].notes}

    def needs(self, name: str, evaluate: Callable[[], Evaluated | Refusal]) -> list[str]:
        """Return what Bigtop builds before a component. Raises ConfigurationError when one is not a component."""
        return list(self.bom.prerequisites(name))

    def prerequisites(self, name: str) -> list[str]:
        """Return what Bigtop builds before a component, leaving out names that are not components.

        Their artifacts are what a build finds in ``~/.m2`` after Bigtop has built them, and does without otherwise.
        """
        return [
            first for first, after in self.bom.dependencies.items() if name in after and first in self.stack.components
        ]

    def evaluate(
        self, name: str, target: Target, choice: Choice, versions: Mapping[str, str], beside: Collection[str]
    ) -> Evaluated | Refusal:
        """Evaluate a component; refuse it when nothing says what its source must be.

        Whether a spec makes native packages is known only when they exist, so nothing is refused for that.
        """
        component = self.bom.component(name)
        try:
            source = None if choice.source else self.source(component)
        except RecipeError as error:
            hint = f" {error.hint}" if error.hint else ""
            return Refusal(name, target.platform.name, f"{error.message}.{hint}")
        return evaluate_bigtop(self.opened.tree, self.stack, name, target, choice, self.layout, source, beside)

    def spec(self, evaluated: Evaluated) -> str:
        """Return the tree's spec with the patches inserted."""
        return packaging_of(evaluated).spec_text

    def services(self, evaluated: Evaluated) -> tuple[RenderedFile, ...]:
        """Return nothing: the specs bring their own scripts."""
        return ()

    def compile_ingredients(
        self, evaluated: Evaluated, image: str, local_digest: str | None, depends: Mapping[str, str]
    ) -> dict[str, str]:
        """Return what shapes the tree that ``%install`` leaves."""
        return ingredients.compile_ingredients(evaluated, image, local_digest, depends)

    def package_ingredients(
        self, evaluated: Evaluated, spec: str, image: str, compile_key: str | None, depends: Mapping[str, str]
    ) -> dict[str, str]:
        """Return what shapes the packages."""
        return ingredients.package_ingredients(evaluated, image, compile_key, depends)

    def patches(self, evaluated: Evaluated) -> Iterator[dict[str, str]]:
        """Yield the patches that the spec applies; Bigtop gives them no note."""
        packaging = packaging_of(evaluated)
        for name in packaging.patches:
            file = packaging.file(f"SOURCES/{name}")
            if file is not None:
                yield {"name": name, "sha256": of_bytes(file.content), "note": ""}

    def component(self, name: str) -> BigtopRecipe:
        """Return the tree's packaging of a component. Raises ConfigurationError when it makes no RPMs of that name."""
        if name not in self.components():
            self.bom.component(name)
            raise ConfigurationError(f"Bigtop builds no RPMs of {name}")
        return self.opened.tree.packaging(name, self.layout)

    @cached_property
    def lock(self) -> SourceLock:
        """The lock file next to the project file."""
        return read_lock(self._settings.root)

    def source(self, component: BomComponent) -> Source | None:
        """Return what a component is built from, with digests; None when it has no source.

        Raises RecipeError when nothing says what the source must be.
        """
        given = self._settings.project.sources.get(component.name)
        known = None if given else self._known(component)
        with placed(self._settings.place("sources", component.name)):
            return pinned(self.bom, component, given=given, known=known, lock=self.lock)

    def _known(self, component: BomComponent) -> Source | None:
        """Return the source of the same version in a component file, unless it is a binary distribution."""
        if component.name not in self._catalog.component_files:
            return None
        own = self._catalog.component(component.name).component
        if component.base_version not in own.versions or (own.variants and FROM_SOURCE not in own.variants):
            return None
        for source in own.versions[component.base_version].sources:
            if source.variant in (None, FROM_SOURCE) and source.name == "main" and source.unpack == "auto":
                upstream = [one for one in source.alternatives if not isinstance(one, DISTRIBUTIONS)]
                # A template can only be rendered for its own component.
                plain = [one for one in upstream if "{{" not in str(one)]
                return source.model_copy(update={"alternatives": plain}) if plain else None
        return None


def tree_packaging(project: Project) -> BigtopTreePackaging:
    """Return the packaging of a project that was opened with a Bigtop tree."""
    assert isinstance(project.packaging, BigtopTreePackaging)
    return project.packaging
