"""A project: settings, catalog, store and packaging, the components evaluated with them, and plans."""

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
from bigtop_builder.adapter.sources import Fetched
from bigtop_builder.adapter.store import Store
from bigtop_builder.flow.build.from_shell import finished_by_hand
from bigtop_builder.flow.build.packaging import Packaging
from bigtop_builder.flow.build.result_sharing import PlannedResults, ResultSharing, open_results
from bigtop_builder.flow.build.script_check import check_scripts
from bigtop_builder.model import digest
from bigtop_builder.model.errors import ConfigurationError, Location, placed
from bigtop_builder.model.platform import Platform
from bigtop_builder.model.project import Choice
from bigtop_builder.model.stack import Stack
from bigtop_builder.plan.graph import closure
from bigtop_builder.plan.planner import NO_RESULTS, Pair, Results, make_plan
from bigtop_builder.plan.task import Kind, Plan, Refusal
from bigtop_builder.recipe.catalog import Catalog
from bigtop_builder.recipe.document import near
from bigtop_builder.recipe.evaluate import Evaluated, RenderedFile, Target
from bigtop_builder.recipe.selection import check_platform, select
from bigtop_builder.recipe.settings import Settings
from bigtop_builder.recipe.template import compile_with
from bigtop_builder.recipe.variables import laid_over

EMBEDDED = "debian-bootstrap"
"""The platform whose image is made from Debian's packages alone."""


@dataclass(frozen=True)
class Request:
    """What a user requests of ``plan`` or ``build``."""

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
    verify: frozenset[str] = frozenset()
    """The components whose smoke tests run in any case, also for packages that are reused."""
    task: str | None = None
    """The one task of the plan to carry out, after what it needs; None for all."""
    from_shell: str | None = None
    """Take over what was finished by hand in the shells of the components' failed compiles; a token for the keys."""
    rerun_flags: tuple[str, ...] = ()
    """The flags that a command to build one component again must carry."""


class Project:
    """Everything that commands about building need: what the settings name, opened. ``open_project`` makes one."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        store: Store,
        packaging: Packaging,
        choices: Mapping[str, Choice] | None = None,
        fetched: Mapping[str, Fetched] | None = None,
    ) -> None:
        self.settings = settings
        self.file = settings.project
        self.catalog = catalog
        self.store = store
        self.packaging = packaging
        self._compiled = compile_with(self.store.root / "cache" / "templates")
        own = "aarch64" if machine.machine() in ("aarch64", "arm64") else "x86_64"
        self.architectures: tuple[str, ...] = tuple(dict.fromkeys(self.file.architectures)) or (own,)
        self.arch = self.architectures[0]
        """Builds what runs everywhere; native components are built on the others as well."""
        self.fetched = dict(fetched or {})
        """What the users' own sources are that were fetched, by component."""
        self._choices = dict(self.file.components)
        self._given = frozenset(choices or ())
        for name, choice in (choices or {}).items():
            self._choices[name] = _laid_over(self._choices.get(name), choice)
        self._built_too: frozenset[Pair] = frozenset()
        """The pairs that count as dependencies where they are prerequisites, for the plan that is being made."""
        self._evaluated: dict[tuple[str, str, tuple[str, ...]], Evaluated | Refusal] = {}
        """By component, platform and the prerequisites that count."""
        self._specs: dict[tuple[str, str, tuple[str, ...]], str] = {}
        self._local_digests: dict[Path, str] = {}
        self._images: dict[tuple[object, ...], ImageSpec] = {}
        self._fingerprints: dict[int, str | None] = {}
        """By the identity of a spec of ``_images``, for the plan that is being made."""

    @cached_property
    def sharing(self) -> ResultSharing:
        """What the machines of a team share. Raises ConfigurationError for settings that cannot work."""
        return ResultSharing(open_results(self.settings), self.store, push=self.file.results.push)

    @cached_property
    def stack(self) -> Stack:
        """The stack of the packaging. Raises ConfigurationError for a choice about an unknown component."""
        stack, known = self.packaging.stack, self.packaging.known_components()
        for name in self._choices:
            if name not in known:
                raise ConfigurationError(
                    f"a choice is made for the unknown component {name!r}",
                    hint=near(name, known) or None,
                    location=self._place(name),
                )
        return stack

    @cached_property
    def versions(self) -> dict[str, str]:
        """The versions of the stack, overridden by the user's choices."""
        chosen = {name: choice.version for name, choice in self._choices.items() if choice.version}
        return {**self.stack.components, **chosen}

    def platform(self, name: str) -> Platform:
        """Return a platform. Raises ConfigurationError for an unknown name or an invalid file."""
        return self.catalog.platform(name)

    @property
    def builder_platform(self) -> str | None:
        """The platform that builds everything, or None when each platform builds its own."""
        return EMBEDDED if self.file.builder == "embedded" else None

    def components(self) -> list[str]:
        """Return the components that ``--all`` selects, in the order in which they are listed."""
        _ = self.stack  # A choice about an unknown component is an error of every command.
        return self.packaging.components()

    def pairs(self, request: Request) -> list[Pair]:
        """Return the component and platform pairs of a request. Raises whatever ``select`` raises."""
        platforms = request.platforms or tuple(self.file.platforms)
        if not request.platforms:
            for index, platform in enumerate(platforms):
                with placed(self.settings.place("platforms", index)):
                    check_platform(platform, self.catalog.platform_files)
        selectors = ("*",) if request.everything else request.selectors
        known = self.components()
        pairs = select(selectors, known, platforms, self.catalog.platform_files)
        for requested, neighbours in (
            (request.with_dependencies, self._needs),
            (request.with_dependants, self._needed_by),
            (bool(request.verify), self._tested_with),
        ):
            if requested:
                for platform in dict.fromkeys(platform for _, platform in pairs):
                    start = [name for name, chosen in pairs if chosen == platform]
                    more = closure(start, partial(neighbours, platform))
                    pairs += [(name, platform) for name in sorted(more) if (name, platform) not in pairs]
        return pairs + [further for pair in pairs for further in self._on_further(*pair)]

    def _on_further(self, name: str, platform: str) -> Iterator[Pair]:
        """Yield a component on the further architectures, if it is not the same everywhere."""
        for arch in self.architectures[1:]:
            evaluated = self.evaluate(name, f"{platform}.{arch}")
            if isinstance(evaluated, Refusal):
                # What is refused everywhere is told once.
                wanted = isinstance(self.evaluate(name, platform), Evaluated)
            else:
                wanted = evaluated.native
            if wanted:
                yield name, f"{platform}.{arch}"

    def plan(self, request: Request) -> Plan:
        """Make the plan of a request. Raises ConfigurationError, RecipeError or NothingSelectedError."""
        self._fingerprints.clear()
        with _without_collection():
            pairs = self.pairs(request)
            self._settle_prerequisites(pairs, self._results(request))
            by_hand = finished_by_hand(pairs, self, self.store, request.from_shell) if request.from_shell else None
            plan = make_plan(
                pairs,
                self,
                self._results(request),
                force=request.force,
                with_compiles=lambda name: request.check_reproducible or name in request.verify,
                by_hand=by_hand,
            )
        self._compiled.save()
        check_scripts(plan, self.catalog)
        if request.task is None:
            return plan
        if all(task.id != request.task for task in plan.tasks):
            known = [task.id for task in self.whole_plan(request).tasks]
            if request.task not in known:
                hint = near(request.task, known) or "See: bigtop-builder plan"
                raise ConfigurationError(f"--task {request.task}: there is no such task in the plan", hint=hint)
        return plan.up_to(request.task)

    def whole_plan(self, request: Request) -> Plan:
        """Make the plan of a request as if nothing had been built before. Raises what ``plan`` raises."""
        self._fingerprints.clear()
        pairs = self.pairs(request)
        self._settle_prerequisites(pairs, NO_RESULTS)
        return make_plan(pairs, self, NO_RESULTS)

    def unused_choices(self, plan: Plan) -> list[str]:
        """Return a warning for each choice of the command line that nothing in a plan depends on."""
        if not self._given:
            return []
        involved = {refusal.component for refusal in plan.refusals}
        for platform in dict.fromkeys(task.evaluated.target.platform.name for task in plan.tasks):
            start = [task.evaluated.name for task in plan.tasks if task.evaluated.target.platform.name == platform]
            involved |= {*start, *closure(start, partial(self._depends, platform))}
        return [
            f"--set or --source {name}: {name} is not selected, and nothing selected depends on it"
            for name in sorted(self._given - involved)
        ]

    def _results(self, request: Request) -> PlannedResults:
        return PlannedResults(self.store, None if request.offline else self.sharing)

    def _settle_prerequisites(self, pairs: list[Pair], results: Results) -> None:
        """Find the prerequisites that count as dependencies: those that are selected too or have a result already.

        Whether one has a result depends on its key, hence on those of its own prerequisites that count: start with all
        of them, and drop those without a result until nothing changes.
        """
        selected = frozenset(pairs)
        prerequisites = self.packaging.prerequisites
        self._built_too = frozenset(
            (name, platform) for chosen, platform in pairs for name in (chosen, *closure([chosen], prerequisites))
        )
        while self._built_too != selected:
            tasks = make_plan(sorted(self._built_too), self, results).tasks
            built = {
                (task.evaluated.name, task.evaluated.target.label)
                for task in tasks
                if task.compile_key
                and (results.has("compile", task.compile_key) or results.offers("compile", task.compile_key))
            }
            kept = self._built_too & (built | selected)
            if kept == self._built_too:
                break
            self._built_too = kept

    def _depends(self, platform: str, name: str) -> tuple[str, ...]:
        evaluated = self.evaluate(name, platform)
        return () if isinstance(evaluated, Refusal) else (*evaluated.build_depends, *evaluated.runtime_depends)

    def _needs(self, platform: str, name: str) -> list[str]:
        return self.packaging.needs(name, partial(self.evaluate, name, platform))

    def _tested_with(self, platform: str, name: str) -> list[str]:
        """Return what the smoke test of a component installs beside it, without what cannot be built."""
        evaluated = self.evaluate(name, platform)
        if isinstance(evaluated, Refusal):
            return []
        names = (*evaluated.runtime_depends, *(evaluated.smoke.needs if evaluated.smoke else ()))
        return [other for other in names if not isinstance(self.evaluate(other, platform), Refusal)]

    def _needed_by(self, platform: str, name: str) -> list[str]:
        return [other for other in self.components() if name in self._needs(platform, other)]

    # what the planner requests

    def evaluate(self, name: str, platform: str) -> Evaluated | Refusal:
        """Evaluate a component for a platform, once. Raises ConfigurationError or RecipeError."""
        beside = tuple(one for one in self.packaging.prerequisites(name) if (one, platform) in self._built_too)
        if (known := self._evaluated.get((name, platform, beside))) is not None:
            return known
        target = self._target(platform)
        choice, versions = self._choices.get(name, Choice()), self.versions
        with placed(self._place(name)):
            value = self.packaging.evaluate(name, target, choice, versions, beside)
            if target.further and isinstance(value, Evaluated) and not value.native:
                value = self.evaluate(name, target.platform.name)
        self._evaluated[name, platform, beside] = value
        return value

    def _target(self, label: str) -> Target:
        """Return what a label means: ``el8``, or ``el8.aarch64`` for a further architecture."""
        platform, dot, arch = label.rpartition(".")
        if not dot or arch not in self.architectures[1:]:
            platform, arch = label, self.arch
        builder = self.platform(self.builder_platform or platform)
        return Target(self.platform(platform), builder, arch, further=arch != self.arch)

    def evaluate_variant(self, name: str, platform: str, variant: str) -> Evaluated | Refusal:
        """Evaluate a variant of a component as the platform itself would build it, whatever is chosen for builds."""
        target = Target(self.platform(platform), self.platform(platform), self.arch)
        choice = self._choices.get(name, Choice()).model_copy(update={"variant": variant})
        return self.packaging.evaluate(name, target, choice, self.versions, ())

    def _place(self, name: str) -> Location | None:
        """Where the project file chooses something for a component, unless the command line does as well."""
        return None if name in self._given else self.settings.place("components", name)

    def image_spec(self, evaluated: Evaluated, kind: Kind) -> ImageSpec:
        """Return the image that a task of this kind runs in."""
        builder, arch = evaluated.target.builder, evaluated.target.arch
        if kind == "package":
            return self._image(builder.name, "package", arch)
        build = evaluated.build
        packages = tuple(build.packages.get(builder.family, ()))
        return self._image(builder.name, "toolchain", arch, build.jdk, build.maven, packages)

    def package_image(self, platform: str) -> ImageSpec:
        """Return the image that packages are made in on a platform; its other images are built on it."""
        return self._image(platform, "package", self.arch)

    def host_spec(self, evaluated: Evaluated) -> ImageSpec:
        """Return the image of the clean host that a component's packages are installed on."""
        target = evaluated.target
        return self._image(self.builder_platform or target.platform.name, "host", target.arch)

    def bare_host(self) -> ImageSpec:
        """Return the image of a clean host of this project, whatever is installed on it."""
        return self._image(self.builder_platform or self.file.platforms[0], "host", self.arch)

    def _image(
        self,
        platform: str,
        kind: ImageKind,
        arch: str,
        jdk: int | None = None,
        maven: str | None = None,
        packages: tuple[str, ...] = (),
    ) -> ImageSpec:
        key = (platform, kind, arch, jdk, maven, packages)
        if key not in self._images:
            self._images[key] = image_spec(
                self.platform(platform),
                kind,
                self.catalog.image_template,
                jdk=jdk,
                maven=maven,
                packages=packages,
                machine=arch,
            )
        return self._images[key]

    def image(self, evaluated: Evaluated, kind: Kind) -> str | None:
        """Return the fingerprint of the image that a task of this kind runs in; None when it has not been made."""
        spec = self.image_spec(evaluated, kind)
        if id(spec) not in self._fingerprints:
            record = recorded(self.store, image_key(spec))
            # An image that others made shapes the same keys: what they built can be taken without making it here.
            self._fingerprints[id(spec)] = record.fingerprint if record else self.sharing.fingerprint(image_key(spec))
        return self._fingerprints[id(spec)]

    def spec(self, evaluated: Evaluated) -> str:
        """Return the text of a component's spec file, rendered once. Raises RecipeError."""
        key = (evaluated.name, evaluated.target.label, evaluated.build_depends)
        if key not in self._specs:
            self._specs[key] = self.packaging.spec(evaluated)
        return self._specs[key]

    def services(self, evaluated: Evaluated) -> tuple[RenderedFile, ...]:
        """Return the service scripts that the package step needs. Raises RecipeError."""
        return self.packaging.services(evaluated)

    def compile_ingredients(self, evaluated: Evaluated, image: str, depends: Mapping[str, str]) -> dict[str, str]:
        """Return what shapes the result of compiling a component."""
        return self.packaging.compile_ingredients(evaluated, image, self._local_digest(evaluated), depends)

    def package_ingredients(
        self, evaluated: Evaluated, image: str, compile_key: str | None, depends: Mapping[str, str]
    ) -> dict[str, str]:
        """Return what shapes the packages of a component."""
        return self.packaging.package_ingredients(evaluated, self.spec(evaluated), image, compile_key, depends)

    def _local_digest(self, evaluated: Evaluated) -> str | None:
        if (path := evaluated.local_source) is None:
            return None
        if path not in self._local_digests:
            self._local_digests[path] = digest.of_tree(path) if path.is_dir() else digest.of_file(path)
        return self._local_digests[path]


@contextmanager
def _without_collection() -> Iterator[None]:
    """Keep Python from looking for garbage: all that a plan reads stays, so each search is longer and finds nothing."""
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
    variables = laid_over(base.variables, over.variables)
    return base.model_copy(update={**given, "options": options, "variables": variables})
