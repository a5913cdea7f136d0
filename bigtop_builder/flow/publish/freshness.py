"""Whether a repository is whole and new: its signed manifest, its expiry, and what was seen of it before."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from bigtop_builder.adapter.repository.reader import SMALL, MissingError, Reader
from bigtop_builder.adapter.repository.seen import Seen, State
from bigtop_builder.adapter.repository.snapshot import MANIFEST, MANIFEST_SIGNATURE
from bigtop_builder.adapter.rpm.signing import verify_detached
from bigtop_builder.model.digest import of_file

Found = tuple[Literal["manifest", "freshness"], str, str]

UNSIGNED, MISSING = "not signed; publish again: an older version did not sign it", "missing"


def manifest_problems(reader: Reader, repomd: Path, revision: int | None, keyring: Path) -> Iterator[Found]:
    """Yield kind, subject and detail of each problem of the manifest, and of what its signature covers.

    That is the revision and digest of ``repomd.xml``, and the text of the ``.repo`` file and of the public keys. Raises
    PublishError if the repository is unreachable.
    """
    try:
        with reader.file(MANIFEST, SMALL) as path:
            content = path.read_bytes()
        with reader.file(MANIFEST_SIGNATURE, SMALL) as path:
            wrong = verify_detached(content, path.read_bytes(), keyring)
    except MissingError as error:
        yield "manifest", MANIFEST, UNSIGNED if MANIFEST_SIGNATURE in error.message else MISSING
        return
    if wrong:
        yield "manifest", MANIFEST, wrong
        return
    try:
        manifest: dict[str, Any] = json.loads(content)
        files, expires = dict(manifest["files"]), manifest["expires"]
        if (manifest["repomd"], manifest["epoch"]) != (of_file(repomd), revision):
            yield "manifest", MANIFEST, "it belongs to other metadata"
        if expires is not None and time.time() > expires:
            yield "freshness", MANIFEST, f"expired on {_date(expires)}: publish again, or look for a newer state"
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        yield "manifest", MANIFEST, "it is not a manifest of bigtop-builder"
        return
    for name, text in sorted(files.items()):
        try:
            with reader.file(name, SMALL) as path:
                if path.read_bytes() != str(text).encode():
                    yield "manifest", name, "it is not what the manifest says"
        except MissingError:
            yield "manifest", name, "missing"


def step_back(seen: Seen, place: str, state: State) -> str | None:
    """Return how a signed state is older than one that was seen at this place before; None, and record it, if not.

    Raises OSError if the store cannot be written.
    """
    last = seen.last(place)
    if last is not None and state.revision < last.revision:
        return f"stepped back to revision {state.revision}: {last.revision} was seen before"
    if last is not None and state.revision == last.revision and state.repomd != last.repomd:
        return f"has other content than when revision {state.revision} was seen before"
    if last != state:
        seen.record(place, state)
    return None


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
