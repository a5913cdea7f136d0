"""Archives of sources, packages and versions."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
from pathlib import Path
from random import Random

import zstandard

from bigtop_builder.adapter.provenance.contents import libraries
from bigtop_builder.adapter.provenance.maven_cache import MavenCache
from bigtop_builder.adapter.rpm.difference import package_differences
from bigtop_builder.adapter.rpm.header import read_header
from bigtop_builder.adapter.rpm.openpgp import parse_signature
from bigtop_builder.adapter.rpm.payload import find_in_payload
from bigtop_builder.adapter.sources import unpack
from bigtop_builder.adapter.tools.maven_central import central_of
from bigtop_builder.flow.bigtop.maven_seed import artifacts_in
from bigtop_builder.model.archive_limits import ArchiveLimits
from bigtop_builder.model.evr import compare_evr, parse_evr
from tests.fuzz.harness import Target
from tests.fuzz.mutation import mutated
from tests.rpmfile import File, Spec, write_rpm

LIMITS = ArchiveLimits(size=64 << 20, members=2000, memory=64 << 20)
KINDS = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, b"S", b"x", b"L", b"V")
PARTS = ("a", "b", "..", ".", "", "~", "\n", "\x1b[31m", "é", "n" * 200, "\udcff")
COMPRESSIONS = (
    bytes,
    gzip.compress,
    bz2.compress,
    lambda data: lzma.compress(data, preset=0),
    lambda data: zstandard.ZstdCompressor().compress(data),
)


def sample_tar(format_of: int) -> bytes:
    """An archive with every kind of member, long names and a time with a fraction."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=format_of) as archive:
        for name, kind, link in (
            ("top", tarfile.DIRTYPE, ""),
            ("top/file", tarfile.REGTYPE, ""),
            ("top/" + "long/" * 40 + "é", tarfile.REGTYPE, ""),
            ("top/link", tarfile.SYMTYPE, "n" * 150),
            ("top/hard", tarfile.LNKTYPE, "top/file"),
            ("top/pom.xml", tarfile.REGTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mtime = kind, link, 1_600_000_000.5
            content = b"<project><artifactId>x</artifactId></project>" if kind == tarfile.REGTYPE else b""
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


class Tars(Target):
    """Tar archives: bytes are damaged before and after they are compressed, members are invented."""

    name = "tar"
    rounds = 250

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._samples = [sample_tar(kind) for kind in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)]

    def damaged(self, random: Random) -> bytes:
        """Return an archive."""
        data = random.choice(self._samples)
        how = random.random()
        if how < 0.4:
            data = invented(random)
        elif how < 0.8:
            data = with_checksums(mutated(data, random, self._samples))
        data = random.choice(COMPRESSIONS)(data)
        return mutated(data, random) if how > 0.7 else data

    def read(self, data: bytes, scratch: Path) -> None:
        """Unpack it twice, the second time into the tree of the first; look for modules and Maven's address in it."""
        file = scratch / "archive"
        file.write_bytes(data)
        tree = scratch / "in" / "tree"
        try:
            unpack(file, tree, strip=len(data) % 3, name="archive", limits=LIMITS)
            unpack(file, tree, strip=0, name="archive", limits=LIMITS)
        finally:
            check_tree(scratch, tree)
            central_of(file)
        artifacts_in(file)


def check_tree(scratch: Path, tree: Path) -> None:
    """Nothing may be beside the tree, and no link in it may lead out."""
    beside = {path.name for path in scratch.iterdir()} - {"archive", "in"}
    beside |= {path.name for path in (scratch / "in").iterdir()} - {"tree"} if (scratch / "in").is_dir() else set()
    assert not beside, beside
    for folder, folders, files in os.walk(tree):
        for name in (*folders, *files):
            path = os.path.realpath(os.path.join(folder, name))  # noqa: PTH118 (names that are not UTF-8)
            assert path.startswith(os.path.realpath(tree)), path


def invented(random: Random) -> bytes:
    """An archive of members with random names, kinds and links."""
    made = io.BytesIO()
    for _ in range(random.randint(1, 8)):
        info = tarfile.TarInfo("/".join(random.choices(PARTS, k=random.randint(1, 5))))
        info.type = random.choice(KINDS)
        info.linkname = "/".join(random.choices(PARTS, k=random.randint(1, 5)))
        info.size = random.choice((0, 0, 5, 512, 100_000))
        info.mode = random.choice((0o644, 0o4755, 0o7777))
        content = random.choice((b"14 path=../ab\n", b"19 size=9999999999\n", b"30 mtime=nan\n", b"x" * 600))
        made.write(info.tobuf(tarfile.GNU_FORMAT, errors="surrogateescape"))
        made.write(content.ljust(-(-info.size // 512) * 512, b"\0"))
    return made.getvalue() + bytes(1024)


def with_checksums(data: bytes) -> bytes:
    """The same with right checksums in everything that looks like a header, so that damage gets past them."""
    made = bytearray(data)
    for start in range(0, len(made) - 511, 512):
        if made[start + 257 : start + 262] == b"ustar":
            made[start + 148 : start + 156] = b" " * 8
            made[start + 148 : start + 156] = b"%06o\0 " % sum(made[start : start + 512])
    return bytes(made)


class Zips(Target):
    """Zip archives."""

    name = "zip"
    rounds = 200

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._samples = [self._sample(method) for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)]

    def _sample(self, method: int) -> bytes:
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", method) as archive:
            for name, mode, content in (
                ("top/", stat.S_IFDIR | 0o755, b""),
                ("top/run", stat.S_IFREG | 0o755, b"#!" * 300),
                ("top/é/" + "n" * 200, stat.S_IFREG | 0o644, b"text"),
                ("top/link", stat.S_IFLNK | 0o777, b"run"),
                ("META-INF/MANIFEST.MF", stat.S_IFREG | 0o644, b"Manifest-Version: 1.0\n"),
            ):
                info = zipfile.ZipInfo(name, (2020, 9, 13, 12, 26, 40))
                info.create_system, info.external_attr, info.compress_type = 3, mode << 16, method
                with archive.open(info, "w", force_zip64=name == "top/run") as stream:
                    stream.write(content)
            archive.comment = b"a comment"
        return made.getvalue()

    def damaged(self, random: Random) -> bytes:
        """Return an archive."""
        data = random.choice(self._samples)
        if random.random() < 0.3:
            return data.replace(b"top/run", random.choice((b"../evil", b"/etc/xx", b"top/\n\x1bc", b"top/lin")))
        return mutated(data, random, self._samples)

    def read(self, data: bytes, scratch: Path) -> None:
        """Unpack it twice, and list what is inside as if it were a jar in a package."""
        file = scratch / "archive"
        file.write_bytes(data)
        tree = scratch / "in" / "tree"
        try:
            unpack(file, tree, strip=0, name="archive", limits=LIMITS)
            unpack(file, tree, strip=1, name="archive", limits=LIMITS)
        finally:
            check_tree(scratch, tree)
            central_of(file)
            rpm = write_rpm(scratch.parent / "scratch" / "rpm", Spec(files={"/usr/lib/x.jar": data}))
            libraries(rpm, read_header(rpm), MavenCache(None))


class Packages(Target):
    """RPM files: their digests are left out in half of the rounds, so that damage reaches what is behind them."""

    name = "rpm"
    rounds = 200

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        jar = io.BytesIO()
        with zipfile.ZipFile(jar, "w") as archive:
            archive.writestr("META-INF/maven/g/a/pom.properties", "groupId=g\nartifactId=a\nversion=1\n")
        files = {
            "/etc/demo/conf": File(b"a=b\n", flags=17),
            "/usr/lib/demo": File(mode=0o40755),
            "/usr/lib/demo/a-1.jar": File(jar.getvalue()),
            "/usr/lib/node_modules/x/package.json": File(b'{"name": "x", "version": "1"}'),
            "/usr/lib/link": File(link="demo", mode=0o120777),
        }
        self._samples = [
            write_rpm(
                folder / f"{kind}",
                Spec(compressor=kind, epoch=1, files=files, scripts={"post": "x"}, requires=("b >= 1",)),
            ).read_bytes()
            for kind in ("gzip", "xz", "bzip2", "zstd")
        ]
        self._whole = folder / "whole.rpm"
        self._whole.write_bytes(self._samples[0])

    def damaged(self, random: Random) -> bytes:
        """Return a package."""
        data = random.choice(self._samples)
        if random.random() < 0.6:
            # The tag of the header's SHA-256 becomes another: the header is believed then.
            data = data.replace(struct.pack(">II", 273, 6), struct.pack(">II", 999, 6), 1)
        return mutated(data, random, self._samples)

    def read(self, data: bytes, scratch: Path) -> None:
        """Read everything that commands read of a package."""
        rpm = scratch / "x.rpm"
        rpm.write_bytes(data)
        header = read_header(rpm)
        assert header.nevra and header.needs is not None and header.file_name
        for file in header.files:
            assert file.mode_text is not None and file.flag_letters is not None
        list(package_differences(self._whole, rpm))
        find_in_payload(rpm, [b"forbidden"], LIMITS)
        libraries(rpm, header, MavenCache(None))


class Signatures(Target):
    """OpenPGP packets of a package's signature."""

    name = "signature"
    rounds = 200

    def damaged(self, random: Random) -> bytes:
        """Return a packet."""
        packet = (
            bytes.fromhex("89021c0400010a0006")
            + bytes.fromhex("05025f5e1000")
            + random.randbytes(random.randint(0, 40))
        )
        return mutated(packet, random)

    def read(self, data: bytes, scratch: Path) -> None:
        """Parse it; whoever reads a package turns the error into one with its name."""
        with contextlib.suppress(ValueError):
            parse_signature(data)


class Versions(Target):
    """Versions in repositories: compared in any order, the result is the opposite."""

    name = "version"
    rounds = 300

    def damaged(self, random: Random) -> bytes:
        """Return two versions."""
        pieces = (
            b"1",
            b"0",
            b"~",
            b"^",
            b".",
            b":",
            b"-",
            b"a",
            b"00",
            b"9" * 5000,
            "²".encode(),
            "٣".encode(),
            b"el8",
            b"\n",
        )
        return b"\0".join(b"".join(random.choices(pieces, k=random.randint(0, 8))) for _ in range(2))

    def read(self, data: bytes, scratch: Path) -> None:
        """Compare them."""
        left, right = map(parse_evr, data.decode(errors="replace").split("\0")[:2])
        assert compare_evr(left, right) == -compare_evr(right, left)
