"""The command line: its commands, and how it reports errors to people and programs."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import typer

from bigtop_builder.cli.commands import (
    bigtop,
    build,
    bundle,
    components,
    config_history,
    deploy,
    hosts,
    inventory,
    lock,
    project,
    provenance,
    push,
    repo,
    results,
    runs,
    signing,
    stack,
    status,
    store,
    testbed,
    web,
    worker,
)
from bigtop_builder.cli.invocation import Command, Group, colours, command, keep_globals, without_subcommand
from bigtop_builder.cli.text_format import printable, printable_json
from bigtop_builder.model.errors import BigtopBuilderError, ConfigurationErrors, ExitCode

PROGRAM = "bigtop-builder"
BUILD, DEPLOY, STORE, PROJECT = "Build", "Deploy", "Runs and store", "Project"

app = typer.Typer(
    name=PROGRAM,
    help="Build, package, publish and deploy a Hadoop distribution of Apache Bigtop components.",
    cls=Group,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
app.callback()(keep_globals)
PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    BUILD: (
        components.list_,
        build.plan,
        build.build,
        components.verify_component,
        lock.lock,
        bigtop.import_,
        provenance.provenance,
    ),
    DEPLOY: (
        deploy.deploy,
        status.status,
        deploy.verify,
        config_history.config_history,
        config_history.rollback,
        deploy.destroy,
    ),
    STORE: (runs.runs, runs.logs, web.web, web.report, web.mcp, store.shell, store.images, store.gc),
    PROJECT: (
        project.init,
        project.examples,
        project.doctor,
        project.config,
        project.schema,
    ),
}
for panel, commands in PANELS.items():
    for function in commands:
        name = function.__name__.rstrip("_").replace("_", "-")
        app.command(name, cls=Command, rich_help_panel=panel)(command(function))


def _group(name: str, panel: str, help_: str, **commands: Callable[..., None]) -> None:
    """Add a command with subcommands."""
    group = typer.Typer(
        help=help_, cls=Group, no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]}
    )
    for subcommand, function in commands.items():
        group.command(subcommand.rstrip("_").replace("_", "-"), cls=Command)(command(function))
    app.add_typer(group, name=name, rich_help_panel=panel)


_group(
    "repo",
    BUILD,
    "Publish, upload, serve, verify and compare package repositories.",
    publish=repo.publish,
    push=push.push,
    serve=repo.serve,
    verify=repo.verify,
    compare=repo.compare,
    rotate_key=signing.rotate_key,
    check_stack=stack.check_stack,
)
_group(
    "bundle",
    BUILD,
    "Create, verify and load bundles for sites without internet access.",
    create=bundle.create,
    verify=bundle.verify,
    load=bundle.load,
)
_workers = typer.Typer(
    help=worker.worker.__doc__,
    cls=Group,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_workers.callback()(without_subcommand(command(worker.worker)))
_workers.command("certificates", cls=Command)(command(worker.make_certificates))
app.add_typer(_workers, name="worker", rich_help_panel=BUILD)
_group("store", STORE, "Verify the store.", verify=store.verify)
_group(
    "results",
    STORE,
    "Look after the results that a team shares.",
    stat=results.stat,
    verify=results.verify,
    gc=results.gc,
)
_group("hosts", DEPLOY, "Check and prepare the hosts of a cluster.", check=hosts.check, prepare=hosts.prepare)
_group("inventory", DEPLOY, "Write the inventory of a cluster that exists.", import_=inventory.import_)
_group(
    "testbed",
    DEPLOY,
    "Create containers as hosts, with a repository and an Ambari server, to try deployments on.",
    up=testbed.up,
    down=testbed.down,
    list=testbed.list_,
    status=testbed.status,
)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code. No exception leaves this function."""
    as_json = "--json" in arguments
    try:
        code = typer.main.get_command(app).main(list(arguments), PROGRAM, standalone_mode=False)
        sys.stdout.flush()
    except BigtopBuilderError as error:
        return _report(error, as_json)
    except typer.TyperException as error:
        return _report_usage(error, as_json)
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("interrupted\n")
        return ExitCode.INTERRUPTED
    except Exception:
        return _report_defect(as_json)
    return code if isinstance(code, int) else ExitCode.DONE


def _report(error: BigtopBuilderError, as_json: bool) -> int:
    if as_json:
        _print_json(_data(error))
    else:
        for one in error.errors if isinstance(error, ConfigurationErrors) else [error]:
            _say(str(one.location) if one.location else "", one.message, one.hint)
    return int(error.exit_code)


def _data(error: BigtopBuilderError) -> dict[str, object]:
    place = error.location
    data: dict[str, object] = {
        "message": error.message,
        "hint": error.hint,
        "file": str(place.file) if place else None,
        "line": place.line if place else None,
        "path": place.path if place else None,
        "exit_code": int(error.exit_code),
    }
    if isinstance(error, ConfigurationErrors):
        data["errors"] = [_data(one) for one in error.errors]
    return data


def _say(place: str, message: str, hint: str | None) -> None:
    colour = colours(os.environ, sys.stderr)
    error, advice = ("\x1b[1;31merror:\x1b[0m", "\x1b[1mhint:\x1b[0m") if colour else ("error:", "hint:")
    sys.stderr.write(f"{error} {printable(place + ': ' if place else '')}{printable(message)}\n")
    if hint:
        sys.stderr.write(f"  {advice} {printable(hint)}\n")


def _print_json(error: dict[str, object]) -> None:
    sys.stdout.write(printable_json(json.dumps({"error": error}, indent=2, ensure_ascii=False)) + "\n")
    sys.stdout.flush()


def _report_usage(error: typer.TyperException, as_json: bool) -> int:
    message = error.format_message().replace("Value error, ", "")
    if message:
        context = getattr(error, "ctx", None)
        hint = f"See: {context.command_path} --help" if context else None
        if missing := re.fullmatch(r"No such command '([\w-]+)'\.", message):
            hint = _in_groups(missing[1]) or hint
        if as_json:
            _print_json({"message": message, "hint": hint, "exit_code": int(ExitCode.USAGE)})
        else:
            _say("", message, hint)
    return ExitCode.USAGE


def _in_groups(name: str) -> str | None:
    """Return a hint with the groups that have a command, which was named without its group."""
    commands: Any = typer.main.get_command(app)
    groups = [group for group, one in commands.commands.items() if name in getattr(one, "commands", ())]
    found = " or ".join(f"{PROGRAM} {group} {name}" for group in groups)
    return f"Did you mean {found}?" if found else None


def _report_defect(as_json: bool) -> int:
    text = traceback.format_exc()
    message = f"this is a bug in {PROGRAM}: {text.strip().splitlines()[-1]}"
    try:
        with tempfile.NamedTemporaryFile("w", prefix=f"{PROGRAM}-", suffix=".traceback", delete=False) as file:
            file.write(text)
        hint = f"Please report it, and attach {file.name}"
    except OSError:
        hint = "Please run it again with BIGTOP_BUILDER_TRACEBACK=1 and report the output."
    if as_json:
        _print_json({"message": message, "hint": hint, "exit_code": int(ExitCode.DEFECT)})
    else:
        _say("", message, hint)
    if os.environ.get("BIGTOP_BUILDER_TRACEBACK") == "1":
        sys.stderr.write(printable(text))
    return ExitCode.DEFECT


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main() -> NoReturn:
    """Run the program. SIGTERM, which pipelines send, interrupts a command like Ctrl-C.

    Files get the same modes under every umask: the accounts that build and web servers can read what is meant for them,
    and nobody else can write. What is secret has a mode of its own.
    """
    os.umask(0o022)
    signal.signal(signal.SIGTERM, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A character that the locale does not have is no reason to end with a traceback.
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))
