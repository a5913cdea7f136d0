"""The seed: the tarball that a build of Bigtop starts from, made from a source in Bigtop's way."""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
from pathlib import Path
from xml.etree import ElementTree

from bigtop_builder.adapter.archives.compression import DamagedArchiveError, Unpacked, compression_of
from bigtop_builder.adapter.archives.tar import read_tar
from bigtop_builder.adapter.sources import Fetched, copy_tree, unpack
from bigtop_builder.adapter.store import remove_tree
from bigtop_builder.flow.bigtop.payload import BigtopPayload
from bigtop_builder.model.archive_limits import DEFAULT
from bigtop_builder.model.errors import RecipeError

LARGEST_POM = 16 << 20
LEVEL = 1
"""The gzip level: low, since the seed is read once."""


def make_seed(payload: BigtopPayload, source: Fetched | Path | None, into: Path, scratch: Path, epoch: int) -> str:
    """Write the seed to the file ``into``; return a line for the log that says how it was made.

    ``source`` is what was fetched, a tree or archive of the user's own, or None when there is nothing to fetch. A file
    with the name of Bigtop's download is taken as it is. Anything else is packed again below the folder that the spec
    expects. Raises SourceError for an archive that cannot be unpacked.
    """
    tree = scratch / "seed"
    remove_tree(tree)
    if source is None:
        tree.mkdir(parents=True)
        (tree / "LICENSE").write_bytes(payload.licence_bytes)
    elif isinstance(source, Fetched) and payload.seed_copied and source.name == payload.download:
        shutil.copyfile(source.path, into)
        return f"{source.name} → {into.name}"
    elif isinstance(source, Path) and source.is_dir():
        copy_tree(source, tree)
    else:
        path = source if isinstance(source, Path) else source.path
        unpack(path, tree, strip=0, name=source.name)
        tree = _inside(tree)
    _pack(tree, payload.seed_folder, into, epoch)
    remove_tree(scratch / "seed")
    return f"{source.name if source else 'LICENSE'} → {into.name}, below {payload.seed_folder}"


def artifacts_in(seed: Path) -> frozenset[str]:
    """Return the artifact ids of all Maven modules in a tarball, without poms that do not parse.

    Raises RecipeError when the file is no tarball.
    """
    found: set[str] = set()
    try:
        with seed.open("rb") as file:
            kind = compression_of(file.read(6))
            file.seek(0)
            for member, content in read_tar(Unpacked(file, kind, limit=DEFAULT.unpacked(seed.stat().st_size))):
                parts = member.name.split("/")
                if parts[-1] != "pom.xml" or not member.isfile() or {"src", "target", "node_modules"} & set(parts[:-1]):
                    continue
                try:
                    artifact = ElementTree.fromstring(content.read(LARGEST_POM)).findtext("{*}artifactId")
                except ElementTree.ParseError:
                    continue
                if artifact:
                    found.add(artifact.strip())
    except (DamagedArchiveError, OSError) as error:
        raise RecipeError(f"the source {seed.name} is no tarball: {error}") from error
    return frozenset(found)


def _inside(tree: Path) -> Path:
    """Skip a single top folder, as Bigtop does."""
    entries = list(tree.iterdir())
    return entries[0] if len(entries) == 1 and entries[0].is_dir() and not entries[0].is_symlink() else tree


def _pack(tree: Path, top: str, into: Path, epoch: int) -> None:
    """Write the same bytes for the same tree: sorted, without owners, nothing younger than ``epoch``."""

    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        info.mtime = min(int(info.mtime), epoch)
        return info

    with (
        into.open("wb") as file,
        gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=LEVEL, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        tar.add(tree, top, recursive=False, filter=plain)
        for folder, folders, files in os.walk(tree):
            folders.sort()
            for name in sorted([*folders, *files]):
                path = Path(folder) / name
                tar.add(path, f"{top}/{path.relative_to(tree).as_posix()}", recursive=False, filter=plain)
