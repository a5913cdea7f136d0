"""What keeps the house tidy: sizes, docstrings, and imports that wait until they are needed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "bigtop_builder").rglob("*.py"))
MODULE_LINES = 400
FUNCTION_LINES = 80


def tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"))


def named(module: Path) -> str:
    return module.relative_to(ROOT).as_posix()


def public(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    """The public classes, functions and methods below ``node``, by their dotted names."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef) and not child.name.startswith("_"):
            yield prefix + child.name, child
            if isinstance(child, ast.ClassDef):
                yield from public(child, f"{prefix}{child.name}.")


@pytest.mark.parametrize("module", MODULES, ids=named)
def test_a_module_fits_on_a_few_screens(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= MODULE_LINES
    long = {
        node.name: size
        for node in ast.walk(tree(module))
        if isinstance(node, ast.FunctionDef) and (size := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES
    }
    assert not long


@pytest.mark.parametrize("module", MODULES, ids=named)
def test_what_is_public_is_documented(module: Path) -> None:
    found = tree(module)
    if found.body:
        assert ast.get_docstring(found), "the module says what it is for"
    undocumented = [name for name, node in public(found) if not ast.get_docstring(node)]  # type: ignore[arg-type]
    assert not undocumented
