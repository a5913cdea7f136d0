"""Bounds what templates may do: every step, and all text that they make, is paid for from one budget."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

BUDGET = 500_000
"""Units for everything that belongs together: one component on one platform, or one file.

A unit is about a microsecond: a node of a template that is carried out, or 16 characters of text. The largest
component that is shipped takes a tenth of it.
"""
LARGEST_INTEGER = 4096
"""In bits."""


class BudgetError(Exception):
    """A template does more than its budget allows."""


class Meter:
    """What is left of a budget."""

    __slots__ = ("left",)

    def __init__(self, budget: int = BUDGET) -> None:
        self.left = budget

    def spend(self, units: int) -> bool:
        """Pay for something before it is done; return True. Raises BudgetError when it is not affordable."""
        self.left -= units
        if self.left < 0:
            raise BudgetError
        return True

    def charge(self, value: Any) -> None:
        """Pay for a plain value by its whole size.

        What a value refers to twice counts twice: printing, comparing and hashing it takes as long. Raises
        BudgetError, and TypeError for anything that is not plain data.
        """
        if type(value) is str:
            self.spend(1 + (len(value) >> 4))
            return
        left, rest = self.left, [value]
        for item in rest:  # The list grows while it is walked through.
            kind = type(item)
            if kind is str:
                left -= 1 + (len(item) >> 4)
            elif kind is list or kind is tuple:
                left -= 1 + len(item)
                rest += item
            elif kind is dict:
                left -= 1 + len(item)
                rest += item
                rest += item.values()
            else:
                left -= _scalar(item)
            if left < 0:
                break
        self.left = left
        self.spend(0)


def _scalar(item: Any) -> int:
    if isinstance(item, int):
        if item.bit_length() > LARGEST_INTEGER:
            raise BudgetError
        return 1
    if isinstance(item, str):
        return 1 + (len(item) >> 4)
    if item is None or isinstance(item, float):
        return 1
    from jinja2 import Undefined
    from jinja2.exceptions import SecurityError

    if not isinstance(item, Undefined):
        raise TypeError(f"a {type(item).__name__} is not plain data")
    if item._undefined_exception is SecurityError:
        str(item)
    return 1


_current: ContextVar[Meter | None] = ContextVar("meter", default=None)


def meter() -> Meter:
    """Return the meter that runs, or a full one."""
    return _current.get() or Meter()


@contextmanager
def metered() -> Iterator[None]:
    """Give everything inside one budget; inside another one, its."""
    if _current.get() is not None:
        yield
        return
    token = _current.set(Meter())
    try:
        yield
    finally:
        _current.reset(token)
