"""The filters and tests of templates: those of jinja2 whose result and time can be bounded."""

from __future__ import annotations

import re
from collections.abc import Callable, ItemsView, Iterator, KeysView, Sequence, ValuesView
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context
from jinja2.utils import _PassArg

from bigtop_builder.model.version import compare_versions
from bigtop_builder.recipe.meter import BudgetError, meter


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


_ON_TEXT = words("capitalize count d default e escape float format indent int length lower replace string trim upper")
FILTERS = _ON_TEXT | words(
    "dictsort first items join last list map max min reject rejectattr reverse select selectattr sort title unique"
)
TESTS = words(
    "!= < <= == > >= boolean defined divisibleby eq equalto even false float ge greaterthan gt in "
    "integer iterable le lessthan lower lt mapping ne none number odd sequence string true undefined "
    "upper"
)
ORDERED = words("< <= > >= ge greaterthan gt le lessthan lt")
"""The tests that order two values."""
_ARGUMENTS = {"replace": ("old", "new"), "indent": ("width",)}
"""The arguments that make a result large, in order; templates may also name them."""
SHORT = 255
"""The longest text that an operation looks at for the price of its own node."""
_WIDEST = 1000
"""The largest width or precision of a format."""
_FORMAT = re.compile(r"%(?:\([^()]*\))?[-+ #0]*(\d*)\.?(\d*)")
_UNBOUNDED = re.compile(r"%[-+ #0-9]*\.?\*|%\([^()]*\(")
"""A width that is an argument, and a key in which a width could hide."""


_UNQUOTED = re.compile(r"[\w@%+=:,./-]*", re.ASCII)
"""What bash takes as it is."""


def flags(value: Any, prefix: str) -> str:
    """Return arguments of a command: ``prefix`` and a text, or ``prefix`` and ``key=value`` for each item of a mapping.

    What is empty is left out. Arguments with anything special are put into double quotes, in which bash still replaces
    ``$NAME`` and ``$(command)``. A prefix that ends in a space is an argument of its own.
    """
    texts = [f"{key}={text}" for key, text in value.items() if text] if isinstance(value, dict) else [str(value)]
    option, space, glued = prefix.rpartition(" ")
    words = [glued + text for text in texts if text]
    return " \\\n  ".join(option + space + (word if _UNQUOTED.fullmatch(word) else f'"{word}"') for word in words)


_DROP = """\
python3 - $(find . -name pom.xml) <<'PYTHON'
import re, sys
tests = r"<{element}>(?:(?!</{element}>).)*{pattern}.*?</{element}>"
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(re.sub(tests, "", text, flags=re.DOTALL))
PYTHON"""


def drop_from_poms(pattern: Any, element: str) -> str:
    """Return a command of bash: remove the elements of this name from all poms in which the pattern is found.

    Raises TypeError for a pattern that is no regular expression, or that Python's raw texts cannot hold.
    """
    try:
        re.compile(str(pattern))
    except re.error as error:
        raise TypeError(f"drop_from_poms: {pattern!r} is no regular expression: {error}") from error
    if '"' in str(pattern) or "\n" in str(pattern) or not element.isalnum():
        raise TypeError("drop_from_poms takes a pattern without quotes and newlines, and the name of an element")
    return _DROP.format(pattern=pattern, element=element)


def in_order(compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return a comparison that orders texts as versions: ``3.3.10`` comes after ``3.3.9``.

    Nothing else that component files order is a text. Raises TypeError for a text and a number.
    """

    def run(left: Any, right: Any) -> Any:
        if isinstance(left, str) and isinstance(right, str):
            return compare(compare_versions(left, right), 0)
        if isinstance(left, str) != isinstance(right, str) and isinstance(left, str | int | float):
            raise TypeError("a text is compared with a number: put a version in quotes")
        return compare(left, right)

    return run


def bounded_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that pays for what it takes and gives, and whose result is plain."""
    leading = _leading(function)

    @pass_context
    def run(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        budget = meter()
        for one in (value, *args, *kwargs.values()):
            if type(one) is not str or len(one) > SHORT:
                budget.charge(one)
        if isinstance(value, str):
            named = (kwargs[key] for key in _ARGUMENTS.get(name, ()) if key in kwargs)
            budget.spend(text_cost(name, value, (*args, *named)) if name in _ON_TEXT else len(value))
        if name not in _ON_TEXT and type(value) in (list, tuple, dict, str):
            # An attribute may be a list of paths, each of which is looked up in each item.
            paths = (one for one in (*args, *kwargs.values()) if isinstance(one, str))
            budget.spend(len(value) * sum(1 + one.count(".") + one.count(",") for one in paths))
        if name == "format":
            return formatted(value, kwargs or args)
        if name == "join":
            separator = kwargs.get("d", args[0] if args else "")
            budget.spend(len(value) * len(str(separator)) if isinstance(value, list | tuple | dict | str) else 0)
        result = settled(function(*leading(context), value, *args, **kwargs))
        budget.charge(result)
        return result

    return run


def bounded_test(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a test that pays for what it looks at."""
    leading = _leading(function)

    @pass_context
    def run(context: Context, value: Any, *args: Any) -> Any:
        budget = meter()
        for one in (value, *args):
            budget.charge(one)
        return function(*leading(context), value, *args)

    return run


def _leading(function: Callable[..., Any]) -> Callable[[Context], tuple[Any, ...]]:
    """Return what gives a filter of jinja2 the argument that it has before the value."""
    passed = _PassArg.from_obj(function)
    if passed is _PassArg.context:
        return lambda context: (context,)
    if passed is _PassArg.eval_context:
        return lambda context: (context.eval_ctx,)
    if passed is _PassArg.environment:
        return lambda context: (context.environment,)
    return lambda context: ()


def each(value: Any) -> Any:
    """Return what a loop goes through, whose size is paid for before the loop begins."""
    kind = type(value)
    if kind in (list, tuple):
        if value:
            meter().spend(len(value))
        return value
    if kind in (dict, str):
        meter().spend(len(value))
        return list(value)
    meter().charge(value)
    return list(value)


def settled(value: Any) -> Any:
    """Return a value as plain data: what comes piece by piece as a list, marked text as text."""
    if type(value) in (str, list, int, bool):
        return value
    if isinstance(value, KeysView | ValuesView | ItemsView | Iterator):
        return list(value)
    return str(value) if isinstance(value, str) else value


def text_cost(name: str, text: Any, arguments: Sequence[Any]) -> int:
    """Return what a method or filter of a text costs beyond its arguments, before it is carried out."""
    if name == "replace" and len(arguments) >= 2 and all(isinstance(one, str) for one in (text, *arguments[:2])):
        return int(text.count(arguments[0]) * len(arguments[1]))
    if name == "indent":
        width = arguments[0] if arguments else 4
        return int((text.count("\n") + 1) * (1 + (len(width) if isinstance(width, str) else abs(int(width)))))
    if name == "join":
        return len(text) * len(arguments[0]) if arguments and isinstance(arguments[0], list | tuple | dict | str) else 0
    return len(text) if name in ("split", "rsplit", "splitlines") else 0


def formatted(text: Any, values: Any) -> str:
    """Carry out ``text % values``, with bounded widths."""
    pattern = str(text)
    widths = [int(number[:6] or 0) for found in _FORMAT.findall(pattern) for number in found]
    if _UNBOUNDED.search(pattern) or max(widths, default=0) > _WIDEST:
        raise BudgetError
    budget = meter()
    budget.spend(sum(widths))
    before = budget.left
    budget.charge(values)
    if isinstance(values, dict):
        # Each place may name the same value.
        budget.spend(pattern.count("%") * (before - budget.left))
    result: str = pattern % values
    budget.charge(result)
    return result
