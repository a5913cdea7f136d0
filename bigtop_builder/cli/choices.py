"""What ``--set`` and ``--source`` choose for components, and how such flags are repeated from another folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bigtop_builder.model.errors import ConfigurationError

if TYPE_CHECKING:
    from bigtop_builder.model.project import Choice

REMOTE = ("git+", "https://", "http://")
"""How a source begins that is not on this machine."""


def parse_choices(
    sets: Sequence[str] | None,
    sources: Sequence[str] | None,
    cwd: Path,
    fetch: Callable[[str, str], Path] | None = None,
) -> dict[str, Choice]:
    """Return what ``--set`` and ``--source`` choose, by component. Raises ConfigurationError for an invalid one.

    ``fetch`` returns the path of a component's source that is elsewhere.
    """
    from pydantic import ValidationError

    from bigtop_builder.model.project import Choice

    chosen: dict[str, dict[str, object]] = {}
    for text in sets or ():
        left, equals, value = text.partition("=")
        component, dot, key = left.rpartition(".")
        owner, of, variable = left.partition(".variables.")
        if of:
            component, key = owner, variable
        if not (equals and dot and component and key):
            raise ConfigurationError(
                f"--set {text!r} is not COMPONENT.KEY=VALUE", hint="For example: --set spark.version=3.2.3"
            )
        if "." in component:
            raise ConfigurationError(
                f"--set {text!r} names no component {component!r}",
                hint=f"An option is set by --set {component.partition('.')[0]}.{key}={value}",
            )
        choice = chosen.setdefault(component, {})
        if of:
            _set_variable(choice.setdefault("variables", {}), key, value, text)
        elif key in ("version", "release", "variant"):
            choice[key] = value
        else:
            options = choice.setdefault("options", {})
            assert isinstance(options, dict)
            options[key] = value
    for text in sources or ():
        component, equals, path = text.partition("=")
        if not (equals and component and path):
            raise ConfigurationError(
                f"--source {text!r} is not COMPONENT=SOURCE", hint="For example: --source spark=../spark"
            )
        from bigtop_builder.model.home import expand_home

        if fetch is not None and path.startswith(REMOTE):
            chosen.setdefault(component, {})["source"] = str(fetch(component, path))
            continue
        place = cwd / expand_home(path)
        if not place.exists():
            raise ConfigurationError(f"--source {text!r}: {place} does not exist", hint=_source_hint(component, path))
        if place.is_dir() and not any(place.iterdir()):
            raise ConfigurationError(f"--source {text!r}: {place} is an empty folder")
        chosen.setdefault(component, {})["source"] = str(place)
    try:
        return {name: Choice.model_validate(choice) for name, choice in chosen.items()}
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in problem["loc"])
        problems = {"int_parsing": "is not a whole number"}
        text = problems.get(problem["type"], problem["msg"])
        raise ConfigurationError(f"--set …{key}={problem['input']}: {text}") from None


def absolute_source(text: str, cwd: Path) -> str:
    """Return ``COMPONENT=SOURCE`` with the absolute path of a source on this machine."""
    component, equals, path = text.partition("=")
    return text if path.startswith(REMOTE) else f"{component}{equals}{absolute(path, '', cwd)}"


def absolute(text: str, prefix: str, cwd: Path) -> str:
    """Return a text that has a path after a prefix with the absolute path; another one as it is."""
    from bigtop_builder.model.home import expand_home

    return f"{prefix}{cwd / expand_home(text.removeprefix(prefix))}" if text.startswith(prefix) else text


def _source_hint(component: str, path: str) -> str | None:
    """Return how a source that is not on this machine is written, for one that was meant to be."""
    if of_ssh := re.fullmatch(r"(?P<user>[\w.-]+)@(?P<host>[\w.-]+):(?P<path>[^:]+)", path):
        return f"For git: --source {component}=git+ssh://{of_ssh['user']}@{of_ssh['host']}/{of_ssh['path']}@REF"
    if "://" in path:
        return f"For git: --source {component}=git+URL@REF, for an archive: --source {component}=https://…#sha256=…"
    return None


def _set_variable(variables: object, name: str, value: str, text: str) -> None:
    assert isinstance(variables, dict)
    variable, dot, key = name.partition(".")
    if not dot:
        key, holder = variable, variables
    else:
        holder = variables.setdefault(variable, {})
    if not isinstance(holder, dict) or isinstance(holder.get(key), dict):
        raise ConfigurationError(f"--set {text!r}: {variable} is set both as a text and as a mapping")
    holder[key] = value
