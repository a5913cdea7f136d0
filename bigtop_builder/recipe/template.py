"""Templates: jinja2 in a sandbox where a name that is not defined is an error."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigtop_builder.model import digest
from bigtop_builder.model.errors import Location, RecipeError
from bigtop_builder.recipe.compiled import CodeCache
from bigtop_builder.recipe.document import near

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

COMMENT = ("{##", "##}")
"""Bash writes ``${#name}``, which jinja2's own comment mark would swallow."""


def rpm_escape(text: str) -> str:
    """Text that rpm leaves alone in a spec."""
    return text.replace("%", "%%")


@lru_cache(maxsize=1)
def environment() -> SandboxedEnvironment:
    """The one jinja2 environment."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    env = SandboxedEnvironment(
        undefined=StrictUndefined,
        comment_start_string=COMMENT[0],
        comment_end_string=COMMENT[1],
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    env.filters["rpm_escape"] = rpm_escape
    return env


def is_template(text: str) -> bool:
    """Whether rendering could change the text."""
    return "{{" in text or "{%" in text or COMMENT[0] in text


_cache: CodeCache | None = None


def compile_with(folder: Path) -> CodeCache:
    """From now on use, and fill, the compiled templates of earlier runs in ``folder``."""
    global _cache
    _cache = CodeCache(folder, digest.of_file(Path(__file__)))
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


def render(text: str, context: Mapping[str, Any], location: Location) -> str:
    """Render ``text``. Raises RecipeError at ``location`` for an unknown name or a bad template."""
    if not is_template(text):
        return text
    return str(_guarded(lambda: _compiled(text).render(context), context, location, text))


def render_file(file: Path, context: Mapping[str, Any]) -> str:
    """Render a template file. Raises RecipeError with its line."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot be read: {error}", location=Location(file)) from None
    return render(text, context, Location(file))


def truth(expression: str, context: Mapping[str, Any], location: Location) -> bool:
    """The truth of a template expression such as ``variant == 'source'``."""
    if expression in ("true", "false"):
        return expression == "true"
    return bool(_guarded(lambda: _expression(expression)(**context), context, location, expression))


@lru_cache(maxsize=1024)
def _expression(text: str) -> Any:
    return environment().compile_expression(text, undefined_to_none=False)


def _guarded(work: Any, context: Mapping[str, Any], location: Location, text: str) -> Any:
    from jinja2 import TemplateError, UndefinedError
    from jinja2.exceptions import SecurityError

    try:
        value = work()
        return value if isinstance(value, str | bool | int) else bool(value)
    except UndefinedError as error:
        quoted = (error.message or "").split("'")[1::2] or [""]
        inner = len(quoted) > 1  # 'dict object' has no attribute 'x'
        raise RecipeError(
            f"the template uses a name that is not defined: {'.' if inner else ''}{quoted[-1]}",
            location=_inside(location, error, text),
            hint=None if inner else near(quoted[-1], context) or None,
        ) from None
    except SecurityError as error:
        raise RecipeError(f"the template does what is not allowed: {error}", location=location) from None
    except TemplateError as error:
        raise RecipeError(f"the template is wrong: {error.message}", location=_inside(location, error, text)) from None
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError) as error:
        raise RecipeError(f"the template fails: {error}", location=location) from None


def _inside(location: Location, error: Exception, text: str) -> Location:
    """The line inside a text of many lines, where jinja2 tells it."""
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
