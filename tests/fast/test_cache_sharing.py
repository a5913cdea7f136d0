"""A build can give to other components only what the remote really gave."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bigtop_builder.adapter.tools.cache import ANSWERS, Cache, Checked
from bigtop_builder.adapter.untrusted import Budget
from bigtop_builder.model.build_tools.registry import CACHES, CacheName
from bigtop_builder.model.errors import BuildError
from tests.fast.maven_repository import Repository, repository, repository_files
from tests.fast.test_cache import OWNER, cache, downloaded, merge, needs_root, own, put, seed, tree

JAR = "org/x/a/1.0/a-1.0.jar"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return home_of(tmp_path, "home")


@pytest.fixture
def remote() -> Iterator[Repository]:
    with repository() as served:
        yield served


def home_of(tmp_path: Path, name: str) -> Path:
    (tmp_path / name).mkdir()
    return tmp_path / name


def check(name: CacheName, store: Path, remote: Repository, component: str = "alpha") -> Checked:
    return cache(name, store, component).check(remote.book, repository_files())


def shared(name: CacheName, store: Path) -> dict[str, str]:
    return tree(Cache(name, store, "any").shared)


def given(name: CacheName, store: Path, tmp_path: Path, component: str) -> dict[str, str]:
    """What a build of a component starts with."""
    home = home_of(tmp_path, f"home-of-{component}")
    seed(name, store, home, component=component)
    return tree(home / CACHES[name].place)


def test_a_poisoned_jar_reaches_no_other_component(store: Path, home: Path, tmp_path: Path, remote: Repository) -> None:
    """The build writes a jar under the name of a library, with Maven's note that Central gave it."""
    slf4j = "org/slf4j/slf4j-api/1.7.30/slf4j-api-1.7.30.jar"
    remote.publish(slf4j, "the real one")
    for path in (slf4j, "org/apache/zookeeper/poisoned/9.9.9/poisoned-9.9.9.jar"):
        folder, _, name = path.rpartition("/")
        put(home / ".m2/repository" / folder, {name: "EVIL", "_remote.repositories": f"{name}>central=\n"})
    assert merge("maven", store, home, "evil").files == 2
    found = check("maven", store, remote, "evil")
    assert (found.shared, found.differing) == (0, (slf4j,))
    assert given("maven", store, tmp_path, "zookeeper") == {}
    assert set(given("maven", store, tmp_path, "evil").values()) == {"EVIL"}
    # And the answers are remembered.
    asked = len(remote.asked)
    assert check("maven", store, remote, "evil") == Checked()
    assert len(remote.asked) == asked


def test_what_the_repository_publishes_is_shared_by_all(
    store: Path, home: Path, tmp_path: Path, remote: Repository
) -> None:
    downloaded(home, "a", "real")
    remote.publish(JAR, "real")
    merge("maven", store, home)
    assert given("maven", store, tmp_path, "before") == {}
    assert check("maven", store, remote) == Checked(1)
    assert given("maven", store, tmp_path, "after") == {JAR: "real"}
    assert set(tree(own("maven", store))) <= {ANSWERS}
    asked = len(remote.asked)
    merge("maven", store, home, "after")
    assert check("maven", store, remote, "after") == Checked()
    assert len(remote.asked) == asked


@pytest.mark.parametrize("form", ["{}", "{}  a-1.0.jar\n", "SHA1(a-1.0.jar)= {}", "{}\r\n"])
def test_forms_of_checksums(store: Path, home: Path, remote: Repository, form: str) -> None:
    downloaded(home, "a", "real")
    remote.files[f"{JAR}.sha1"] = form.format(hashlib.sha1(b"real").hexdigest().upper()).encode()
    merge("maven", store, home)
    assert check("maven", store, remote) == Checked(1)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_repository_without_sha1_may_publish_another(
    store: Path, home: Path, remote: Repository, algorithm: str
) -> None:
    downloaded(home, "a", "real")
    remote.publish(JAR, "real", algorithm)
    merge("maven", store, home)
    assert check("maven", store, remote) == Checked(1)


def test_repositories_that_disagree_prove_nothing(store: Path, home: Path, tmp_path: Path, remote: Repository) -> None:
    """Which of them the next build would ask, only its POM knows."""
    with repository() as corporate:
        remote.publish(JAR, "public")
        corporate.publish(JAR, "internal")
        mirrors = [
            {"url": remote.url, "mirror_of": "central"},
            {"id": "corporate", "url": corporate.url, "mirror_of": "corporate"},
        ]
        book = remote.book
        book._mirrors = book._mirrors.model_validate({"maven": mirrors})
        downloaded(home, "a", "public")
        merge("maven", store, home)
        found = cache("maven", store).check(book, repository_files())
    assert (found.shared, found.differing) == (0, (JAR,))
    assert given("maven", store, tmp_path, "other") == {}


def test_no_answer_is_no_proof_and_the_next_run_asks_again(
    store: Path, home: Path, tmp_path: Path, remote: Repository
) -> None:
    downloaded(home, "a", "real")
    remote.publish(JAR, "real")
    merge("maven", store, home)
    remote.status = 503
    assert check("maven", store, remote) == Checked(unanswered=1)
    assert given("maven", store, tmp_path, "other") == {}
    remote.status = None
    assert check("maven", store, remote) == Checked(1)


def test_a_page_instead_of_a_checksum_is_no_answer(store: Path, home: Path, remote: Repository) -> None:
    downloaded(home, "a", "real")
    remote.files[f"{JAR}.sha1"] = b"<html>please log in</html>"
    merge("maven", store, home)
    assert check("maven", store, remote) == Checked(unanswered=1)


def test_a_server_that_dribbles_holds_nobody_up(store: Path, home: Path, remote: Repository) -> None:
    downloaded(home, "a", "real")
    remote.publish(JAR, "real")
    remote.dribbles = True
    merge("maven", store, home)
    assert cache("maven", store).check(remote.book, repository_files(0.5)) == Checked(unanswered=1)


def test_a_server_that_is_gone_is_asked_a_few_times_only(store: Path, home: Path, remote: Repository) -> None:
    for number in range(40):
        downloaded(home, f"a{number}", "real")
    remote.status = 500
    merge("maven", store, home)
    assert check("maven", store, remote) == Checked(unanswered=40)
    assert len(remote.asked) < 20


def test_connections_are_few_and_stay_open(store: Path, home: Path, remote: Repository) -> None:
    for number in range(60):
        downloaded(home, f"a{number}", "real")
        remote.publish(f"org/x/a{number}/1.0/a{number}-1.0.jar", "real")
    merge("maven", store, home)
    assert check("maven", store, remote) == Checked(60)
    assert len(remote.connections) <= 8


def test_nothing_that_a_tool_notes_is_shared(store: Path, home: Path, tmp_path: Path, remote: Repository) -> None:
    """A build could say there which versions exist, or which file belongs to an address."""
    put(home / ".m2/repository/org/x/p", {"maven-metadata-mirror.xml": "<versions/>"})
    put(home / ".npm/_cacache/index-v5/aa/bb", {"cc": '{"key": "left-pad"}'})
    put(home / ".gradle/caches/modules-2/metadata-2.97", {"module.bin": "m"})
    for name in ("maven", "npm", "gradle"):
        assert merge(name, store, home).files == 1
        assert check(name, store, remote) == Checked()
        assert given(name, store, tmp_path, f"other-{name}") == {}


def test_npms_files_are_shared_when_their_bytes_are_their_name(
    store: Path, home: Path, tmp_path: Path, remote: Repository
) -> None:
    def content(algorithm: str, data: str, named: str) -> str:
        value = hashlib.new(algorithm, named.encode()).hexdigest()
        path = f"content-v2/{algorithm}/{value[:2]}/{value[2:4]}/{value[4:]}"
        put(home / ".npm/_cacache", {path: data})
        return path

    good = content("sha512", "tarball", "tarball")
    forged = content("sha512", "EVIL", "another")
    weak = content("sha1", "tarball", "tarball")
    merge("npm", store, home)
    assert check("npm", store, remote) == Checked(1, (forged,))
    assert shared("npm", store) == {good: "tarball"}
    assert set(given("npm", store, tmp_path, "alpha")) == {good, forged, weak}


@pytest.mark.parametrize(
    ("content", "named", "published", "proved"),
    [
        ("real", "real", "real", True),
        ("EVIL", "EVIL", "real", False),
        ("EVIL", "real", "real", False),
        ("real", "another", "real", False),
    ],
)
def test_gradles_files_must_be_their_name_and_what_is_published(
    store: Path, home: Path, remote: Repository, content: str, named: str, published: str, proved: bool
) -> None:
    sha1 = hashlib.sha1(named.encode()).hexdigest().lstrip("0")
    put(home / ".gradle/caches/modules-2", {f"files-2.1/org.x/a/1.0/{sha1}/a-1.0.jar": content})
    remote.publish(JAR, published)
    merge("gradle", store, home)
    assert check("gradle", store, remote).shared == proved
    assert len(shared("gradle", store)) == proved


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("ivy", "org.x/a/jars/a-1.0.jar"),
        ("pip", "http-v2/a/b/body"),
        ("ccache", "0/1/xR"),
        ("maven", "com/github/eirslett/yarn/1.0/yarn-1.0.tar.gz"),
    ],
)
def test_what_cannot_be_checked_stays_with_its_component(
    kind: CacheName, path: str, store: Path, home: Path, tmp_path: Path, remote: Repository
) -> None:
    import gzip

    place = home / CACHES[kind].place / path
    place.parent.mkdir(parents=True)
    place.write_bytes(gzip.compress(b"x"))
    assert merge(kind, store, home).files == 1
    assert check(kind, store, remote) == Checked()
    (tmp_path / "same").mkdir()
    (tmp_path / "other").mkdir()
    assert list(seed(kind, store, tmp_path / "same").files) == [path]
    assert list(seed(kind, store, tmp_path / "other", component="other").files) == []


@pytest.mark.parametrize("kind", ["maven", "npm", "gradle", "ivy", "pip", "ccache"])
@pytest.mark.parametrize("depth", [0, -1])
def test_a_link_in_the_place_of_a_cache_is_the_builds_failure(
    kind: CacheName, depth: int, store: Path, home: Path, tmp_path: Path
) -> None:
    parts = CACHES[kind].place.split("/")
    victim = put(tmp_path / "victim", {"org/x/a/1.0/a-1.0.jar": "secret", "_remote.repositories": "a>central=\n"})
    before = tree(victim)
    link = home.joinpath(*parts[: len(parts) + depth]) if depth else home.joinpath(parts[0])
    link.parent.mkdir(parents=True, exist_ok=True)
    for part in parts[1:]:
        (victim / part).mkdir(parents=True, exist_ok=True)
    link.symlink_to(victim)
    with pytest.raises(BuildError, match=f"a link to {victim} in the place of the folder home/"):
        merge(kind, store, home)
    assert tree(victim) == before
    assert not own(kind, store).exists()


def test_odd_files_in_a_cache_are_left_where_they_are(store: Path, home: Path, tmp_path: Path) -> None:
    folder = downloaded(home, "a", "real").parent
    names = ["pipe-1.0.jar", "link-1.0.jar", "line\nbreak-1.0.jar", "\udcff-1.0.jar", "a-1.0.jar"]
    tracking = "".join(f"{name}>central=\n" for name in names if "\n" not in name)
    (folder / "_remote.repositories").write_text(tracking, errors="surrogateescape")
    os.mkfifo(folder / names[0])
    (folder / names[1]).symlink_to(put(tmp_path, {"secret": "s"}) / "secret")
    (folder / names[2]).write_text("x")
    (folder / names[3]).write_text("x")
    assert merge("maven", store, home).files == 1
    assert tree(own("maven", store)) == {JAR: "real"}


def test_a_list_of_downloads_that_is_no_file_lists_nothing(store: Path, home: Path) -> None:
    folder = downloaded(home, "a", "real").parent
    (folder / "_remote.repositories").unlink()
    os.mkfifo(folder / "_remote.repositories")
    assert merge("maven", store, home).files == 0


def test_an_archive_that_unpacks_to_more_than_any_is_not_read_to_its_end(
    store: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gzip

    from bigtop_builder.model.build_tools import maven

    monkeypatch.setattr(maven, "LARGEST_ARCHIVE", 1 << 20)
    folder = home / ".m2/repository/com/github/eirslett/node/16.20.2"
    folder.mkdir(parents=True)
    (folder / "node-16.20.2-linux-x64.tar.gz").write_bytes(gzip.compress(bytes(8 << 20)))
    assert merge("maven", store, home).files == 0


def test_what_is_taken_over_is_out_of_the_builds_reach(store: Path, home: Path) -> None:
    """Not even through another name of the same file, or through a descriptor that is still open."""
    jar = downloaded(home, "a", "real")
    (home / "second-name").hardlink_to(jar)
    with jar.open("r+") as still_open:
        merge("maven", store, home)
        still_open.write("EVIL")
    (home / "second-name").write_text("EVIL")
    assert tree(own("maven", store)) == {JAR: "real"}


@pytest.mark.parametrize("budget", [Budget(2, 1 << 20), Budget(9, 10)])
def test_what_is_taken_over_is_limited(store: Path, home: Path, budget: Budget) -> None:
    for number in range(3):
        downloaded(home, f"a{number}", "12345")
    with pytest.raises(BuildError, match="the build left more than"):
        cache("maven", store).take(home.parent, home.name, budget)


def test_the_same_user_gets_copies(store: Path, home: Path, tmp_path: Path, remote: Repository) -> None:
    """A build that runs as this very user could make a linked file writable, and change it for everybody."""
    downloaded(home, "a", "real")
    remote.publish(JAR, "real")
    merge("maven", store, home)
    check("maven", store, remote)
    other = home_of(tmp_path, "other")
    seed("maven", store, other, owner=OWNER)
    seeded = other / ".m2/repository" / JAR
    seeded.chmod(0o666)
    seeded.write_text("EVIL")
    assert shared("maven", store) == {JAR: "real"}
    assert merge("maven", store, other, "evil").files == 0


@needs_root
def test_another_user_gets_links_that_he_cannot_write(
    store: Path, home: Path, tmp_path: Path, remote: Repository
) -> None:
    downloaded(home, "a", "real")
    remote.publish(JAR, "real")
    merge("maven", store, home)
    check("maven", store, remote)
    other = home_of(tmp_path, "other")
    seed("maven", store, other, owner=(4321, 4321))
    status = (other / ".m2/repository" / JAR).stat()
    assert status.st_nlink == 2
    assert (status.st_uid, status.st_mode & 0o777) == (0, 0o644)
    assert (other / ".m2/repository").stat().st_uid == 4321


def test_what_older_versions_shared_is_proved_or_goes(store: Path, tmp_path: Path, remote: Repository) -> None:
    put(store / "cache/maven", {JAR: "real", "org/x/b/1.0/b-1.0.jar": "EVIL", "org/x/resolver-status.properties": "t"})
    remote.publish(JAR, "real")
    remote.publish("org/x/b/1.0/b-1.0.jar", "real")
    one = cache("maven", store)
    assert given("maven", store, tmp_path, "before") == {}
    remote.status = 503
    assert one.adopt(remote.book, repository_files()) == Checked(unanswered=2)
    assert len(list(one.former())) == 3
    remote.status = None
    assert one.adopt(remote.book, repository_files()) == Checked(1, ("org/x/b/1.0/b-1.0.jar",))
    assert list(one.former()) == []
    assert given("maven", store, tmp_path, "after") == {JAR: "real"}


def test_answers_that_are_damaged_are_asked_for_again(store: Path, home: Path, remote: Repository) -> None:
    downloaded(home, "a", "own")
    merge("maven", store, home)
    check("maven", store, remote)
    place = own("maven", store) / ANSWERS
    assert list(json.loads(place.read_text())) == [JAR]
    place.write_text("{")
    remote.publish(JAR, "own")
    assert check("maven", store, remote) == Checked(1)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (JAR, "pkg:maven/org.x/a@1.0?type=jar"),
        ("org/x/a/1.0/a-1.0-tests.tar.gz", "pkg:maven/org.x/a@1.0?classifier=tests&type=tar.gz"),
        ("org/x/a/maven-metadata.xml", ""),
        ("com/github/eirslett/node/8.12.0/node-8.12.0-linux-x64.tar.gz", "pkg:generic/node@8.12.0"),
        (
            "com/github/eirslett/frontend-maven-plugin/1.6/frontend-maven-plugin-1.6.pom",
            "pkg:maven/com.github.eirslett/frontend-maven-plugin@1.6?type=pom",
        ),
    ],
)
def test_package_urls(path: str, expected: str) -> None:
    assert CACHES["maven"].purl(path) == expected
