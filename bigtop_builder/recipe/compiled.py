"""Compiled templates of earlier runs, because compiling takes longer than all the rest of a plan.

A template's code is found by the digest of its text, in a file whose name is the digest of all that compiles it:
Python, jinja2 and the settings of the environment. So it can only be what compiling would give again.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import marshal
import os
import secrets
from pathlib import Path
from types import CodeType

from bigtop_builder.model import digest

LIMIT = 4000
"""Above so many templates only those of the last run are kept."""

_HEAD = hashlib.sha256().digest_size


class CodeCache:
    """A file of compiled templates. It is of use only: what cannot be read or written is compiled again."""

    def __init__(self, folder: Path, settings: str) -> None:
        import jinja2

        compiler = [importlib.util.MAGIC_NUMBER.hex(), jinja2.__version__, settings]
        self.file = folder / f"{digest.of_data(compiler)[:32]}.code"
        self._found = _read(self.file)
        self._used: dict[str, CodeType] = {}

    def get(self, text: str) -> CodeType | None:
        """The code of a template's text."""
        key = digest.of_text(text)
        code = self._found.get(key)
        if code is not None:
            self._used[key] = code
        return code

    def put(self, text: str, code: CodeType) -> None:
        """Note what was compiled; ``save`` writes it."""
        self._used[digest.of_text(text)] = code

    def save(self) -> None:
        """Write what was compiled since the file was read, if anything."""
        if self._used.keys() <= self._found.keys():
            return
        self._found = self._used if len(self._found) > LIMIT else {**self._found, **self._used}
        body = marshal.dumps(self._found)
        temporary = self.file.with_suffix(f".{secrets.token_hex(4)}.tmp")
        try:
            # Without a store there is nowhere to keep it: a plan makes none.
            self.file.parent.mkdir(exist_ok=True)
            temporary.write_bytes(hashlib.sha256(body).digest() + body)
            temporary.chmod(0o600)
            temporary.replace(self.file)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def _read(file: Path) -> dict[str, CodeType]:
    """What is in a file that is whole and that nobody else could have written: its content is run."""
    try:
        with file.open("rb") as stream:
            status = os.fstat(stream.fileno())
            if status.st_uid != os.geteuid() or status.st_mode & 0o022:
                return {}
            head, body = stream.read(_HEAD), stream.read()
    except OSError:
        return {}
    if hashlib.sha256(body).digest() != head:
        return {}
    code: dict[str, CodeType] = marshal.loads(body)
    return code
