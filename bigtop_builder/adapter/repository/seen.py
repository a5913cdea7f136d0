"""The newest state of each repository that was seen, so that an older one that is served again is noticed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from bigtop_builder.adapter.store import write_atomically
from bigtop_builder.model.digest import of_text


@dataclass(frozen=True)
class State:
    """A signed state: its revision, and the SHA-256 of its ``repomd.xml``."""

    revision: int
    repomd: str


class Seen:
    """The states in ``<store>/seen``, by the place that the user names: a folder or an address."""

    def __init__(self, store: Path) -> None:
        self._folder = store / "seen"

    def last(self, place: str) -> State | None:
        """Return the newest state of a place; None if it was never seen, or its record is damaged."""
        try:
            data = json.loads(self._file(place).read_text(encoding="utf-8"))
            return State(int(data["revision"]), str(data["repomd"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def record(self, place: str, state: State) -> None:
        """Record what a place had. Raises OSError if the store cannot be written."""
        self._folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        write_atomically(self._file(place), json.dumps({"place": _normal(place), **asdict(state)}) + "\n")

    def forget(self, below: str) -> None:
        """Forget every place whose name starts with ``below``. Raises OSError if the store cannot be written."""
        for file in self._folder.glob("*.json"):
            try:
                place = str(json.loads(file.read_text(encoding="utf-8"))["place"])
            except (OSError, ValueError, KeyError, TypeError):
                continue
            if place.startswith(below):
                file.unlink(missing_ok=True)

    def _file(self, place: str) -> Path:
        return self._folder / f"{of_text(_normal(place))}.json"


def _normal(place: str) -> str:
    return place.rstrip("/") if "://" in place else str(Path(place).absolute())
