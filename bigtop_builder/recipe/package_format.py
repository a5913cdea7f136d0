"""Package formats by name. A platform chooses one with ``package_format``.

Another format is one more module beside ``rpm_format``, a spec template in a folder of its name below ``templates``,
and a line in ``FORMATS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from bigtop_builder.model.component import Package
from bigtop_builder.recipe.packaging_job import PackagingJob
from bigtop_builder.recipe.rpm_format import RpmFormat


class PackageFormat(Protocol):
    """How packages of one kind are written and named."""

    @property
    def name(self) -> str:
        """The name in platform files; the format's templates are in the folder ``templates/NAME``."""

    @property
    def suffix(self) -> str:
        """The ending of package files, with its dot."""

    @property
    def spec_template(self) -> str:
        """The generic template of what the packaging tool reads."""

    @property
    def filters(self) -> Mapping[str, Callable[[Any], Any]]:
        """Filters for the format's templates, which every template may use: over text, or over a package.

        Templates see packages as plain data; the filter is given the package itself.
        """

    def version(self, upstream: str) -> str:
        """Return the version of packages for one of an upstream project, which may have dashes."""

    def file_name(self, name: str, version: str, release: str, arch: str) -> str:
        """Return the name of a package file; ``release`` includes the dist tag."""

    def file_list(self, package: Package) -> list[str]:
        """Return the package's file list as the packaging tool reads it, line by line."""

    def job(self, component: str, spec: str, script: str, arch: str) -> PackagingJob:
        """Return the packaging tool's job: ``spec`` is rendered, ``script`` lays the tree out below ``$BUILDROOT``."""

    def correction(self, line: str) -> str | None:
        """Return a hint for a path that is written in the format's own syntax; None for a plain path."""


FORMATS: Mapping[str, PackageFormat] = {known.name: known for known in (RpmFormat(),)}
"""Every format by its name."""
