"""Small files that claim or unpack to a lot: archives and packages that strangers may hand in."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from tests.rpmfile import BINARY, array, block

MIB = 1 << 20


def zeros(start: bytes, mebibytes: int) -> bytes:
    """A gzip file of ``start`` and so many MiB of zeros, made of equal parts: made at once, however large.

    Only its checksum is wrong, which nobody reads up to.
    """
    made = zlib.compressobj(9, wbits=31)
    before = made.compress(start) + made.flush(zlib.Z_FULL_FLUSH)
    part = made.compress(bytes(16 * MIB)) + made.flush(zlib.Z_FULL_FLUSH)
    return before + part * (mebibytes // 16) + made.flush()


def header(kind: bytes, size: int, name: str = "top/member") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % tarfile.BLOCKSIZE)


def huge_header(kind: bytes) -> bytes:
    return zeros(header(kind, 2048 * MIB), 2048)


def long_keywords() -> bytes:
    """A pax header within its bounds; each of its records claims a keyword that reaches to the end."""
    return gzip.compress(header(tarfile.XHDTYPE, MIB - 1024) + padded(b"2 " * (MIB // 2 - 512)) + header(b"0", 0))


def nested_headers() -> bytes:
    one = header(tarfile.XHDTYPE, 14) + padded(b"14 comment=ab\n")
    return gzip.compress(one * 5000 + header(tarfile.REGTYPE, 0))


def sparse_map() -> bytes:
    first = bytearray(header(tarfile.GNUTYPE_SPARSE, 0))
    first[482] = 1
    first[148:156] = b" " * 8
    first[148:156] = b"%06o\0 " % sum(first)
    part = (b"00000000001\0" * 42).ljust(504, b"\0") + b"\1" + bytes(7)
    return gzip.compress(bytes(first)) + gzip.compress(part * (16 * MIB // 512), 1) * 40


def sparse_records() -> bytes:
    records = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
    start = header(tarfile.XHDTYPE, len(records)) + padded(records) + header(tarfile.REGTYPE, 2048 * MIB)
    return zeros(start, 2048)


def deep_folders() -> bytes:
    name = "a/" * 1400 + "b"
    return gzip.compress(header(tarfile.GNUTYPE_LONGNAME, len(name)) + padded(name.encode()) + header(b"0", 0))


def negative_size() -> bytes:
    data = bytearray(header(tarfile.REGTYPE, 0))
    data[124:136] = b"\xff" * 11 + b"\x00"
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data)
    return bytes(data) * 2


def xz_dictionary() -> bytes:
    """A small file whose decompressor is told to allocate 2 GiB."""
    data = bytearray(lzma.compress(header(tarfile.REGTYPE, 0) + bytes(1024)))
    length = (data[12] + 1) * 4
    assert data[14:16] == b"\x21\x01"
    data[16] = 38
    data[12 + length - 4 : 12 + length] = struct.pack("<I", zlib.crc32(data[12 : 12 + length - 4]))
    return bytes(data)


def zstd_window() -> bytes:
    """A small frame with a window of 2 GiB."""
    content = header(tarfile.REGTYPE, 0) + bytes(1024)
    return b"\x28\xb5\x2f\xfd\x00" + bytes([21 << 3]) + (len(content) << 3 | 1).to_bytes(3, "little") + content


def zip_directory() -> bytes:
    """A directory of 1,500,000 entries."""
    count = 1_500_000
    entry = b"PK\x01\x02" + bytes(42)
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, count * len(entry), 4, 0)
    return b"PK\x03\x04" + entry * count + end


def zip_overlap() -> bytes:
    """Entries that all unpack the same bytes."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("top/a", bytes(MIB))
        first = archive.infolist()[0]
        for number in range(2000):
            copy = zipfile.ZipInfo(f"top/{number}")
            copy.CRC, copy.file_size, copy.compress_size = first.CRC, first.file_size, first.compress_size
            copy.compress_type, copy.header_offset = zipfile.ZIP_DEFLATED, first.header_offset
            archive.filelist.append(copy)
            archive.NameToInfo[copy.filename] = copy
    return made.getvalue()


def zip_bzip2() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("top/a", bytes(MIB))
    return made.getvalue()


ARCHIVES: dict[str, tuple[Callable[[], bytes], str]] = {
    "pax header": (lambda: huge_header(tarfile.XHDTYPE), "extended header"),
    "global pax header": (lambda: huge_header(tarfile.XGLTYPE), "extended header"),
    "GNU long name": (lambda: huge_header(tarfile.GNUTYPE_LONGNAME), "extended header"),
    "GNU long link": (lambda: huge_header(tarfile.GNUTYPE_LONGLINK), "extended header"),
    "pax keywords": (long_keywords, "extended header is damaged"),
    "headers of headers": (nested_headers, "extended header"),
    "sparse map": (sparse_map, "sparse"),
    "sparse records": (sparse_records, "sparse"),
    "folders": (deep_folders, "more than 256 folders"),
    "negative size": (negative_size, "negative size"),
    "zeros": (lambda: zeros(header(tarfile.REGTYPE, 4096 * MIB), 256), "unpacks to more than"),
    "zeros above the stripped folder": (
        lambda: zeros(header(tarfile.REGTYPE, 4096 * MIB, "member"), 256),
        "unpacks to more than",
    ),
    "xz dictionary": (xz_dictionary, "[Mm]emory"),
    "zstd window": (zstd_window, "memory"),
    "zip directory": (zip_directory, "directory is too large"),
    "zip overlap": (zip_overlap, "overlaps"),
    "zip of bzip2": (zip_bzip2, "not compressed with deflate"),
}
"""Each with the reason of its refusal."""


def package(tags: dict[int, tuple[int, int, bytes]], payload: bytes) -> bytes:
    signature = block(62, {1000: (4, 1, struct.pack(">I", 0))})
    lead = b"\xed\xab\xee\xdb\x03\x00" + bytes(90)
    names = {1000: text("x"), 1001: text("1"), 1002: text("1"), 1022: text("noarch"), 1044: text("x.src.rpm")}
    return lead + signature + bytes(-len(signature) % 8) + block(63, {**names, **tags}) + payload


def text(value: str) -> tuple[int, int, bytes]:
    return 6, 1, value.encode() + b"\0"


def numbers(*values: int) -> tuple[int, int, bytes]:
    return 4, len(values), struct.pack(f">{len(values)}I", *values)


def overlapping_tags() -> bytes:
    made = bytearray(package({5000: (BINARY, 8 * MIB, bytes(8 * MIB))}, b""))
    start = made.index(b"\x8e\xad\xe8\x01", 100)
    count, store = struct.unpack(">II", made[start + 8 : start + 16])
    more = b"".join(struct.pack(">IIII", 10000 + number, BINARY, 0, 8 * MIB) for number in range(5000))
    made[start + 8 : start + 16] = struct.pack(">II", count + 5000, store)
    made[start + 16 + count * 16 : start + 16 + count * 16] = more
    return bytes(made)


def many_values() -> bytes:
    return package({1047: (8, 15 * MIB, b"a\0" * (15 * MIB))}, b"")


def long_folder() -> bytes:
    count = 100_000
    tags = {
        1116: numbers(*[0] * count),
        1117: array(["f"] * count),
        1118: array(["/" + "d" * MIB]),
    }
    return package(tags, b"")


def cpio_name() -> bytes:
    fields = b"070701" + b"%08x" * 13 % (1, 0o100644, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xFFFFFFFF, 0)
    return package({1125: text("gzip")}, zeros(fields, 2048))


def payload_of_zeros() -> bytes:
    name = b"./a\0"
    fields = b"070701" + b"%08x" * 13 % (1, 0o100644, 0, 0, 1, 0, 0xFFFFFF00, 0, 0, 0, 0, len(name), 0)
    return package({1125: text("gzip")}, zeros(fields + name + bytes(2), 256))


PACKAGES: dict[str, tuple[Callable[[], bytes], str]] = {
    "overlapping tags": (overlapping_tags, "overlap"),
    "many values": (many_values, "values"),
    "long folder": (long_folder, "too long"),
    "name in the payload": (cpio_name, "a name has"),
    "payload of zeros": (payload_of_zeros, "unpacks to more than"),
    "xz dictionary": (lambda: package({1125: text("xz")}, xz_dictionary()), "[Mm]emory"),
    "zstd window": (lambda: package({1125: text("zstd")}, zstd_window()), "memory"),
}
"""Each with the reason of its refusal."""


def write(folder: Path, bombs: dict[str, tuple[Callable[[], bytes], str]]) -> dict[str, Path]:
    """Make all of them below ``folder``."""
    made = {}
    for number, (name, (make, _)) in enumerate(bombs.items()):
        made[name] = folder / f"{number}.bomb"
        made[name].write_bytes(make())
    return made
