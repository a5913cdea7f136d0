"""What the phases of one deployment share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigtop_builder.model.base import seconds
from bigtop_builder.model.errors import AmbariError, ConfigurationError, InterruptedRunError
from bigtop_builder.model.event import EVENTS, AnyEvent, Change, Notice, Phase
from bigtop_builder.model.inventory import Ambari as AmbariChoice
from bigtop_builder.model.inventory import Inventory

if TYPE_CHECKING:
    from bigtop_builder.adapter.ambari.client import Ambari
    from bigtop_builder.adapter.ambari.service import HostComponent
    from bigtop_builder.adapter.secret import Secrets
    from bigtop_builder.adapter.ssh import Fleet
    from bigtop_builder.cluster.layout import Layout
    from bigtop_builder.hosts.facts import HostFacts
    from bigtop_builder.model.ambari_stack import StackDefinition
    from bigtop_builder.recipe.inventory import LoadedInventory

Emit = Callable[[AnyEvent], None]
OWN_WORDS = frozenset({"event", "phase", "phases", "step", "level", "state", "kind", "status", "tasks"})
"""Fields of events that hold words of ours or Ambari's, and never what a host or a person wrote."""


@dataclass
class Deployment:
    """One call of ``deploy``, ``status``, ``verify`` or ``destroy``. A context manager: it closes its connections."""

    loaded: LoadedInventory
    secrets: Secrets
    bus: Emit
    logs: Path
    """Folder for the logs of failed tasks."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    dry_run: bool = False
    hosted: bool = True
    """False in a rehearsal, where there are no hosts to connect to."""
    ca: Path | None = None
    """Authorities to trust when the inventory names none."""
    overlays: tuple[Path, ...] = ()
    clock: Callable[[], float] = time.monotonic
    """Seconds; with ``pause`` the time in which the deployment lives."""
    pause: Callable[[float], object] | None = None
    """Waits for so many seconds; without it until then or until ``cancelled``."""
    phase: Phase = "check"
    changes: int = 0
    """Of the phase that runs."""
    all_changes: int = 0
    """Of the phases before it."""
    mark: Path | None = None
    """A file that is there when everything was verified and nothing changed since."""
    layout: Layout | None = None
    """Once it is known: given by the groups, or recommended."""
    facts: Mapping[str, HostFacts] | None = None
    """Of the hosts, as they were checked, for the phase after that."""
    _components: list[HostComponent] | None = None

    def __enter__(self) -> Deployment:
        return self

    def __exit__(self, *_: object) -> None:
        for name in ("fleet", "client"):
            connection = self.__dict__.pop(name, None)
            if connection is not None:
                connection.close()

    @property
    def inventory(self) -> Inventory:
        return self.loaded.inventory

    @property
    def cluster(self) -> str:
        return self.inventory.cluster

    @property
    def ambari(self) -> AmbariChoice:
        """Raises ConfigurationError when the inventory has none."""
        if self.inventory.ambari is None:
            raise ConfigurationError(
                "the inventory names no Ambari server", hint="Give ambari.url and ambari.password."
            )
        return self.inventory.ambari

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts of the groups."""
        return tuple(entry.name for entry in self.loaded.hosts if entry.group is not None)

    @cached_property
    def fleet(self) -> Fleet:
        """The connections to the hosts; opened when they are first used."""
        from bigtop_builder.adapter.ssh import Fleet

        try:
            return Fleet(self.inventory.ssh, self.loaded.hosts, self.secrets, self.cancelled)
        except ConfigurationError as error:
            # Its message begins with the path of what is wrong: ``ssh.key: …``.
            path, colon, message = error.message.partition(": ")
            if colon and path.split(".")[0] == "ssh" and error.location is None:
                error.location, error.message = self.loaded.place(*path.split(".")), message
            raise

    @property
    def round_trips(self) -> int:
        """Commands sent to hosts so far."""
        return self.fleet.round_trips if "fleet" in self.__dict__ else 0

    @property
    def rest_calls(self) -> int:
        """Requests made to the Ambari server so far."""
        return self.client.calls if "client" in self.__dict__ else 0

    @cached_property
    def client(self) -> Ambari:
        """The Ambari server."""
        from bigtop_builder.adapter.ambari.client import Ambari

        choice = self.ambari
        return Ambari(
            choice.url,
            choice.user,
            self.secrets.value(choice.password, "ambari.password"),
            ca=Path(choice.ca) if choice.ca else self.ca,
            timeout=seconds(choice.timeout),
            cancelled=self.cancelled,
        )

    @cached_property
    def server_version(self) -> str:
        """Raises AmbariError with the place in the inventory that leads to a server that does not let us in."""
        from bigtop_builder.adapter.ambari.errors import AuthenticationError, UnreachableError

        try:
            return self.client.version()
        except UnreachableError as error:
            error.location = self.loaded.place("ambari", "url")
            raise
        except AuthenticationError as error:
            error.location = self.loaded.place("ambari", "password")
            raise

    @cached_property
    def server_answers(self) -> bool:
        """Whether a server lets us in. Raises AmbariError when one that is not ours to set up does not."""
        from bigtop_builder.adapter.ambari.errors import AuthenticationError, UnreachableError

        try:
            _ = self.server_version
        except (UnreachableError, AuthenticationError):
            if self.ambari.setup is None:
                raise
            return False
        return True

    @cached_property
    def stack(self) -> StackDefinition:
        """The stack as the server has it; as we know it where the server cannot be asked."""
        from bigtop_builder.flow.deploy.stack import read_stack

        return read_stack(self)

    def look_again(self) -> None:
        """Forget what is known of the server, after it was set up."""
        self.layout = None
        for name in ("server_version", "server_answers", "stack"):
            self.__dict__.pop(name, None)

    def components(self) -> list[HostComponent]:
        """What is on the cluster's hosts; read again once something was changed or time has passed."""
        if self._components is None:
            self._components = list(self.client.host_components(self.cluster))
        return self._components

    def begin(self, phase: Phase) -> None:
        """A phase that counts its own changes, and takes nothing from the one before as still being so."""
        self.all_changes += self.changes
        self.phase, self.changes, self._components = phase, 0, None

    def emit(self, event: AnyEvent) -> None:
        """Tell an event, without the secrets that were read so far."""
        if self.mark is not None and isinstance(event, Change) and event.state != "planned":
            self.mark.unlink(missing_ok=True)
        data = event.model_dump()
        clean = self._redacted(data)
        self.bus(event if clean == data else EVENTS.validate_python(clean))

    def _redacted(self, value: Any) -> Any:
        """``value`` without secrets; each text by itself, so that no quoting of them matters."""
        if isinstance(value, str):
            return self.secrets.redact(value)
        if isinstance(value, list):
            return [self._redacted(item) for item in value]
        if isinstance(value, dict):
            # The words that we choose ourselves stay, even if a password is one of them.
            return {key: item if key in OWN_WORDS else self._redacted(item) for key, item in value.items()}
        return value

    def notice(self, text: str, *, warning: bool = False) -> None:
        self.emit(Notice(text=text, level="warning" if warning else "info"))

    def change(self, name: str, detail: str = "", *, act: Callable[[], object] | None = None) -> None:
        """Something in Ambari that is not as it should be: told, and unless this is a dry run mended by ``act``."""
        self.changes += 1
        if self.dry_run:
            self.emit(Change(phase=self.phase, name=name, state="planned", detail=detail))
            return
        self.check_cancelled()
        self._components = None
        try:
            if act is not None:
                act()
        except AmbariError:
            self.emit(Change(phase=self.phase, name=name, state="failed", detail=detail))
            raise
        self.emit(Change(phase=self.phase, name=name, state="done", detail=detail))

    def check_cancelled(self) -> None:
        """Raises InterruptedRunError when the user wants to stop."""
        if self.cancelled.is_set():
            raise InterruptedRunError("the deployment was interrupted; run it again to go on")

    def sleep(self, duration: float) -> None:
        """Wait; raises InterruptedRunError."""
        self._components = None
        (self.pause or self.cancelled.wait)(duration)
        self.check_cancelled()


def show_difference(old: Mapping[str, str], new: Mapping[str, str], title: str, hidden: frozenset[str]) -> str:
    """Properties that differ, as lines of a diff; values of ``hidden`` ones are not shown."""
    lines = []
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            secret = name in hidden
            lines += [f"-{title}/{name}: {'***' if secret else old[name]}"] if name in old else []
            lines += [f"+{title}/{name}: {'***' if secret else new[name]}"] if name in new else []
    return "\n".join(lines)
