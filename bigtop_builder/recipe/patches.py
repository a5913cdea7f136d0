"""Patches of a component: plain ``diff -u`` or ``git format-patch`` files that say what they cure."""

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
    """A patch of the version, applied with ``patch -p1 -F0``."""

    name: str
    path: Path
    note: str
    """What it cures, on one line."""
    digest: str
    """SHA-256 of the differences alone: another note builds nothing anew."""


def read_patches(paths: Iterable[Path]) -> tuple[AppliedPatch, ...]:
    """The patches, without the empty ones: an overlay takes a patch out by an empty file of its name.

    Raises RecipeError for one that has no note or changes nothing.
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
                "does not say what it cures",
                location=Location(path),
                hint="Write it in plain text above the first difference, as git format-patch does.",
            )
        content = text[first.start() :].encode("utf-8", errors="surrogateescape")
        patches.append(AppliedPatch(path.name, path, note, digest.of_bytes(content)))
    return tuple(patches)


def _note(head: str) -> str:
    lines = [_SUBJECT.sub("", line) for line in head.splitlines() if not _MAIL_HEADER.match(line)]
    return " ".join(" ".join(lines).split())
