"""What a real server of 3.0 answered about repositories and configurations: essentials of exchanges 601 to 762.

Left out: headers, services of version definitions, most properties of 758 and 759.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "data" / "ambari" / "real" / "repositories-and-configurations.json"


@dataclass(frozen=True)
class Recorded:
    """One exchange; ``body`` and ``answer`` are documents, None for none."""

    method: str
    uri: str
    host: str
    body: Any
    status: int
    answer: Any


@cache
def _all() -> dict[str, Recorded]:
    return {number: Recorded(**one) for number, one in json.loads(FILE.read_text(encoding="utf-8")).items()}


def recorded(number: int) -> Recorded:
    """The exchange with this number."""
    return _all()[str(number)]
