"""Write repodata with createrepo-c, from pieces that are made once for each package."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigtop_builder.model.errors import PublishError

if TYPE_CHECKING:
    import createrepo_c

PACKAGES = "packages"
"""The folder of the packages in a repository."""

PROVENANCE = "provenance"
"""The folder of their SBOMs and attestations, which repodata does not list."""

ALL_KEYS = "repodata/repomd.xml.key"
"""All public keys in one file, under the name where zypper and the inventory's default look for it."""

ATTESTATION_KEY = "attestation-key.pem"
"""The public key of the attestations' envelopes, if they have any."""


@dataclass(frozen=True)
class Chunks:
    """One package's piece of each metadata file, and its SHA-256."""

    sha256: str
    primary: str
    filelists: str
    other: str


def require_createrepo() -> None:
    """Raise PublishError unless createrepo-c, the extra ``publish``, is installed."""
    try:
        import createrepo_c  # noqa: F401
    except ImportError as error:
        if "cannot open shared object file" in str(error):
            raise PublishError(
                f"createrepo-c is installed, but lacks a library of the system: {error}",
                hint="Install GLib, with apt: libglib2.0-0 (or libglib2.0-0t64), with dnf: glib2.",
            ) from error
        raise PublishError(
            f"createrepo-c, which writes the metadata of repositories, cannot be loaded: {error}",
            hint="Install the extra: pip install 'bigtop-builder[publish]' or pipx inject bigtop-builder createrepo-c. "
            "It exists for Linux with glibc: publish from such a machine.",
        ) from error


def package_chunks(path: Path, file_name: str) -> Chunks:
    """Read a package once for its metadata; ``file_name`` is its name in the repository. Raises PublishError."""
    require_createrepo()
    import createrepo_c

    with _translated(path):
        package = createrepo_c.package_from_rpm(
            str(path), checksum_type=createrepo_c.SHA256, location_href=f"{PACKAGES}/{file_name}", changelog_limit=10
        )
        return Chunks(package.pkgId, *createrepo_c.xml_dump(package))


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    import createrepo_c

    try:
        yield
    except createrepo_c.CreaterepoCError as error:
        raise PublishError(f"createrepo-c failed at {path}: {error}") from error


def write_repodata(folder: Path, chunks: Sequence[Chunks], epoch: int) -> Path:
    """Write ``repodata`` into ``folder`` and return its ``repomd.xml``.

    The same packages and ``epoch`` give the same bytes. Files are compressed with gzip, which yum of EL 7 requires.
    ``epoch``, in seconds, is the revision and the time of every file. It must never decrease: yum keeps its cached
    copy if a repository seems to have become older.
    """
    require_createrepo()
    import createrepo_c

    repodata = folder / "repodata"
    repodata.mkdir()
    repomd = createrepo_c.Repomd()
    repomd.set_revision(str(epoch))
    with _translated(repodata):
        repomd.set_record(_write(repodata, "primary", [chunk.primary for chunk in chunks], epoch))
        repomd.set_record(_write(repodata, "filelists", [chunk.filelists for chunk in chunks], epoch))
        repomd.set_record(_write(repodata, "other", [chunk.other for chunk in chunks], epoch))
    target = repodata / "repomd.xml"
    target.write_text(repomd.xml_dump(), encoding="utf-8")
    os.utime(target, (epoch, epoch))
    return target


def _write(repodata: Path, kind: str, pieces: Sequence[str], epoch: int) -> createrepo_c.RepomdRecord:
    """Write one metadata file, named after its digest; return its record for ``repomd.xml``."""
    import createrepo_c

    writer = {
        "primary": createrepo_c.PrimaryXmlFile,
        "filelists": createrepo_c.FilelistsXmlFile,
        "other": createrepo_c.OtherXmlFile,
    }[kind]
    path = repodata / f"{kind}.xml.gz"
    content = createrepo_c.ContentStat(createrepo_c.SHA256)
    file = writer(str(path), createrepo_c.GZ_COMPRESSION, content)
    file.set_num_of_pkgs(len(pieces))
    for piece in pieces:
        file.add_chunk(piece)
    file.close()
    os.utime(path, (epoch, epoch))
    record = createrepo_c.RepomdRecord(kind, str(path))
    record.load_contentstat(content)
    record.fill(createrepo_c.SHA256)
    record.rename_file()
    return record
