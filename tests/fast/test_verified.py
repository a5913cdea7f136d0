"""Records of what has been built and run: written beside the component, shown, out of date when a recipe changes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.cli.app import run
from bigtop_builder.cli.verified_page import verified_page
from bigtop_builder.flow.build.project import Request
from bigtop_builder.flow.build.verify_component import record_reports, source_of
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.project import Choice
from bigtop_builder.model.verified import BuildSeconds, VerifiedRecord
from bigtop_builder.recipe.catalog import Catalog, LoadedComponent
from bigtop_builder.recipe.evaluate import Evaluated
from bigtop_builder.recipe.verified import add_record, recipe_digest, verified
from tests.fast.conftest import ProjectFolder
from tests.fast.test_planning import COMPILED, SHA, finish, plan, with_images, workspace

VERSIONS = f"""{{"1": {{sources: [{{alternatives: [{{https: "http://x/a.tgz", sha256: "{SHA}"}}]}}]}},
  "2": {{sources: [{{alternatives: [{{https: "http://x/b.tgz", sha256: "{SHA}"}}]}}]}}}}"""
TEXT = """
# A comment.
url: https://example.org/
options: {docs: {choices: ["no", "yes"], default: "no", note: "Pages"}}
build: {script: "make {{ options.docs }}"}
install: echo
"""


def loaded(project: ProjectFolder) -> LoadedComponent:
    return Catalog((project.overlay,)).component("a")


def record(component: LoadedComponent, **more: Any) -> VerifiedRecord:
    data: dict[str, Any] = {
        "version": "1",
        "platform": "el8",
        "date": "2026-11-28",
        "source": f"sha256:{SHA}",
        "seconds": BuildSeconds(compile=12.5, package=1),
        "runs": ["put", "get"],
        **more,
    }
    digest = recipe_digest(component, data["version"], data.get("variant"))
    return VerifiedRecord.model_validate({"recipe": digest, **data})


@pytest.fixture
def component(project: ProjectFolder) -> ProjectFolder:
    project.component("a", TEXT, versions=VERSIONS)
    project.write("overlay/components/a/files/a.conf", "a=1\n")
    for version in ("1", "2"):
        project.write(f"overlay/components/a/patches/{version}/0001-a.patch", "note\n--- a\n+++ b\n")
    add_record(loaded(project), record(loaded(project)))
    return project


def state(project: ProjectFolder) -> list[bool]:
    return [one.current for one in verified(loaded(project))]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# A comment.", "# Another one."),
        ("https://example.org/", "https://example.com/"),
        ("summary: a\n", "summary: b\n"),
        ('note: "Pages"', 'note: "The pages"'),
        ("http://x/b.tgz", "http://x/c.tgz"),
        ("install: echo\n", "install: echo\nsmoke: {memory: 4g}\ndiffers_from_bigtop: [{reason: It is ours}]\n"),
    ],
)
def test_what_changes_no_package_leaves_a_record_valid(component: ProjectFolder, old: str, new: str) -> None:
    component.write("overlay/components/a/tests/smoke.sh", "true")
    file = component.overlay / "components/a/component.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    component.write("overlay/components/a/patches/2/0001-a.patch", "another note\n")
    assert state(component) == [True]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("component.yaml", 'script: "make', 'script: "make -k'),
        ("component.yaml", "http://x/a.tgz", "http://x/c.tgz"),
        ("component.yaml", 'default: "no"', 'default: "yes"'),
        ("component.yaml", "files: [/opt/a]", "files: [/opt/b]"),
        ("files/a.conf", "a=1", "a=2"),
        ("patches/1/0001-a.patch", "+++ b", "+++ c"),
    ],
)
def test_what_changes_packages_is_told(component: ProjectFolder, file: str, old: str, new: str) -> None:
    path = component.overlay / "components/a" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert state(component) == [False]


def test_a_newer_record_replaces_the_one_of_the_same_subject(component: ProjectFolder) -> None:
    add_record(loaded(component), record(loaded(component), date="2026-11-29", runs=["scan"]))
    add_record(loaded(component), record(loaded(component), hosts=4, runs=["scan"]))
    add_record(loaded(component), record(loaded(component), chosen={"options.docs": "yes"}))
    found = [(one.record.date, one.record.hosts, one.record.chosen) for one in verified(loaded(component))]
    assert found == [("2026-11-29", 1, {}), ("2026-11-28", 4, {}), ("2026-11-28", 1, {"options.docs": "yes"})]


def test_a_record_goes_to_the_newest_overlay(component: ProjectFolder, tmp_path: Path) -> None:
    newer = tmp_path / "newer"
    (newer / "components/a").mkdir(parents=True)
    (newer / "components/a/component.yaml").write_text('version: "2"\n')
    both = Catalog((component.overlay, newer)).component("a")
    file = add_record(both, record(both, version="2"))
    assert file == newer / "components/a/verified.yaml"
    assert [one.record.version for one in verified(both)] == ["1", "2"]
    # The overlay changes nothing of version 1.
    assert all(one.current for one in verified(both))


def test_a_record_by_hand_is_checked(component: ProjectFolder) -> None:
    file = component.overlay / "components/a/verified.yaml"
    file.write_text(file.read_text().replace("2026-11-28", "yesterday"))
    with pytest.raises(ConfigurationError) as caught:
        verified(loaded(component))
    assert caught.value.location is not None and caught.value.location.path == "records[0].date"


def listed(project: ProjectFolder, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["-C", str(project.root), "list", *arguments]) == 0
    return capsys.readouterr().out


def test_list_says_what_is_verified(component: ProjectFolder, capsys: pytest.CaptureFixture[str]) -> None:
    component.component("b")
    component.stack(a="1", b="1")
    header, *lines = listed(component, capsys).splitlines()
    assert header.split() == ["COMPONENT", "VERSION", "BUILT", "AND", "RUN", "WHAT", "IT", "IS"]
    assert lines[0].split()[2] == "el8" and "not yet" in lines[1]
    text = listed(component, capsys, "a")
    assert "1 for el8 was built and run on 2026-11-28\n" in text
    assert f"source  sha256:{SHA}\n" in text and "took    compiled in 12.5s, packaged in 1.0s" in text
    assert "ran     on 1 host: put, get" in text
    assert "has not been built and run" in listed(component, capsys, "b")
    component.write("overlay/components/a/files/a.conf", "a=2\n")
    assert "changed since" in listed(component, capsys).splitlines()[1]
    assert "2026-11-28; its recipe has changed since" in listed(component, capsys, "a")
    component.stack(a="2", b="1")
    assert "not yet" in listed(component, capsys).splitlines()[1]
    assert "2 has not been built and run" in listed(component, capsys, "a")
    (row, _) = json.loads(listed(component, capsys, "--json"))
    assert [(one["version"], one["current"]) for one in row["verified"]] == [("1", False)]


def test_the_page_has_a_line_for_each_record(component: ProjectFolder, tmp_path: Path) -> None:
    catalog = Catalog(templates=component.overlay)
    page = verified_page(catalog)
    assert f"| a | 1 | el8 | 2026-11-28 | sha256 `{SHA[:12]}` | 12.5 s | 1 s | 1 | put, get |" in page
    component.component("b")
    component.write("overlay/components/a/files/a.conf", "a=2\n")
    page = verified_page(Catalog(templates=component.overlay))
    assert "2026-11-28, changed since" in page and "Never verified here: `b`." in page


@pytest.fixture
def reported(project: ProjectFolder) -> ProjectFolder:
    project.component("a", COMPILED, versions='{"1": {sources: [{alternatives: [{https: "http://x/a.tgz", '
                      f'sha256: "{SHA}"}}]}}]}}}}')  # fmt: skip
    project.write("overlay/components/a/tests/smoke.sh", "true")
    return project


def test_what_ran_on_a_cluster_is_recorded_from_its_report(reported: ProjectFolder, tmp_path: Path) -> None:
    report = tmp_path / "a.tap"
    report.write_text("1..2\nok 1 - put\nok 2 - pi # SKIP no YARN\n")
    space = with_images(workspace(reported), "a")
    request = Request(selectors=("a",), platforms=("el8",), verify=frozenset({"a"}))
    with pytest.raises(ConfigurationError, match="a is not built as it is now"):
        record_reports(space, request, {"a": report}, 4)
    finish(space, plan(space, "a"))
    for kind, more in (("compile", {"sources": {"main": {"digests": {"sha256": SHA}}}}), ("package", {})):
        (manifest,) = (space.store.root / kind).glob("*/manifest.json")
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "seconds": 2.04, **more}))
    (written,) = record_reports(space, request, {"a": report}, 4)
    assert (written.record.hosts, written.record.runs, written.record.skipped) == (4, ["put"], ["pi: no YARN"])
    assert written.record.source == f"sha256:{SHA}"
    assert written.record.seconds == BuildSeconds(compile=2.0, package=2.0)
    assert [one.current for one in verified(loaded(reported))] == [True]
    report.write_text("1..1\nnot ok 1 - put\n")
    with pytest.raises(ConfigurationError, match="no report of a test that passed: put"):
        record_reports(space, request, {"a": report}, 4)


def test_a_clean_checkout_of_the_pinned_commit_is_that_commit(project: ProjectFolder, tmp_path: Path) -> None:
    tree = tmp_path / "tree"

    def git(*arguments: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        command = ["git", *who, "-C", str(tree), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    tree.mkdir()
    git("init", "-q")
    (tree / ".gitignore").write_text("target\n")
    git("add", ".")
    git("commit", "-qm", "a")
    commit = git("rev-parse", "HEAD")
    pinned = f"{{git: 'https://example.org/a.git', commit: {commit}}}"
    project.component("a", COMPILED, versions=f'{{"1": {{sources: [{{alternatives: [{pinned}]}}]}}}}')

    compiled = {"ingredients": {"source:main": SHA}, "sources": {}}

    def source() -> str:
        space = workspace(project, {"a": Choice(source=str(tree))})
        evaluated = space.evaluate("a", "el8")
        assert isinstance(evaluated, Evaluated)
        return source_of(evaluated, loaded(project).component, compiled)

    assert source() == f"git:{commit}"
    (tree / "target").mkdir()
    assert source() == f"git:{commit}"
    (tree / "target/a.class").write_text("left by a build")
    assert source() == f"local tree sha256:{SHA}"
    (tree / "target/a.class").unlink()
    (tree / ".gitignore").write_text("targets\n")
    assert source() == f"local tree sha256:{SHA}"
    git("commit", "-qam", "b")
    assert source() == f"local tree sha256:{SHA}"


def test_verifying_needs_a_smoke_test(project: ProjectFolder, capsys: pytest.CaptureFixture[str]) -> None:
    project.component("a")
    for arguments, message in (
        (["a"], "a has no smoke test"),
        (["a", "--tap", "b=x"], "--tap 'b=x' is not COMPONENT=FILE"),
        (["b"], "b"),
    ):
        assert run(["-C", str(project.root), "verify-component", *arguments]) != 0
        assert message in capsys.readouterr().err
