"""What a build over Bigtop's packaging is made of: seeds, specs as rpm tells of them, artifacts handed on."""

from __future__ import annotations

import gzip
import http.server
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bigtop_builder.adapter.sources import Fetched, unpack
from bigtop_builder.adapter.sources.first_use import commit_of, fetch_first, places
from bigtop_builder.adapter.store import Store, remove_tree
from bigtop_builder.adapter.untrusted import Budget
from bigtop_builder.flow.bigtop.compile_task import LOCAL_METADATA, REPOSITORY, hand_on, keep_installed
from bigtop_builder.flow.bigtop.maven_seed import artifacts_in, make_seed
from bigtop_builder.flow.bigtop.payload import BigtopPayload, describe, platform_macros
from bigtop_builder.flow.bigtop.skeleton import write_skeleton
from bigtop_builder.flow.bigtop.spec_query import ReadSpec
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.model.digest import of_file
from bigtop_builder.model.errors import BuildError, ConfigurationError, RecipeError, SourceError
from bigtop_builder.model.project import ProjectFile
from bigtop_builder.model.source import Source
from bigtop_builder.recipe.bigtop.spec import building, documents, setup_folder, words
from bigtop_builder.recipe.bigtop.tree import BigtopRecipe, read_tree
from bigtop_builder.recipe.catalog import Catalog
from bigtop_builder.recipe.spec_files import Listed, described, file_lists, paired
from tests.fast.conftest import ProjectFolder

TREE = Path(__file__).parent / "data" / "bigtop-tree"
EPOCH = 1_600_000_000


def packaging(name: str) -> BigtopRecipe:
    return read_tree(TREE, {}).packaging(name)


def payload(name: str) -> BigtopPayload:
    return describe(packaging(name), Catalog().platform("el8"), "")


def names(seed: Path) -> list[str]:
    with tarfile.open(seed) as tar:
        return sorted(member.name for member in tar if member.isfile())


def fetched(path: Path, name: str | None = None) -> Fetched:
    return Fetched(path, name or path.name, "sha256:0", "test")


def zipped(path: Path, *members: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for member in members:
            archive.writestr(member, member)
    return path


# seeds


def test_without_a_source_the_seed_is_the_licence(tmp_path: Path) -> None:
    make_seed(payload("harbor-utils"), None, tmp_path / "seed", tmp_path / "scratch", EPOCH)
    assert names(tmp_path / "seed") == ["harbor-utils-3.5.1-SNAPSHOT/LICENSE"]


def test_what_is_called_as_bigtops_download_stays_as_it_is(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"whatever it is")
    make_seed(
        payload("ferry"),
        fetched(source, "apache-ferry-1.10.2.tar.gz"),
        tmp_path / "seed",
        tmp_path / "scratch",
        EPOCH,
    )
    assert (tmp_path / "seed").read_bytes() == b"whatever it is"


def test_a_zip_of_bigtops_is_packed_below_its_own_folder(tmp_path: Path) -> None:
    source = zipped(tmp_path / "0.7.zip", "lantern-abc/pom.xml", "lantern-abc/a/b")
    make_seed(payload("lantern"), fetched(source), tmp_path / "seed", tmp_path / "scratch", EPOCH)
    assert names(tmp_path / "seed") == ["lantern-0.7/a/b", "lantern-0.7/pom.xml"]
    assert gzip.decompress((tmp_path / "seed").read_bytes())


def test_the_same_source_from_elsewhere_is_packed_below_the_folder_that_the_spec_expects(tmp_path: Path) -> None:
    source = zipped(tmp_path / "parent-1.10.2-source-release.zip", "parent-1.10.2/pom.xml")
    told = make_seed(payload("ferry"), fetched(source), tmp_path / "seed", tmp_path / "scratch", EPOCH)
    assert names(tmp_path / "seed") == ["apache-ferry-1.10.2/pom.xml"]
    assert "below apache-ferry-1.10.2" in told


def test_a_tree_of_the_users_own_is_packed_too(tmp_path: Path) -> None:
    tree = tmp_path / "mine"
    (tree / "src").mkdir(parents=True)
    (tree / "src" / "a").write_text("a")
    make_seed(payload("ferry"), tree, tmp_path / "seed", tmp_path / "scratch", EPOCH)
    assert names(tmp_path / "seed") == ["apache-ferry-1.10.2/src/a"]


def test_the_same_tree_gives_the_same_bytes(tmp_path: Path) -> None:
    source = zipped(tmp_path / "x.zip", "top/b", "top/a")
    for name in ("one", "two"):
        make_seed(payload("ferry"), fetched(source), tmp_path / name, tmp_path / "scratch", EPOCH)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with tarfile.open(tmp_path / "one") as tar:
        assert max(member.mtime for member in tar) <= EPOCH


def test_a_source_that_climbs_out_is_refused(tmp_path: Path) -> None:
    source = zipped(tmp_path / "x.zip", "../../evil")
    with pytest.raises(SourceError, match="leaves the archive"):
        make_seed(payload("ferry"), fetched(source), tmp_path / "seed", tmp_path / "scratch", EPOCH)


def test_maven_modules_are_told_from_a_tarball(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for path, artifact in (("pom.xml", "parent"), ("a/pom.xml", "a"), ("a/src/test/pom.xml", "not-me")):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(f'<project xmlns="x"><artifactId>{artifact}</artifactId></project>')
    (tree / "b").mkdir()
    (tree / "b" / "pom.xml").write_text("<project>")
    make_seed(payload("ferry"), tree, tmp_path / "seed", tmp_path / "scratch", EPOCH)
    assert artifacts_in(tmp_path / "seed") == {"parent", "a"}


def test_a_source_that_is_no_tarball_is_told(tmp_path: Path) -> None:
    (tmp_path / "seed").write_text("<html>")
    with pytest.raises(RecipeError, match="no tarball"):
        artifacts_in(tmp_path / "seed")


# artifacts that one build leaves for the next


def test_only_what_a_build_installed_is_handed_on(tmp_path: Path) -> None:
    repository = tmp_path / "home" / REPOSITORY / "org" / "a"
    (repository / "1.0").mkdir(parents=True)
    for name in ("a-1.0.jar", "a-1.0.pom", "lib.jar"):
        (repository / "1.0" / name).write_text(name)
    (repository / "1.0" / "_remote.repositories").write_text("#x\na-1.0.jar>=\na-1.0.pom>=\nlib.jar>central=\n")
    (repository / LOCAL_METADATA).write_text("<metadata/>")
    downloaded = tmp_path / "home" / REPOSITORY / "downloaded"
    downloaded.mkdir()
    (downloaded / "x.jar").write_text("x")
    keep_installed(tmp_path, tmp_path / "kept", Budget(files=100, size=1 << 20))
    found = sorted(path.relative_to(tmp_path / "kept").as_posix() for path in (tmp_path / "kept").rglob("*.*"))
    wanted = ["1.0", "1.0/_remote.repositories", "1.0/a-1.0.jar", "1.0/a-1.0.pom", LOCAL_METADATA]
    assert found == sorted(f"org/a/{name}" for name in wanted)


def test_nothing_is_kept_through_a_link_of_the_build(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "_remote.repositories").write_text("a.jar>=\n")
    (outside / "a.jar").write_text("of the host")
    repository = tmp_path / "home" / REPOSITORY
    (repository / "org").mkdir(parents=True)
    (repository / "org" / "folder").symlink_to(outside)
    (repository / "org" / "_remote.repositories").write_text("b.jar>=\n")
    (repository / "org" / "b.jar").symlink_to(outside / "a.jar")
    keep_installed(tmp_path, tmp_path / "kept", Budget(files=100, size=1 << 20))
    assert [path.name for path in (tmp_path / "kept").rglob("*.jar")] == []
    remove_tree(repository)
    repository.symlink_to(outside)
    with pytest.raises(BuildError, match=r"home/\.m2/repository"):
        keep_installed(tmp_path, tmp_path / "again", Budget(files=100, size=1 << 20))


def test_what_is_handed_on_never_writes_through_to_the_shared_cache(tmp_path: Path) -> None:
    shared, home, kept = (tmp_path / name for name in ("shared.jar", "home", "kept"))
    shared.write_text("of the repository")
    for folder in (home, kept):
        (folder / "a").mkdir(parents=True)
    (home / "a" / "a.jar").hardlink_to(shared)
    (kept / "a" / "a.jar").write_text("of the prerequisite")
    made = hand_on(kept, home)
    assert (shared.read_text(), (home / "a" / "a.jar").read_text()) == ("of the repository", "of the prerequisite")
    assert made == [home / "a" / "a.jar"]


# specs


def test_the_folder_that_a_spec_unpacks_to() -> None:
    assert setup_folder("%setup -q -n a-%{x_version}-src", ["x_version 1"]) == "a-1-src"
    assert setup_folder("Name: n\nVersion: %{v}\n%setup -q", ["v 2"]) == "n-2"
    assert setup_folder("%setup -n %{unknown}", []) is None
    assert setup_folder("%setup -n ../x", []) is None
    assert setup_folder("%prep", []) is None


def test_what_file_lists_take_from_the_build_folder() -> None:
    spec = "%doc README docs/*.txt /usr/share/doc\n%license LICENSE\n%files -f list.txt\n%doc ../../etc/passwd\n"
    assert documents(spec) == ("README", "docs/*.txt", "LICENSE", "list.txt")


def test_only_the_sections_that_build_are_looked_at_for_the_release() -> None:
    text = building("Release: %{release}\n%build\nmake\n%install\ncp a b\n%files\n%{release}\n")
    assert text == "make\ncp a b"


def test_a_macro_is_found_by_its_whole_name() -> None:
    assert words("%if 0%{?rhel} >= 8\n. $HBASE_VERSION") == {"if", "0", "rhel", "8", "HBASE_VERSION"}


def test_platforms_say_their_dist_tag_and_nothing_asks_for_users() -> None:
    text = platform_macros(Catalog().platform("el8"))
    assert "%dist .el8\n" in text and "%rhel 8\n" in text and "^(user|group)[(]" in text


EXPANDED = """\
Name: ferry_3_5_1
%package server
%description server
A server.
%files
%defattr(-,root,hadoop)
%config(noreplace) //etc/ferry/conf
%doc %attr(0644, ferry, -) /usr/share/doc/ferry
%dir /var/lib/ferry
%exclude /usr/lib/ferry/secret
/usr/lib/ferry /usr/bin/ferry*
%doc README NOTICE
%license LICENSE
%files server
%attr(0755,root,root)/etc/rc.d/init.d/ferry
%files -n other -f list
/opt/other
%post
/not/a/file
"""


def test_file_lists_of_an_expanded_spec() -> None:
    assert file_lists(EXPANDED, "ferry_3_5_1", "1.10.2") == {
        "ferry_3_5_1": [
            Listed("/etc/ferry/conf", "root:hadoop", "cn"),
            Listed("/usr/share/doc/ferry", "ferry:hadoop", "d"),
            Listed("/var/lib/ferry", "root:hadoop", ""),
            Listed("/usr/lib/ferry", "root:hadoop", ""),
            Listed("/usr/bin/ferry*", "root:hadoop", ""),
            Listed("/usr/share/doc/ferry_3_5_1-1.10.2", "root:hadoop", "d"),
            Listed("/usr/share/licenses/ferry_3_5_1-1.10.2", "root:hadoop", "l"),
        ],
        "ferry_3_5_1-server": [Listed("/etc/rc.d/init.d/ferry", "root:root", "")],
        "other": [Listed("/opt/other", "root:root", "")],
    }


def test_entries_in_other_words_are_no_difference() -> None:
    mine = [Listed("/usr/lib/a", "root:root", ""), Listed("/etc/a", "root:root", "cn"), Listed("/x", "root:root", "")]
    other = [Listed("/usr/lib/a/b.jar", "root:root", ""), Listed("/etc/a", "a:a", "cn"), Listed("/y", "root:root", "")]
    left, right = paired(mine, other)
    assert [entry["path"] for entry in left] == ["/etc/a", "/x"]
    assert [(entry["path"], entry["owner"]) for entry in right] == [("/etc/a", "a:a"), ("/y", "root:root")]


HEADER = {
    "name": "ferry_3_5_1",
    "version": "1.10.2",
    "release": "2",
    "arch": "noarch",
    "summary": "Carries {{ things }}",
    "license": "ASL 2.0",
    "group": "Unspecified",
    "requires": "/bin/sh\x1erpmlib(X) <= 1\x1ehadoop_3_5_1\x1e",
    "provides": "ferry_3_5_1 = 1.10.2-2\x1e",
    "scripts": "postinstall\x1eecho 50%{{\n\x1e",
}


def test_a_header_in_the_shape_of_a_reference() -> None:
    found = described(HEADER, [])
    assert (found["requires"], found["scripts"]) == (["/bin/sh", "hadoop_3_5_1"], ["postinstall"])


# component files to begin with


def test_a_component_file_made_of_a_spec_loads_and_renders(project: ProjectFolder) -> None:
    read = ReadSpec((HEADER,), {"ferry_3_5_1": [Listed("/usr/bigtop/3.5.1/usr/lib/ferry", "ferry:ferry", "cn")]})
    known = Source.model_validate({"alternatives": [{"https": "https://x.example.org/f.tgz", "sha512": "a" * 128}]})
    project.stack(ferry="1.10.2")
    file = write_skeleton(project.overlay, packaging("ferry"), read, known)
    space = open_project(project.settings())
    evaluated = space.evaluate("ferry", "el8")
    spec = space.spec(evaluated)  # type: ignore[arg-type]
    assert "Name: ferry_1_0\n" in spec and "Requires: hadoop_1_0\n" in spec
    assert "%attr(-,ferry,ferry) %config(noreplace) /usr/bigtop/1.0/usr/lib/ferry\n" in spec
    assert "echo 50%%{{" in spec
    with pytest.raises(ConfigurationError, match="already exists"):
        write_skeleton(project.overlay, packaging("ferry"), read, None)
    assert file.parent.name == "ferry"


# sources that nobody knows the digest of


def test_the_first_use_of_a_source_is_written_down(tmp_path: Path, web_server: str) -> None:
    store = Store(tmp_path / "store").open()
    (tmp_path / "served" / "a.tgz").write_bytes(b"a source")
    project = ProjectFile.model_validate({"network": {"retries": 0}})
    addresses = [f"{web_server}/missing.tgz", f"{web_server}/a.tgz"]
    found = fetch_first(store.root, project, addresses, threading.Event())
    assert (found.address, found.sha512) == (addresses[1], of_file(tmp_path / "served" / "a.tgz", "sha512"))
    again = fetch_first(store.root, project, addresses, threading.Event())
    assert again == found
    with pytest.raises(SourceError, match=r"missing\.tgz"):
        fetch_first(store.root, project, addresses[:1], threading.Event())


def test_apaches_own_are_looked_for_on_the_sites_mirrors() -> None:
    project = ProjectFile.model_validate({"mirrors": {"apache": ["https://mirror.example.org/dist"]}})
    assert places(project, "a/a.tgz", ("https://x/a.tgz",))[0] == "https://mirror.example.org/dist/a/a.tgz"
    assert places(project, None, ("https://x/a.tgz",)) == ["https://x/a.tgz"]


def test_a_tag_gives_the_commit_that_it_points_to(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        return subprocess.run(
            ["git", "-C", str(tmp_path), *identity, *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "x")
    git("tag", "-a", "v1", "-m", "x")
    project = ProjectFile()
    assert commit_of(project, f"file://{tmp_path}", "v1", threading.Event()).commit == git("rev-parse", "HEAD")
    with pytest.raises(SourceError, match="no tag or branch v2"):
        commit_of(project, f"file://{tmp_path}", "v2", threading.Event())


@pytest.fixture
def web_server(tmp_path: Path) -> Iterator[str]:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object, **named: object) -> None:
            super().__init__(*arguments, directory=str(tmp_path / "served"), **named)  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    (tmp_path / "served").mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_unpacking_what_was_packed_gives_the_tree_back(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin" / "run").write_text("#!/bin/sh\n")
    (tree / "bin" / "run").chmod(0o755)
    (tree / "link").symlink_to("bin/run")
    make_seed(payload("ferry"), tree, tmp_path / "seed", tmp_path / "scratch", EPOCH)
    unpack(tmp_path / "seed", tmp_path / "back", strip=1, name="seed")
    assert (tmp_path / "back" / "bin" / "run").stat().st_mode & 0o111
    assert (tmp_path / "back" / "link").readlink() == Path("bin/run")
