"""Every way this program fails on purpose: one class and one exit code for each cause.

A face prints ``message``, the place in the user's file and the ``hint``; it never shows a traceback
for an error of this tree. Whatever is not of this tree is a defect of ours and exits with 1.
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
    """Done; or there was nothing to do."""
    DEFECT = 1
    """A defect of bigtop-builder itself."""
    USAGE = 2
    """The command line, the configuration, a recipe or the store is wrong."""
    NOTHING_SELECTED = 3
    """The selection matches nothing."""
    PART_FAILED = 4
    """Some of the work was done, some failed."""
    ENGINE = 5
    """The container engine is absent or refused."""
    SOURCE = 6
    """A source cannot be had, or is not what its digest says."""
    PUBLISH = 7
    """Signing, repository metadata or a publication failed."""
    HOST = 8
    """A host cannot be reached or prepared."""
    AMBARI = 9
    """Ambari refused or failed."""
    BUILD = 10
    """A step of a build failed."""
    TIMEOUT = 11
    """A step ran into its time limit."""
    NOT_REPRODUCIBLE = 12
    """`build --check-reproducible` built everything, and a second build gave other bytes."""
    PENDING = 20
    """`plan --exit-code` found something to build."""
    INTERRUPTED = 130
    """The user stopped the run."""


@dataclass(frozen=True)
class Location:
    """A place in a file that a user wrote: the line counts from 1, ``path`` is the path in the document."""

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
    """The root of the tree: what went wrong, where, and what to do about it."""

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
    """A file, a flag or an environment variable of the user's is wrong."""

    exit_code = ExitCode.USAGE


@contextmanager
def placed(location: Location | None) -> Iterator[None]:
    """A ConfigurationError that has no place yet gets this one."""
    try:
        yield
    except ConfigurationError as error:
        error.location = error.location or location
        raise


class RecipeError(ConfigurationError):
    """A component, stack or platform file cannot be used as it stands."""


class ConfigurationErrors(ConfigurationError):  # noqa: N818 (several of them)
    """Several mistakes found in one pass, so that the user mends them in one go."""

    def __init__(self, errors: list[ConfigurationError]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = errors


class NothingSelectedError(BigtopBuilderError):
    """The selection matches nothing."""

    exit_code = ExitCode.NOTHING_SELECTED


class PartFailedError(BigtopBuilderError):
    """Some of the work was done, some failed."""

    exit_code = ExitCode.PART_FAILED


class EngineError(BigtopBuilderError):
    """The container engine is absent or refused."""

    exit_code = ExitCode.ENGINE


class SourceError(BigtopBuilderError):
    """A source cannot be had, or is not what its digest says."""

    exit_code = ExitCode.SOURCE


class PublishError(BigtopBuilderError):
    """Signing, repository metadata or a publication failed."""

    exit_code = ExitCode.PUBLISH


class HostError(BigtopBuilderError):
    """A host cannot be reached or prepared."""

    exit_code = ExitCode.HOST


class UnreachableHostError(HostError):
    """No connection to a host could be made, or it broke off: nothing is known of what happened there."""


class AmbariError(BigtopBuilderError):
    """Ambari cannot be reached, refused, or one of its requests failed."""

    exit_code = ExitCode.AMBARI


class BuildError(BigtopBuilderError):
    """A step of a build failed inside its container, or its result is not what the component promises."""

    exit_code = ExitCode.BUILD


class StoreError(BigtopBuilderError):
    """The store cannot be read or written: full disk, read-only, another format."""

    exit_code = ExitCode.USAGE


class LimitError(BigtopBuilderError):
    """A step ran into its time limit."""

    exit_code = ExitCode.TIMEOUT


class HostLimitError(LimitError, HostError):
    """A command on a host ran into its time limit; it was told to stop."""


class InterruptedRunError(BigtopBuilderError):
    """The user stopped the run."""

    exit_code = ExitCode.INTERRUPTED
