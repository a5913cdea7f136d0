"""Publications: their signed manifest, their revision, their expiry, and who may read and write them."""

from __future__ import annotations

import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bigtop_builder.adapter.repository.seen import Seen, State
from bigtop_builder.adapter.rpm.gnupg import Signer, make_key, open_signer
from bigtop_builder.adapter.store import Store
from bigtop_builder.flow.publish.publisher import Publication, Rules, publish
from bigtop_builder.flow.publish.verifier import Problem, verify
from bigtop_builder.recipe.catalog import Catalog
from tests.rpmfile import Spec, write_rpm

STACK = "bigtop-3.2.0"
A = Spec(name="a", files={"/a": b"a"})
B = Spec(name="b", files={"/b": b"b"})

Publish = Callable[..., Publication]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store").open()


@pytest.fixture
def run(signer: Signer, store: Store, tmp_path: Path) -> Publish:
    def call(*specs: Spec, root: Path = tmp_path / "root", **rules: object) -> Publication:
        packages = [write_rpm(tmp_path / "in", spec) for spec in specs]
        return publish(
            packages,
            root,
            STACK,
            Catalog().platform("el8"),
            signer,
            Rules(**{"base_url": "http://r.test", **rules}),
            store,
        )  # type: ignore[arg-type]

    return call


def problems(folder: Path, seen: Seen | None = None, **options: bool) -> list[tuple[str, str]]:
    found = verify(str(folder), system=["/bin/sh"], seen=seen, **options).problems
    return [(problem.kind, problem.subject) for problem in found]


# the signed manifest


def edit_manifest(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "expires": None, "epoch": 2_000_000_000}))


def other_repo_file(folder: Path) -> None:
    path = folder / f"{STACK}-el8.repo"
    path.write_text(path.read_text().replace("gpgcheck=1", "gpgcheck=0"))


HARM: dict[str, tuple[Callable[[Path], object], list[tuple[str, str]]]] = {
    "nothing": (lambda folder: None, []),
    "the manifest": (edit_manifest, [("manifest", "manifest.json")]),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), [("manifest", "manifest.json")]),
    "no signature": (lambda folder: (folder / "manifest.json.asc").unlink(), [("manifest", "manifest.json")]),
    "the .repo file": (other_repo_file, [("manifest", f"{STACK}-el8.repo")]),
    "no .repo file": (
        lambda folder: (folder / f"{STACK}-el8.repo").unlink(),
        [("manifest", f"{STACK}-el8.repo")],
    ),
}


@pytest.mark.parametrize(("harm", "expected"), HARM.values(), ids=HARM)
def test_the_signature_covers_everything(
    run: Publish, tmp_path: Path, harm: Callable[[Path], object], expected: list[tuple[str, str]]
) -> None:
    copy = shutil.copytree(run(A).folder, tmp_path / "copy")
    harm(copy)
    assert problems(copy) == expected


def test_another_key_beside_the_repository_is_found_with_the_trusted_one(
    run: Publish, signer: Signer, tmp_path: Path
) -> None:
    copy = shutil.copytree(run(A).folder, tmp_path / "copy")
    make_key(tmp_path / "other", "Other", "other@example.org")
    with open_signer(tmp_path / "other") as other:
        (copy / f"RPM-GPG-KEY-{STACK}").write_bytes(other.public_key())
    found = verify(str(copy), key=signer.public_key(), system=["/bin/sh"]).problems
    assert found == (Problem("manifest", f"RPM-GPG-KEY-{STACK}", "it is not what the manifest says"),)


def test_the_metadata_of_another_publication_do_not_fit_the_manifest(run: Publish, tmp_path: Path) -> None:
    copy = shutil.copytree(run(A).folder, tmp_path / "copy")
    newer = run(A, B)
    for name in ("manifest.json", "manifest.json.asc"):
        shutil.copy(newer.folder / name, copy / name)
    assert ("manifest", "manifest.json") in problems(copy)


def test_a_publication_of_an_older_version_gets_a_signed_manifest(run: Publish) -> None:
    first = run(A)
    (first.snapshot / "manifest.json.asc").unlink()
    again = run(A)
    assert again.changed and problems(again.folder) == []


# revisions


def test_the_revision_increases_whatever_the_clock_says(run: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    revisions = [run(A).revision]
    monkeypatch.setattr(time, "time", lambda: 5.0)
    revisions += [run(A, B).revision, run(A, only_these=True).revision]
    assert revisions == sorted(set(revisions))


def test_the_revision_increases_even_if_the_publication_was_lost(run: Publish, tmp_path: Path) -> None:
    run(A)
    second = run(A, B)
    second.folder.unlink()
    third = run(A)
    assert third.revision > second.revision
    shutil.rmtree(tmp_path / "root")
    assert run(A).revision > third.revision


def test_a_step_back_is_noticed(run: Publish, store: Store, tmp_path: Path) -> None:
    place, seen = tmp_path / "mirror" / STACK / "el8", Seen(store.root)
    old = shutil.copytree(run(A).folder, tmp_path / "old")
    shutil.copytree(run(A, B).folder, place)
    assert problems(place, seen) == [] == problems(place, seen)
    shutil.rmtree(place)
    shutil.copytree(old, place)
    assert problems(place) == []
    assert problems(place, seen) == [("freshness", "repodata/repomd.xml")] == problems(place, seen)
    assert problems(place, seen, accept_older=True) == []
    assert problems(place, seen) == []


def test_one_revision_has_one_content(run: Publish, store: Store) -> None:
    done, seen = run(A), Seen(store.root)
    seen.record(str(done.folder), State(done.revision, "0" * 64))
    assert problems(done.folder, seen) == [("freshness", "repodata/repomd.xml")]


def test_an_unsigned_state_is_not_remembered(run: Publish, store: Store, tmp_path: Path) -> None:
    copy, seen = shutil.copytree(run(A).folder, tmp_path / "copy"), Seen(store.root)
    (copy / "repodata/repomd.xml.asc").unlink()
    assert problems(copy, seen) != [] and seen.last(str(copy)) is None


# expiry


def test_an_expired_publication_is_reported_until_it_is_published_again(
    run: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run(A, valid_for=3600)
    assert problems(done.folder) == []
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3700)
    assert problems(done.folder) == [("freshness", "manifest.json")]
    again = run(A, valid_for=3600)
    assert again.changed and again.revision > done.revision and problems(again.folder) == []
    forever = run(A)
    assert forever.changed and forever.expires is None


# modes


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o027, 0o077])
def test_every_umask_gives_what_a_web_server_can_read_and_nobody_else_write(
    run: Publish, umask: Callable[[int], int], tmp_path: Path, mask: int
) -> None:
    umask(mask)
    root = tmp_path / "root"
    done = run(A)
    run(A, B)
    assert umask(mask) == mask, "the process keeps its umask"
    for path in [root, *root.rglob("*")]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        if not path.is_symlink():
            assert mode == (0o755 if path.is_dir() else 0o644), f"{path} {mode:o}"
    assert done.folder.resolve().stat().st_mode & 0o777 == 0o755
