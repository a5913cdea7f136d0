"""Check whether this machine can build: one finding for each common cause of failures."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from bigtop_builder.adapter.containers.emulation import require_runnable
from bigtop_builder.adapter.repository.metadata import require_createrepo
from bigtop_builder.model.base import Credentials
from bigtop_builder.model.build_tools import apache, debian, maven, pip
from bigtop_builder.model.build_tools.registry import DOWNLOADS, TOOLS
from bigtop_builder.model.errors import BigtopBuilderError, EngineError, PublishError
from bigtop_builder.model.source import (
    Alternative,
    ApacheSource,
    DebianSource,
    GitSource,
    MavenSource,
    PypiSource,
)
from bigtop_builder.recipe.settings import Settings

if TYPE_CHECKING:
    from docker import DockerClient

    from bigtop_builder.adapter.containers.engine import EngineFacts
    from bigtop_builder.adapter.tools.addresses import Addresses

GIB = 1 << 30
DISK_WARNING, DISK_FAILURE = 20 * GIB, 3 * GIB
MEMORY_WARNING, MEMORY_FAILURE = 6 * GIB, 2 * GIB
REACH_SECONDS = 5.0
REACH = "5s"
CLOCK_WARNING = 300.0
BUILT_AFTER = 1_735_689_600
"""2025-01-01: a clock that is older than this program is wrong."""


@dataclass(frozen=True)
class Finding:
    """The result of one check, with details and advice."""

    name: str
    state: Literal["ok", "warning", "failure"]
    detail: str
    advice: str = ""


Check = Callable[[Settings], Iterator[Finding]]


def examine(settings: Settings, *, offline: bool = False, components: Sequence[str] = ()) -> list[Finding]:
    """Run every check in a fixed order. A check that fails to run is a finding, never an exception.

    The mirrors are those that ``components`` need, by default all of the stack.
    """
    checks: list[Check] = [_engine, _architectures, _store, _output, _machine, _tools, _clock, _bundle]
    if not offline:
        checks += [_proxy, partial(_network, components=components)]
    findings: list[Finding] = []
    for check in checks:
        try:
            findings += check(settings)
        except (OSError, BigtopBuilderError) as error:
            message = error.message if isinstance(error, BigtopBuilderError) else str(error)
            hint = error.hint if isinstance(error, BigtopBuilderError) else None
            name = "network" if isinstance(check, partial) else check.__name__.strip("_")
            findings.append(Finding(name, "failure", message, hint or ""))
    return findings


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"


def _enough(name: str, size: int, warning: int, failure: int, what: str, advice: str) -> Finding:
    detail = f"{_gib(size)} {what}"
    if size < failure:
        return Finding(name, "failure", detail, advice)
    return Finding(name, "warning" if size < warning else "ok", detail, advice)


def _engine(settings: Settings) -> Iterator[Finding]:
    from bigtop_builder.adapter.containers import engine

    with contextlib.closing(engine.connect()) as client:
        facts = engine.facts(client)
        how = "rootless" if facts.rootless else "remapped" if facts.remapped else "as root"
        detail = f"{facts.kind} {facts.version} {how}, API {facts.api}, {facts.storage_driver}, {facts.architecture}"
        yield Finding("engine", "ok", detail)
        if facts.free_disk is not None:
            advice = f"Free some space below {facts.data_root}, for example with: docker image prune"
            what = f"free at {facts.data_root}"
            yield _enough("engine disk", facts.free_disk, DISK_WARNING, DISK_FAILURE, what, advice)
        advice = "Large components need 4 GiB each; use -j 1, or give the engine more memory."
        yield _enough("engine memory", facts.memory, MEMORY_WARNING, MEMORY_FAILURE, "of memory", advice)
        if not facts.local:
            advice = "Containers mount folders of this machine: set DOCKER_HOST to an engine on this machine."
            yield Finding("engine place", "failure", "the engine is on another machine", advice)
            return
        yield from engine_trial(client, facts, settings.store.absolute())
        alone = facts.rootless and shutil.which("newuidmap") is not None
        if settings.project.builder == "embedded" and os.geteuid() != 0 and not alone:
            advice = "Run as root, use a rootless engine and newuidmap (package uidmap), or use --builder platform."
            yield Finding("root", "warning", "this account cannot create the embedded builder image", advice)


def _architectures(settings: Settings) -> Iterator[Finding]:
    for machine in dict.fromkeys(settings.project.architectures):
        try:
            how = require_runnable(machine)
        except EngineError as error:
            # Then its workers build what this machine cannot.
            cluster = settings.project.executor.dask is not None
            yield Finding(machine, "warning" if cluster else "failure", error.message, error.hint or "")
        else:
            yield Finding(machine, "ok", how)


def engine_trial(client: DockerClient, facts: EngineFacts, folder: Path) -> Iterator[Finding]:
    """Try a mount and a container, and report as whom builds run and which of their limits hold."""
    from bigtop_builder.adapter.containers.accounts import build_account
    from bigtop_builder.adapter.containers.own_container import require_same_path
    from bigtop_builder.adapter.containers.trial import try_container

    try:
        require_same_path(client, folder)
        folder = _existing(folder)
        account = build_account(facts)
        trial = try_container(client, account, folder)
    except (OSError, EngineError) as error:
        hint = error.hint if isinstance(error, EngineError) else None
        message = error.message if isinstance(error, EngineError) else str(error)
        advice = "See the engine's log; rootless engines need ranges for their account in /etc/subuid and /etc/subgid."
        yield Finding("container", "failure", message, hint or advice)
        return
    yield Finding("container", "ok", f"started, read and wrote below {folder} in {trial.seconds:.1f} s")
    if account.apart and trial.uid != os.geteuid():
        yield Finding("build account", "ok", f"builds run as another account than yours ({trial.uid})")
    else:
        detail = f"builds run as your own account ({trial.uid}): what escapes from a container can change your files"
        advice = "Use a rootless engine (Docker or Podman) of your own, or run as root: see docs/engines.md."
        yield Finding("build account", "warning", detail, advice)
    names = {"memory": trial.memory_limited, "processes": trial.processes_limited}
    missing = [name for name, holds in names.items() if not holds]
    if missing:
        detail = f"the engine does not limit the {' and '.join(missing)} of builds"
        advice = "Rootless engines need cgroup version 2 and systemd's delegation of it: see docs/engines.md."
        yield Finding("build limits", "warning", detail, advice)
    else:
        yield Finding("build limits", "ok", "memory and processes of builds are limited")


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _writable(name: str, path: Path, advice: str) -> Finding:
    folder = _existing(path)
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        return Finding(name, "failure", f"{folder} cannot be written: {error.strerror}", advice)
    return Finding(name, "ok", str(path))


def _store(settings: Settings) -> Iterator[Finding]:
    store = settings.store.absolute()
    yield _writable("store", store, "Choose another folder with --store or 'store:' in the project file.")
    free = shutil.disk_usage(_existing(store)).free
    advice = "Free some space with: bigtop-builder gc; or put the store on a larger disk with --store."
    yield _enough("store disk", free, DISK_WARNING, DISK_FAILURE, f"free at {_existing(store)}", advice)


def _output(settings: Settings) -> Iterator[Finding]:
    yield _writable("output", settings.output.absolute(), "Choose another folder with --output or 'output:'.")


def _machine(_: Settings) -> Iterator[Finding]:
    processors = len(os.sched_getaffinity(0))
    advice = "A full Spark build takes hours on one processor."
    yield Finding("processors", "ok" if processors > 1 else "warning", str(processors), advice)
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024
            advice = "Large components need 4 GiB each; use -j 1, or close other programs."
            yield _enough("memory", available, MEMORY_WARNING, MEMORY_FAILURE, "available", advice)


def _tools(settings: Settings) -> Iterator[Finding]:
    wanted = {
        "git": ("sources from git", "Install git."),
        "gpg": ("signing packages and repositories", "Install gnupg."),
        "gpgv": ("verifying signatures", "Install gpgv; with dnf it is part of gnupg2."),
    }
    if settings.project.builder == "embedded":
        wanted["debootstrap"] = ("the embedded builder image", "Install debootstrap, or use --builder platform.")
    for tool, (purpose, advice) in wanted.items():
        place = shutil.which(tool, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
        yield Finding(tool, "ok", place) if place else Finding(tool, "warning", f"missing: {purpose}", advice)
    try:
        require_createrepo()
    except PublishError as error:
        yield Finding("createrepo-c", "warning", f"publishing repositories: {error.message}", error.hint or "")
    else:
        yield Finding("createrepo-c", "ok", "installed")


def _clock(_: Settings) -> Iterator[Finding]:
    now = time.time()
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if now < BUILT_AFTER:
        yield Finding("clock", "failure", shown, "Set the clock: certificates and signatures fail if it is wrong.")
    else:
        yield Finding("clock", "ok", shown)


def _bundle(settings: Settings) -> Iterator[Finding]:
    from bigtop_builder.adapter.sources.web import ca_bundle

    yield check_bundle(ca_bundle(settings.project.network))


def check_bundle(bundle: Path) -> Finding:
    """Check that a PEM file contains certificates that are valid now. Raises OSError if it is unreadable."""
    advice = "Set network.ca_bundle to a PEM file with the certificate authorities of your site."
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=bundle.read_text(encoding="utf-8", errors="replace"))
    except (ssl.SSLError, ValueError) as error:
        return Finding("certificates", "failure", f"{bundle} is not a PEM bundle: {error}", advice)
    authorities = context.get_ca_certs()
    if not authorities:
        return Finding("certificates", "failure", f"{bundle} contains no certificate authority", advice)
    now = time.time()
    expired = [one for one in authorities if ssl.cert_time_to_seconds(str(one["notAfter"])) < now]
    detail = f"{len(authorities)} authorities in {bundle}"
    if len(expired) == len(authorities):
        return Finding("certificates", "failure", f"{detail}, all expired", advice)
    if expired:
        return Finding("certificates", "warning", f"{detail}, {len(expired)} expired", "Renew the bundle.")
    return Finding("certificates", "ok", detail)


def _proxy(settings: Settings) -> Iterator[Finding]:
    from bigtop_builder.adapter.sources.web import proxies

    known = proxies(settings.project.network)
    for address in dict.fromkeys(known[scheme] for scheme in ("http", "https") if scheme in known):
        parts = urlsplit(address if "//" in address else f"//{address}")
        host, port = parts.hostname or "", parts.port or 80
        try:
            socket.create_connection((host, port), timeout=REACH_SECONDS).close()
        except OSError as error:
            advice = "Check network.proxy in the project file, or the variables http_proxy and https_proxy."
            yield Finding("proxy", "failure", f"{host}:{port}: {error}", advice)
        else:
            yield Finding("proxy", "ok", f"{host}:{port}")


def _needed(settings: Settings, components: Sequence[str]) -> set[str]:
    """Return the names of the downloads that building some components needs: of sources, of tools, of the image.

    Raises ConfigurationError, RecipeError, NothingSelectedError for a component that does not exist.
    """
    from bigtop_builder.flow.build.project import Request
    from bigtop_builder.flow.open_project import open_project
    from bigtop_builder.plan.task import Refusal

    project = open_project(settings)
    needed = {"debian"} if settings.project.builder == "embedded" else set()
    request = Request(selectors=tuple(components), everything=not components, with_dependencies=bool(components))
    for name, platform in project.pairs(request):
        evaluated = project.evaluate(name, platform)
        if isinstance(evaluated, Refusal):
            continue
        needed |= {kind for source in evaluated.sources for one in source.alternatives for kind in _kinds(one)}
        tools = {*evaluated.build.caches} | ({"maven"} if evaluated.build.maven else set())
        if "npm" in tools:
            tools |= {"node", "yarn"}
        if tools & {"gradle", "ivy", "sbt"} and (settings.project.mirrors.maven or settings.project.mirrors.cache):
            tools.add("maven")
        needed |= {download.name for tool in TOOLS if tool.name in tools for download in tool.downloads}
    return needed


def _kinds(source: Alternative) -> Iterator[str]:
    for kind, name in (
        (ApacheSource, "apache"),
        (MavenSource, "maven"),
        (DebianSource, "debian"),
        (PypiSource, "pip"),
        (GitSource, "git"),
    ):
        if isinstance(source, kind):
            yield name


def _network(settings: Settings, *, components: Sequence[str]) -> Iterator[Finding]:
    """Check the mirrors that builds need, all at once. Caches may do without one, so it is only a warning."""
    from bigtop_builder.adapter.tools.addresses import Addresses

    mirrors = settings.project.mirrors
    addresses = Addresses(mirrors)
    places: dict[str, Callable[[], str]] = {
        "maven": lambda: maven.central(addresses)[0].url,
        "pip": lambda: pip.index(addresses),
        "debian": lambda: debian.mirror(addresses),
        "apache": lambda: apache.releases(addresses)[0],
    }
    for name in [name for name, download in DOWNLOADS.items() if download.probed and name not in places]:
        address = addresses.address(name)
        # Nobody chose the addresses of the default preset, and few builds use them.
        if address is not None and (mirrors.preset != "default" or mirrors.cache or addresses.configured(name)):
            places[name] = address.__str__
    needed = _needed(settings, components)
    places = {name: find for name, find in places.items() if name in needed}
    if not places:
        return
    with ThreadPoolExecutor(len(places)) as pool:
        yield from pool.map(lambda name: reach(name, places[name], settings), places)


def reach(name: str, find: Callable[[], str], settings: Settings) -> Finding:
    """Check that a server answers at the address that ``find`` returns, and that its clock agrees with ours.

    Any response of a public mirror will do, because not all of them list their folders; the site's cache must have the
    repository and accept the credentials.
    """
    from bigtop_builder.adapter.secret import read_secret
    from bigtop_builder.adapter.sources.errors import TransferError
    from bigtop_builder.adapter.sources.web import Web
    from bigtop_builder.adapter.tools.addresses import Addresses

    title = f"{name} mirror"
    advice = f"Set mirrors.{name} in the project file; builds that need it fail otherwise"
    limits = {"connect_timeout": REACH, "stall_timeout": REACH}
    try:
        address = find()
        host = urlsplit(address).hostname or address
        auth = None
        if credentials := _credentials(Addresses(settings.project.mirrors), name, address):
            place = f"the credentials of the {title}"
            auth = read_secret(credentials.user, place), read_secret(credentials.password, place)
        web = Web(settings.project.network.model_copy(update=limits))
        with web.get(address.rstrip("/") + "/", cancelled=threading.Event(), auth=auth) as answer:
            refused = _refusal(settings, address, answer.status, authenticated=auth is not None)
            date, status_text = answer.headers.get("Date"), answer.status_text
    except TransferError as error:
        return Finding(title, "warning", f"{host}: {error.reason}", "; ".join(filter(None, (advice, error.hint))))
    except BigtopBuilderError as error:
        return Finding(title, "warning", error.message, error.hint or advice)
    if refused:
        return Finding(title, "warning", f"{host} {refused[0]}: {status_text}", refused[1])
    if date and (drift := _drift(date)) > CLOCK_WARNING:
        return Finding(title, "warning", f"{host} answers, but its clock differs by {drift:.0f} s", "Set the clock.")
    return Finding(title, "ok", f"{host} answers")


def _refusal(settings: Settings, address: str, status: int, *, authenticated: bool) -> tuple[str, str] | None:
    """Return the problem with a response and the advice; None if there is none."""
    cache = settings.project.mirrors.cache
    if status in (401, 407) or (status == 403 and authenticated):
        advice = "Check the credentials under mirrors in the project file, and what their owner may read there."
        return "rejects the credentials" if authenticated else "requires credentials", advice
    if status == 404 and cache is not None and address.startswith(cache.url):
        advice = "Set the cache's own repository under mirrors.cache in the project file, or null if it has none."
        return f"has nothing at {urlsplit(address).path}", advice
    return None


def _credentials(addresses: Addresses, name: str, address: str) -> Credentials | None:
    if name == "maven":
        return maven.central(addresses)[0].credentials
    return addresses.credentials(address)


def _drift(date: str) -> float:
    try:
        return abs(parsedate_to_datetime(date).timestamp() - time.time())
    except ValueError:
        return 0.0
