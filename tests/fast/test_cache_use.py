"""Which files of its download caches a task asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bigtop_builder.adapter.tools.cache import Seeded, Traffic
from bigtop_builder.adapter.tools.cache_use import CacheUse, content
from bigtop_builder.adapter.tools.cache_use import used as used_below
from bigtop_builder.model.build_tools.registry import CACHES, CacheName
from tests.fast.test_cache import OTHER, OWNER, downloaded, merge, own, put, seed


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


def home_of(tmp_path: Path, name: str) -> Path:
    (tmp_path / name).mkdir()
    return tmp_path / name


def used(name: CacheName, home: Path, seeded: Seeded) -> CacheUse:
    return used_below(name, home.parent, home.name, seeded)


def cached(store: Path, tmp_path: Path, *artifacts: str) -> None:
    """A shared Maven cache that has them."""
    first = home_of(tmp_path, "first")
    for artifact in artifacts:
        long_ago(downloaded(first, artifact))
    merge("maven", store, first)


def long_ago(path: Path) -> Path:
    """A download of another day; one within the same tick of the file system's clock would count as read."""
    os.utime(path, ns=(0, 0))
    return path


def jar(home: Path, artifact: str) -> Path:
    return home / f".m2/repository/org/x/{artifact}/1.0/{artifact}-1.0.jar"


def test_files_that_were_read_are_hits_and_downloads_are_new(store: Path, tmp_path: Path) -> None:
    cached(store, tmp_path, "read", "idle")
    home = home_of(tmp_path, "home")
    seeded = seed("maven", store, home, owner=OWNER)
    if seeded.moment is None:
        pytest.skip("this file system keeps no atime")
    jar(home, "read").read_bytes()
    downloaded(home, "fresh", "12345")
    downloaded(home, "own", origin="")
    use = used("maven", home, seeded)
    assert use == CacheUse({"org/x/read/1.0/read-1.0.jar": 3}, {"org/x/fresh/1.0/fresh-1.0.jar": 5})
    assert use.asked == ["org/x/fresh/1.0/fresh-1.0.jar", "org/x/read/1.0/read-1.0.jar"]
    assert content("maven", use.new) == Traffic(1, 5)


def test_a_second_task_does_not_inherit_what_the_first_one_read(store: Path, tmp_path: Path) -> None:
    cached(store, tmp_path, "a", "b")
    one, two = home_of(tmp_path, "one"), home_of(tmp_path, "two")
    seeded = seed("maven", store, one, owner=OWNER)
    if seeded.moment is None:
        pytest.skip("this file system keeps no atime")
    jar(one, "a").read_bytes()
    assert set(used("maven", one, seeded).hit) == {"org/x/a/1.0/a-1.0.jar"}
    # The clock of the file system ticks a few hundred times a second.
    while (later := seed("maven", store, two, owner=OWNER)).moment == jar(one, "a").stat().st_atime_ns:
        pass
    jar(two, "b").read_bytes()
    assert set(used("maven", two, later).hit) == {"org/x/b/1.0/b-1.0.jar"}


def test_the_jar_of_a_description_that_was_read_counts_as_asked_for(store: Path, tmp_path: Path) -> None:
    """Maven only looks whether the jar of a test dependency is there when tests are skipped."""
    first = home_of(tmp_path, "first")
    folder = downloaded(first, "a").parent
    put(folder, {"a-1.0.pom": "pom", "_remote.repositories": "a-1.0.jar>central=\na-1.0.pom>central=\n"})
    merge("maven", store, first)
    home = home_of(tmp_path, "home")
    seeded = seed("maven", store, home, owner=OWNER)
    jar(home, "a").with_suffix(".pom").read_bytes()
    assert set(used("maven", home, seeded).hit) == {"org/x/a/1.0/a-1.0.jar", "org/x/a/1.0/a-1.0.pom"}


def test_without_atimes_all_that_was_seeded_counts(store: Path, tmp_path: Path) -> None:
    cached(store, tmp_path, "a", "b")
    home = home_of(tmp_path, "home")
    seeded = seed("maven", store, home, owner=OWNER)
    assert set(used("maven", home, Seeded(seeded.files, None)).hit) == set(seeded.files)


def test_what_the_build_removed_counts_as_asked_for(store: Path, tmp_path: Path) -> None:
    cached(store, tmp_path, "a", "b")
    home = home_of(tmp_path, "home")
    seeded = seed("maven", store, home, owner=OWNER)
    jar(home, "a").unlink()
    assert "org/x/a/1.0/a-1.0.jar" in used("maven", home, seeded).hit


def test_bookkeeping_that_was_copied_is_asked_for_only_when_read(store: Path, tmp_path: Path) -> None:
    first = home_of(tmp_path, "first")
    put(first / ".npm/_cacache", {"content-v2/aa": "data", "index-v5/01": "1", "index-v5/02": "2"})
    merge("npm", store, first)
    home = home_of(tmp_path, "home")
    seeded = seed("npm", store, home, owner=OWNER)
    if seeded.moment is None:
        pytest.skip("this file system keeps no atime")
    assert used("npm", home, seeded) == CacheUse()
    (home / ".npm/_cacache/index-v5/01").read_bytes()
    use = used("npm", home, seeded)
    assert use.asked == ["index-v5/01"]
    assert content("npm", use.hit) == Traffic()


@pytest.mark.parametrize(
    ("kind", "path", "expected"),
    [
        ("maven", "org/x/a/1/a-1.jar", "org/x/a/1"),
        ("maven", "org/x/a/maven-metadata-mirror.xml", "org/x/a/maven-metadata-mirror.xml"),
        ("gradle", "files-2.1/g/a/1/0123/a.jar", "files-2.1/g/a/1"),
        ("gradle", "metadata-2.97/module.bin", "metadata-2.97/module.bin"),
        ("ivy", "org/a/jars/a-1.jar", "org/a"),
        ("npm", "content-v2/sha512/aa", "content-v2/sha512/aa"),
    ],
)
def test_files_that_are_asked_for_together(kind: CacheName, path: str, expected: str) -> None:
    assert CACHES[kind].unit(path) == expected


def test_seeding_does_not_change_the_shared_files(store: Path, tmp_path: Path) -> None:
    cached(store, tmp_path, "a")
    shared = own("maven", store) / "org/x/a/1.0/a-1.0.jar"
    before = shared.stat()
    seed("maven", store, home_of(tmp_path, "home"), owner=OTHER if os.geteuid() == 0 else OWNER)
    after = shared.stat()
    assert (after.st_mtime_ns, after.st_mode) == (before.st_mtime_ns, before.st_mode)
    if os.geteuid() == 0:
        assert after.st_atime_ns == before.st_atime_ns
    assert [path.name for path in (tmp_path / "home/.m2/repository").iterdir()] == ["org"]
