"""The options that several commands share: each is defined once, here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bigtop_builder.model.errors import BigtopBuilderError, ConfigurationError

if TYPE_CHECKING:
    from bigtop_builder.model.project import Choice
    from bigtop_builder.recipe.catalog import Catalog
    from bigtop_builder.recipe.settings import Settings

OWN = "own"
"""``--packaging own``: the component files."""

SELECTION, BUILDING, REPORTS = "What is built", "How it is built", "Reports"


def complete_component(incomplete: str) -> list[str]:
    """Component names for the shell's completion."""
    return [name for name in _catalog().component_files if name.startswith(incomplete)]


def complete_platform(incomplete: str) -> list[str]:
    """Platform names for the shell's completion."""
    return [name for name in _catalog().platform_files if name.startswith(incomplete)]


def _catalog() -> Catalog:
    """With the overlays of the project here; a mistake in it is told when a command runs, not while one is typed."""
    from bigtop_builder.recipe.catalog import Catalog
    from bigtop_builder.recipe.settings import load_settings

    try:
        catalog = Catalog(load_settings(Path.cwd()).overlays)
        _ = catalog.component_files
    except BigtopBuilderError:
        return Catalog()
    return catalog


Components = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[COMPONENT]...",
        help="Names, globs ('bigtop-*'), or either with @PLATFORM.",
        show_default=False,
        autocompletion=complete_component,
    ),
]
All = Annotated[bool, typer.Option("--all", help="Every component of the stack.", rich_help_panel=SELECTION)]
Platforms = Annotated[
    list[str] | None,
    typer.Option(
        "--platform",
        "-p",
        metavar="NAME",
        help="A platform to build for, instead of the project's; may be repeated.",
        show_default=False,
        autocompletion=complete_platform,
        rich_help_panel=SELECTION,
    ),
]
WithDependencies = Annotated[
    bool,
    typer.Option("--with-dependencies", help="Also what the selected ones depend on.", rich_help_panel=SELECTION),
]
WithDependants = Annotated[
    bool,
    typer.Option("--with-dependants", help="Also what depends on the selected ones.", rich_help_panel=SELECTION),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="COMPONENT.KEY=VALUE",
        help="Choose a component's version, release, variant or one of its options; may be repeated.",
        show_default=False,
        rich_help_panel=SELECTION,
    ),
]
Source = Annotated[
    list[str] | None,
    typer.Option(
        "--source",
        metavar="COMPONENT=PATH",
        help="Build a component from a source tree or archive on this machine; may be repeated.",
        show_default=False,
        rich_help_panel=SELECTION,
    ),
]
PackagingOption = Annotated[
    str | None,
    typer.Option(
        "--packaging",
        metavar="bigtop:PATH",
        help="Build with the packaging of a tree of Apache Bigtop 3.2.0 or newer, a checkout or a release archive; "
        "'own' builds with the component files whatever the project file says.",
        show_default=False,
        rich_help_panel=BUILDING,
    ),
]
Builder = Annotated[
    Literal["embedded", "platform"] | None,
    typer.Option(
        "--builder",
        help="Build in the image made from Debian's packages, or in the platform's own.",
        show_default=False,
        rich_help_panel=BUILDING,
    ),
]
Native = Annotated[
    Literal["refuse", "label"] | None,
    typer.Option(
        "--native",
        help="A native package that the builder cannot make for the platform: refuse it, or label it with what it "
        "was built on. Without it one that is named is refused, and --all labels.",
        show_default=False,
        rich_help_panel=BUILDING,
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Build again what could be reused.", rich_help_panel=BUILDING)]
Offline = Annotated[
    bool, typer.Option("--offline", help="Use what is in the store; download nothing.", rich_help_panel=BUILDING)
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        min=1,
        max=256,
        help="Tasks side by side; without it as many as processors and memory allow.",
        show_default=False,
        rich_help_panel=BUILDING,
    ),
]
KeepGoing = Annotated[
    bool,
    typer.Option(
        "--keep-going", "-k", help="After a failure go on with what does not depend on it.", rich_help_panel=BUILDING
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        metavar="DIR",
        help="Where finished packages are put, instead of the project's folder.",
        show_default=False,
        rich_help_panel=REPORTS,
    ),
]
RunName = Annotated[
    str | None,
    typer.Option("--run", metavar="RUN", help="A run by its name; without it the newest.", show_default=False),
]


def with_packaging(settings: Settings, text: str | None) -> Settings:
    """The settings without Bigtop's packaging for ``own``; anything else was a setting already."""
    if text != OWN:
        return settings
    return replace(settings, project=settings.project.model_copy(update={"packaging": None}))


def stack_name(settings: Settings) -> str:
    """The name of the stack whose packages a project builds: with Bigtop's packaging that of the tree."""
    from bigtop_builder.flow.build.project import Project

    return Project(settings).stack.name if settings.project.packaging else settings.project.stack


def packaging_path(text: str | None) -> str | None:
    """The path of ``bigtop:PATH``; None for ``own`` or when nothing is given. Raises ConfigurationError."""
    if text is None or text == OWN:
        return None
    kind, colon, path = text.partition(":")
    if kind != "bigtop" or not colon or not path:
        raise ConfigurationError(
            f"{text!r} is not bigtop:PATH", hint="For example: --packaging bigtop:../bigtop or --packaging own"
        )
    return path


def parse_choices(sets: Sequence[str] | None, sources: Sequence[str] | None, cwd: Path) -> dict[str, Choice]:
    """What ``--set`` and ``--source`` choose, by component. Raises ConfigurationError for one that does not parse."""
    from pydantic import ValidationError

    from bigtop_builder.model.project import Choice

    chosen: dict[str, dict[str, object]] = {}
    for text in sets or ():
        left, equals, value = text.partition("=")
        component, dot, key = left.rpartition(".")
        if not (equals and dot and component and key):
            raise ConfigurationError(
                f"--set {text!r} is not COMPONENT.KEY=VALUE", hint="For example: --set spark.version=3.2.3"
            )
        choice = chosen.setdefault(component, {})
        if key in ("version", "release", "variant"):
            choice[key] = value
        else:
            options = choice.setdefault("options", {})
            assert isinstance(options, dict)
            options[key] = value
    for text in sources or ():
        component, equals, path = text.partition("=")
        if not (equals and component and path):
            raise ConfigurationError(
                f"--source {text!r} is not COMPONENT=PATH", hint="For example: --source spark=../spark"
            )
        place = cwd / Path(path).expanduser()
        if not place.exists():
            raise ConfigurationError(f"--source {text!r}: there is no {place}")
        chosen.setdefault(component, {})["source"] = str(place)
    try:
        return {name: Choice.model_validate(choice) for name, choice in chosen.items()}
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in problem["loc"])
        raise ConfigurationError(f"--set …{key}={problem['input']}: {problem['msg']}") from None
