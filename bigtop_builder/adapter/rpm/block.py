"""The two header structures of an RPM file, read from bytes and written to bytes.

The format is that of rpm's own documentation ("Package format"): a lead of 96 bytes, the signature header
padded to 8 bytes, the main header, the payload.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bigtop_builder.adapter.rpm.tags import SignatureTag, Type
from bigtop_builder.model.errors import PublishError

LEAD_SIZE = 96
LEAD_MAGIC = b"\xed\xab\xee\xdb"
HEADER_MAGIC = b"\x8e\xad\xe8\x01\x00\x00\x00\x00"
INDEX_ENTRY = struct.Struct(">IIiI")
MAX_ENTRIES = 0xFFFF
MAX_STORE = 32 << 20
"""rpm allows 256 MiB since 4.14, 16 MiB before; 200,000 files need about 30."""
MAX_VALUES = 4_000_000
"""The most numbers and texts of all tags together."""
WIDTHS = {Type.CHAR: 1, Type.INT8: 1, Type.INT16: 2, Type.INT32: 4, Type.INT64: 8, Type.BINARY: 1}
CODES = {Type.INT8: "B", Type.INT16: "H", Type.INT32: "I", Type.INT64: "Q"}
TEXTS = frozenset({Type.STRING, Type.STRING_ARRAY, Type.I18N_STRING})


class MalformedError(ValueError):
    """A header violates the format. Whoever knows the file's name turns this into a PublishError."""


@dataclass(frozen=True)
class Entry:
    """One tag of a header; ``data`` holds its bytes as stored in the file."""

    tag: int
    type: Type
    count: int
    data: bytes

    def numbers(self) -> tuple[int, ...]:
        """Return the value of an integer tag, unsigned. Raises MalformedError for another type."""
        if self.type not in CODES:
            raise MalformedError(f"tag {self.tag} should hold numbers, but has type {self.type.name}")
        return struct.unpack(f">{self.count}{CODES[self.type]}", self.data)

    def texts(self) -> tuple[str, ...]:
        """Return the value of a string tag; bytes that are not UTF-8 are replaced. Raises MalformedError."""
        if self.type not in TEXTS:
            raise MalformedError(f"tag {self.tag} should hold text, but has type {self.type.name}")
        return tuple(piece.decode(errors="replace") for piece in self.data.split(b"\0")[:-1])


@dataclass(frozen=True)
class Block:
    """A header: its tags, and its bytes from magic to the end of its store (without padding)."""

    entries: dict[int, Entry]
    raw: bytes

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return the tag's numbers; empty when it is absent."""
        entry = self.entries.get(tag)
        return entry.numbers() if entry else ()

    def texts(self, tag: int) -> tuple[str, ...]:
        """Return the tag's strings; empty when it is absent."""
        entry = self.entries.get(tag)
        return entry.texts() if entry else ()

    def text(self, tag: int) -> str:
        """Return the tag's first string; empty when it is absent."""
        return next(iter(self.texts(tag)), "")

    def binary(self, tag: int) -> bytes | None:
        """Return the tag's bytes; None when it is absent."""
        entry = self.entries.get(tag)
        if entry is not None and entry.type is not Type.BINARY:
            raise MalformedError(f"tag {tag} should hold bytes, but has type {entry.type.name}")
        return entry.data if entry else None


@dataclass(frozen=True)
class RpmBlocks:
    """An RPM file without its payload; ``payload_offset`` counts from the file's first byte."""

    lead: bytes
    signature: Block
    header: Block
    payload_offset: int

    @property
    def header_offset(self) -> int:
        """The offset of the main header in the file."""
        return self.payload_offset - len(self.header.raw)


def read_blocks(path: Path) -> RpmBlocks:
    """Read the lead and both headers of an RPM file.

    Raises PublishError with the reason when the file cannot be read, is not an RPM, or is truncated.
    """
    try:
        with path.open("rb") as stream:
            return _read(stream, os.fstat(stream.fileno()).st_size)
    except MalformedError as error:
        raise unreadable(path, str(error)) from error
    except OSError as error:
        raise PublishError(f"cannot read package {path}: {error.strerror or error}") from error


def unreadable(path: Path, reason: str) -> PublishError:
    """Return the error for a file that is not a usable RPM."""
    return PublishError(f"{path}: {reason}", hint="Build or fetch the package again.")


def _read(stream: BinaryIO, size: int) -> RpmBlocks:
    lead = stream.read(LEAD_SIZE)
    if lead[:4] != LEAD_MAGIC[: len(lead)] or not lead:
        raise MalformedError("not an RPM package")
    if len(lead) < LEAD_SIZE:
        raise MalformedError("truncated: the lead is not complete")
    signature = _read_block(stream, size, "signature header")
    padding = -len(signature.raw) % 8
    stream.seek(padding, os.SEEK_CUR)
    header = _read_block(stream, size, "header")
    return RpmBlocks(lead, signature, header, stream.tell())


def _read_block(stream: BinaryIO, size: int, what: str) -> Block:
    intro = stream.read(16)
    if len(intro) < 16:
        raise MalformedError(f"truncated: the {what} is not complete")
    if intro[:8] != HEADER_MAGIC:
        raise MalformedError(f"damaged: no {what} where one should be")
    count, store_size = struct.unpack(">II", intro[8:])
    if count > MAX_ENTRIES or store_size > MAX_STORE:
        raise MalformedError(f"damaged: the {what} claims {count} tags and {store_size} bytes")
    length = count * INDEX_ENTRY.size + store_size
    if stream.tell() + length > size:
        raise MalformedError(f"truncated: the {what} is not complete")
    body = stream.read(length)
    return Block(_entries(body, count, what), intro + body)


def _entries(body: bytes, count: int, what: str) -> dict[int, Entry]:
    store = body[count * INDEX_ENTRY.size :]
    entries: dict[int, Entry] = {}
    left, values_left = len(store), MAX_VALUES
    for tag, number_of_type, offset, number in INDEX_ENTRY.iter_unpack(body[: count * INDEX_ENTRY.size]):
        if number_of_type > Type.I18N_STRING or not 0 <= offset <= len(store):
            raise MalformedError(f"damaged: tag {tag} of the {what} points nowhere")
        kind = Type(number_of_type)
        data = _slice(store, kind, offset, number, tag, what)
        left -= len(data)
        values_left -= number if kind in TEXTS or kind in CODES else 1
        if left < 0:
            raise MalformedError(f"damaged: tags of the {what} overlap")
        if values_left < 0:
            raise MalformedError(f"damaged: the {what} has more than {MAX_VALUES} values")
        entries[tag] = Entry(tag, kind, number, data)
    return entries


def _slice(store: bytes, kind: Type, offset: int, count: int, tag: int, what: str) -> bytes:
    if kind in TEXTS:
        end = offset
        for _ in range(1 if kind is Type.STRING else min(count, MAX_VALUES + 1)):
            end = store.find(b"\0", end) + 1
            if end == 0:
                raise MalformedError(f"damaged: a text of tag {tag} of the {what} has no end")
    else:
        end = offset + count * WIDTHS.get(kind, 0)
    if end > len(store):
        raise MalformedError(f"damaged: tag {tag} of the {what} reaches past the end")
    return store[offset:end]


def build_block(region: int, entries: Iterable[Entry]) -> bytes:
    """Return the bytes of a header with all tags in one region, sorted by tag, as rpm writes it."""
    ordered = sorted(entries, key=lambda entry: entry.tag)
    store = bytearray()
    index = bytearray()
    for entry in ordered:
        store.extend(bytes(-len(store) % WIDTHS.get(entry.type, 1)))
        index += INDEX_ENTRY.pack(entry.tag, entry.type, len(store), entry.count)
        store += entry.data
    trailer_offset = len(store)
    index_size = (len(ordered) + 1) * INDEX_ENTRY.size
    store += INDEX_ENTRY.pack(region, Type.BINARY, -index_size, INDEX_ENTRY.size)
    first = INDEX_ENTRY.pack(region, Type.BINARY, trailer_offset, INDEX_ENTRY.size)
    counts = struct.pack(">II", len(ordered) + 1, len(store))
    return b"".join((HEADER_MAGIC, counts, first, index, store))


def with_signature(blocks: RpmBlocks, added: Iterable[Entry], dropped: Iterable[int]) -> bytes:
    """Return the lead and a new, padded signature header: the old tags without ``dropped``, plus ``added``."""
    gone = {*dropped, SignatureTag.REGION, *(entry.tag for entry in added)}
    kept = [entry for entry in blocks.signature.entries.values() if entry.tag not in gone]
    block = build_block(SignatureTag.REGION, [*kept, *added])
    return blocks.lead + block + bytes(-len(block) % 8)
