"""Questions that a command asks before it does something that cannot be taken back."""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import TYPE_CHECKING

from bigtop_builder.cli.text_format import printable
from bigtop_builder.model.errors import ConfigurationError

if TYPE_CHECKING:
    from bigtop_builder.flow.deploy.consent import Question

YES = ("y", "yes")


def confirm_on_terminal(
    question: Question, *, hint: str, prompt: str = "Continue? [y/N] ", accepted: Collection[str] = YES
) -> None:
    """Ask on the terminal, and return if the answer is one of ``accepted``.

    Raises ConfigurationError with ``hint``, the flag to give instead, for any other answer or without a terminal.
    """
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "\n".join([f"{question.title}, which was not confirmed; nothing was done", *_listed(question)]),
            hint=hint,
        )
    title = f"{question.title[0].upper()}{question.title[1:]}"
    lines = [f"{title}:", *_listed(question), ""] if question.lines else [f"{title}. "]
    sys.stderr.write(printable("\n".join(lines)) + prompt)
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {one.lower() for one in accepted}:
        raise ConfigurationError(f"{question.title}, which was not confirmed; nothing was done", hint=hint)


def _listed(question: Question) -> list[str]:
    return [f"  {line}" for line in question.lines]
