"""A second package format is one module and one line: it is planned, rendered, named and given to its tool."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from bigtop_builder.flow.build.project import Request
from bigtop_builder.flow.build.steps import work_order
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.flow.packagings import PACKAGINGS
from bigtop_builder.model.component import Package
from bigtop_builder.recipe import package_format, template
from bigtop_builder.recipe.evaluate import Evaluated
from bigtop_builder.recipe.package_format import FORMATS, PackageFormat
from bigtop_builder.recipe.packaging_job import PackagingJob
from tests.fast.conftest import ProjectFolder
from tests.fast.test_planning import finish, with_images

TEMPLATE = """\
{% for package in c.packages %}
{% for line in package | tar_file_list %}
{{ line }}
{% endfor %}
{% endfor %}
"""


class TarFormat:
    """Packages as tarballs with a list of their files."""

    name = "tar"
    suffix = ".tar.gz"
    spec_template = "package.list.j2"

    @property
    def filters(self) -> Mapping[str, Callable[[Any], Any]]:
        return MappingProxyType({"tar_file_list": self.file_list})

    def version(self, upstream: str) -> str:
        return upstream

    def file_name(self, name: str, version: str, release: str, arch: str) -> str:
        return f"{name}_{version}-{release}_{arch}{self.suffix}"

    def file_list(self, package: Package) -> list[str]:
        return [
            entry if isinstance(entry, str) else f"{entry.path}{' (config)' if entry.config else ''}"
            for entry in package.files
        ]

    def job(self, component: str, spec: str, script: str, arch: str) -> PackagingJob:
        return PackagingJob(("out",), {"list": spec, "install.sh": script}, ("make-tar", component, arch), "out/*")

    def correction(self, line: str) -> str | None:
        return None


@pytest.fixture
def tar(monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageFormat]:
    made: PackageFormat = TarFormat()
    monkeypatch.setitem(package_format.FORMATS, made.name, made)  # type: ignore[arg-type]
    # The environment takes the filters of all formats when it is first used.
    forget_templates()
    yield made
    forget_templates()


def forget_templates() -> None:
    template.environment.cache_clear()
    template._compiled.cache_clear()
    template._expression.cache_clear()


def test_a_platform_chooses_a_second_format(project: ProjectFolder, tar: PackageFormat) -> None:
    assert FORMATS["tar"] is tar
    project.write("overlay/platforms/el8.yaml", "package_format: tar\n")
    template = (
        "{% for package in c.packages %}{% for line in package | tar_file_list %}\n{{ line }}\n{% endfor %}{% endfor %}"
    )
    project.write("overlay/tar/package.list.j2", template)
    project.component("a", packages="[{name: 'a{{ suffix }}', summary: A, files: [/x, {path: /etc/a, config: true}]}]")
    space = open_project(project.settings())
    space.store.open()
    space = with_images(space, "a")
    evaluated = space.evaluate("a", "el8")
    assert isinstance(evaluated, Evaluated)
    assert evaluated.package_files()[0].endswith(".tar.gz")
    plan = space.plan(Request(everything=True, platforms=("el8",)))
    order = work_order(space, plan.tasks[-1], PACKAGINGS)
    assert order.package_format == "tar"
    assert order.spec.split() == ["/x", "/etc/a", "(config)"]
    job = FORMATS[order.package_format].job(order.component, order.spec, order.script, order.arch)
    assert job.command == ("make-tar", "a", "noarch")
    finish(space, plan)
    assert space.plan(Request(everything=True, platforms=("el8",))).nothing_to_do
