"""What the store holds is measured before it is used: altered bytes are found, told and made again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bigtop_builder.adapter.measure import altered
from bigtop_builder.adapter.sources import Fetcher
from bigtop_builder.adapter.store import CACHES, MANIFEST, Store
from bigtop_builder.adapter.tree_digest import tree_digest
from bigtop_builder.cli.app import run as command
from bigtop_builder.flow.build.measured import require_measured
from bigtop_builder.flow.build.project import Project
from bigtop_builder.flow.build.result import Result
from bigtop_builder.flow.build.work_order import WorkOrder
from bigtop_builder.model.errors import ExitCode, SourceError, StoreError
from bigtop_builder.model.event import Notice
from bigtop_builder.model.project import ProjectFile
from bigtop_builder.model.source import Source
from tests.fast.conftest import ProjectFolder
from tests.fast.test_executor import PaperExecutor, run
from tests.fast.test_planning import COMPILED, SHA, SOURCE, with_images, workspace

# the digest of a tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "stage/lib").mkdir(parents=True)
    (root / "stage/lib/a.jar").write_bytes(b"a" * (3 << 20))
    (root / "stage/run").write_text("echo\n")
    (root / "stage/link").symlink_to("run")
    (root / "stage" / os.fsdecode(b"\xff\n'x")).write_text("odd")
    (root / MANIFEST).write_text("{}")
    for path in root.rglob("*"):
        os.utime(path, (1_000_000, 1_000_000), follow_symlinks=False)
    return root


def replace_link(root: Path) -> None:
    (root / "stage/link").unlink()
    (root / "stage/link").symlink_to("lib")


def same_length(root: Path) -> None:
    path = root / "stage/lib/a.jar"
    with path.open("r+b") as stream:
        stream.seek(2 << 20)
        stream.write(b"b")
    os.utime(path, (1_000_000, 1_000_000))


CHANGES: dict[str, Callable[[Path], object]] = {
    "a byte of a large file, with its time kept": same_length,
    "a mode": lambda root: (root / "stage/run").chmod(0o755),
    "the mode of a folder": lambda root: (root / "stage/lib").chmod(0o700),
    "a time, which reaches the package": lambda root: os.utime(root / "stage/run", (5, 5)),
    "the target of a link": replace_link,
    "an added file": lambda root: (root / "stage/more").touch(),
    "an added folder": lambda root: (root / "stage/more").mkdir(),
    "a removed file": lambda root: (root / "stage/run").unlink(),
    "a name": lambda root: (root / "stage/run").rename(root / "stage/Run"),
    "a file beside the staged tree": lambda root: (root / "caches.json").touch(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_of_a_tree_changes_its_digest(tree: Path, change: Callable[[Path], object]) -> None:
    before = tree_digest(tree, frozenset({MANIFEST}))
    assert tree_digest(tree, frozenset({MANIFEST})) == before
    change(tree)
    assert tree_digest(tree, frozenset({MANIFEST})) != before


def test_what_does_not_belong_to_a_tree_leaves_its_digest(tree: Path, tmp_path: Path) -> None:
    before = tree_digest(tree, frozenset({MANIFEST}))
    (tree / MANIFEST).write_text('{"tree": 1}')
    tree.chmod(0o700)
    os.utime(tree / "stage/lib", (7, 7))
    moved = tree.rename(tmp_path / "elsewhere")
    assert tree_digest(moved, frozenset({MANIFEST})) == before


# results


@pytest.fixture
def space(project: ProjectFolder) -> Project:
    """Component b builds on a; a has been built, with a staged tree and a package of some bytes."""
    project.component("a", COMPILED, versions=SOURCE % SHA)
    project.component("b", COMPILED + "depends: {build: [a]}\n", versions=SOURCE % SHA)
    project.stack(a="1", b="1")
    return with_images(workspace(project), "a", "b")


def built(space: Project) -> dict[str, tuple[str, Path]]:
    """Build with contents; return kind and folder of each result by its task."""
    found: dict[str, tuple[str, Path]] = {}

    def commit(order: WorkOrder) -> None:
        folder = space.store.root / "work" / f"made-{order.key}"
        if order.kind == "compile":
            (folder / "stage").mkdir(parents=True)
            (folder / "stage/lib.jar").write_text(order.task)
            space.store.commit("compile", order.key, folder, {"task": order.task, "key": order.key})
        else:
            (folder / "rpms").mkdir(parents=True)
            (folder / "rpms/x.rpm").write_text(order.task)
            digest = hashlib.sha256(order.task.encode()).hexdigest()
            recorded = {"task": order.task, "key": order.key, "rpms": {"x.rpm": digest}, "notes": []}
            space.store.commit("package", order.key, folder, recorded)

    def verdict(order: WorkOrder) -> Result:
        commit(order)
        return Result(order.task, order.kind, order.platform, "done")

    executor = PaperExecutor(verdict)
    done, _ = run(space, executor)
    for task in done.plan.tasks:
        found[task.id] = (task.kind, space.store.folder(task.kind, task.key))
    return found


def spoil(path: Path) -> None:
    """Change a byte, and nothing else that ``stat`` shows."""
    times = path.stat()
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(bytes(data))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def again(space: Project) -> tuple[list[str], list[str]]:
    """Build once more; return the tasks that ran, and the notices."""
    executor = PaperExecutor()
    done, events = run(space, executor)
    assert done.exit_code == ExitCode.DONE
    return [order.task for order in executor.orders], [one.text for one in events if isinstance(one, Notice)]


def test_unaltered_results_are_used(space: Project) -> None:
    built(space)
    assert again(space) == ([], [])


def test_an_altered_package_is_told_and_made_again_from_its_staged_tree(space: Project) -> None:
    results = built(space)
    spoil(results["a@el8/package"][1] / "rpms/x.rpm")
    ran, told = again(space)
    assert ran == ["a@el8/package"]
    assert len(told) == 1 and "a@el8/package" in told[0] and "altered" in told[0] and "x.rpm" in told[0]


def test_an_added_package_is_an_altered_result(space: Project) -> None:
    results = built(space)
    (results["a@el8/package"][1] / "rpms/y.rpm").write_text("planted")
    assert again(space)[0] == ["a@el8/package"]


def test_an_altered_staged_tree_is_made_again_before_anything_builds_on_it(space: Project) -> None:
    results = built(space)
    spoil(results["a@debian-bootstrap/compile"][1] / "stage/lib.jar")
    for task in ("b@el8/package", "b@debian-bootstrap/compile"):
        (results[task][1] / MANIFEST).unlink()
    ran, told = again(space)
    assert ran == ["a@debian-bootstrap/compile", "b@debian-bootstrap/compile", "b@el8/package"]
    assert any("compile" in one and "altered" in one for one in told)


def test_a_staged_tree_that_nothing_needs_is_not_read(space: Project) -> None:
    results = built(space)
    spoil(results["a@debian-bootstrap/compile"][1] / "stage/lib.jar")
    assert again(space) == ([], [])


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "[" * 200_000, '{"rpms": 1, "notes": []}', '{"key": "of another", "rpms": {}}']
)
def test_a_damaged_manifest_counts_as_altered(space: Project, text: str) -> None:
    results = built(space)
    (results["a@el8/package"][1] / MANIFEST).write_text(text)
    assert again(space)[0] == ["a@el8/package"]


def test_a_result_of_an_older_version_has_no_digest_and_is_made_again(space: Project) -> None:
    results = built(space)
    manifest = results["a@debian-bootstrap/compile"][1] / MANIFEST
    manifest.write_text(
        json.dumps({key: one for key, one in json.loads(manifest.read_text()).items() if key != "tree"})
    )
    (results["a@el8/package"][1] / MANIFEST).unlink()
    ran, told = again(space)
    assert ran == ["a@debian-bootstrap/compile", "a@el8/package"]
    assert any("not recorded" in one for one in told)


def test_a_staged_tree_that_changes_during_the_run_is_not_packaged(space: Project) -> None:
    orders: list[WorkOrder] = []
    results = built(space)
    (results["a@el8/package"][1] / MANIFEST).unlink()
    run(space, PaperExecutor(on_submit=orders.append))
    (order,) = orders
    require_measured(space.store, order)
    spoil(results["a@debian-bootstrap/compile"][1] / "stage/lib.jar")
    with pytest.raises(StoreError, match="altered while this build was running"):
        require_measured(space.store, order)
    assert not space.store.has("compile", order.compile_key or "")


# sources


def fetch(store: Path, file: Path, *, sha512: bool = False, offline: bool = False) -> tuple[Path, str]:
    content = b"as released" * 100
    digest = (
        {"sha512": hashlib.sha512(content).hexdigest()} if sha512 else {"sha256": hashlib.sha256(content).hexdigest()}
    )
    if not file.exists():
        file.write_bytes(content)
    source = Source.model_validate({"alternatives": [{"file": file.name, **digest}]})
    fetched = Fetcher(store, ProjectFile(), offline).fetch(source, base=file.parent)
    assert fetched.path.read_bytes() == content
    return fetched.path, fetched.altered


@pytest.mark.parametrize("sha512", [False, True])
def test_an_altered_source_is_fetched_again(tmp_path: Path, sha512: bool) -> None:
    path, told = fetch(tmp_path / "store", tmp_path / "a.tgz", sha512=sha512)
    assert told == ""
    spoil(path)
    path, told = fetch(tmp_path / "store", tmp_path / "a.tgz", sha512=sha512)
    assert "altered" in told
    assert fetch(tmp_path / "store", tmp_path / "a.tgz", sha512=sha512)[1] == ""


def test_an_index_entry_cannot_name_another_source(tmp_path: Path) -> None:
    store = tmp_path / "store"
    path, _ = fetch(store, tmp_path / "a.tgz", sha512=True)
    other = hashlib.sha256(b"other").hexdigest()
    (path.parent / other).write_bytes(b"other")
    (entry,) = (store / "sources/sha512").iterdir()
    entry.write_text(other)
    assert "altered" in fetch(store, tmp_path / "a.tgz", sha512=True)[1]


def test_an_altered_source_that_is_unavailable_elsewhere_is_named(tmp_path: Path) -> None:
    path, _ = fetch(tmp_path / "store", tmp_path / "a.tgz")
    spoil(path)
    (tmp_path / "a.tgz").write_bytes(b"something else")
    with pytest.raises(SourceError, match="altered in the store"):
        fetch(tmp_path / "store", tmp_path / "a.tgz")


# store verify


def test_store_verify_lists_what_does_not_match(
    space: Project, project: ProjectFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = built(space)
    source, _ = fetch(space.store.root, tmp_path / "a.tgz")
    options = ["-C", str(project.root), "--json", "store", "verify", "--store", str(space.store.root)]
    assert command(options) == ExitCode.DONE
    assert json.loads(capsys.readouterr().out) == {"measured": 5, "altered": []}
    spoil(source)
    spoil(results["a@debian-bootstrap/compile"][1] / "stage/lib.jar")
    spoil(results["b@el8/package"][1] / "rpms/x.rpm")
    assert command(options) == ExitCode.USAGE
    found = json.loads(capsys.readouterr().out)["altered"]
    assert [(one["kind"], one["task"]) for one in found] == [
        ("source", ""),
        ("compile", "a@debian-bootstrap/compile"),
        ("package", "b@el8/package"),
    ]
    assert command([*options, "--remove"]) == ExitCode.DONE
    capsys.readouterr()
    assert command(options) == ExitCode.DONE
    assert not source.exists() and not space.store.has("package", results["b@el8/package"][1].name)


def test_a_symlink_in_the_place_of_a_staged_file_is_not_followed(tmp_path: Path) -> None:
    store = Store(tmp_path / "store").open()
    folder = store.root / "work/made"
    (folder / "stage").mkdir(parents=True)
    (folder / "stage/file").write_text("content")
    outside = tmp_path / "outside"
    outside.write_text("content")
    os.utime(outside, (folder / "stage/file").stat()[7:9])
    place = store.commit("compile", "k" * 64, folder, {})
    assert altered(store, "compile", "k" * 64) is None
    (place / "stage/file").unlink()
    (place / "stage/file").symlink_to(outside)
    assert altered(store, "compile", "k" * 64) is not None


def test_what_a_repeated_compile_downloaded_is_recorded_and_not_measured(tmp_path: Path) -> None:
    store = Store(tmp_path / "store").open()
    result = tmp_path / "result"
    (result / "stage").mkdir(parents=True)
    (result / CACHES).write_text('{"maven": []}')
    place = store.commit("compile", "k1", result, {"task": "a"})
    (place / CACHES).write_text('{"maven": ["a.jar"]}')
    assert altered(store, "compile", "k1") is None
    (place / "stage" / "more").touch()
    assert altered(store, "compile", "k1") is not None
