"""A worker: everything on one machine that tasks are carried out with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bigtop_builder.adapter.containers.accounts import Account, build_account
from bigtop_builder.adapter.containers.container import User
from bigtop_builder.adapter.containers.engine import connect, facts
from bigtop_builder.adapter.containers.image import SiteAccess, Workshop, ensure
from bigtop_builder.adapter.containers.own_container import require_same_path
from bigtop_builder.adapter.sources import Fetcher
from bigtop_builder.adapter.sources.web import Web, ca_bundle, proxies
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.adapter.store import Run, Store
from bigtop_builder.adapter.tools.addresses import Addresses
from bigtop_builder.adapter.tools.repository_files import RepositoryFiles
from bigtop_builder.adapter.tools.site import private_folder
from bigtop_builder.adapter.tools.super_pom import super_pom
from bigtop_builder.flow.build.dead_runs import clear_dead_runs
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.sites import Sites
from bigtop_builder.flow.run.recorder import Bus
from bigtop_builder.model.base import seconds
from bigtop_builder.model.build_tools import debian
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.event import Notice, Step

if TYPE_CHECKING:
    from docker import DockerClient

LOG_LIMIT = 8 << 20

LogTee = Callable[[str, Step, bytes], None]
"""Gets a task, a step and what its log gained."""


@dataclass
class Worker:
    """What all tasks of a run share on this machine: store, engine, network settings, sources, and where events go."""

    store: Store
    run: Run
    client: DockerClient
    sites: Sites
    fetcher: Fetcher
    emit: Bus
    cancelled: threading.Event
    """Set when the run is to stop: whatever takes long looks at it."""
    shop: Workshop
    account: Account
    """Who runs in the containers, and who that is on this machine."""
    addresses: Addresses
    repositories: RepositoryFiles
    offline: bool = False
    tee: LogTee | None = None
    """Gets what the logs of steps gain, where somebody elsewhere follows them."""

    @property
    def user(self) -> User:
        """Who runs in the containers."""
        return self.account.user


@contextmanager
def open_worker(
    project: Project,
    request: Request,
    run: Run,
    emit: Bus,
    cancelled: threading.Event,
) -> Iterator[Worker]:
    """Connect to everything that a run needs, after clearing away what dead runs left.

    Raises EngineError when no engine answers, ConfigurationError for a secret or CA bundle that cannot be read.
    """
    client = connect()
    try:
        store, account = project.store, build_account(facts(client))
        require_same_path(client, store.root)
        for notice in clear_dead_runs(store, client):
            emit(Notice(text=notice))
        with private_folder() as folder:
            shop, fetcher, addresses = _suppliers(project, request, run, emit, client, cancelled, account.user)
            sites = Sites(project.file, folder, addresses, offline=request.offline)
            repositories = RepositoryFiles(
                Web(project.file.network), seconds(project.file.limits.repository_time), cancelled
            )
            yield Worker(
                store,
                run,
                client,
                sites,
                fetcher,
                emit,
                cancelled,
                shop,
                account,
                addresses,
                repositories,
                request.offline,
            )
    finally:
        client.close()


def own_worker(
    machine: Worker, project: Project, run: Run, emit: Bus, cancelled: threading.Event, tee: LogTee
) -> Worker:
    """Return a worker for one run on a machine that was opened before, with the same engine and network settings."""
    shop = replace(
        machine.shop,
        run=run.id,
        cancelled=cancelled,
        fetch=lambda source: machine.fetcher.fetch(source, base=run.folder, cancelled=cancelled).path,
    )
    repositories = RepositoryFiles(Web(project.file.network), seconds(project.file.limits.repository_time), cancelled)
    return replace(machine, run=run, emit=emit, cancelled=cancelled, shop=shop, repositories=repositories, tee=tee)


def _suppliers(
    project: Project,
    request: Request,
    run: Run,
    emit: Bus,
    client: DockerClient,
    cancelled: threading.Event,
    user: User,
) -> tuple[Workshop, Fetcher, Addresses]:
    """Images are made with fetched files, and on a host without Maven the first image says where to fetch from."""
    file = project.file
    embedded = project.builder_platform

    def pom() -> str:
        if embedded is None:
            raise ConfigurationError(
                "the address of Maven Central is unknown on a machine without Maven",
                hint="Install Maven, or name a mirror under mirrors.maven in the project file.",
            )
        emit(Notice(text="no Maven on this machine: reading the address of Maven Central from Debian's package"))
        with LogWriter(run.log("images", "super-pom"), LOG_LIMIT) as log:
            return super_pom(shop, ensure(shop, project.package_image(embedded), log), user, log)

    addresses = Addresses(file.mirrors, super_pom=pom)
    shared = project.sharing.take_source
    fetcher = Fetcher(project.store.root, file, offline=request.offline, addresses=addresses, shared=shared)
    shop = Workshop(
        client=client,
        store=project.store,
        site=SiteAccess(
            debian_mirror=_debian(addresses, request) if embedded else "",
            proxies=proxies(file.network),
            ca_bundle=ca_bundle(file.network),
            ca_configured=file.network.ca_bundle is not None,
        ),
        run=run.id,
        fetch=lambda source: fetcher.fetch(source, base=run.folder, cancelled=cancelled).path,
        cancelled=cancelled,
    )
    return shop, fetcher, addresses


def _debian(addresses: Addresses, request: Request) -> str:
    """A closed site makes no images, so it need not know a mirror."""
    try:
        return debian.mirror(addresses)
    except ConfigurationError:
        if request.offline:
            return ""
        raise
