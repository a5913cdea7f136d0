"""Bundles: what is in them, what is found out about them, and that loading one twice is loading it once."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.adapter.bundle.cache import pack
from bigtop_builder.adapter.bundle.reader import BundleReader
from bigtop_builder.adapter.bundle.repository import take_over
from bigtop_builder.adapter.bundle.writer import BundleWriter, file_chunks
from bigtop_builder.adapter.rpm.gnupg import Signer
from bigtop_builder.adapter.rpm.signing import sign_package
from bigtop_builder.adapter.sources.download_store import stored
from bigtop_builder.adapter.store import Store
from bigtop_builder.cli.app import run as command
from bigtop_builder.flow.build.project import Request
from bigtop_builder.flow.bundle.creator import Created, Wanted, create_bundle
from bigtop_builder.flow.bundle.loader import Loaded, Loading
from bigtop_builder.flow.bundle.verifier import GOOD, Verdict, require_signature, verify_bundle
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.flow.publish.publisher import Rules, publish
from bigtop_builder.flow.publish.verifier import verify
from bigtop_builder.model import bundle as model
from bigtop_builder.model.bundle import MANIFEST, SIGNATURE, Manifest, Part
from bigtop_builder.model.errors import (
    BigtopBuilderError,
    ConfigurationError,
    ExitCode,
    PublishError,
    SourceError,
    StoreError,
)
from bigtop_builder.recipe.catalog import Catalog
from tests.fast.conftest import ProjectFolder
from tests.rpmfile import Spec, write_rpm

SOURCE = b"a source" * 1000
SHA512 = hashlib.sha512(SOURCE).hexdigest()
COMMIT = "c" * 40
CACHE = {"org/a/1/a-1.jar": b"jar", "org/a/1/a-1.pom": b"<project/>", "org/a/maven-metadata-mirror.xml": b"<metadata/>"}
KINDS = ["bundle.tar", "bundle"]


def quiet(*_: object) -> None:
    """Nobody watches."""


def write(place: Path, signer: Signer | None = None, *, machine: str | None = None, **wrong: Any) -> Path:
    """A bundle with a source, a cache and a project file; ``wrong`` changes what its manifest says."""
    cache = place.parent / "cache-in"
    for name, content in CACHE.items():
        (cache / name).parent.mkdir(parents=True, exist_ok=True)
        (cache / name).write_bytes(content)
    sha256 = hashlib.sha256(SOURCE).hexdigest()
    with BundleWriter(place) as writer:
        files = [
            writer.add("project/bigtop-builder.yaml", [b"stack: bigtop-3.2.0\n"]),
            writer.add("project/overlay/tool", [b"#!/bin/sh\n"], executable=True),
            writer.add(f"sources/{sha256}", [SOURCE[:10], SOURCE[10:]]),
            writer.add("caches/maven.tar", pack(cache, CACHE)),
        ]
        told = {
            "tool": "1",
            "stack": "bigtop-3.2.0",
            "machine": machine or os.uname().machine,
            "platforms": ["el8"],
            "sources": [{"path": f"sources/{sha256}", "names": [f"sha512:{SHA512}", f"git:{COMMIT}"], "used_by": []}],
            "caches": [{"kind": "maven", "path": "caches/maven.tar", "files": 3, "size": 30}],
            "files": [file.model_dump() for file in files],
            **wrong,
        }
        data = json.dumps(told).encode()
        writer.add(MANIFEST, [data])
        if signer is not None:
            writer.add(SIGNATURE, [signer.sign_armored(data)])
        writer.finish()
    return place


def load(place: Path, site: Path, *, replace: bool = False) -> Loaded:
    reader = BundleReader(place)
    reader.expect_all()
    loading = Loading(reader, replace=replace, progress=quiet)
    loading.project(site)
    loading.repositories(site / "repository")
    loading.store(Store(site / "store"))
    return loading.loaded


def check(place: Path, key: bytes | None = None) -> Verdict:
    return verify_bundle(BundleReader(place), key, quiet)


def contents(folder: Path) -> dict[str, bytes]:
    kept = ("store/locks", "store/runs", "store/work")
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith(kept)}


def rewritten(place: Path, change: Any) -> Path:
    """An archive whose members pass through ``change(info, content)``, which may give others."""
    target = place.with_name("changed.tar")
    with tarfile.open(place) as old, tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as new:
        for info in old:
            stream = old.extractfile(info)
            for other, content in change(info, stream.read() if stream else b""):
                other.size = len(content)
                new.addfile(other, io.BytesIO(content))
    return target


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_written_is_whole(tmp_path: Path, kind: str) -> None:
    verdict = check(write(tmp_path / kind))
    assert verdict.whole
    assert (verdict.files, verdict.signature) == (4, "none")


def test_equal_contents_give_equal_bundles(tmp_path: Path) -> None:
    assert write(tmp_path / "a.tar").read_bytes() == write(tmp_path / "b.tar").read_bytes()


def test_an_archive_is_read_by_tar_too(tmp_path: Path) -> None:
    with tarfile.open(write(tmp_path / "a.tar")) as archive:
        assert archive.getmember("project/overlay/tool").mode == 0o755
        stream = archive.extractfile("project/bigtop-builder.yaml")
        assert stream is not None and stream.read() == b"stack: bigtop-3.2.0\n"


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_the_name_already_stays(tmp_path: Path, kind: str) -> None:
    (tmp_path / kind).write_text("mine")
    with pytest.raises(ConfigurationError, match="already"):
        write(tmp_path / kind)
    assert (tmp_path / kind).read_text() == "mine"


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_writer_leaves_nothing_under_the_name(tmp_path: Path, kind: str) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"some"
        os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        with BundleWriter(tmp_path / kind) as writer:
            writer.add("a/file", chunks())
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert not (tmp_path / kind).exists()
    assert len(list(tmp_path.glob(".*.unfinished"))) == 1
    write(tmp_path / kind)
    assert not list(tmp_path.glob(".*.unfinished"))


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"some"
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match="no space left"), BundleWriter(tmp_path / "b.tar") as writer:
        writer.add("a", chunks())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_names_what_is_missing_extra_and_altered(tmp_path: Path) -> None:
    place = write(tmp_path / "bundle")
    (place / "project" / "overlay" / "tool").unlink()
    (place / "more").write_text("more")
    cache = place / "caches" / "maven.tar"
    data = bytearray(cache.read_bytes())
    data[600] ^= 1
    cache.write_bytes(data)
    (place / "project" / "bigtop-builder.yaml").write_text("longer than it was before")
    verdict = check(place)
    assert verdict.missing == ["project/overlay/tool"]
    assert verdict.extra == ["more"]
    assert set(verdict.altered) == {"caches/maven.tar", "project/bigtop-builder.yaml"}
    with pytest.raises(SourceError, match="missing: project/overlay/tool"):
        load(place, tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_any_altered_byte_of_an_archive_is_found(tmp_path: Path) -> None:
    data = write(tmp_path / "a.tar").read_bytes()
    other = tmp_path / "b.tar"
    for position in range(7, len(data) - 2048, len(data) // 40):
        changed = bytearray(data)
        changed[position] ^= 0x20
        other.write_bytes(changed)
        with contextlib.suppress(BigtopBuilderError):
            verdict = check(other)
            # What is left are a header's other fields and padding: no byte of a file.
            same = contents_of(other) == contents_of(tmp_path / "a.tar")
            assert not verdict.whole or same


def contents_of(place: Path) -> dict[str, bytes]:
    reader = BundleReader(place)
    return {name: b"".join(reader.chunks(name)) for name in reader.members}


def test_an_archive_that_is_cut_off_is_told(tmp_path: Path) -> None:
    data = write(tmp_path / "a.tar").read_bytes()
    for length in (len(data) // 3, len(data) // 2, len(data) - 4000):
        (tmp_path / "b.tar").write_bytes(data[:length])
        with pytest.raises(SourceError, match="truncated"):
            check(tmp_path / "b.tar")


def test_what_is_no_bundle_is_told(tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_bytes(b"no archive" * 100)
    with pytest.raises(ConfigurationError, match="is not a bundle"):
        BundleReader(tmp_path / "b.tar")
    with pytest.raises(ConfigurationError, match="there is no bundle"):
        BundleReader(tmp_path / "none.tar")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"no manifest\.json"):
        BundleReader(tmp_path / "empty")


@pytest.mark.parametrize(
    ("name", "kind", "link"),
    [
        ("../outside", tarfile.REGTYPE, ""),
        ("/outside", tarfile.REGTYPE, ""),
        ("a/../../outside", tarfile.REGTYPE, ""),
        ("a//b", tarfile.REGTYPE, ""),
        ("link", tarfile.SYMTYPE, "/etc/passwd"),
        ("hard", tarfile.LNKTYPE, "manifest.json"),
        ("device", tarfile.CHRTYPE, ""),
        ("pipe", tarfile.FIFOTYPE, ""),
        ("manifest.json", tarfile.REGTYPE, ""),
    ],
)
def test_unsafe_members_are_refused(tmp_path: Path, name: str, kind: bytes, link: str) -> None:
    place = write(tmp_path / "a.tar")
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    with tarfile.open(place, "a") as archive:
        archive.addfile(info)
    with pytest.raises(SourceError, match=r"not safe|twice"):
        BundleReader(place)


def test_links_in_a_folder_are_refused(tmp_path: Path) -> None:
    place = write(tmp_path / "bundle")
    (place / "sources" / "link").symlink_to("/etc/passwd")
    with pytest.raises(SourceError, match="'sources/link' is a link"):
        BundleReader(place)


@pytest.mark.parametrize("name", ["../../outside", "/outside"])
def test_unsafe_members_of_a_cache_are_refused(tmp_path: Path, name: str) -> None:
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    place = tmp_path / "evil.tar"
    with BundleWriter(place) as writer:
        file = writer.add("caches/maven.tar", [inner.getvalue()])
        cache = model.BundledCache(kind="maven", path="caches/maven.tar", files=1, size=1)
        told = Manifest(
            tool="1", stack="s", machine=os.uname().machine, platforms=[], caches=[cache], files=[file]
        ).model_dump_json()
        writer.add(MANIFEST, [told.encode()])
        writer.finish()
    with pytest.raises(SourceError, match="not safe"):
        load(place, tmp_path / "site")
    assert not list(tmp_path.rglob("outside"))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"files": []}, "is not listed"),
        ({"files": [{"path": "../x", "size": 1, "sha256": "0" * 64}]}, "not a relative path below a folder"),
        ({"surprise": 1}, "surprise"),
        ({"stack": 1}, "stack"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(tmp_path: Path, wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(SourceError, match=told):
        BundleReader(write(tmp_path / "a.tar", **wrong))


def test_a_deep_manifest_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "a.tar"
    with BundleWriter(place) as writer:
        writer.add(MANIFEST, [b"[" * 200_000])
        writer.finish()
    with pytest.raises(SourceError, match="the manifest is damaged"):
        BundleReader(place)


def test_a_newer_format_is_refused_before_anything_else(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has format 2; this program reads 1") as caught:
        BundleReader(write(tmp_path / "a.tar", format=2, surprise=1))
    assert "wheels" in (caught.value.hint or "")


def test_a_signature_is_of_a_key_and_of_this_manifest(tmp_path: Path, signer: Signer) -> None:
    place = write(tmp_path / "a.tar", signer)
    assert check(place).signature == "not checked"
    verdict = check(place, signer.public_key())
    assert (verdict.signature, verdict.signed_by) == (GOOD, signer.fingerprint[-16:])

    def swap(info: tarfile.TarInfo, content: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
        return [(info, content.replace(b'"tool": "1"', b'"tool": "2"') if info.name == MANIFEST else content)]

    changed = rewritten(place, swap)
    assert check(changed, signer.public_key()).signature == "the signature does not match the content"
    with pytest.raises(PublishError, match="does not match"):
        require_signature(BundleReader(changed), signer.public_key())
    with pytest.raises(PublishError, match="is not signed"):
        require_signature(BundleReader(write(tmp_path / "b.tar")), signer.public_key())


def cli_load(place: Path, site: Path, *options: str) -> int:
    site.mkdir(exist_ok=True)
    return command(["-C", str(site), "bundle", "load", str(place), "--store", str(site / "store"), *options])


def test_a_bundle_that_nothing_proves_is_refused(
    tmp_path: Path, signer: Signer, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "trusted.asc"
    key.write_bytes(signer.public_key())
    site = tmp_path / "site"
    for number, place in enumerate([write(tmp_path / "unsigned.tar"), write(tmp_path / "signed.tar", signer)]):
        assert cli_load(place, site) == ExitCode.PUBLISH
        told = capsys.readouterr().err
        assert "nothing proves who made" in told and "--accept-unsigned" in told and "--key FILE" in told
        assert ("is not checked" if number else "it is not signed") in told
    assert list(site.iterdir()) == [], "nothing was written"
    assert cli_load(tmp_path / "unsigned.tar", site, "--key", str(key)) == ExitCode.PUBLISH
    assert cli_load(tmp_path / "signed.tar", site, "--key", str(key), "--accept-unsigned") == ExitCode.USAGE
    assert list(site.iterdir()) == []
    capsys.readouterr()
    assert cli_load(tmp_path / "signed.tar", site, "--key", str(key)) == ExitCode.DONE
    assert "not verified" not in capsys.readouterr().err
    assert (site / "bigtop-builder.yaml").is_file()


def test_an_accepted_bundle_says_what_is_not_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli_load(write(tmp_path / "a.tar"), tmp_path / "site", "--accept-unsigned") == ExitCode.DONE
    told = capsys.readouterr().err
    assert "nothing proves who made this bundle" in told
    for part in ("the project file", "1 sources", "caches of maven"):
        assert f"not verified: {part}" in told or part in told


def test_a_key_inside_the_bundle_is_not_trusted(
    tmp_path: Path, project: ProjectFolder, signer: Signer, capsys: pytest.CaptureFixture[str]
) -> None:
    """It comes with its own public key and a project file; neither makes it one that loads without being told."""
    project.component("a")
    made = create(project, signer=signer)
    assert cli_load(made.place, tmp_path / "site") == ExitCode.PUBLISH


def test_an_altered_manifest_is_refused_with_the_right_key(tmp_path: Path, signer: Signer) -> None:
    key = tmp_path / "trusted.asc"
    key.write_bytes(signer.public_key())
    place = write(tmp_path / "a.tar", signer)

    def swap(info: tarfile.TarInfo, content: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
        return [(info, content.replace(b'"tool": "1"', b'"tool": "2"') if info.name == MANIFEST else content)]

    assert cli_load(rewritten(place, swap), tmp_path / "site", "--key", str(key)) == ExitCode.PUBLISH


@pytest.mark.parametrize("mask", [0o000, 0o077])
@pytest.mark.parametrize("kind", KINDS)
def test_bundles_are_made_and_loaded_under_every_umask(
    project: ProjectFolder, tmp_path: Path, mask: int, kind: str
) -> None:
    site, output = tmp_path / "site", tmp_path / kind
    site.mkdir()
    project.component("a")
    parts = ["--without", "wheels", "--without", "images", "--without", "sources", "--without", "caches"]
    create = ["-C", str(project.root), "bundle", "create", "a", "--output", str(output), "--platform", "el8", *parts]
    load = ["-C", str(site), "bundle", "load", str(output), "--store", str(site / "store"), "--accept-unsigned"]
    for arguments in (create, load):
        program = "from bigtop_builder.cli.app import main; main()"
        subprocess.run([sys.executable, "-c", program, *arguments], umask=mask, check=True)
    for top in (site, output):
        for path in [top, *top.rglob("*")]:
            assert path.is_symlink() or not path.stat().st_mode & 0o022, path


@pytest.mark.parametrize("kind", KINDS)
def test_loading_puts_everything_in_its_place_once(tmp_path: Path, kind: str) -> None:
    place, site = write(tmp_path / kind), tmp_path / "site"
    loaded = load(place, site)
    assert loaded.new == {"project": 2, "sources": 1, "maven cache": 3}
    store = site / "store"
    for name in (f"sha256:{hashlib.sha256(SOURCE).hexdigest()}", f"sha512:{SHA512}", f"git:{COMMIT}"):
        path = stored(store, name)
        assert path is not None and path.read_bytes() == SOURCE
    assert {name: (store / "cache" / "maven" / "shared" / name).read_bytes() for name in CACHE} == CACHE
    assert (site / "overlay" / "tool").stat().st_mode & 0o777 == 0o755
    assert list((store / "work").iterdir()) == []
    before = contents(site)
    again = load(place, site)
    assert (again.new, again.kept, again.kept_in_caches) == ({}, [], 0)
    assert again.same == loaded.new
    assert contents(site) == before


def test_what_differs_stays_and_is_told(tmp_path: Path) -> None:
    place, site = write(tmp_path / "a.tar"), tmp_path / "site"
    mine = site / "bigtop-builder.yaml"
    mine.parent.mkdir()
    mine.write_text("stack: mine\n")
    jar = site / "store" / "cache" / "maven" / "shared" / "org/a/1/a-1.jar"
    jar.parent.mkdir(parents=True)
    jar.write_bytes(b"another")
    loaded = load(place, site)
    assert (loaded.kept, loaded.kept_in_caches) == ([str(mine)], 1)
    assert (mine.read_text(), jar.read_bytes()) == ("stack: mine\n", b"another")
    assert load(place, site, replace=True).kept == []
    assert mine.read_text() == "stack: bigtop-3.2.0\n"


def test_a_link_in_the_way_is_not_written_through(tmp_path: Path) -> None:
    place, site = write(tmp_path / "a.tar"), tmp_path / "site"
    site.mkdir()
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (site / "bigtop-builder.yaml").symlink_to(outside)
    assert load(place, site).kept == [str(site / "bigtop-builder.yaml")]
    load(place, site, replace=True)
    assert outside.read_text() == "mine"


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5])
def test_a_killed_load_is_repeated(tmp_path: Path, at: int) -> None:
    place, site, whole = write(tmp_path / "a.tar"), tmp_path / "site", tmp_path / "whole"
    load(place, whole)
    child = os.fork()
    if child == 0:
        left = at

        def kill(*_: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        loading = Loading(BundleReader(place), replace=False, progress=kill)
        loading.project(site)
        loading.store(Store(site / "store"))
        os._exit(0)
    os.waitpid(child, 0)
    for path in site.rglob("*"):
        if path.is_file() and not path.name.startswith(".") and "store/" not in path.as_posix():
            assert path.read_bytes() == (whole / path.relative_to(site)).read_bytes()
    load(place, site)
    Store(site / "store").remove_dead_work()
    assert {name for name in contents(site) if "partial" not in name} == set(contents(whole))


def test_a_tampered_file_is_named_and_does_not_come_in(tmp_path: Path) -> None:
    def tamper(info: tarfile.TarInfo, content: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
        return [(info, content[:-1] + b"!" if info.name.startswith("sources/") else content)]

    changed, site = rewritten(write(tmp_path / "a.tar"), tamper), tmp_path / "site"
    with pytest.raises(SourceError, match=r"sources/[0-9a-f]{64} was altered"):
        load(changed, site)
    assert stored(site / "store", f"sha512:{SHA512}") is None


def test_a_source_under_a_wrong_name_does_not_come_in(tmp_path: Path) -> None:
    sha256 = hashlib.sha256(SOURCE).hexdigest()
    sources = [{"path": f"sources/{sha256}", "names": ["sha512:" + "0" * 128], "used_by": []}]
    with pytest.raises(SourceError, match="does not match its name"):
        load(write(tmp_path / "a.tar", sources=sources), tmp_path / "site")
    assert stored(tmp_path / "site" / "store", "sha512:" + "0" * 128) is None


def test_images_for_another_machine_are_refused(tmp_path: Path) -> None:
    images = {"path": "caches/maven.tar", "size": 1, "images": []}
    with pytest.raises(ConfigurationError, match="has images for pdp11"):
        load(write(tmp_path / "a.tar", machine="pdp11", images=images), tmp_path / "site")


# what create takes from a project


def create(
    project: ProjectFolder, name: str = "out.tar", *, parts: frozenset[Part] | None = None, **wanted: Any
) -> Created:
    parts = frozenset({"project", "repositories"}) if parts is None else parts
    request = Request(selectors=("a",), platforms=("el8",))
    return create_bundle(
        open_project(project.settings()),
        request,
        Wanted(parts, **wanted),
        project.root / name,
        lambda request: pytest.fail("built"),
    )


def test_project_overlays_inventories_and_included_files_go_in(project: ProjectFolder, tmp_path: Path) -> None:
    project.component("a")
    project.write("inventories/one.yaml", "cluster: one\npassword: env:SECRET_OF_MINE\n")
    project.write("private/notes.txt", "not asked for")
    extra = project.write("ambari/server.rpm", "an rpm").parent
    made = create(project, includes=[extra])
    assert made.components == ["a@el8"]
    assert set(BundleReader(made.place).members) == {
        "manifest.json",
        "project/bigtop-builder.yaml",
        "project/inventories/one.yaml",
        "project/overlay/components/a/component.yaml",
        "project/overlay/stacks/small.yaml",
        "include/ambari/server.rpm",
    }
    load(made.place, tmp_path / "site")
    assert (tmp_path / "site" / "include" / "ambari" / "server.rpm").read_text() == "an rpm"
    assert create(project, "again.tar", includes=[extra]).place.read_bytes() == made.place.read_bytes()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("export PASSWORD=hunter2-and-more", "contains the value of the secret env:SECRET_OF_MINE"),
        ("url?p=hunter2%2Band%20more", "contains the value of the secret env:OTHER_OF_MINE"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nabc", "contains a private key"),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----\nabc", "contains a private key"),
        ("index = https://me:hunter3@index.corp/simple", "contains an address with a password"),
    ],
)
def test_no_secret_goes_in(project: ProjectFolder, monkeypatch: pytest.MonkeyPatch, text: str, told: str) -> None:
    monkeypatch.setenv("SECRET_OF_MINE", "hunter2-and-more")
    monkeypatch.setenv("OTHER_OF_MINE", "hunter2+and more")
    project.component("a")
    project.write("inventories/one.yaml", "password: env:SECRET_OF_MINE\nother: {deep: ['env:OTHER_OF_MINE']}\n")
    project.write("overlay/components/a/files/setup", "x" * ((1 << 20) - 10) + text)
    with pytest.raises(ConfigurationError, match=told) as caught:
        create(project)
    assert "hunter" not in str(caught.value)
    assert not list(project.root.glob("*out.tar*"))


def test_the_file_of_a_secret_does_not_go_in(project: ProjectFolder) -> None:
    project.component("a")
    secret = project.write("overlay/components/a/files/passphrase", "short")
    project.write("inventories/one.yaml", f"password: file:{secret}\n")
    with pytest.raises(ConfigurationError, match="is the file of a secret"):
        create(project)


def test_users_names_and_addresses_without_password_are_no_secrets(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAME_OF_MINE", "deployer")
    project.component("a")
    project.write("inventories/one.yaml", "credentials: {user: env:NAME_OF_MINE}\nurl: https://deployer@host/x\n")
    project.write("inventories/two.yaml", "script: https://${USER}:${PASSWORD}@host/\n")
    assert create(project).components == ["a@el8"]


def test_an_overlay_elsewhere_is_refused(project: ProjectFolder, tmp_path_factory: pytest.TempPathFactory) -> None:
    project.component("a")
    other = tmp_path_factory.mktemp("elsewhere")
    project.write("bigtop-builder.yaml", f"stack: small\nstore: {project.root}/store\noverlays: [overlay, {other}]\n")
    with pytest.raises(ConfigurationError, match="is outside"):
        create(project)


def test_a_missing_included_file_is_told_before_anything_is_written(project: ProjectFolder) -> None:
    project.component("a")
    with pytest.raises(ConfigurationError, match=r"--include: .* does not exist"):
        create(project, includes=[project.root / "none"])


def test_a_published_repository_is_taken_over_as_it_was_signed(
    project: ProjectFolder, signer: Signer, tmp_path: Path
) -> None:
    project.component("a")
    workspace = open_project(project.settings())
    rules, el8, root = Rules(), workspace.platform("el8"), workspace.settings.repository
    first = write_rpm(tmp_path / "in1", Spec(name="a", files={"/a": b"a"}))
    publish([first], root, "small", el8, signer, rules)
    made = create(project, signer=signer)
    assert made.signed_by == signer.fingerprint
    site = tmp_path / "site"
    assert load(made.place, site).new["repositories"] == 1
    there = site / "repository" / "small" / "el8"
    assert verify(str(there), key=signer.public_key(), system=[]).problems == ()
    assert load(made.place, site).same["repositories"] == 1
    # A site that has published more keeps it, and publishes on top of what came.
    second = write_rpm(tmp_path / "in2", Spec(name="b", files={"/b": b"b"}))
    assert publish([second], site / "repository", "small", el8, signer, rules).packages == 2
    assert load(made.place, site).kept == [str(there)]
    assert (there / "packages" / "b-1.0-1.el8.noarch.rpm").is_file()
    load(made.place, site, replace=True)
    assert not (there / "packages" / "b-1.0-1.el8.noarch.rpm").exists()


def test_no_room_is_told_before_anything_is_written(project: ProjectFolder) -> None:
    project.component("a")
    large = project.write("large", "")
    os.truncate(large, shutil.disk_usage(project.root).free + (1 << 30))
    with pytest.raises(StoreError, match="not enough space for the bundle"):
        create(project, includes=[large])
    assert not list(project.root.glob("*out.tar*"))


def test_files_are_read_piece_by_piece(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * (5 << 20))
    assert max(map(len, file_chunks(tmp_path / "file"))) <= 1 << 20


def test_a_component_built_from_a_local_folder_is_refused(project: ProjectFolder) -> None:
    project.component("a")
    project.write("tree/file", "mine")
    project.write(
        "bigtop-builder.yaml",
        f"stack: small\nstore: {project.root}/store\noverlays: [overlay]\ncomponents: {{a: {{source: tree}}}}\n",
    )
    with pytest.raises(ConfigurationError, match="which a bundle does not contain"):
        create(project)


def planted(folder: Path, signer: Signer) -> None:
    """A package with our name, recorded as signed by our key, which it is not."""
    evil = write_rpm(folder / "in", Spec(name="a", files={"/a": b"evil"}))
    (folder / "packages" / evil.name).write_bytes(evil.read_bytes())


def other_content(folder: Path, signer: Signer) -> None:
    """A package that our key signed, recorded under the content of another."""
    other = write_rpm(folder / "in", Spec(name="a", files={"/a": b"another one"}))
    sign_package(signer, other, folder / "packages" / other.name)


def no_key(folder: Path, signer: Signer) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = {name: text for name, text in manifest["files"].items() if "RPM-GPG-KEY" not in name}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def older(folder: Path, signer: Signer) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "epoch": 1, "files": {**manifest["files"], "x": ""}}))


@pytest.mark.parametrize("harm", [planted, other_content, no_key])
def test_a_bundled_repository_cannot_plant_packages_in_the_pool(
    signer: Signer, tmp_path: Path, harm: Callable[[Path, Signer], None]
) -> None:
    el8 = Catalog().platform("el8")
    first = write_rpm(tmp_path / "in1", Spec(name="a", files={"/a": b"a"}))
    done = publish([first], tmp_path / "connected", "small", el8, signer, Rules())
    bundled = model.BundledRepository(stack="small", platform="el8", path="repositories/small/el8")
    root = tmp_path / "site"

    def fill(folder: Path) -> None:
        shutil.copytree(done.folder, folder, dirs_exist_ok=True)
        for path in folder.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        harm(folder, signer)

    with pytest.raises(PublishError, match="bundled repository is damaged"):
        take_over(root, bundled, fill, replace=True)
    assert not (root / "small").exists() and not list((root / ".pool").glob("*"))


def test_an_older_repository_of_a_bundle_is_not_taken_over(signer: Signer, tmp_path: Path) -> None:
    el8 = Catalog().platform("el8")
    first = write_rpm(tmp_path / "in1", Spec(name="a", files={"/a": b"a"}))
    done = publish([first], tmp_path / "connected", "small", el8, signer, Rules())
    bundled = model.BundledRepository(stack="small", platform="el8", path="repositories/small/el8")

    def fill(folder: Path) -> None:
        shutil.copytree(done.folder, folder, dirs_exist_ok=True)

    def fill_older(folder: Path) -> None:
        fill(folder)
        older(folder, signer)

    assert take_over(tmp_path / "site", bundled, fill, replace=False) == "new"
    assert take_over(tmp_path / "site", bundled, fill, replace=False) == "same"
    assert take_over(tmp_path / "site", bundled, fill_older, replace=False) == "kept"
