"""How rpmbuild runs over Bigtop's specs: one topdir in the place that Bigtop gives it, one list of definitions.

Bigtop runs it twice over all of a spec (``-bs``, ``--rebuild``). Here the compile task runs it up to ``%install`` and
keeps the tree that this laid out; the package task makes RPMs of that tree, with ``%prep``, ``%build`` and ``%install``
replaced. So another platform or dist tag compiles nothing anew, and the tree's jars are normalised in between.
(``--short-circuit`` would do the same, but its packages require ``rpmlib(ShortCircuited)`` and install nowhere.)
"""

from __future__ import annotations

from pathlib import Path

from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.model.platform import Platform
from bigtop_builder.recipe.bigtop.tree import BigtopPackaging

ENVIRONMENT = {"QA_RPATHS": "0x0002", "USER": "builder"}
"""Bigtop's own, which has rpm forgive run paths that are not standard; and what some build tools look for."""

STAGE, DOCUMENTS = "/stage", "/documents"

INSTEAD = (
    f"__spec_prep_pre cd %{{_builddir}}; mkdir -p './%{{?buildsubdir}}'; "
    f"cp -a {DOCUMENTS}/. './%{{?buildsubdir}}/'; exit 0",
    "__spec_build_pre exit 0",
    "__spec_check_pre exit 0",
    f"__spec_install_pre mkdir -p '%{{buildroot}}'; cp -a {STAGE}/. '%{{buildroot}}/'; exit 0",
)
"""What the sections of a spec begin with, and end at, when the compiled tree is there already."""


def topdir(packaging: BigtopPackaging) -> str:
    """Inside the container; some build scripts of Bigtop's look for the checkout four folders above their own."""
    return f"/work/build/{packaging.component.name}/rpm"


def lay_topdir(bench: Workbench, packaging: BigtopPackaging, macros: Path) -> Path:
    """The topdir with spec and sources, without the seed, and our macros in the home; gives the folder of the topdir on
    this machine."""
    top = bench.folder / "build" / packaging.component.name / "rpm"
    for name in ("INSTALL", "SOURCES", "SPECS", "BUILD", "BUILDROOT", "SRPMS", "RPMS"):
        (top / name).mkdir(parents=True, exist_ok=True)
    for file in packaging.files:
        path = top / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(0o755 if file.executable else 0o644)
    (bench.make("home") / ".rpmmacros").write_text(
        platform_macros(bench.evaluated.target.platform) + macros.read_text(encoding="utf-8"), encoding="utf-8"
    )
    bench.hand_over(bench.folder / "build")
    return top


def platform_macros(platform: Platform) -> str:
    """What the platform's own rpm would say, and what keeps times, hosts and debugging links out of packages."""
    macros = {
        "dist": platform.dist,
        **platform.macros,
        "_binary_payload": platform.payload,
        "_source_filedigest_algorithm": "8",
        "_binary_filedigest_algorithm": "8",
        "_libdir": "%{_prefix}/lib64",
        "_docdir_fmt": "%%{NAME}-%%{VERSION}",
        "_build_id_links": "none",
        "debug_package": "%{nil}",
        "_buildhost": "bigtop-builder",
        "use_source_date_epoch_as_buildtime": "1",
        "source_date_epoch_from_changelog": "0",
        "clamp_mtime_to_source_date_epoch": "1",
        "build_mtime_policy": "clamp_to_source_date_epoch",
        "_use_weak_usergroup_deps": "1",
        "__requires_exclude": "^(user|group)[(]",
    }
    return "".join(f"%{name} {value}\n" for name, value in macros.items())


def rpmbuild(packaging: BigtopPackaging, step: str, *more: str) -> list[str]:
    """The command line; ``step`` is ``-bi`` or ``-bb``, ``more`` are further definitions."""
    top = topdir(packaging)
    both = dict.fromkeys((*packaging.source_defines(top), *packaging.binary_defines(top), *more))
    defines = [part for define in both for part in ("--define", define)]
    return ["rpmbuild", step, "--nodeps", *defines, f"{top}/{packaging.spec}"]
