"""Programs of another architecture: whether this machine runs them."""

from __future__ import annotations

import os
from pathlib import Path

from bigtop_builder.model.errors import EngineError

HANDLERS = Path("/proc/sys/fs/binfmt_misc")
"""Where the kernel lists what it runs programs of other kinds with."""


def require_runnable(machine: str, handlers: Path = HANDLERS) -> str:
    """Return how this machine runs programs of an architecture. Raises EngineError when it does not.

    A handler needs the flag F: then it is there in containers too, whatever they have.
    """
    if machine == os.uname().machine:
        return "the machine's own"
    name = f"qemu-{machine}"
    try:
        state, *lines = (handlers / name).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        state, lines = "", []
    known = dict(line.partition(" ")[::2] for line in lines)
    install = "install emulation: on Debian qemu-user-static and binfmt-support"
    if not state:
        why, advice = "", install
    elif state != "enabled":
        why, advice = f": {name} is {state}", f"enable it: echo 1 > {handlers / name}"
    elif "F" not in known.get("flags:", ""):
        why, advice = f": {name} lacks the flag F, without which containers do not have it", install
    else:
        return f"emulated by {known.get('interpreter', name)}"
    raise EngineError(
        f"this machine runs no programs of {machine}{why}",
        hint=f"Build on a worker of that architecture, or {advice}.",
    )
