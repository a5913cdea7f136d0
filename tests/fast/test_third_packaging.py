"""A third packaging, written as the docstring of ``Packaging`` describes it: folders with a finished spec."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

import pytest

from bigtop_builder.adapter.store import Store
from bigtop_builder.flow.build.packaging import Packaging
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.model import digest
from bigtop_builder.model.component import Build
from bigtop_builder.model.project import Choice
from bigtop_builder.model.stack import Stack
from bigtop_builder.plan.task import Plan, Refusal
from bigtop_builder.recipe.catalog import Catalog
from bigtop_builder.recipe.evaluate import Evaluated, RenderedFile, Target
from tests.fast.conftest import ProjectFolder
from tests.fast.test_planning import actions, finish, with_images


class SpecFolders:
    """``ROOT/NAME/NAME.spec`` for each component; a line ``# after NAME`` is a prerequisite."""

    name = "spec-folders"
    origin = "folder with a spec"
    outside = "a folder of specs"
    stack_name = "ours"

    def __init__(self, root: Path) -> None:
        self.root = root
        names = sorted(folder.name for folder in root.iterdir())
        self.stack = Stack(name="ours", version="1.0", epoch=0, components=dict.fromkeys(names, "1"))

    def components(self) -> list[str]:
        return list(self.stack.components)

    def known_components(self) -> Collection[str]:
        return self.stack.components

    def row(self, name: str, version: str | None) -> dict[str, object]:
        return {"name": name, "version": version, "summary": ""}

    def needs(self, name: str, evaluate: Callable[[], Evaluated | Refusal]) -> list[str]:
        return self.prerequisites(name)

    def prerequisites(self, name: str) -> list[str]:
        lines = self._spec(name).splitlines()
        return [line.removeprefix("# after ") for line in lines if line.startswith("# after ")]

    def evaluate(
        self, name: str, target: Target, choice: Choice, versions: Mapping[str, str], beside: Collection[str]
    ) -> Evaluated | Refusal:
        return Evaluated(
            name=name,
            version=versions[name],
            release=choice.release or 1,
            summary=name,
            description="",
            license="",
            url="",
            group="",
            native=False,
            stack=self.stack,
            target=target,
            variant=None,
            options={},
            sources=(),
            local_source=None,
            source_base=self.root,
            patches=(),
            build=Build(),
            install="",
            packages=(),
            left_out=(),
            lacks=(),
            deviations=(),
            build_depends=tuple(beside),
            runtime_depends=(),
            files=(),
            spec_template=self.root / name / f"{name}.spec",
            spec_blocks={},
            context={},
            compile_step="container",
            packaging=self.name,
            payload=self._spec(name),
        )

    def spec(self, evaluated: Evaluated) -> str:
        return str(evaluated.payload)

    def services(self, evaluated: Evaluated) -> tuple[RenderedFile, ...]:
        return ()

    def compile_ingredients(
        self, evaluated: Evaluated, image: str, local_digest: str | None, depends: Mapping[str, str]
    ) -> dict[str, str]:
        named = {f"dependency:{name}": key for name, key in depends.items()}
        spec = digest.of_text(self.spec(evaluated))
        return {"packaging": self.name, "component": evaluated.name, "spec": spec, "image": image, **named}

    def package_ingredients(
        self, evaluated: Evaluated, spec: str, image: str, compile_key: str | None, depends: Mapping[str, str]
    ) -> dict[str, str]:
        return {"packaging": self.name, "compile": compile_key or "", "platform": evaluated.target.platform.name}

    def patches(self, evaluated: Evaluated) -> Iterator[dict[str, str]]:
        return iter(())

    def _spec(self, name: str) -> str:
        return (self.root / name / f"{name}.spec").read_text()


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    root = tmp_path / "specs"
    for name, text in (("gate", "Name: gate\n"), ("wall", "# after gate\nName: wall\n")):
        (root / name).mkdir(parents=True)
        (root / name / f"{name}.spec").write_text(text)
    return root


def opened(project: ProjectFolder, specs: Path) -> Project:
    settings = project.settings()
    packaging: Packaging = SpecFolders(specs)
    made = Project(settings, Catalog(settings.overlays), Store(settings.store), packaging)
    made.store.open()
    return with_images(made, "gate", "wall")


def plan(project: ProjectFolder, specs: Path, *names: str) -> Plan:
    return opened(project, specs).plan(Request(selectors=names, platforms=("el8",)))


def test_it_is_planned_and_reused(project: ProjectFolder, specs: Path) -> None:
    made = plan(project, specs, "*")
    assert {task.evaluated.packaging for task in made.tasks} == {"spec-folders"}
    assert "gate@debian-bootstrap/compile" in made.task("wall@debian-bootstrap/compile").depends
    finish(opened(project, specs), made)
    assert plan(project, specs, "*").nothing_to_do


def test_a_changed_spec_is_the_reason(project: ProjectFolder, specs: Path) -> None:
    finish(opened(project, specs), plan(project, specs, "*"))
    (specs / "gate" / "gate.spec").write_text("Name: gate\nRelease: 2\n")
    found = actions(plan(project, specs, "*"))
    assert found["gate@debian-bootstrap/compile"] == ("build", ("spec changed",))
    assert found["wall@debian-bootstrap/compile"] == ("build", ("dependency gate rebuilt",))


def test_a_prerequisite_counts_when_it_is_selected_or_built(project: ProjectFolder, specs: Path) -> None:
    assert {task.evaluated.name for task in plan(project, specs, "wall").tasks} == {"wall"}
    finish(opened(project, specs), plan(project, specs, "gate"))
    compiled = plan(project, specs, "wall").task("wall@debian-bootstrap/compile")
    assert "dependency:gate" in compiled.ingredients
