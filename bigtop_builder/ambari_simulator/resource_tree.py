"""All resource types of the simulated server."""

from __future__ import annotations

from bigtop_builder.ambari_simulator.resources.blueprints import BLUEPRINT
from bigtop_builder.ambari_simulator.resources.bootstrap import bootstrap
from bigtop_builder.ambari_simulator.resources.clusters import CLUSTER
from bigtop_builder.ambari_simulator.resources.host_checks import HOST_CHECK
from bigtop_builder.ambari_simulator.resources.hosts import HOST
from bigtop_builder.ambari_simulator.resources.root import SERVICE
from bigtop_builder.ambari_simulator.resources.stacks import STACK
from bigtop_builder.ambari_simulator.resources.users import USER
from bigtop_builder.ambari_simulator.resources.versions import VERSION_DEFINITION
from bigtop_builder.ambari_simulator.rest.registry import Call, Registry
from bigtop_builder.ambari_simulator.rest.replies import DONE, Reply


def _signed(call: Call) -> Reply:
    """Sign in or out: the filters before it do the work."""
    return DONE


def registry() -> Registry:
    """Return the resource tree below ``/api/v1``."""
    return Registry(
        (BLUEPRINT, CLUSTER, HOST, HOST_CHECK, SERVICE, STACK, USER, VERSION_DEFINITION),
        {"bootstrap": bootstrap, "auth": _signed, "logout": _signed},
    )
