"""A work order: everything needed to carry out one task, as plain data.

An order survives ``pickle`` and JSON, so it can be carried out in another process or on another machine. It names
images, staged trees and packages by their keys; the only paths in it are those of sources on the user's own machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict

from bigtop_builder.model.archive_limits import DEFAULT, ArchiveLimits
from bigtop_builder.model.build_tools.registry import CacheName
from bigtop_builder.model.lock import Lock
from bigtop_builder.model.source import Source
from bigtop_builder.plan.task import Kind
from bigtop_builder.recipe.evaluate import RenderedFile

if TYPE_CHECKING:
    from pydantic import TypeAdapter

ImageRole = Literal["compile", "package", "host"]
"""What a task uses an image for: to compile in, to package in, to install the packages on."""


@dataclass(frozen=True)
class Patch:
    """A patch to apply with ``patch -p1 -F0``. ``place`` is where the user keeps it, for messages only."""

    name: str
    note: str
    content: bytes
    place: str


@dataclass(frozen=True)
class Limits:
    """Limits of a container and of each command in it. ``memory`` is in bytes, the times are in seconds."""

    memory: int
    cpus: float | None
    seconds: int
    """How long one command may take."""
    lifetime: int
    """How long the container may live."""


@dataclass(frozen=True)
class ExpectedPackage:
    """What the check step expects of one RPM."""

    name: str
    requires: tuple[str, ...]
    """As the component file has them: ``%{version}`` and ``%{release}`` stand for the package's own."""
    services: tuple[str, ...]
    scripts: tuple[str, ...]
    """The scriptlets that it must have: ``pre``, ``post`` …"""


@dataclass(frozen=True)
class SmokePart:
    """One component of a smoke test: how to bring it up, and how to test it."""

    component: str
    packages: tuple[str, ...]
    """The names of packages to install; empty for all of the component."""
    environment: Mapping[str, str]
    files: tuple[RenderedFile, ...]
    """``smoke.sh``, ``start.sh`` and whatever they use."""
    seconds: int
    """How long each script may take."""


@dataclass(frozen=True)
class SmokeOrder:
    """The smoke test of a package task."""

    parts: tuple[SmokePart, ...]
    """The components in the order in which they start; the last one is tested."""
    keys: Mapping[str, str]
    """Component → key of its packages, for all but the tested one."""
    limits: Limits
    missing: tuple[str, ...] = ()
    """The needs that have no packages or no smoke test here. With any, the test is skipped."""


@dataclass(frozen=True)
class WorkOrder:
    """One task to carry out. Fields that only one kind of task uses are empty in orders of the other kind."""

    __pydantic_config__ = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    task: str
    """The task's id: ``zookeeper@el8/package``."""
    kind: Kind
    key: str
    ingredients: Mapping[str, str]
    packaging: str
    """Which packaging carries it out: ``component-files`` or ``bigtop``."""
    component: str
    version: str
    release: str
    """With the dist tag: ``1.el8``."""
    arch: str
    """The RPM architecture of the packages: ``noarch``, or that of ``machine``."""
    machine: str
    """The architecture to build on: ``x86_64``."""
    platform: str
    """The platform whose name and dist tag the packages carry."""
    builder: str
    """The platform whose images build."""
    epoch: int
    """``SOURCE_DATE_EPOCH``."""
    images: Mapping[ImageRole, str]
    """The keys of the images. A compile task without ``compile`` needs no container."""
    limits: Limits
    """Of steps that have none of their own: patch, package, check."""
    build_limits: Limits
    """Of the step that runs upstream's own build."""
    disk: int
    """The most bytes that a container may write."""
    result_size: int
    """The most bytes that the host takes over from containers."""
    result_files: int
    """The most files and folders that the host takes over from containers."""
    log_size: int
    """The most bytes that the log of one step may have."""
    archive_limits: ArchiveLimits = DEFAULT
    """The bounds of sources and of what a build packed."""
    forced: bool = False
    """Whether to build although the key has a result already."""
    from_shell: str | None = None
    """The key of the failed task whose tree, finished by hand in a shell, is taken over instead of compiling."""
    repeated: bool = False
    """Whether to build a second time in scratch, only to compare with the result of the key."""
    dependency_keys: Mapping[str, str] = field(default_factory=dict)
    """Component → key: of its staged tree when this order compiles, of its packages when it packages."""
    compile_key: str | None = None
    """The staged tree that a package task starts from; None when the component compiles nothing."""
    sources: tuple[Source, ...] = ()
    local_source: str | None = None
    """The user's own tree or archive, in the place of the main source."""
    local_copy: str | None = None
    """Where that is on the machine that carries the order out, if not in the same place."""
    version_chosen: bool = False
    """Whether the user chose the version, whatever a local source says that it is."""
    source_base: str | None = None
    """The folder that the paths of ``file:`` sources start from; None when there is no such source."""
    patches: tuple[Patch, ...] = ()
    script: str = ""
    """The compile script, or the install script."""
    environment: Mapping[str, str] = field(default_factory=dict)
    network: bool = False
    """Whether the compile step may use the network."""
    lock: Lock | None = None
    """What the compile step may download; with it there is no network."""
    caches: tuple[CacheName, ...] = ()
    maven: bool = False
    """Whether the compile step runs Maven, which must know where its repository is."""
    files: tuple[RenderedFile, ...] = ()
    spec: str = ""
    packages: tuple[ExpectedPackage, ...] = ()
    package_format: str = ""
    """The name of the format of the packages: ``rpm``."""
    package_files: tuple[str, ...] = ()
    """The file names of the expected packages."""
    smoke: SmokeOrder | None = None
    """The smoke test, where the component has one and the project does not turn it off."""
    smoke_only: bool = False
    """Whether to run nothing but the smoke test, on the packages in the store."""
    notes: tuple[str, ...] = ()
    """What the user should know of the result and is known before it exists."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """JSON: what the result's manifest says that is known beforehand."""
    payload: Mapping[str, Any] = field(default_factory=dict)
    """JSON: whatever else the steps of this packaging need."""


def to_json(order: WorkOrder) -> bytes:
    """Return the order as JSON; the content of files is in base64."""
    return _adapter().dump_json(order)


def from_json(text: bytes | str) -> WorkOrder:
    """Read an order back from JSON. Raises pydantic's ValidationError for anything else."""
    return _adapter().validate_json(text)


@cache
def _adapter() -> TypeAdapter[WorkOrder]:
    # Takes some tens of milliseconds to make, which a build on this machine never has to spend.
    from pydantic import TypeAdapter

    return TypeAdapter(WorkOrder)
