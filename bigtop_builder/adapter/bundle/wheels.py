"""The program itself as wheels, with its requirements, for the Python that runs it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from bigtop_builder.model.bundle import Interpreter
from bigtop_builder.model.errors import ConfigurationError, SourceError

PACKAGE = "bigtop-builder"
TIME_LIMIT = 900
EXTRAS = {"publish": ("createrepo_c",), "web": ("starlette", "uvicorn", "prometheus_client")}
"""The extras that a closed site gets if this machine has their modules: the wheels are of what is installed here."""
TREE = ("bigtop_builder", "templates", "examples", "inventories", "man", "pyproject.toml", "README.md", "LICENSE")
"""What the program's own wheel is made of, in a checkout."""


def interpreter() -> Interpreter:
    """Describe the Python that runs this program."""
    return Interpreter(
        version=platform.python_version(),
        implementation=platform.python_implementation(),
        platform=sysconfig.get_platform(),
    )


def make_wheels(scratch: Path, epoch: int) -> list[Path]:
    """Make or fetch wheels of what is installed here, in the installed versions, below ``scratch``.

    ``epoch`` is the time of the files in the program's own wheel. Raises ConfigurationError when this is not a
    checkout or has no pip, SourceError when a wheel is unavailable.
    """
    checkout = Path(__file__).resolve().parents[3]
    if not (checkout / "pyproject.toml").is_file():
        raise ConfigurationError(
            f"the program's own wheel is made from a checkout, and {checkout} is not one",
            hint="Run this from a checkout of bigtop-builder, or leave the wheels out with --without wheels.",
        )
    # A build inside the checkout would leave folders there.
    tree = scratch / "tree"
    tree.mkdir(parents=True)
    for name in TREE:
        if (checkout / name).is_dir():
            shutil.copytree(checkout / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(checkout / name, tree / name)
    installed = {found.name: found.version for found in importlib.metadata.distributions() if found.name != PACKAGE}
    constraints = scratch / "constraints.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in sorted(installed.items())))
    wheels = scratch / "wheels"
    extras = ",".join(name for name, modules in EXTRAS.items() if all(map(importlib.util.find_spec, modules)))
    command = [sys.executable, "-m", "pip", "wheel", "--disable-pip-version-check", "--no-input", "--quiet"]
    command += ["--wheel-dir", str(wheels), "--constraint", str(constraints), f"{tree}[{extras}]"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT,
            check=False,
            env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)},
        )
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"pip did not finish the wheels within {TIME_LIMIT} s") from error
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise SourceError(
            f"the program's wheels are unavailable: {lines[-1] if lines else f'pip exited with {done.returncode}'}",
            hint="Check PIP_INDEX_URL and pip's configuration, or leave the wheels out with --without wheels.",
        )
    return sorted(wheels.glob("*.whl"))
