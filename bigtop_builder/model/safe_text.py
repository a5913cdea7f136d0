"""Names of strangers that may become paths."""

from __future__ import annotations

LONGEST_NAME, LONGEST_PATH = 200, 4000
"""In bytes. File systems take 255 for a name; what is left is for our own endings, such as ``.part``."""


def plain_text(text: str) -> str:
    """Return a text of one line without control characters. Raises ValueError."""
    if not text.isprintable():
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
