"""The client for Ambari's REST API, 2.7, 2.8 and 3.0."""

from __future__ import annotations

from bigtop_builder.adapter.ambari.cluster import ClusterCalls
from bigtop_builder.adapter.ambari.config_history import ConfigHistoryCalls
from bigtop_builder.adapter.ambari.configuration import ConfigurationCalls
from bigtop_builder.adapter.ambari.decommission import DecommissionCalls
from bigtop_builder.adapter.ambari.repository import RepositoryCalls
from bigtop_builder.adapter.ambari.server import ServerCalls
from bigtop_builder.adapter.ambari.service import ServiceCalls
from bigtop_builder.adapter.ambari.stack import StackCalls
from bigtop_builder.adapter.ambari.stack_upgrade import StackUpgradeCalls


class Ambari(
    ServerCalls,
    StackCalls,
    RepositoryCalls,
    ClusterCalls,
    ServiceCalls,
    ConfigurationCalls,
    ConfigHistoryCalls,
    DecommissionCalls,
    StackUpgradeCalls,
):
    """All calls to an Ambari server. Thread-safe; a context manager."""
