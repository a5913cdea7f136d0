"""Version definitions, which register a repository with Ambari, and the repo file that its agents write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bigtop_builder.cluster.demands import name_suffix
from bigtop_builder.model.ambari_stack import StackDefinition
from bigtop_builder.model.errors import RecipeError
from bigtop_builder.recipe.catalog import shipped_templates
from bigtop_builder.recipe.template import render_file

NOTES = "https://bigtop.apache.org/"
"""A version definition must have release notes."""


def version_definition(
    stack: StackDefinition,
    version: str,
    families: Mapping[str, Sequence[tuple[str, str, str]]],
    templates: Path | None = None,
) -> str:
    """Return the XML for a version of the stack, with all services in the manifest, so that any can be added later.

    ``version`` is the repository version, ``families`` has id, name and base URL of the repositories by OS family.
    Raises RecipeError without a repository, or for a version of another stack (Ambari: the first two numbers must
    match).
    """
    if not any(families.values()):
        raise RecipeError("a version definition requires a repository")
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
    """Raise RecipeError for a version that does not belong to the stack."""
    if version.split(".")[:2] != stack.version.split(".")[:2]:
        raise RecipeError(
            f"the version {version} does not belong to the stack {stack.id}",
            hint="The first two numbers must match, otherwise Ambari rejects it.",
        )


def _digits(version: str) -> str:
    return version.partition("-")[0].replace(".", "")


def agent_repository_template(keys: Sequence[str], templates: Path | None = None) -> str:
    """Return the value of ``cluster-env/repo_suse_rhel_template``: with ``keys`` (URLs) packages must be signed.

    The signature of the metadata is not checked: agents list packages without answering whether to trust its key, and
    would fail.
    """
    file = (templates or shipped_templates()) / "ambari" / "agent-repository.repo.j2"
    return render_file(file, {"keys": list(keys)}).rstrip("\n")
