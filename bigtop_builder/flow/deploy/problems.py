"""Collects what is wrong, so that everything is reported at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from bigtop_builder.model.errors import (
    BigtopBuilderError,
    ConfigurationErrors,
    InterruptedRunError,
    SeveralErrors,
)


class Problems:
    """Errors of several checks, which go on although one of them fails."""

    def __init__(self) -> None:
        self._errors: list[BigtopBuilderError] = []

    def __bool__(self) -> bool:
        return bool(self._errors)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Keep an error of the block instead of raising it; an interruption is no such error."""
        try:
            yield
        except InterruptedRunError:
            raise
        except BigtopBuilderError as error:
            self.add([error])

    def add(self, errors: Iterable[BigtopBuilderError]) -> None:
        """Keep errors, each of several by itself."""
        for error in errors:
            found = error.errors if isinstance(error, ConfigurationErrors) else [error]
            # Two checks may have needed what is unavailable.
            self._errors += [one for one in found if str(one) not in map(str, self._errors)]

    def raise_any(self) -> None:
        """Raise the only error, or SeveralErrors with the exit code of the first."""
        if len(self._errors) == 1:
            raise self._errors[0]
        if self._errors:
            raise SeveralErrors(self._errors)
