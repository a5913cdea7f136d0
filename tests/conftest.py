"""What all tests share: no test depends on how fast this machine is."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("shared-machine", deadline=None, max_examples=60)
settings.load_profile("shared-machine")
