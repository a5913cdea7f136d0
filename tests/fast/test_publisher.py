"""Publications from packages written byte by byte, signed by the host's GnuPG."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import createrepo_c
import pytest

from bigtop_builder.adapter.repository.snapshot import Publications, writing
from bigtop_builder.adapter.rpm.gnupg import Signer
from bigtop_builder.adapter.rpm.signing import open_keyring, verify_detached, verify_package
from bigtop_builder.flow.publish.publisher import Publication, Rules, publish
from bigtop_builder.flow.publish.verifier import verify
from bigtop_builder.model.errors import PublishError
from bigtop_builder.model.platform import Image, Platform
from tests.rpmfile import Spec, write_rpm

STACK = "bigtop-3.2.0"
EL8 = Platform(
    name="el8",
    title="Rocky Linux 8",
    family="rhel",
    dist=".el8",
    architectures=["x86_64"],
    payload="w6.gzdio",
    image=Image(reference="rockylinux:8", template="rhel.j2"),
)
A = Spec(name="a", files={"/a": b"a"})
B = Spec(name="b", files={"/b": b"b"}, arch="x86_64")

Publish = Callable[..., Publication]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "repository"


@pytest.fixture
def run(signer: Signer, root: Path, tmp_path: Path) -> Publish:
    def call(*specs: Spec, **rules: object) -> Publication:
        packages = [write_rpm(tmp_path / f"in{index}", spec) for index, spec in enumerate(specs)]
        return publish(packages, root, STACK, EL8, signer, Rules(**rules))  # type: ignore[arg-type]

    return call


def listed(folder: Path) -> dict[str, createrepo_c.Package]:
    """What a yum client would see, by location."""
    repomd = createrepo_c.Repomd(str(folder / "repodata" / "repomd.xml"))
    paths = {record.type: str(folder / record.location_href) for record in repomd.records}
    packages = createrepo_c.PackageIterator(
        primary_path=paths["primary"], filelists_path=paths["filelists"], other_path=paths["other"]
    )
    return {package.location_href: package for package in packages}


def test_first_publication_is_complete_and_signed(run: Publish, signer: Signer, root: Path) -> None:
    done = run(A, B)
    assert done.changed
    assert done.added == ("a-1.0-1.el8.noarch.rpm", "b-1.0-1.el8.x86_64.rpm")
    assert done.folder == root / STACK / "el8"
    assert done.folder.resolve() == done.snapshot
    found = listed(done.folder)
    assert set(found) == {"packages/a-1.0-1.el8.noarch.rpm", "packages/b-1.0-1.el8.x86_64.rpm"}
    repomd = done.folder / "repodata" / "repomd.xml"
    with open_keyring(done.key_file.read_bytes()) as keyring:
        assert verify_detached(repomd.read_bytes(), repomd.with_name("repomd.xml.asc").read_bytes(), keyring) is None
        for location, package in found.items():
            assert verify_package(done.folder / location, keyring) == []
            assert package.size_package == (done.folder / location).stat().st_size
    assert done.repo_file is None
    assert list(done.folder.glob("*.repo")) == [], "the folder of this machine is no address for others"


def test_the_same_again_changes_nothing(run: Publish) -> None:
    first = run(A, B)
    again = run(A, B)
    assert not again.changed
    assert again.snapshot == first.snapshot
    assert (again.added, again.removed) == ((), ())


@pytest.mark.parametrize("name", ["repodata/repomd.xml", "repodata/repomd.xml.asc", "packages/a-1.0-1.el8.noarch.rpm"])
@pytest.mark.parametrize("cut", [True, False], ids=["cut", "lost"])
def test_a_damaged_publication_is_written_again(run: Publish, name: str, cut: bool) -> None:
    first = run(A, B)
    if cut:
        os.truncate(first.folder / name, 20)
    else:
        (first.folder / name).unlink()
    again = run(A, B)
    assert again.changed
    assert again.snapshot != first.snapshot
    assert verify(str(again.folder)).problems == verify(str(run(A, B).folder)).problems == ()


def test_an_address_of_this_machine_is_named_each_time_and_not_kept(run: Publish) -> None:
    for _ in range(2):
        assert run(A, base_url="file:///srv/rpm").local_address == f"file:///srv/rpm/{STACK}/el8"
    assert run(A).repo_file is None
    assert run(A, base_url="http://localhost:8080").local_address
    assert run(A, base_url="http://repo.example.org").local_address is None


def test_a_base_url_goes_into_the_repo_file(run: Publish) -> None:
    done = run(A, base_url="http://repo.example.org:8080/")
    text = done.repo_file.read_text() if done.repo_file else ""
    address = f"http://repo.example.org:8080/{STACK}/el8"
    assert f"baseurl={address}\n" in text
    assert f"gpgkey={address}/RPM-GPG-KEY-{STACK}\n" in text
    assert "gpgcheck=1\nrepo_gpgcheck=1\n" in text
    assert not run(A).changed, "the address stays until another is given"
    assert run(A, base_url="http://other.example.org").changed


def test_adding_one_reads_only_that_one(run: Publish, root: Path) -> None:
    first = run(A)
    for path in (root / ".pool").iterdir():
        path.write_bytes(b"not read again")
    done = run(B)
    assert done.added == ("b-1.0-1.el8.x86_64.rpm",)
    assert set(listed(done.folder)) == {"packages/a-1.0-1.el8.noarch.rpm", "packages/b-1.0-1.el8.x86_64.rpm"}
    assert first.snapshot.is_dir()
    a_file = "packages/a-1.0-1.el8.noarch.rpm"
    assert (done.snapshot / a_file).samefile(first.snapshot / a_file)


def test_metadata_that_was_lost_is_made_again(run: Publish, root: Path) -> None:
    run(A)
    for path in (root / ".metadata").iterdir():
        path.unlink()
    assert len(listed(run(B).folder)) == 2


def test_what_a_killed_publication_was_writing_is_removed(run: Publish, root: Path) -> None:
    run(Spec())
    left = [
        root / ".pool" / "..incoming-a.rpm.0123",
        root / ".metadata" / ".a.json.0123",
        root / ".provenance" / ".a.0",
    ]
    for path in left:
        path.write_bytes(b"half")
    run(Spec())
    assert not any(path.exists() for path in left)


def test_time_never_goes_back(run: Publish) -> None:
    new = replace(A, build_time=1_700_000_000)
    epochs = []
    for done in (run(new), run(B), run(B, only_these=True)):
        repomd = createrepo_c.Repomd(str(done.snapshot / "repodata" / "repomd.xml"))
        epochs.append(int(repomd.revision))
        assert {record.timestamp for record in repomd.records} == {int(repomd.revision)}
    assert epochs == [1_700_000_000, 1_700_000_001, 1_700_000_002]


def test_repodata_depends_on_nothing_but_the_packages(run: Publish, root: Path, tmp_path: Path) -> None:
    done = run(A, B)
    publications = Publications(root, STACK, "el8")
    contents = publications.read(done.snapshot)
    from bigtop_builder.adapter.repository.metadata import write_repodata
    from bigtop_builder.adapter.repository.pool import Pool

    chunks = [Pool(root).chunks(package) for package in contents.packages]
    repomd = write_repodata(tmp_path, chunks, contents.epoch)
    assert {path.name: path.read_bytes() for path in repomd.parent.iterdir()} == {
        path.name: path.read_bytes()
        for path in (done.snapshot / "repodata").iterdir()
        if path.suffix not in (".asc", ".key")
    }


def test_other_content_under_the_same_name_is_refused_unless_replaced(run: Publish, root: Path) -> None:
    first = run(A)
    changed = replace(A, files={"/a": b"other"})
    with pytest.raises(PublishError, match="already published with different content"):
        run(changed)
    assert (root / STACK / "el8").resolve() == first.snapshot
    done = run(changed, replace=True)
    assert done.added == ("a-1.0-1.el8.noarch.rpm",)
    assert done.packages == 1


def test_two_contents_of_one_name_at_once(run: Publish) -> None:
    with pytest.raises(PublishError, match="with different content"):
        run(A, replace(A, files={"/a": b"other"}))


def test_one_content_given_twice(run: Publish) -> None:
    assert run(A, A, B).added == ("a-1.0-1.el8.noarch.rpm", "b-1.0-1.el8.x86_64.rpm")


def test_old_versions_are_kept_or_dropped(run: Publish) -> None:
    versions = [replace(A, version=version) for version in ("1.9", "1.10", "1.2~rc1", "1.2")]
    assert run(*versions).packages == 4
    done = run(B, keep_versions=2)
    assert set(listed(done.folder)) == {
        "packages/a-1.10-1.el8.noarch.rpm",
        "packages/a-1.9-1.el8.noarch.rpm",
        "packages/b-1.0-1.el8.x86_64.rpm",
    }
    assert done.removed == ("a-1.2-1.el8.noarch.rpm", "a-1.2~rc1-1.el8.noarch.rpm")


def test_only_these_drops_the_rest(run: Publish) -> None:
    run(A)
    done = run(B, only_these=True)
    assert (done.added, done.removed) == (("b-1.0-1.el8.x86_64.rpm",), ("a-1.0-1.el8.noarch.rpm",))


def test_former_snapshots_are_kept_then_removed_with_their_packages(run: Publish, root: Path) -> None:
    done = [run(replace(A, version=str(number)), only_these=True, keep_snapshots=2) for number in range(1, 5)]
    assert [item.snapshot.is_dir() for item in done] == [False, False, True, True]
    assert len(list((root / ".pool").iterdir())) == 2
    assert len(list((root / ".metadata").iterdir())) == 2
    assert (root / STACK / "el8").resolve() == done[-1].snapshot


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (replace(A, release="1.deb13"), "the dist tag .deb13"),
        (replace(A, release="1.el7"), "the dist tag .el7"),
        (replace(A, arch="aarch64"), "built for aarch64"),
    ],
)
def test_foreign_packages_are_refused_unless_allowed(run: Publish, spec: Spec, message: str) -> None:
    with pytest.raises(PublishError, match=message):
        run(spec)
    assert run(spec, allow_foreign=True).packages == 1


def test_packages_of_no_platform_are_welcome(run: Publish) -> None:
    assert run(replace(A, release="1"), replace(B, release="2.el8_6")).packages == 2


def test_two_platforms_share_the_pool(run: Publish, signer: Signer, root: Path, tmp_path: Path) -> None:
    plain = replace(A, release="1")
    run(plain)
    el7 = EL8.model_copy(update={"name": "el7", "dist": ".el7"})
    publish([write_rpm(tmp_path, plain)], root, STACK, el7, signer)
    file = "packages/a-1.0-1.noarch.rpm"
    assert (root / STACK / "el7" / file).samefile(root / STACK / "el8" / file)


def test_nothing_damaged_is_published(run: Publish, signer: Signer, root: Path, tmp_path: Path) -> None:
    bad = write_rpm(tmp_path, A)
    content = bytearray(bad.read_bytes())
    content[-30] ^= 1
    bad.write_bytes(content)
    with pytest.raises(PublishError, match="is not published: the payload's digest is wrong"):
        publish([bad], root, STACK, EL8, signer)
    assert not (root / STACK).exists()
    assert list((root / ".pool").iterdir()) == []
    assert run(A).packages == 1


def test_no_packages(signer: Signer, root: Path) -> None:
    with pytest.raises(PublishError, match="no packages"):
        publish([], root, STACK, EL8, signer)


def test_root_that_cannot_be_written(run: Publish, root: Path) -> None:
    root.write_text("a file")
    with pytest.raises(PublishError, match="cannot write the repository"):
        run(A)


def in_child(work: Callable[[], object]) -> int:
    """How a child process ends that does ``work``: its exit code, or the negative number of the signal."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            work()
            code = 0
        except PublishError as error:
            code = error.exit_code
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def test_full_disk(signer: Signer, root: Path, tmp_path: Path) -> None:
    big = write_rpm(tmp_path, Spec(files={"/big": os.urandom(200_000)}))

    def work() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        publish([big], root, STACK, EL8, signer)

    assert in_child(work) == 7
    assert not (root / STACK).exists()
    assert list((root / ".pool").iterdir()) == []


def test_a_folder_in_the_place_of_the_link(run: Publish, root: Path) -> None:
    (root / STACK / "el8").mkdir(parents=True)
    with pytest.raises(PublishError, match="not a publication of bigtop-builder"):
        run(A)


def test_two_publications_at_once(run: Publish, root: Path) -> None:
    with writing(root), pytest.raises(PublishError, match="another publication"):
        run(A)


def die_at_step(number: int) -> None:
    """Kill this process at its next ``number``-th step that changes files."""
    left = number
    steps = ("os.rename", "os.link", "os.symlink", "os.mkdir", "os.remove", "os.utime", "os.chmod")

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in steps or (event == "open" and arguments[1] in ("w", "wb")):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def test_kill_at_any_step_leaves_the_former_visible(signer: Signer, run: Publish, root: Path, tmp_path: Path) -> None:
    former = set(listed(run(A).folder))
    package = write_rpm(tmp_path / "new", B)
    whole = former | {"packages/b-1.0-1.el8.x86_64.rpm"}
    for steps in range(1, 1000):

        def work(steps: int = steps) -> None:
            die_at_step(steps)
            publish([package], root, STACK, EL8, signer)

        code = in_child(work)
        seen = set(listed(root / STACK / "el8"))
        assert seen in (former, whole)
        if code != -signal.SIGKILL:
            break
    assert (code, seen) == (0, whole)
    assert steps > 10
    assert run(A, B).packages == 2
    assert not list((root / ".snapshots" / f"{STACK}-el8").glob(".new"))
