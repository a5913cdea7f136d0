"""Commands for test beds: testbed up, down, list, status."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.model.errors import ConfigurationError, ExitCode

if TYPE_CHECKING:
    from bigtop_builder.flow.testbed.testbed import Status

Name = Annotated[str, typer.Argument(metavar="NAME", help="The test bed's name.")]
DEFAULT = "testbed"


def up(
    invocation: Invocation,
    hosts: Annotated[
        int | None,
        typer.Option(
            "--hosts",
            metavar="N",
            min=1,
            max=500,
            help="How many hosts to create: node1.NAME.test and so on.",
            show_default=False,
        ),
    ] = None,
    inventory: Annotated[
        Path | None,
        typer.Option("--inventory", metavar="FILE", help="Create the hosts of this inventory.", show_default=False),
    ] = None,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="The test bed's name.")] = DEFAULT,
    repository: Annotated[
        str | None,
        typer.Option(
            "--repository",
            metavar="DIR|URL",
            help="Where packages come from. Default: the project's repositories.",
            show_default=False,
        ),
    ] = None,
    ambari_packages: Annotated[
        str | None,
        typer.Option(
            "--ambari-packages",
            metavar="DIR|URL",
            help="Packages of the real Ambari, for deploy to set up on the first host. Default: a simulated Ambari.",
            show_default=False,
        ),
    ] = None,
    inject: Annotated[
        Path | None,
        typer.Option(
            "--inject",
            metavar="FILE",
            help="Failures for the simulated Ambari and its agents to inject.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Create a test bed of containers with a repository and an Ambari server, or repair an incomplete one."""
    from bigtop_builder.flow.open_project import open_project
    from bigtop_builder.flow.testbed.create import UpOptions
    from bigtop_builder.flow.testbed.create import up as raise_bed

    if hosts is not None and inventory is not None:
        raise ConfigurationError("--hosts and --inventory cannot be combined", hint="The inventory names its hosts.")
    if inject is not None and ambari_packages is not None:
        raise ConfigurationError("--inject works only with the simulated Ambari")
    options = UpOptions(
        name=name,
        hosts=_wanted_hosts(invocation, name, hosts, inventory),
        repository=_place(invocation, "--repository", repository),
        ambari_packages=_place(invocation, "--ambari-packages", ambari_packages),
        inject=_file(invocation, "--inject", inject),
    )
    status, changes = raise_bed(open_project(invocation.settings()), options, invocation.say)
    invocation.answer(_text(status), {**asdict(status), "changes": changes})
    if not changes:
        invocation.say(f"test bed {name} is up; nothing was changed")


def _wanted_hosts(invocation: Invocation, name: str, count: int | None, inventory: Path | None) -> tuple[str, ...]:
    from bigtop_builder.flow.testbed.create import default_hosts
    from bigtop_builder.recipe.inventory import load_inventory

    if inventory is not None:
        return tuple(host.name for host in load_inventory(invocation.cwd / inventory).hosts)
    return default_hosts(name, count) if count is not None else ()


def _place(invocation: Invocation, option: str, given: str | None) -> str | None:
    """Return an address as given, or the path of a folder. Raises ConfigurationError."""
    if given is None or "://" in given:
        return given
    from bigtop_builder.model.home import expand_home

    folder = invocation.cwd / expand_home(given)
    if not folder.is_dir():
        raise ConfigurationError(
            f"{option}: {folder} is not a folder", hint="Name a folder, or an address with http://."
        )
    return str(folder)


def _file(invocation: Invocation, option: str, given: Path | None) -> Path | None:
    if given is None:
        return None
    file = invocation.cwd / given
    if not file.is_file():
        raise ConfigurationError(f"{option}: {file} is not a file")
    return file


def down(invocation: Invocation, name: Name = DEFAULT) -> None:
    """Remove a test bed: its containers, network, simulated Ambari and files."""
    from bigtop_builder.adapter.store import Store
    from bigtop_builder.flow.testbed.testbed import down as remove

    removed = remove(Store(invocation.settings().store), name, invocation.say)
    invocation.answer("", {"removed": removed})


def list_(invocation: Invocation) -> None:
    """List the test beds of the store."""
    from bigtop_builder.adapter.store import Store
    from bigtop_builder.cli.text_format import columns, count
    from bigtop_builder.flow.testbed.testbed import statuses

    found = statuses(Store(invocation.settings().store))
    rows = [
        (one.name, count(len(one.hosts), "host"), one.subnet, "complete" if one.whole else "incomplete")
        for one in found
    ]
    invocation.answer(columns(rows), [asdict(one) for one in found])
    if not found:
        invocation.say("no test beds")


def status(invocation: Invocation, name: Name = DEFAULT) -> None:
    """Show a test bed's hosts, repositories and Ambari server. Exit with 8 if a part of it is not running."""
    from bigtop_builder.adapter.store import Store
    from bigtop_builder.flow.testbed.testbed import status as look

    found = look(Store(invocation.settings().store), name)
    invocation.answer(_text(found), asdict(found))
    if not found.whole:
        invocation.say(f"incomplete; repair it with: bigtop-builder testbed up --name {name}")
        raise typer.Exit(ExitCode.HOST)


def _text(status: Status) -> str:
    from bigtop_builder.cli.text_format import columns

    rows: list[tuple[str, str, str]] = [(host.name, host.ssh, host.state) for host in status.hosts]
    rows += [("repository", url, status.repository or "given") for url in status.repositories]
    kind = f"simulated, {status.simulation}" if status.simulation else "to be set up by deploy"
    rows.append(("ambari", status.ambari, kind))
    return columns(rows) + f"\nTo use it: bigtop-builder deploy INVENTORY --testbed {status.name}\n"
