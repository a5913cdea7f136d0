"""The shared download caches: what gets in, what stays out, and that no task reaches another's files."""

from __future__ import annotations

import errno
import gzip
import multiprocessing
import os
import threading
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from bigtop_builder.adapter.tools.cache import Cache, Seeded, Traffic, built_artifacts
from bigtop_builder.adapter.untrusted import Budget
from bigtop_builder.model.build_tools.registry import CACHES, CacheName

OWNER = (os.geteuid(), os.getegid())
"""The container's user, when it is this very user."""
OTHER = (os.geteuid() + 1, os.getegid() + 1)
"""The container's user, when it is another: that needs root."""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


def cache(name: CacheName, store: Path, component: str = "alpha") -> Cache:
    return Cache(name, store, component)


def merge(name: CacheName, store: Path, home: Path, component: str = "alpha") -> Traffic:
    """Take over what a build of a component left in its home."""
    return cache(name, store, component).take(home.parent, home.name, Budget(100_000, 1 << 30))


def seed(
    name: CacheName,
    store: Path,
    home: Path,
    *,
    owner: tuple[int, int] = OWNER,
    built: frozenset[str] = frozenset(),
    component: str = "alpha",
) -> Seeded:
    """Seed a build of a component."""
    return cache(name, store, component).seed(home, owner=owner, links=owner != OWNER, built=built)


def own(name: CacheName, store: Path, component: str = "alpha") -> Path:
    """What only this component's builds are seeded with."""
    return cache(name, store, component).own


def put(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def tree(root: Path) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


def downloaded(home: Path, artifact: str, content: str = "jar", origin: str = "central") -> Path:
    """What Maven leaves of one artifact."""
    folder = home / ".m2/repository/org/x" / artifact / "1.0"
    name = f"{artifact}-1.0.jar"
    put(folder, {name: content, "_remote.repositories": f"#comment\n{name}>{origin}=\n", f"{name}.sha1": "0"})
    return folder / name


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@needs_root
def test_downloads_are_taken_over_and_seeded_as_links(store: Path, home: Path, tmp_path: Path) -> None:
    downloaded(home, "a", "12345")
    assert merge("maven", store, home) == Traffic(1, 5)
    assert tree(own("maven", store)) == {"org/x/a/1.0/a-1.0.jar": "12345"}
    other = tmp_path / "other"
    other.mkdir()
    assert seed("maven", store, other, owner=OTHER).traffic == Traffic(1, 5)
    shared = own("maven", store) / "org/x/a/1.0/a-1.0.jar"
    seeded = other / ".m2/repository/org/x/a/1.0/a-1.0.jar"
    assert seeded.samefile(shared)
    assert shared.stat().st_mode & 0o777 == 0o644
    assert shared.stat().st_uid == os.geteuid()


def test_what_a_build_installs_does_not_leak(store: Path, home: Path) -> None:
    downloaded(home, "own", origin="")
    both = downloaded(home, "both")
    with (both.parent / "_remote.repositories").open("a") as stream:
        stream.write("both-1.0.jar>=\n")
    put(home / ".m2/repository/org/x/untracked/1.0", {"untracked-1.0.jar": "x"})
    put(
        home / ".m2/repository/org/x/s/1-SNAPSHOT",
        {"s.jar": "x", "_remote.repositories": "s.jar>central=\n"},
    )
    assert merge("maven", store, home) == Traffic()


def test_what_maven_knows_of_a_repository_is_kept_but_not_of_a_build(store: Path, home: Path, tmp_path: Path) -> None:
    kept = {"org/x/p/maven-metadata-mirror.xml": "<versions/>", "org/x/p/resolver-status.properties": "t=1"}
    put(home / ".m2/repository", kept)
    put(home / ".m2/repository/org/x/p", {"maven-metadata-local.xml": "<own/>", "maven-metadata-mirror.xml.sha1": "0"})
    put(home / ".m2/repository/org/x/s/1-SNAPSHOT", {"maven-metadata-mirror.xml": "<snapshot/>"})
    merge("maven", store, home)
    assert tree(own("maven", store)) == kept
    other = tmp_path / "other"
    other.mkdir()
    seed("maven", store, other, owner=OWNER)
    (other / ".m2/repository/org/x/p/resolver-status.properties").write_text("t=2")
    assert tree(own("maven", store)) == kept


def test_a_write_into_a_seeded_home_does_not_reach_the_shared_cache(store: Path, home: Path, tmp_path: Path) -> None:
    put(home / ".npm/_cacache", {"content-v2/sha512/aa/bb": "data", "index-v5/01/02": "line 1\n"})
    merge("npm", store, home)
    other = tmp_path / "other"
    other.mkdir()
    seed("npm", store, other, owner=OWNER)
    index = other / ".npm/_cacache/index-v5/01/02"
    with index.open("a") as stream:
        stream.write("line 2\n")
    assert (own("npm", store) / "index-v5/01/02").read_text() == "line 1\n"
    assert merge("npm", store, other) == Traffic(1, 14)
    assert (own("npm", store) / "index-v5/01/02").read_text() == "line 1\nline 2\n"


def test_an_artifact_that_the_task_builds_may_be_overwritten(store: Path, home: Path, tmp_path: Path) -> None:
    downloaded(home, "hadoop-common", "released")
    merge("maven", store, home)
    source = put(tmp_path / "source", {"pom.xml": "<project><artifactId>hadoop-common</artifactId></project>"})
    other = tmp_path / "other"
    other.mkdir()
    owner = OTHER if os.geteuid() == 0 else OWNER
    seed("maven", store, other, owner=owner, built=built_artifacts(["maven"], source))
    (other / ".m2/repository/org/x/hadoop-common/1.0/hadoop-common-1.0.jar").write_text("patched")
    assert (own("maven", store) / "org/x/hadoop-common/1.0/hadoop-common-1.0.jar").read_text() == "released"


def test_built_artifacts_reads_the_projects_own_id(tmp_path: Path) -> None:
    pom = (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><parent><artifactId>parent</artifactId></parent>'
        "<artifactId> child </artifactId></project>"
    )
    put(tmp_path, {"pom.xml": pom, "broken/pom.xml": "<project>", "child/target/pom.xml": pom.replace("child", "no")})
    assert built_artifacts(["npm", "maven"], tmp_path) == {"child"}
    assert built_artifacts(["npm"], tmp_path) == set()


def test_what_is_there_is_never_replaced(store: Path, home: Path, tmp_path: Path) -> None:
    downloaded(home, "a", "first")
    merge("maven", store, home)
    other = tmp_path / "other"
    downloaded(other, "a", "second")
    assert merge("maven", store, other) == Traffic()
    assert tree(own("maven", store)) == {"org/x/a/1.0/a-1.0.jar": "first"}


def test_two_merges_at_once(store: Path, tmp_path: Path) -> None:
    homes = [tmp_path / f"home{number}" for number in range(4)]
    for number, place in enumerate(homes):
        for artifact in range(60):
            downloaded(place, f"shared{artifact}", "same")
        downloaded(place, f"only{number}", "mine")
    done: list[Traffic] = []
    start = threading.Barrier(len(homes))

    def work(place: Path) -> None:
        start.wait()
        done.append(merge("maven", store, place))

    threads = [threading.Thread(target=work, args=(place,)) for place in homes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(traffic.files for traffic in done) == 64
    assert len(tree(own("maven", store))) == 64


def content_of(number: int) -> str:
    return f"{number}-" * 100_000


def big_download(home: Path, number: int) -> None:
    """Two builds that download the same get the same bytes; a file that was seeded is there already."""
    if not (home / f".m2/repository/org/x/artifact{number}/1.0/artifact{number}-1.0.jar").exists():
        downloaded(home, f"artifact{number}", content_of(number))
    versions = f"<versions>{number}</versions>" * 2_000
    put(home / f".m2/repository/org/x/artifact{number}", {"new.tmp": versions})
    metadata = home / f".m2/repository/org/x/artifact{number}/maven-metadata-mirror.xml"
    (home / f".m2/repository/org/x/artifact{number}/new.tmp").replace(metadata)


def turns(store: Path, scratch: Path, number: int, told: Connection) -> None:
    """What a process does until it is killed."""
    for turn in range(1000):
        home = scratch / f"{number}-{turn}"
        home.mkdir()
        seed("maven", store, home, owner=OWNER)
        for artifact in range(4):
            big_download(home, (37 * number + 4 * turn + artifact) % 400)
        told.send(turn)
        merge("maven", store, home)


def test_processes_that_are_killed_leave_nothing_but_whole_files(store: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    forking = multiprocessing.get_context("fork")
    running: list[tuple[BaseProcess, Connection]] = []

    def start(number: int) -> None:
        ours, theirs = forking.Pipe(duplex=False)
        process = forking.Process(target=turns, args=(store, scratch, number, theirs))
        process.start()
        theirs.close()
        running.append((process, ours))

    def kill_first() -> None:
        process, told = running.pop(0)
        # The news of its earlier turns are not wanted: it dies at the beginning of a merge, or soon after.
        while told.poll():
            told.recv()
        told.recv()
        process.kill()
        process.join(30)
        process.close()
        told.close()

    for number in range(3):
        start(number)
    for number in range(3, 15):
        kill_first()
        start(number)
    while running:
        kill_first()

    found = 0
    for path in own("maven", store).rglob("*"):
        number = int(path.name.removeprefix("artifact").partition("-")[0]) if path.suffix == ".jar" else None
        if number is not None:
            assert path.read_text() == content_of(number)
            found += 1
        elif path.suffix == ".xml":
            number = int(path.parent.name.removeprefix("artifact"))
            assert path.read_text() == f"<versions>{number}</versions>" * 2_000
        else:
            assert path.is_dir() or path.suffix == ".tmp"
    assert found >= 4
    late = tmp_path / "late"
    late.mkdir()
    assert seed("maven", store, late, owner=OWNER).traffic.files >= found
    assert not list(late.rglob("*.tmp"))


def test_node_is_kept_when_its_archive_is_whole(store: Path, home: Path) -> None:
    whole = gzip.compress(b"node" * 100_000)
    folder = home / ".m2/repository/com/github/eirslett/node/16.20.2"
    put(folder, {"noise.txt": "x"})
    (folder / "node-16.20.2-linux-x64.tar.gz").write_bytes(whole)
    (folder / "node-16.20.2-darwin-x64.tar.gz").write_bytes(whole[:-10])
    assert merge("maven", store, home) == Traffic(1, len(whole))
    kept = own("maven", store) / "com/github/eirslett/node/16.20.2/node-16.20.2-linux-x64.tar.gz"
    assert kept.read_bytes() == whole


def test_links_and_leftovers_are_not_taken(store: Path, home: Path, tmp_path: Path) -> None:
    secret = put(tmp_path, {"secret": "s"}) / "secret"
    jar = downloaded(home, "a")
    jar.unlink()
    jar.symlink_to(secret)
    (home / ".m2/repository/linked").symlink_to(tmp_path)
    assert merge("maven", store, home) == Traffic()
    put(own("maven", store) / "org/x/b/1.0", {"0123456789ab.tmp": "half"})
    assert seed("maven", store, home, owner=OWNER).traffic == Traffic()


def test_another_file_system_gets_copies(
    store: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second file system cannot be made in a test, so the refusal of the kernel is played."""
    downloaded(home, "a", "12345")
    link = os.link

    def refuse(source: Path, target: Path) -> None:
        if Path(source).parent != Path(target).parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        link(source, target)

    monkeypatch.setattr(os, "link", refuse)
    assert merge("maven", store, home) == Traffic(1, 5)
    other = tmp_path / "other"
    other.mkdir()
    assert seed("maven", store, other, owner=OTHER).traffic == Traffic(1, 5)
    seeded = other / ".m2/repository/org/x/a/1.0/a-1.0.jar"
    assert seeded.read_text() == "12345"
    assert seeded.stat().st_nlink == 1


@pytest.mark.parametrize(
    ("kind", "files", "kept"),
    [
        (
            "gradle",
            {"files-2.1/g/a/1/sha/a.jar": "j", "metadata-2.97/module.bin": "m", "modules-2.lock": "l"},
            {"files-2.1/g/a/1/sha/a.jar", "metadata-2.97/module.bin"},
        ),
        (
            "ivy",
            {
                "org/a/jars/a.jar": "j",
                "org/a/ivy-1.xml": "i",
                "org/a/ivydata-1.properties": "p",
                ".lck": "",
                "resolved-x.xml": "",
            },
            {"org/a/jars/a.jar", "org/a/ivy-1.xml", "org/a/ivydata-1.properties"},
        ),
        ("pip", {"http-v2/a/b/body": "x", "selfcheck/c": "y", "wheels/built.whl": "z"}, {"http-v2/a/b/body"}),
        ("ccache", {"0/1/xR": "r", "0/stats": "s", "ccache.conf": "c", "lock/x.lock": ""}, {"0/1/xR"}),
    ],
)
def test_layouts(kind: CacheName, files: dict[str, str], kept: set[str], store: Path, home: Path) -> None:
    put(home / CACHES[kind].place, files)
    merge(kind, store, home)
    assert set(tree(own(kind, store))) == kept


def test_nothing_there_is_nothing_done(store: Path, home: Path) -> None:
    assert seed("maven", store, home, owner=OWNER).traffic == Traffic()
    assert merge("maven", store, home) == Traffic()
