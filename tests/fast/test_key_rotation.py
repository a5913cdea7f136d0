"""A new signing key: everything published is signed again, and hosts know both keys for as long as it takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bigtop_builder.adapter.rpm.gnupg import Signer, make_key, open_signer
from bigtop_builder.adapter.rpm.signing import open_keyring, verify_package
from bigtop_builder.adapter.store import Store
from bigtop_builder.cli.app import run as command
from bigtop_builder.flow.publish.publisher import Publication, Rules, publish
from bigtop_builder.flow.publish.verifier import verify
from bigtop_builder.model.digest import of_file
from bigtop_builder.model.errors import ExitCode, PublishError
from bigtop_builder.recipe.catalog import Catalog
from tests.fast.conftest import ProjectFolder
from tests.rpmfile import Spec, write_rpm

STACK = "bigtop-3.2.0"
A = Spec(name="a", files={"/a": b"a"})
B = Spec(name="b", files={"/b": b"b"})


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signer]:
    home = tmp_path_factory.mktemp("other")
    make_key(home, "Another", "another@example.org")
    with open_signer(home) as signer:
        yield signer


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store").open()


def keep(store: Store, *specs: Spec) -> list[Path]:
    """Put packages into the store as a build does."""
    made = []
    for spec in specs:
        key = (spec.name * 64)[:64]
        if not store.has("package", key):
            result = store.root / "work" / "result"
            rpm = write_rpm(result / "rpms", spec)
            manifest = {"key": key, "rpms": {rpm.name: of_file(rpm)}, "built": 1.0, "seconds": 1.0, "ingredients": {}}
            store.commit("package", key, result, {**manifest, "component": spec.name})
        made += store.packages(key)
    return made


Publish = Callable[..., Publication]


@pytest.fixture
def run(store: Store, tmp_path: Path) -> Publish:
    def call(signer: Signer, *packages: Path, **rules: object) -> Publication:
        el8 = Catalog().platform("el8")
        return publish(
            packages, tmp_path / "root", STACK, el8, signer, Rules(**{"base_url": "http://r.test", **rules}), store
        )  # type: ignore[arg-type]

    return call


def test_a_new_key_signs_everything_again(run: Publish, store: Store, signer: Signer, other: Signer) -> None:
    a, b = keep(store, A, B)
    run(signer, a)
    done = run(other, b)
    assert done.signed_again == ("a-1.0-1.el8.noarch.rpm",)
    assert (done.added, done.removed, done.packages) == (("b-1.0-1.el8.noarch.rpm",), (), 2)
    verdict = verify(str(done.folder), key=other.public_key(), system=["/bin/sh"])
    assert (verdict.packages, verdict.problems) == (2, ())
    assert run(other, b).signed_again == () and not run(other, b).changed


def test_a_new_key_alone_does_not_go_on_naming_the_former(
    run: Publish, store: Store, signer: Signer, other: Signer
) -> None:
    """That may be the reason for the new one."""
    a, b = keep(store, A, B)
    run(signer, a)
    done = run(other, b)
    assert done.keys == (f"RPM-GPG-KEY-{STACK}",) and done.repo_file is not None
    assert done.repo_file.read_text().count("RPM-GPG-KEY") == 1
    assert (done.folder / "repodata/repomd.xml.key").read_bytes() == other.public_key()
    assert not list(done.folder.glob(f"*{signer.fingerprint[-16:].lower()}*"))


def test_a_package_that_is_given_again_needs_no_store(
    run: Publish, tmp_path: Path, signer: Signer, other: Signer
) -> None:
    package = write_rpm(tmp_path / "in", A)
    run(signer, package)
    done = run(other, package)
    assert done.packages == 1 and verify(str(done.folder), system=["/bin/sh"]).problems == ()


def test_a_new_key_is_refused_if_the_unsigned_package_is_gone(
    run: Publish, store: Store, tmp_path: Path, signer: Signer, other: Signer
) -> None:
    run(signer, write_rpm(tmp_path / "in", A))
    (b,) = keep(store, B)
    with pytest.raises(PublishError, match=r"a-1\.0-1\.el8\.noarch\.rpm") as caught:
        run(other, b)
    assert caught.value.hint and "--only-these" in caught.value.hint
    folder = tmp_path / "root" / STACK / "el8"
    assert verify(str(folder), key=signer.public_key(), system=["/bin/sh"]).problems == ()
    assert run(other, b, only_these=True).packages == 1


def test_altered_bytes_of_the_store_are_not_signed(run: Publish, store: Store, signer: Signer, other: Signer) -> None:
    a, b = keep(store, A, B)
    run(signer, a)
    data = bytearray(a.read_bytes())
    data[-30] ^= 1
    a.write_bytes(data)
    with pytest.raises(PublishError, match="does not have them"):
        run(other, b)


def test_a_file_planted_in_the_pool_is_not_published(
    run: Publish, store: Store, tmp_path: Path, signer: Signer
) -> None:
    a, b = keep(store, A, B)
    done = run(signer, a)
    (pooled,) = (tmp_path / "root/.pool").iterdir()
    name = pooled.name
    planted = write_rpm(tmp_path / "in", Spec(name="a", files={"/a": b"evil"}))
    pooled.unlink()
    (pooled.parent / name).write_bytes(planted.read_bytes())
    (tmp_path / "root/.metadata" / f"{pooled.stem}.json").unlink()
    done = run(signer, a, b)
    with open_keyring(signer.public_key()) as keyring:
        assert verify_package(pooled, keyring) == []
    assert verify(str(done.folder), system=["/bin/sh"]).problems == ()


def test_altered_bytes_of_the_pool_are_not_published(
    run: Publish, store: Store, tmp_path: Path, signer: Signer
) -> None:
    a, b = keep(store, A, B)
    run(signer, a)
    (pooled,) = (tmp_path / "root/.pool").iterdir()
    data = bytearray(pooled.read_bytes())
    data[-30] ^= 1
    pooled.chmod(0o644)
    pooled.write_bytes(data)
    assert verify(str(run(signer, a, b).folder), system=["/bin/sh"]).problems == ()


# the command


@pytest.fixture
def tool(project: ProjectFolder, store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """A project with one key and one published package."""
    monkeypatch.chdir(project.root)
    project.component("a")
    project.write("bigtop-builder.yaml", f"stack: small\nstore: {store.root}\nplatforms: [el8]\noverlays: [overlay]\n")
    make_key(store.root / "gnupg", "First", "first@example.org")
    for package in keep(store, A):
        assert command(["repo", "publish", str(package), "--base-url", "https://repo.example.com"]) == 0

    def call(*arguments: str) -> int:
        return command(["--json", *arguments])

    return call


def gpgkeys(root: Path) -> list[str]:
    text = (root / "repository/small/el8/small-el8.repo").read_text()
    assert "baseurl=https://repo.example.com/small/el8\n" in text
    (line,) = [line for line in text.splitlines() if line.startswith("gpgkey=")]
    return line.removeprefix("gpgkey=").split()


def test_a_key_is_rotated_step_by_step(
    tool: Callable[..., int], project: ProjectFolder, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project.root / "repository/small/el8"
    with open_signer(store.root / "gnupg") as first:
        old, old_key = first.fingerprint, first.public_key()
    new = make_key(store.root / "gnupg", "Second", "second@example.org")
    with open_signer(store.root / "gnupg", new) as second:
        new_key = second.public_key()
    project.write(
        "bigtop-builder.yaml",
        f"stack: small\nstore: {store.root}\nplatforms: [el8]\noverlays: [overlay]\nsigning: {{key: {old}}}\n",
    )
    base = "https://repo.example.com/small/el8/RPM-GPG-KEY-small"

    def signed_by(key: bytes) -> bool:
        return verify(str(folder), key=key, system=["/bin/sh"]).problems == ()

    capsys.readouterr()
    assert tool("repo", "rotate-key", new, "--announce") == 0
    assert gpgkeys(project.root) == [base, f"{base}-{new[-16:].lower()}"]
    assert signed_by(old_key) and (folder / f"RPM-GPG-KEY-small-{new[-16:].lower()}").read_bytes() == new_key
    assert (folder / "repodata/repomd.xml.key").read_bytes() == old_key + new_key
    capsys.readouterr()
    assert tool("repo", "rotate-key", new) == 0
    assert (folder / "repodata/repomd.xml.key").read_bytes() == new_key + old_key
    captured = capsys.readouterr()
    assert json.loads(captured.out)["el8"]["signed_again"] == ["a-1.0-1.el8.noarch.rpm"]
    assert f"signing.key in the project file to {new}" in captured.err
    assert gpgkeys(project.root) == [base, f"{base}-{old[-16:].lower()}"]
    assert signed_by(new_key) and not signed_by(old_key)
    # Hosts still have the .repo file of the first step, and dnf wants every key that it lists.
    assert (folder / f"RPM-GPG-KEY-small-{new[-16:].lower()}").read_bytes() == new_key
    # Further publications keep both, until the rotation ends.
    project.write(
        "bigtop-builder.yaml",
        f"stack: small\nstore: {store.root}\nplatforms: [el8]\noverlays: [overlay]\nsigning: {{key: {new}}}\n",
    )
    assert tool("repo", "publish", *map(str, keep(store, B)), "--base-url", "https://repo.example.com") == 0
    assert len(gpgkeys(project.root)) == 2
    assert tool("repo", "rotate-key", "--finish") == 0
    assert gpgkeys(project.root) == [base]
    assert signed_by(new_key) and not list(folder.glob(f"*{old[-16:].lower()}*"))


@pytest.mark.parametrize(
    "arguments", [(), ("X", "--finish"), ("--finish", "--announce"), ("X", "--make-key"), ("--announce",)]
)
def test_a_rotation_needs_one_clear_step(tool: Callable[..., int], arguments: tuple[str, ...]) -> None:
    assert tool("repo", "rotate-key", *arguments) == ExitCode.USAGE


def test_a_rotation_of_nothing_is_an_error(
    project: ProjectFolder, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.root)
    project.component("a")
    project.write("bigtop-builder.yaml", f"stack: small\nstore: {store.root}\nplatforms: [el8]\noverlays: [overlay]\n")
    make_key(store.root / "gnupg", "First", "first@example.org")
    assert command(["repo", "rotate-key", "--finish"]) == ExitCode.PUBLISH
    assert "nothing is published" in capsys.readouterr().err
