"""A writer of small but valid RPM files, so that tests of packages need no rpmbuild."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import zstandard

INT16, INT32, STRING, BINARY, ARRAY, I18N = 3, 4, 6, 7, 8, 9
SENSES = {"<": 2, ">": 4, "=": 8, "<=": 10, ">=": 12}
MAGIC = b"\x8e\xad\xe8\x01\x00\x00\x00\x00"
SCRIPT_TAGS = {"pre": 1023, "post": 1024, "preun": 1025, "postun": 1026}
COMPRESS = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
}


@dataclass
class File:
    """A file of a package; a ``link`` makes it a symbolic link."""

    content: bytes = b""
    mode: int = 0o100644
    owner: str = "root"
    group: str = "root"
    flags: int = 0
    link: str = ""


@dataclass
class Spec:
    """What the package says of itself."""

    name: str = "demo"
    version: str = "1.0"
    release: str = "1.el8"
    arch: str = "noarch"
    epoch: int | None = None
    summary: str = "A package of a test"
    license: str = "ASL 2.0"
    requires: Sequence[str] = ()
    provides: Sequence[str] = ()
    files: Mapping[str, File | bytes] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)
    compressor: str = "gzip"
    build_time: int = 1_600_000_000

    @property
    def evr(self) -> str:
        prefix = f"{self.epoch}:" if self.epoch else ""
        return f"{prefix}{self.version}-{self.release}"


Value = tuple[int, int, bytes]
"""Type, count, bytes."""


def text(value: str, kind: int = STRING) -> Value:
    return kind, 1, value.encode() + b"\0"


def array(values: Sequence[str]) -> Value:
    return ARRAY, len(values), b"".join(value.encode() + b"\0" for value in values)


def int32(*values: int) -> Value:
    return INT32, len(values), struct.pack(f">{len(values)}I", *values)


def int16(*values: int) -> Value:
    return INT16, len(values), struct.pack(f">{len(values)}H", *values)


def block(region: int, tags: Mapping[int, Value]) -> bytes:
    """A header whose tags lie in one region."""
    store, index = b"", b""
    for tag, (kind, count, data) in sorted(tags.items()):
        store += bytes(-len(store) % {INT16: 2, INT32: 4}.get(kind, 1))
        index += struct.pack(">IIII", tag, kind, len(store), count)
        store += data
    first = struct.pack(">IIII", region, BINARY, len(store), 16)
    store += struct.pack(">IIiI", region, BINARY, -16 * (len(tags) + 1), 16)
    return MAGIC + struct.pack(">II", len(tags) + 1, len(store)) + first + index + store


def write_rpm(folder: Path, spec: Spec) -> Path:
    """Write the package into ``folder`` under the name that rpmbuild would give it."""
    files = {path: item if isinstance(item, File) else File(item) for path, item in sorted(spec.files.items())}
    payload = cpio(files)
    compressed = COMPRESS[spec.compressor](payload)
    header = block(63, header_tags(spec, files, compressed))
    signature = block(
        62,
        {
            269: text(hashlib.sha1(header).hexdigest()),
            273: text(hashlib.sha256(header).hexdigest()),
            1000: int32(len(header) + len(compressed)),
            1004: (BINARY, 16, hashlib.md5(header + compressed).digest()),
            1007: int32(len(payload)),
        },
    )
    file_name = f"{spec.name}-{spec.version}-{spec.release}.{spec.arch}.rpm"
    lead = b"\xed\xab\xee\xdb\x03\x00" + struct.pack(">HH66sHH16x", 0, 1, file_name[:65].encode(), 1, 5)
    target = folder / file_name
    folder.mkdir(parents=True, exist_ok=True)
    target.write_bytes(lead + signature + bytes(-len(signature) % 8) + header + compressed)
    return target


def header_tags(spec: Spec, files: Mapping[str, File], compressed: bytes) -> dict[int, Value]:
    tags = {
        100: array(["C"]),
        1000: text(spec.name),
        1001: text(spec.version),
        1002: text(spec.release),
        1004: text(spec.summary, I18N),
        1005: text("Made by a test.", I18N),
        1006: int32(spec.build_time),
        1007: text("localhost"),
        1009: int32(sum(len(item.content) for item in files.values())),
        1014: text(spec.license),
        1016: text("Development/Libraries", I18N),
        1021: text("linux"),
        1022: text(spec.arch),
        1044: text(f"{spec.name}-{spec.version}-{spec.release}.src.rpm"),
        1064: text("4.18.0"),
        1124: text("cpio"),
        1125: text(spec.compressor),
        1126: text("6"),
        5092: array([hashlib.sha256(compressed).hexdigest()]),
        5093: int32(8),
    }
    if spec.epoch is not None:
        tags[1003] = int32(spec.epoch)
    features = ("rpmlib(CompressedFileNames) <= 3.0.4-1", "rpmlib(PayloadFilesHavePrefix) <= 4.0-1")
    tags |= dependencies((*spec.requires, *features), 1049, 1048, 1050)
    tags |= dependencies((*spec.provides, f"{spec.name} = {spec.evr}"), 1047, 1112, 1113)
    for phase, body in spec.scripts.items():
        tags[SCRIPT_TAGS[phase]] = text(body)
        tags[SCRIPT_TAGS[phase] + 62] = text("/bin/sh")
    return tags | file_tags(files, spec.build_time)


def dependencies(lines: Sequence[str], names: int, flags: int, versions: int) -> dict[int, Value]:
    parts = [[line, "", ""] if line[0] == "(" else [*line.split(" "), "", ""][:3] for line in sorted(lines)]
    return {
        names: array([part[0] for part in parts]),
        flags: int32(*(SENSES.get(part[1], 0) | (part[0].startswith("rpmlib(") << 24) for part in parts)),
        versions: array([part[2] for part in parts]),
    }


def file_tags(files: Mapping[str, File], time: int) -> dict[int, Value]:
    if not files:
        return {}
    paths = [PurePosixPath(path) for path in files]
    folders = sorted({f"{path.parent}/".replace("//", "/") for path in paths})
    items = list(files.values())
    return {
        1028: int32(*(len(item.link or item.content) for item in items)),
        1030: int16(*(item.mode for item in items)),
        1033: int16(*(0 for _ in items)),
        1034: int32(*(time for _ in items)),
        1035: array([hashlib.sha256(item.content).hexdigest() if _regular(item) else "" for item in items]),
        1036: array([item.link for item in items]),
        1037: int32(*(item.flags for item in items)),
        1039: array([item.owner for item in items]),
        1040: array([item.group for item in items]),
        1045: int32(*(0xFFFFFFFF for _ in items)),
        1095: int32(*(1 for _ in items)),
        1096: int32(*range(1, len(items) + 1)),
        1097: array(["" for _ in items]),
        1116: int32(*(folders.index(f"{path.parent}/".replace("//", "/")) for path in paths)),
        1117: array([path.name for path in paths]),
        1118: array(folders),
        5011: int32(8),
    }


def _regular(item: File) -> bool:
    return item.mode & 0o170000 == 0o100000


def cpio(files: Mapping[str, File]) -> bytes:
    """The files as a newc archive."""
    out = b""
    for inode, (path, item) in enumerate(files.items(), 1):
        out = entry(out, f".{path}", item.mode, item.link.encode() or item.content, inode)
    return entry(out, "TRAILER!!!", 0, b"", 0)


def entry(out: bytes, name: str, mode: int, data: bytes, inode: int) -> bytes:
    encoded = name.encode() + b"\0"
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    out += b"070701" + b"".join(b"%08x" % value for value in fields) + encoded
    out += bytes(-len(out) % 4)
    out += data
    return out + bytes(-len(out) % 4)
