"""Commands about inventories: inventory import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.cli.text_format import clean, count
from bigtop_builder.model.errors import ConfigurationError

if TYPE_CHECKING:
    from bigtop_builder.cluster.adoption.found import FoundServer
    from bigtop_builder.flow.deploy.inventory_import import Imported


def import_(
    invocation: Invocation,
    source: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="The address of an Ambari server, or JSON files: a blueprint, and its cluster template.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The file to write. Default: CLUSTER.yaml here."),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="NAME",
            help="The cluster. Default: the server's only one, or the blueprint's name.",
            show_default=False,
        ),
    ] = None,
    user: Annotated[str, typer.Option("--user", metavar="NAME", help="A user of Ambari.")] = "admin",
    password: Annotated[
        str,
        typer.Option("--password", metavar="REFERENCE", help="env:NAME, file:PATH, command:COMMAND LINE or prompt."),
    ] = "env:AMBARI_PASSWORD",
    ca: Annotated[
        Path | None,
        typer.Option(
            "--ca", metavar="FILE", help="PEM file of the authority of the server's certificate.", show_default=False
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="With files: the server to write down.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write the inventory of a cluster that exists, from its Ambari server or from its blueprint."""
    from bigtop_builder.flow.deploy.inventory_import import import_files, import_server

    folder = invocation.cwd
    if output is not None:
        _require_free(folder / output, force=force)
    server = _server(folder, url, user, password, ca)
    addresses = [one for one in source if "://" in one]
    if addresses and (len(source) > 1 or url):
        raise ConfigurationError("give one Ambari server, or files; --url goes with files")
    for one in source:
        if not addresses and not (folder / one).exists():
            raise ConfigurationError(
                f"there is no file {one}",
                hint=f"Give the JSON files of a blueprint, or the address of an Ambari server: http://{one}"
                if "/" not in one and not one.endswith(".json")
                else "Give the JSON files of a blueprint.",
            )
    if addresses:
        found = import_server(addresses[0], server, cluster, invocation.settings())
    else:
        found = import_files([folder / one for one in source], server, cluster, invocation.settings())
    file = folder / (output or f"{found.cluster}.yaml")
    _require_free(file, force=force)
    _write(file, found.inventory.text, force=force)
    invocation.answer(_answer(file, found), {**found.data(), "file": str(file)})


def _server(folder: Path, url: str | None, user: str, password: str, ca: Path | None) -> FoundServer:
    from bigtop_builder.cluster.adoption.found import FoundServer

    given = str((folder / ca.expanduser()).resolve()) if ca else None
    return FoundServer(url or "", user, password, given)


def _require_free(file: Path, *, force: bool) -> None:
    if file.exists() and not force:
        raise ConfigurationError(f"{file} exists already", hint="Use --force to overwrite it, or --output FILE.")


def _write(file: Path, text: str, *, force: bool) -> None:
    try:
        with file.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror or error}") from error


def _answer(file: Path, found: Imported) -> str:
    lines = [f"{file}: cluster {found.cluster}, {count(found.hosts, 'host')}"]
    if found.inventory.left_out:
        lines.append(
            f"{found.inventory.left_out} properties have the values of the stack, its advisor or the layout: left out"
        )
    lines += [f"! {clean(remark)}" for remark in found.remarks]
    if found.inventory.variables:
        lines.append(f"passwords, by reference: {', '.join(found.inventory.variables)}")
    lines.append("Fill in `ssh`, then: bigtop-builder deploy --dry-run " + file.name)
    return "\n".join(lines)
