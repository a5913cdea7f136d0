"""The smoke test of a component: the scripts in its ``tests`` folder, and what they need of a host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from bigtop_builder.model.component import Smoke
from bigtop_builder.model.errors import Location, RecipeError
from bigtop_builder.recipe.catalog import Catalog, LoadedComponent
from bigtop_builder.recipe.document import near
from bigtop_builder.recipe.renderer import Renderer

SMOKE, START = "smoke.sh", "start.sh"
"""The test itself, and what brings the component up on a clean host."""

LIBRARIES = ("tap.sh", "host.sh")
"""What the scripts of all components have in common: how they report, and how they start and ask services."""

OWN_VARIABLES = ("VERSION", "STACK_VERSION", "SUFFIX", "PARENT_DIR", "SMOKE_DIR")
"""The variables that every script has. A component cannot set them."""


@dataclass(frozen=True)
class SmokeTest:
    """A smoke test with its templates rendered; ``packages`` is empty when it needs all of the component."""

    packages: tuple[str, ...]
    needs: tuple[str, ...]
    memory: str
    timeout: str
    environment: Mapping[str, str]
    """Variables of the scripts, without ``SMOKE_DIR``, which depends on the host."""
    files: Mapping[str, Path]
    """The files of the ``tests`` folders by their relative names: ``smoke.sh`` and whatever it uses, with LIBRARIES."""


def read_smoke_test(catalog: Catalog, loaded: LoadedComponent, renderer: Renderer) -> SmokeTest | None:
    """Return the smoke test of a component, or None when it has none. Raises RecipeError with its place."""
    smoke, document, files = loaded.component.smoke, loaded.document, loaded.tests()
    if SMOKE not in files:
        if smoke is not None or files:
            place = document.locate(("smoke",)) if smoke is not None else Location(next(iter(files.values())))
            raise RecipeError(
                f"{loaded.component.name} has no tests/{SMOKE}, so nothing uses this",
                location=place,
                hint=f"Write tests/{SMOKE} beside component.yaml, or remove 'smoke' and the folder tests.",
            )
        return None
    smoke = smoke or Smoke()
    for index, name in enumerate(smoke.needs):
        if name not in catalog.component_files or name == loaded.component.name:
            raise RecipeError(
                f"the smoke test of {loaded.component.name} needs {name!r}, which is not another component",
                location=document.locate(("smoke", "needs", index)),
                hint=near(name, catalog.component_files) or None,
            )
    for name in smoke.variables:
        if name in OWN_VARIABLES:
            raise RecipeError(
                f"{name} is set for every smoke test: choose another name",
                location=document.locate(("smoke", "variables", name)),
            )
    context = renderer.context
    variables = {name: renderer.text(text, ("smoke", "variables", name)) for name, text in smoke.variables.items()}
    return SmokeTest(
        packages=tuple(filter(None, renderer.texts(smoke.packages, ("smoke", "packages")))),
        needs=tuple(smoke.needs),
        memory=smoke.memory,
        timeout=smoke.timeout,
        environment=MappingProxyType(
            {
                "VERSION": str(context["version"]),
                "STACK_VERSION": str(context["stack"]["version"]),
                "SUFFIX": str(context["suffix"]),
                "PARENT_DIR": str(context["parent_dir"]),
                **variables,
            }
        ),
        files=MappingProxyType({**{name: catalog.smoke_library(name) for name in LIBRARIES}, **files}),
    )
