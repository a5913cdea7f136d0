"""A plan as the pipeline of a CI server: each task is a job, and the jobs share what they build.

The pipeline has all tasks of a plan, whatever has been built: a job whose result exists ends at once.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.model.errors import ConfigurationError, NothingSelectedError
from bigtop_builder.plan.task import Plan

Server = Literal["gitlab", "github", "jenkins"]

SETTING = {"BIGTOP_BUILDER_RESULTS__PUSH": "true"}
"""What turns on that results of a job are shared."""
LAST = "packages"
"""The job that takes all packages together."""
RUNNER_LABELS = {"x86_64": "X64", "aarch64": "ARM64"}
"""The labels that self-hosted runners of GitHub have by themselves (its documentation of self-hosted runners)."""
REPORTS = "--junit reports/build.xml --logs reports/logs"


@dataclass(frozen=True)
class Job:
    """One job. ``needs`` are the names of the jobs that must be finished before.

    ``arch`` is the architecture of its machine, where a project builds for more than one.
    """

    name: str
    command: str
    needs: tuple[str, ...]
    arch: str | None = None

    def labels(self, names: Mapping[str, str] | None = None) -> list[str]:
        """The labels of a machine that can do it. ``names`` are what a server calls architectures."""
        return ["docker", *([(names or {}).get(self.arch, self.arch)] if self.arch else [])]


def pipeline(server: Server, project: Project, request: Request, arguments: Sequence[str]) -> str:
    """Return the pipeline of a request; ``arguments`` select the same on the command line.

    Raises ConfigurationError if the jobs could not share results, NothingSelectedError if there is no task.
    """
    if project.file.results.url is None or project.file.signing.attestation_key is None:
        raise ConfigurationError(
            "--emit: the jobs of a pipeline share what they build, which needs a store for results and a key",
            hint="Set results.url and signing.attestation_key in the project file: see docs/results.md",
        )
    plan = project.whole_plan(request)
    if not plan.tasks:
        reasons = "; ".join(refusal.reason for refusal in plan.refusals)
        raise NothingSelectedError(f"nothing can be built: {reasons}")
    jobs = _jobs(plan, arguments, project.architectures)
    secrets = tuple(sorted(set(_references(_read_by_builds(project)))))
    writer = {"gitlab": _gitlab, "github": _github, "jenkins": _jenkins}[server]
    return "\n".join(writer(jobs, secrets)) + "\n"


def _jobs(plan: Plan, arguments: Sequence[str], architectures: Sequence[str]) -> list[Job]:
    """Return the jobs in an order in which they can run, the one that takes all packages together last."""
    build = shlex.join(["bigtop-builder", "build", *arguments])
    several = len(architectures) > 1
    jobs = [
        Job(
            task.id,
            f"{build} --task {shlex.quote(task.id)} {REPORTS}",
            _direct(plan, task.id),
            task.evaluated.target.arch if several else None,
        )
        for task in plan.tasks
    ]
    needed = {name for job in jobs for name in job.needs}
    ends = tuple(job.name for job in jobs if job.name not in needed)
    return [*jobs, Job(LAST, f"{build} {REPORTS}", ends, architectures[0] if several else None)]


def _direct(plan: Plan, task_id: str) -> tuple[str, ...]:
    """Return what a task waits for, without what that waits for itself: servers limit how many a job may need."""
    edges = {task.id: {*task.depends, *task.after} for task in plan.tasks}
    behind: set[str] = set()
    waiting = [one for name in edges[task_id] for one in edges[name]]
    while waiting:
        name = waiting.pop()
        if name not in behind:
            behind.add(name)
            waiting += edges[name]
    return tuple(sorted(edges[task_id] - behind))


def _read_by_builds(project: Project) -> Mapping[str, object]:
    """Return the settings whose secrets a build reads."""
    data = project.file.model_dump(include={"results", "mirrors", "network", "signing"})
    signing = data["signing"]
    data["signing"] = {name: signing[name] for name in ("attestation_key", "attestation_passphrase")}
    return data


def _references(value: object) -> Iterator[str]:
    """Yield the names of the environment variables that settings refer to."""
    if isinstance(value, str):
        found = re.fullmatch(r"env:([A-Za-z_][A-Za-z0-9_]*)", value)
        if found:
            yield found[1]
    elif isinstance(value, dict):
        for one in value.values():
            yield from _references(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _references(one)


def _note(secrets: Sequence[str], where: str) -> str:
    return f"Secrets to set {where}: {', '.join(secrets)}." if secrets else "It needs no secrets."


def _gitlab(jobs: Sequence[Job], secrets: Sequence[str]) -> Iterator[str]:
    yield "# Written by bigtop-builder plan --emit gitlab: write it again when components or their dependencies change."
    yield "# Runners: with Docker, and bigtop-builder on the PATH; they need not share a disk."
    yield f"# {_note(secrets, 'as masked CI/CD variables')}"
    yield "stages: [build, packages]"
    yield "variables:"
    yield from (f"  {name}: {json.dumps(value)}" for name, value in SETTING.items())
    for job in jobs:
        yield ""
        yield f"{json.dumps(job.name)}:"
        yield f"  tags: [{', '.join(job.labels())}]"
        # The last one has a stage of its own, because GitLab limits how many others a job may name.
        yield f"  stage: {'packages' if job.name == LAST else 'build'}"
        if job.name != LAST:
            yield f"  needs: {json.dumps(list(job.needs))}"
        yield f"  script: [{json.dumps(job.command)}]"
        yield "  artifacts:"
        yield "    when: always"
        yield f"    paths: [{'reports, output' if job.name == LAST else 'reports'}]"
        yield "    reports: {junit: reports/build.xml}"


def _github(jobs: Sequence[Job], secrets: Sequence[str]) -> Iterator[str]:
    ids = _identifiers(jobs)
    yield "# Written by bigtop-builder plan --emit github: write it again when components or their dependencies change."
    yield "# Runners: with Docker, and bigtop-builder on the PATH; they need not share a disk."
    yield f"# {_note(secrets, 'in the repository')}"
    yield "name: distribution"
    yield "on: [push, workflow_dispatch]"
    yield "env:"
    yield from (f"  {name}: {json.dumps(value)}" for name, value in SETTING.items())
    yield from (f"  {name}: ${{{{ secrets.{name} }}}}" for name in secrets)
    yield "jobs:"
    for job in jobs:
        yield f"  {ids[job.name]}:"
        yield f"    name: {json.dumps(job.name)}"
        yield f"    needs: {json.dumps([ids[name] for name in job.needs])}"
        yield f"    runs-on: [self-hosted, {', '.join(job.labels(RUNNER_LABELS))}]"
        yield "    steps:"
        yield "      - uses: actions/checkout@v4"
        yield f"      - run: {json.dumps(job.command)}"
        yield "      - if: always()"
        yield "        uses: actions/upload-artifact@v4"
        paths = ["reports", "output"] if job.name == LAST else ["reports"]
        yield f"        with: {{name: {json.dumps(ids[job.name])}, path: {json.dumps(chr(10).join(paths))}}}"


def _identifiers(jobs: Sequence[Job]) -> dict[str, str]:
    """Return an identifier for each job, which has letters, digits, _ and - and begins with a letter."""
    ids: dict[str, str] = {}
    for job in jobs:
        text = base = re.sub(r"[^A-Za-z0-9_]+", "-", job.name)
        number = 2
        while text in ids.values():
            text, number = f"{base}-{number}", number + 1
        ids[job.name] = text if text[:1].isalpha() else f"task-{text}"
    return ids


def _jenkins(jobs: Sequence[Job], secrets: Sequence[str]) -> Iterator[str]:
    yield "// Written by bigtop-builder plan --emit jenkins: write it again when components or dependencies change."
    yield "// Agents: with the label docker, and bigtop-builder on the PATH; they need not share a disk."
    yield f"// {_note(secrets, 'as credentials of the kind secret text, with these ids')}"
    bindings = ", ".join(f"string(credentialsId: {_quoted(name)}, variable: {_quoted(name)})" for name in secrets)
    settings = ", ".join(_quoted(f"{name}={value}") for name, value in SETTING.items())
    yield "def task(String label, String command, String artifacts) {"
    yield "    return {"
    yield "        node(label) {"
    yield "            checkout scm"
    yield f"            withCredentials([{bindings}]) {{ withEnv([{settings}]) {{"
    yield "                try {"
    yield "                    sh command"
    yield "                } finally {"
    yield "                    junit allowEmptyResults: true, testResults: 'reports/build.xml'"
    yield "                    archiveArtifacts allowEmptyArchive: true, artifacts: artifacts"
    yield "                }"
    yield "            } }"
    yield "        }"
    yield "    }"
    yield "}"
    # A pipeline of Jenkins has no jobs that wait for single others: each stage has what the former ones allow.
    waves = _waves(jobs)
    for number, wave in enumerate(waves, 1):
        yield ""
        yield f"stage('{number} of {len(waves)}') {{"
        yield "    parallel("
        for job in wave:
            artifacts = "reports/**, output/**" if job.name == LAST else "reports/**"
            label = _quoted(" && ".join(job.labels()))
            yield f"        {_quoted(job.name)}: task({label}, {_quoted(job.command)}, {_quoted(artifacts)}),"
        yield "        failFast: false"
        yield "    )"
        yield "}"


def _waves(jobs: Sequence[Job]) -> list[list[Job]]:
    wave: dict[str, int] = {}
    for job in jobs:
        wave[job.name] = 1 + max((wave[name] for name in job.needs), default=-1)
    return [[job for job in jobs if wave[job.name] == number] for number in sorted(set(wave.values()))]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"
