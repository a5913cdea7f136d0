"""The site's network as the tasks of a run get it, written when the first of them needs it."""

from __future__ import annotations

import threading
from pathlib import Path

from bigtop_builder.adapter.tools.addresses import Addresses
from bigtop_builder.adapter.tools.site import SiteSettings, sealed_site_files, site_files
from bigtop_builder.flow.build.work_order import WorkOrder
from bigtop_builder.model.project import ProjectFile


class Sites:
    """The settings for compiling with a network and without one, each with Maven and without it.

    Where Maven's repository is, a machine without Maven learns from an image: nobody waits for that who runs no
    Maven. What needs no address is written at once, so that its secrets and mistakes are known.
    """

    def __init__(self, file: ProjectFile, folder: Path, addresses: Addresses, *, offline: bool) -> None:
        self._file = file
        self._folder = folder
        self._addresses = addresses
        self._offline = offline
        self._lock = threading.Lock()
        self._made: dict[tuple[bool, bool], SiteSettings] = {}
        self._make(maven=False, sealed=False)

    def of(self, order: WorkOrder) -> SiteSettings:
        """Return the settings for an order. Raises ConfigurationError for an address that is unavailable."""
        with self._lock:
            return self._make(maven=order.maven, sealed=order.lock is not None)

    @property
    def secrets(self) -> list[str]:
        """Values that no log may show."""
        return list(dict.fromkeys(secret for site in list(self._made.values()) for secret in site.secrets))

    @property
    def variables(self) -> set[str]:
        """The names of the variables that containers got."""
        return {name for site in list(self._made.values()) for name in site.environment}

    def _make(self, *, maven: bool, sealed: bool) -> SiteSettings:
        if (maven, sealed) not in self._made:
            folder = self._folder / ("maven" if maven else "plain")
            folder.mkdir(exist_ok=True)
            without = () if maven else ("maven",)
            if sealed:
                made = sealed_site_files(self._file, folder, self._addresses, without=without)
            else:
                made = site_files(self._file, folder, self._addresses, offline=self._offline, without=without)
            self._made[maven, sealed] = made
        return self._made[maven, sealed]
