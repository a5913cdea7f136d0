"""All resource types of the simulated server."""

from __future__ import annotations

from bigtop_builder.simulation.blueprints import BLUEPRINT
from bigtop_builder.simulation.bootstrap import bootstrap
from bigtop_builder.simulation.clusters import CLUSTER
from bigtop_builder.simulation.host_checks import HOST_CHECK
from bigtop_builder.simulation.hosts import HOST
from bigtop_builder.simulation.registry import Call, Registry
from bigtop_builder.simulation.replies import DONE, Reply
from bigtop_builder.simulation.root import SERVICE
from bigtop_builder.simulation.stacks import STACK
from bigtop_builder.simulation.users import USER
from bigtop_builder.simulation.versions import VERSION_DEFINITION


def _signed(call: Call) -> Reply:
    """Signing in and out: the filters before it do the work."""
    return DONE


def registry() -> Registry:
    """The tree below ``/api/v1``."""
    return Registry(
        (BLUEPRINT, CLUSTER, HOST, HOST_CHECK, SERVICE, STACK, USER, VERSION_DEFINITION),
        {"bootstrap": bootstrap, "auth": _signed, "logout": _signed},
    )
