"""Every way this program fails on purpose: one class and one exit code for each cause.

The command line prints ``message``, the place in the user's file and the ``hint``, never a traceback, for an error of
this tree. Any other exception is a bug in bigtop-builder and exits with 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path


class ExitCode(IntEnum):
    """The exit codes of the command line."""

    DONE = 0
    """Success, or nothing to do."""
    DEFECT = 1
    """A bug in bigtop-builder."""
    USAGE = 2
    """The command line, the configuration, a recipe or the store is invalid."""
    NOTHING_SELECTED = 3
    """The selection matches nothing."""
    PART_FAILED = 4
    """Some of the work succeeded, some failed."""
    ENGINE = 5
    """The container engine is unavailable or returned an error."""
    SOURCE = 6
    """A source is unavailable or does not match its digest."""
    PUBLISH = 7
    """Signing, repository metadata or a publication failed."""
    HOST = 8
    """A host is unreachable or cannot be prepared."""
    AMBARI = 9
    """Ambari returned an error, or one of its requests failed."""
    BUILD = 10
    """A step of a build failed."""
    TIMEOUT = 11
    """A step exceeded its time limit."""
    NOT_REPRODUCIBLE = 12
    """`build --check-reproducible` built everything, and the bytes of a second build differ."""
    PENDING = 20
    """`plan --exit-code` found something to build."""
    INTERRUPTED = 130
    """The user stopped the run."""


@dataclass(frozen=True)
class Location:
    """A place in a user's file: the line counts from 1, ``path`` is the path in the document."""

    file: Path | str
    line: int | None = None
    column: int | None = None
    path: str = ""

    def __str__(self) -> str:
        place = str(self.file)
        if self.line is not None:
            place += f":{self.line}"
            if self.column is not None:
                place += f":{self.column}"
        return f"{place} ({self.path})" if self.path else place


class BigtopBuilderError(Exception):
    """The base class: what went wrong, where, and what to do about it."""

    exit_code = ExitCode.DEFECT

    def __init__(self, message: str, *, hint: str | None = None, location: Location | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.location = location

    def __str__(self) -> str:
        text = f"{self.location}: {self.message}" if self.location else self.message
        return f"{text}\n{self.hint}" if self.hint else text


class ConfigurationError(BigtopBuilderError):
    """A file, flag or environment variable of the user is invalid."""

    exit_code = ExitCode.USAGE


@contextmanager
def placed(location: Location | None) -> Iterator[None]:
    """Give this place to a ConfigurationError that has none yet."""
    try:
        yield
    except ConfigurationError as error:
        error.location = error.location or location
        raise


class RecipeError(ConfigurationError):
    """A component, stack or platform file is invalid."""


class ConfigurationErrors(ConfigurationError):  # noqa: N818 (plural)
    """Several mistakes found in one pass, so that the user can fix them all at once."""

    def __init__(self, errors: list[ConfigurationError]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = errors


class SeveralErrors(BigtopBuilderError):  # noqa: N818 (plural)
    """Errors of different causes, found in one pass; the exit code is that of the first."""

    def __init__(self, errors: list[BigtopBuilderError]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = errors
        self.exit_code = errors[0].exit_code


class NothingSelectedError(BigtopBuilderError):
    """The selection matches nothing."""

    exit_code = ExitCode.NOTHING_SELECTED


class PartFailedError(BigtopBuilderError):
    """Some of the work succeeded, some failed."""

    exit_code = ExitCode.PART_FAILED


class EngineError(BigtopBuilderError):
    """The container engine is unavailable or returned an error."""

    exit_code = ExitCode.ENGINE


class SourceError(BigtopBuilderError):
    """A source is unavailable or does not match its digest."""

    exit_code = ExitCode.SOURCE


class PublishError(BigtopBuilderError):
    """Signing, repository metadata or a publication failed."""

    exit_code = ExitCode.PUBLISH


class HostError(BigtopBuilderError):
    """A host is unreachable or cannot be prepared."""

    exit_code = ExitCode.HOST


class UnreachableHostError(HostError):
    """No connection to a host could be made, or it was lost: what happened on the host is unknown."""


class AmbariError(BigtopBuilderError):
    """Ambari is unreachable or returned an error, or one of its requests failed."""

    exit_code = ExitCode.AMBARI


class BuildError(BigtopBuilderError):
    """A step of a build failed in its container, or its result is not what the component file declares."""

    exit_code = ExitCode.BUILD


class StoreError(BigtopBuilderError):
    """The store cannot be read or written: the disk is full or read-only, or the format differs."""

    exit_code = ExitCode.USAGE


class LimitError(BigtopBuilderError):
    """A step exceeded its time limit."""

    exit_code = ExitCode.TIMEOUT


class HostLimitError(LimitError, HostError):
    """A command on a host exceeded its time limit and was stopped."""


class InterruptedRunError(BigtopBuilderError):
    """The user stopped the run."""

    exit_code = ExitCode.INTERRUPTED
