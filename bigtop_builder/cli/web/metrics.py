"""What Prometheus reads: runs, durations, caches, the age of repositories, the state of clusters."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bigtop_builder.cli.web.cluster_pages import ClusterPages
from bigtop_builder.cli.web.repository_pages import RepositoryPages
from bigtop_builder.cli.web.run_index import RunIndex, RunRow
from bigtop_builder.model.outcome import CacheFigures

PREFIX = "bigtop_builder"


class Figures(Collector):
    """Derives all figures from what is recorded, whenever they are read."""

    def __init__(self, index: RunIndex, repositories: RepositoryPages, clusters: ClusterPages) -> None:
        self._index = index
        self._repositories = repositories
        self._clusters = clusters

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        rows = self._index.rows()
        yield from _runs(rows)
        yield from _caches(rows)
        now = time.time()
        age = GaugeMetricFamily(
            f"{PREFIX}_repository_age_seconds", "Time since a repository was published.", labels=["stack", "platform"]
        )
        packages = GaugeMetricFamily(
            f"{PREFIX}_repository_packages", "Packages of a repository.", labels=["stack", "platform"]
        )
        good = GaugeMetricFamily(
            f"{PREFIX}_repository_signed", "1 if the metadata are signed and whole.", labels=["stack", "platform"]
        )
        for one in self._repositories.states():
            labels = [one.stack, one.platform]
            age.add_metric(labels, now - one.published)
            packages.add_metric(labels, one.packages)
            good.add_metric(labels, float(not one.problems and not one.problem))
        yield from (age, packages, good)
        yield from self._cluster_state()

    def _cluster_state(self) -> Iterator[Metric]:
        green = GaugeMetricFamily(
            f"{PREFIX}_cluster_green", "1 if everything is as the inventory says.", labels=["cluster"]
        )
        reached = GaugeMetricFamily(f"{PREFIX}_cluster_reached", "1 if its status could be read.", labels=["cluster"])
        alerts = GaugeMetricFamily(f"{PREFIX}_cluster_alerts", "Alerts that are not OK.", labels=["cluster", "state"])
        for name in self._clusters.site.inventories:
            one = self._clusters.watched(name)
            if not one.read:
                continue
            reached.add_metric([name], float(one.status is not None))
            if one.status is not None:
                green.add_metric([name], float(one.status.green))
                for state, number in Counter(alert.state for alert in one.status.alerts).items():
                    alerts.add_metric([name, state], number)
        yield from (green, reached, alerts)


def _runs(rows: list[RunRow]) -> Iterator[Metric]:
    runs = GaugeMetricFamily(f"{PREFIX}_runs", "Recorded runs by how they ended.", labels=["kind", "state"])
    states = Counter((one.kind, "failed" if one.status.startswith("exit") else one.status) for one in rows)
    for (kind, state), number in states.items():
        runs.add_metric([kind, state], number)
    ended = [one for one in rows if one.exit_code is not None]
    took = SummaryMetricFamily(f"{PREFIX}_run_duration_seconds", "How long runs took.", labels=["kind"])
    latest = GaugeMetricFamily(
        f"{PREFIX}_last_run_timestamp_seconds", "When the newest run of a kind began.", labels=["kind"]
    )
    result = GaugeMetricFamily(f"{PREFIX}_last_run_exit_code", "How the newest run of a kind ended.", labels=["kind"])
    for kind in sorted({one.kind for one in ended}):
        own = [one for one in ended if one.kind == kind]
        took.add_metric([kind], len(own), sum(one.seconds for one in own))
        latest.add_metric([kind], own[0].started)
        result.add_metric([kind], own[0].exit_code or 0)
    yield from (runs, took, latest, result)


def _caches(rows: list[RunRow]) -> Iterator[Metric]:
    used: dict[str, CacheFigures] = {}
    for one in rows:
        for name, figures in one.caches.items():
            used[name] = used.get(name, CacheFigures()) + figures
    families: dict[str, tuple[str, Callable[[CacheFigures], int]]] = {
        "requests": ("Requests to a cache.", lambda one: one.asked),
        "hits": ("Requests that a cache answered.", lambda one: one.hit),
        "hit_bytes": ("Bytes that a cache answered with.", lambda one: one.hit_bytes),
        "downloaded_bytes": ("Bytes that were downloaded.", lambda one: one.new_bytes),
    }
    for name, (text, value) in families.items():
        family = CounterMetricFamily(f"{PREFIX}_cache_{name}", text, labels=["cache"])
        for cache, figures in sorted(used.items()):
            family.add_metric([cache], value(figures))
        yield family


def metrics(figures: Figures) -> bytes:
    """Return all figures in the format of Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(figures)
    found: bytes = generate_latest(registry)
    return found
