"""Plan a graph of 2,000 components, at several sizes, and measure seconds and memory.

    python -m benchmarks.planning [--components 2000]

Two things are measured, each in a process of its own:

- *planner*: ``plan.planner`` alone, over components that are already evaluated, and a store without results;
- *project*: everything. An overlay of that many component files is loaded, checked, evaluated and planned as by
  ``plan --all``: first with an empty template cache, then in a new project, as the next command does it, and
  once more in the same one.

Each component has a source, a compile script, an install script and one package, is built on up to two others and
needs up to three at run time. ``memory`` is what Python still has allocated after the first plan (tracemalloc, in a
separate plan, since tracing slows it down); ``again`` is what a second plan adds; ``RSS`` is the peak of the process
without tracing.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import random
import resource
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.plan.key import compile_ingredients, package_ingredients
from bigtop_builder.plan.planner import Pair, make_plan
from bigtop_builder.plan.task import Kind, Plan, Refusal
from bigtop_builder.recipe.evaluate import Evaluated
from bigtop_builder.recipe.settings import load_settings

PLATFORM = "el8"
TARGET = 1.0

COMPONENT = """\
name: {name}
summary: Component {name}
versions:
  "1.{number}":
    sources:
      - alternatives:
          - apache: "{name}/{name}-{{{{ version }}}}.tar.gz"
            sha256: "{number:064x}"
depends:
  build: {build}
  runtime: {runtime}
build:
  jdk: 8
  maven: "3.6.3"
  caches: [maven]
  script: |
    mvn -B package -Dversion={{{{ version }}}} -Dname={name}
    cp -R target/{name}-{{{{ version }}}} "$STAGE/"
install: |
  install -d "$BUILDROOT{{{{ parent_dir }}}}/usr/lib/{name}"
  cp -R "$STAGE"/. "$BUILDROOT{{{{ parent_dir }}}}/usr/lib/{name}/"
packages:
  - name: {name}{{{{ suffix }}}}
    summary: Component {name}
    requires: [bigtop-utils]
    files: ["{{{{ parent_dir }}}}/usr/lib/{name}"]
"""


def edges(count: int) -> list[tuple[list[str], list[str]]]:
    """For each component its build dependencies and its runtime dependencies, all of them earlier ones."""
    chance = random.Random(count)
    found = []
    for number in range(count):
        needs = [f"c{chance.randrange(max(0, number - 200), number)}" for _ in range(chance.randrange(6)) if number]
        unique = list(dict.fromkeys(needs))
        found.append((unique[:2], unique[2:5]))
    return found


def overlay(root: Path, count: int) -> Project:
    """Write and open a project of ``count`` component files."""
    needs = edges(count)
    listed = []
    for number, (build, runtime) in enumerate(needs):
        name = f"c{number}"
        folder = root / "overlay" / "components" / name
        folder.mkdir(parents=True)
        text = COMPONENT.format(name=name, number=number, build=build, runtime=runtime)
        (folder / "component.yaml").write_text(text, encoding="utf-8")
        listed.append(f'  {name}: "1.{number}"')
    stack = root / "overlay" / "stacks" / "large.yaml"
    stack.parent.mkdir()
    stack.write_text('name: large\nversion: "1.0"\nepoch: 1600000000\ncomponents:\n' + "\n".join(listed) + "\n")
    (root / "bigtop-builder.yaml").write_text(
        f"stack: large\noverlays: [overlay]\nstore: {root}/store\nplatforms: [{PLATFORM}]\n"
    )
    return again(root)


def again(root: Path) -> Project:
    """The same project with nothing read yet."""
    project = open_project(load_settings(root, {}, {"HOME": str(root)}))
    project.store.open()
    return project


class Synthetic:
    """Evaluated components and a store without results, with the interface that the planner expects."""

    def __init__(self, pattern: Evaluated, count: int) -> None:
        self._all: dict[str, Evaluated] = {}
        for number, (build, runtime) in enumerate(edges(count)):
            name = f"c{number}"
            self._all[name] = replace(
                pattern, name=name, version=f"1.{number}", build_depends=tuple(build), runtime_depends=tuple(runtime)
            )
        self._spec = "Name: x\n" * 200

    def evaluate(self, name: str, _: str) -> Evaluated | Refusal:
        return self._all[name]

    def image(self, _: Evaluated, kind: Kind) -> str | None:
        return f"fingerprint-{kind}"

    def compile_ingredients(self, evaluated: Evaluated, image: str, depends: Mapping[str, str]) -> dict[str, str]:
        return compile_ingredients(evaluated, image, None, depends)

    def package_ingredients(
        self, evaluated: Evaluated, image: str, compile_key: str | None, depends: Mapping[str, str]
    ) -> dict[str, str]:
        return package_ingredients(evaluated, evaluated.name + self._spec, (), image, compile_key, depends)

    def has(self, _: Kind, __: str) -> bool:
        return False

    def expect(self, _: Iterable[tuple[Kind, str]]) -> None:
        pass

    def offers(self, _: Kind, __: str) -> bool:
        return False

    def last_ingredients(self, _: str) -> Mapping[str, str] | None:
        return None


def timed(work: Callable[[], object]) -> float:
    gc.collect()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def memory(start: Callable[[], Callable[[], Plan]]) -> tuple[float, float]:
    """MiB still allocated while the result of a first plan is alive, and MiB that a second plan adds."""
    tracemalloc.start()
    plan = start()
    first = plan()
    gc.collect()
    one = tracemalloc.get_traced_memory()[0]
    del first
    second = plan()
    gc.collect()
    two = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert second.tasks
    return one / (1 << 20), (two - one) / (1 << 20)


def rss() -> float:
    """The peak memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def planner(count: int) -> list[tuple[str, float, float, float, float]]:
    """Measure the planner alone."""
    with tempfile.TemporaryDirectory() as scratch:
        pattern = overlay(Path(scratch), 1).evaluate("c0", PLATFORM)
        assert isinstance(pattern, Evaluated)
        pairs: list[Pair] = [(f"c{number}", PLATFORM) for number in range(count)]
        synthetic = Synthetic(pattern, count)
        seconds = min(timed(lambda: make_plan(pairs, synthetic, synthetic)) for _ in range(3))
        peak = rss()
        kept, more = memory(lambda: lambda: make_plan(pairs, synthetic, synthetic))
    return [("planner", seconds, kept, more, peak)]


def project(count: int) -> list[tuple[str, float, float, float, float]]:
    """Measure planning from files."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        plan = _planner_of(overlay(root, count))
        cold, same, peak = timed(plan), timed(plan), rss()
        _forget()
        warm = timed(_planner_of(again(root)))
        _forget()
        kept, more = memory(lambda: _planner_of(again(root)))
    return [
        ("project, all new", cold, kept, more, peak),
        ("project, next command", warm, kept, more, peak),
        ("project, same again", same, kept, more, peak),
    ]


def _planner_of(space: Project) -> Callable[[], Plan]:
    return lambda: space.plan(Request(everything=True))


def _forget() -> None:
    """Drop what a new process would not have in memory."""
    from bigtop_builder.recipe import template

    template._compiled.cache_clear()
    template._expression.cache_clear()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--components", type=int, default=2000)
    largest = parser.parse_args().components
    print(f"{'':28}{'components':>11}{'seconds':>9}{'ms each':>9}{'memory':>12}{'again':>12}{'RSS':>10}")
    context = multiprocessing.get_context("spawn")
    for measure in (planner, project):
        for count in (largest // 4, largest // 2, largest):
            with ProcessPoolExecutor(1, mp_context=context) as pool:
                rows = pool.submit(measure, count).result()
            for name, seconds, kept, more, peak in rows:
                print(
                    f"{name:28}{count:11}{seconds:9.3f}{seconds / count * 1000:9.3f}"
                    f"{kept:8.1f} MiB{more:+8.1f} MiB{peak:6.0f} MiB",
                    flush=True,
                )
    print(f"target for {largest} components: {TARGET} s")


if __name__ == "__main__":
    main()
