"""Renders templates: jinja2 in a sandbox, where an undefined name is an error."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from bigtop_builder.model import digest
from bigtop_builder.model.component import Package
from bigtop_builder.model.errors import ConfigurationError, Location, RecipeError
from bigtop_builder.recipe.document import MAX_SIZE, clipped, near, read_text
from bigtop_builder.recipe.meter import BudgetError, meter, metered
from bigtop_builder.recipe.package_format import FORMATS
from bigtop_builder.recipe.plain import plain
from bigtop_builder.recipe.template_cache import CodeCache

if TYPE_CHECKING:
    from jinja2 import Template

    from bigtop_builder.recipe.sandbox import Sandbox

COMMENT = ("{##", "##}")
"""Not jinja2's own ``{#``, which would swallow bash's ``${#name}``."""


@lru_cache(maxsize=1)
def environment() -> Sandbox:
    """Return the jinja2 environment that all templates share."""
    from jinja2 import StrictUndefined

    from bigtop_builder.recipe.sandbox import Sandbox

    return Sandbox(
        {name: _over_models(one) for known in FORMATS.values() for name, one in known.filters.items()},
        undefined=StrictUndefined,
        comment_start_string=COMMENT[0],
        comment_end_string=COMMENT[1],
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _over_models(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Give a filter of a package format the package that a template's plain data describes."""
    return lambda value: function(Package.model_validate(value) if isinstance(value, dict) else value)


def is_template(text: str) -> bool:
    """Return whether rendering could change the text."""
    return "{{" in text or "{%" in text or COMMENT[0] in text


_cache: CodeCache | None = None


def compile_with(folder: Path) -> CodeCache:
    """Use, and fill, the cache of compiled templates in ``folder`` from now on."""
    global _cache
    here = Path(__file__)
    sources = [here, here.with_name("sandbox.py"), here.with_name("sandbox_filters.py")]
    # Compiling looks at which filters there are.
    sources += [Path(inspect.getfile(type(known))) for known in FORMATS.values()]
    _cache = CodeCache(folder, digest.of_data([digest.of_file(source) for source in sources]))
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
    """Render ``text``, whose context is plain data (see ``plain``).

    Raises RecipeError at ``location`` for an unknown name, for a bad template and for one that does too much.
    """
    if not is_template(text):
        return text
    if len(text) > MAX_SIZE:
        raise RecipeError(f"the template is larger than {MAX_SIZE >> 20} MiB", location=_located(location))
    parts = _plain_names(text)
    if parts is not None:
        with suppress(BudgetError, TypeError):
            if (joined := _join(parts, context)) is not None:
                return joined
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

    lookup, budget = environment().getattr, meter()
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
        budget.charge(value)
        texts.append(value if isinstance(value, str) else str(value))
    return "".join(texts)


def render_file(file: Path, context: Mapping[str, Any]) -> str:
    """Render a template file, which sees models as plain data. Raises RecipeError with its line."""
    try:
        text = read_text(file)
    except ConfigurationError as error:
        raise RecipeError(error.message, location=error.location) from None
    seen = {name: plain(value) if isinstance(value, BaseModel) else value for name, value in context.items()}
    return render(text, seen, Location(file))


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
        with metered():
            value = work()
            meter().charge(value)
            return value if isinstance(value, str | bool | int) else bool(value)
    except BudgetError:
        raise RecipeError(
            "the template takes too long, or makes too much text",
            location=_located(location),
            hint="Repeat less: what a component's templates do together is bounded.",
        ) from None
    except UndefinedError as error:
        quoted = [clipped(name) for name in (error.message or "").split("'")[1::2] or [""]]
        inner = len(quoted) > 1  # 'dict object' has no attribute 'x'
        raise RecipeError(
            f"the template uses an undefined name: {'.' if inner else ''}{quoted[-1]}",
            location=_inside(_located(location), error, text),
            hint=None if inner else near(quoted[-1], context) or None,
        ) from None
    except SecurityError as error:
        raise RecipeError(
            f"the template does something forbidden: {clipped(str(error))}", location=_located(location)
        ) from None
    except TemplateError as error:
        raise RecipeError(
            f"the template is invalid: {clipped(error.message or '')}",
            location=_inside(_located(location), error, text),
        ) from None
    except (RecursionError, MemoryError, SyntaxError):
        # Also of Python's compiler, which takes no more nested blocks than that.
        raise RecipeError("the template is nested too deeply", location=_located(location)) from None
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise RecipeError(f"the template fails: {clipped(str(error))}", location=_located(location)) from None


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
