"""Evaluates a component file for a stack, a platform and the user's choices into one frozen value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from bigtop_builder.model import digest
from bigtop_builder.model.component import Build, Component, Deviation, Package, Release, Variable, Variant
from bigtop_builder.model.errors import Location, RecipeError
from bigtop_builder.model.platform import Platform
from bigtop_builder.model.project import Choice
from bigtop_builder.model.source import GitSource, Source
from bigtop_builder.model.stack import Stack
from bigtop_builder.recipe.catalog import Catalog, LoadedComponent
from bigtop_builder.recipe.choices import (
    chosen_options,
    chosen_release,
    chosen_sources,
    chosen_variables,
    chosen_variant,
    chosen_version,
)
from bigtop_builder.recipe.document import DocumentPath, near
from bigtop_builder.recipe.lock import LockFile
from bigtop_builder.recipe.meter import metered
from bigtop_builder.recipe.package_format import FORMATS, PackageFormat
from bigtop_builder.recipe.packages import LeftOut, check_installed, evaluate_packages
from bigtop_builder.recipe.patches import AppliedPatch, read_patches
from bigtop_builder.recipe.plain import shared
from bigtop_builder.recipe.renderer import Renderer
from bigtop_builder.recipe.smoke import SmokeTest, read_smoke_test
from bigtop_builder.recipe.template import render

COMPONENT_FILES = "component-files"
"""The name of the packaging that is described by component files."""

CompileStep = Literal["none", "copy", "container"]
"""How a component is compiled: not at all, by taking its source tree as it is, or by a build in a container."""

BUILD_FILES = "build/"
"""Files below ``files/build/`` are also for the compile step; the others only shape packages."""


@dataclass(frozen=True)
class Target:
    """What a component is evaluated for.

    ``platform`` labels the packages, ``builder`` is the platform whose image builds them.
    """

    platform: Platform
    builder: Platform
    arch: str
    further: bool = False
    """Whether ``arch`` is one of several and not the first, which also builds what runs on all."""

    @property
    def label(self) -> str:
        """``el8``, or ``el8.aarch64`` on a further architecture."""
        return self._labelled(self.platform)

    @property
    def builder_label(self) -> str:
        """The same of the builder."""
        return self._labelled(self.builder)

    def _labelled(self, platform: Platform) -> str:
        return f"{platform.name}.{self.arch}" if self.further else platform.name


@dataclass(frozen=True)
class RenderedFile:
    """A rendered file of the component; ``executable`` as in its folder."""

    name: str
    content: bytes
    executable: bool

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, followed by ``+x`` for an executable."""
        return digest.of_bytes(self.content) + ("+x" if self.executable else "")


@dataclass(frozen=True)
class Script:
    """A script of the component's file, rendered, and the step that runs it."""

    kind: Literal["compile", "package"]
    path: DocumentPath
    text: str


@dataclass(frozen=True)
class Evaluated:
    """A component, ready to be built for one platform, with every template rendered."""

    name: str
    version: str
    release: int | str
    summary: str
    description: str
    license: str
    url: str
    group: str
    native: bool
    stack: Stack
    target: Target
    variant: str | None
    options: Mapping[str, str]
    sources: tuple[Source, ...]
    local_source: Path | None
    source_base: Path
    patches: tuple[AppliedPatch, ...]
    build: Build
    install: str
    packages: tuple[Package, ...]
    left_out: tuple[LeftOut, ...]
    lacks: tuple[str, ...]
    deviations: tuple[Deviation, ...]
    build_depends: tuple[str, ...]
    runtime_depends: tuple[str, ...]
    files: tuple[RenderedFile, ...]
    spec_template: Path
    spec_blocks: Mapping[str, str]
    context: Mapping[str, Any] = field(repr=False, compare=False)
    compile_step: CompileStep
    version_chosen: bool = False
    """Whether the user chose the version, whatever a local source says that it is."""
    chosen_variables: Mapping[str, Variable] = field(default_factory=dict)
    """The variables that the user set, and what to."""
    lock: LockFile | None = None
    """What its compile step may download; with it there is no network."""
    scripts: tuple[Script, ...] = ()
    """What of it bash must be able to read."""
    smoke: SmokeTest | None = None
    """Its smoke test, if it has one."""
    packaging: str = COMPONENT_FILES
    """The name of the packaging that evaluated it. The steps of that packaging build it."""
    payload: object = None
    """Whatever else that packaging needs to build it. Nothing outside of that packaging reads it."""

    @property
    def arch(self) -> str:
        """The architecture of the packages: ``noarch``, ``x86_64`` or ``aarch64``."""
        return self.target.arch if self.native else "noarch"

    @property
    def package_version(self) -> str:
        """The version of the packages, without dashes: ``3.1.1_TDP_0.1.0~SNAPSHOT``."""
        return self.format.version(self.version)

    @property
    def build_files(self) -> tuple[RenderedFile, ...]:
        """The files that are available to the compile step."""
        return tuple(file for file in self.files if file.name.startswith(BUILD_FILES))

    @property
    def format(self) -> PackageFormat:
        """The format of the packages."""
        return FORMATS[self.target.platform.package_format]

    def package_files(self) -> tuple[str, ...]:
        """Return the names of the package files that the package step must make."""
        release = f"{self.release}{self.target.platform.dist}"
        return tuple(
            self.format.file_name(package.name, self.package_version, release, self.arch) for package in self.packages
        )


def evaluate(
    catalog: Catalog,
    stack: Stack,
    name: str,
    target: Target,
    choice: Choice,
    versions: Mapping[str, str] | None = None,
) -> Evaluated:
    """Evaluate one component. ``versions`` are those of the stack, overridden by the user's choices.

    Raises RecipeError or ConfigurationError with the location of a mistake.
    """
    loaded = catalog.component(name)
    with metered():
        return _evaluate(catalog, loaded, stack, target, choice, versions or stack.components)


def _evaluate(
    catalog: Catalog,
    loaded: LoadedComponent,
    stack: Stack,
    target: Target,
    choice: Choice,
    versions: Mapping[str, str],
) -> Evaluated:
    component, document = loaded.component, loaded.document
    version = chosen_version(component, document, choice, versions)
    chosen = chosen_release(component, document, version, choice)
    variant_name, variant = chosen_variant(component, choice)
    context = _context(component, stack, target, versions, version, choice.release or chosen.release)
    context["variant"] = variant_name
    context["commit"] = "" if choice.source else _commit(chosen, variant_name)
    context["options"] = chosen_options(component, choice)
    renderer = Renderer(document, context)
    for key, value in chosen_variables(component, choice).items():
        if isinstance(value, str):
            context[key] = renderer.text(value, ("variables", key))
        else:
            context[key] = {name: renderer.text(text, ("variables", key, name)) for name, text in value.items()}
    build_path: DocumentPath = ("variants", variant_name, "build") if variant_name else ("build",)
    build: Build = renderer.model(variant.build if variant else component.build or Build(), build_path)
    sources = chosen_sources(chosen, version, variant_name, choice, renderer)
    patches = read_patches(loaded.patches(version))
    depends = _dependencies(catalog, loaded, renderer)
    packages, left_out = evaluate_packages(component, renderer)
    install = renderer.text(component.install, ("install",))
    check_installed(component, install, packages, document)
    scripts = [Script("compile", (*build_path, "script"), build.script), Script("package", ("install",), install)]
    return Evaluated(
        name=component.name,
        version=version,
        release=choice.release or chosen.release,
        summary=renderer.text(component.summary, ("summary",)),
        description=renderer.text(component.description, ("description",)),
        license=renderer.text(component.license, ("license",)),
        url=component.url,
        group=component.group,
        native=component.arch == "native",
        stack=stack,
        target=target,
        variant=variant_name,
        options=MappingProxyType(context["options"]),
        sources=sources,
        local_source=Path(choice.source) if choice.source else None,
        chosen_variables=choice.variables,
        version_chosen=choice.version is not None,
        source_base=document.file_of(("versions", version)).parent,
        patches=patches,
        build=build,
        install=install,
        scripts=tuple(script for script in (*scripts, *_scriptlets(component, renderer)) if script.text.strip()),
        packages=packages,
        left_out=left_out,
        lacks=_lacks(variant_name, variant, renderer),
        deviations=_deviations(component, renderer),
        build_depends=depends["build"],
        runtime_depends=depends["runtime"],
        files=_files(loaded, context),
        spec_template=_spec_template(catalog, loaded, FORMATS[target.platform.package_format]),
        spec_blocks={key: renderer.text(text, ("spec_blocks", key)) for key, text in component.spec_blocks.items()},
        context=context,
        compile_step=_compile_step(build, sources, choice, patches),
        smoke=read_smoke_test(catalog, loaded, renderer),
    )


def _compile_step(
    build: Build, sources: tuple[Source, ...], choice: Choice, patches: tuple[AppliedPatch, ...]
) -> CompileStep:
    has_script = bool(build.script.strip())
    if not (has_script or sources or choice.source):
        return "none"
    return "container" if has_script or patches else "copy"


def _scriptlets(component: Component, renderer: Renderer) -> Iterator[Script]:
    for index, package in enumerate(component.packages):
        if package.scripts and renderer.truth(package.when, ("packages", index, "when")):
            for phase, text in package.scripts.items():
                path: DocumentPath = ("packages", index, "scripts", phase)
                yield Script("package", path, renderer.text(text, path))


def _dependencies(catalog: Catalog, loaded: LoadedComponent, renderer: Renderer) -> dict[str, tuple[str, ...]]:
    depends = loaded.component.depends
    found: dict[str, tuple[str, ...]] = {}
    for kind, texts in (("build", depends.build), ("runtime", depends.runtime)):
        names = [renderer.text(text, ("depends", kind, index)).strip() for index, text in enumerate(texts)]
        for index, name in enumerate(names):
            if name and name not in catalog.component_files:
                raise RecipeError(
                    f"{loaded.component.name} depends on {name!r}, which is not a component",
                    location=loaded.document.locate(("depends", kind, index)),
                    hint=near(name, catalog.component_files) or None,
                )
        found[kind] = tuple(dict.fromkeys(filter(None, names)))
    return found


def _context(
    component: Component,
    stack: Stack,
    target: Target,
    versions: Mapping[str, str],
    version: str,
    release: int,
) -> dict[str, Any]:
    return {
        "name": component.name,
        "version": version,
        "release": release,
        "stack": shared(stack),
        "suffix": stack.suffix,
        "parent_dir": stack.parent_dir,
        "prefix": stack.prefix,
        "versions": versions if isinstance(versions, dict) else dict(versions),
        "platform": shared(target.platform),
        "arch": target.arch,
        "native": component.arch == "native",
    }


def _commit(release: Release, variant: str | None) -> str:
    sources = (source for source in release.sources if source.name == "main" and source.variant in (None, variant))
    return next((one.commit for source in sources for one in source.alternatives if isinstance(one, GitSource)), "")


def _lacks(name: str | None, variant: Variant | None, renderer: Renderer) -> tuple[str, ...]:
    lacks = variant.lacks if variant else []
    return tuple(renderer.text(text, ("variants", name or "", "lacks", index)) for index, text in enumerate(lacks))


def _deviations(component: Component, renderer: Renderer) -> tuple[Deviation, ...]:
    return tuple(
        deviation
        for index, deviation in enumerate(component.differs_from_bigtop)
        if renderer.truth(deviation.when, ("differs_from_bigtop", index, "when"))
    )


def _files(loaded: LoadedComponent, context: Mapping[str, Any]) -> tuple[RenderedFile, ...]:
    rendered: list[RenderedFile] = []
    for name, path in sorted(loaded.files().items()):
        try:
            content = path.read_bytes()
            if name.endswith(".j2"):
                name = name.removesuffix(".j2")
                content = render(content.decode("utf-8"), context, Location(path)).encode()
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"cannot be read: {error}", location=Location(path)) from None
        rendered.append(RenderedFile(name, content, bool(path.stat().st_mode & 0o100)))
    return tuple(rendered)


def _spec_template(catalog: Catalog, loaded: LoadedComponent, package_format: PackageFormat) -> Path:
    own = loaded.component.spec
    if own is None:
        return catalog.package_template(package_format.name, package_format.spec_template)
    for folder in loaded.folders:
        if (folder / own).is_file():
            return folder / own
    raise RecipeError(f"the spec template {own} does not exist", location=loaded.document.locate(("spec",)))
