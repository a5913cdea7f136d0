"""Check a published repository against what Ambari's stack will install from it."""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from bigtop_builder.adapter.repository.listing import ListedPackage, read_listing, read_repomd
from bigtop_builder.adapter.repository.reader import Login, MissingError, Reader, open_repository
from bigtop_builder.adapter.rpm.payload import payload_files
from bigtop_builder.cluster.demand_check import OfferedPackage, StackFinding, by_level, check_stack
from bigtop_builder.cluster.needs import Place, need_findings, unmet_needs
from bigtop_builder.cluster.selector_check import Program, selector_findings
from bigtop_builder.model.ambari_stack import StackDefinition
from bigtop_builder.model.component import Package
from bigtop_builder.model.errors import PublishError
from bigtop_builder.model.evr import evr_key
from bigtop_builder.plan.task import Refusal

if TYPE_CHECKING:
    from bigtop_builder.flow.build.project import Project

REPOMD = "repodata/repomd.xml"
METADATA = ("primary", "filelists")
SELECTOR_LIMIT = 1 << 20
"""How many bytes of a selector are read at most."""

TABLES = {"folders", "leaves"}
"""The variables that hold the selectors' tables of names, in either case: ours maps folders to names, Bigtop's names to
folders."""
WORD = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+")


@dataclass(frozen=True)
class Offer:
    """The packages of a repository, and the packaged selector of versions (None if it has none)."""

    packages: tuple[OfferedPackage, ...]
    program: Program | None = None

    @property
    def selector(self) -> frozenset[str] | None:
        """The names that the selector knows; None if it could not be read."""
        return names_known(self.program.text) if self.program and self.program.text is not None else None


def read_offer(places: Sequence[str], stack: StackDefinition, logins: Mapping[str, Login] | None = None) -> Offer:
    """Read the metadata of repositories, each in a folder or below an address, and the selector's package.

    ``logins``: user and password by place.
    Raises PublishError if there is no repository, or if its metadata cannot be read.
    """
    tool = stack.tools.select
    packages: list[OfferedPackage] = []
    selectors: list[tuple[ListedPackage, Reader]] = []
    for place in places:
        reader = open_repository(place.removeprefix("file://"), login=(logins or {}).get(place))
        found = _packages(reader)
        packages += map(_offered, found)
        selectors += [(package, reader) for package in found if package.name == tool.package]
    # Of several versions yum installs the newest.
    newest = max(selectors, key=lambda pair: evr_key(pair[0].evr), default=None)
    return Offer(tuple(packages), _program(newest[1], newest[0], tool.path) if newest else None)


def read_packages(places: Sequence[str], logins: Mapping[str, Login] | None = None) -> tuple[OfferedPackage, ...]:
    """Read the packages of repositories from their metadata. Raises PublishError like ``read_offer``."""
    readers = [open_repository(one.removeprefix("file://"), login=(logins or {}).get(one)) for one in places]
    return tuple(_offered(package) for reader in readers for package in _packages(reader))


def planned_offer(project: Project, platform: str, stack: StackDefinition) -> tuple[Offer, tuple[Refusal, ...]]:
    """Return the packages that the project's components would produce on a platform, and those that would be refused.

    They are taken from the component files; nothing is built. Raises RecipeError for an invalid component.
    """
    tool = stack.tools.select
    packages: list[OfferedPackage] = []
    refusals: list[Refusal] = []
    program: Program | None = None
    for component in project.components():
        evaluated = project.evaluate(component, platform)
        if isinstance(evaluated, Refusal):
            refusals.append(evaluated)
            continue
        release = f"{evaluated.release}{evaluated.target.platform.dist}"
        packages += [_planned(package, evaluated.package_version, release) for package in evaluated.packages]
        if any(package.name == tool.package for package in evaluated.packages):
            texts = [file.content for file in evaluated.files if PurePosixPath(file.name).name == tool.name]
            program = Program(tool.package, texts[0].decode("utf-8", "replace")) if texts else None
    return Offer(tuple(packages), program), tuple(refusals)


def _planned(package: Package, version: str, release: str) -> OfferedPackage:
    def stated(text: str) -> str:
        """The dependency as the package will state it; with other macros only its name is known."""
        for macro, value in (("version", version), ("release", release), ("name", package.name), ("?_isa", "")):
            text = text.replace(f"%{{{macro}}}", value)
        return text.strip() if "%" not in text else text.split()[0]

    services = [f"/etc/rc.d/init.d/{service.name}" for service in package.services]
    return OfferedPackage(
        name=package.name,
        evr=f"{version}-{release}",
        provides=tuple(map(stated, filter(str.strip, package.provides))),
        requires=tuple(map(stated, filter(str.strip, package.requires))),
        listed=tuple(path.replace("%{name}", package.name) for path in (*package.paths, *services)),
    )


def check_offer(
    offer: Offer,
    stack: StackDefinition,
    components: Sequence[str],
    *,
    family: str,
    version: str,
    places: Sequence[Place] | None = None,
) -> list[StackFinding]:
    """Return what the offered packages lack for ``components``, errors first; by default these share each host."""
    found = check_stack(offer.packages, stack, components, family=family, version=version, selector=offer.selector)
    places = [Place(tuple(components))] if places is None else places
    needs = need_findings(unmet_needs(offer.packages, stack, places, family=family, version=version))
    tools = selector_findings(offer.packages, stack, offer.program, family) if components else ()
    return by_level([*found, *tools, *needs])


def _packages(reader: Reader) -> list[ListedPackage]:
    with contextlib.ExitStack() as stack:
        try:
            records = read_repomd(stack.enter_context(reader.metadata(REPOMD))).records
            for kind in METADATA:
                if kind not in records or not records[kind].location:
                    raise PublishError(f"{REPOMD} lists no {kind} metadata")
            primary, filelists = (stack.enter_context(reader.metadata(records[kind].location)) for kind in METADATA)
            return read_listing(primary, filelists)
        except MissingError as error:
            hint = "A repository is the folder that holds repodata."
            raise PublishError(error.message, hint=hint) from error


def _offered(package: ListedPackage) -> OfferedPackage:
    epoch = f"{package.epoch}:" if package.epoch else ""
    return OfferedPackage(
        name=package.name,
        evr=f"{epoch}{package.version}-{package.release}",
        provides=tuple(map(str, package.provides)),
        requires=tuple(map(str, package.requires)),
        files=frozenset(package.files),
    )


def _program(reader: Reader, package: ListedPackage, path: str) -> Program:
    try:
        with reader.file(package.location) as rpm:
            return Program(package.name, _text_of(rpm, path))
    except MissingError:
        return Program(package.name, None)


def _text_of(rpm: Path, path: str) -> str | None:
    for member in payload_files(rpm):
        if member.path == path:
            return member.read(min(member.left, SELECTOR_LIMIT)).decode("utf-8", "replace")
    return None


def names_known(text: str) -> frozenset[str]:
    """Return the names that a selector's program knows: those of its table, which is parsed and never run.

    For a program without a table, every word that may be a name: a name that is not among them is certainly unknown.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return frozenset(WORD.findall(text))
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            targets = {target.id.lower() for target in node.targets if isinstance(target, ast.Name)}
            if targets & TABLES:
                with contextlib.suppress(ValueError):
                    for key, value in ast.literal_eval(node.value).items():
                        names.update(str(value).split() if "folders" in targets else [str(key)])
    return frozenset(names or WORD.findall(text))
