"""A cluster's inventory (``inventories/*.yaml``): hosts, access, Ambari, repositories, layout, configurations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from bigtop_builder.model.base import (
    AMBARI_VERSION,
    CAPITALS,
    CLUSTER,
    DOTTED_VERSION,
    IDENTIFIER,
    RACK,
    REPOSITORY_URL,
    REPOSITORY_VERSION,
    SERVER_URL,
    STACK_NAME,
    AbsolutePath,
    Duration,
    FileName,
    HostPath,
    Name,
    PlainText,
    StrictModel,
)
from bigtop_builder.model.kerberos import Security
from bigtop_builder.model.layout_choice import LayoutChoice, Placement, Size
from bigtop_builder.model.login import Address, Login, Ssh
from bigtop_builder.model.properties import Configurations, SecretReference
from bigtop_builder.model.repository import ProxyAddress, Repository, RepositoryAccess, RepositoryCredentials
from bigtop_builder.model.standalone import GroupName, HostPattern, PackageName, Standalone, UserName

ServiceName = Annotated[str, StringConstraints(pattern=CAPITALS, max_length=80)]
"""A service by its name in Ambari: ``ZOOKEEPER``, ``SPARK``."""

ComponentName = Annotated[str, StringConstraints(pattern=CAPITALS, max_length=80)]
"""A component by its name in Ambari: ``ZOOKEEPER_SERVER``."""

OsFamily = Literal["redhat7", "redhat8", "redhat9", "openeuler22"]
"""An operating system by the key of its repositories in Ambari."""

DriverKind = Literal["mysql", "postgresql"]
DatabaseKind = Literal["embedded", "postgresql", "mysql", "mariadb"]


class Host(Login):
    """Settings of a single host."""

    address: Address | None = None
    """Address for SSH if the name of the host does not resolve here."""
    rack: PlainText | None = Field(default=None, pattern=RACK)
    """The rack, such as ``/dc1/rack2``; without it, the group's. A host without any keeps the rack that it has in
    Ambari. After a change Ambari marks services that depend on racks (HDFS) as outdated; ``deploy`` restarts them."""


class Component(StrictModel):
    """A component of a group with a provision action other than install and start."""

    name: ComponentName
    """The component's name in Ambari: ``ZOOKEEPER_SERVER``."""
    provision: Literal["INSTALL_AND_START", "INSTALL_ONLY", "START_ONLY"] = "INSTALL_AND_START"
    """What the blueprint does with it: install and start, install only, or start what is installed."""


class Group(Login):
    """Hosts with the same components. A host belongs to one group only."""

    hosts: list[HostPattern] = Field(min_length=1)
    """The hosts, by name or as ranges: ``node[01-50].example.com``."""
    components: list[ComponentName | Component] = Field(default_factory=list)
    """Empty with ``layout: auto``: the stack advisor places components."""
    configurations: Configurations = Field(default_factory=dict)
    """Properties with other values on the hosts of this group."""
    rack: PlainText | None = Field(default=None, pattern=RACK)
    """The rack of all hosts of the group that have none of their own."""


class Https(StrictModel):
    """HTTPS of an Ambari server that ``deploy`` sets up. The files are copied to it."""

    certificate: HostPath
    """Path of the PEM certificate."""
    key: HostPath
    """Path of the PEM key."""
    key_password: SecretReference | None = None
    """The passphrase of the key."""
    port: int = Field(default=8443, ge=1, le=65535)
    """The HTTPS port of the server."""


class Database(StrictModel):
    """Ambari's database."""

    kind: DatabaseKind = "embedded"
    """``embedded``: the PostgreSQL that ``ambari-server setup`` creates on the server itself."""
    host: Address | None = None
    """The host that it runs on. Default: the host of the Ambari server."""
    port: int | None = Field(default=None, ge=1, le=65535)
    """The database's port; by default the usual one of its kind."""
    name: str = Field(default="ambari", pattern=IDENTIFIER)
    """The name of the database."""
    user: str = Field(default="ambari", pattern=IDENTIFIER)
    """The database user of the Ambari server."""
    password: SecretReference | None = None
    """The password of that user; required unless ``kind`` is ``embedded``."""
    driver: AbsolutePath | None = None
    """Path of the JDBC driver on the Ambari server's host; ``driver_package`` installs it."""
    driver_package: PackageName | None = None
    """The package of the JDBC driver, installed on the Ambari server's host."""
    create: bool = True
    """Whether to create a missing database and its user, if the database is on a host of the inventory."""

    @model_validator(mode="after")
    def _complete(self) -> Database:
        if self.kind != "embedded" and self.password is None:
            raise ValueError("a database that is not embedded requires a password")
        return self

    @property
    def registered_driver(self) -> DriverKind | None:
        """The database whose driver is registered for Ambari itself; it contains one for PostgreSQL."""
        if self.kind in ("mysql", "mariadb"):
            return "mysql"
        return "postgresql" if self.kind == "postgresql" and (self.driver or self.driver_package) else None


class Driver(StrictModel):
    """A JDBC driver that the Ambari server hands to services: ``package`` installs it, or it is at ``path`` already."""

    path: AbsolutePath | None = None
    """Path of the jar on the Ambari server's host. Default: where the distribution's package of the driver puts it."""
    package: PackageName | None = None
    """The package of the driver, installed on the Ambari server's host."""

    @model_validator(mode="after")
    def _given(self) -> Driver:
        if self.path is None and self.package is None:
            raise ValueError("path or package is required")
        return self


class NewServer(StrictModel):
    """An Ambari server that ``deploy`` sets up, with its agents."""

    host: Address
    """The server's host, as ``hostname -f`` prints it there; it does not have to be in a group."""
    repository: str = Field(pattern=REPOSITORY_URL)
    """Base URL of the yum repository with ambari-server and ambari-agent. Replaced like the ``url`` of repositories."""
    gpg_key: str | None = Field(default=None, pattern=REPOSITORY_URL)
    """URL of the key that signs it."""
    gpg_check: bool = True
    """Whether to check the signatures of its packages."""
    repository_credentials: RepositoryCredentials | None = None
    """User and password for the repository."""
    repository_proxy: ProxyAddress | None = None
    """The proxy through which hosts reach the repository."""
    repository_proxy_credentials: RepositoryCredentials | None = None
    """User and password for that proxy."""
    version: str | None = Field(default=None, pattern=AMBARI_VERSION)
    """The version to install. Default: the newest in the repository."""
    java_home: AbsolutePath | None = None
    """The JDK of Ambari itself, on all hosts; from 3.1 on it has to be 17 or newer. Default: ``prepare.java_home``, or
    the ``java`` of the server's host. ``prepare.packages`` may install it beside ``prepare.jdk``."""
    stack_java_home: AbsolutePath | None = None
    """The JDK of the services, on all hosts. Default: the one of Ambari itself."""
    https: Https | None = None
    """HTTPS of the server; without it, it serves plain HTTP."""
    agent_user: UserName = "root"
    """Who runs the agents. Another user than root is created, and gets the rules of sudo that agents need
    (``/etc/sudoers.d``); it may switch to the accounts of services that ``*-env`` types in ``configurations`` name."""
    database: Database = Database()
    """Ambari's own database."""
    drivers: dict[DriverKind, Driver] = Field(default_factory=dict)
    """JDBC drivers for services with an existing database, such as Hive; ``mysql`` is for MariaDB too."""
    initial_password: SecretReference | None = None
    """The administrator's password after the installation. Default: ``admin``, as shipped by Ambari."""

    @model_validator(mode="after")
    def _one_driver(self) -> NewServer:
        own = self.database.registered_driver
        if own is not None and own in self.drivers:
            raise ValueError(f"database registers the driver for {own}, so drivers must not have another one")
        return self

    @property
    def repository_access(self) -> RepositoryAccess:
        """How hosts get at Ambari's own repository."""
        return RepositoryAccess(
            credentials=self.repository_credentials,
            proxy=self.repository_proxy,
            proxy_credentials=self.repository_proxy_credentials,
        )

    @property
    def registered_drivers(self) -> tuple[str, ...]:
        """The databases whose drivers the server hands to services."""
        own = self.database.registered_driver
        return (*self.drivers, *((own,) if own else ()))


class Ambari(StrictModel):
    """The Ambari server."""

    url: str = Field(pattern=SERVER_URL)
    """``http://ambari.example.com:8080``."""
    user: PlainText = Field(default="admin", min_length=1)
    """The administrator to log in as."""
    password: SecretReference
    """The password of that administrator."""
    ca: HostPath | None = None
    """PEM file of the authority that signed the server's certificate. Default: ``network.ca_bundle``, or the
    authorities of this machine. Verification cannot be turned off."""
    setup: NewServer | None = None
    """If present, ``deploy`` sets up the server and its agents; otherwise it uses the server as it is."""
    timeout: Duration = "60s"
    """Time limit of one response."""
    poll: Duration = "2s"
    """Time between two polls of a running request."""
    registration_timeout: Duration = "10m"
    """Time limit for agents to register."""
    request_timeout: Duration = "2h"
    """Time limit of one Ambari request."""


class StackChoice(StrictModel):
    """The Ambari stack of the cluster."""

    name: str = Field(default="BIGTOP", pattern=STACK_NAME)
    """The stack's name in Ambari."""
    version: str = Field(default="3.2.0", pattern=DOTTED_VERSION)
    """The stack's version in Ambari."""
    repository_version: str | None = Field(default=None, pattern=REPOSITORY_VERSION)
    """The version string of the packages, without build number unless an adopted cluster has one. Default: the version
    of the stack. Ambari derives package names from it: ``3.2.0`` → ``_3_2_0``. If it changes, the services of an
    existing cluster are upgraded."""
    packages: Literal["present", "latest"] = "present"
    """``present`` keeps installed packages and only reports newer releases in the repository; ``latest`` upgrades the
    services to them, one service after the other."""


class Prepare(StrictModel):
    """What ``hosts prepare`` sets up if it is missing."""

    repositories: bool = True
    """Whether to write files of the inventory's repositories on the hosts. Ambari's agents write their own."""
    hosts_entries: bool = False
    """Whether to list all hosts in every host's ``/etc/hosts`` (for sites without DNS)."""
    jdk: PackageName | None = "java-1.8.0-openjdk-devel"
    """The package of the JDK; null leaves Java alone."""
    java_home: AbsolutePath | None = None
    """Where the JDK is. Default: detected on the host."""
    chrony: bool = True
    """Whether to set up chronyd where no other service keeps the time."""
    ntp_servers: list[Address] = Field(default_factory=list)
    """The NTP servers that chronyd asks, instead of those in its configuration: ``[ntp1.example.com]``. An empty list
    leaves the configuration as it is."""
    limits: bool = True
    """Whether to raise the limits of open files and processes of the services' users."""
    transparent_huge_pages: Literal["never", "madvise", "keep"] = "madvise"
    """The setting of transparent huge pages, for now and for every boot; ``keep`` leaves it alone."""
    swappiness: int | None = Field(default=1, ge=0, le=200)
    """The value of ``vm.swappiness``; ``null`` leaves it alone."""
    selinux: Literal["permissive", "enforcing", "disabled", "keep"] = "permissive"
    """The mode of SELinux, for now and for every boot; ``keep`` leaves it alone."""
    firewall: Literal["keep", "disable"] = "keep"
    """``disable`` stops firewalld, for now and for every boot; ``keep`` leaves it alone."""
    users: dict[UserName, list[UserName]] = Field(default_factory=dict)
    """Users to create, with their supplementary groups."""
    packages: list[PackageName] = Field(default_factory=list)
    """Additional packages to install."""
    powertools: bool = False
    """Whether to enable the operating system's repository with development packages, which is off by default:
    PowerTools on EL 8, CRB on EL 9. HDFS installs ``snappy-devel`` and ``libtirpc-devel`` from it."""
    jdbc_driver: PackageName | None = None
    """The package of a JDBC driver for services that use a database."""
    ca: HostPath | None = None
    """PEM file of the authorities that signed the certificates of HTTPS repositories. It is copied to the hosts and
    set as ``sslcacert`` of the repositories."""


class Demands(StrictModel):
    """What ``hosts check`` requires."""

    memory: int = Field(default=4, ge=0)
    """GiB."""
    disk: int = Field(default=20, ge=0)
    """Free GiB on each of ``mounts``."""
    mounts: list[AbsolutePath] = Field(default_factory=lambda: ["/", "/usr", "/var"])
    """The mount points, or folders, whose free space is checked."""
    clock_skew: Duration = "5s"
    """How far a host's clock may be from that of this machine, and from those of the other hosts."""
    open_files: int = Field(default=32768, ge=0)
    """The least limit of open files."""
    ignore: list[str] = Field(default_factory=list)
    """Names of checks to skip."""


class Job(StrictModel):
    """A real job for ``verify`` to run."""

    on: str
    """A host, or a group: the job runs on its first host."""
    user: UserName = "root"
    """The user that runs the command."""
    command: str
    """The command to run on the host."""
    expect: str | None = None
    """A regular expression that the output must match; the exit code must be 0 as well."""
    timeout: Duration = "10m"
    """Time limit of the command."""


class Inventory(StrictModel):
    """An inventory: a cluster's hosts, layout, configurations, and how to reach them."""

    cluster: str = Field(pattern=CLUSTER)
    """The name of the cluster in Ambari."""
    stack: StackChoice = StackChoice()
    """The Ambari stack of the cluster."""
    services: list[ServiceName] = Field(default_factory=list)
    """The services of the cluster. Optional with ``layout: groups``, where the components determine them."""
    ssh: Ssh = Ssh()
    """How to reach the hosts."""
    ambari: Ambari | None = None
    """Without it, ``deploy`` only prepares hosts and sets up stand-alone services."""
    repositories: list[Repository] = Field(default_factory=list)
    """Yum repositories with the packages of the stack."""
    hosts: dict[str, Host] = Field(default_factory=dict)
    """Settings of single hosts, by name."""
    groups: dict[GroupName, Group] = Field(min_length=1)
    """Groups of hosts with the same components, by name."""
    layout: Placement | LayoutChoice = "groups"
    """Who places components: the ``groups``, or Ambari's stack advisor (``auto``). ``{by: groups, size: small}`` also
    chooses heaps and container memory."""
    configurations: Configurations = Field(default_factory=dict)
    """Configuration type (``zoo.cfg``) → property → value, for the whole cluster."""
    default_password: SecretReference | None = None
    """The value of every password property that is not given."""
    recommendation: Literal[
        "NEVER_APPLY", "ONLY_STACK_DEFAULTS_APPLY", "ALWAYS_APPLY", "ALWAYS_APPLY_DONT_OVERRIDE_CUSTOM_VALUES"
    ] = "NEVER_APPLY"
    """Whether Ambari's stack advisor may set configurations when it creates the cluster."""
    security: Security = Security()
    """Kerberos; without it the cluster has none."""
    prepare: Prepare = Prepare()
    """What ``hosts prepare`` sets up."""
    require: Demands = Demands()
    """What ``hosts check`` requires."""
    standalone: dict[Name, Standalone] = Field(default_factory=dict)
    """Packages, files and services that Ambari does not manage, by name."""
    jobs: dict[FileName, Job] = Field(default_factory=dict)
    """Jobs for ``verify`` to run, by name."""

    @property
    def agents_write_repositories(self) -> bool:
        """Whether agents write the repository files; what they write is open to all, and knows no proxy."""
        return not any(one.credentials or one.proxy for one in self.repositories)

    @property
    def placement(self) -> Placement:
        """Who places components."""
        return self.layout.by if isinstance(self.layout, LayoutChoice) else self.layout

    @property
    def size(self) -> Size | None:
        """How heaps and container memory are chosen; None for the stack's values."""
        return self.layout.size if isinstance(self.layout, LayoutChoice) else None
