"""The command line: its commands, and what a person or a program gets when one fails."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

import typer

from bigtop_builder.face import (
    build_commands,
    bundle_commands,
    deploy_commands,
    host_commands,
    import_commands,
    project_commands,
    provenance_commands,
    repo_commands,
    run_commands,
    stack_commands,
    store_commands,
    testbed_commands,
)
from bigtop_builder.face.invocation import command, keep_globals
from bigtop_builder.model.errors import BigtopBuilderError, ConfigurationErrors, ExitCode

PROGRAM = "bigtop-builder"
BUILD, DEPLOY, STORE, PROJECT = "Build", "Deploy", "Runs and store", "Project"

app = typer.Typer(
    name=PROGRAM,
    help="Build, package, publish and deploy a Hadoop distribution made of Apache Bigtop components.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
app.callback()(keep_globals)
PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    BUILD: (
        build_commands.list_,
        build_commands.plan,
        build_commands.build,
        import_commands.import_,
        provenance_commands.provenance,
    ),
    DEPLOY: (deploy_commands.deploy, deploy_commands.status, deploy_commands.verify, deploy_commands.destroy),
    STORE: (run_commands.runs, run_commands.logs, store_commands.shell, store_commands.images, store_commands.gc),
    PROJECT: (
        project_commands.init,
        project_commands.doctor,
        project_commands.config,
        project_commands.schema,
    ),
}
for panel, commands in PANELS.items():
    for function in commands:
        app.command(function.__name__.rstrip("_"), rich_help_panel=panel)(command(function))

repo = typer.Typer(
    help="Publish, serve, verify and compare package repositories.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for function in (repo_commands.publish, repo_commands.serve, repo_commands.verify, repo_commands.compare):
    repo.command(function.__name__)(command(function))
repo.command("check-stack")(command(stack_commands.check_stack))
app.add_typer(repo, name="repo", rich_help_panel=BUILD)

bundle = typer.Typer(
    help="Bundles for sites without internet: make, verify and load them.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for function in (bundle_commands.create, bundle_commands.verify, bundle_commands.load):
    bundle.command(function.__name__)(command(function))
app.add_typer(bundle, name="bundle", rich_help_panel=BUILD)

hosts = typer.Typer(
    help="Check and prepare the hosts of a cluster.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for function in (host_commands.check, host_commands.prepare):
    hosts.command(function.__name__)(command(function))
app.add_typer(hosts, name="hosts", rich_help_panel=DEPLOY)

testbed = typer.Typer(
    help="Container hosts, with a repository and an Ambari server, to rehearse on.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for function in (testbed_commands.up, testbed_commands.down, testbed_commands.list_, testbed_commands.status):
    testbed.command(function.__name__.rstrip("_"))(command(function))
app.add_typer(testbed, name="testbed", rich_help_panel=DEPLOY)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; gives the exit code. Nothing but the exit code leaves this function."""
    as_json = "--json" in arguments
    try:
        code = typer.main.get_command(app).main(list(arguments), PROGRAM, standalone_mode=False)
        sys.stdout.flush()
    except BigtopBuilderError as error:
        return _tell(error, as_json)
    except typer.TyperException as error:
        return _tell_usage(error, as_json)
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("interrupted\n")
        return ExitCode.INTERRUPTED
    except Exception:
        return _tell_defect(as_json)
    return code if isinstance(code, int) else ExitCode.DONE


def _tell(error: BigtopBuilderError, as_json: bool) -> int:
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
    colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    error, advice = ("\x1b[1;31merror:\x1b[0m", "\x1b[1mhint:\x1b[0m") if colour else ("error:", "hint:")
    sys.stderr.write(f"{error} {place + ': ' if place else ''}{message}\n")
    if hint:
        sys.stderr.write(f"  {advice} {hint}\n")


def _print_json(error: dict[str, object]) -> None:
    sys.stdout.write(json.dumps({"error": error}, indent=2, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _tell_usage(error: typer.TyperException, as_json: bool) -> int:
    message = error.format_message().replace("Value error, ", "")
    if message:
        context = getattr(error, "ctx", None)
        hint = f"See: {context.command_path} --help" if context else None
        if as_json:
            _print_json({"message": message, "hint": hint, "exit_code": int(ExitCode.USAGE)})
        else:
            _say("", message, hint)
    return ExitCode.USAGE


def _tell_defect(as_json: bool) -> int:
    text = traceback.format_exc()
    message = f"this is a defect of {PROGRAM}: {text.strip().splitlines()[-1]}"
    try:
        with tempfile.NamedTemporaryFile("w", prefix=f"{PROGRAM}-", suffix=".traceback", delete=False) as file:
            file.write(text)
        hint = f"Please report it with the file {file.name}"
    except OSError:
        hint = "Run it again with BIGTOP_TRACEBACK=1 and please report what it prints."
    if as_json:
        _print_json({"message": message, "hint": hint, "exit_code": int(ExitCode.DEFECT)})
    else:
        _say("", message, hint)
    if os.environ.get("BIGTOP_TRACEBACK") == "1":
        sys.stderr.write(text)
    return ExitCode.DEFECT


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main() -> NoReturn:
    """The program. A terminating signal, as a pipeline sends it, ends a run as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(run(sys.argv[1:]))
