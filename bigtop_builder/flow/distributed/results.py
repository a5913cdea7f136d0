"""What distributed builds need of the store that their machines share."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from bigtop_builder.adapter.store import Store
from bigtop_builder.plan.task import Kind


class SharedResults(Protocol):
    """Results by key, which every machine reaches. All methods raise StoreError when the store does not respond."""

    def has(self, kind: Kind, key: str) -> bool:
        """Return whether the result exists."""
        ...

    def fetch(self, kind: Kind, key: str, store: Store) -> bool:
        """Put a result into a machine's own store, verified; return False if there is none."""
        ...

    def push(self, kind: Kind, key: str, store: Store) -> None:
        """Put a result of a machine's own store into the shared one."""
        ...

    def push_data(self, kind: str, name: str, data: Mapping[str, Any]) -> None:
        """Put a small record there, such as that of an image."""
        ...

    def push_source(self, digest: str, store: Store) -> bool:
        """Put a source of a machine's own store there; return False if that cannot be signed, or is not in it."""
        ...

    def fetch_source(self, digest: str, store: Store) -> bool:
        """Put a source into a machine's own store, verified; return False if there is none."""
        ...

    def lease(self, kind: Kind, key: str, holder: str | None = None) -> AbstractContextManager[bool]:
        """Say to others that this key is being built; yield False if another than ``holder`` says so already."""
        ...
