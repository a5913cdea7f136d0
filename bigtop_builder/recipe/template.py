"""Renders templates: jinja2 in a sandbox, where an undefined name is an error."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigtop_builder.model import digest
from bigtop_builder.model.errors import Location, RecipeError
from bigtop_builder.recipe.document import near
from bigtop_builder.recipe.package_format import FORMATS
from bigtop_builder.recipe.template_cache import CodeCache

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

COMMENT = ("{##", "##}")
"""Not jinja2's own ``{#``, which would swallow bash's ``${#name}``."""


@lru_cache(maxsize=1)
def environment() -> SandboxedEnvironment:
    """Return the jinja2 environment that all templates share."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    known: dict[tuple[type, str], bool] = {}

    class Sandbox(SandboxedEnvironment):
        """Remembers the verdict on an attribute, which depends only on its name and the type of the object."""

        def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
            safe = known.get((type(obj), attr))
            if safe is None:
                safe = known[type(obj), attr] = super().is_safe_attribute(obj, attr, value)
            return safe

    env = Sandbox(
        undefined=StrictUndefined,
        comment_start_string=COMMENT[0],
        comment_end_string=COMMENT[1],
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    for package_format in FORMATS.values():
        env.filters.update(package_format.filters)
    return env


def is_template(text: str) -> bool:
    """Return whether rendering could change the text."""
    return "{{" in text or "{%" in text or COMMENT[0] in text


_cache: CodeCache | None = None


def compile_with(folder: Path) -> CodeCache:
    """Use, and fill, the cache of compiled templates in ``folder`` from now on."""
    global _cache
    # jinja2 applies filters to constants while compiling, so the code of the filters affects the result.
    sources = [__file__, *(inspect.getfile(type(known)) for known in FORMATS.values())]
    _cache = CodeCache(folder, digest.of_data([digest.of_file(Path(source)) for source in sources]))
    return _cache


@lru_cache(maxsize=4096)
def _compiled(text: str) -> Template:
    env, cache = environment(), _cache
    code = cache.get(text) if cache else None
    if code is None:
        code = env.compile(text)
        if cache:
            cache.put(text, code)
    return env.template_class.from_code(env, code, env.make_globals(None))


Place = Location | Callable[[], Location]
"""A location, or a function that finds it in case of a mistake."""


def render(text: str, context: Mapping[str, Any], location: Place) -> str:
    """Render ``text``. Raises RecipeError at ``location`` for an unknown name or a bad template."""
    if not is_template(text):
        return text
    parts = _plain_names(text)
    if parts is not None and (plain := _join(parts, context)) is not None:
        return plain
    return str(_guarded(lambda: _compiled(text).render(context), context, location, text))


_NAME = re.compile(r"\{\{\s*([A-Za-z_]\w*(?:\.[A-Za-z]\w*)*)\s*\}\}")
_CONSTANTS = frozenset({"true", "false", "none", "True", "False", "None"})


@lru_cache(maxsize=8192)
def _plain_names(text: str) -> tuple[str | tuple[str, ...], ...] | None:
    """Split a template into literal text and dotted names in turn; None when it contains anything else.

    Nearly every template of a component file is of this kind, and compiling one with jinja2 takes fifty times as long
    as looking up its names. ``_join`` looks them up by the sandbox's own rules.
    """
    parts: list[str | tuple[str, ...]] = []
    rest = 0
    for found in _NAME.finditer(text):
        parts += [text[rest : found.start()], tuple(found[1].split("."))]
        rest = found.end()
    parts.append(text[rest:])
    for part in parts:
        if isinstance(part, str) and (is_template(part) or part.endswith("{") or "\r" in part):
            return None
        if isinstance(part, tuple) and part[0] in _CONSTANTS:
            return None
    return tuple(parts)


def _join(parts: tuple[str | tuple[str, ...], ...], context: Mapping[str, Any]) -> str | None:
    """Return the rendered text; None when a name is undefined or forbidden, which jinja2 then reports with its line."""
    from jinja2 import Undefined

    lookup = environment().getattr
    texts: list[str] = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        name, *attributes = part
        if name not in context:
            return None
        value = context[name]
        for attribute in attributes:
            value = lookup(value, attribute)
            if isinstance(value, Undefined):
                return None
        texts.append(value if isinstance(value, str) else str(value))
    return "".join(texts)


def render_file(file: Path, context: Mapping[str, Any]) -> str:
    """Render a template file. Raises RecipeError with its line."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot be read: {error}", location=Location(file)) from None
    return render(text, context, Location(file))


def truth(expression: str, context: Mapping[str, Any], location: Place) -> bool:
    """Return the truth of a template expression such as ``variant == 'source'``. Raises RecipeError."""
    if expression in ("true", "false"):
        return expression == "true"
    return bool(_guarded(lambda: _expression(expression)(**context), context, location, expression))


@lru_cache(maxsize=1024)
def _expression(text: str) -> Any:
    return environment().compile_expression(text, undefined_to_none=False)


def _guarded(work: Any, context: Mapping[str, Any], location: Place, text: str) -> Any:
    from jinja2 import TemplateError, UndefinedError
    from jinja2.exceptions import SecurityError

    try:
        value = work()
        return value if isinstance(value, str | bool | int) else bool(value)
    except UndefinedError as error:
        quoted = (error.message or "").split("'")[1::2] or [""]
        inner = len(quoted) > 1  # 'dict object' has no attribute 'x'
        raise RecipeError(
            f"the template uses an undefined name: {'.' if inner else ''}{quoted[-1]}",
            location=_inside(_located(location), error, text),
            hint=None if inner else near(quoted[-1], context) or None,
        ) from None
    except SecurityError as error:
        raise RecipeError(f"the template does something forbidden: {error}", location=_located(location)) from None
    except TemplateError as error:
        raise RecipeError(
            f"the template is invalid: {error.message}", location=_inside(_located(location), error, text)
        ) from None
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError) as error:
        raise RecipeError(f"the template fails: {error}", location=_located(location)) from None


def _located(place: Place) -> Location:
    return place if isinstance(place, Location) else place()


def _inside(location: Location, error: Exception, text: str) -> Location:
    """Return the line within a multi-line text, if jinja2 reports it."""
    line = getattr(error, "lineno", None)
    if line is None:
        traceback = error.__traceback__
        while traceback is not None:
            if traceback.tb_frame.f_code.co_filename == "<template>":
                line = traceback.tb_lineno
            traceback = traceback.tb_next
    if line is None or "\n" not in text:
        return location
    if location.line is None:
        return Location(location.file, line, None, location.path)
    return Location(location.file, location.line + line, None, location.path)
