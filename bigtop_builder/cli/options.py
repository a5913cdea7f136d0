"""The options that several commands share, each defined once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bigtop_builder.model.errors import BigtopBuilderError, ConfigurationError

if TYPE_CHECKING:
    from bigtop_builder.cli.invocation import Invocation
    from bigtop_builder.recipe.catalog import Catalog
    from bigtop_builder.recipe.settings import Settings

LOCAL = "local"
"""``--executor local``: this machine."""

OWN = "own"
"""``--packaging own``: the component files."""

SELECTION, BUILDING, REPORTS = "What to build", "How to build", "Reports"


def complete_component(incomplete: str) -> list[str]:
    """Return component names for the completion of the shell."""
    return [name for name in _catalog().component_files if name.startswith(incomplete) and name.isprintable()]


def complete_platform(incomplete: str) -> list[str]:
    """Return platform names for the completion of the shell."""
    return [name for name in _catalog().platform_files if name.startswith(incomplete) and name.isprintable()]


def _catalog() -> Catalog:
    """The catalog of the project here. Mistakes in it are reported when a command runs, not while it is typed."""
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
        metavar="COMPONENT",
        help="Names or globs ('bigtop-*'), each with or without @PLATFORM.",
        show_default=False,
        autocompletion=complete_component,
    ),
]
All = Annotated[bool, typer.Option("--all", help="Select every component of the stack.", rich_help_panel=SELECTION)]
Platforms = Annotated[
    list[str] | None,
    typer.Option(
        "--platform",
        "-p",
        metavar="NAME",
        help="Build for this platform instead of the project's; repeatable.",
        show_default=False,
        autocompletion=complete_platform,
        rich_help_panel=SELECTION,
    ),
]
Root = Annotated[
    Path | None,
    typer.Option(
        "--root", metavar="DIR", help="The root of repositories to use instead of the project's.", show_default=False
    ),
]
PublishedPlatforms = Annotated[
    list[str] | None,
    typer.Option(
        "--platform",
        "-p",
        metavar="NAME",
        help="Use this platform instead of the project's; repeatable.",
        show_default=False,
        autocompletion=complete_platform,
    ),
]
WithDependencies = Annotated[
    bool,
    typer.Option("--with-dependencies", help="Also build what they depend on.", rich_help_panel=SELECTION),
]
WithDependants = Annotated[
    bool,
    typer.Option("--with-dependants", help="Also build what depends on them.", rich_help_panel=SELECTION),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="COMPONENT.KEY=VALUE",
        help="Set a component's version, release, variant, one of its options or, as variables.NAME or "
        "variables.NAME.KEY, one of its variables; repeatable.",
        show_default=False,
        rich_help_panel=SELECTION,
    ),
]
Source = Annotated[
    list[str] | None,
    typer.Option(
        "--source",
        metavar="COMPONENT=SOURCE",
        help="Build a component from a source of your own: a tree or archive here, git+URL@REF, or "
        "https://…#sha256=DIGEST; repeatable.",
        show_default=False,
        rich_help_panel=SELECTION,
    ),
]
PackagingOption = Annotated[
    str | None,
    typer.Option(
        "--packaging",
        metavar="bigtop:PATH",
        help="Build with the packaging of Apache Bigtop 3.2.0 or later: PATH is a checkout or a release archive. "
        "'own' builds with component files, whatever the project file says.",
        show_default=False,
        rich_help_panel=BUILDING,
    ),
]
FromShell = Annotated[
    bool,
    typer.Option(
        "--from-shell",
        help="Package what was finished by hand in the shell of the failed compile, instead of compiling. Packages and "
        "their provenance say so.",
        rich_help_panel=BUILDING,
    ),
]
Builder = Annotated[
    Literal["embedded", "platform"] | None,
    typer.Option(
        "--builder",
        help="Build in the image made from Debian packages, or in the platform's own image.",
        show_default=False,
        rich_help_panel=BUILDING,
    ),
]
Locks = Annotated[
    Literal["use", "ignore", "require"] | None,
    typer.Option(
        "--locks",
        help="Compile with the locks of components that have one, with none, or only with a lock.",
        show_default=False,
        rich_help_panel=BUILDING,
    ),
]
Native = Annotated[
    Literal["refuse", "label"] | None,
    typer.Option(
        "--native",
        help="What to do with native packages that the builder cannot make for the platform: refuse them, or label "
        "them with the platform they were built on. The default is to refuse named components; --all labels.",
        show_default=False,
        rich_help_panel=BUILDING,
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Rebuild what is selected even if it could be reused.", rich_help_panel=BUILDING)
]
Task = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="TASK",
        help="Carry out only this task of the plan, such as zookeeper@el8/package, after what it needs.",
        show_default=False,
        rich_help_panel=BUILDING,
    ),
]
Emit = Annotated[
    Literal["gitlab", "github", "jenkins"] | None,
    typer.Option(
        "--emit",
        help="Print a pipeline instead, in which each task is a job; the jobs share results (see results in the "
        "project file).",
        show_default=False,
    ),
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Use only what is in the store; download nothing.", rich_help_panel=BUILDING)
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        min=1,
        max=256,
        help="How many tasks run in parallel; the default depends on processors and memory.",
        show_default=False,
        rich_help_panel=BUILDING,
    ),
]
Executor = Annotated[
    str | None,
    typer.Option(
        "--executor",
        metavar="local|ADDRESS",
        help="Build on this machine, or on the Dask cluster of this scheduler: tls://HOST:PORT.",
        show_default=False,
        rich_help_panel=BUILDING,
    ),
]
KeepGoing = Annotated[
    bool,
    typer.Option(
        "--keep-going",
        "-k",
        help="After a failure, go on with what does not depend on it.",
        rich_help_panel=BUILDING,
    ),
]
Failed = Annotated[
    bool,
    typer.Option(
        "--failed",
        help="Select what the newest build of this project did not finish, with the choices that it had.",
        rich_help_panel=SELECTION,
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", "-n", help="Show the plan and build nothing.", rich_help_panel=BUILDING)
]
CheckReproducible = Annotated[
    bool,
    typer.Option(
        "--check-reproducible",
        help="Build everything a second time and compare; exit with 12 if the bytes differ.",
        rich_help_panel=BUILDING,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        metavar="DIR",
        help="Folder for finished packages, instead of the project's.",
        show_default=False,
        rich_help_panel=REPORTS,
    ),
]
JUnit = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML.", rich_help_panel=REPORTS)
]
Summary = Annotated[
    Path | None,
    typer.Option(
        "--summary",
        metavar="FILE",
        help="Write a summary: Markdown, or JSON when FILE ends in .json.",
        rich_help_panel=REPORTS,
    ),
]
Events = Annotated[
    Path | None,
    typer.Option("--events", metavar="FILE", help="Write the run's events as JSON lines.", rich_help_panel=REPORTS),
]
Logs = Annotated[
    Path | None,
    typer.Option(
        "--logs", metavar="DIR", help="Copy the logs of what failed into DIR, for a pipeline.", rich_help_panel=REPORTS
    ),
]
Record = Annotated[
    Path | None,
    typer.Option(
        "--record",
        metavar="FOLDER",
        help="Write each exchange with the Ambari server to a file in FOLDER, without passwords, for a bug report.",
        show_default=False,
        rich_help_panel=REPORTS,
    ),
]
RunName = Annotated[
    str | None,
    typer.Option("--run", metavar="RUN", help="Name of a run; the default is the newest.", show_default=False),
]


def settings_with(invocation: Invocation, packaging: str | None, **flags: object) -> Settings:
    """Load the settings with ``flags`` and ``--packaging`` on top. Raises ConfigurationError for an invalid value."""
    if packaging is None:
        return invocation.settings(**flags)
    if packaging == OWN:
        return without_packaging(invocation.settings(**flags))
    kind, colon, path = packaging.partition(":")
    if kind != "bigtop" or not colon or not path:
        raise ConfigurationError(
            f"{packaging!r} is not bigtop:PATH", hint="For example: --packaging bigtop:../bigtop or --packaging own"
        )
    return invocation.settings(packaging__bigtop=path, **flags)


def without_packaging(settings: Settings) -> Settings:
    """Return the settings with component files as packaging, whatever the project file says."""
    return replace(settings, project=settings.project.model_copy(update={"packaging": None}))


def stack_name(settings: Settings) -> str:
    """Return the name of the stack that a project's packages are published under."""
    from bigtop_builder.flow.open_project import open_packaging

    return open_packaging(settings).stack_name
