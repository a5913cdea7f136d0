"""Runs a reader on damaged input, again and again: it reads it, or says in one of our errors why not.

A round is repeated by its target, seed and number alone, in any order: ``make fuzz TARGET=… SEED=… FIRST=… ROUNDS=1``.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType

from bigtop_builder.model.errors import BigtopBuilderError, ExitCode

PATIENCE = 60
"""Seconds after which a round counts as one that never ends; never asserted as a speed."""


class NeverEndsError(BaseException):
    """A round that does not end. No ``except Exception`` of what is tested may catch it."""


class Target:
    """Something that reads input of strangers. ``rounds`` are those of ``make test``."""

    name = ""
    rounds = 50
    private = ("scratch",)
    """The folders that a round may write to, below its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def damaged(self, random: Random) -> bytes:
        """Return the input of a round."""
        raise NotImplementedError

    def read(self, data: bytes, scratch: Path) -> None:
        """Read the input as a user's command would; ``scratch`` is an empty folder."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop what the target started."""


@dataclass
class Tally:
    """What came of some rounds."""

    read: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)


def repeat(target: Target, seed: int, first: int, rounds: int, stop_after: int = 1) -> Tally:
    """Run rounds; stop after so many failures. Each failure says how to repeat it."""
    tally = Tally()
    for number in range(first, first + rounds):
        random = Random(f"{target.name} {seed} {number}")
        data = target.damaged(random)
        problem = _round(target, data, tally)
        if problem:
            again = f"make fuzz TARGET={target.name} SEED={seed} FIRST={number} ROUNDS=1"
            tally.failures.append(f"{again}\n{problem}")
            if len(tally.failures) >= stop_after:
                break
    return tally


def _round(target: Target, data: bytes, tally: Tally) -> str:
    scratch = target.folder / "round" / "scratch"
    scratch.mkdir(parents=True)
    try:
        with _patience():
            target.read(data, scratch)
        tally.read += 1
    except BigtopBuilderError as error:
        tally.refused += 1
        if error.exit_code is ExitCode.DEFECT or not str(error).strip():
            return f"an error without a cause: {traceback.format_exc()}"
    except (Exception, NeverEndsError):
        return traceback.format_exc()[-3000:]
    finally:
        outside = [path.name for path in scratch.parent.iterdir() if path != scratch]
        outside += [str(path) for path in (Path("/tmp/escaped"), target.folder / "escaped") if path.exists()]
        shutil.rmtree(scratch.parent)
    return f"written outside: {outside}" if outside else ""


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    def late(number: int, frame: FrameType | None) -> None:
        raise NeverEndsError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def chosen(targets: Sequence[type[Target]], name: str) -> list[type[Target]]:
    """Return the targets whose name begins with ``name``."""
    return [target for target in targets if target.name.startswith(name)]
