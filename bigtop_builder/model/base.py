"""What every file model shares: unknown keys are errors, values never change after loading."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints


class StrictModel(BaseModel):
    """A frozen model that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._+-]*$", max_length=100)]
"""A component, platform or stack name: lower case, as Bigtop and RPM write them."""

Version = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+~]*$", max_length=60)]
"""An RPM version: no dash. Quote it in YAML, or 3.10 becomes the number 3.1."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Sha512 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]
GitCommit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
DURATION, SIZE = r"^[1-9][0-9]*(s|m|h)$", r"^[1-9][0-9]*(k|m|g)$"
Duration = Annotated[str, StringConstraints(pattern=DURATION)]
"""A time span: ``90s``, ``40m``, ``2h``."""

Size = Annotated[str, StringConstraints(pattern=SIZE)]
"""A size in binary units: ``512m``, ``4g``."""

EXAMPLES = {DURATION: "90s, 40m or 2h", SIZE: "512m or 4g"}
"""By pattern: what fits it, for hints."""

SECONDS = {"s": 1, "m": 60, "h": 3600}
BYTES = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def seconds(duration: str) -> int:
    """``40m`` → 2400."""
    return int(duration[:-1]) * SECONDS[duration[-1]]


def size_in_bytes(size: str) -> int:
    """``4g`` → 4294967296."""
    return int(size[:-1]) * BYTES[size[-1]]
