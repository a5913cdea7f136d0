"""Merges settings: default < user file < project file < ``BIGTOP_BUILDER_*`` environment < flag."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from bigtop_builder.model.errors import ConfigurationError, Location
from bigtop_builder.model.home import expand_home
from bigtop_builder.model.project import ProjectFile, default_store
from bigtop_builder.recipe.document import Document, DocumentPath, load, near, parse_value
from bigtop_builder.recipe.validation import validate

PROJECT_FILE = "bigtop-builder.yaml"
PREFIX = "BIGTOP_BUILDER_"
FORMER_PREFIX = "BIGTOP_"
"""The prefix of older versions. Bigtop has variables of its own that begin so: only names of settings count."""

PATHS: tuple[DocumentPath, ...] = (
    ("store",),
    ("output",),
    ("repository",),
    ("network", "ca_bundle"),
    ("signing", "homedir"),
    ("publish", "push", "ssh", "key"),
    ("publish", "push", "ssh", "known_hosts"),
    ("packaging", "bigtop"),
    ("executor", "certificates"),
)
"""Settings that are paths: relative to the file that sets them, or to the working directory."""

FLAGS = {"packaging.bigtop": "packaging"}
"""Settings whose flag differs from their last word."""

TRACEBACK = PREFIX + "TRACEBACK"
"""The variable that has tracebacks of defects printed. It has our prefix and is no setting."""


@dataclass(frozen=True)
class Settings:
    """The settings of a run, the origin of each, and the folder that they are relative to."""

    project: ProjectFile
    origin: dict[str, str]
    root: Path
    file: Path | None
    environment: Mapping[str, str]
    document: Document
    notices: tuple[str, ...] = ()
    """What the user should know of how they were given."""

    def place(self, *path: str | int) -> Location | None:
        """Return where a setting was set; None for a default."""
        return self.document.locate(path) if path in self.document.places else None

    @property
    def store(self) -> Path:
        """The folder of the store."""
        return Path(self.project.store) if self.project.store else default_store(dict(self.environment))

    @property
    def output(self) -> Path:
        """The folder that packages are exported to."""
        return self.root / self.project.output

    @property
    def repository(self) -> Path:
        """The folder of the published repository."""
        return self.root / self.project.repository

    @property
    def overlays(self) -> tuple[Path, ...]:
        """The folders of the overlays. Raises ConfigurationError for one that is not a folder."""
        for index, overlay in enumerate(self.project.overlays):
            if not Path(overlay).is_dir():
                raise ConfigurationError(
                    f"the overlay {overlay} is not a folder",
                    location=self.place("overlays", index),
                    hint="An overlay has the shape of templates/: components/, platforms/, stacks/.",
                )
        return tuple(Path(overlay) for overlay in self.project.overlays)


def find_project_file(start: Path) -> Path | None:
    """Return ``bigtop-builder.yaml`` in ``start`` or the closest folder above it; None when there is none."""
    return next((file for folder in (start, *start.parents) if (file := folder / PROJECT_FILE).is_file()), None)


def load_settings(
    cwd: Path,
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    project_file: Path | None = None,
) -> Settings:
    """Read and merge all settings.

    ``flags`` maps dotted settings (``network.ca_bundle``) to values; None means not given.
    Raises ConfigurationError with the location of a mistake.
    """
    environment = os.environ if environment is None else environment
    if project_file is not None and not project_file.is_file():
        raise ConfigurationError(
            f"there is no project file {project_file}", hint="Create one with: bigtop-builder init"
        )
    file = project_file or find_project_file(cwd)
    document = Document({}, file or cwd / PROJECT_FILE)
    for layer in (_user_file(environment), file):
        if layer is not None:
            document = document.merged(_absolute(load(layer), layer.resolve().parent))
    given, notices = _from_environment(environment)
    document = document.merged(_absolute(given, cwd))
    document = document.merged(_absolute(_from_flags(flags or {}), cwd))
    project = validate(document, ProjectFile)
    root = file.resolve().parent if file else cwd
    return Settings(project, _origins(project, document), root, file, environment, document, notices)


def _user_file(environment: Mapping[str, str]) -> Path | None:
    config = environment.get("XDG_CONFIG_HOME")
    folder = Path(config) if config else expand_home(environment.get("HOME", "~")) / ".config"
    file = folder / "bigtop-builder" / "config.yaml"
    return file if file.is_file() else None


def _absolute(document: Document, base: Path) -> Document:
    """Make paths absolute, so that they no longer depend on which file they come from."""

    def resolved(value: Any) -> Any:
        return os.path.normpath(base / expand_home(value)) if isinstance(value, str) and value else value

    for path in PATHS:
        holder: Any = document.data
        for key in path[:-1]:
            holder = holder.get(key) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and path[-1] in holder:
            holder[path[-1]] = resolved(holder[path[-1]])
    overlays = document.data.get("overlays")
    if isinstance(overlays, list):
        document.data["overlays"] = [resolved(value) for value in overlays]
    results = document.data.get("results")
    if isinstance(results, dict) and isinstance(results.get("trust"), list):
        results["trust"] = [resolved(value) for value in results["trust"]]
    components = document.data.get("components")
    for choice in components.values() if isinstance(components, dict) else ():
        if isinstance(choice, dict) and "source" in choice:
            choice["source"] = resolved(choice["source"])
    return document


def _put(document: Document, dotted: str, value: Any, place: str) -> None:
    keys = dotted.split(".")
    holder = document.data
    for number, key in enumerate(keys[:-1], 1):
        holder = holder.setdefault(key, {})
        if not isinstance(holder, dict):
            whole = ".".join(keys[:number])
            raise ConfigurationError(
                f"{place}: {whole} is already {holder!r}, so it cannot have {keys[number]}",
                hint=f"Set {whole} or a key inside it, not both.",
            )
    holder[keys[-1]] = value
    for length in range(1, len(keys) + 1):
        document.places[tuple(keys[:length])] = Location(place)


def _nested(name: str) -> str:
    """Return a hint for a setting inside another whose name was written without ``__``."""
    for group in ProjectFile.model_fields:
        if name.startswith(f"{group}_"):
            inner = f"{PREFIX}{group}__{name[len(group) + 1 :]}".upper()
            return f"A setting inside another has two underscores before it: {inner}"
    return ""


def _from_environment(environment: Mapping[str, str]) -> tuple[Document, tuple[str, ...]]:
    """Read settings such as ``BIGTOP_BUILDER_NETWORK__CA_BUNDLE=/x`` (``network.ca_bundle``); values are YAML.

    ``BIGTOP_NETWORK__CA_BUNDLE``, as older versions had it, is read as well, and noticed.
    """
    document = Document({}, Path("environment"))
    notices: list[str] = []
    # The former names come first: the present ones are laid over them.
    for name in sorted(environment, key=lambda name: (name.startswith(PREFIX), name)):
        former = not name.startswith(PREFIX)
        if not name.startswith(FORMER_PREFIX) or name == TRACEBACK:
            continue
        dotted = name.removeprefix(FORMER_PREFIX if former else PREFIX).lower().replace("__", ".")
        first = dotted.split(".")[0]
        if former:
            if first not in ProjectFile.model_fields:
                continue
            notices.append(f"{name} is now called {PREFIX}{name.removeprefix(FORMER_PREFIX)}; it is still read")
        if first not in ProjectFile.model_fields:
            raise ConfigurationError(
                f"the environment variable {name} is not a setting",
                hint=_nested(dotted) or near(first, ProjectFile.model_fields) or None,
            )
        text = environment[name]
        value = parse_value(text, f"environment {name}") if text else text
        _put(document, dotted, value, f"environment {name}")
    return document, tuple(notices)


def _from_flags(flags: Mapping[str, Any]) -> Document:
    document = Document({}, Path("command line"))
    for dotted, value in flags.items():
        if value is not None:
            name = FLAGS.get(dotted, dotted.rsplit(".", 1)[-1].replace("_", "-"))
            _put(document, dotted, value, f"flag --{name}")
    return document


def _origins(project: ProjectFile, document: Document) -> dict[str, str]:
    """Return dotted setting → ``default`` or the place that set it."""
    found: dict[str, str] = {}

    def walk(value: Any, path: DocumentPath) -> None:
        if isinstance(value, BaseModel):
            for name in type(value).model_fields:
                walk(getattr(value, name), (*path, name))
            return
        place = document.places.get(path)
        found[".".join(map(str, path))] = (
            "default" if place is None else f"{place.file}:{place.line}" if place.line else str(place.file)
        )

    walk(project, ())
    return found
