"""Connections of a deployment: SSH to the hosts, REST to the Ambari server, each opened when it is first used."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

from bigtop_builder.model.base import seconds
from bigtop_builder.model.errors import ConfigurationError

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.secret import Secrets
    from bigtop_builder.adapter.ssh import Fleet
    from bigtop_builder.ambari_simulator.agents.paper_hosts import PaperFleet
    from bigtop_builder.recipe.inventory import LoadedInventory


@dataclass
class Connections:
    """What a deployment is connected to. As a context manager it closes what was opened."""

    loaded: LoadedInventory
    secrets: Secrets
    cancelled: threading.Event = field(default_factory=threading.Event)
    hosted: bool = True
    """False in a rehearsal, which has no hosts to connect to."""
    paper: PaperFleet | None = None
    """Hosts on paper, whose packages stand for those of the real ones."""
    ca: Path | None = None
    """Certificate authorities to trust if the inventory names none."""
    record: Path | None = None
    """The folder for a record of the exchanges with the Ambari server."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for name in ("fleet", "client"):
            connection = self.__dict__.pop(name, None)
            if connection is not None:
                connection.close()

    @property
    def packages_known(self) -> bool:
        """Whether hosts can be asked for their packages, and given others."""
        return self.hosted or self.paper is not None

    @cached_property
    def fleet(self) -> Fleet:
        """The connections to the hosts. Raises ConfigurationError for a wrong SSH setting."""
        from bigtop_builder.adapter.ssh import Fleet

        if self.paper is not None:
            return cast(Fleet, self.paper)
        try:
            return Fleet(self.loaded.inventory.ssh, self.loaded.hosts, self.secrets, self.cancelled)
        except ConfigurationError as error:
            # Its message begins with the path of the setting: ``ssh.key: …``, ``hosts.node1.x.test.key: …``.
            path, colon, message = error.message.partition(": ")
            if colon and error.location is None and path.startswith(("ssh", "hosts.", "groups.")):
                error.location, error.message = self.loaded.place(*self._setting(path)), message
            raise

    def _setting(self, path: str) -> tuple[str, ...]:
        """Return the place of a setting in the inventory; names of hosts have dots."""
        section, _, rest = path.partition(".")
        if section != "hosts":
            return tuple(path.split("."))
        host, _, key = rest.rpartition(".")
        spelled = next((name for name in self.loaded.inventory.hosts if name.lower() == host), host)
        return section, spelled, key

    @cached_property
    def client(self) -> Ambari:
        """The client of the Ambari server. Raises ConfigurationError if the inventory has none."""
        from bigtop_builder.adapter.ambari.client import Ambari
        from bigtop_builder.adapter.ambari.recording import Recorder

        choice = self.loaded.ambari
        password = self.secrets.value(choice.password, "ambari.password")
        return Ambari(
            choice.url,
            choice.user,
            password,
            recorder=Recorder(self.record, choice.url, self.secrets.known) if self.record else None,
            ca=Path(choice.ca) if choice.ca else self.ca,
            timeout=seconds(choice.timeout),
            cancelled=self.cancelled,
        )

    @property
    def round_trips(self) -> int:
        """The number of commands sent to hosts so far."""
        return self.fleet.round_trips if "fleet" in self.__dict__ else 0

    @property
    def rest_calls(self) -> int:
        """The number of requests made to the Ambari server so far."""
        return self.client.calls if "client" in self.__dict__ else 0
