"""The function that the cluster runs on a worker, by this name."""

from __future__ import annotations

from bigtop_builder.adapter.dask_cluster.worker import WorkerStopsError, linked
from bigtop_builder.flow.distributed.messages import order_from_json


def carry_out(text: bytes) -> None:
    """Carry out an order on the worker that this runs on; its verdict comes with everything else that it sends.

    Raises AlreadyBegunError, or WorkerStopsError when nobody gets a verdict: then the order is given to another.
    """
    message = order_from_json(text)
    with linked(message.name, message.lease) as (host, link):
        host.run(message, link)
    if link.lost:
        raise WorkerStopsError(link.lost)
