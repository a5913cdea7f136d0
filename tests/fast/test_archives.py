"""Unpacking: what is wanted arrives, what is hostile does not get out."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bigtop_builder.adapter.sources import copy_tree, local_digest, tree, unpack
from bigtop_builder.model.archive_limits import ArchiveLimits
from bigtop_builder.model.errors import SourceError

TIME = 1_600_000_000


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.mtime = kind, link, mode, TIME
    return info


def tar(path: Path, *members: tarfile.TarInfo, content: bytes = b"content", mode: str = "w") -> Path:
    with tarfile.open(path, mode) as made:  # type: ignore[call-overload]
        for info in members:
            if info.isreg():
                info.size = len(content)
                made.addfile(info, io.BytesIO(content))
            else:
                made.addfile(info)
    return path


def zipped(path: Path, *entries: tuple[str, int, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name, mode, content in entries:
            info = zipfile.ZipInfo(name, (2020, 9, 13, 12, 26, 40))
            info.create_system = 3
            info.external_attr = mode << 16
            made.writestr(info, content)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


SOURCE = (
    member("top", tarfile.DIRTYPE, mode=0o755),
    member("top/bin/run", mode=0o4755),
    member("top/readme", mode=0o666),
    member("top/bin/link", tarfile.SYMTYPE, "../readme"),
    member("top/bin/hard", tarfile.LNKTYPE, "top/readme"),
)


@pytest.mark.parametrize("compression", ["", ":gz", ":bz2", ":xz", "zstd"])
def test_tar(tmp_path: Path, compression: str) -> None:
    made = tar(tmp_path / "a", *SOURCE, mode="w" + compression.removeprefix("zstd"))
    if compression == "zstd":
        subprocess.run(["zstd", "-q", "--rm", str(made), "-o", str(tmp_path / "a.zst")], check=True, timeout=60)
        made = tmp_path / "a.zst"
    tree = tmp_path / "deep/tree"
    unpack(made, tree, strip=1, name="a.tar")
    assert names(tree) == ["bin", "bin/hard", "bin/link", "bin/run", "readme"]
    assert stat.S_IMODE((tree / "bin/run").stat().st_mode) == 0o755
    assert stat.S_IMODE((tree / "readme").stat().st_mode) == 0o644
    assert (tree / "bin/link").read_bytes() == b"content"
    assert (tree / "bin/hard").samefile(tree / "readme")
    assert (tree / "readme").stat().st_mtime == TIME
    assert names(tmp_path / "deep") == ["tree", *(f"tree/{name}" for name in names(tree))]


def test_zip(tmp_path: Path) -> None:
    made = zipped(
        tmp_path / "a.zip",
        ("top/", stat.S_IFDIR | 0o755, b""),
        ("top/run", stat.S_IFREG | 0o755, b"#!"),
        ("top/plain", stat.S_IFREG | 0o644, b"text"),
        ("top/link", stat.S_IFLNK | 0o777, b"plain"),
    )
    unpack(made, tmp_path / "tree", strip=1, name="a.zip")
    assert names(tmp_path / "tree") == ["link", "plain", "run"]
    assert os.access(tmp_path / "tree/run", os.X_OK)
    assert stat.S_IMODE((tmp_path / "tree/plain").stat().st_mode) == 0o644
    assert (tmp_path / "tree/link").readlink() == Path("plain")
    assert (tmp_path / "tree/plain").stat().st_mtime == TIME


def test_an_uncompressed_tar_that_ends_with_a_zip(tmp_path: Path) -> None:
    jar = zipped(tmp_path / "a.jar", ("x", stat.S_IFREG | 0o644, b"")).read_bytes()
    made = tar(tmp_path / "a.tar", member("top/a.jar"), content=jar)
    unpack(made, tmp_path / "tree", strip=1, name="a.tar")
    assert (tmp_path / "tree/a.jar").read_bytes() == jar


HOSTILE = {
    "climbs out": ([member("top/../../evil")], "leaves the archive"),
    "absolute": ([member("/evil")], "absolute path"),
    "symlink out": ([member("top/a", tarfile.SYMTYPE, "../../evil")], "points out"),
    "symlink to the stripped folder": ([member("top/a", tarfile.SYMTYPE, "../x")], "points out"),
    "absolute symlink": ([member("top/a", tarfile.SYMTYPE, "/etc")], "points out"),
    "symlink up after down": ([member("top/a", tarfile.SYMTYPE, "b/../../evil")], "points out"),
    "empty symlink": ([member("top/a", tarfile.SYMTYPE, "")], "points out"),
    "hard link out": ([member("top/a", tarfile.LNKTYPE, "../evil")], "not a file in the tree"),
    "hard link to nothing": ([member("top/a", tarfile.LNKTYPE, "top/b")], "not a file in the tree"),
    "hard link to a symlink": (
        [member("top/a", tarfile.SYMTYPE, "b"), member("top/c", tarfile.LNKTYPE, "top/a")],
        "not a file in the tree",
    ),
    "through a symlink": (
        [member("top/d/x"), member("top/a", tarfile.SYMTYPE, "d"), member("top/a/evil")],
        "through a link",
    ),
    "over a symlink": ([member("top/a", tarfile.SYMTYPE, "b"), member("top/a")], "would replace a link"),
    "symlink over a folder": ([member("top/a/b"), member("top/a", tarfile.SYMTYPE, ".")], "replace a folder"),
    "device": ([member("top/a", tarfile.CHRTYPE)], "device or a pipe"),
    "pipe": ([member("top/a", tarfile.FIFOTYPE)], "device or a pipe"),
    "newline": ([member("top/a\nb")], "control character"),
    "escape sequence": ([member("top/\x1b[2J")], "control character"),
    "link with an escape sequence": ([member("top/a", tarfile.SYMTYPE, "\x1b[2J")], "points out"),
    "long name": ([member("top/" + "n" * 300)], "too long"),
}


@pytest.mark.parametrize(("members", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_tar(tmp_path: Path, members: list[tarfile.TarInfo], reason: str) -> None:
    made = tar(tmp_path / "a.tar", member("top/first"), *members)
    with pytest.raises(SourceError, match=reason) as caught:
        unpack(made, tmp_path / "in/tree", strip=1, name="a.tar")
    assert repr(members[-1].name)[:40] in caught.value.message
    assert names(tmp_path) == ["a.tar", "in"]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (("top/../../evil", stat.S_IFREG | 0o644, b""), "leaves the archive"),
        (("/evil", stat.S_IFREG | 0o644, b""), "absolute path"),
        (("top/a", stat.S_IFLNK | 0o777, b"../../evil"), "points out"),
        (("top/a", stat.S_IFIFO | 0o644, b""), "device or a pipe"),
    ],
)
def test_hostile_zip(tmp_path: Path, entry: tuple[str, int, bytes], reason: str) -> None:
    made = zipped(tmp_path / "a.zip", ("top/first", stat.S_IFREG | 0o644, b""), entry)
    with pytest.raises(SourceError, match=reason):
        unpack(made, tmp_path / "in/tree", strip=1, name="a.zip")
    assert names(tmp_path) == ["a.zip", "in"]


def test_a_zip_with_an_entry_without_a_name(tmp_path: Path) -> None:
    made = zipped(tmp_path / "a.zip", ("x", stat.S_IFREG | 0o644, b""))
    data = made.read_bytes().replace(b"\x01\x00\x00\x00x", b"\x00\x00\x01\x00x")
    start = data.index(b"PK\x01\x02")
    made.write_bytes(data[: start + 28] + b"\0\0\1\0" + data[start + 32 :])
    with pytest.raises(SourceError, match=r"a\.zip cannot be unpacked: an entry has no name"):
        unpack(made, tmp_path / "tree", strip=0, name="a.zip")


PARTS = st.sampled_from(["a", "b", "c", "..", ".", "", "~"])
PATHS = st.lists(PARTS, min_size=1, max_size=5).map("/".join)
KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    members=st.lists(st.tuples(PATHS, KINDS, PATHS), min_size=1, max_size=8),
    later=st.lists(st.tuples(PATHS, KINDS, PATHS), max_size=4),
    strip=st.integers(0, 2),
)
def test_nothing_is_written_outside_and_no_link_leads_there(
    tmp_path_factory: pytest.TempPathFactory,
    members: list[tuple[str, bytes, str]],
    later: list[tuple[str, bytes, str]],
    strip: int,
) -> None:
    place = tmp_path_factory.mktemp("property")
    tree = place / "in/tree"
    for number, listed in enumerate((members, later)):
        made = tar(place / f"{number}.tar", *(member(*entry) for entry in listed))
        before = names(tree) if tree.exists() else None
        try:
            unpack(made, tree, strip=strip, name="x")
        except SourceError:
            assert (names(tree) if tree.exists() else None) == before
    outside = [name for name in names(place) if not name.startswith("in/tree")]
    assert sorted({*outside, "in"}) == ["0.tar", "1.tar", "in"]
    for path in tree.rglob("*") if tree.exists() else ():
        assert Path(os.path.realpath(path)).is_relative_to(tree.resolve())


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=600))
def test_any_bytes_give_a_source_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    place = tmp_path_factory.mktemp("bytes")
    for start in (b"", b"PK\x03\x04", b"\x1f\x8b", b"\xfd7zXZ\x00", b"BZh9", b"\x28\xb5\x2f\xfd"):
        (place / "a").write_bytes(start + data)
        with pytest.raises(SourceError):
            unpack(place / "a", place / "tree", strip=0, name="a")


def test_too_many_and_too_large(tmp_path: Path) -> None:
    made = tar(tmp_path / "a.tar.gz", *(member(f"top/{number}") for number in range(5)), mode="w:gz")
    plain = tar(tmp_path / "a.tar", *(member(f"top/{number}") for number in range(5)))
    with pytest.raises(SourceError, match="'top/4' makes the unpacked size exceed 30 bytes"):
        unpack(plain, tmp_path / "tree", strip=1, name="a.tar", limits=ArchiveLimits(size=30))
    with pytest.raises(SourceError, match=r"a\.tar\.gz cannot be unpacked: it unpacks to more than 30 bytes"):
        unpack(made, tmp_path / "tree", strip=1, name="a.tar.gz", limits=ArchiveLimits(size=30))
    with pytest.raises(SourceError, match="more members than the allowed number"):
        unpack(made, tmp_path / "tree", strip=1, name="a.tar.gz", limits=ArchiveLimits(members=3))
    assert names(tmp_path) == ["a.tar", "a.tar.gz"]


def test_all_names_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tar(tmp_path / "a.tar", *(member(f"top/{number:0100}/x") for number in range(5)))
    unpack(made, tmp_path / "tree", strip=1, name="a.tar")
    monkeypatch.setattr(tree, "NAMES", 700)
    with pytest.raises(SourceError, match="makes the names of the archive too long"):
        unpack(made, tmp_path / "other", strip=1, name="a.tar")
    assert not (tmp_path / "other").exists()


def test_damage_in_the_middle_of_a_tar_is_no_end(tmp_path: Path) -> None:
    made = tar(tmp_path / "a.tar", member("top/a"), member("top/b"))
    made.write_bytes(made.read_bytes().replace(b"top/b", b"top/c"))
    with pytest.raises(SourceError, match=r"a\.tar cannot be unpacked: bad checksum"):
        unpack(made, tmp_path / "tree", strip=1, name="a.tar")


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_links_of_both_formats(tmp_path: Path, form: int) -> None:
    name, target = "top/" + "/".join(["folder" * 6] * 6), "n" * 180
    with tarfile.open(tmp_path / "a.tar", "w", format=form) as made:
        info = member(f"{name}/\u00e9")
        info.mtime = 1_600_000_000.5
        made.addfile(info)
        made.addfile(member("top/link", tarfile.SYMTYPE, target))
        made.addfile(member(f"{name}/hard", tarfile.LNKTYPE, f"{name}/\u00e9"))
    unpack(tmp_path / "a.tar", tmp_path / "tree", strip=1, name="a.tar")
    file = tmp_path / "tree" / name.removeprefix("top/") / "\u00e9"
    assert file.stat().st_nlink == 2
    assert file.stat().st_mtime == (1_600_000_000.5 if form == tarfile.PAX_FORMAT else TIME)
    assert (tmp_path / "tree/link").readlink() == Path(target)


@pytest.mark.parametrize("padding", [b"", bytes(8)])
def test_streams_one_after_another(tmp_path: Path, padding: bytes) -> None:
    data = tar(tmp_path / "plain", *SOURCE).read_bytes()
    for name, compress in (("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)):
        made = tmp_path / f"a.{name}"
        made.write_bytes(compress(data[:700]) + (padding if name == "xz" else b"") + compress(data[700:]))
        unpack(made, tmp_path / name, strip=1, name=made.name)
        assert names(tmp_path / name) == ["bin", "bin/hard", "bin/link", "bin/run", "readme"]


def test_a_second_source_is_merged_unless_files_clash(tmp_path: Path) -> None:
    unpack(tar(tmp_path / "a.tar", member("top/lib/one")), tmp_path / "tree", strip=1, name="a.tar")
    unpack(tar(tmp_path / "b.tar", member("top/lib/two")), tmp_path / "tree", strip=1, name="b.tar")
    assert names(tmp_path / "tree") == ["lib", "lib/one", "lib/two"]
    clash = tar(tmp_path / "c.tar", member("top/lib/three"), member("top/lib/two"))
    with pytest.raises(SourceError, match=r"c\.tar: lib/two already exists"):
        unpack(clash, tmp_path / "tree", strip=1, name="c.tar")
    assert names(tmp_path / "tree") == ["lib", "lib/one", "lib/two"]


def test_nothing_left_after_stripping(tmp_path: Path) -> None:
    made = tar(tmp_path / "a.tar", member("flat"))
    with pytest.raises(SourceError, match="nothing is left after dropping 2 leading folders"):
        unpack(made, tmp_path / "tree", strip=2, name="a.tar")


@pytest.mark.parametrize("cut", [10, 600, 2000])
@pytest.mark.parametrize("make", [tar, None], ids=["tar", "zip"])
def test_damaged(tmp_path: Path, cut: int, make: Callable[..., Path] | None) -> None:
    content = os.urandom(3000)
    if make is not None:
        made = make(tmp_path / "a", member("top/a"), content=content, mode="w:gz")
    else:
        made = zipped(tmp_path / "a", ("top/a", stat.S_IFREG | 0o644, content))
    made.write_bytes(made.read_bytes()[:cut])
    with pytest.raises(SourceError, match="a cannot be unpacked"):
        unpack(made, tmp_path / "tree", strip=1, name="a")
    assert names(tmp_path) == ["a"]


def test_local_tree(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / ".git").mkdir(parents=True)
    (source / ".git/config").write_text("secret")
    (source / "run").write_text("#!")
    (source / "run").chmod(0o755)
    os.utime(source / "run", (TIME, TIME))
    (source / "link").symlink_to("run")
    copy_tree(source, tmp_path / "copy")
    assert names(tmp_path / "copy") == ["link", "run"]
    assert (tmp_path / "copy/link").is_symlink()
    assert (tmp_path / "copy/run").stat().st_mtime == TIME
    assert local_digest(source) == local_digest(tmp_path / "copy")
    (tmp_path / "copy/run").chmod(0o644)
    assert local_digest(source) != local_digest(tmp_path / "copy")
    with pytest.raises(SourceError, match="cannot be read"):
        local_digest(tmp_path / "none")
