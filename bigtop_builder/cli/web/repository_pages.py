"""Pages of repositories: what is published, its snapshots and how they differ, how a host uses it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bigtop_builder.adapter.repository.pool import PooledPackage
from bigtop_builder.adapter.repository.reader import FolderReader
from bigtop_builder.adapter.repository.snapshot import MANIFEST, Publications
from bigtop_builder.cli.web.site import Kept, Site
from bigtop_builder.flow.publish.repo_file import address_of, install_lines, local_address
from bigtop_builder.flow.publish.served_repo_files import Published, generated, publications, reachable
from bigtop_builder.flow.publish.verifier import Problem, verify_state
from bigtop_builder.model.errors import BigtopBuilderError, PublishError

SERVED = 8080
"""The port of ``repo serve``, which hosts use where the project names no address."""


@dataclass(frozen=True)
class Snapshot:
    """A snapshot of a repository."""

    name: str
    published: float
    packages: tuple[PooledPackage, ...]
    current: bool

    @property
    def size(self) -> int:
        """Bytes of its packages."""
        return sum(one.size for one in self.packages)


@dataclass(frozen=True)
class RepositoryState:
    """A repository as it is published now."""

    stack: str
    platform: str
    snapshot_list: tuple[Snapshot, ...] = ()
    problems: tuple[Problem, ...] = ()
    repo_file: str = ""
    problem: str = ""
    files: dict[str, str] = field(default_factory=dict)

    @property
    def now(self) -> Snapshot | None:
        """What hosts see."""
        return next((one for one in self.snapshot_list if one.current), None)

    @property
    def packages(self) -> int:
        """How many packages hosts see."""
        return len(self.now.packages) if self.now else 0

    @property
    def size(self) -> int:
        """Bytes of these packages."""
        return self.now.size if self.now else 0

    @property
    def published(self) -> float:
        """When it was published, in seconds since the epoch."""
        return self.now.published if self.now else 0.0

    @property
    def snapshots(self) -> int:
        """How many snapshots there are."""
        return len(self.snapshot_list)


def read_repository(one: Published) -> RepositoryState:
    """Read the snapshots of a repository, and check that what hosts see is signed and whole."""
    known = Publications(one.folder.parent.parent, one.stack, one.platform)
    try:
        current = known.current()
        found = []
        for path in sorted(known.snapshots(), reverse=True):
            contents = known.read(path)
            # The revision in the manifest is no time: for the same packages it is the same on every machine.
            published = (path / MANIFEST).stat().st_mtime
            found.append((Snapshot(path.name, published, contents.packages, path == current), contents))
        key = FolderReader(one.folder).public_key()
        problems = verify_state(str(one.folder), key, None)
    except (BigtopBuilderError, OSError) as error:
        return RepositoryState(one.stack, one.platform, problem=str(error))
    files = next((contents.files for snapshot, contents in found if snapshot.current), {})
    return RepositoryState(
        one.stack, one.platform, tuple(snapshot for snapshot, _ in found), problems, one.repo_file, files=files
    )


def difference(older: Sequence[PooledPackage], newer: Sequence[PooledPackage]) -> list[tuple[str, str]]:
    """Return what changed between two snapshots: ``+`` added, ``-`` removed, ``~`` another content or signature."""
    before = {one.file_name: one for one in older}
    after = {one.file_name: one for one in newer}
    return sorted(_difference(before, after), key=lambda one: one[1])


def _difference(before: dict[str, PooledPackage], after: dict[str, PooledPackage]) -> Iterator[tuple[str, str]]:
    yield from (("+", name) for name in after.keys() - before.keys())
    yield from (("-", name) for name in before.keys() - after.keys())
    for name in before.keys() & after.keys():
        if before[name].content != after[name].content:
            yield "~", f"{name}: other content"
        elif before[name].key != after[name].key:
            yield "~", f"{name}: signed with another key"


class RepositoryPages:
    """Handles requests about repositories."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._states = Kept[RepositoryState](5.0)

    def states(self) -> list[RepositoryState]:
        """Return all repositories of the project."""
        root = self.site.settings.repository
        if not root.is_dir():
            return []
        return [self._states.get(str(one.folder), lambda one=one: read_repository(one)) for one in publications(root)]  # type: ignore[misc]

    def repositories(self, request: Request) -> Response:
        """Show all repositories."""
        root = str(self.site.settings.repository)
        return self.site.page(request, "repositories.html", "repositories", rows=self.states(), root=root)

    def repository(self, request: Request) -> Response:
        """Show one repository, and how two of its snapshots differ."""
        stack, platform = request.path_params["stack"], request.path_params["platform"]
        state = next((one for one in self.states() if (one.stack, one.platform) == (stack, platform)), None)
        if state is None:
            raise HTTPException(404)
        if state.problem:
            raise PublishError(state.problem)
        snapshots = {one.name: one for one in state.snapshot_list}
        newest = [one.name for one in state.snapshot_list]
        newer = request.query_params.get("to") or newest[0]
        older = request.query_params.get("from") or (newest[1] if len(newest) > 1 else newest[0])
        if older not in snapshots or newer not in snapshots:
            raise HTTPException(404)
        shown = difference(snapshots[older].packages, snapshots[newer].packages) if len(newest) > 1 else None
        text = state.files.get(state.repo_file)
        named = text is not None and not local_address(text)
        if text is None or not named:
            address = f"http://{reachable('0.0.0.0')}:{SERVED}"
            text = (generated(self.site.settings.repository, (state.repo_file,), address) or b"").decode()
        base = address_of(text)
        return self.site.page(
            request,
            "repository.html",
            "repositories",
            stack=stack,
            platform=platform,
            snapshots=state.snapshot_list,
            problems=state.problems,
            older=older,
            newer=newer,
            difference=shown,
            repo_text=text,
            lines=install_lines(f"{base}/{state.repo_file}") if base else [],
            served_only=not named,
            packages=state.now.packages if state.now else (),
        )
