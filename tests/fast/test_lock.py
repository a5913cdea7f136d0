"""Locks: what is in them, how they shape keys, and that nothing else gets into a locked compile."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.adapter.bundle.cache import pack, take_in, unpack
from bigtop_builder.adapter.store import CACHES
from bigtop_builder.adapter.tools.addresses import Addresses
from bigtop_builder.adapter.tools.cache import Cache
from bigtop_builder.adapter.tools.locked_cache import provide, seed_locked
from bigtop_builder.flow.build.lock_writer import make_lock, recorded
from bigtop_builder.flow.build.missing_downloads import missing_download, overlooked_download
from bigtop_builder.flow.build.project import Project, Request
from bigtop_builder.flow.build.steps import work_order
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.flow.packagings import PACKAGINGS
from bigtop_builder.model.digest import of_text
from bigtop_builder.model.errors import BuildError, ConfigurationError, RecipeError, SourceError
from bigtop_builder.model.lock import Lock, LockedFile
from bigtop_builder.model.mirrors import Mirrors
from bigtop_builder.plan.task import Task
from bigtop_builder.recipe.lock import find_lock, lock_text, read_lock
from tests.fast.conftest import ProjectFolder
from tests.fast.maven_repository import Repository, repository, repository_files
from tests.fast.test_cache import OWNER, put, tree

JAR, POM = "org/x/a/1.0/a-1.0.jar", "org/x/a/1.0/a-1.0.pom"
VERSIONS = "org/x/a/maven-metadata.xml"
LOCK_NAME = "1@el8.x86_64.json"


def locked(text: str, *, inline: bool = False) -> LockedFile:
    return LockedFile(size=len(text), sha256=of_text(text), text=text if inline else None)


LOCKED = {JAR: locked("jar"), POM: locked("pom"), VERSIONS: locked("<versions/>", inline=True)}


def a_lock(**downloads: Any) -> Lock:
    return Lock(component="a", version="1", builder="el8", architecture="x86_64", downloads=downloads)


@pytest.fixture
def remote() -> Iterator[Repository]:
    with repository() as served:
        yield served


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache("maven", tmp_path / "store", "a")


# the file


def test_a_lock_is_read_as_it_was_written(tmp_path: Path) -> None:
    lock = a_lock(maven=LOCKED, gradle={})
    path = put(tmp_path, {"a/locks/x.json": lock_text(lock)}) / "a/locks/x.json"
    found = find_lock([tmp_path / "overlay", tmp_path / "a"], "x.json")
    assert found is not None and found.path == path
    assert read_lock(found) == lock
    assert sum(JAR in line for line in path.read_text().splitlines()) == 1


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../x", "a/../../x", "a//b", "", "a/./b", "a/\u202e", "a/\nb", "a" * 1001]
)
def test_a_path_that_leaves_the_cache_is_refused_with_its_file(path: str, tmp_path: Path) -> None:
    data = {"component": "a", "version": "1", "builder": "el8", "architecture": "x86_64"}
    data["downloads"] = {"maven": {path: {"size": 1, "sha256": "0" * 64}}}  # type: ignore[assignment]
    put(tmp_path, {"locks/x.json": json.dumps(data)})
    found = find_lock([tmp_path], "x.json")
    assert found is not None
    with pytest.raises(RecipeError, match="is not a path inside a cache") as caught:
        read_lock(found)
    assert str(caught.value).startswith(str(tmp_path / "locks/x.json"))


@pytest.mark.parametrize("text", ["{", "[" * 200_000, '{"format": 2}', '{"downloads": {"cargo": {}}}', "\0"])
def test_what_is_no_lock_is_refused_with_its_file(text: str, tmp_path: Path) -> None:
    put(tmp_path, {"a/locks/x.json": text})
    found = find_lock([tmp_path / "a"], "x.json")
    assert found is not None
    with pytest.raises(RecipeError) as caught:
        read_lock(found)
    assert str(tmp_path / "a/locks/x.json") in str(caught.value)
    assert "bigtop-builder lock a" in str(caught.value)


def test_a_text_must_match_its_digest() -> None:
    with pytest.raises(ValueError, match="does not match"):
        LockedFile(size=1, sha256="0" * 64, text="x")


# keys and orders


def with_lock(project: ProjectFolder, **flags: object) -> Project:
    project.write("bigtop-builder.yaml", f"stack: small\nstore: {project.root}/store\noverlays: [overlay]\n")
    project.component("a", "build: {script: make, caches: [maven]}")
    return open_project(project.settings(builder="platform", **flags))


def compile_task(project: Project) -> Task:
    return next(task for task in project.plan(Request(selectors=("a",))).tasks if task.kind == "compile")


def write_lock(project: ProjectFolder, lock: Lock) -> None:
    project.write(f"overlay/components/a/locks/{LOCK_NAME}", "").write_text(lock_text(lock))


@pytest.fixture(autouse=True)
def one_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")


def test_a_lock_is_part_of_the_key_and_of_the_order(project: ProjectFolder) -> None:
    without = compile_task(with_lock(project))
    assert "lock" not in without.ingredients
    write_lock(project, a_lock(maven=LOCKED))
    opened = with_lock(project)
    task = compile_task(opened)
    assert {name for name in task.ingredients if task.ingredients[name] != without.ingredients.get(name)} == {"lock"}
    order = work_order(opened, task, PACKAGINGS)
    assert order.lock == a_lock(maven=LOCKED)
    ignoring = with_lock(project, locks="ignore")
    assert compile_task(ignoring).key == without.key
    assert work_order(ignoring, compile_task(ignoring), PACKAGINGS).lock is None
    write_lock(project, a_lock(maven={JAR: locked("jar")}))
    assert compile_task(with_lock(project)).key != task.key


def test_locks_can_be_required(project: ProjectFolder) -> None:
    (refusal,) = with_lock(project, locks="require").plan(Request(selectors=("a",))).refusals
    assert "bigtop-builder lock a" in refusal.reason
    write_lock(project, a_lock())
    assert not with_lock(project, locks="require").plan(Request(selectors=("a",))).refusals


def test_a_compile_without_a_network_needs_no_lock(project: ProjectFolder) -> None:
    write_lock(project, a_lock())
    with_lock(project)
    project.component("a", "build: {script: make, network: false}")
    opened = open_project(project.settings(builder="platform", locks="require"))
    assert "lock" not in compile_task(opened).ingredients


def test_the_lock_of_another_version_variant_or_builder_is_not_used(project: ProjectFolder) -> None:
    for name in ("2@el8.x86_64.json", "1-source@el8.x86_64.json", "1@el9.x86_64.json", "1@el8.aarch64.json"):
        project.write(f"overlay/components/a/locks/{name}", lock_text(a_lock()))
    assert "lock" not in compile_task(with_lock(project)).ingredients


# the store


def test_what_the_store_has_is_not_asked_for(cache: Cache, remote: Repository) -> None:
    put(cache.shared, {JAR: "jar"})
    put(cache.own, {POM: "pom"})
    assert provide(cache, LOCKED, remote.book, repository_files()) == 0
    assert provide(cache, LOCKED, remote.book, None) == 0
    assert remote.asked == []


def test_what_is_missing_is_downloaded_by_its_digest(cache: Cache, remote: Repository) -> None:
    remote.files |= {JAR: b"jar", POM: b"pom"}
    assert provide(cache, LOCKED, remote.book, repository_files()) == 2
    assert tree(cache.shared) == {JAR: "jar", POM: "pom"}
    assert provide(cache, LOCKED, remote.book, None) == 0


def test_a_file_of_the_store_that_was_changed_is_downloaded_again(cache: Cache, remote: Repository) -> None:
    put(cache.shared, {JAR: "EVIL", POM: "pom"})
    remote.files[JAR] = b"jar"
    assert provide(cache, LOCKED, remote.book, repository_files()) == 1
    assert tree(cache.shared) == {JAR: "jar", POM: "pom"}


@pytest.mark.parametrize("served", [b"EVIL", b"ja", b"jar and more than that", None])
def test_other_bytes_are_not_taken(cache: Cache, remote: Repository, served: bytes | None) -> None:
    remote.files |= {POM: b"pom"} | ({JAR: served} if served is not None else {})
    with pytest.raises(SourceError, match="1 locked downloads of maven are unavailable") as caught:
        provide(cache, LOCKED, remote.book, repository_files())
    assert JAR in caught.value.message
    assert "bigtop-builder lock a" in (caught.value.hint or "")
    assert tree(cache.shared) == {POM: "pom"}


def test_offline_what_is_missing_is_named(cache: Cache, remote: Repository) -> None:
    with pytest.raises(SourceError, match=f"{JAR}: it is not in the store, and this run is offline"):
        provide(cache, LOCKED, remote.book, None)
    assert remote.asked == []


def test_the_choice_of_a_lock_between_repositories_is_for_its_component_alone(cache: Cache, remote: Repository) -> None:
    with repository() as second:
        book = remote.book
        mirrors = [{"url": remote.url}, {"id": "second", "url": second.url, "mirror_of": "second"}]
        book._mirrors = book._mirrors.model_validate({"maven": mirrors})
        remote.files[JAR] = b"another"
        second.files |= {JAR: b"jar", POM: b"pom"}
        assert provide(cache, LOCKED, book, repository_files()) == 2
    assert tree(cache.own) == {JAR: "jar", POM: "pom"}
    assert not cache.shared.exists() or tree(cache.shared) == {}


def test_what_older_versions_downloaded_is_taken_by_its_digest(cache: Cache) -> None:
    put(cache.root, {JAR: "jar", POM: "EVIL"})
    with pytest.raises(SourceError, match="1 locked downloads"):
        provide(cache, LOCKED, Addresses(Mirrors()), None)
    assert tree(cache.own) == {JAR: "jar"}


def test_a_bundle_takes_locked_downloads_to_a_closed_site(cache: Cache, tmp_path: Path) -> None:
    put(cache.shared, {JAR: "jar"})
    put(cache.own, {POM: "pom"})
    places = [place.relative_to(cache.root).as_posix() for path in (JAR, POM) if (place := cache.find(path))]
    closed = Cache("maven", tmp_path / "closed", "a")
    for _ in range(2):
        scratch = tmp_path / "scratch"
        paths = unpack(pack(cache.root, places), scratch, "a bundle")
        taken = take_in("maven", closed.store, scratch, paths)
        shutil.rmtree(scratch)
    assert (taken.new, taken.same, taken.kept) == (0, 2, [])
    assert (tree(closed.shared), tree(closed.own)) == ({JAR: "jar"}, {POM: "pom"})
    assert provide(closed, LOCKED, Addresses(Mirrors()), None) == 0


def test_only_what_is_locked_is_seeded(cache: Cache, remote: Repository, tmp_path: Path) -> None:
    put(cache.shared, {JAR: "jar", POM: "pom", "org/x/b/1.0/b-1.0.jar": "not locked"})
    put(cache.own, {"org/x/a/maven-metadata-mirror.xml": "<of another day/>"})
    home = tmp_path / "home"
    home.mkdir()
    seeded = seed_locked(cache, LOCKED, remote.book, home, owner=OWNER, links=False)
    assert set(seeded.files) == {JAR, POM}
    assert tree(home / ".m2/repository") == {
        JAR: "jar",
        POM: "pom",
        "org/x/a/maven-metadata-mirror.xml": "<versions/>",
        "org/x/a/maven-metadata-central.xml": "<versions/>",
    }


# making one


def compiled(project: Project, use: dict[str, list[str]]) -> Task:
    """A compile result in the store that used these files."""
    store, task = project.store.open(), compile_task(project)
    result = store.root / "work" / "result"
    put(result, {"stage/x": "x", CACHES: json.dumps(use)})
    store.commit("compile", task.key, result, {"component": "a"})
    return task


def test_a_lock_lists_what_the_newest_compile_used(project: ProjectFolder) -> None:
    opened = with_lock(project, locks="ignore")
    versions, times = "org/x/a/maven-metadata-mirror.xml", "org/x/a/resolver-status.properties"
    compiled(opened, {"maven": [JAR, POM, versions, times]})
    cache = Cache("maven", opened.store.root, "a")
    put(cache.shared, {JAR: "jar", POM: "pom"})
    put(cache.own, {versions: "<versions/>", times: "t"})
    record = recorded(opened, Request(selectors=("a",)))
    assert record.unrecorded == []
    made = make_lock(opened, record.tasks[0])
    assert (made.lock, made.notes) == (a_lock(maven=LOCKED), ())
    assert made.path == project.overlay / "components/a/locks" / LOCK_NAME
    assert not made.up_to_date
    made.write()
    assert make_lock(opened, record.tasks[0]).up_to_date
    again = with_lock(project)
    assert work_order(again, compile_task(again), PACKAGINGS).lock == made.lock


def test_a_compile_whose_downloads_are_gone_must_be_repeated(project: ProjectFolder) -> None:
    opened = with_lock(project, locks="ignore")
    assert len(recorded(opened, Request(selectors=("a",))).unrecorded) == 1
    compiled(opened, {"maven": [JAR]})
    assert len(recorded(opened, Request(selectors=("a",))).unrecorded) == 1
    put(Cache("maven", opened.store.root, "a").own, {JAR: "jar"})
    assert recorded(opened, Request(selectors=("a",))).unrecorded == []


def test_a_file_that_a_build_forged_is_not_locked(project: ProjectFolder, remote: Repository) -> None:
    opened = with_lock(project, locks="ignore")
    task = compiled(opened, {"maven": [JAR, POM]})
    cache = Cache("maven", opened.store.root, "a")
    put(cache.own, {JAR: "EVIL", POM: "pom"})
    remote.publish(JAR, "jar")
    cache.check(remote.book, repository_files())
    with pytest.raises(BuildError, match="is not what a repository publishes"):
        make_lock(opened, task)
    (cache.own / JAR).write_text("jar")
    (cache.own / ".answers.json").unlink()
    cache.check(remote.book, repository_files())
    (note,) = make_lock(opened, task).notes
    assert POM in note


def test_a_tool_that_notes_addresses_cannot_be_locked(project: ProjectFolder) -> None:
    opened = with_lock(project, locks="ignore")
    task = compiled(opened, {"maven": [], "npm": ["index-v5/aa/bb/cc"]})
    put(Cache("npm", opened.store.root, "a").own, {"index-v5/aa/bb/cc": "{}"})
    with pytest.raises(ConfigurationError, match="a cannot be locked: it downloads with npm"):
        make_lock(opened, task)


def test_nothing_to_lock_is_told(project: ProjectFolder) -> None:
    with_lock(project)
    project.component("a", "build: {script: make, network: false}")
    opened = open_project(project.settings(builder="platform", locks="ignore"))
    with pytest.raises(ConfigurationError, match="nothing that is selected compiles with a network"):
        recorded(opened, Request(selectors=("a",)))


# failures


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (
            "[ERROR] Cannot access mirror (https://repo.example/maven2) in offline mode and the artifact "
            "org.x:a:jar:1.0 has not been downloaded from it before. -> [Help 1]",
            "org.x:a:jar:1.0",
        ),
        ("   > No cached version of org.x:a:1.0 available for offline mode.", "org.x:a:1.0"),
        ("npm ERR! code ENOTCACHED\nnpm ERR! request to https://r.example/x failed", "https://r.example/x"),
        ("curl: (6) Could not resolve host: example.org", "example.org"),
        ("fatal: unable to access 'https://h.example/': Could not resolve host: h.example", "h.example"),
        ("bash: line 3: example.org: Temporary failure in name resolution", "example.org"),
        ("wget: unable to resolve host address 'example.org'", "example.org"),
        ("Caused by: java.net.UnknownHostException: example.org: Name or service not known", "example.org"),
        ("getaddrinfo EAI_AGAIN registry.example registry.example:443", "registry.example"),
        ("[ERROR] No plugin found for prefix 'foo' in the current project", "foo"),
    ],
)
def test_what_a_locked_build_asked_for_is_named(line: str, named: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(f"[INFO] Building\n\x1b[1m{line}\x1b[m\n[ERROR] Failed to connect\n")
    assert missing_download(log) == named


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (
            "[WARNING] Cannot access mirror (https://repo.example) in offline mode and the artifact "
            "org.x:a:pom:1.0 has not been downloaded from it before.",
            "org.x:a:pom:1.0",
        ),
        ("[WARNING] The POM for org.x:b:jar:1.0 is missing, no dependency information available", "org.x:b:jar:1.0"),
        ("[WARNING] The POM for org.x:a:jar:1.0 is missing, no dependency information available", None),
        ("[WARNING] The POM for org.x:a:jar:tests:1.0 is missing, no dependency information available", None),
        ("[INFO] in offline mode", None),
        ("[WARNING] The POM for x is missing, no dependency information available", "x"),
    ],
)
def test_a_build_that_went_on_without_an_artifact_is_found_out(line: str, named: str | None, tmp_path: Path) -> None:
    """Maven only warns; where the lock has the artifact without a POM, there was none when the lock was made."""
    log = tmp_path / "log"
    log.write_text(f"[INFO] Building\n{line}\n" + "[INFO] BUILD SUCCESS\n" * 30_000)
    assert overlooked_download(log, [JAR]) == named


def test_a_failure_of_another_kind_names_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("[ERROR] COMPILATION ERROR\n")
    assert missing_download(log) is None
