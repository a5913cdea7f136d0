"""Commands for a project and its machine: init, doctor, config, schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from bigtop_builder.cli.invocation import Colour, Invocation
from bigtop_builder.model.errors import ConfigurationError, ExitCode


def init(
    invocation: Invocation,
    stack: Annotated[
        str | None, typer.Option("--stack", metavar="NAME", help="The stack to build.", show_default=False)
    ] = None,
    platform: Annotated[
        list[str] | None,
        typer.Option("--platform", "-p", metavar="NAME", help="A platform; repeatable.", show_default=False),
    ] = None,
    builder: Annotated[
        Literal["embedded", "platform"] | None,
        typer.Option(
            "--builder",
            help="Build in the image made from Debian packages, or in the platform's own image.",
            show_default=False,
        ),
    ] = None,
    overlay: Annotated[
        str | None,
        typer.Option(
            "--overlay",
            metavar="NAME",
            help="Also make a folder for components of your own, with one to start from.",
            show_default=False,
        ),
    ] = None,
    inventory: Annotated[
        bool, typer.Option("--inventory", help="Also write cluster.yaml, an inventory to start from.")
    ] = False,
    ci: Annotated[
        Literal["gitlab", "github", "jenkins"] | None,
        typer.Option("--ci", help="Also write the file of a pipeline.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
) -> None:
    """Write a project file that explains every setting and its default, and schemas for editors.

    In a project, --overlay, --inventory and --ci add their files to it.
    """
    from bigtop_builder.cli.project_file import SCHEMA_FOLDER, project_file
    from bigtop_builder.cli.schemas import SCHEMAS, schema_text
    from bigtop_builder.recipe.catalog import Catalog
    from bigtop_builder.recipe.settings import PROJECT_FILE

    catalog = Catalog()
    if stack is not None:
        catalog.stack(stack)
    for name in platform or ():
        catalog.platform(name)
    folder = invocation.cwd
    file = folder / PROJECT_FILE
    wanted = _starting_points(folder, overlay, inventory, ci)
    if wanted and file.exists() and not (force or stack or platform or builder):
        _add(invocation, wanted, overlay)
        return
    try:
        (folder / SCHEMA_FOLDER).mkdir(parents=True, exist_ok=True)
        for name in SCHEMAS:
            (folder / SCHEMA_FOLDER / f"{name}.json").write_text(schema_text(name), encoding="utf-8")
        with file.open("w" if force else "x", encoding="utf-8") as stream:
            overlays = [overlay] if overlay else None
            stream.write(project_file(stack=stack, platforms=platform, builder=builder, overlays=overlays))
    except FileExistsError:
        hint = "Use --force to overwrite it."
        if wanted:
            hint = f"{hint[:-1]}, or leave out --stack, --platform and --builder to add files to the project."
        raise ConfigurationError(f"{file} exists already", hint=hint) from None
    except OSError as error:
        raise ConfigurationError(f"{error.filename or file}: {error.strerror}") from error
    more = _copy(wanted, force=force)
    invocation.answer("", {"file": str(file), "schemas": str(folder / SCHEMA_FOLDER), "more": more})
    written = "\n".join(f"wrote {path}" for path in (file, *more))
    invocation.say(f"{written}\nnext: bigtop-builder doctor, then bigtop-builder list")


def _starting_points(folder: Path, overlay: str | None, inventory: bool, ci: str | None) -> dict[Path, Path]:
    """Return where each wanted file or folder goes, and what it is a copy of."""
    from bigtop_builder.cli.examples import CI_FILES
    from bigtop_builder.recipe.catalog import shipped

    wanted: dict[Path, Path] = {}
    if overlay is not None:
        if not overlay or Path(overlay).is_absolute() or ".." in Path(overlay).parts:
            raise ConfigurationError(f"--overlay {overlay!r} is not the name of a folder in the project")
        for part in ("components", "stacks"):
            wanted[folder / overlay / part] = shipped("examples") / "overlay" / part
    if inventory:
        wanted[folder / "cluster.yaml"] = shipped("inventories") / "three-hosts.yaml"
    if ci is not None:
        source, target = CI_FILES[ci]
        wanted[folder / target] = shipped("examples") / "ci" / source
    return wanted


def _copy(wanted: dict[Path, Path], *, force: bool = False) -> list[str]:
    from bigtop_builder.cli.examples import copy_new

    return [str(copy_new(source, target, force=force)) for target, source in wanted.items()]


def _add(invocation: Invocation, wanted: dict[Path, Path], overlay: str | None) -> None:
    """Add files to a project that exists."""
    made = _copy(wanted)
    invocation.answer("", {"more": made})
    invocation.say("\n".join(f"wrote {path}" for path in made))
    if overlay is not None:
        invocation.say(f"next: add it to the project file: overlays: [{overlay}]")


def examples(
    invocation: Invocation,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The example to copy. Default: list all.", show_default=False)
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", help="Copy it into DIR instead of this folder.", show_default=False),
    ] = None,
) -> None:
    """List the shipped examples, or copy one."""
    from bigtop_builder.cli.examples import copy_example
    from bigtop_builder.cli.examples import examples as shipped_examples
    from bigtop_builder.cli.text_format import table

    if name is not None:
        made = [str(path) for path in copy_example(name, invocation.cwd / (to or "."))]
        invocation.answer("", made)
        invocation.say("\n".join(f"wrote {path}" for path in made))
        return
    found = shipped_examples()
    rows = [[one.name, one.kind, one.title] for one in found]
    data = [{"name": one.name, "kind": one.kind, "title": one.title} for one in found]
    invocation.answer(table(("EXAMPLE", "KIND", "WHAT IT IS"), rows, invocation.width(), fold=True), data)


def doctor(
    invocation: Invocation,
    components: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COMPONENT",
            help="The components to be built, whose mirrors are asked. Default: all of the stack.",
            show_default=False,
        ),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Skip checks that need the network.")] = False,
) -> None:
    """Check the container engine, disk, memory, network and certificates, and say how to fix problems."""
    from bigtop_builder.cli.text_format import columns
    from bigtop_builder.flow.doctor import examine

    colours: dict[str, Colour] = {"ok": "green", "warning": "yellow", "failure": "red"}
    findings = examine(invocation.settings(), offline=offline, components=components or ())
    lines = columns([(finding.state, finding.name, finding.detail) for finding in findings]).splitlines()
    text: list[str] = []
    for finding, line in zip(findings, lines, strict=True):
        text.append(invocation.paint(finding.state, colours[finding.state]) + line[len(finding.state) :])
        if finding.advice and finding.state != "ok":
            text.append(f"         → {finding.advice}")
    failed = any(finding.state == "failure" for finding in findings)
    data = {"ok": not failed, "findings": [vars(finding) for finding in findings]}
    invocation.answer("\n".join(text), data)
    if failed:
        raise typer.Exit(ExitCode.ENGINE)


def config(
    invocation: Invocation,
    origin: Annotated[bool, typer.Option("--origin", help="Show where each value comes from.")] = False,
) -> None:
    """Show the settings in effect."""
    from bigtop_builder.cli.text_format import columns

    settings = invocation.settings()
    values: dict[str, object] = {}
    for dotted in settings.origin:
        value: object = settings.project.model_dump(mode="json")
        for key in dotted.split("."):
            value = value.get(key) if isinstance(value, dict) else value
        values[dotted] = value
    rows = [
        (name, json.dumps(value, ensure_ascii=False), settings.origin[name] if origin else "")
        for name, value in values.items()
    ]
    data = {
        name: {"value": value, "origin": settings.origin[name]} if origin else value for name, value in values.items()
    }
    invocation.answer(columns(rows), data)


def schema(
    invocation: Invocation,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The schema. Default: list all.", show_default=False)
    ] = None,
) -> None:
    """Print the JSON Schema of a file format or of a command's JSON output."""
    from bigtop_builder.cli.schemas import SCHEMAS, schema_text
    from bigtop_builder.cli.text_format import columns
    from bigtop_builder.recipe.document import near

    if name is None:
        titles = {known: about for known, (_, about) in SCHEMAS.items()}
        invocation.answer(columns(list(titles.items())), titles)
    elif name not in SCHEMAS:
        raise ConfigurationError(f"unknown schema {name!r}", hint=near(name, SCHEMAS))
    else:
        invocation.answer(schema_text(name), json.loads(schema_text(name)))
