"""An Ambari stack: services, their components, and the packages, selector names and paths that agents expect.

``ambari: "3.0"`` marks an entry that only that line of Ambari has; entries without a mark are common to 2.8 and 3.0.
Taken from Ambari's own REST answers (stack services, 3.0.0.0) and its stack definitions (2.8.0 and 3.0).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from bigtop_builder.model.base import StrictModel

AmbariLine = Literal["2.8", "3.0"]
Category = Literal["MASTER", "SLAVE", "CLIENT"]
Scope = Literal["host", "cluster"]
Origin = Literal["stack", "system", "ambari"]
"""Where a package comes from: the stack's repository, those of the operating system, or those of Ambari's own
companions (metrics, infra)."""

ConfigurationFlag = Literal["adding_forbidden", "do_not_extend", "final"]


def _keyed(key: str) -> BeforeValidator:
    """Accept a plain value instead of a mapping with only that key."""

    def spell_out(value: Any) -> Any:
        return value if isinstance(value, dict | StrictModel) else {key: value}

    return BeforeValidator(spell_out)


class Dependency(StrictModel):
    """A component that another one requires on its host or in its cluster."""

    on: str = Field(pattern=r"^[A-Z][A-Z0-9_]*/[A-Z][A-Z0-9_]*$")
    """Service and component: ``HDFS/HDFS_CLIENT``."""
    scope: Scope = "host"
    when: list[str] = Field(default_factory=list)
    """Configuration properties that must all exist: ``hdfs-site/dfs.nameservices``."""
    auto: bool = True
    """Whether Ambari adds a missing component by itself."""

    @property
    def service(self) -> str:
        """The service: ``HDFS``."""
        return self.on.partition("/")[0]

    @property
    def component(self) -> str:
        """The component: ``HDFS_CLIENT``."""
        return self.on.partition("/")[2]


class Need(StrictModel):
    """A file that a component's scripts or configuration use, although no package list of the stack has its package."""

    path: str
    """With ``{root}`` and ``{version}``; ``*`` matches any characters."""
    package: str
    """The package that has it, with ``{version}`` as in package lists."""
    why: str
    """What happens without it: ``DataNodes end some seconds after they have started``."""
    when: dict[str, str] = Field(default_factory=dict)
    """Property → value: the file is needed only if all of them are given like this. None of them is a default."""
    unless: dict[str, str] = Field(default_factory=dict)
    """Property → value: with any of them the file is not needed. The first is the advice if the file is missing."""
    settle: bool = False
    """Whether a deployment sets the first of ``unless`` itself if the file is missing."""
    level: Literal["error", "warning"] = "error"


class BulkCommands(StrictModel):
    """How Ambari's web page shows commands for all components of a kind."""

    title: str
    master: str


class StackComponent(StrictModel):
    """A component of a service."""

    category: Category
    cardinality: str = Field(pattern=r"^(ALL|[0-9]+(\+|-[0-9]+)?)$")
    """The number of instances in a cluster: ``1``, ``1+``, ``0-1`` or ``ALL``."""
    title: str
    kind: str | None = None
    advertises_version: bool = True
    commands: list[str] = Field(default_factory=list)
    """Custom commands."""
    bulk: BulkCommands | None = None
    decommission: bool = False
    reassign: bool = False
    recovery: bool = False
    rolling_restart: bool = False
    auto_deploy: bool | str = False
    """Whether Ambari adds it where missing; ``YARN/RESOURCEMANAGER`` names the component whose host it is added to."""
    dependencies: list[Annotated[Dependency, _keyed("on")]] = Field(default_factory=list)
    select: list[str] = Field(default_factory=list)
    """Names that the selector must know: first the component's own. All are set after an installation."""
    paths: list[str] = Field(default_factory=list)
    """More paths that Ambari's scripts use, with ``{root}`` and ``{version}``."""
    needs: list[Need] = Field(default_factory=list)
    after: list[str] = Field(default_factory=list)
    """Components that must run before this one starts (Ambari's role command order)."""
    restart_after: list[str] = Field(default_factory=list)
    """Further components that restart before this one, though Ambari starts them together."""
    ambari: AmbariLine | None = None

    @property
    def is_client(self) -> bool:
        """Whether it is a client, which has no process."""
        return self.category == "CLIENT"


class ConfigurationType(StrictModel):
    """A configuration type of a service."""

    supports: list[ConfigurationFlag] = Field(default_factory=list)
    restarts: list[str] | None = None
    """The components that a change makes outdated, if these are not all components of the service."""
    ambari: AmbariLine | None = None


class PackageDemand(StrictModel):
    """A package that agents install on every host with a component of the service."""

    name: str
    """The package name; ``{version}`` is the repository version with ``_`` instead of ``.`` and ``-``."""
    origin: Origin = "stack"
    component: str | None = None
    """If set, only clusters with this component need it."""
    families: list[str] = Field(default_factory=list)
    """If set, only hosts of these OS families need it."""
    ambari: AmbariLine | None = None


class StackService(StrictModel):
    """A service."""

    version: str
    title: str
    requires: list[str] = Field(default_factory=list)
    check: str | None = None
    """The command of its service check; by default ``<NAME>_SERVICE_CHECK``."""
    configurations: dict[str, Annotated[ConfigurationType, _keyed("supports")]] = Field(default_factory=dict)
    reads: list[str] = Field(default_factory=list)
    """Configuration types of other services whose change makes the components of this one outdated, too."""
    restarts_after: list[Literal["added", "rack"]] = Field(default_factory=list)
    """What else makes Ambari ask for a restart of the whole service: ``added``, when a component of it that is no
    client is added to a host or removed from one; ``rack``, when a host of the cluster gets another rack."""
    passwords: list[str] = Field(default_factory=list)
    """Password properties without a default: ``hive-site/javax.jdo.option.ConnectionPassword``."""
    packages: list[Annotated[PackageDemand, _keyed("name")]] = Field(default_factory=list)
    conf_dirs: dict[str, str] = Field(default_factory=dict)
    """Folder of configuration files → the link to it below the stack's root:
    ``/etc/zookeeper/conf: current/zookeeper-client/conf``."""
    components: dict[str, StackComponent]
    defaults: dict[str, dict[str, str | None]] = Field(default_factory=dict)
    """Known default properties by configuration type."""
    property_types: dict[str, dict[str, list[str]]] = Field(default_factory=dict)
    """``zookeeper-env: {zk_user: [USER]}``."""
    ambari: AmbariLine | None = None

    def types_read_by(self, component: str) -> list[str]:
        """Return the configuration types whose change makes a component of the service outdated."""
        own = (kind for kind, one in self.configurations.items() if one.restarts is None or component in one.restarts)
        return [*own, *self.reads]


class Selector(StrictModel):
    """A tool that sets the active version of the stack."""

    name: str
    path: str
    package: str


class Tools(StrictModel):
    """The selectors of versions and of configuration folders."""

    select: Selector
    conf: Selector
    python: dict[AmbariLine, Literal[2, 3]]
    """The Python with which agents of each line run them (``ambari-python-wrap``)."""


class OsRepository(StrictModel):
    """Ambari's default repository for an OS family, and what is to be known of its hosts."""

    id: str
    name: str
    url: str
    ambari: AmbariLine | None = None
    absent_commands: list[str] = Field(default_factory=list)
    """Commands that a host lacks unless a package requires them: ``python`` on those of Red Hat's family from 8 on."""


class Feature(StrictModel):
    """The range of stack versions for which Ambari's scripts do something: from ``min``, below ``max``."""

    min: str | None = None
    max: str | None = None


class StackDefinition(StrictModel):
    """An Ambari stack, as one line of Ambari defines it (see cluster/stack_data)."""

    name: str
    version: str
    extends: str | None = None
    """The version of the same stack that this one extends."""
    root: str = "/usr/bigtop"
    tools: Tools
    line: AmbariLine = "3.0"
    """The line of Ambari that defines the stack like this."""
    families: dict[str, OsRepository]
    folders: dict[str, list[str]]
    """Folder below ``<root>/<version>/usr/lib`` → selector names that may point to it."""
    features: dict[str, Annotated[Feature, _keyed("min")]] = Field(default_factory=dict)
    defaults: dict[str, dict[str, str | None]] = Field(default_factory=dict)
    """Default properties of configuration types without a service (``cluster-env``)."""
    services: dict[str, StackService]

    @property
    def id(self) -> str:
        """``BIGTOP-3.2.0``."""
        return f"{self.name}-{self.version}"

    def service_of(self, component: str) -> str | None:
        """Return the service of ``component``; None for an unknown one."""
        return next((name for name, service in self.services.items() if component in service.components), None)

    def component(self, name: str) -> StackComponent | None:
        """Return a component by its name, which is unique in a stack; None for an unknown one."""
        service = self.service_of(name)
        return self.services[service].components[name] if service else None

    def check_command(self, service: str) -> str:
        """Return the command that checks a service: ``ZOOKEEPER_QUORUM_SERVICE_CHECK``."""
        return self.services[service].check or f"{service}_SERVICE_CHECK"

    def configuration_types(self) -> dict[str, str | None]:
        """Return every configuration type → its service; None for those of the stack itself."""
        known: dict[str, str | None] = dict.fromkeys(self.defaults)
        for name, service in self.services.items():
            known.update(dict.fromkeys(service.configurations, name))
        return known

    def folder_of(self, selected: str) -> str | None:
        """Return the folder that a selector name points to: ``hadoop-hdfs`` for ``hadoop-hdfs-namenode``."""
        return next((folder for folder, names in self.folders.items() if selected in names), None)
