"""Pages of components and packages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bigtop_builder.adapter.repository.metadata import PACKAGES
from bigtop_builder.cli.views.html.timeline import columns
from bigtop_builder.cli.views.plan import planned_tasks
from bigtop_builder.cli.views.provenance import statement_facts
from bigtop_builder.cli.web.run_index import Filter
from bigtop_builder.cli.web.site import Kept, Site
from bigtop_builder.flow.build.project import Request as BuildRequest
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.flow.publish.library_search import FoundLibrary, find_library, library_name
from bigtop_builder.flow.publish.package_files import PackageFile, package_files
from bigtop_builder.flow.publish.provenance_query import Provenance, find_package, read_provenance
from bigtop_builder.model.errors import BigtopBuilderError

PLAN_SECONDS = 15.0
"""How long a plan is shown before it is made again."""
CHARTED = 60


@dataclass(frozen=True)
class Last:
    """How the newest run that built a component for a platform ended."""

    run: str
    state: str
    when: float


@dataclass(frozen=True)
class Next:
    """What the next build would do, and why."""

    what: str
    action: str
    reasons: list[str]


@dataclass
class ComponentRow:
    """A component of the stack."""

    name: str
    version: str
    summary: str
    records: list[dict[str, Any]]
    next: list[Next] = field(default_factory=list)
    last: dict[str, Last] = field(default_factory=dict)

    @property
    def verified(self) -> list[str]:
        """The platforms on which this version has been built and run."""
        current = [one["platform"] for one in self.records if one["current"] and one["version"] == self.version]
        return list(dict.fromkeys(current))


@dataclass(frozen=True)
class Stack:
    """The components of the project, as they are now."""

    name: str
    platforms: list[str]
    rows: dict[str, ComponentRow]
    problem: str = ""


def read_stack(site: Site) -> Stack:
    """Return the components of the project with what the next build of all would do. Raises BigtopBuilderError."""
    settings = site.settings
    if settings.project.native is None:
        settings = replace(settings, project=settings.project.model_copy(update={"native": "label"}))
    project = open_project(settings)
    rows: dict[str, ComponentRow] = {}
    for name in project.components():
        data: dict[str, Any] = project.packaging.row(name, project.versions.get(name))
        rows[name] = ComponentRow(name, str(data["version"] or ""), str(data["summary"]), data.get("verified", []))
    problem = ""
    try:
        for task in planned_tasks(project.plan(BuildRequest(everything=True))):
            if task.component in rows:
                what = f"{task.kind} {task.platform}"
                rows[task.component].next.append(Next(what, task.action, task.reasons))
    except BigtopBuilderError as error:
        problem = str(error)
    return Stack(project.stack.name, list(project.file.platforms), rows, problem)


class StackPages:
    """Handles requests about components and packages."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._stack = Kept[Stack](PLAN_SECONDS)
        self._packages = Kept[Provenance](600.0, most=16)

    def stack(self) -> Stack:
        """Return the components with what runs did of late. Raises BigtopBuilderError."""
        stack = self._stack.get("", lambda: read_stack(self.site))
        seen: set[tuple[str, str]] = set()
        for run in self.site.index.rows():
            for name, state in run.components.items():
                component, _, platform = name.partition("@")
                if component in stack.rows and (component, platform) not in seen and state != "waiting":
                    seen.add((component, platform))
                    stack.rows[component].last[platform] = Last(run.id, state, run.started)
        return stack

    def components(self, request: Request) -> Response:
        """Show all components."""
        stack = self.stack()
        return self.site.page(
            request,
            "components.html",
            "components",
            stack=stack.name,
            platforms=stack.platforms,
            rows=list(stack.rows.values()),
            problem=stack.problem,
        )

    def component(self, request: Request) -> Response:
        """Show one component: what the next build does, what was verified, its runs."""
        name = request.path_params["name"]
        stack = self.stack()
        if name not in stack.rows:
            raise HTTPException(404)
        found = [*self.site.index.matching(Filter(component=name))]
        charted = [one for one in found if one.exit_code is not None][:CHARTED][::-1]
        runs = [
            (run, label, state)
            for run in found[:CHARTED]
            for label, state in run.components.items()
            if label.partition("@")[0] == name
        ]
        return self.site.page(
            request,
            "component.html",
            "components",
            one=stack.rows[name],
            problem=stack.problem,
            runs=runs,
            charted=charted,
            chart=columns([one.seconds for one in charted]),
        )

    def packages(self, request: Request) -> Response:
        """Show the packages of the project, or where a library is."""
        name, jar = request.query_params.get("name", ""), request.query_params.get("jar", "").strip()
        rows: list[PackageFile] = package_files(self.site.settings)
        jars: list[FoundLibrary] = find_library(self.site.settings.repository, jar) if jar else []
        return self.site.page(
            request,
            "packages.html",
            "packages",
            name=name,
            jar=jar,
            jars=jars,
            rows=[one for one in rows if name.lower() in one.file.lower()],
        )

    def package(self, request: Request) -> Response:
        """Show one package: header, files, scripts, provenance, SBOM."""
        name = request.path_params["file"]
        if "/" in name or name.startswith("."):
            raise HTTPException(404)
        found = self.provenance(name)
        return self.site.page(
            request,
            "package.html",
            "packages",
            file=found.path.name,
            found=found,
            header=found.header,
            provenance=list(statement_facts(found.statement, found.attested)) if found.statement else [],
            libraries=list(_libraries(found.sbom)),
            conflicts="",
        )

    def provenance(self, name: str) -> Provenance:
        """Find a package by its name or that of its file. Raises BigtopBuilderError."""
        settings = self.site.settings
        published = {one.file: one.path for one in package_files(settings)}
        folders = sorted({path.parent.parent for path in published.values() if path.parent.name == PACKAGES})
        path = published.get(name) or find_package(name, self.site.store.root / "runs", folders, self.site.store)
        key = (str(path), path.stat().st_mtime_ns)
        return self._packages.get(key, lambda: read_provenance(path, self.site.store))


def _libraries(sbom: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for one in sbom.get("components", ()):
        place = one["evidence"]["occurrences"][0]["location"] if one.get("evidence", {}).get("occurrences") else ""
        yield library_name(one), place
        for inner in one.get("components", ()):
            yield f"— {library_name(inner)}", place
