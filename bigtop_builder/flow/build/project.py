"""What a command works with: settings, catalog, store, and the recipes evaluated for them."""

from __future__ import annotations

import gc
import platform as machine
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from bigtop_builder.adapter.containers.image_recipe import ImageKind, ImageSpec, image_key, image_spec
from bigtop_builder.adapter.containers.image_record import recorded
from bigtop_builder.adapter.store import Store
from bigtop_builder.flow.bigtop.packaging import BigtopRoute
from bigtop_builder.model import digest
from bigtop_builder.model.errors import ConfigurationError, Location, placed
from bigtop_builder.model.platform import Platform
from bigtop_builder.model.project import Choice
from bigtop_builder.model.stack import Stack
from bigtop_builder.plan.graph import closure
from bigtop_builder.plan.planner import Pair, make_plan
from bigtop_builder.plan.task import Kind, Plan, Refusal
from bigtop_builder.recipe.bigtop.ingredients import spec_text
from bigtop_builder.recipe.catalog import Catalog
from bigtop_builder.recipe.document import near
from bigtop_builder.recipe.evaluate import Evaluated, RenderedFile, Target, evaluate
from bigtop_builder.recipe.selection import check_platform, select
from bigtop_builder.recipe.settings import Settings
from bigtop_builder.recipe.spec import render_spec, service_files
from bigtop_builder.recipe.template import compile_with

EMBEDDED = "debian-bootstrap"
"""The platform whose image is made from Debian's packages alone."""


@dataclass(frozen=True)
class Request:
    """What a user asked ``plan`` or ``build`` for."""

    selectors: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    everything: bool = False
    with_dependencies: bool = False
    with_dependants: bool = False
    keep_going: bool = False
    offline: bool = False
    force: bool = False
    check_reproducible: bool = False
    """Build a second time, and compare."""
    rerun_flags: tuple[str, ...] = ()
    """The flags that a command to build one component again must carry."""


class Project:
    """Settings made into things."""

    def __init__(self, settings: Settings, choices: Mapping[str, Choice] | None = None) -> None:
        self.settings = settings
        self.file = settings.project
        self.catalog = Catalog(settings.overlays)
        self.store = Store(settings.store)
        self._compiled = compile_with(self.store.root / "cache" / "templates")
        self.arch = "aarch64" if machine.machine() in ("aarch64", "arm64") else "x86_64"
        self._choices = dict(self.file.components)
        self._given = frozenset(choices or ())
        for name, choice in (choices or {}).items():
            self._choices[name] = _laid_over(self._choices.get(name), choice)
        self._wanted: frozenset[Pair] = frozenset()
        """With Bigtop's packaging: what counts as a prerequisite in the plan that is being made."""
        self._evaluated: dict[Pair, Evaluated | Refusal] = {}
        self._specs: dict[Pair, str] = {}
        self._local_digests: dict[Path, str] = {}
        self._images: dict[tuple[object, ...], ImageSpec] = {}
        self._fingerprints: dict[int, str | None] = {}
        """By the identity of a spec of ``_images``, for the plan that is being made."""

    @cached_property
    def bigtop(self) -> BigtopRoute | None:
        """Bigtop's own packaging, when that is what the project builds with."""
        packaging = self.file.packaging
        return BigtopRoute(packaging, self.settings, self.catalog, self.store) if packaging else None

    @cached_property
    def stack(self) -> Stack:
        if self.bigtop is not None:
            stack = self.bigtop.stack
            known = set(stack.components)
        else:
            with placed(self.settings.place("stack")):
                stack = self.catalog.stack(self.file.stack)
            known = {*stack.components, *self.catalog.component_files}
        for name in self._choices:
            if name not in known:
                raise ConfigurationError(
                    f"a choice is made for {name!r}, which is no component",
                    hint=near(name, known) or None,
                    location=self._place(name),
                )
        return stack

    @cached_property
    def versions(self) -> dict[str, str]:
        """The stack's versions with the user's over them."""
        chosen = {name: choice.version for name, choice in self._choices.items() if choice.version}
        return {**self.stack.components, **chosen}

    def platform(self, name: str) -> Platform:
        return self.catalog.platform(name)

    @property
    def builder_platform(self) -> str | None:
        """The platform that builds everything, or None when each platform builds its own."""
        return EMBEDDED if self.file.builder == "embedded" else None

    def components(self) -> list[str]:
        """The members of the stack, then what overlays add to it; with Bigtop's packaging those of its bill alone."""
        if self.bigtop is not None:
            return list(self.stack.components)
        extra = [
            name
            for name, files in self.catalog.component_files.items()
            if name not in self.stack.components and files[0].is_relative_to(self.catalog.roots[0]) is False
        ]
        return [*self.stack.components, *extra]

    def pairs(self, request: Request) -> list[Pair]:
        """The component and platform pairs of a request. Raises what ``select`` raises."""
        platforms = request.platforms or tuple(self.file.platforms)
        if not request.platforms:
            for index, platform in enumerate(platforms):
                with placed(self.settings.place("platforms", index)):
                    check_platform(platform, self.catalog.platform_files)
        selectors = ("*",) if request.everything else request.selectors
        known = self.components()
        pairs = select(selectors, known, platforms, self.catalog.platform_files)
        for wanted, neighbours in (
            (request.with_dependencies, self._needs),
            (request.with_dependants, self._needed_by),
        ):
            if wanted:
                for platform in dict.fromkeys(platform for _, platform in pairs):
                    start = [name for name, chosen in pairs if chosen == platform]
                    more = closure(start, partial(neighbours, platform))
                    pairs += [(name, platform) for name in sorted(more) if (name, platform) not in pairs]
        return pairs

    def plan(self, request: Request) -> Plan:
        """The plan of a request."""
        self._fingerprints.clear()
        with _without_collection():
            pairs = self.pairs(request)
            self._want(pairs)
            plan = make_plan(pairs, self, self.store, force=request.force, with_compiles=request.check_reproducible)
        self._compiled.save()
        return plan

    def _want(self, pairs: list[Pair]) -> None:
        """With Bigtop's packaging a component depends on the prerequisites that are selected with it or built already.

        Those are what its build would find in ``~/.m2``. Whether one is built depends on what is built before it.
        """
        if self.bigtop is None:
            return
        route = self.bigtop
        counted = frozenset(
            (name, platform) for chosen, platform in pairs for name in (chosen, *closure([chosen], route.prerequisites))
        )
        self._count(counted)
        while counted != frozenset(pairs):
            tasks = make_plan(sorted(counted), self, self.store).tasks
            built = {
                (task.evaluated.name, task.evaluated.target.platform.name)
                for task in tasks
                if task.compile_key and self.store.has("compile", task.compile_key)
            }
            kept = counted & (built | frozenset(pairs))
            if kept == counted:
                break
            counted = kept
            self._count(counted)

    def _count(self, pairs: frozenset[Pair]) -> None:
        if self._wanted != pairs:
            self._wanted = pairs
            self._evaluated.clear()
            self._specs.clear()

    def _needs(self, platform: str, name: str) -> list[str]:
        if self.bigtop is not None:
            return self.bigtop.needs(name)
        evaluated = self.evaluate(name, platform)
        return [] if isinstance(evaluated, Refusal) else [*evaluated.build_depends, *evaluated.runtime_depends]

    def _needed_by(self, platform: str, name: str) -> list[str]:
        return [other for other in self.components() if name in self._needs(platform, other)]

    # what the planner asks

    def evaluate(self, name: str, platform: str) -> Evaluated | Refusal:
        pair = (name, platform)
        if pair not in self._evaluated:
            target = self._target(name, platform)
            with placed(self._place(name)):
                self._evaluated[pair] = target if isinstance(target, Refusal) else self._evaluate(name, target)
        return self._evaluated[pair]

    def _evaluate(self, name: str, target: Target) -> Evaluated | Refusal:
        choice = self._choices.get(name, Choice())
        if self.bigtop is not None:
            before = {other for other, platform in self._wanted if platform == target.platform.name}
            return self.bigtop.evaluate(name, target, choice, before)
        return evaluate(self.catalog, self.stack, name, target, choice, self.versions)

    def _place(self, name: str) -> Location | None:
        """Where the project file chooses something for a component, unless the command line does as well."""
        return None if name in self._given else self.settings.place("components", name)

    def _target(self, name: str, platform: str) -> Target | Refusal:
        labelled = self.platform(platform)
        builder = self.platform(self.builder_platform or platform)
        if self.bigtop is not None:
            # Whether a spec gives native packages is known when they are there: a note tells of those.
            return Target(labelled, builder, self.arch)
        native = self.catalog.component(name).component.arch == "native"
        if native and self.arch not in labelled.architectures:
            return Refusal(name, platform, f"{platform} does not exist for {self.arch}")
        if native and builder.name != labelled.name:
            if self.file.native == "label":
                return Target(builder, builder, self.arch)
            return Refusal(
                name,
                platform,
                f"{name} is native code: what the image of {builder.name} builds does not run on {platform}. "
                f"Build it in {platform}'s own image (--builder platform), build it as {name}@{builder.name}, "
                f"or have it labelled {builder.dist} for what it is (--native label).",
            )
        return Target(labelled, builder, self.arch)

    def image_spec(self, evaluated: Evaluated, kind: Kind) -> ImageSpec:
        """The image that a task of this kind runs in."""
        builder = evaluated.target.builder
        if kind == "package":
            return self.package_image(builder.name)
        build = evaluated.build
        packages = tuple(build.packages.get(builder.family, ()))
        return self._image(builder.name, "toolchain", build.jdk, build.maven, packages)

    def package_image(self, platform: str) -> ImageSpec:
        """The image that packages are made in on a platform; all its other images stand on it."""
        return self._image(platform, "package")

    def host_spec(self, evaluated: Evaluated) -> ImageSpec:
        """The image of a clean host that the packages of a component are installed on."""
        return self._image(self.builder_platform or evaluated.target.platform.name, "host")

    def bare_host(self) -> ImageSpec:
        """The image of a clean host of this project, whatever is installed on it."""
        return self._image(self.builder_platform or self.file.platforms[0], "host")

    def _image(
        self,
        platform: str,
        kind: ImageKind,
        jdk: int | None = None,
        maven: str | None = None,
        packages: tuple[str, ...] = (),
    ) -> ImageSpec:
        wanted = (platform, kind, jdk, maven, packages)
        if wanted not in self._images:
            self._images[wanted] = image_spec(
                self.platform(platform), kind, self.catalog.image_template, jdk=jdk, maven=maven, packages=packages
            )
        return self._images[wanted]

    def image(self, evaluated: Evaluated, kind: Kind) -> str | None:
        spec = self.image_spec(evaluated, kind)
        if id(spec) not in self._fingerprints:
            record = recorded(self.store, image_key(spec))
            self._fingerprints[id(spec)] = record.fingerprint if record else None
        return self._fingerprints[id(spec)]

    def spec(self, evaluated: Evaluated) -> str:
        pair = (evaluated.name, evaluated.target.platform.name)
        if pair not in self._specs:
            self._specs[pair] = spec_text(evaluated.bigtop) if evaluated.bigtop else render_spec(evaluated)
        return self._specs[pair]

    def services(self, evaluated: Evaluated) -> tuple[RenderedFile, ...]:
        return service_files(self.catalog, evaluated)

    def local_digest(self, evaluated: Evaluated) -> str | None:
        path = evaluated.local_source
        if path is None:
            return None
        if path not in self._local_digests:
            self._local_digests[path] = digest.of_tree(path) if path.is_dir() else digest.of_file(path)
        return self._local_digests[path]


@contextmanager
def _without_collection() -> Iterator[None]:
    """All that a plan reads stays: the larger it gets, the longer Python would look for garbage that is not there."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _laid_over(base: Choice | None, over: Choice) -> Choice:
    if base is None:
        return over
    given = over.model_dump(exclude_unset=True)
    options = {**base.options, **over.options}
    return base.model_copy(update={**given, "options": options})
