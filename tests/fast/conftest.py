"""A small project of its own: templates, a store, a platform that needs no engine to plan."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from bigtop_builder.recipe.catalog import shipped_templates
from bigtop_builder.recipe.settings import Settings, load_settings

ANY_VERSION = '{"1": {}}'


class ProjectFolder:
    """A folder with an overlay; ``component`` writes a component file there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.overlay = root / "overlay"
        (self.overlay / "stacks").mkdir(parents=True)
        self.stack(a="1")
        self.write(
            "bigtop-builder.yaml",
            f"""\
            stack: small
            store: {root / "store"}
            overlays: [overlay]
            """,
        )

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def component(self, name: str, text: str = "", *, packages: str | None = None, versions: str | None = None) -> Path:
        packages = packages or f"[{{name: '{name}{{{{ suffix }}}}', summary: {name}, files: [/opt/{name}]}}]"
        text = textwrap.dedent(text)
        install = "" if "install:" in text else f"install: touch $BUILDROOT/opt/{name}\n"
        return self.write(
            f"overlay/components/{name}/component.yaml",
            f"name: {name}\nsummary: {name}\nversions: {versions or ANY_VERSION}\npackages: {packages}\n"
            + install
            + text,
        )

    def stack(self, **components: str) -> None:
        listed = "\n".join(f'  {name}: "{version}"' for name, version in components.items())
        self.write(
            "overlay/stacks/small.yaml", f'name: small\nversion: "1.0"\nepoch: 1600000000\ncomponents:\n{listed}\n'
        )

    def settings(self, **flags: object) -> Settings:
        return load_settings(self.root, flags, {"HOME": str(self.root)})


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    return ProjectFolder(tmp_path)


@pytest.fixture
def templates() -> Path:
    return shipped_templates()
