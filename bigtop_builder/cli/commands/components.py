"""The commands list and verify-component."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bigtop_builder.cli import options
from bigtop_builder.cli.commands.build import Selection
from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.model.errors import ConfigurationError, ExitCode

if TYPE_CHECKING:
    from bigtop_builder.flow.build.project import Project
    from bigtop_builder.flow.build.verify_component import Written

NEVER, CHANGED = "never verified here", "changed since it was verified"


def list_(
    invocation: Invocation,
    what: Annotated[
        str,
        typer.Argument(
            metavar="components|platforms|stacks|NAME",
            help="What to list; the name of a component shows it with the records of what has been built and run.",
            show_default=False,
            autocompletion=options.complete_component,
        ),
    ] = "components",
    packaging: options.PackagingOption = None,
) -> None:
    """List the components of the stack, the platforms or the stacks; or show one component."""
    from bigtop_builder.cli.text_format import columns
    from bigtop_builder.flow.open_project import open_project

    project = open_project(options.settings_with(invocation, packaging))
    if what == "platforms":
        rows: list[dict[str, Any]] = []
        for name in project.catalog.platform_files:
            platform = project.platform(name)
            row = {"name": name, "dist": platform.dist, "architectures": platform.architectures}
            rows.append({**row, "title": platform.title})
    elif what == "stacks":
        rows = []
        for name in project.catalog.stack_files:
            stack = project.catalog.stack(name)
            rows.append({"name": name, "version": stack.version, "components": list(stack.components)})
    elif what == "components":
        rows = [_row(project, name) for name in project.components()]
    else:
        row = _row(project, what)
        invocation.answer(_component_text(row), row)
        return
    cells = [[_cell(row, name) for name in row] for row in rows]
    invocation.answer(columns(cells), rows)


def _row(project: Project, name: str) -> dict[str, Any]:
    from bigtop_builder.recipe.document import near

    known = project.packaging.known_components()
    if name not in known:
        raise ConfigurationError(f"there is no component {name!r}", hint=near(name, known) or None)
    return project.packaging.row(name, project.versions.get(name))


def _cell(row: dict[str, Any], name: str) -> str:
    value = row[name]
    if name == "verified":
        return _verified(row)
    return ", ".join(value) if isinstance(value, list) else str(value)


def _verified(row: dict[str, Any]) -> str:
    """Return what is known of the version that the project builds, in a few words."""
    records = [record for record in row["verified"] if record["version"] == row["version"]]
    current = next((record for record in records if record["current"]), None)
    if current:
        return f"verified {current['date']}"
    return CHANGED if records else NEVER


def _component_text(row: dict[str, Any]) -> str:
    lines = [f"{row['name']} {row['version']}: {row['summary']}"]
    if row.get("variants"):
        lines.append(f"variants: {', '.join(row['variants'])}")
    if "verified" in row:
        lines += [_record_text(record) for record in row["verified"]] or [NEVER]
        if row["verified"] and _verified(row) == NEVER:
            lines.append(f"{row['version']}: {NEVER}")
    return "\n".join(lines)


def _record_text(record: dict[str, Any]) -> str:
    variant = f" ({record['variant']})" if record["variant"] else ""
    variant += "".join(f", {key}={value}" for key, value in record["chosen"].items())
    seconds = record["seconds"]
    compiled = f"compiled in {seconds['compile']:g} s, " if seconds["compile"] is not None else ""
    lines = [
        f"{record['version']}{variant} for {record['platform']}: verified {record['date']}"
        f"{'' if record['current'] else f', {CHANGED}'}",
        f"  source: {record['source']}; {compiled}packaged in {seconds['package']:g} s",
        f"  ran on {record['hosts']} host{'s' if record['hosts'] > 1 else ''}: {', '.join(record['runs'])}",
    ]
    return "\n".join([*lines, *(f"  skipped: {skipped}" for skipped in record["skipped"])])


def verify_component(
    invocation: Invocation,
    components: Annotated[
        list[str],
        typer.Argument(
            metavar="COMPONENT",
            help="Components with a smoke test.",
            show_default=False,
            autocompletion=options.complete_component,
        ),
    ],
    platform: options.Platforms = None,
    sets: options.Set = None,
    source: options.Source = None,
    builder: options.Builder = None,
    native: options.Native = None,
    locks: options.Locks = None,
    offline: options.Offline = False,
    tap: Annotated[
        list[str] | None,
        typer.Option(
            "--tap",
            metavar="COMPONENT=FILE",
            help="Record what this report of a smoke test says, instead of running the test on a clean host; "
            "repeatable.",
            show_default=False,
        ),
    ] = None,
    hosts: Annotated[int, typer.Option("--hosts", min=1, max=10_000, help="How many hosts --tap is about.")] = 1,
    junit: options.JUnit = None,
    events: options.Events = None,
) -> None:
    """Build components, run their smoke tests on a clean host, and write what ran to verified.yaml."""
    selection = Selection(
        components=components,
        everything=False,
        platforms=platform or [],
        with_dependencies=False,
        with_dependants=False,
        sets=sets or [],
        sources=source or [],
        builder=builder,
        native=native,
        packaging=None,
        locks=locks,
        force=False,
    )
    project, request = selection.open(invocation, offline=offline, verify=True)

    from bigtop_builder.flow.build.verify_component import record_reports, verify_components

    if tap:
        reports = _reports(tap, request.verify, invocation.cwd)
        _answer(invocation, record_reports(project, request, reports, hosts))
        return

    from bigtop_builder.cli.views.watch import Reports, watched
    from bigtop_builder.flow.packagings import PACKAGINGS

    written: list[Written] = []
    state = watched(
        invocation,
        Reports(events, junit),
        lambda bus: written.extend(verify_components(project, request, bus, PACKAGINGS)[1]),
    )
    _answer(invocation, written)
    raise typer.Exit(ExitCode.DEFECT if state.exit_code is None else state.exit_code)


def _reports(texts: list[str], names: frozenset[str], cwd: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not (equals and name in names and path):
            raise ConfigurationError(
                f"--tap {text!r} is not COMPONENT=FILE of a component that is named",
                hint="For example: --tap hive=hive.tap",
            )
        found[name] = cwd / path
    if missing := sorted(names - found.keys()):
        raise ConfigurationError(f"--tap has no report of {', '.join(missing)}")
    return found


def _answer(invocation: Invocation, written: list[Written]) -> None:
    lines = [f"{one.component}: {', '.join(one.record.runs)} -> {one.file}" for one in written]
    invocation.answer("\n".join(lines), [one.data() for one in written])
