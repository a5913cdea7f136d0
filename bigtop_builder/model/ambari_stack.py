"""What one of Ambari's stacks knows: services, their components, and what agents ask of packages, selector and paths.

``ambari: "3.0"`` at an entry says that only that line of Ambari has it; the entries without a mark are common to 2.8
and 3.0. Read from Ambari's own REST answers (stack services, 3.0.0.0) and its stack definitions (2.8.0 and 3.0).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from bigtop_builder.model.base import StrictModel

AmbariLine = Literal["2.8", "3.0"]
Category = Literal["MASTER", "SLAVE", "CLIENT"]
Scope = Literal["host", "cluster"]
Origin = Literal["stack", "system", "ambari"]
"""Where a package comes from: the stack's repository, the operating system's repositories, or those that hold
Ambari's own companions (metrics, infra)."""

ConfigurationFlag = Literal["adding_forbidden", "do_not_extend", "final"]


def _keyed(key: str) -> BeforeValidator:
    """A plain value stands for a mapping with that one key."""

    def spell_out(value: Any) -> Any:
        return value if isinstance(value, dict | StrictModel) else {key: value}

    return BeforeValidator(spell_out)


class Dependency(StrictModel):
    """A component that another one needs on its host or in its cluster."""

    on: str = Field(pattern=r"^[A-Z][A-Z0-9_]*/[A-Z][A-Z0-9_]*$")
    """Service and component: ``HDFS/HDFS_CLIENT``."""
    scope: Scope = "host"
    when: list[str] = Field(default_factory=list)
    """Configuration properties that must exist, all of them: ``hdfs-site/dfs.nameservices``."""
    auto: bool = True
    """Whether Ambari adds the component by itself where it is missing."""

    @property
    def service(self) -> str:
        return self.on.partition("/")[0]

    @property
    def component(self) -> str:
        return self.on.partition("/")[2]


class BulkCommands(StrictModel):
    """How Ambari's web page offers commands over all components of a kind."""

    title: str
    master: str


class StackComponent(StrictModel):
    """A component of a service."""

    category: Category
    cardinality: str = Field(pattern=r"^(ALL|[0-9]+(\+|-[0-9]+)?)$")
    """``1``, ``1+``, ``0-1`` or ``ALL``: how often a cluster has it."""
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
    """Whether Ambari adds it where it is missing; ``YARN/RESOURCEMANAGER`` names the component it goes beside."""
    dependencies: list[Annotated[Dependency, _keyed("on")]] = Field(default_factory=list)
    select: list[str] = Field(default_factory=list)
    """Names that the selector must know: the first is the component's own, all are set after an installation."""
    paths: list[str] = Field(default_factory=list)
    """Paths besides the folders of ``select`` that Ambari's scripts use; ``{root}`` and ``{version}`` in them."""
    ambari: AmbariLine | None = None

    @property
    def is_client(self) -> bool:
        return self.category == "CLIENT"


class ConfigurationType(StrictModel):
    """A configuration type of a service."""

    supports: list[ConfigurationFlag] = Field(default_factory=list)
    ambari: AmbariLine | None = None


class PackageDemand(StrictModel):
    """A package that an agent installs on every host with any component of the service."""

    name: str
    """``{version}`` stands for the repository version with ``_`` for ``.`` and ``-``."""
    origin: Origin = "stack"
    component: str | None = None
    """Given: asked for only in clusters that have this component."""
    families: list[str] = Field(default_factory=list)
    """Given: asked for only on these OS families."""
    ambari: AmbariLine | None = None


class StackService(StrictModel):
    """A service."""

    version: str
    title: str
    requires: list[str] = Field(default_factory=list)
    check: str | None = None
    """The command of its service check; without it ``<NAME>_SERVICE_CHECK``."""
    configurations: dict[str, Annotated[ConfigurationType, _keyed("supports")]] = Field(default_factory=dict)
    passwords: list[str] = Field(default_factory=list)
    """Password properties without a default: ``hive-site/javax.jdo.option.ConnectionPassword``."""
    packages: list[Annotated[PackageDemand, _keyed("name")]] = Field(default_factory=list)
    conf_dirs: dict[str, str] = Field(default_factory=dict)
    """Folder of configuration files → the link to it below the stack's root:
    ``/etc/zookeeper/conf: current/zookeeper-client/conf``."""
    components: dict[str, StackComponent]
    defaults: dict[str, dict[str, str | None]] = Field(default_factory=dict)
    """Default properties by configuration type, as far as they are known here."""
    property_types: dict[str, dict[str, list[str]]] = Field(default_factory=dict)
    """``zookeeper-env: {zk_user: [USER]}``."""
    ambari: AmbariLine | None = None


class Selector(StrictModel):
    """One of the tools that set which version of the stack is in use."""

    name: str
    path: str
    package: str


class Tools(StrictModel):
    """The selector of versions and that of configuration folders."""

    select: Selector
    conf: Selector


class OsRepository(StrictModel):
    """The repository that Ambari uses for an OS family when it is told nothing else."""

    id: str
    name: str
    url: str
    ambari: AmbariLine | None = None


class Feature(StrictModel):
    """From which version of the stack, and below which, Ambari's scripts do something."""

    min: str | None = None
    max: str | None = None


class StackDefinition(StrictModel):
    """A stack of Ambari's, as one line of Ambari knows it (see cluster/stack_data)."""

    name: str
    version: str
    extends: str | None = None
    """A stack of the same name whose file this one is laid over."""
    root: str = "/usr/bigtop"
    tools: Tools
    families: dict[str, OsRepository]
    folders: dict[str, list[str]]
    """Folder below ``<root>/<version>/usr/lib`` → names of the selector that may be set to it."""
    features: dict[str, Annotated[Feature, _keyed("min")]] = Field(default_factory=dict)
    defaults: dict[str, dict[str, str | None]] = Field(default_factory=dict)
    """Default properties of the configuration types that belong to no service (``cluster-env``)."""
    services: dict[str, StackService]

    @property
    def id(self) -> str:
        """``BIGTOP-3.2.0``."""
        return f"{self.name}-{self.version}"

    def service_of(self, component: str) -> str | None:
        """The service that has ``component``; None for an unknown one."""
        return next((name for name, service in self.services.items() if component in service.components), None)

    def component(self, name: str) -> StackComponent | None:
        """A component by its name, which is unique in a stack; None for an unknown one."""
        service = self.service_of(name)
        return self.services[service].components[name] if service else None

    def check_command(self, service: str) -> str:
        """``ZOOKEEPER_QUORUM_SERVICE_CHECK``: the command that checks a service."""
        return self.services[service].check or f"{service}_SERVICE_CHECK"

    def configuration_types(self) -> dict[str, str | None]:
        """Every configuration type → its service; None for those of the stack itself."""
        known: dict[str, str | None] = dict.fromkeys(self.defaults)
        for name, service in self.services.items():
            known.update(dict.fromkeys(service.configurations, name))
        return known

    def folder_of(self, selected: str) -> str | None:
        """The folder that a name of the selector is set to: ``hadoop-hdfs-namenode`` → ``hadoop-hdfs``."""
        return next((folder for folder, names in self.folders.items() if selected in names), None)
