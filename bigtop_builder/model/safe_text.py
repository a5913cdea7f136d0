"""Text of strangers: names that may become paths, and characters that a terminal or a reader would not take as text."""

from __future__ import annotations

import re

LONGEST_NAME, LONGEST_PATH = 200, 4000
"""In bytes. File systems take 255 for a name; what is left is for our own endings, such as ``.part``."""

UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL and C1: a terminal takes them for commands.
    "\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"  # Invisible, or changes the order of what is read.
    "\ud800-\udfff\ufff9-\ufffb\ufffe\uffff]"  # Not text at all.
)


def escaped(text: str, keep: str = "") -> str:
    """Return a text with ``\\x1b`` and the like for what must not reach a terminal, except what ``keep`` has."""
    if text.isprintable():
        return text
    return UNSAFE.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def plain_text(text: str) -> str:
    """Return a text of one line without control characters. Raises ValueError."""
    if not text.isprintable() and UNSAFE.search(text):
        raise ValueError("must not contain control characters or invisible ones")
    return text


def file_name(text: str) -> str:
    """Return the name of a file or folder that is not a path. Raises ValueError."""
    plain_text(text)
    if text in ("", ".", "..") or "/" in text or "\\" in text or text.startswith("-"):
        raise ValueError("must be the name of a file, without folders")
    if len(text.encode()) > LONGEST_NAME:
        raise ValueError(f"must not be longer than {LONGEST_NAME} bytes")
    return text


def relative_path(text: str) -> str:
    """Return a path that stays below the folder that it is relative to. Raises ValueError."""
    plain_text(text)
    parts = text.split("/")
    if "\\" in text or text.startswith("-") or any(part in ("", ".", "..") for part in parts):
        raise ValueError("must be a relative path that stays below its folder")
    _check_length(text)
    return text


def target_folder(text: str) -> str:
    """Return a relative path, or ``.`` for the folder itself. Raises ValueError."""
    return text if text == "." else relative_path(text.removeprefix("./").rstrip("/"))


def host_path(text: str) -> str:
    """Return any path of this machine that a file system takes. Raises ValueError."""
    plain_text(text)
    _check_length(text)
    return text


def absolute_path(text: str) -> str:
    """Return an absolute path without ``..``. Raises ValueError."""
    host_path(text)
    if not text.startswith("/") or ".." in text.split("/"):
        raise ValueError("must be an absolute path without '..'")
    return text


def _check_length(path: str) -> None:
    if len(path.encode()) > LONGEST_PATH or any(len(part.encode()) > LONGEST_NAME for part in path.split("/")):
        raise ValueError(f"must not be longer than {LONGEST_PATH} bytes, nor each name in it than {LONGEST_NAME}")
