"""Every component's spec is the reviewed one, and nothing of a component is left out of the tests."""

from __future__ import annotations

import pytest

from tests.golden import PACKAGES, SHAPES, SPECS, Case, cases, rendered_spec


@pytest.mark.parametrize("name", cases())
def test_the_rendered_spec_is_the_reviewed_one(name: str) -> None:
    case = Case(name)
    assert case.spec_file.is_file(), f"review and commit: python -m tests.golden write {name}"
    assert rendered_spec(case) == case.spec_file.read_text(encoding="utf-8")


def test_no_golden_file_is_of_a_component_that_has_gone() -> None:
    files = [*SHAPES.glob("*"), *SPECS.glob("*"), *PACKAGES.glob("*")]
    assert {file.stem for file in files} <= set(cases())


@pytest.mark.parametrize("name", cases())
def test_every_component_has_the_shape_of_its_staged_tree(name: str) -> None:
    assert Case(name).shape_file.is_file(), f"tests/shapes/{name}.txt: see tests/golden.py"
