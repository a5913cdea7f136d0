"""How rpmbuild runs over Bigtop's specs: one topdir where Bigtop has it, one list of definitions.

Bigtop runs it twice over the whole spec (``-bs``, ``--rebuild``). Here the compile task runs it up to ``%install`` and
keeps the installed tree; the package task makes RPMs of that tree, with ``%prep``, ``%build`` and ``%install``
replaced. So another platform or dist tag compiles nothing, and the tree's jars are normalised in between.
(``--short-circuit`` would do the same, but its packages require ``rpmlib(ShortCircuited)`` and install nowhere.)
"""

from __future__ import annotations

from pathlib import Path

from bigtop_builder.flow.bigtop.payload import BigtopPayload
from bigtop_builder.flow.build.workbench import Workbench

ENVIRONMENT = {"QA_RPATHS": "0x0002", "USER": "builder"}
"""``QA_RPATHS`` is Bigtop's own: rpm then accepts run paths that are not standard. Some build tools need ``USER``."""

STAGE, DOCUMENTS, MODES = "/stage", "/documents", "/modes/restore.sh"

INSTEAD = (
    f"__spec_prep_pre cd %{{_builddir}}; mkdir -p './%{{?buildsubdir}}'; "
    f"cp -a {DOCUMENTS}/. './%{{?buildsubdir}}/'; exit 0",
    "__spec_build_pre exit 0",
    "__spec_check_pre exit 0",
    f"__spec_install_pre mkdir -p '%{{buildroot}}'; cd '%{{buildroot}}'; cp -a {STAGE}/. .; . {MODES}; exit 0",
)
"""Definitions that make each section of a spec end before its own text, because the compiled tree exists already."""


def write_topdir(bench: Workbench, payload: BigtopPayload) -> Path:
    """Write the topdir with spec and sources, without the seed, and our macros into the home.

    Return the folder of the topdir on this machine.
    """
    top = bench.box / inside_box(payload)
    for name in ("INSTALL", "SOURCES", "SPECS", "BUILD", "BUILDROOT", "SRPMS", "RPMS"):
        (top / name).mkdir(parents=True, exist_ok=True)
    bench.write_files(bench.order.files, top)
    (bench.make("home") / ".rpmmacros").write_text(payload.macros, encoding="utf-8")
    bench.hand_over(bench.box / "build")
    return top


def inside_box(payload: BigtopPayload) -> str:
    """Return the path of the topdir in the box of the task."""
    return payload.topdir.removeprefix("/work/")


def rpmbuild(payload: BigtopPayload, step: str, *more: str) -> list[str]:
    """Return the command line; ``step`` is ``-bi`` or ``-bb``, ``more`` are further definitions."""
    both = dict.fromkeys((*payload.defines, *more))
    defines = [part for define in both for part in ("--define", define)]
    return ["rpmbuild", step, "--nodeps", *defines, f"{payload.topdir}/{payload.spec}"]
