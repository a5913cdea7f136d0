"""Verify a published repository: signatures, digests, freshness, duplicates, closure, provenance."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bigtop_builder.adapter.repository.listing import ListedPackage, read_listing, read_repomd, revision_of
from bigtop_builder.adapter.repository.metadata import ATTESTATION_KEY
from bigtop_builder.adapter.repository.reader import SMALL, Login, MissingError, Reader, open_repository
from bigtop_builder.adapter.repository.seen import Seen, State
from bigtop_builder.adapter.repository.snapshot import REPOMD
from bigtop_builder.adapter.rpm.header import RpmHeader, read_header
from bigtop_builder.adapter.rpm.signing import open_keyring, verify_detached, verify_package
from bigtop_builder.flow.publish.closure import Member, unmet
from bigtop_builder.flow.publish.file_conflicts import FileOwners
from bigtop_builder.flow.publish.freshness import manifest_problems, step_back
from bigtop_builder.flow.publish.provenance import problems as documents_problems
from bigtop_builder.flow.publish.rpm_rules import key_problems, package_problems
from bigtop_builder.model.digest import of_file
from bigtop_builder.model.errors import PublishError
from bigtop_builder.model.platform import Platform
from bigtop_builder.model.project import Network, ProjectFile

ProblemKind = Literal[
    "signature",
    "manifest",
    "freshness",
    "digest",
    "missing",
    "duplicate",
    "requires",
    "provenance",
    "platform",
    "files",
]
DIGESTS = ("sha256", "sha384", "sha512")
METADATA = ("primary", "filelists", "other")


@dataclass(frozen=True)
class Problem:
    """One problem: ``subject`` is the metadata file or the package (NEVRA) that it concerns."""

    kind: ProblemKind
    subject: str
    detail: str


@dataclass(frozen=True)
class Verdict:
    """The result of a verification; ``packages`` counts those that were checked."""

    packages: int
    problems: tuple[Problem, ...]


def verify(
    place: str,
    *,
    key: bytes | None = None,
    system: Iterable[str] = (),
    seen: Seen | None = None,
    accept_older: bool = False,
    project: ProjectFile | None = None,
    platform: Platform | None = None,
) -> Verdict:
    """Check the repository in a folder or below an ``http(s)`` address.

    ``key`` is the public key to trust; without it the one beside the repository is used, which proves that the
    repository is intact, not whose it is. ``system`` lists what hosts provide besides the repository (see
    closure.unmet). A state that is older than what ``seen`` has of this place is a problem, unless ``accept_older``,
    which forgets what was seen. With ``platform``, what its rpm could not read is a problem. Raises PublishError
    if there is no repository or its metadata cannot be read.
    """
    project = project or ProjectFile()
    reader = open_repository(place, project.network, project.limits)
    problems: list[Problem] = []
    with contextlib.ExitStack() as stack:
        keyring = stack.enter_context(open_keyring(key or reader.public_key()))
        repomd = stack.enter_context(reader.metadata(REPOMD))
        problems += _state(reader, repomd, keyring, place, seen, accept_older)
        paths = _metadata(reader, repomd, stack, problems)
        packages = read_listing(paths["primary"], paths["filelists"])
        without: list[str] = []
        attestor, owners, signers = _attestation_key(reader), FileOwners(packages), set[str]()
        for package in packages:
            wrong, header = _package_problems(reader, package, keyring, attestor, without)
            problems += wrong
            if header is not None:
                owners.add(package.nevra, header)
                signers |= {header.signature.key_id} if header.signature else set()
                problems += [
                    Problem("platform", package.nevra, f"it {text}")
                    for text in (package_problems(header, platform) if platform else ())
                ]
        if platform is not None:
            trusted = key or reader.public_key()
            problems += [Problem("platform", *found) for found in key_problems(trusted, signers, platform)]
        # A repository without any was published by a version that created none.
        if len(without) < len(packages):
            problems += [Problem("provenance", nevra, "it has no SBOM") for nevra in without]
    problems += [
        Problem("duplicate", nevra, f"listed {count} times")
        for nevra, count in Counter(package.nevra for package in packages).items()
        if count > 1
    ]
    members = [
        Member(package.nevra, package.requires, package.provides, package.files, package.arch) for package in packages
    ]
    problems += [Problem("requires", nevra, f"nothing provides {wanted}") for nevra, wanted in unmet(members, system)]
    problems += [Problem("files", one, _not_together(other, paths)) for one, other, paths in owners.conflicts()]
    return Verdict(len(packages), tuple(problems))


def _not_together(other: str, paths: list[str]) -> str:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"rpm would not install it together with {other}: both have {paths[0]}{more}, and they differ"


def verify_state(
    place: str,
    key: bytes,
    seen: Seen | None,
    login: Login | None = None,
    network: Network | None = None,
    *,
    accept_older: bool = False,
) -> tuple[Problem, ...]:
    """Check that a repository's metadata are signed by a key, whole, not expired and not older than seen before.

    Without ``seen`` nothing is recorded, and what was seen before is not compared.
    Packages are not read. Raises PublishError if there is no repository, or if its metadata cannot be read.
    """
    reader = open_repository(place, network, login=login)
    with reader.metadata(REPOMD) as repomd, open_keyring(key) as keyring:
        return tuple(_state(reader, repomd, keyring, place, seen, accept_older))


def _state(
    reader: Reader, repomd: Path, keyring: Path, place: str, seen: Seen | None, accept_older: bool
) -> list[Problem]:
    unsigned, revision = _repomd_signature(reader, repomd, keyring), revision_of(repomd)
    problems = unsigned + [Problem(*found) for found in manifest_problems(reader, repomd, revision, keyring)]
    if seen is not None and not unsigned and revision is not None:
        problems += _freshness(seen, place, State(revision, of_file(repomd)), accept_older)
    return problems


def _freshness(seen: Seen, place: str, state: State, accept_older: bool) -> list[Problem]:
    try:
        if accept_older:
            seen.record(place, state)
        older = step_back(seen, place, state)
    except OSError as error:
        raise PublishError(f"the store cannot record what was seen of {place}: {error.strerror}") from error
    return [Problem("freshness", REPOMD, older)] if older else []


def is_whole(folder: Path, keyring: Path, sizes: Mapping[str, int]) -> bool:
    """Whether the signed metadata is intact and every file of ``sizes``, by its name in the folder, has its size.

    Sizes are compared and contents are not read: that is what ``verify`` does.
    """
    reader = open_repository(str(folder))
    problems: list[Problem] = []
    try:
        with contextlib.ExitStack() as stack:
            repomd = stack.enter_context(reader.metadata(REPOMD))
            if _repomd_signature(reader, repomd, keyring):
                return False
            _metadata(reader, repomd, stack, problems)
            if any(True for _ in manifest_problems(reader, repomd, revision_of(repomd), keyring)):
                return False
        found = {name: (folder / name).stat().st_size for name in sizes}
    except (PublishError, OSError):
        return False
    return not problems and found == dict(sizes)


def _repomd_signature(reader: Reader, repomd: Path, keyring: Path) -> list[Problem]:
    try:
        with reader.file(f"{REPOMD}.asc", SMALL) as signature:
            wrong = verify_detached(repomd.read_bytes(), signature.read_bytes(), keyring)
    except MissingError:
        wrong = "not signed"
    return [Problem("signature", REPOMD, wrong)] if wrong else []


def _metadata(reader: Reader, repomd: Path, stack: contextlib.ExitStack, problems: list[Problem]) -> dict[str, Path]:
    """The metadata files that ``repomd.xml`` lists, by kind."""
    records = read_repomd(repomd).records
    paths = {}
    for kind in METADATA:
        if kind not in records:
            raise PublishError(f"{REPOMD} lists no {kind} metadata")
        record = records[kind]
        if not record.location:
            raise PublishError(f"{REPOMD} gives no location of the {kind} metadata")
        paths[kind] = stack.enter_context(reader.metadata(record.location))
        if _digest(paths[kind], record.checksum_type) != record.checksum:
            problems.append(Problem("digest", record.location, f"its {record.checksum_type} does not match"))
    return paths


def _attestation_key(reader: Reader) -> bytes | None:
    """The key of the envelopes. The manifest covers it: a missing or another one is a problem there."""
    try:
        with reader.file(ATTESTATION_KEY, SMALL) as path:
            return path.read_bytes()
    except MissingError:
        return None


def _digest(path: Path, algorithm: str | None) -> str:
    if algorithm not in DIGESTS:
        raise PublishError(f"the metadata use {algorithm or 'no algorithm'} as a digest of files")
    return of_file(path, algorithm)


def _package_problems(
    reader: Reader, package: ListedPackage, keyring: Path, attestor: bytes | None, without: list[str]
) -> tuple[list[Problem], RpmHeader | None]:
    """Check a package and the documents beside it, and return its header too.

    One that has no SBOM goes into ``without``.
    """
    nevra = package.nevra
    file = package.location.rpartition("/")[2]
    try:
        with reader.file(package.location) as path:
            if _digest(path, package.checksum_type) != package.checksum:
                text = f"the {package.checksum_type} of {package.location} does not match"
                return [Problem("digest", nevra, text)], None
            wrong = [Problem("signature", nevra, text) for text in verify_package(path, keyring)]
            header = read_header(path)
    except MissingError:
        return [Problem("missing", nevra, f"{package.location} is missing")], None
    except PublishError as error:
        return [Problem("digest", nevra, error.message)], None
    beside = documents_problems(reader, file, package.checksum, header.sha256, keyring, attestor)
    if beside is None:
        without.append(nevra)
    return wrong + [Problem("provenance", nevra, text) for text in beside or ()], header
