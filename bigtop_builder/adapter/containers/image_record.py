"""Records of images. Every plan reads them, so this module loads nothing that is needed to make images."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.adapter.store import Store


@dataclass(frozen=True)
class ImageRecord:
    """The image that was made for a key. ``made_at`` is in seconds since the epoch."""

    key: str
    name: str
    id: str
    tag: str
    fingerprint: str
    packages: str
    """The digest of the list of installed packages."""
    base: str
    """The registry digest of the public image below it, or the tag of the bootstrapped one."""
    made_at: float


def record_path(store: Store, key: str) -> Path:
    """Return where the record of a key is, or would be."""
    return store.root / "images" / f"{key}.json"


def recorded(store: Store, key: str) -> ImageRecord | None:
    """Return the record of a key, or None when no image was made for it. Needs no engine."""
    try:
        data = json.loads(record_path(store, key).read_text(encoding="utf-8"))
        return ImageRecord(**data)
    except (OSError, ValueError, TypeError):
        return None
