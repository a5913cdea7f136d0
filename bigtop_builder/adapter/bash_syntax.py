"""Bash as a checker of scripts: it reads them without running them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

OLDEST = 4
"""The oldest bash whose verdict counts: what macOS has, 3.2, does not know all that builders' bash does."""


@dataclass(frozen=True)
class SyntaxProblem:
    """What bash says of a script, and the line that it names, counted from 1."""

    line: int
    message: str


def syntax_problems(scripts: Sequence[str]) -> dict[int, SyntaxProblem]:
    """Return what is wrong with scripts, by their place in the sequence.

    They are read at once first, since most have no mistake. Without a bash on this machine nothing is found.
    """
    bash = shutil.which("bash")
    if bash is None or not scripts:
        return {}
    with TemporaryDirectory(prefix="bigtop-builder-") as folder:
        file = Path(folder) / "script"
        if _problem(bash, file, "\n".join(scripts)) is None or _version(bash) < OLDEST:
            return {}
        found = ((number, _problem(bash, file, script)) for number, script in enumerate(scripts))
        return {number: problem for number, problem in found if problem is not None}


def _problem(bash: str, file: Path, script: str) -> SyntaxProblem | None:
    file.write_text(script, encoding="utf-8", errors="surrogateescape")
    for line in _told(bash, "-O", "extglob", "-n", str(file)):
        if told := re.search(r": line ([0-9]+): (.*)", line):
            return SyntaxProblem(int(told[1]), told[2])
    return None


def _version(bash: str) -> int:
    return int(next(_told(bash, "-c", 'echo "${BASH_VERSINFO[0]}" >&2'), "0"))


def _told(bash: str, *arguments: str) -> Iterator[str]:
    done = subprocess.run(
        [bash, "--norc", *arguments], env={"LC_ALL": "C"}, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    yield from done.stderr.decode("utf-8", "replace").splitlines()
