"""Compare the scheduler's makespan on recorded durations with the lower bound for any order.

    python -m benchmarks.scheduler

The scheduler is driven as the builder drives it, with a simulated clock, on 1 to 8 jobs. The bound is the larger of
the longest chain and the total work divided by the jobs; if a few long tasks fill the last minutes, no order reaches
it. In ``known`` runs each task takes as long as expected (its last duration); in ``off`` runs each takes up to 30 %
more or less, drawn anew in each of 20 runs, and the mean is shown.

- *shipped stack*: durations of real builds on two busy processors.
- *whole stack*: the graph of Bigtop 3.2.0. The times of ZooKeeper, Hive, Phoenix, Groovy, jsvc, utils and select are
  measured; those of the other components are estimated from the size of their code.
- *layered*: random graphs of 60 tasks in 6 layers; durations spread over two orders of magnitude.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean

from bigtop_builder.plan.scheduler import Scheduler, Start, Work, critical_path

JOBS = range(1, 9)
TARGET = 1.05
ERROR = 0.3
RUNS = 20

Recorded = Mapping[str, tuple[float, float, tuple[str, ...]]]
"""Component → seconds of its compile task (0: it has none), of its package task, and its dependencies."""

SHIPPED: Recorded = {
    "bigtop-utils": (0, 1.4, ()),
    "bigtop-select": (0, 2.0, ()),
    "bigtop-groovy": (1.0, 2.7, ("bigtop-utils",)),
    "bigtop-jsvc": (9.3, 1.9, ("bigtop-utils",)),
    "zookeeper": (153.4, 12.3, ("bigtop-utils",)),
    "zookeeper-native": (65.2, 3.1, ("zookeeper",)),
    "spark": (17.4, 45.3, ("bigtop-utils",)),
}

WHOLE: Recorded = {
    "bigtop-utils": (0, 1.4, ()),
    "bigtop-select": (0, 2.0, ()),
    "bigtop-groovy": (1.0, 2.7, ("bigtop-utils",)),
    "bigtop-jsvc": (9.3, 1.9, ("bigtop-utils",)),
    "zookeeper": (71.0, 12.3, ("bigtop-utils",)),
    "hadoop": (1500.0, 90.0, ("zookeeper", "bigtop-groovy", "bigtop-jsvc")),
    "hbase": (600.0, 40.0, ("zookeeper", "hadoop")),
    "kafka": (240.0, 20.0, ("zookeeper",)),
    "hive": (499.0, 60.0, ("hadoop", "hbase")),
    "tez": (240.0, 15.0, ("hadoop",)),
    "solr": (300.0, 40.0, ("hadoop",)),
    "spark": (1200.0, 60.0, ("hadoop",)),
    "flink": (1200.0, 60.0, ("bigtop-utils",)),
    "ranger": (900.0, 60.0, ("hadoop",)),
    "phoenix": (720.0, 40.0, ("hadoop", "hbase")),
    "livy": (240.0, 15.0, ("spark",)),
    "zeppelin": (900.0, 60.0, ("hadoop", "hive", "spark")),
}


def tasks(recorded: Recorded) -> dict[str, Work]:
    """The tasks of a plan: a package waits for its compile task and for the packages of its dependencies.

    Every dependency counts as a build dependency as well, which leaves the scheduler the least freedom.
    """
    work: dict[str, Work] = {}
    for name, (compiling, packaging, needs) in recorded.items():
        depends = [f"{need}/package" for need in needs]
        if compiling:
            before = tuple(f"{need}/compile" for need in needs if recorded[need][0])
            work[f"{name}/compile"] = Work(before, seconds=compiling)
            depends.append(f"{name}/compile")
        work[f"{name}/package"] = Work(tuple(depends), seconds=packaging)
    return work


def layered(chance: random.Random, layers: int = 6, width: int = 10) -> dict[str, Work]:
    """A random graph: each task depends on up to three of the layer below."""
    work: dict[str, Work] = {}
    below: list[str] = []
    for layer in range(layers):
        names = [f"{layer}-{number}" for number in range(width)]
        for name in names:
            needs = chance.sample(below, min(len(below), chance.randrange(4)))
            work[name] = Work(tuple(needs), seconds=10 ** chance.uniform(0.5, 2.5))
        below = names
    return work


def makespan(expected: Mapping[str, Work], real: Mapping[str, Work], jobs: int) -> float:
    """The seconds that the scheduler needs if it knows the expected durations and tasks take the real ones."""
    scheduler = Scheduler(expected, jobs)
    clock = 0.0
    running: list[tuple[float, str]] = []
    instructions = scheduler.begin()
    while not scheduler.over:
        for instruction in instructions:
            if isinstance(instruction, Start):
                heapq.heappush(running, (clock + real[instruction.task].seconds, instruction.task))
        clock, task = heapq.heappop(running)
        instructions = scheduler.finished(task, "done")
    return clock


def ratio(expected: Mapping[str, Work], real: Mapping[str, Work], jobs: int) -> float:
    """The makespan divided by the lower bound for the real durations."""
    bound = max(critical_path(real), sum(one.seconds for one in real.values()) / jobs)
    return makespan(expected, real, jobs) / bound


def off(work: Mapping[str, Work], chance: random.Random) -> dict[str, Work]:
    """The same tasks with durations that differ from the expected ones."""
    return {
        name: replace(one, seconds=one.seconds * chance.uniform(1 - ERROR, 1 + ERROR)) for name, one in work.items()
    }


def main() -> None:
    chance = random.Random(1)
    graphs = {
        "shipped stack": [tasks(SHIPPED)],
        "whole stack": [tasks(WHOLE)],
        "layered": [layered(chance) for _ in range(RUNS)],
    }
    print(f"{'makespan / bound':24}" + "".join(f"{jobs:>4} jobs" for jobs in JOBS) + f"{'worst':>9}")
    for name, some in graphs.items():
        known = [fmean(ratio(work, work, jobs) for work in some) for jobs in JOBS]
        drawn = [[(work, off(work, chance)) for work in some for _ in range(RUNS // len(some))] for _ in JOBS]
        unknown = [fmean(ratio(*pair, jobs) for pair in pairs) for jobs, pairs in zip(JOBS, drawn, strict=True)]
        for kind, row in (("known", known), ("off", unknown)):
            print(f"{name + ', ' + kind:24}" + "".join(f"{one:9.3f}" for one in row) + f"{max(row):9.3f}")
    print(f"target {TARGET}")


if __name__ == "__main__":
    main()
