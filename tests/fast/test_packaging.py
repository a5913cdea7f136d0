"""What the wheel must hold."""

from __future__ import annotations

from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).resolve().parents[2]


def test_the_wheel_holds_every_module_and_every_template() -> None:
    packed = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    inside = {"bigtop_builder": "bigtop_builder"}
    inside |= {folder: f"bigtop_builder/{folder}" for folder in ("templates", "examples", "inventories")}
    expected = {
        f"{target}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, target in inside.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == expected


def test_the_wheel_holds_the_license() -> None:
    metadata = WheelBuilder(str(ROOT)).metadata.core
    assert metadata.license_expression == "Apache-2.0"
    assert metadata.license_files == ["LICENSE"]
