"""Every target."""

from __future__ import annotations

from tests.fuzz import archives, exchange, recipes
from tests.fuzz.harness import Target

TARGETS: tuple[type[Target], ...] = (
    recipes.Zookeeper,
    recipes.Spark,
    recipes.Jsvc,
    recipes.Stacks,
    recipes.Platforms,
    recipes.ProjectFiles,
    recipes.Inventories,
    recipes.Bills,
    archives.Tars,
    archives.Zips,
    archives.Packages,
    archives.Signatures,
    archives.Versions,
    exchange.Bundles,
    exchange.Answers,
    exchange.Repositories,
    exchange.EventLogs,
    exchange.SmokeReports,
    exchange.StoreRecords,
)
