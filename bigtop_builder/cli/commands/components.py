"""The commands list and verify-component."""

from __future__ import annotations

import textwrap
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

NEVER = "not yet"
CHANGED = "changed since"


def list_(
    invocation: Invocation,
    what: Annotated[
        str,
        typer.Argument(
            metavar="components|platforms|stacks|NAME",
            help="What to list; the name of a component shows its variants and options, what it lacks, and on what it "
            "has been built and run.",
            show_default=False,
            autocompletion=options.complete_component,
        ),
    ] = "components",
    packaging: options.PackagingOption = None,
) -> None:
    """List the components of the stack, the platforms or the stacks; or show one component."""
    from bigtop_builder.cli.text_format import table
    from bigtop_builder.flow.open_project import open_project

    project = open_project(options.settings_with(invocation, packaging))
    width = invocation.width()
    rows: list[dict[str, Any]] = []
    if what == "platforms":
        for name in project.catalog.platform_files:
            platform = project.platform(name)
            row = {"name": name, "dist": platform.dist, "architectures": platform.architectures}
            rows.append({**row, "title": platform.title})
        cells = [[row["name"], row["dist"], ", ".join(row["architectures"]), row["title"]] for row in rows]
        text = table(("PLATFORM", "DIST", "ARCHITECTURES", "WHAT IT IS"), cells, width)
    elif what == "stacks":
        for name in project.catalog.stack_files:
            stack = project.catalog.stack(name)
            rows.append({"name": name, "version": stack.version, "components": list(stack.components)})
        cells = [[row["name"], row["version"], ", ".join(row["components"])] for row in rows]
        text = table(("STACK", "VERSION", "COMPONENTS"), cells, width, fold=True)
    elif what == "components":
        rows = [_row(project, name) for name in project.components()]
        text = _components_text(rows, width)
    else:
        detailed = _detailed(project, what)
        invocation.answer(_component_text(detailed, width), detailed)
        return
    invocation.answer(text, rows)


def _row(project: Project, name: str) -> dict[str, Any]:
    from bigtop_builder.recipe.document import near

    known = project.packaging.known_components()
    if name not in known:
        hint = near(name, [*known, "components", "platforms", "stacks"])
        raise ConfigurationError(f"there is no component {name!r}", hint=hint or None)
    return project.packaging.row(name, project.versions.get(name))


def _detailed(project: Project, name: str) -> dict[str, Any]:
    """Return the row of a component with what it lacks: by variant, against Bigtop's own, and on which platforms."""
    from bigtop_builder.plan.task import Refusal

    row = _row(project, name)
    lacks: dict[str, list[str]] = {}
    refused: dict[str, str] = {}
    differs: list[str] = []
    for platform in project.file.platforms:
        evaluated = project.evaluate(name, platform)
        if isinstance(evaluated, Refusal):
            refused[platform] = evaluated.reason
        else:
            differs = differs or [deviation.reason for deviation in evaluated.deviations]
        for variant in row.get("variants", ()):
            other = project.evaluate_variant(name, platform, variant)
            if not isinstance(other, Refusal) and other.lacks:
                lacks.setdefault(variant, list(other.lacks))
    return {**row, "lacks": lacks, "refused": refused, "differs_from_bigtop": differs}


def _components_text(rows: list[dict[str, Any]], width: int) -> str:
    from bigtop_builder.cli.text_format import table

    if not any("verified" in row for row in rows):
        cells = [[row["name"], row["version"], row["summary"]] for row in rows]
        return table(("COMPONENT", "VERSION", "WHAT IT IS"), cells, width)
    cells = [[row["name"], row["version"], _tried(row), row["summary"]] for row in rows]
    return table(("COMPONENT", "VERSION", "BUILT AND RUN", "WHAT IT IS"), cells, width)


def _of_this_version(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [record for record in row["verified"] if record["version"] == row["version"]]


def _tried(row: dict[str, Any]) -> str:
    """Return where the version that the project builds has been built and run, in a few words."""
    records = _of_this_version(row)
    current = [record["platform"] for record in records if record["current"]]
    if current:
        return ", ".join(dict.fromkeys(current))
    return CHANGED if records else NEVER


def _component_text(row: dict[str, Any], width: int) -> str:
    from bigtop_builder.cli.text_format import facts

    known = [("architecture", row["arch"])] if row.get("arch") else []
    for variant in row.get("variants", ()):
        note = row["notes"].get(variant, "")
        known.append(("variant", f"{variant}: {note}" if note else variant))
        known += [("lacks", lack) for lack in row["lacks"].get(variant, ())]
    for name, option in row.get("options", {}).items():
        values = "|".join(option["choices"])
        known.append(("option", f"{name}={values}, by default {option['default']}. {option['note']}".rstrip()))
    known += [("not for", f"{platform}: {reason}") for platform, reason in row["refused"].items()]
    known += [("not as Bigtop", reason) for reason in row["differs_from_bigtop"]]
    head = textwrap.fill(f"{row['name']} {row['version']}: {row['summary']}", width, break_long_words=False)
    lines = [head, facts(known, width)]
    if "verified" in row:
        lines += [_record_text(record, width) for record in row["verified"]]
        if not _of_this_version(row):
            text = f"{row['version']} has not been built and run by its tests yet: it may need work"
            lines.append(textwrap.fill(text, width))
    return "\n".join(line for line in lines if line)


def _record_text(record: dict[str, Any], width: int) -> str:
    """Return what was built, where, when, from which source, and what ran."""
    from bigtop_builder.cli.text_format import count, facts, span

    variant = f" ({record['variant']})" if record["variant"] else ""
    variant += "".join(f", {key}={value}" for key, value in record["chosen"].items())
    seconds = record["seconds"]
    compiled = f"compiled in {span(seconds['compile'])}, " if seconds["compile"] is not None else ""
    changed = "" if record["current"] else "; its recipe has changed since, so it may not run now"
    known = [
        ("source", record["source"]),
        ("took", f"{compiled}packaged in {span(seconds['package'])}"),
        ("ran", f"on {count(record['hosts'], 'host')}: {', '.join(record['runs'])}"),
        *(("did not run", skipped) for skipped in record["skipped"]),
    ]
    head = f"{record['version']}{variant} for {record['platform']} was built and run on {record['date']}{changed}"
    return f"{head}\n{facts(known, width)}"


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
