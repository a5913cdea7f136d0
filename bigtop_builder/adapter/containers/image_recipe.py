"""What an image is made of: rendered Dockerfiles and their keys. Nothing here needs an engine."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bigtop_builder.model import digest
from bigtop_builder.model.errors import RecipeError
from bigtop_builder.model.platform import Platform
from bigtop_builder.model.source import ApacheSource, MavenSource, Source
from bigtop_builder.recipe.template import render_file

ImageKind = Literal["package", "toolchain", "host"]

FORMAT = 1
PACKAGE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9+._:-]*$")
HOST_JDK = 8
"""The JDK that Bigtop 3.2.0 runs on."""
HOST_FILES = ("chkconfig", "postgresql", "postgresql-setup", "removed_from_python.py")
"""What makes a host of Debian's packages look like one of Red Hat's family."""

STAGE_LABEL = "org.bigtop-builder.stage"
"""Marks the build stage that had a site's certificates, so that it can be removed."""

MAVEN_SHA512 = {
    "3.6.3": "c35a1803a6e70a126e80b2b3ae33eed961f83ed74d18fcd16909b2d44d7dada3"
    "203f1ffe726c17ef8dcca2dcaa9fca676987befeadc9b9f759967a8cb77181c0",
    "3.8.8": "332088670d14fa9ff346e6858ca0acca304666596fec86eea89253bd496d3c90"
    "deae2be5091be199f48e09d46cec817c6419d5161fb4ee37871503f472765d00",
}
"""Maven version → digest of ``apache-maven-<version>-bin.tar.gz``, as Apache publishes it."""


@dataclass(frozen=True)
class ImageSpec:
    """One image: ``recipe`` is its Dockerfile, ``parent`` the image that it starts from."""

    kind: ImageKind
    platform: Platform
    recipe: str
    recipe_with_ca: str
    """The same for a site whose certificates are needed to make it; no layer contains them."""
    parent: ImageSpec | None = None
    maven: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    """Text files that the recipe copies in, by name."""
    machine: str = field(default_factory=lambda: os.uname().machine)
    """The architecture: ``x86_64``."""

    @property
    def name(self) -> str:
        """``debian-bootstrap-toolchain``."""
        return f"{self.platform.name}-{self.kind}"


def image_spec(
    platform: Platform,
    kind: ImageKind,
    find: Callable[[str], Path],
    *,
    jdk: int | None = None,
    maven: str | None = None,
    packages: tuple[str, ...] = (),
    machine: str | None = None,
) -> ImageSpec:
    """Describe an image of a platform.

    ``find`` returns the file of a template below ``images/``; ``jdk``, ``maven`` and ``packages`` are what a
    component's build requires; ``machine`` is its architecture, by default that of this machine. Raises RecipeError.
    """
    for name in packages:
        if not PACKAGE_NAME.fullmatch(name):
            raise RecipeError(f"{name!r} is not the name of a package of {platform.title}")
    parent = None if kind == "package" else image_spec(platform, "package", find, machine=machine)
    context = {
        "kind": kind,
        "platform": platform.name,
        "suite": platform.image.debootstrap,
        "jdk": HOST_JDK if kind == "host" and jdk is None else jdk,
        "maven": maven,
        "maven_archive": maven_archive(maven) if maven else None,
        "packages": sorted(set(packages)),
        "stage_label": STAGE_LABEL,
        "host_packages": platform.host_packages,
        "host_provides": platform.host_provides,
    }
    debian_host = kind == "host" and platform.family == "debian"
    template = find("host.Dockerfile.j2" if debian_host else platform.image.template)
    files = {}
    if debian_host:
        files = {name: find(f"host/{name}").read_text(encoding="utf-8") for name in HOST_FILES}
        files["system.spec"] = render_file(find("host/system.spec.j2"), context)
    return ImageSpec(
        kind,
        platform,
        recipe=render_file(template, {**context, "ca": False}),
        recipe_with_ca=render_file(template, {**context, "ca": True}),
        parent=parent,
        maven=maven,
        files=files,
        machine=machine or os.uname().machine,
    )


def image_key(spec: ImageSpec) -> str:
    """Return the key of the requested image. What was really made has a fingerprint, which its record keeps."""
    return digest.of_data([FORMAT, spec.name, spec.machine, *ingredients(spec)])


def ingredients(spec: ImageSpec) -> list[object]:
    """Return recipes, added files and origin, from the image itself down to its base."""
    image = spec.platform.image
    own: list[object] = [spec.recipe, dict(spec.files), MAVEN_SHA512[spec.maven] if spec.maven else None]
    below = ingredients(spec.parent) if spec.parent else [image.debootstrap, image.reference, image.digest]
    return own + below


def maven_archive(version: str) -> str:
    """Return the file name of a Maven distribution."""
    return f"apache-maven-{version}-bin.tar.gz"


def maven_source(version: str) -> Source:
    """Return the source of a Maven distribution: Maven Central, else Apache."""
    sha512 = MAVEN_SHA512[version]
    path = f"maven/maven-3/{version}/binaries/{maven_archive(version)}"
    return Source(
        name="maven",
        alternatives=[
            MavenSource(maven=f"org.apache.maven:apache-maven:{version}:tar.gz:bin", sha512=sha512),
            ApacheSource(apache=path, sha512=sha512),
        ],
        unpack="no",
    )
