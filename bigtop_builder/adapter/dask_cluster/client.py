"""The client of a cluster: which workers it has, functions to run on them, and what these send while they run.

Dask places functions and watches workers. It retries what a lost worker ran, up to a limit of its scheduler that a
client cannot choose: so functions ask ``Link.begin`` first, which refuses a second beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from bigtop_builder.adapter.dask_cluster.access import Access, load_dask, unreachable
from bigtop_builder.model.errors import EngineError

if TYPE_CHECKING:
    from distributed import Client, Future

TOPIC = "bigtop-builder"
"""What workers send under this name goes to every client; Dask's scheduler keeps the newest thousand messages."""

FACTS = "bigtop_builder"
"""Under this name a worker says what it is when it joins."""

CONNECT_SECONDS = 15
ANSWER_SECONDS = 20
"""How long the scheduler may take to answer one question."""

Ending = Literal["finished", "error", "cancelled", "lost"]


class Job:
    """A function that was submitted."""

    def __init__(self, future: Future) -> None:
        self._future = future

    @property
    def ending(self) -> Ending | None:
        """How it ended; None while it runs or waits."""
        status = self._future.status
        return None if status == "pending" else status

    def error(self) -> BaseException | None:
        """Return what it raised, or why the engine gave it up."""
        if self._future.status != "error":
            return None
        found: BaseException | None = self._future.exception(timeout=ANSWER_SECONDS)
        return found

    def cancel(self) -> None:
        """Ask for its end: what runs it sees its link cancelled."""
        self._future.cancel()


class Cluster:
    """A connection to a cluster."""

    def __init__(self, client: Client, access: Access) -> None:
        self._client = client
        self._access = access

    @property
    def dashboard(self) -> str | None:
        """The address of the engine's dashboard, if it has one."""
        try:
            return str(self._client.dashboard_link) if "dashboard" in self._identity(0)["services"] else None
        except (EngineError, KeyError):
            return None

    def workers(self) -> dict[str, dict[str, Any]]:
        """Return what each worker of ours says of itself, by its address. Raises EngineError."""
        found = {}
        for address, row in self._identity(-1)["workers"].items():
            if FACTS in row:
                found[address] = {**row[FACTS], "name": str(row["name"])}
        return found

    def subscribe(self, handler: Callable[[Mapping[str, Any]], None]) -> None:
        """Have ``handler`` called, in a thread of the client, for all that functions send through their links."""
        self._client.subscribe_topic(TOPIC, lambda event: handler(event[1]))

    def submit(
        self,
        function: Callable[..., object],
        argument: bytes,
        name: str,
        workers: Sequence[str],
        resources: Mapping[str, float],
        ended: Callable[[], None],
    ) -> Job:
        """Have one of ``workers`` run a function of a module; ``name`` is unique. Call ``ended`` in a thread then."""
        future = self._client.submit(
            function,
            argument,
            key=name,
            workers=list(workers),
            resources=dict(resources),
            allow_other_workers=False,
            retries=0,
            pure=False,
        )
        future.add_done_callback(lambda _: ended())
        return Job(future)

    def _identity(self, workers: int) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self._client.sync(
                self._client.scheduler.identity, n_workers=workers, callback_timeout=ANSWER_SECONDS
            )
        except Exception as error:
            raise unreachable(self._access, error) from error
        return found


@contextmanager
def connected(access: Access) -> Iterator[Cluster]:
    """Connect to a cluster. Raises ConfigurationError for a wrong access, EngineError if nothing responds."""
    access.check()
    access.knock()
    load_dask()
    from distributed import Client

    try:
        client = Client(
            access.address,
            security=access.security(),
            timeout=CONNECT_SECONDS,
            set_as_default=False,
            name="bigtop-builder",
            direct_to_workers=False,
        )
    except Exception as error:
        raise unreachable(access, error) from error
    try:
        yield Cluster(client, access)
    finally:
        client.close(timeout=ANSWER_SECONDS)
