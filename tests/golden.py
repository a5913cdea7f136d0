"""What the shipped components give: their specs, and the packages made from staged trees of the right shape.

A component whose source cannot be had everywhere is tested as far as its packages. ``tests/shapes/NAME.txt`` lists
the staged tree that its compile script leaves, ``NAME@VARIANT.txt`` that of a variant:

    lib/hive-exec-3.1.3.jar        a file; its content is made up, a jar being a jar
    bin/hive *                     an executable
    lib/hive-exec.jar -> hive-exec-3.1.3.jar
    scripts/                       an empty folder
    # a comment

From it the packages are made for el8 in the package image, by the component's own install script and spec. What they
hold must be ``tests/golden/packages/NAME.txt``. The spec must be ``tests/golden/specs/NAME.spec``.

``python -m tests.golden write NAME…`` writes both anew. Read the difference before it is committed: that is the test.
"""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bigtop_builder.adapter.containers.image_recipe import image_key
from bigtop_builder.adapter.containers.image_record import recorded
from bigtop_builder.adapter.rpm.header import PackagedFile, RpmHeader, read_header
from bigtop_builder.flow.build.project import EMBEDDED
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.model.project import Choice
from bigtop_builder.plan.task import Refusal
from bigtop_builder.recipe.evaluate import Evaluated
from bigtop_builder.recipe.settings import load_settings
from bigtop_builder.recipe.spec import render_spec, service_files

TESTS = Path(__file__).resolve().parent
SHAPES = TESTS / "shapes"
SPECS = TESTS / "golden" / "specs"
PACKAGES = TESTS / "golden" / "packages"
PLATFORM = "el8"
SECONDS = 300


@dataclass(frozen=True)
class Case:
    """A component, in one of its variants, on el8 as an image of el8 would build it."""

    name: str

    @property
    def component(self) -> str:
        return self.name.partition("@")[0]

    @property
    def evaluated(self) -> Evaluated:
        variant = self.name.partition("@")[2] or None
        choices = {self.component: Choice(variant=variant)} if variant else {}
        # With the platform's own image native components are not refused.
        space = open_project(load_settings(TESTS, {"builder": "platform"}, {}), choices)
        found = space.evaluate(self.component, PLATFORM)
        assert not isinstance(found, Refusal), found.reason
        return found

    @property
    def spec_file(self) -> Path:
        return SPECS / f"{self.name}.spec"

    @property
    def packages_file(self) -> Path:
        return PACKAGES / f"{self.name}.txt"

    @property
    def shape_file(self) -> Path:
        return SHAPES / f"{self.name}.txt"


@cache
def cases() -> tuple[str, ...]:
    """Every component of the catalog, one with variants in each of them."""
    catalog = open_project(load_settings(TESTS, {}, {})).catalog
    found: list[str] = []
    for name in sorted(catalog.component_files):
        variants = catalog.component(name).component.variants
        found += [f"{name}@{variant}" for variant in sorted(variants)] or [name]
    return tuple(found)


def rendered_spec(case: Case) -> str:
    return render_spec(case.evaluated)


def make_tree(shape: str, root: Path) -> None:
    """Lay out the tree that a shape lists."""
    for line in shape.splitlines():
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        path, arrow, target = entry.partition(" -> ")
        executable = path.endswith(" *")
        path = path.removesuffix(" *")
        place = root / path
        assert place.resolve().is_relative_to(root.resolve()), f"{path} leads out of the tree"
        if path.endswith("/"):
            place.mkdir(parents=True, exist_ok=True)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if arrow:
            place.symlink_to(target)
        else:
            place.write_bytes(_content(path, executable))
            place.chmod(0o755 if executable else 0o644)


def _content(path: str, executable: bool) -> bytes:
    text = f"{path}\n".encode()
    if path.endswith((".jar", ".war", ".zip", ".aar")):
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w") as archive:
            archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
        return held.getvalue()
    if path.endswith((".tar.gz", ".tgz")):
        held = io.BytesIO()
        with tarfile.open(fileobj=held, mode="w:gz") as archive:
            member = tarfile.TarInfo("content")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
        return held.getvalue()
    if path.endswith(".gz"):
        return gzip.compress(text)
    if path.endswith(".xml"):
        return b'<?xml version="1.0"?>\n<configuration>\n</configuration>\n'
    if path.endswith(".py"):
        return b"#!/usr/bin/env python3\n" if executable else b"# " + text
    return b"#!/bin/bash\n# " + text if executable or path.endswith(".sh") else text


def package_image(store: Path | None = None) -> str:
    """The id of the image that makes packages; a build of bigtop-utils makes it."""
    space = open_project(load_settings(TESTS, {"store": str(store)} if store else {}))
    record = recorded(space.store, image_key(space.package_image(EMBEDDED)))
    assert record is not None, "no package image: run bigtop-builder build bigtop-utils"
    return record.id


def make_packages(case: Case, image: str, folder: Path) -> list[Path]:
    """The packages that the component's install script and spec give from its shape; ``folder`` is scratch."""
    evaluated = case.evaluated
    stage, files, top = folder / "stage", folder / "files", folder / "rpm"
    for place in (stage, files, folder / "home", *(top / name for name in ("SPECS", "SOURCES", "BUILD", "RPMS"))):
        place.mkdir(parents=True)
    make_tree(case.shape_file.read_text(encoding="utf-8"), stage)
    space = open_project(load_settings(TESTS, {}, {}))
    for file in (*evaluated.files, *service_files(space.catalog, evaluated)):
        place = files / file.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.content)
        place.chmod(0o755 if file.executable else 0o644)
    (top / "SPECS" / "x.spec").write_text(render_spec(evaluated), encoding="utf-8")
    (top / "SOURCES" / "install.sh").write_text("set -euo pipefail\n" + evaluated.install, encoding="utf-8")
    command = ["rpmbuild", "-bb", "--nodeps", "--define", "_topdir /work/rpm", "/work/rpm/SPECS/x.spec"]
    if evaluated.native:
        command += ["--target", evaluated.target.arch]
    environment = {
        "STAGE": "/work/stage",
        "FILES": "/work/files",
        "HOME": "/work/home",
        "LANG": "C.UTF-8",
        "SOURCE_DATE_EPOCH": str(evaluated.stack.epoch),
    }
    user = f"{os.getuid()}:{os.getgid()}"
    flags = [part for name, value in environment.items() for part in ("--env", f"{name}={value}")]
    done = subprocess.run(
        [
            "docker",
            "run",
            "--rm",
            "--network",
            "none",
            "--user",
            user,
            "--volume",
            f"{folder}:/work",
            *flags,
            image,
            *command,
        ],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, (
        f"{case.name}: rpmbuild exited with {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-6000:]}"
    )
    return sorted((top / "RPMS").rglob("*.rpm"))


def described(packages: list[Path]) -> str:
    """What packages are and hold, in words that a person can check against another packaging."""
    return "\n".join(_package(read_header(rpm)) for rpm in packages)


def _package(header: RpmHeader) -> str:
    lines = [f"== {header.name} {header.version}-{header.release}.{header.arch}"]
    own = {f"{header.name} = {header.version}-{header.release}"}
    lines += [
        f"requires {need}" for need in sorted(set(header.requires)) if not need.startswith(("rpmlib(", "config("))
    ]
    lines += [
        f"provides {name}"
        for name in sorted({*header.provides} - own)
        if not name.startswith(("config(", f"{header.name}("))
    ]
    lines += [f"conflicts {name}" for name in header.conflicts] + [f"obsoletes {name}" for name in header.obsoletes]
    lines += [f"script {phase}" for phase in sorted(header.scripts)]
    lines += [_file(file) for file in header.files]
    return "\n".join(lines) + "\n"


def _file(file: PackagedFile) -> str:
    link = f" -> {file.link}" if file.link else ""
    flags = f" ({file.flag_letters})" if file.flag_letters else ""
    return f"{file.mode_text} {file.owner}:{file.group} {file.path}{link}{flags}"


def write(names: list[str]) -> None:
    """Write the golden files of these cases anew."""
    SPECS.mkdir(parents=True, exist_ok=True)
    PACKAGES.mkdir(parents=True, exist_ok=True)
    for name in names:
        case = Case(name)
        case.spec_file.write_text(rendered_spec(case), encoding="utf-8")
        print(case.spec_file.relative_to(TESTS.parent))
        with tempfile.TemporaryDirectory() as scratch:
            case.packages_file.write_text(
                described(make_packages(case, package_image(), Path(scratch))), encoding="utf-8"
            )
        print(case.packages_file.relative_to(TESTS.parent))


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] != "write" or not set(sys.argv[2:]) <= set(cases()):
        sys.exit(f"usage: python -m tests.golden write NAME…, of: {' '.join(cases())}")
    write(sys.argv[2:])
