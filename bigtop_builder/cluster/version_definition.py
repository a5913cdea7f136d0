"""Version definitions, by which Ambari learns of a repository, and the repo file that its agents write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bigtop_builder.cluster.demands import name_suffix
from bigtop_builder.model.ambari_stack import StackDefinition
from bigtop_builder.model.errors import RecipeError
from bigtop_builder.recipe.catalog import shipped_templates
from bigtop_builder.recipe.template import render_file

NOTES = "https://bigtop.apache.org/"
"""Release notes are compulsory in a version definition."""


def version_definition(
    stack: StackDefinition,
    version: str,
    families: Mapping[str, Sequence[tuple[str, str, str]]],
    templates: Path | None = None,
) -> str:
    """The XML for a version of the stack; all its services are in the manifest, so that any can be added later.

    ``version`` is the repository version, ``families`` gives id, name and base address of repositories by OS family.
    Raises RecipeError without a repository, or for a version that is not of the stack (Ambari: the first two numbers
    must agree).
    """
    if not any(families.values()):
        raise RecipeError("a version definition needs a repository")
    check_version(stack, version)
    services = [
        {"id": f"{name}-{_digits(service.version)}", "name": name, "version": service.version.partition("-")[0]}
        for name, service in sorted(stack.services.items())
    ]
    repositories = [
        (family, [{"id": key, "name": name, "url": url} for key, name, url in entries])
        for family, entries in sorted(families.items())
        if entries
    ]
    context = {
        "stack": stack.id,
        "version": version,
        "package_version": name_suffix(version),
        "display": f"{stack.name}-{version}",
        "notes": NOTES,
        "services": services,
        "families": repositories,
    }
    return render_file((templates or shipped_templates()) / "ambari" / "version_definition.xml.j2", context)


def check_version(stack: StackDefinition, version: str) -> None:
    """Raises RecipeError for a version that is not of the stack."""
    if version.split(".")[:2] != stack.version.split(".")[:2]:
        raise RecipeError(
            f"the version {version} is not of the stack {stack.id}",
            hint="The first two numbers must agree, else Ambari refuses it.",
        )


def _digits(version: str) -> str:
    return version.partition("-")[0].replace(".", "")


def agent_repository_template(keys: Sequence[str], templates: Path | None = None) -> str:
    """The value of ``cluster-env/repo_suse_rhel_template``: with ``keys`` (addresses) packages must be signed.

    The metadata's own signature is not asked for: agents list packages without answering the question whether its key
    may be trusted, and would fail.
    """
    file = (templates or shipped_templates()) / "ambari" / "agent-repository.repo.j2"
    return render_file(file, {"keys": list(keys)}).rstrip("\n")
