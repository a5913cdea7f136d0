"""The smoke tests of components, run on the hosts of stand-alone entries."""

from __future__ import annotations

from bigtop_builder.flow.deploy.connections import Connections
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.task_output import telling_lines
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.hosts import standalone
from bigtop_builder.hosts.smoke import smoke_script
from bigtop_builder.model.base import seconds
from bigtop_builder.model.errors import HostError, LimitError
from bigtop_builder.model.event import CheckFinished
from bigtop_builder.model.tap import read_tap

FOLDER = "smoke"
"""Below the logs of the run: a report in TAP for each component."""


def run_smoke_tests(connections: Connections, world: World, reporter: Reporter) -> int:
    """Run the smoke tests of all entries, each on the first host of its entry; return the number that failed."""
    failed = 0
    for name in standalone.order(world.loaded):
        entry = world.inventory.standalone[name]
        for component in entry.smoke:
            host = world.loaded.members(entry.hosts)[0]
            failed += not _run(connections, world, reporter, component, host, entry.smoke_variables)
    return failed


def _run(
    connections: Connections,
    world: World,
    reporter: Reporter,
    component: str,
    host: str,
    variables: dict[str, str],
) -> bool:
    test, check = world.smoke[component], f"smoke test of {component}"

    def report(level: str, message: str, hint: str | None = None) -> None:
        data = {"phase": reporter.phase, "check": check, "host": host, "level": level, "message": message}
        reporter.emit(CheckFinished.model_validate({**data, "hint": hint}))

    try:
        script, stdin = smoke_script(test, variables)
        output = connections.fleet.remote(host).run(script, stdin=stdin, timeout=seconds(test.timeout))
    except (HostError, LimitError) as error:
        report("error", error.message, error.hint)
        return False
    except OSError as error:
        report("error", f"{error.filename}: {error.strerror}")
        return False
    found = read_tap(output.stdout.splitlines())
    _keep(reporter, component, output.stdout)
    for passed in found.passed:
        report("ok", passed)
    for skipped in found.skipped:
        report("warning", f"skipped: {skipped}")
    said = " | ".join(telling_lines("", output.stderr, 3))
    for failure in found.failed:
        report("error", f"{failure} failed: {said}")
    if not found.failed and (output.code != 0 or found.problems):
        report("error", f"exited with {output.code}, its report: {'; '.join(found.problems) or 'complete'}: {said}")
    return found.ok and output.code == 0


def _keep(reporter: Reporter, component: str, report: str) -> None:
    """Keep a report beside the logs of the run, for ``verify-component --tap``."""
    file = reporter.logs / FOLDER / f"{component}.tap"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(reporter.secrets.redact(report, foreign=True), encoding="utf-8")
