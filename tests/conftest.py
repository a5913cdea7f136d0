"""What all tests share: no test depends on how fast this machine is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from bigtop_builder.adapter.rpm.gnupg import Signer, make_key, open_signer

settings.register_profile("shared-machine", deadline=None, max_examples=60)
settings.load_profile("shared-machine")


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signer]:
    """Signs with a key of its own."""
    home = tmp_path_factory.mktemp("gnupg")
    make_key(home, "A test", "test@example.org")
    with open_signer(home) as found:
        yield found
