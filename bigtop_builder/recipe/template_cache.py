"""Caches compiled templates between runs, because compiling takes longer than the rest of a plan.

Code is looked up by the digest of its template's text, in a file named by the digest of everything that affects
compiling: Python, jinja2 and the settings of the environment. So a hit is always what compiling would return.
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
"""With more templates than this, only those of the last run are kept."""

_HEAD = hashlib.sha256().digest_size


class CodeCache:
    """A file of compiled templates. If it cannot be read or written, templates are compiled again."""

    def __init__(self, folder: Path, settings: str) -> None:
        import jinja2

        compiler = [importlib.util.MAGIC_NUMBER.hex(), jinja2.__version__, settings]
        self.file = folder / f"{digest.of_data(compiler)[:32]}.code"
        self._found = _read(self.file)
        self._used: dict[str, CodeType] = {}

    def get(self, text: str) -> CodeType | None:
        """Return the code of a template's text; None when it is not cached."""
        key = digest.of_text(text)
        code = self._found.get(key)
        if code is not None:
            self._used[key] = code
        return code

    def put(self, text: str, code: CodeType) -> None:
        """Add compiled code; ``save`` writes it."""
        self._used[digest.of_text(text)] = code

    def save(self) -> None:
        """Write the file if anything was added since it was read."""
        if self._used.keys() <= self._found.keys():
            return
        self._found = self._used if len(self._found) > LIMIT else {**self._found, **self._used}
        body = marshal.dumps(self._found)
        temporary = self.file.with_suffix(f".{secrets.token_hex(4)}.tmp")
        try:
            # The folder above is not created: a plan must not create a store.
            self.file.parent.mkdir(exist_ok=True)
            temporary.write_bytes(hashlib.sha256(body).digest() + body)
            temporary.chmod(0o600)
            temporary.replace(self.file)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def _read(file: Path) -> dict[str, CodeType]:
    """Read a file that is complete and that nobody else could have written, because its content is executed."""
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
