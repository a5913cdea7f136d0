"""The command that checks a repository against Ambari's stack: repo check-stack."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bigtop_builder.cli import options
from bigtop_builder.cli.commands.deploy import Testbed, load
from bigtop_builder.cli.invocation import Colour, Invocation
from bigtop_builder.cli.text_format import count
from bigtop_builder.model.errors import ConfigurationError, ConfigurationErrors, ExitCode

if TYPE_CHECKING:
    from bigtop_builder.cluster.demand_check import StackFinding
    from bigtop_builder.cluster.needs import Place as HostPlace
    from bigtop_builder.flow.publish.stack_check import Offer
    from bigtop_builder.model.ambari_stack import StackDefinition
    from bigtop_builder.plan.task import Refusal
    from bigtop_builder.recipe.catalog import Catalog
    from bigtop_builder.recipe.inventory import LoadedInventory
    from bigtop_builder.recipe.settings import Settings

COLOURS: dict[str, Colour] = {"error": "red", "warning": "yellow", "info": "dim"}
Place = Annotated[
    str | None,
    typer.Argument(
        metavar="PLACE",
        help="A folder or address of a repository. Default: the inventory's, or the project's.",
        show_default=False,
    ),
]
Inventory = Annotated[
    Path | None,
    typer.Option(
        "--inventory", "-i", metavar="FILE", help="Check for the components of this cluster.", show_default=False
    ),
]
Services = Annotated[
    list[str] | None,
    typer.Option(
        "--services", metavar="A,B", help="Check everything that these services need; repeatable.", show_default=False
    ),
]
StackName = Annotated[
    str | None,
    typer.Option("--stack", metavar="NAME-VERSION", help="Ambari's stack. Default: BIGTOP-3.2.0.", show_default=False),
]
Line = Annotated[Literal["2.8", "3.0"], typer.Option("--ambari", help="The line of Ambari.")]
Family = Annotated[
    str | None,
    typer.Option(
        "--family",
        metavar="NAME",
        help="Ambari's name of the OS family, such as redhat8. Default: the platform's.",
        show_default=False,
    ),
]
RepositoryVersion = Annotated[
    str | None,
    typer.Option(
        "--repository-version",
        metavar="VERSION",
        help="The version that is registered with Ambari. Default: the stack's.",
        show_default=False,
    ),
]
AllComponents = Annotated[bool, typer.Option("--all", help="Check every component of every service of the stack.")]
Planned = Annotated[
    bool, typer.Option("--planned", help="Check what the project's components would give; nothing is built.")
]


def check_stack(
    invocation: Invocation,
    place: Place = None,
    inventory: Inventory = None,
    testbed: Testbed = None,
    services: Services = None,
    stack: StackName = None,
    ambari: Line = "3.0",
    family: Family = None,
    repository_version: RepositoryVersion = None,
    platform: options.Platforms = None,
    everything: AllComponents = False,
    builder: options.Builder = None,
    planned: Planned = False,
) -> None:
    """Check that a repository has every package, selector name and path that Ambari's stack needs."""
    from bigtop_builder.cluster.demand_check import choose_components
    from bigtop_builder.cluster.stack_data import load_stack
    from bigtop_builder.flow.publish.stack_check import check_offer
    from bigtop_builder.recipe.catalog import Catalog

    settings = invocation.settings(builder=builder)
    place = _place(invocation, place) if place else None
    loaded = load(invocation, inventory, testbed) if inventory else None
    names = [name for text in services or () for name in text.split(",") if name]
    if not names and not everything and loaded is None:
        raise ConfigurationError(
            "no services are named",
            hint="Use --services ZOOKEEPER,SPARK, an inventory with --inventory FILE, or --all.",
        )
    if planned and place:
        raise ConfigurationError("--planned checks no repository", hint=f"Leave out --planned or {place}.")
    title, version = _stack(stack, loaded)
    catalog = Catalog(settings.overlays)
    definition = load_stack(title, version, ambari, catalog.roots)
    registered = repository_version or _registered(loaded) or version
    wanted = _components(loaded)
    if everything:
        wanted += [name for service in definition.services.values() for name in service.components]
    chosen = choose_components(definition, [*names, *_services(loaded)], wanted)
    known = family or _family(catalog, _platform(settings, platform))
    source = None if planned else [place] if place else _places(settings, loaded, platform, known)
    places, offer, refusals = _offer(settings, source, platform, definition)
    where = _hosts(loaded, definition) if loaded and not names and not everything else None
    findings = check_offer(offer, definition, chosen, family=known, version=registered, places=where)
    _answer(
        invocation,
        findings,
        refusals,
        places=places,
        stack=definition.id,
        ambari=ambari,
        family=known,
        repository_version=registered,
        components=chosen,
        packages=len(offer.packages),
    )
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(ExitCode.AMBARI)


def _offer(
    settings: Settings, places: list[str] | None, platform: list[str] | None, definition: StackDefinition
) -> tuple[list[str], Offer, Sequence[Refusal]]:
    """Read the repositories at ``places``, or plan what the project would build; also return where it came from."""
    from bigtop_builder.flow.open_project import open_project
    from bigtop_builder.flow.publish.stack_check import planned_offer, read_offer

    if places is not None:
        return places, read_offer(places, definition), ()
    name = _platform(settings, platform)
    offer, refusals = planned_offer(open_project(settings), name, definition)
    return [f"planned for {name}"], offer, refusals


def _answer(
    invocation: Invocation, findings: Sequence[StackFinding], refusals: Sequence[Refusal], **facts: Any
) -> None:
    """Print the findings; ``facts`` says what was checked."""
    packages = count(facts["packages"], "package")
    what = f"{facts['stack']} on Ambari {facts['ambari']} for {facts['family']}"
    head = f"{', '.join(facts['places'])}: {packages}, {what}"
    text = "\n".join([_text(invocation, head, findings), *(f"refused: {one.reason}" for one in refusals)])
    data = {
        **facts,
        "findings": [asdict(finding) for finding in findings],
        "refused": [asdict(refusal) for refusal in refusals],
    }
    invocation.answer(text, data)


def _stack(given: str | None, loaded: LoadedInventory | None) -> tuple[str, str]:
    if given is None:
        return (loaded.inventory.stack.name, loaded.inventory.stack.version) if loaded else ("BIGTOP", "3.2.0")
    name, dash, version = given.rpartition("-")
    if not dash or not name:
        raise ConfigurationError(f"--stack {given}: not NAME-VERSION", hint="For example: BIGTOP-3.2.0")
    return name.upper(), version


def _registered(loaded: LoadedInventory | None) -> str | None:
    return loaded.inventory.stack.repository_version if loaded else None


def _services(loaded: LoadedInventory | None) -> list[str]:
    return list(loaded.inventory.services) if loaded else []


def _components(loaded: LoadedInventory | None) -> list[str]:
    groups = loaded.inventory.groups.values() if loaded else ()
    return [one if isinstance(one, str) else one.name for group in groups for one in group.components]


def _hosts(loaded: LoadedInventory, definition: StackDefinition) -> tuple[HostPlace, ...] | None:
    """Return what is on which hosts, with what Ambari adds; None if only the stack advisor knows."""
    from bigtop_builder.cluster.high_availability import high_availability
    from bigtop_builder.cluster.layout import layout_of
    from bigtop_builder.cluster.layout_rules import check_layout
    from bigtop_builder.cluster.needs import places

    inventory = loaded.inventory
    layout = high_availability(layout_of(loaded), inventory.cluster, {}).layout
    kerberos = inventory.security.kerberos is not None
    if inventory.placement == "auto" or not layout.groups:
        return None
    # Mistakes in the layout are a matter of the deployment's own check.
    with contextlib.suppress(ConfigurationError, ConfigurationErrors):
        layout = check_layout(layout, definition, loaded.place, kerberos=kerberos, default_password=True).layout
    return places(layout, inventory.prepare.packages, kerberos=kerberos)


def _platform(settings: Settings, given: list[str] | None) -> str:
    chosen = given or settings.project.platforms
    if len(chosen) != 1:
        raise ConfigurationError(f"several platforms: {', '.join(chosen)}", hint="Name one with --platform.")
    return chosen[0]


def _family(catalog: Catalog, platform: str) -> str:
    family = catalog.platform(platform).ambari_os
    if family is None:
        raise ConfigurationError(
            f"Ambari has no OS family for the platform {platform!r}",
            hint="Name one with --family, for example redhat8.",
        )
    return family


def _place(invocation: Invocation, place: str) -> str:
    if "://" in place:
        return place
    if (invocation.cwd / place).is_file():
        raise ConfigurationError(f"{place} is a file, not a repository", hint="Give an inventory with --inventory.")
    return str(invocation.cwd / place)


def _places(settings: Settings, loaded: LoadedInventory | None, platform: list[str] | None, family: str) -> list[str]:
    if loaded is not None and loaded.inventory.repositories:
        from bigtop_builder.model.repository import filled, usual_variables

        return [filled(one.url, family, usual_variables(family)) for one in loaded.inventory.repositories]
    return [str(settings.repository / options.stack_name(settings) / _platform(settings, platform))]


def _text(invocation: Invocation, head: str, findings: Sequence[StackFinding]) -> str:
    lines = [head]
    for one in findings:
        level = invocation.paint(f"{one.level}:", COLOURS[one.level])
        lines.append(f"{level} {one.subject} (for {one.wanted_by}) {one.message}")
        if one.hint:
            lines.append(f"  {one.hint}")
    errors = sum(one.level == "error" for one in findings)
    lines.append("nothing is missing" if not errors else f"{count(errors, 'problem')}: an installation would fail")
    return "\n".join(lines)
