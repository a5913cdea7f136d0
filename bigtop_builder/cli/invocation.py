"""One call of the command line: its global options, and its output for people and programs."""

from __future__ import annotations

import functools
import inspect
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, Literal, ParamSpec

import typer
from typer.core import TyperCommand, TyperGroup

from bigtop_builder import __version__
from bigtop_builder.cli.text_format import coloured, printable, printable_json
from bigtop_builder.model.errors import ConfigurationError

if TYPE_CHECKING:
    from bigtop_builder.recipe.settings import Settings

P = ParamSpec("P")
GLOBAL = "Global options"
Progress = Literal["auto", "tty", "plain", "json"]
Colour = Literal["red", "green", "yellow", "cyan", "dim", "bold"]


def colours(environment: Mapping[str, str], stream: Any) -> bool:
    """Whether a stream may be coloured: as ``NO_COLOR`` and ``FORCE_COLOR`` say, else if it is a terminal."""
    if environment.get("NO_COLOR"):
        return False
    forced = environment.get("FORCE_COLOR")
    return forced not in ("0", "false") if forced else bool(stream.isatty())


@dataclass(frozen=True)
class Invocation:
    """The global options. Answers go to standard output, everything else to standard error."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False
    progress: Progress | None = None
    directory: Path | None = None
    project: Path | None = None
    store: Path | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    _noticed: set[str] = field(default_factory=set)
    """The notices that were printed: a command may load its settings more than once."""

    @property
    def cwd(self) -> Path:
        """The folder that relative paths start from. Raises ConfigurationError when ``-C`` does not name a folder."""
        folder = Path.cwd() / self.directory if self.directory else Path.cwd()
        if not folder.is_dir():
            raise ConfigurationError(f"-C: {folder} is not a folder")
        return folder

    def settings(self, **flags: object) -> Settings:
        """Load the settings with ``flags`` on top; ``__`` in a flag's name is a dot. Raises ConfigurationError."""
        from bigtop_builder.recipe.settings import load_settings

        given = {name.replace("__", "."): value for name, value in flags.items()}
        if self.store is not None:
            given["store"] = str(self.store)
        project = self.cwd / self.project if self.project else None
        settings = load_settings(self.cwd, given, self.environment, project)
        for notice in settings.notices:
            if notice not in self._noticed:
                self.say(f"notice: {notice}")
        self._noticed.update(settings.notices)
        return settings

    def answer(self, text: str, data: object) -> None:
        """Print the answer of a command: ``data`` as JSON with ``--json``, else ``text``."""
        if self.json:
            text = printable_json(json.dumps(data, indent=2, ensure_ascii=False))
        else:
            text = printable(text, colour=self.colours())
        if text:
            sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()

    def say(self, text: str) -> None:
        """Print a message for people, unless ``--quiet``."""
        if not self.quiet:
            sys.stderr.write(printable(text, colour=self.colours(sys.stderr)) + "\n")

    def width(self) -> int:
        """The columns of the terminal; 80 where the answer goes elsewhere."""
        return shutil.get_terminal_size().columns if sys.stdout.isatty() or self.environment.get("COLUMNS") else 80

    def colours(self, stream: Any = None) -> bool:
        """Whether ``stream`` (by default standard output) may be coloured."""
        return not self.no_color and colours(self.environment, stream or sys.stdout)

    def paint(self, text: str, colour: Colour, stream: Any = None) -> str:
        """Return ``text`` in a colour, if ``stream`` may be coloured."""
        return coloured(text, colour) if self.colours(stream) else text


def _globals(
    json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print the answer, or the error, as JSON and nothing else.", rich_help_panel=GLOBAL
        ),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only what went wrong.", rich_help_panel=GLOBAL)
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Show more of logs: ten lines of each, or all.",
            rich_help_panel=GLOBAL,
        ),
    ] = False,
    progress: Annotated[
        Progress | None,
        typer.Option(
            "--progress",
            help="How to show a run: redrawn on a terminal, as lines, or as its events in JSON. Default: auto.",
            show_default=False,
            rich_help_panel=GLOBAL,
        ),
    ] = None,
    no_color: Annotated[
        bool, typer.Option("--no-color", help="Use no colours, like NO_COLOR=1.", rich_help_panel=GLOBAL)
    ] = False,
    directory: Annotated[
        Path | None, typer.Option("-C", metavar="DIR", help="Run as if started in DIR.", rich_help_panel=GLOBAL)
    ] = None,
    project: Annotated[
        Path | None,
        typer.Option(
            "--project",
            metavar="FILE",
            help="The project file. Default: bigtop-builder.yaml here or in a folder above.",
            rich_help_panel=GLOBAL,
        ),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            "--store", metavar="DIR", help="The store to use instead of the project's.", rich_help_panel=GLOBAL
        ),
    ] = None,
) -> None:
    """Define the global options; :func:`command` adds them to every command."""


class _QuietTypes:
    """Leaves out of ``--help`` what nobody types: the type of a flag, and that of an argument beside its name."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters of a command."""
        parameters: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for parameter in parameters:
            if parameter.param_type_name == "argument":
                parameter.display_type_rich = _no_type
            elif parameter.is_flag:
                parameter.metavar = ""
        return parameters


def _no_type(**_: object) -> None:
    return None


class Command(_QuietTypes, TyperCommand):
    """A command whose help is ours."""


class Group(_QuietTypes, TyperGroup):
    """A command with subcommands whose help is ours."""


_CONTEXT = inspect.Parameter("_context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
_GLOBALS = tuple(inspect.signature(_globals, eval_str=True).parameters.values())


def command(function: Callable[Concatenate[Invocation, P], None]) -> Callable[..., None]:
    """Return ``function`` with the global options added, which may come before or after the command's name."""
    signature = inspect.signature(function, eval_str=True)

    @functools.wraps(function)
    def run(*, _context: typer.Context, **given: Any) -> None:
        options = {option.name: given.pop(option.name) for option in _GLOBALS}
        before: dict[str, Any] = _context.find_root().obj or {}
        invocation = Invocation(**{name: value or before.get(name) or value for name, value in options.items()})
        try:
            function(invocation, **given)  # type: ignore[call-arg]
        except BrokenPipeError:
            # The reader (a pager, head) has quit. What is still buffered must not raise again when Python exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in signature.parameters.values()][1:]
    shared = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in _GLOBALS]
    run.__signature__ = signature.replace(parameters=[*own, *shared, _CONTEXT])  # type: ignore[attr-defined]
    run.__annotations__ = {}
    return run


def without_subcommand(run: Callable[..., None]) -> Callable[..., None]:
    """Return a command that a group carries out when none of its subcommands is named."""

    @functools.wraps(run)
    def alone(*, _context: typer.Context, **given: Any) -> None:
        if _context.invoked_subcommand is None:
            run(_context=_context, **given)

    alone.__signature__ = run.__signature__  # type: ignore[attr-defined]
    return alone


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(__version__ + "\n")
        raise typer.Exit


def _version(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Define ``--version``."""


def keep_globals(_context: typer.Context, **given: Any) -> None:
    """Keep global options that come before the command's name for the command."""
    _context.obj = {name: value for name, value in given.items() if name != "version"}


keep_globals.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in (_CONTEXT, *_GLOBALS, *inspect.signature(_version, eval_str=True).parameters.values())
    ]
)
keep_globals.__annotations__ = {}
