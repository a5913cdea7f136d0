"""The packaging that component files describe: each component is a folder of the catalog."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from bigtop_builder.model.digest import of_file
from bigtop_builder.model.errors import placed
from bigtop_builder.model.project import Choice
from bigtop_builder.model.stack import Stack
from bigtop_builder.plan import key
from bigtop_builder.plan.task import Refusal
from bigtop_builder.recipe.catalog import Catalog
from bigtop_builder.recipe.choices import check_variant
from bigtop_builder.recipe.evaluate import COMPONENT_FILES, Evaluated, RenderedFile, Target, evaluate
from bigtop_builder.recipe.lock import find_lock, lock_name
from bigtop_builder.recipe.settings import Settings
from bigtop_builder.recipe.source_version import check_version
from bigtop_builder.recipe.spec import render_spec, service_files
from bigtop_builder.recipe.verified import verified


class ComponentFiles:
    """``Packaging`` by component files: what a project uses unless it names something else."""

    name = COMPONENT_FILES
    origin = "component file"
    outside = None

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self._settings = settings
        self._catalog = catalog

    @property
    def stack_name(self) -> str:
        """Return the name in the project file, which need not exist."""
        return self._settings.project.stack

    @cached_property
    def stack(self) -> Stack:
        """Return the stack that the project file names. Raises ConfigurationError or RecipeError."""
        with placed(self._settings.place("stack")):
            return self._catalog.stack(self.stack_name)

    def components(self) -> list[str]:
        """Return the members of the stack, then the components that only overlays have."""
        shipped = self._catalog.roots[0]
        added = [
            name
            for name, files in self._catalog.component_files.items()
            if name not in self.stack.components and not files[0].is_relative_to(shipped)
        ]
        return [*self.stack.components, *added]

    def known_components(self) -> Collection[str]:
        """Return the members of the stack and every component of the catalog."""
        return {*self.stack.components, *self._catalog.component_files}

    def row(self, name: str, version: str | None) -> dict[str, object]:
        """Return a component's row in ``list``, with its architecture, its variants and the records of what ran."""
        loaded = self._catalog.component(name)
        component = loaded.component
        return {
            "name": name,
            "version": version or component.version or next(iter(component.versions)),
            "arch": component.arch,
            "variants": list(component.variants),
            "notes": {variant: one.note for variant, one in component.variants.items() if one.note},
            "options": {option: one.model_dump() for option, one in component.options.items()},
            "verified": [one.data() for one in verified(loaded)],
            "summary": component.summary,
        }

    def needs(self, name: str, evaluate: Callable[[], Evaluated | Refusal]) -> list[str]:
        """Return the build and runtime dependencies; a refused component has none."""
        evaluated = evaluate()
        return [] if isinstance(evaluated, Refusal) else [*evaluated.build_depends, *evaluated.runtime_depends]

    def prerequisites(self, name: str) -> tuple[str, ...]:
        """Return nothing: a component file names what it depends on in any case."""
        return ()

    def evaluate(
        self, name: str, target: Target, choice: Choice, versions: Mapping[str, str], beside: Collection[str]
    ) -> Evaluated | Refusal:
        """Evaluate a component file; refuse native code that the builder cannot make for the platform.

        With ``native: label`` such a component is evaluated for the builder's own platform instead.
        """
        if self._catalog.component(name).component.arch == "native":
            target_or_refusal = self._native_target(name, target)
            if isinstance(target_or_refusal, Refusal):
                return target_or_refusal
            target = target_or_refusal
        evaluated = evaluate(self._catalog, self.stack, name, target, choice, versions)
        if tree := evaluated.local_source:
            check_variant(self._catalog.component(name).component, evaluated.variant, choice, tree)
            if not evaluated.version_chosen:
                check_version(tree, name, evaluated.version, evaluated.build.script)
        return self._with_lock(evaluated) if self._settings.project.locks != "ignore" else evaluated

    def _with_lock(self, evaluated: Evaluated) -> Evaluated | Refusal:
        """Add the lock of a component that needs one. The user's own source tree may download something else."""
        if evaluated.compile_step != "container" or evaluated.build.network is False:
            return evaluated
        lock = None
        if evaluated.local_source is None:
            lock = find_lock(self._catalog.component(evaluated.name).folders, lock_of(evaluated))
        if lock is None and self._settings.project.locks == "require":
            return Refusal(
                evaluated.name,
                evaluated.target.platform.name,
                f"{evaluated.name} {evaluated.version} has no lock for {evaluated.target.builder.name}, and 'locks' "
                f"requires one. Make it: bigtop-builder lock {evaluated.name}",
            )
        return replace(evaluated, lock=lock)

    def _native_target(self, name: str, target: Target) -> Target | Refusal:
        platform, builder = target.platform, target.builder
        if target.arch not in platform.architectures:
            return Refusal(name, platform.name, f"{platform.name} does not exist for {target.arch}")
        if builder.name == platform.name:
            return target
        if self._settings.project.native == "label":
            return replace(target, platform=builder)
        return Refusal(
            name,
            platform.name,
            f"{name} is native code: what the image of {builder.name} builds does not run on {platform.name}. "
            f"Build it in {platform.name}'s own image (--builder platform), build it as {name}@{builder.name}, "
            f"or label it {builder.dist} after the platform it is built on (--native label).",
        )

    def spec(self, evaluated: Evaluated) -> str:
        """Render the spec template. Raises RecipeError."""
        return render_spec(evaluated)

    def services(self, evaluated: Evaluated) -> tuple[RenderedFile, ...]:
        """Return a script for each service. Raises RecipeError."""
        return service_files(self._catalog, evaluated)

    def compile_ingredients(
        self, evaluated: Evaluated, image: str, local_digest: str | None, depends: Mapping[str, str]
    ) -> dict[str, str]:
        """Return what shapes the staged tree."""
        return key.compile_ingredients(evaluated, image, local_digest, depends)

    def package_ingredients(
        self, evaluated: Evaluated, spec: str, image: str, compile_key: str | None, depends: Mapping[str, str]
    ) -> dict[str, str]:
        """Return what shapes the packages."""
        return key.package_ingredients(evaluated, spec, self.services(evaluated), image, compile_key, depends)

    def patches(self, evaluated: Evaluated) -> Iterator[dict[str, str]]:
        """Yield the patches of the version with their notes."""
        for patch in evaluated.patches:
            yield {"name": patch.name, "sha256": of_file(patch.path), "note": patch.note}


def lock_of(evaluated: Evaluated) -> str:
    """Return the name of the lock file that belongs to a component as it was evaluated."""
    target = evaluated.target
    return lock_name(evaluated.version, evaluated.variant, target.builder.name, target.arch)
