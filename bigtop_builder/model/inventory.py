"""A cluster's inventory (``inventories/*.yaml``): hosts, access, Ambari, repositories, layout, configurations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from bigtop_builder.model.base import (
    CAPITALS,
    CLUSTER,
    HOSTS,
    REPOSITORY_URL,
    SECRET,
    SERVER_URL,
    Duration,
    Name,
    StrictModel,
)

SecretReference = Annotated[str, StringConstraints(pattern=SECRET)]
"""``env:NAME``, ``file:PATH``, ``command:COMMAND LINE`` (its first line of output) or ``prompt``: a secret is never
written into a file of ours."""

HostPattern = Annotated[str, StringConstraints(pattern=HOSTS, max_length=253)]
"""A host's FQDN, or a range of them: ``node[01-50].example.com``; the width of the first number is kept."""

GroupName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*$", max_length=80)]
ServiceName = Annotated[str, StringConstraints(pattern=CAPITALS, max_length=80)]
"""As Ambari writes them: ``ZOOKEEPER``, ``SPARK``."""

ComponentName = Annotated[str, StringConstraints(pattern=CAPITALS, max_length=80)]
"""As Ambari writes them: ``ZOOKEEPER_SERVER``."""

PackageName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$", max_length=120)]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/[^\x00\n]*$", max_length=4000)]
Mode = Annotated[str, StringConstraints(pattern=r"^0?[0-7]{3,4}$")]
"""Octal, quoted: ``"0644"``."""

UserName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]*\$?$", max_length=32)]
OsFamily = Literal["redhat7", "redhat8", "redhat9", "openeuler22"]
"""As Ambari keys repositories."""

DatabaseKind = Literal["embedded", "postgresql", "mysql", "mariadb"]


class Secret(StrictModel):
    """A configuration's value that is a secret."""

    secret: SecretReference


PropertyValue = str | int | float | bool | Secret
Properties = dict[str, PropertyValue]
Configurations = dict[str, Properties]
"""By configuration type (``zoo.cfg``), then by property."""


class Jump(StrictModel):
    """A jump host that every connection goes through."""

    host: str
    port: int = Field(default=22, ge=1, le=65535)
    user: UserName | None = None
    """Without it, the user of the hosts."""


class Ssh(StrictModel):
    """How hosts are reached."""

    user: UserName = "root"
    port: int = Field(default=22, ge=1, le=65535)
    key: str | None = None
    """Path of a private key."""
    key_passphrase: SecretReference | None = None
    agent: bool = True
    """Whether keys of a running SSH agent are offered too."""
    password: SecretReference | None = None
    sudo: bool = False
    """Whether commands run through ``sudo`` because the user is not root."""
    sudo_password: SecretReference | None = None
    """Without it, sudo must not ask."""
    jump: Jump | None = None
    known_hosts: str | None = None
    """Path of the file with host keys; without it the user's own ``~/.ssh/known_hosts``."""
    host_keys: Literal["strict", "accept-new"] = "strict"
    """``strict`` refuses hosts that are not known; ``accept-new`` notes their keys the first time. A changed key is
    always refused."""
    connect_timeout: Duration = "15s"
    command_timeout: Duration = "30m"
    """How long one command on a host may take."""
    parallel: int = Field(default=20, ge=1, le=500)
    """The most hosts that are worked on at once."""


class Host(StrictModel):
    """What is particular to one host."""

    address: str | None = None
    """Where SSH reaches it, when its name does not resolve here."""
    port: int | None = Field(default=None, ge=1, le=65535)
    rack: str | None = Field(default=None, pattern=r"^/.+")


class Component(StrictModel):
    """A component of a group that is not simply installed and started."""

    name: ComponentName
    provision: Literal["INSTALL_AND_START", "INSTALL_ONLY", "START_ONLY"] = "INSTALL_AND_START"


class Group(StrictModel):
    """Hosts of the same kind: they carry the same components. A host stands in one group only."""

    hosts: list[HostPattern] = Field(min_length=1)
    components: list[ComponentName | Component] = Field(default_factory=list)
    """Empty with ``layout: auto``, where the stack advisor places components."""
    configurations: Configurations = Field(default_factory=dict)
    """Properties that differ for this group."""
    rack: str | None = Field(default=None, pattern=r"^/.+")


class Https(StrictModel):
    """HTTPS for a server that we set up. The files are copied to it."""

    certificate: str
    """Path of the PEM certificate."""
    key: str
    """Path of the PEM key."""
    key_password: SecretReference | None = None
    port: int = Field(default=8443, ge=1, le=65535)


class Database(StrictModel):
    """Ambari's database."""

    kind: DatabaseKind = "embedded"
    """``embedded``: the PostgreSQL that ``ambari-server setup`` makes on the server itself."""
    host: str | None = None
    """Where it runs; without it on the Ambari server's own host."""
    port: int | None = Field(default=None, ge=1, le=65535)
    name: str = Field(default="ambari", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    user: str = Field(default="ambari", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    password: SecretReference | None = None
    driver: AbsolutePath | None = None
    """The JDBC driver on the Ambari server's host; it comes with ``driver_package``."""
    driver_package: PackageName | None = None
    create: bool = True
    """Whether the database and its user are made when they are missing and the database is on a host of ours."""

    @model_validator(mode="after")
    def _complete(self) -> Database:
        if self.kind != "embedded" and self.password is None:
            raise ValueError("a database that is not embedded needs a password")
        return self


class NewServer(StrictModel):
    """An Ambari server that we set up, and the agents with it."""

    host: str
    """The FQDN of the host that gets the server; it may, but need not, be a host of a group."""
    repository: str
    """Base address of the yum repository with ambari-server and ambari-agent."""
    gpg_key: str | None = None
    """Address of the key that signs it."""
    gpg_check: bool = True
    version: str | None = Field(default=None, pattern=r"^[0-9]+(\.[0-9]+){2,3}$")
    """The version to install; without it the newest of the repository."""
    java_home: AbsolutePath | None = None
    """Without it, the JDK that ``prepare.jdk`` names."""
    stack_java_home: AbsolutePath | None = None
    """A JDK for the services that differs from Ambari's own (Ambari 3.0)."""
    https: Https | None = None
    database: Database = Database()
    initial_password: SecretReference | None = None
    """The administrator's password as installed; without it ``admin``, as Ambari ships."""


class Ambari(StrictModel):
    """The Ambari server."""

    url: str = Field(pattern=SERVER_URL)
    """``http://ambari.example.com:8080``."""
    user: str = "admin"
    password: SecretReference
    ca: str | None = None
    """PEM file with the authority that signed the server's certificate; without it ``network.ca_bundle`` or the
    machine's own. Verification cannot be switched off."""
    setup: NewServer | None = None
    """Given: the server and its agents are set up. Not given: the server is used as it is."""
    timeout: Duration = "60s"
    """How long one answer may take."""
    poll: Duration = "2s"
    """Time between two looks at what runs."""
    registration_timeout: Duration = "10m"
    """How long agents may take to register."""
    request_timeout: Duration = "2h"
    """How long one of Ambari's requests may take."""


class Repository(StrictModel):
    """A yum repository that the packages of the stack come from."""

    id: str = Field(default="BIGTOP-3.2.0", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    url: str = Field(pattern=REPOSITORY_URL)
    """Base address, the folder that holds ``repodata``; ``{family}`` in it stands for the OS family of the hosts."""
    gpg_key: str | None = Field(default=None, pattern=REPOSITORY_URL)
    """Address of the public key; without it ``repodata/repomd.xml.key`` of the repository. ``{family}`` as in url."""
    gpg_check: bool = True
    """Whether packages' signatures are checked."""
    repo_gpg_check: bool = True
    """Whether the signature of the repository's metadata is checked."""


class StackChoice(StrictModel):
    """The stack of Ambari's that the cluster is made of."""

    name: str = Field(default="BIGTOP", pattern=r"^[A-Z][A-Z0-9]*$")
    version: str = Field(default="3.2.0", pattern=r"^[0-9]+(\.[0-9]+)+$")
    repository_version: str | None = Field(default=None, pattern=r"^[0-9]+(\.[0-9]+)+$")
    """The version string of the packages, without build; without it the stack's version. Ambari derives package
    names from it: ``3.2.0`` → ``_3_2_0``. Changed for a cluster that is there, its services move to that version."""
    packages: Literal["present", "latest"] = "present"
    """``present``: installed packages stay as they are, and newer releases in the repository are only told;
    ``latest``: the cluster's services move to them, one service after the other."""


class Kerberos(StrictModel):
    """Kerberos for the cluster."""

    realm: str
    kdc_type: Literal["mit-kdc", "active-directory", "ipa", "none"] = "mit-kdc"
    kdc_hosts: list[str] = Field(min_length=1)
    admin_server: str | None = None
    admin_principal: str
    admin_password: SecretReference


class Security(StrictModel):
    """Security of the cluster."""

    kerberos: Kerberos | None = None


class Prepare(StrictModel):
    """What ``hosts prepare`` sets when it is missing."""

    hosts_entries: bool = False
    """Whether every host's ``/etc/hosts`` names all hosts (for sites without DNS)."""
    jdk: PackageName | None = "java-1.8.0-openjdk-devel"
    """The JDK's package; null leaves Java alone."""
    java_home: AbsolutePath | None = None
    """Where it is; found out when not given."""
    chrony: bool = True
    limits: bool = True
    """Open files and processes of the services' users."""
    transparent_huge_pages: Literal["never", "madvise", "keep"] = "madvise"
    swappiness: int | None = Field(default=1, ge=0, le=200)
    selinux: Literal["permissive", "enforcing", "disabled", "keep"] = "permissive"
    firewall: Literal["keep", "disable"] = "keep"
    users: dict[UserName, list[UserName]] = Field(default_factory=dict)
    """Users to make, with their further groups."""
    packages: list[PackageName] = Field(default_factory=list)
    """Further packages to install."""
    jdbc_driver: PackageName | None = None
    """Package of a JDBC driver for services that use a database."""
    ca: str | None = None
    """PEM file of the authorities that signed the certificates of HTTPS repositories; it is copied to the hosts and
    named as their ``sslcacert``."""


class Demands(StrictModel):
    """What ``hosts check`` demands."""

    memory: int = Field(default=4, ge=0)
    """GiB."""
    disk: int = Field(default=20, ge=0)
    """GiB free on each of ``mounts``."""
    mounts: list[AbsolutePath] = Field(default_factory=lambda: ["/", "/usr", "/var"])
    clock_skew: Duration = "5s"
    open_files: int = Field(default=32768, ge=0)
    ignore: list[str] = Field(default_factory=list)
    """Names of checks that are not to be made."""


class File(StrictModel):
    """A file that a stand-alone service needs. ``content`` is a Jinja template over ``host``, ``hosts`` (of the
    entry), ``groups`` and ``services`` (the hosts of each stand-alone entry)."""

    content: str
    owner: UserName = "root"
    group: UserName = "root"
    mode: Mode = "0644"


class Health(StrictModel):
    """How a service shows that it works: exactly one of these, tried until ``within`` is over."""

    port: int | None = Field(default=None, ge=1, le=65535)
    http: str | None = None
    """An address that must answer below 400; ``{host}`` stands for the host."""
    command: str | None = None
    within: Duration = "60s"

    @model_validator(mode="after")
    def _one(self) -> Health:
        if sum(value is not None for value in (self.port, self.http, self.command)) != 1:
            raise ValueError("exactly one of port, http and command is needed")
        return self


class Service(StrictModel):
    """A system service: a systemd unit or an init script."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.@-]+$")
    enabled: bool = True
    health: Health | None = None


class Standalone(StrictModel):
    """Packages, files and services that Ambari does not manage."""

    hosts: list[GroupName | HostPattern] = Field(min_length=1)
    """Groups or hosts."""
    after: list[Name] = Field(default_factory=list)
    """Entries whose services must be healthy before these start."""
    packages: list[PackageName] = Field(default_factory=list)
    files: dict[AbsolutePath, File] = Field(default_factory=dict)
    select: dict[str, str] = Field(default_factory=dict)
    """``distro-select set NAME VERSION`` for each: ``{spark-client: 3.2.0}``."""
    services: list[Service] = Field(default_factory=list)


class Job(StrictModel):
    """A real job that ``verify`` runs."""

    on: str
    """The host, or the group whose first host, it runs on."""
    user: UserName = "root"
    command: str
    expect: str | None = None
    """A regular expression that the output must match; the exit code must be 0 in any case."""
    timeout: Duration = "10m"


class Inventory(StrictModel):
    """An inventory."""

    cluster: str = Field(pattern=CLUSTER)
    """The cluster's name in Ambari."""
    stack: StackChoice = StackChoice()
    services: list[ServiceName] = Field(default_factory=list)
    """The services of the stack; with ``layout: groups`` they may be left out: the components tell them."""
    ssh: Ssh = Ssh()
    ambari: Ambari | None = None
    """Not given: only hosts are prepared, and stand-alone services set up."""
    repositories: list[Repository] = Field(default_factory=list)
    hosts: dict[str, Host] = Field(default_factory=dict)
    """What is particular to single hosts, by FQDN."""
    groups: dict[GroupName, Group] = Field(min_length=1)
    layout: Literal["groups", "auto"] = "groups"
    """Where components go: as the groups say, or as Ambari's stack advisor recommends."""
    configurations: Configurations = Field(default_factory=dict)
    default_password: SecretReference | None = None
    """For every password property that is not given."""
    recommendation: Literal[
        "NEVER_APPLY", "ONLY_STACK_DEFAULTS_APPLY", "ALWAYS_APPLY", "ALWAYS_APPLY_DONT_OVERRIDE_CUSTOM_VALUES"
    ] = "NEVER_APPLY"
    """Whether Ambari's stack advisor may set configurations."""
    security: Security = Security()
    prepare: Prepare = Prepare()
    require: Demands = Demands()
    standalone: dict[Name, Standalone] = Field(default_factory=dict)
    jobs: dict[str, Job] = Field(default_factory=dict)
    """Jobs that ``verify`` runs, by name."""
