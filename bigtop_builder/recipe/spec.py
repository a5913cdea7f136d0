"""Renders the spec and the service scripts of an evaluated component."""

from __future__ import annotations

from typing import Any

from bigtop_builder.model.component import Service
from bigtop_builder.model.errors import RecipeError
from bigtop_builder.recipe.catalog import Catalog
from bigtop_builder.recipe.evaluate import Evaluated, RenderedFile
from bigtop_builder.recipe.plain import plain
from bigtop_builder.recipe.template import render_file

SERVICES = "services/"
"""The folder of service scripts below ``$FILES``."""


def render_spec(evaluated: Evaluated) -> str:
    """Return the text of the spec. Raises RecipeError when the template fails."""
    context = {
        **evaluated.context,
        "c": _shown(evaluated),
        "noarch": not evaluated.native,
        "epoch": evaluated.stack.epoch,
        "payload": evaluated.target.platform.payload,
    }
    return render_file(evaluated.spec_template, context)


_SHOWN = (
    "package_version",
    *("name", "version", "release", "summary", "description", "license", "url", "group", "native", "arch", "variant"),
    *("options", "packages", "spec_blocks", "build_depends", "runtime_depends"),
)
"""What spec templates see of a component, beside the names that all templates know."""


def _shown(evaluated: Evaluated) -> dict[str, Any]:
    return {name: plain(getattr(evaluated, name)) for name in _SHOWN}


def service_files(catalog: Catalog, evaluated: Evaluated) -> tuple[RenderedFile, ...]:
    """Return a script for each service: the component's own, or the generic one rendered for it.

    Raises RecipeError for a missing script.
    """
    own = {file.name: file for file in evaluated.files}
    scripts: list[RenderedFile] = []
    for package in evaluated.packages:
        for service in package.services:
            if service.script is not None:
                if service.script not in own:
                    raise RecipeError(
                        f"service {service.name} of {evaluated.name}: files/{service.script} does not exist"
                    )
                content = own[service.script].content
            else:
                content = _generic(catalog, evaluated, service)
            scripts.append(RenderedFile(SERVICES + service.name, content, True))
    return tuple(scripts)


def _generic(catalog: Catalog, evaluated: Evaluated, service: Service) -> bytes:
    template = catalog.package_template(evaluated.format.name, "service.init.j2")
    return render_file(template, {**evaluated.context, "service": service}).encode()
