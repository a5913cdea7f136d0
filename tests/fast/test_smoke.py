"""Smoke tests of components: what their files say, what a plan adds for them, what a host runs."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.adapter.rpm.header import read_header
from bigtop_builder.adapter.secret import Secrets
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.smoke_order import smoke_order
from bigtop_builder.flow.build.smoke_test import required_packages
from bigtop_builder.flow.deploy.connections import Connections
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.smoke_check import run_smoke_tests
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.hosts.smoke import chosen_tests, smoke_script
from bigtop_builder.model.errors import ConfigurationError, RecipeError
from bigtop_builder.model.event import AnyEvent, CheckFinished
from bigtop_builder.model.tap import read_tap
from bigtop_builder.recipe.catalog import Catalog
from bigtop_builder.recipe.evaluate import Evaluated
from bigtop_builder.recipe.smoke import LIBRARIES, SmokeTest
from tests.fast.conftest import ProjectFolder
from tests.fast.local_hosts import LocalFleet, LocalHost
from tests.fast.test_planning import workspace
from tests.fast.test_preparation import inventory
from tests.rpmfile import File, Spec, write_rpm

PASSES = 'echo "1..1"; echo "ok 1 - $GREETING"'


def smoked(project: ProjectFolder, name: str, smoke: str = "", *, script: str = PASSES, depends: str = "") -> None:
    project.component(name, (f"smoke: {smoke}\n" if smoke else "") + (f"depends: {depends}\n" if depends else ""))
    project.write(f"overlay/components/{name}/tests/smoke.sh", script)


def evaluated(space: Project, name: str) -> Evaluated:
    found = space.evaluate(name, "el8")
    assert isinstance(found, Evaluated)
    return found


def test_templates_variables_and_what_every_script_has(project: ProjectFolder) -> None:
    smoked(project, "b")
    smoked(
        project,
        "a",
        "{packages: ['a{{ suffix }}', \"{{ 'x' if version == '2' }}\"], needs: [b], memory: 1g, timeout: 90s, "
        "variables: {HOST: 'db.{{ name }}'}}",
    )
    project.stack(a="1", b="1")
    test = evaluated(workspace(project), "a").smoke
    assert test is not None
    assert (test.packages, test.needs, test.memory, test.timeout) == (("a_1_0",), ("b",), "1g", "90s")
    assert test.environment == {
        "VERSION": "1",
        "STACK_VERSION": "1.0",
        "SUFFIX": "_1_0",
        "PARENT_DIR": "/usr/bigtop/1.0",
        "HOST": "db.a",
    }


def test_without_a_script_there_is_no_test(project: ProjectFolder) -> None:
    project.component("a")
    assert evaluated(workspace(project), "a").smoke is None


@pytest.mark.parametrize(
    ("smoke", "script", "message", "place"),
    [
        ("{memory: 1g}", "", "no tests/smoke.sh", "smoke"),
        ("", "start.sh", "no tests/smoke.sh", ""),
        ("{needs: [bb]}", "smoke.sh", "needs 'bb', which is not another component", "smoke.needs[0]"),
        ("{needs: [a]}", "smoke.sh", "needs 'a', which is not another component", "smoke.needs[0]"),
        ("{variables: {VERSION: x}}", "smoke.sh", "VERSION is set for every smoke test", "smoke.variables.VERSION"),
        ("{variables: {lower: x}}", "smoke.sh", "lower", "smoke.variables.lower"),
    ],
)
def test_mistakes_have_a_place(project: ProjectFolder, smoke: str, script: str, message: str, place: str) -> None:
    project.component("b")
    project.component("a", f"smoke: {smoke}\n" if smoke else "")
    if script:
        project.write(f"overlay/components/a/tests/{script}", "true")
    with pytest.raises((RecipeError, ConfigurationError)) as caught:
        workspace(project).evaluate("a", "el8")
    assert message in f"{caught.value.message} {caught.value.hint} {caught.value.location}"
    assert caught.value.location is not None and caught.value.location.path == place


def test_an_overlay_replaces_one_script(project: ProjectFolder, tmp_path: Path) -> None:
    project.write("newer/components/zookeeper/tests/smoke.sh", "echo ours")
    catalog = Catalog((tmp_path / "newer",))
    files = catalog.component("zookeeper").tests()
    assert files["smoke.sh"].read_text() == "echo ours"
    assert files["start.sh"].is_file()


def test_needs_start_first_each_once_and_packages_are_made_before_they_are_used(project: ProjectFolder) -> None:
    smoked(project, "base")
    smoked(project, "store", "{needs: [base]}")
    smoked(project, "app", "{needs: [store, base]}", depends="{runtime: [library]}")
    project.component("library")
    project.stack(app="1", base="1", library="1", store="1")
    space = workspace(project)
    plan = space.plan(Request(selectors=("*",), platforms=("el8",)))
    task = plan.task("app@el8/package")
    assert set(task.smoke_keys) == {"base", "store", "library"}
    assert {"base@el8/package", "store@el8/package"} <= set(task.after)
    order = smoke_order(space, task)
    assert order is not None
    assert [part.component for part in order.parts] == ["base", "store", "app"]
    assert order.missing == ()
    keys = {one.id: one.key for one in plan.tasks}
    assert order.keys == {name: keys[f"{name}@el8/package"] for name in task.smoke_keys}


def test_the_test_is_no_part_of_the_key(project: ProjectFolder) -> None:
    def key() -> str:
        space = workspace(project)
        return space.plan(Request(selectors=("a",), platforms=("el8",))).task("a@el8/package").key

    project.component("a")
    project.component("b")
    project.stack(a="1", b="1")
    before = key()
    smoked(project, "a", "{needs: [b], memory: 8g}")
    assert key() == before


def test_needs_in_a_circle_are_no_circle_of_tasks(project: ProjectFolder) -> None:
    smoked(project, "a", "{needs: [b]}")
    smoked(project, "b", "{needs: [a]}")
    project.stack(a="1", b="1")
    space = workspace(project)
    plan = space.plan(Request(selectors=("*",), platforms=("el8",)))
    assert [task.after for task in plan.tasks].count(()) == 1
    order = smoke_order(space, plan.task("a@el8/package"))
    assert order is not None and [part.component for part in order.parts] == ["b", "a"]


def test_a_need_without_a_test_is_missing(project: ProjectFolder) -> None:
    smoked(project, "a", "{needs: [b]}")
    project.component("b")
    project.stack(a="1", b="1")
    space = workspace(project)
    order = smoke_order(space, space.plan(Request(selectors=("a",), platforms=("el8",))).task("a@el8/package"))
    assert order is not None and order.missing == ("b",)


def test_verifying_selects_what_the_test_installs(project: ProjectFolder) -> None:
    smoked(project, "a", "{needs: [b]}")
    smoked(project, "b", depends="{runtime: [c]}")
    project.component("c")
    project.component("d")
    project.stack(a="1", b="1", c="1", d="1")
    plan = workspace(project).plan(Request(selectors=("a",), platforms=("el8",), verify=frozenset({"a"})))
    assert {task.evaluated.name for task in plan.tasks} == {"a", "b", "c"}


def test_packages_bring_what_they_require_and_nothing_else(tmp_path: Path) -> None:
    def rpm(name: str, *requires: str, **more: Any) -> Path:
        return write_rpm(tmp_path, Spec(name=name, version="1", release="1", requires=requires, **more))

    server = rpm("server", "common = 1", "/usr/bin/tool", "libc.so.6")
    common = rpm("common", "virtual")
    tool = rpm("tools", files={"/usr/bin/tool": File(b"x")})
    virtual = rpm("real", provides=("virtual = 2",))
    other = rpm("other", "server")
    available = {path: read_header(path) for path in (server, common, tool, virtual, other)}
    assert required_packages(["server"], available) == sorted([server, common, tool, virtual])


# on the hosts of a cluster


def a_test(tmp_path: Path, script: str, **environment: str) -> SmokeTest:
    file = tmp_path / "smoke.sh"
    file.write_text(script)
    (tmp_path / "data.txt").write_text("beside it")
    files = {"smoke.sh": file, "sub/data.txt": tmp_path / "data.txt"}
    return SmokeTest((), (), "1g", "60s", {"GREETING": "hello", **environment}, files)


def test_a_script_runs_with_its_files_and_leaves_nothing(tmp_path: Path) -> None:
    script, stdin = smoke_script(
        a_test(
            tmp_path,
            'read -r line < "$(dirname "$0")/sub/data.txt"; pwd > "$OUT"; touch "$SMOKE_DIR/x"; echo "1..1";'
            ' echo noise; echo "ok 1 - $line $GREETING"; exit 7',
            OUT=str(tmp_path / "where"),
        ),
        {"GREETING": "it's", "UNKNOWN": "x"},
    )
    output = LocalHost("a").run(script, stdin=stdin)
    assert (output.code, output.stdout) == (7, "1..1\nok 1 - beside it it's\n")
    assert output.stderr == "noise\n"
    assert not Path((tmp_path / "where").read_text().strip()).exists()


def check(tmp_path: Path, script: str) -> tuple[int, list[CheckFinished]]:
    loaded = inventory(tmp_path, "standalone: {one: {hosts: [all], smoke: [a], smoke_variables: {GREETING: well}}}\n")
    events: list[AnyEvent] = []
    fleet = LocalFleet({host: LocalHost(host) for host in ("node1.example.com", "node2.example.com")})
    connections: Any = type("Connected", (), {"fleet": FleetOfRemotes(fleet)})()
    world = World(loaded, connections, smoke={"a": a_test(tmp_path, script)})
    reporter = Reporter(events.append, Secrets(), tmp_path / "logs", phase="verify")
    used: Connections = connections
    failed = run_smoke_tests(used, world, reporter)
    assert fleet.hosts["node2.example.com"].runs == 0
    return failed, [event for event in events if isinstance(event, CheckFinished)]


class FleetOfRemotes:
    def __init__(self, fleet: LocalFleet) -> None:
        self._fleet = fleet

    def remote(self, host: str) -> LocalHost:
        return self._fleet.hosts[host]


def test_verify_reports_each_test_and_keeps_the_report(tmp_path: Path) -> None:
    failed, checks = check(tmp_path, 'echo "1..2"; echo "ok 1 - $GREETING"; echo "ok 2 - pi # SKIP no YARN"')
    assert failed == 0
    assert [(one.check, one.level, one.message) for one in checks] == [
        ("smoke test of a", "ok", "well"),
        ("smoke test of a", "warning", "skipped: pi: no YARN"),
    ]
    assert (tmp_path / "logs/smoke/a.tap").read_text().splitlines()[0] == "1..2"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 1..1; echo 'ERROR no database'; echo 'not ok 1 - join'; exit 1", "join failed: ERROR no database"),
        ("echo 1..1; echo 'ok 1 - join'; exit 3", "exited with 3, its report: complete"),
        ("echo 1..2; echo 'ok 1 - join'", "planned 2 tests and reported 1"),
        ("true", "it has no plan"),
    ],
)
def test_verify_fails(tmp_path: Path, script: str, message: str) -> None:
    failed, checks = check(tmp_path, script)
    assert failed == 1
    assert message in checks[-1].message and checks[-1].level == "error"


def test_entries_name_components_that_have_tests(project: ProjectFolder, tmp_path: Path) -> None:
    smoked(project, "a", "{variables: {GREETING: hello}}")
    project.component("b")
    project.stack(a="1", b="1")
    space = workspace(project)

    def chosen(smoke: str) -> dict[str, SmokeTest]:
        loaded = inventory(tmp_path, f"standalone: {{one: {{hosts: [all], {smoke}}}}}\n")
        return chosen_tests(loaded, {"a", "b"}, lambda name: space.evaluate(name, "el8"))

    assert list(chosen("smoke: [a], smoke_variables: {GREETING: x}")) == ["a"]
    for smoke, message, place in (
        ("smoke: [aa]", "no component 'aa'", "standalone.one.smoke[0]"),
        ("smoke: [a, b]", "b has no smoke test", "standalone.one.smoke[1]"),
        ("smoke: [a], smoke_variables: {GREETINGS: x}", "GREETINGS", "standalone.one.smoke_variables.GREETINGS"),
        ("smoke: [a], smoke_variables: {VERSION: x}", "VERSION", "standalone.one.smoke_variables.VERSION"),
    ):
        with pytest.raises(ConfigurationError, match=message) as caught:
            chosen(smoke)
        assert caught.value.location is not None and caught.value.location.path == place


def test_the_library_prints_tap(tmp_path: Path) -> None:
    (tmp_path / "tap.sh").write_bytes(Catalog().smoke_library("tap.sh").read_bytes())
    script = tmp_path / "smoke.sh"
    script.write_text(
        '. "$(dirname "$0")/tap.sh"\ntry a printf "no newline"\ntry b test 1 = 2\nskip c "no c here"\nfinish\n'
    )
    done = subprocess.run(["bash", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    report = read_tap(done.stdout.splitlines())
    assert (report.passed, report.failed, report.skipped) == (("a",), ("b",), ("c: no c here",))


HADOOP_XML = "<configuration><property><name>a</name><value>1</value></property></configuration>"
SCRIPT = """
. "$(dirname "$0")/host.sh"
set_property b 'x & "y"' site.xml
set_property a 2 site.xml
property a site.xml
property b site.xml
property c site.xml
echo '{"body": {"ids": [3, 4]}}' | field body ids 1
await 5 test -e site.xml
echo end of the log > server.out
await_or_log 0 '*.out' ls nowhere
"""


def test_the_library_starts_and_asks_services(tmp_path: Path) -> None:
    (tmp_path / "host.sh").write_bytes(Catalog().smoke_library("host.sh").read_bytes())
    (tmp_path / "site.xml").write_text(HADOOP_XML)
    (tmp_path / "script.sh").write_text(SCRIPT)
    command = ["bash", "script.sh"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["2", 'x & "y"', "4"]
    assert "not within 0 seconds: ls nowhere" in done.stderr and done.stderr.endswith("end of the log\n")


def test_every_shipped_script_is_bash(tmp_path: Path) -> None:
    catalog = Catalog()
    scripts = [
        path
        for name in catalog.component_files
        for path in catalog.component(name).tests().values()
        if path.suffix == ".sh"
    ]
    assert scripts
    scripts += [catalog.smoke_library(name) for name in LIBRARIES]
    for script in scripts:
        done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), script
