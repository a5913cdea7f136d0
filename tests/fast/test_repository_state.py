"""Preflight: repositories that are altered, expired or an older state than seen before are not deployed from."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.adapter.repository.seen import Seen, State
from bigtop_builder.adapter.rpm.gnupg import Signer, make_key, open_signer
from bigtop_builder.flow.publish.key_rotation import KeyChange
from bigtop_builder.flow.publish.publisher import Publication, Rules, publish
from bigtop_builder.model.errors import PublishError
from bigtop_builder.recipe.catalog import Catalog
from tests.fast.test_package_check import INVENTORY, Desk
from tests.rpmfile import Spec, write_rpm


@pytest.fixture
def published(signer: Signer, tmp_path: Path) -> Callable[..., Publication]:
    def call(*specs: Spec, **rules: Any) -> Publication:
        packages = [write_rpm(tmp_path / "in", spec) for spec in specs]
        return publish(
            packages,
            tmp_path / "root",
            "b",
            Catalog().platform("el8"),
            signer,
            Rules(**{"base_url": "http://r.test", **rules}),
        )

    return call


ONE, TWO = Spec(name="one", files={"/one": b"1"}), Spec(name="two", files={"/two": b"2"})


def desk_of(folder: Path, tmp_path: Path) -> Desk:
    desk = Desk(tmp_path, INVENTORY.replace("http://repository.test/el8", f"file://{folder}"))
    desk.world.seen = Seen(tmp_path / "store")
    desk.facts()
    return desk


def replaced(folder: Path, by: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(by, folder)


def test_a_repository_in_its_newest_state_passes(published: Callable[..., Publication], tmp_path: Path) -> None:
    for specs in ((ONE,), (ONE, TWO)):
        desk = desk_of(published(*specs).folder, tmp_path)
        desk.check()
        assert not desk.told("error", "warning")


def test_an_older_state_is_not_deployed(published: Callable[..., Publication], tmp_path: Path) -> None:
    old, new, mirror = published(ONE).snapshot, published(ONE, TWO).snapshot, tmp_path / "mirror"
    replaced(mirror, new)
    desk_of(mirror, tmp_path).check()
    replaced(mirror, old)
    desk = desk_of(mirror, tmp_path)
    with pytest.raises(PublishError, match="1 errors") as caught:
        desk.check()
    assert "stepped back" in desk.told("error")[0].message and "--accept-older" in (caught.value.hint or "")


def test_an_expired_or_altered_state_is_not_deployed(published: Callable[..., Publication], tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    replaced(mirror, published(ONE, valid_for=-1).snapshot)
    desk = desk_of(mirror, tmp_path)
    with pytest.raises(PublishError):
        desk.check()
    assert "expired" in desk.told("error")[0].message
    replaced(mirror, published(ONE, TWO).snapshot)
    repo_file = mirror / "b-el8.repo"
    repo_file.write_text(repo_file.read_text().replace("gpgcheck=1", "gpgcheck=0"))
    desk = desk_of(mirror, tmp_path)
    with pytest.raises(PublishError):
        desk.check()
    assert "b-el8.repo" in desk.told("error")[0].message


def test_a_repository_of_others_or_of_an_older_version_is_deployed(
    published: Callable[..., Publication], tmp_path: Path
) -> None:
    mirror = tmp_path / "mirror"
    replaced(mirror, published(ONE).snapshot)
    (mirror / "manifest.json.asc").unlink()
    desk = desk_of(mirror, tmp_path)
    desk.check()
    assert ["not signed" in one.message for one in desk.told("error", "warning")] == [True]
    (mirror / "manifest.json").unlink()
    desk = desk_of(mirror, tmp_path)
    desk.check()
    assert not desk.told("error", "warning")
    (mirror / "repodata/repomd.xml.key").unlink()
    desk = desk_of(mirror, tmp_path)
    desk.check()
    assert ["cannot be checked" in one.message for one in desk.told("error", "warning")] == [True]


def test_both_keys_of_a_rotation_are_trusted(
    published: Callable[..., Publication], signer: Signer, tmp_path: Path
) -> None:
    make_key(tmp_path / "home", "Another", "another@example.org")
    with open_signer(tmp_path / "home") as other:
        done = published(ONE, keys=KeyChange(announce=(other.public_key(),)))
    desk = desk_of(done.folder, tmp_path)
    desk.check()
    assert not desk.told("error", "warning")


def test_what_was_seen_at_an_address_can_be_forgotten(tmp_path: Path) -> None:
    seen = Seen(tmp_path)
    seen.forget("http://10.0.0.2/")
    state = State(5, "digest")
    for place in ("http://10.0.0.2/stack/el8", "http://10.0.0.20/stack/el8", str(tmp_path / "folder")):
        seen.record(place, state)
    (tmp_path / "seen" / "damaged.json").write_text("[]")
    seen.forget("http://10.0.0.2/")
    assert seen.last("http://10.0.0.2/stack/el8") is None
    assert seen.last("http://10.0.0.20/stack/el8") == state
    assert seen.last(str(tmp_path / "folder")) == state
