"""Every component makes its packages from a staged tree of the right shape, also where its source is out of reach."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden import Case, cases, described, make_packages, package_image
from tests.real.conftest import Tool


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, shared_store: Path) -> str:
    """The image that makes packages, made if it is not there."""
    Tool(tmp_path_factory.mktemp("image"), shared_store)("build", "bigtop-utils")
    return package_image(shared_store)


@pytest.mark.parametrize("name", cases())
def test_the_packages_hold_what_was_reviewed(name: str, image: str, tmp_path: Path) -> None:
    case = Case(name)
    packages = make_packages(case, image, tmp_path)
    assert {rpm.name for rpm in packages} == set(case.evaluated.package_files())
    assert described(packages) == case.packages_file.read_text(encoding="utf-8")
