"""Reads the patches of a component: ``diff -u`` or ``git format-patch`` files that say what they fix."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.model import digest
from bigtop_builder.model.errors import Location, RecipeError

_FIRST_DIFFERENCE = re.compile(r"^(diff |--- |Index: |---$)", re.MULTILINE)
_MAIL_HEADER = re.compile(r"(From |From: |Date: |MIME-Version: |Content-)")
_SUBJECT = re.compile(r"^Subject:\s*(\[[^]]*\]\s*)?")


@dataclass(frozen=True)
class AppliedPatch:
    """A patch of one version, applied with ``patch -p1 -F0``."""

    name: str
    path: Path
    note: str
    """What it fixes, on one line."""
    digest: str
    """SHA-256 of the differences alone: changing the note rebuilds nothing."""


def read_patches(paths: Iterable[Path]) -> tuple[AppliedPatch, ...]:
    """Read patches. Empty files are skipped: with one an overlay removes the shipped patch of that name.

    Raises RecipeError for a patch that has no note or changes nothing.
    """
    patches: list[AppliedPatch] = []
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            raise RecipeError(f"cannot be read: {error.strerror}", location=Location(path)) from None
        if not text.strip():
            continue
        first = _FIRST_DIFFERENCE.search(text)
        if first is None:
            raise RecipeError("changes nothing", location=Location(path), hint="A patch is what diff -u prints.")
        note = _note(text[: first.start()])
        if not note:
            raise RecipeError(
                "does not say what it fixes",
                location=Location(path),
                hint="Write it in plain text above the first difference, as git format-patch does.",
            )
        content = text[first.start() :].encode("utf-8", errors="surrogateescape")
        patches.append(AppliedPatch(path.name, path, note, digest.of_bytes(content)))
    return tuple(patches)


def _note(head: str) -> str:
    lines = [_SUBJECT.sub("", line) for line in head.splitlines() if not _MAIL_HEADER.match(line)]
    note = " ".join(" ".join(lines).split())
    # Patches have any encoding, but the note goes into JSON, which takes only Unicode.
    return note.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
