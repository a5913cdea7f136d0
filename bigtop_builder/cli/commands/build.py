"""The commands plan and build."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bigtop_builder.cli import options
from bigtop_builder.cli.choices import absolute, absolute_source, parse_choices
from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.model.errors import ConfigurationError, ExitCode, NothingSelectedError

if TYPE_CHECKING:
    from bigtop_builder.adapter.sources import Fetched
    from bigtop_builder.flow.build.project import Project, Request
    from bigtop_builder.plan.task import Plan


@dataclass(frozen=True)
class Selection:
    """The options that ``plan`` and ``build`` have in common, as they were given."""

    components: list[str]
    everything: bool
    platforms: list[str]
    with_dependencies: bool
    with_dependants: bool
    sets: list[str]
    sources: list[str]
    builder: str | None
    native: str | None
    packaging: str | None
    locks: str | None
    force: bool
    from_shell: bool = False
    task: str | None = None

    def open(
        self,
        invocation: Invocation,
        *,
        keep_going: bool = False,
        offline: bool = False,
        check_reproducible: bool = False,
        verify: bool = False,
        **flags: object,
    ) -> tuple[Project, Request]:
        """Open the project; return it and the request. Raises ConfigurationError."""
        from bigtop_builder.flow.build.project import Request
        from bigtop_builder.flow.open_project import open_project

        self._check_from_shell(check_reproducible)
        self._check_all()
        flags |= {"builder": self.builder, "native": self.native, "locks": self.locks}
        settings = options.settings_with(invocation, self.packaging, **flags)
        if settings.output.is_file():
            raise ConfigurationError(
                f"the output {settings.output} is not a folder", hint="Choose another with --output or 'output:'."
            )
        if self.everything and settings.project.native is None:
            settings = replace(settings, project=settings.project.model_copy(update={"native": "label"}))

        fetched: dict[str, Fetched] = {}

        def fetch(component: str, text: str) -> Path:
            from bigtop_builder.adapter.sources.errors import public
            from bigtop_builder.flow.build.remote_source import fetch_source

            invocation.say(f"fetching {public(text)} for {component}")
            fetched[component] = fetch_source(settings, component, text, offline=offline)
            return fetched[component].path

        choices = parse_choices(self.sets, self.sources, invocation.cwd, fetch)
        request = Request(
            selectors=tuple(self.components),
            platforms=tuple(self.platforms),
            everything=self.everything,
            with_dependencies=self.with_dependencies,
            with_dependants=self.with_dependants,
            keep_going=keep_going,
            offline=offline,
            force=self.force,
            check_reproducible=check_reproducible,
            verify=frozenset(name.partition("@")[0] for name in self.components) if verify else frozenset(),
            task=self.task,
            from_shell=secrets.token_hex(8) if self.from_shell else None,
            rerun_flags=tuple(self.flags(invocation, offline, flags.get("output"))),
        )
        return open_project(settings, choices, fetched), request

    def _check_from_shell(self, check_reproducible: bool) -> None:
        """Refuse what would compile something else besides, or could not repeat what somebody did."""
        others = {
            "--all": self.everything,
            "--with-dependencies": self.with_dependencies,
            "--with-dependants": self.with_dependants,
            "--force": self.force,
            "--check-reproducible": check_reproducible,
        }
        wrong = [name for name, given in others.items() if given]
        if self.from_shell and wrong:
            raise ConfigurationError(f"--from-shell cannot be used with {', '.join(wrong)}", hint="Name components.")

    def arguments(self) -> list[str]:
        """Return the arguments that select the same elsewhere: without paths of this machine."""
        flags = {"--all": self.everything, "--with-dependencies": self.with_dependencies}
        flags["--with-dependants"] = self.with_dependants
        given = [name for name, value in flags.items() if value] + self.components
        for name, values in (("--platform", self.platforms), ("--set", self.sets), ("--source", self.sources)):
            given += [text for value in values for text in (name, value)]
        for name, value in (("--builder", self.builder), ("--native", self.native), ("--packaging", self.packaging)):
            given += [name, value] if value else []
        return [*given, "--locks", self.locks] if self.locks else given

    def _check_all(self) -> None:
        if self.everything and self.components:
            raise ConfigurationError(
                f"--all selects every component of the stack, {', '.join(self.components)} included",
                hint="Leave out --all, or the names.",
            )

    def flags(self, invocation: Invocation, offline: bool, output: object) -> list[str]:
        """Return the flags that repeat the build from any folder."""
        named = {
            "-C": invocation.directory,
            "--project": invocation.project,
            "--store": invocation.store,
            "--builder": self.builder,
            "--native": self.native,
            "--packaging": self.packaging and absolute(self.packaging, "bigtop:", invocation.cwd),
            "--locks": self.locks,
            "--output": output and invocation.cwd / str(output),
        }
        flags = [text for name, value in named.items() if value is not None for text in (name, str(value))]
        flags += [text for value in self.sets for text in ("--set", value)]
        sources = [absolute_source(value, invocation.cwd) for value in self.sources]
        flags += [text for value in sources for text in ("--source", value)]
        flags += ["--from-shell"] if self.from_shell else []
        return [*flags, "--offline"] if offline else flags


def plan(
    invocation: Invocation,
    components: options.Components = None,
    everything: options.All = False,
    platform: options.Platforms = None,
    with_dependencies: options.WithDependencies = False,
    with_dependants: options.WithDependants = False,
    sets: options.Set = None,
    source: options.Source = None,
    builder: options.Builder = None,
    native: options.Native = None,
    packaging: options.PackagingOption = None,
    locks: options.Locks = None,
    force: options.Force = False,
    from_shell: options.FromShell = False,
    emit: options.Emit = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 20 if there is something to build, else with 0.")
    ] = False,
) -> None:
    """Show what a build would do for each component, and why."""
    selection = Selection(
        components or [],
        everything,
        platform or [],
        with_dependencies,
        with_dependants,
        sets or [],
        source or [],
        builder,
        native,
        packaging,
        locks,
        force,
        from_shell,
    )
    project, request = selection.open(invocation)
    if emit is not None:
        from bigtop_builder.cli.views.pipeline import pipeline

        text = pipeline(emit, project, request, selection.arguments())
        invocation.answer(text, {"pipeline": text})
        return
    made = _show_plan(invocation, project, request)
    if exit_code and not made.nothing_to_do:
        raise typer.Exit(ExitCode.PENDING)


def _show_plan(invocation: Invocation, project: Project, request: Request) -> Plan:
    from bigtop_builder.cli.views.plan import plan_data, plan_text

    made = project.plan(request)
    for warning in (*project.unused_choices(made), *project.sharing.untold()):
        invocation.say(f"warning: {warning}")
    invocation.answer(plan_text(made, invocation), plan_data(made))
    return made


def _unfinished(invocation: Invocation, given: Selection) -> tuple[Selection, Path | None]:
    """Return what the newest build of the project did not finish, and its output folder if it was given one.

    Its choices are kept, below those that are given now.
    """
    from bigtop_builder.adapter.store import Store
    from bigtop_builder.flow.run.records import find_run

    if given.components or given.everything:
        raise ConfigurationError("--failed selects by itself", hint="Leave out components and --all.")
    settings = invocation.settings()
    root = settings.root.absolute()
    run = find_run(Store(settings.store), None, root, lambda one: one.state.kind == "build", "a build")
    if run.live:
        raise ConfigurationError(f"the build {run.id} is still running", hint="Follow it with: bigtop-builder logs -f")
    components = run.state.build.components()
    # What was only compiled, for others, is planned with these again.
    names = [
        one.name
        for one in components
        if one.state in ("failed", "blocked", "cancelled") and any(task.planned.kind == "package" for task in one.tasks)
    ]
    if not names:
        raise NothingSelectedError(f"the newest build of this project, {run.id}, left nothing unfinished")
    recorded: dict[str, list[str]] = {}
    flags = iter(flag for flag in run.state.flags if flag not in ("--from-shell", "--offline"))
    for flag, value in zip(flags, flags, strict=True):
        recorded.setdefault(flag, []).append(value)

    def one(flag: str, now: str | None) -> str | None:
        return now or next(iter(recorded.get(flag, ())), None)

    selection = replace(
        given,
        components=names,
        sets=[*recorded.get("--set", ()), *given.sets],
        sources=[*recorded.get("--source", ()), *given.sources],
        builder=one("--builder", given.builder),
        native=one("--native", given.native),
        packaging=one("--packaging", given.packaging),
        locks=one("--locks", given.locks),
    )
    return selection, Path(former) if (former := one("--output", None)) else None


def build(
    invocation: Invocation,
    components: options.Components = None,
    everything: options.All = False,
    platform: options.Platforms = None,
    with_dependencies: options.WithDependencies = False,
    with_dependants: options.WithDependants = False,
    sets: options.Set = None,
    source: options.Source = None,
    builder: options.Builder = None,
    native: options.Native = None,
    packaging: options.PackagingOption = None,
    locks: options.Locks = None,
    force: options.Force = False,
    from_shell: options.FromShell = False,
    task: options.Task = None,
    jobs: options.Jobs = None,
    keep_going: options.KeepGoing = False,
    offline: options.Offline = False,
    dry_run: options.DryRun = False,
    check_reproducible: options.CheckReproducible = False,
    failed: options.Failed = False,
    executor: options.Executor = None,
    output: options.Output = None,
    junit: options.JUnit = None,
    summary: options.Summary = None,
    events: options.Events = None,
    logs: options.Logs = None,
) -> None:
    """Build components into packages."""
    selection = Selection(
        components or [],
        everything,
        platform or [],
        with_dependencies,
        with_dependants,
        sets or [],
        source or [],
        builder,
        native,
        packaging,
        locks,
        force,
        from_shell,
        task,
    )
    if failed:
        selection, former = _unfinished(invocation, selection)
        output = output or former
    project, request = selection.open(
        invocation,
        keep_going=keep_going,
        offline=offline,
        check_reproducible=check_reproducible,
        limits__jobs=jobs,
        output=str(output) if output else None,
        executor__dask=None if executor == options.LOCAL else executor,
    )
    if dry_run:
        _show_plan(invocation, project, request)
        return

    from bigtop_builder.cli.views.watch import Reports, watched
    from bigtop_builder.flow.build.builder import build as run_build
    from bigtop_builder.flow.executors import executor_of
    from bigtop_builder.flow.packagings import PACKAGINGS

    chosen = None if executor == options.LOCAL else executor_of(project, PACKAGINGS)
    reports = Reports(events, junit, summary, logs)
    state = watched(invocation, reports, lambda bus: run_build(project, request, bus, PACKAGINGS, chosen))
    if invocation.json:
        from bigtop_builder.cli.views.summary import json_data

        invocation.answer("", json_data(state))
    raise typer.Exit(ExitCode.DEFECT if state.exit_code is None else state.exit_code)
