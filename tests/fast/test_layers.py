"""The shape of the program: no import cycles, and only Bigtop's own modules know Bigtop's packaging.

Read from the sources, so that imports for type checking and imports inside functions count too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import bigtop_builder

ROOT = Path(bigtop_builder.__file__).parent

BIGTOPS_OWN = ("flow.bigtop.", "recipe.bigtop.", "flow.open_project", "cli.commands.bigtop")
"""Modules that may distinguish Bigtop's packaging from others."""

KNOWN_BRANCHES = {
    # The value of ``--packaging`` is written ``bigtop:PATH``.
    "cli.options",
}


@cache
def sources() -> dict[str, ast.Module]:
    """Module (without the package's name) → its syntax tree."""
    found: dict[str, ast.Module] = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


def imported(tree: ast.Module) -> set[str]:
    """The modules of this package that a module imports anywhere in its text.

    Importing a module of a package does not count as importing the package, which would make a cycle of every package
    whose ``__init__`` offers what its modules define.
    """
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {_short(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            module = _short(node.module)
            modules = {f"{module}.{alias.name}".removeprefix(".") for alias in node.names}
            names |= {name if name in sources() else module for name in modules}
    return names & sources().keys()


def _short(module: str) -> str:
    return module.removeprefix("bigtop_builder").removeprefix(".") if module.startswith("bigtop_builder") else "?"


def cycles(edges: dict[str, set[str]]) -> set[frozenset[str]]:
    """The strongly connected components of more than one module (Tarjan's algorithm)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: set[frozenset[str]] = set()

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(edges[name]):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            component = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(component) > 1:
                found.add(frozenset(component))

    for name in sorted(edges):
        if name not in index:
            visit(name)
    return found


def conditions(tree: ast.Module) -> Iterator[ast.AST]:
    """Everything that decides what runs: tests of ``if``, ``while``, ``assert``, comprehensions, ``and``, ``match``."""
    for node in ast.walk(tree):
        match node:
            case ast.If() | ast.IfExp() | ast.While() | ast.Assert():
                yield node.test
            case ast.comprehension():
                yield from node.ifs
            case ast.BoolOp() | ast.Compare() | ast.match_case():
                yield node


def mentions_bigtop(condition: ast.AST) -> bool:
    """Whether a condition is about Bigtop: a name or attribute with that word, or the text ``bigtop`` itself."""
    for node in ast.walk(condition):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                word = name.lower().replace("bigtopbuilder", "").replace("bigtop_builder", "")
                if "bigtop" in word:
                    return True
            case ast.Constant(value="bigtop"):
                return True
    return False


def test_there_are_no_import_cycles() -> None:
    edges = {name: imported(tree) - {name} for name, tree in sources().items()}
    assert not cycles(edges)


def test_a_cycle_is_found_through_other_modules() -> None:
    edges = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"a"}}
    assert cycles(edges) == {frozenset("abc")}


def test_only_bigtops_own_modules_branch_on_bigtop() -> None:
    branching = {
        name
        for name, tree in sources().items()
        if not f"{name}.".startswith(BIGTOPS_OWN) and any(map(mentions_bigtop, conditions(tree)))
    }
    assert branching == KNOWN_BRANCHES


def test_a_branch_on_bigtop_is_noticed() -> None:
    for text in (
        "if x.bigtop: pass",
        "y = 1 if name == 'bigtop' else 2",
        "[a for a in b if isinstance(a, BigtopTree)]",
    ):
        assert any(map(mentions_bigtop, conditions(ast.parse(text)))), text
    for text in ("if isinstance(error, BigtopBuilderError): pass", "if name.startswith('bigtop_builder.'): pass"):
        assert not any(map(mentions_bigtop, conditions(ast.parse(text)))), text
