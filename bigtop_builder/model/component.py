"""Component files: how one member of the stack is compiled and packaged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
    model_validator,
)

from bigtop_builder.model.base import (
    FILE_MODE,
    IDENTIFIER,
    Duration,
    FileName,
    Name,
    PlainText,
    RelativePath,
    Size,
    StrictModel,
    UpstreamVersion,
    VariableName,
)
from bigtop_builder.model.build_tools.registry import CacheName
from bigtop_builder.model.package_text import (
    AccountGroup,
    AccountName,
    Comment,
    InstalledPath,
    Line,
    OptionalPath,
    Owner,
    PackageName,
    Requirement,
    ServiceName,
)
from bigtop_builder.model.platform import Family
from bigtop_builder.model.source import Source

Variable = str | dict[str, str]
"""A text, or texts by name, which an overlay changes one by one."""

Phase = Literal["pre", "post", "preun", "postun", "pretrans", "posttrans"]


class Release(StrictModel):
    """One version of a component."""

    release: int = Field(default=1, ge=1, le=999_999_999)
    """The package release number, before the dist tag."""
    sources: list[Source] = Field(default_factory=list)
    """The sources of the version. Its patches are in ``patches/<version>/``."""


class Build(StrictModel):
    """The compile step: its requirements and its script."""

    jdk: Literal[8, 11, 17] | None = None
    """The major version of the JDK in the builder image; ``JAVA_HOME`` points to it."""
    maven: Literal["3.6.3", "3.8.8"] | None = None
    """The Maven in the builder image."""
    packages: dict[Family, list[str]] = Field(default_factory=dict)
    """More packages of the builder image, by platform family (``debian``, ``rhel``, …)."""
    caches: list[CacheName] = Field(default_factory=list)
    """The shared download caches that the step uses."""
    network: bool = True
    """Whether the step has network access."""
    environment: dict[Annotated[str, StringConstraints(pattern=IDENTIFIER)], str] = Field(default_factory=dict)
    """More environment variables."""
    script: str = ""
    """Bash that runs in the patched source tree and puts its result below ``$STAGE``. Templates are rendered first."""
    memory: Size = "4g"
    """Memory limit of the container."""
    cpus: float | None = Field(default=None, gt=0)
    """CPU limit of the container."""
    timeout: Duration = "2h"
    """Time limit of the step."""
    defeats_reproducibility: list[str] = Field(default_factory=list)
    """What differs between two runs of upstream's own build, and how it is normalised."""


class Option(StrictModel):
    """A setting of a component that the user can choose."""

    choices: list[str] = Field(min_length=1)
    """The permitted values."""
    default: str
    """The default value."""
    note: str = ""
    """What it does."""

    @model_validator(mode="after")
    def _default_is_a_choice(self) -> Option:
        if self.default not in self.choices:
            raise ValueError(f"default {self.default!r} is not one of {', '.join(self.choices)}")
        return self


class Service(StrictModel):
    """A SysV service. Its script is rendered from the generic one unless ``script`` names another."""

    name: ServiceName
    """The name of the script in ``/etc/rc.d/init.d``."""
    description: Line
    """A description in one line."""
    user: AccountName = "root"
    """The user that runs the process."""
    command: str = ""
    """A command that runs in the foreground; the generic script puts it into the background."""
    environment_file: OptionalPath | None = None
    """A shell file to source before the command."""
    pid_file: OptionalPath = ""
    """The file for the process id."""
    log_file: OptionalPath = ""
    """The file for the output of the process."""
    script: RelativePath | None = None
    """A complete script, as a file below ``files/``."""


class User(StrictModel):
    """A system user and its group of the same name, created before the files are installed."""

    name: AccountName
    """The name of the user, and of the group."""
    home: InstalledPath
    """The home folder."""
    comment: Comment = ""
    """The comment in ``/etc/passwd``."""
    shell: InstalledPath = "/sbin/nologin"
    """The login shell."""
    groups: list[AccountGroup] = Field(default_factory=list)
    """More groups that it belongs to; they are created as well."""


class Link(StrictModel):
    """A link managed by ``alternatives``."""

    link: InstalledPath
    """The public path: ``/etc/zookeeper/conf``."""
    name: ServiceName
    """The name of the group: ``zookeeper-conf``."""
    path: InstalledPath
    """The target of the link."""
    priority: int = 30
    """The priority of this target: the highest one wins where nobody has chosen."""


class FileEntry(StrictModel):
    """An entry of ``files`` that says more than a path. An entry whose path renders to nothing is dropped."""

    path: PlainText
    """A file, a folder with everything in it, or a shell pattern."""
    config: Literal[True, False, "noreplace"] = False
    """A configuration file. ``noreplace``: an upgrade never replaces what the host's owner changed."""
    doc: bool = False
    """Documentation."""
    license: bool = False
    """The text of a license."""
    ghost: bool = False
    """Belongs to the package without being in it, such as a log file."""
    dir: bool = False
    """The folder alone, without its content."""
    exclude: bool = False
    """Left out of the package, although another entry covers it."""
    mode: Annotated[str, StringConstraints(pattern=FILE_MODE)] | None = None
    """The mode of all that the path covers, in quotes: ``"0755"``; without it, as ``install`` left it."""
    owner: Owner | None = None
    """The owner of all that the path covers; without it root."""
    group: Owner | None = None
    """The group of all that the path covers; without it root."""
    _order: tuple[str, ...] = PrivateAttr(())

    @property
    def order(self) -> tuple[str, ...]:
        """The keys in the order in which the file has them.

        rpm ignores the order of directives, but a package's build key covers the text of its spec. Whoever writes the
        spec keeps this order, so that one order for all does not rebuild packages that stay the same.
        """
        return self._order

    @model_validator(mode="wrap")
    @classmethod
    def _keep_order(cls, data: Any, handler: ModelWrapValidatorHandler[FileEntry]) -> FileEntry:
        entry = handler(data)
        if isinstance(data, Mapping):
            entry._order = tuple(data)
        return entry

    @model_serializer(mode="wrap")
    def _dump_in_order(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dumped: dict[str, Any] = handler(self)
        return {key: dumped[key] for key in self._order if key in dumped}


class Package(StrictModel):
    """One package."""

    name: PackageName
    """The full name, as a template: ``spark{{ suffix }}-master``."""
    summary: Line
    """The summary, in one line."""
    description: str = ""
    """The description; by default the component's, else the summary."""
    group: Line = "Development/Libraries"
    """The RPM group."""
    requires: list[Requirement] = Field(default_factory=list)
    """What the package requires, as RPM writes it: ``zookeeper{{ suffix }} = %{version}-%{release}``."""
    requires_phase: dict[Phase, list[Requirement]] = Field(default_factory=dict)
    """Requirements of scriptlets, as in ``Requires(pre):``."""
    provides: list[Requirement] = Field(default_factory=list)
    """What it provides besides its own name."""
    conflicts: list[Requirement] = Field(default_factory=list)
    """What must not be installed beside it."""
    obsoletes: list[Requirement] = Field(default_factory=list)
    """Packages that it replaces on an upgrade."""
    files: list[PlainText | FileEntry] = Field(default_factory=list)
    """The content of the package: paths, or entries that say more. One that renders to nothing is dropped."""
    keep_folder_modes: bool = False
    """Whether folders keep the modes that ``install`` gave them; otherwise every folder gets 0755."""
    users: list[User] = Field(default_factory=list)
    """System users that its installation creates."""
    alternatives: list[Link] = Field(default_factory=list)
    """Links that its installation registers."""
    services: list[Service] = Field(default_factory=list)
    """SysV services that it contains."""
    scripts: dict[Phase, str] = Field(default_factory=dict)
    """Shell scriptlets, appended to those generated for users, alternatives and services."""
    when: str = "true"
    """A template expression; the package is left out where it is false."""
    otherwise: str = ""
    """The reason for leaving it out, shown to the user."""

    @property
    def paths(self) -> list[str]:
        """The paths in the file list, without those that are excluded."""
        entries = (FileEntry(path=entry) if isinstance(entry, str) else entry for entry in self.files)
        return [entry.path for entry in entries if not entry.exclude]


class Dependencies(StrictModel):
    """Other components that are built first."""

    build: list[Name] = Field(default_factory=list)
    """Components whose staged trees are readable at ``/deps/<name>`` while this one compiles. They are part of its
    compile key."""
    runtime: list[str] = Field(default_factory=list)
    """Components whose packages are required by those of this one. They are part of its package key. Names, or
    templates that render to a name or to nothing. One that cannot be built does not block this one."""


class Variant(StrictModel):
    """One of several ways to build the same packages."""

    note: str = ""
    """What it is."""
    build: Build
    """How this variant is compiled."""
    lacks: list[str] = Field(default_factory=list)
    """What this variant lacks, shown to the user."""


class Covered(StrictModel):
    """The differences that a deviation explains, by shell patterns; each pattern matches anything by default."""

    package: str = "*"
    """The package's name."""
    kind: str = "*"
    """``package``, ``arch``, ``summary``, ``requires``, ``provides``, ``scripts``, ``file``, ``file mode`` …"""
    subject: str = "*"
    """The path of a file, or the value of either side."""


class Deviation(StrictModel):
    """An intended difference between a component's packages and Bigtop's own."""

    reason: str
    """What is different, and why."""
    covers: list[Covered] = Field(default_factory=list)
    """The differences that ``repo compare`` finds because of it."""
    when: str = "true"
    """A template expression that is true for the choices it applies to."""


class Smoke(StrictModel):
    """What the component's smoke test, ``tests/smoke.sh``, needs of the host that it runs on."""

    packages: list[FileName] = Field(default_factory=list)
    """The packages to install, as templates; by default all of the component. What they require is added."""
    needs: list[Name] = Field(default_factory=list)
    """Components that must run first. On a clean host their own ``needs`` and ``tests/start.sh`` bring them up."""
    memory: Size = "2g"
    """Memory limit of the clean host, with everything that runs on it."""
    timeout: Duration = "10m"
    """Time limit of ``tests/start.sh`` and of ``tests/smoke.sh``, each."""
    variables: dict[VariableName, str] = Field(default_factory=dict)
    """Environment variables for what no configuration file of the host tells, with their defaults."""


class Component(StrictModel):
    """A component file (``templates/components/<name>/component.yaml``)."""

    name: Name
    """The name, which is also that of the folder."""
    summary: Line
    """What the component is, in one line."""
    description: str = ""
    """What it is, in more words."""
    license: Line = "ASL 2.0"
    """The license, as RPM packages name it."""
    url: PlainText = ""
    """The home page of the upstream project."""
    group: Line = "Development/Libraries"
    """The RPM group."""
    version: UpstreamVersion | None = None
    """The default when the stack names no version; not needed when ``versions`` has only one."""
    versions: dict[UpstreamVersion, Release] = Field(min_length=1)
    """Every version with known sources."""
    arch: Literal["noarch", "native"] = "noarch"
    """``native`` for code that only runs on the platform it was compiled for."""
    depends: Dependencies = Dependencies()
    """Components that are built first."""
    options: dict[str, Option] = Field(default_factory=dict)
    """Settings that the user can choose, by name."""
    variables: dict[str, Variable] = Field(default_factory=dict)
    """Names for texts, or for mappings of texts, evaluated in order and usable in all other templates: what an overlay
    changes in a script without repeating it, such as ``maven_profiles`` or ``maven_properties``."""
    build: Build | None = None
    """How it is compiled; without it or ``variants`` nothing is."""
    variants: dict[Name, Variant] = Field(default_factory=dict)
    """Ways to build the same packages, by name; instead of ``build``."""
    variant: Name | None = None
    """The default variant."""
    install: str = ""
    """Bash that runs without network and lays the tree at ``$STAGE`` out below ``$BUILDROOT``. The component's rendered
    files are at ``$FILES``."""
    packages: list[Package] = Field(min_length=1)
    """The packages that it is packaged as."""
    spec: RelativePath | None = None
    """The component's own spec template, beside its file, instead of the generic one."""
    spec_blocks: dict[Literal["macros", "preamble", "install_after", "tail"], str] = Field(default_factory=dict)
    """Text that replaces a block of the generic spec."""
    differs_from_bigtop: list[Deviation] = Field(default_factory=list)
    """Where its packages differ from Bigtop's own, and why."""
    smoke: Smoke | None = None
    """What the smoke test in ``tests/`` needs; without it the defaults."""

    @model_validator(mode="after")
    def _consistent(self) -> Component:
        if self.build is not None and self.variants:
            raise ValueError("has both build and variants: put build inside each variant")
        if self.variants and self.variant not in self.variants:
            raise ValueError(f"variant must be one of {', '.join(self.variants)}")
        if self.version is not None and self.version not in self.versions:
            raise ValueError(f"version {self.version} is not one of versions: {', '.join(self.versions)}")
        return self
