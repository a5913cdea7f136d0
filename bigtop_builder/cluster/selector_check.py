"""Check the programs that Ambari's agents run to select versions and configuration folders."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from bigtop_builder.cluster.demand_check import NO_SERVICE, OfferedPackage, StackFinding, closure, path_held
from bigtop_builder.model.ambari_stack import Selector, StackDefinition

ONLY_PYTHON_3 = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.AsyncFunctionDef, ast.Nonlocal)
INTERPRETER = re.compile(r"#!\s*(\S+)(?:\s+(?:-S\s+)?(\S+))?")


@dataclass(frozen=True)
class Program:
    """A program of a selector's package: the package that has it, and its text, None if that could not be read."""

    package: str
    text: str | None


def selector_findings(
    packages: Sequence[OfferedPackage], stack: StackDefinition, program: Program | None, family: str
) -> Iterator[StackFinding]:
    """Find what agents would miss of both selectors; ``program`` is the selector of versions."""
    # If the package is missing, another finding says so; without a file list nothing is known of its paths.
    own = [package for package in packages if package.name == stack.tools.select.package]
    if any(package.files or package.listed for package in own):
        for tool, finding in ((stack.tools.select, _without_select), (stack.tools.conf, _without_conf)):
            if not path_held(tool.path, packages):
                yield finding(tool)
    if program is not None and program.text is not None and family in stack.families:
        yield from _interpreter(packages, stack, program, family)
        yield from _language(stack, program.text)


def _without_select(tool: Selector) -> StackFinding:
    message = f"is in no package of the repository, but agents run it for every component: {tool.package} lacks it"
    return StackFinding("path", "error", tool.path, NO_SERVICE, message, f"Publish a {tool.package} that has it.")


def _without_conf(tool: Selector) -> StackFinding:
    message = (
        "is in no package of the repository, but agents run it after each installation: without it they log "
        '"The conf-select tool reported an error" and leave configuration folders as the packages made them'
    )
    hint = f"Publish a package that has {tool.name}, such as this project's bigtop-select."
    return StackFinding("path", "warning", tool.path, NO_SERVICE, message, hint)


def _interpreter(
    packages: Sequence[OfferedPackage], stack: StackDefinition, program: Program, family: str
) -> Iterator[StackFinding]:
    tool = stack.tools.select
    found = INTERPRETER.match(program.text or "")
    if found is None:
        message = "does not begin with #! and an interpreter, but agents also run it by its path (set all)"
        yield StackFinding("selector", "error", tool.path, NO_SERVICE, message)
        return
    path, argument = found.groups()
    name = PurePosixPath(argument if PurePosixPath(path).name == "env" and argument else path).name
    brought = {wanted for one in closure(packages, [program.package]) for wanted in one.requires_names}
    if name in stack.families[family].absent_commands and not _brings(brought, name):
        message = f"runs with {name}, which hosts of {family} do not have unless a package requires it"
        hint = f"Use python3 in its first line, or let {tool.package} require /usr/bin/{name} if the system has that."
        yield StackFinding("selector", "error", tool.path, NO_SERVICE, message, hint)


def _brings(requirements: Iterable[str], command: str) -> bool:
    return any(one == command or one in (f"/usr/bin/{command}", f"/bin/{command}") for one in requirements)


def _language(stack: StackDefinition, text: str) -> Iterator[StackFinding]:
    """Agents run the program with a Python of their own, whatever its first line says."""
    python, tool, problem = stack.tools.python[stack.line], stack.tools.select, ""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        if python == 3:
            problem = str(error)
    else:
        newer = next((node for node in ast.walk(tree) if isinstance(node, ONLY_PYTHON_3)), None)
        if python == 2 and newer is not None:
            problem = f"line {getattr(newer, 'lineno', '?')} needs Python 3"
    if problem:
        message = f"is run with Python {python} by agents of Ambari {stack.line} (ambari-python-wrap), but: {problem}"
        hint = f"Publish a {tool.package} whose {tool.name} runs there, such as this project's."
        yield StackFinding("selector", "error", tool.path, NO_SERVICE, message, hint)
