"""The picture of the architecture, drawn from the import contracts that ``lint-imports`` checks.

What the boxes are named and how they lie on each other comes from ``pyproject.toml`` and the packages of the adapter
layer; what each of them is about stands here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

WIDTH, MARGIN, GAP, HEIGHT = 960, 16, 8, 46
FONT = "font-family='Helvetica, Arial, sans-serif'"
LAYERS = {
    "cli": "commands and options; views of runs",
    "flow": "use cases: adapters tied to plans",
    "ambari_simulator": "an Ambari server for rehearsals and test beds",
    "adapter": "one external system each",
    "hosts": "facts → operations",
    "cluster": "layouts, blueprints",
    "plan": "graph, keys, scheduler",
    "recipe": "YAML, templates, specs",
    "model": "errors, digests, events, the models of all files",
}
PURE = ("hosts", "cluster", "plan", "recipe")
ADAPTERS = {
    "containers": "Docker, Podman",
    "sources": "HTTPS, git, archives",
    "tools": "Maven, npm, Gradle …",
    "rpm": "RPM, GnuPG",
    "repository": "yum metadata",
    "results": "HTTP, folders",
    "bundle": "closed sites",
    "provenance": "SBOM, in-toto",
    "ssh": "hosts",
    "ambari": "Ambari's REST API",
    "archives": "tar, zip",
}
COLOURS = {"cli": "#dbeafe", "flow": "#dcfce7", "ambari_simulator": "#fef9c3", "adapter": "#ffedd5", "model": "#e5e7eb"}
PURE_COLOUR = "#f3e8ff"
DOWNWARD = "imports point downward"
"""The name of the contract that has the layers."""


@dataclass(frozen=True)
class Box:
    """A box with its name and what it is about."""

    name: str
    about: str
    colour: str
    inner: tuple[tuple[Box, ...], ...] = ()
    """Rows of boxes inside."""


def contract_rows(pyproject: Path) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return the layers from top to bottom, and the rooms of ``flow`` in rows from top to bottom."""
    contracts = tomllib.loads(pyproject.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one["name"] == DOWNWARD)
    rooms = next(one["layers"] for one in contracts if one.get("containers") == ["bigtop_builder.flow"])
    split = tuple(tuple(name.strip() for name in row.split("|")) for row in rooms)
    return tuple(name.rpartition(".")[2] for name in layers), split


def architecture_picture(root: Path) -> str:
    """Return the picture as SVG, for the checkout at ``root``."""
    layers, rooms = contract_rows(root / "pyproject.toml")
    adapters = sorted(path.parent.name for path in (root / "bigtop_builder/adapter").glob("*/__init__.py"))
    small = tuple(Box(name, ADAPTERS.get(name, ""), "#fff7ed") for name in adapters)
    boxes: list[tuple[Box, ...]] = []
    for layer in layers:
        inner: tuple[tuple[Box, ...], ...] = ()
        if layer == "flow":
            inner = tuple(tuple(Box(name, "", "#f0fdf4") for name in row) for row in rooms)
        if layer == "adapter":
            inner = (small[: (len(small) + 1) // 2], small[(len(small) + 1) // 2 :])
        box = Box(layer, LAYERS.get(layer, ""), COLOURS.get(layer, PURE_COLOUR), inner)
        if layer in PURE and boxes and boxes[-1][0].name in PURE:
            boxes[-1] = (*boxes[-1], box)
        else:
            boxes.append((box,))
    body, y = [], MARGIN
    for row in boxes:
        height = max(_height(box) for box in row)
        body += list(_row(row, MARGIN, y, WIDTH - 2 * MARGIN, height))
        y += height + GAP
    note = "Imports point downward, and in the row of the pure layers to the right; lint-imports checks it."
    body.append(f"<text x='{MARGIN}' y='{y + 14}' font-size='13' fill='#4b5563'>{note}</text>")
    y += 14 + MARGIN
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {y}' width='{WIDTH}' height='{y}' {FONT}>"
    title = "<title>The layers of bigtop-builder</title>"
    return "\n".join([head, title, f"<rect width='{WIDTH}' height='{y}' fill='#ffffff'/>", *body, "</svg>"]) + "\n"


def _height(box: Box) -> int:
    if not box.about:
        return 30
    return HEIGHT + sum(max(_height(one) for one in row) + GAP for row in box.inner)


def _row(row: Sequence[Box], x: int, y: int, width: int, height: int) -> Iterator[str]:
    each = (width - GAP * (len(row) - 1)) // len(row)
    for number, box in enumerate(row):
        yield from _drawn(box, x + number * (each + GAP), y, each, height)


def _drawn(box: Box, x: int, y: int, width: int, height: int) -> Iterator[str]:
    yield f"<rect x='{x}' y='{y}' width='{width}' height='{height}' rx='6' fill='{box.colour}' stroke='#9ca3af'/>"
    yield f"<text x='{x + 12}' y='{y + 20}' font-size='15' font-weight='bold' fill='#111827'>{escape(box.name)}</text>"
    if box.about:
        yield f"<text x='{x + 12}' y='{y + 37}' font-size='13' fill='#374151'>{escape(box.about)}</text>"
    below = y + HEIGHT
    for row in box.inner:
        inner = max(_height(one) for one in row)
        yield from _row(row, x + 12, below, width - 24, inner)
        below += inner + GAP
