"""Programs of another architecture: whether this machine runs them."""

from __future__ import annotations

import os
from pathlib import Path

from bigtop_builder.model.errors import EngineError

HANDLERS = Path("/proc/sys/fs/binfmt_misc")
"""Where the kernel lists what it runs programs of other kinds with."""


def require_runnable(machine: str, handlers: Path = HANDLERS) -> None:
    """Raise EngineError when this machine runs no programs of an architecture, not even by emulation.

    A handler needs the flag F: then it is there in containers too, whatever they have.
    """
    if machine == os.uname().machine:
        return
    try:
        text = (handlers / f"qemu-{machine}").read_text(encoding="utf-8")
    except OSError:
        text = ""
    flags = next((line.partition(":")[2] for line in text.splitlines() if line.startswith("flags:")), "")
    if not (text.startswith("enabled") and "F" in flags):
        raise EngineError(
            f"this machine runs no programs of {machine}",
            hint="Build on a worker of that architecture, or install emulation: on Debian qemu-user-static and "
            "binfmt-support.",
        )
