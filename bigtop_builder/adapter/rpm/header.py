"""Reads the headers of an RPM file in pure Python."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.adapter.rpm.block import Block, MalformedError, RpmBlocks, read_blocks, unreadable
from bigtop_builder.adapter.rpm.openpgp import Signature, parse_signature
from bigtop_builder.adapter.rpm.tags import FLAG_LETTERS, FileFlag, Sense, SignatureTag, Tag
from bigtop_builder.model.component import Phase
from bigtop_builder.model.safe_text import LONGEST_NAME

SCRIPTS: dict[Phase, tuple[Tag, Tag]] = {
    "pre": (Tag.PRE, Tag.PRE_PROGRAM),
    "post": (Tag.POST, Tag.POST_PROGRAM),
    "preun": (Tag.PREUN, Tag.PREUN_PROGRAM),
    "postun": (Tag.POSTUN, Tag.POSTUN_PROGRAM),
    "pretrans": (Tag.PRETRANS, Tag.PRETRANS_PROGRAM),
    "posttrans": (Tag.POSTTRANS, Tag.POSTTRANS_PROGRAM),
}


ALL_PATHS = 128 << 20
"""The most characters of the paths of all files: a header may name one long folder for each of them."""

LAST_TIME = 0xFFFFFFFF


@dataclass(frozen=True)
class Script:
    """A scriptlet; ``text`` is empty when only the interpreter is called."""

    interpreter: str
    text: str


@dataclass(frozen=True)
class PackagedFile:
    """One path in a package.

    ``mode`` is as in ``st_mode``, ``size`` in bytes, ``mtime`` in seconds since the epoch, ``digest`` hexadecimal
    (only for regular files), ``link`` the target (only for links).
    """

    path: str
    mode: int
    owner: str
    group: str
    flags: int
    link: str
    size: int
    mtime: int
    digest: str

    @property
    def mode_text(self) -> str:
        """The mode as ``ls`` shows it: ``-rw-r--r--``."""
        return stat.filemode(self.mode)

    @property
    def flag_letters(self) -> str:
        """``cn`` for ``%config(noreplace)``: the letters of rpm's ``%{FILEFLAGS:fflags}``."""
        return "".join(letter for flag, letter in FLAG_LETTERS.items() if self.flags & flag)

    @property
    def is_documentation(self) -> bool:
        """Whether the file is marked ``%doc``."""
        return bool(self.flags & FileFlag.DOCUMENTATION)


@dataclass(frozen=True)
class RpmHeader:
    """A package as described by its headers.

    ``build_time`` is in seconds since the epoch; dependencies read ``name`` or ``name >= version``;
    ``payload_offset`` is the length of lead and headers in bytes, ``sigmd5`` and ``sha256`` are hexadecimal:
    the recorded MD5 over header and payload, and the SHA-256 of the header's bytes.
    """

    name: str
    epoch: int | None
    version: str
    release: str
    arch: str
    summary: str
    description: str
    license: str
    group: str
    url: str
    build_host: str
    build_time: int
    source_rpm: str
    requires: tuple[str, ...]
    provides: tuple[str, ...]
    conflicts: tuple[str, ...]
    obsoletes: tuple[str, ...]
    scripts: dict[Phase, Script]
    files: tuple[PackagedFile, ...]
    payload_format: str
    payload_compressor: str
    payload_offset: int
    sigmd5: str
    sha256: str
    signature: Signature | None

    @property
    def evr(self) -> str:
        """Epoch, version and release: ``1:3.2.3-1.el7``; without an epoch ``3.2.3-1.el7``."""
        prefix = f"{self.epoch}:" if self.epoch else ""
        return f"{prefix}{self.version}-{self.release}"

    @property
    def nevra(self) -> str:
        """``zookeeper_3_2_0-3.5.9-2.el7.x86_64``; an epoch precedes the version."""
        return f"{self.name}-{self.evr}.{self.arch}"

    @property
    def file_name(self) -> str:
        """The file name that rpmbuild chooses: without an epoch."""
        return f"{self.name}-{self.version}-{self.release}.{self.arch}.rpm"

    @property
    def needs(self) -> tuple[str, ...]:
        """The requirements, sorted and unique, without rpm's own ``rpmlib(...)`` features."""
        return tuple(sorted({text for text in self.requires if not text.startswith("rpmlib(")}))


def read_header(path: Path) -> RpmHeader:
    """Read the headers of an RPM file.

    Raises PublishError with the reason when the file cannot be read, is not an RPM, is truncated or damaged.
    """
    blocks = read_blocks(path)
    try:
        return _header(blocks)
    except (MalformedError, ValueError) as error:
        raise unreadable(path, str(error)) from error


def _header(blocks: RpmBlocks) -> RpmHeader:
    block, signature = blocks.header, blocks.signature
    sha256 = hashlib.sha256(block.raw).hexdigest()
    if signature.text(SignatureTag.SHA256) not in ("", sha256):
        raise MalformedError("damaged: the header does not match its recorded SHA-256")
    for tag in (Tag.NAME, Tag.VERSION, Tag.RELEASE, Tag.ARCH):
        # Each is a part of the file name that packages are published under.
        text = block.text(tag)
        if not text or "/" in text or not text.isprintable() or len(text.encode()) > LONGEST_NAME:
            raise MalformedError(f"damaged: it has no usable {tag.name.lower()}")
    return RpmHeader(
        name=block.text(Tag.NAME),
        epoch=next(iter(block.numbers(Tag.EPOCH)), None),
        version=block.text(Tag.VERSION),
        release=block.text(Tag.RELEASE),
        arch=block.text(Tag.ARCH) if block.text(Tag.SOURCE_RPM) else "src",
        summary=block.text(Tag.SUMMARY),
        description=block.text(Tag.DESCRIPTION),
        license=block.text(Tag.LICENSE),
        group=block.text(Tag.GROUP),
        url=block.text(Tag.URL),
        build_host=block.text(Tag.BUILD_HOST),
        build_time=_time(block),
        source_rpm=block.text(Tag.SOURCE_RPM),
        requires=_dependencies(block, Tag.REQUIRE_NAMES, Tag.REQUIRE_FLAGS, Tag.REQUIRE_VERSIONS),
        provides=_dependencies(block, Tag.PROVIDE_NAMES, Tag.PROVIDE_FLAGS, Tag.PROVIDE_VERSIONS),
        conflicts=_dependencies(block, Tag.CONFLICT_NAMES, Tag.CONFLICT_FLAGS, Tag.CONFLICT_VERSIONS),
        obsoletes=_dependencies(block, Tag.OBSOLETE_NAMES, Tag.OBSOLETE_FLAGS, Tag.OBSOLETE_VERSIONS),
        scripts=_scripts(block),
        files=_files(block),
        payload_format=block.text(Tag.PAYLOAD_FORMAT) or "cpio",
        payload_compressor=block.text(Tag.PAYLOAD_COMPRESSOR) or "gzip",
        payload_offset=blocks.payload_offset,
        sigmd5=(signature.binary(SignatureTag.MD5) or b"").hex(),
        sha256=sha256,
        signature=_signature(signature),
    )


def _time(block: Block) -> int:
    time = next(iter(block.numbers(Tag.BUILD_TIME)), 0)
    if time > LAST_TIME:
        raise MalformedError(f"damaged: its build time is {time}")
    return time


def _signature(block: Block) -> Signature | None:
    packet = block.binary(SignatureTag.RSA) or block.binary(SignatureTag.DSA)
    return parse_signature(packet) if packet else None


def _dependencies(block: Block, names: Tag, flags: Tag, versions: Tag) -> tuple[str, ...]:
    parts = zip(block.texts(names), block.numbers(flags), block.texts(versions), strict=True)
    return tuple(_dependency(*part) for part in parts)


def _dependency(name: str, flags: int, version: str) -> str:
    sense = "".join(sign for bit, sign in ((Sense.LESS, "<"), (Sense.GREATER, ">"), (Sense.EQUAL, "=")) if flags & bit)
    return f"{name} {sense} {version}" if sense and version else name


def _scripts(block: Block) -> dict[Phase, Script]:
    return {
        phase: Script(" ".join(block.texts(program)) or "/bin/sh", block.text(text))
        for phase, (text, program) in SCRIPTS.items()
        if text in block.entries or program in block.entries
    }


def _paths(block: Block) -> list[str]:
    directories = block.texts(Tag.DIRECTORY_NAMES)
    indexes = block.numbers(Tag.DIRECTORY_INDEXES)
    if any(index >= len(directories) for index in indexes):
        raise MalformedError("damaged: a file is in a directory that is not listed")
    if Tag.BASE_NAMES not in block.entries:
        return list(block.texts(Tag.OLD_FILE_NAMES))
    names = block.texts(Tag.BASE_NAMES)
    if sum(len(directories[index]) for index in indexes) > ALL_PATHS:
        raise MalformedError("damaged: the paths of its files are too long")
    return [directories[index] + name for index, name in zip(indexes, names, strict=True)]


def _files(block: Block) -> tuple[PackagedFile, ...]:
    columns = zip(
        _paths(block),
        block.numbers(Tag.FILE_MODES),
        block.texts(Tag.FILE_USERS),
        block.texts(Tag.FILE_GROUPS),
        block.numbers(Tag.FILE_FLAGS),
        block.texts(Tag.FILE_LINKS),
        block.numbers(Tag.LONG_FILE_SIZES) or block.numbers(Tag.FILE_SIZES),
        block.numbers(Tag.FILE_TIMES),
        block.texts(Tag.FILE_DIGESTS),
        strict=True,
    )
    return tuple(PackagedFile(*column) for column in columns)
