"""The tarball that a build of Bigtop's begins with, made of a source in the way that its seed says."""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
from pathlib import Path
from xml.etree import ElementTree

from bigtop_builder.adapter.sources import Fetched, copy_tree, unpack
from bigtop_builder.adapter.store import remove_tree
from bigtop_builder.model.errors import RecipeError
from bigtop_builder.recipe.bigtop.spec import setup_folder
from bigtop_builder.recipe.bigtop.tree import BigtopPackaging

ENDINGS = (".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".zip", ".tar")
LEVEL = 1
"""Of gzip: it is read once."""


def make_seed(packaging: BigtopPackaging, source: Fetched | Path | None, into: Path, scratch: Path, epoch: int) -> str:
    """Write the seed to the file ``into``; gives what was done, for the log.

    ``source`` is what was fetched, a tree or archive of the user's own, or None when there is nothing to fetch. What
    is called as Bigtop's download is, is that. Anything else is packed anew below the folder that the spec expects.
    """
    seed, download = packaging.seed, packaging.component.download
    tree = scratch / "seed"
    remove_tree(tree)
    if source is None:
        tree.mkdir(parents=True)
        (tree / "LICENSE").write_bytes(packaging.licence or b"")
    elif isinstance(source, Fetched) and seed.made == "copied" and source.name == download:
        shutil.copyfile(source.path, into)
        return f"{source.name} → {into.name}"
    elif isinstance(source, Path) and source.is_dir():
        copy_tree(source, tree)
    else:
        path = source if isinstance(source, Path) else source.path
        unpack(path, tree, strip=0, name=source.name)
        tree = _inside(tree)
    top = seed.top or setup_folder(packaging.spec_text, packaging.binary_defines("")) or _stem(seed.name)
    _pack(tree, top, into, epoch)
    remove_tree(scratch / "seed")
    return f"{source.name if source else 'LICENSE'} → {into.name}, below {top}"


def artifacts_in(seed: Path) -> frozenset[str]:
    """The artifact ids of all Maven modules in a tarball; poms that do not parse are left out."""
    found: set[str] = set()
    try:
        with tarfile.open(seed, "r|*") as tar:
            for member in tar:
                parts = member.name.split("/")
                if parts[-1] != "pom.xml" or not member.isfile() or {"src", "target", "node_modules"} & set(parts[:-1]):
                    continue
                stream = tar.extractfile(member)
                assert stream is not None
                try:
                    artifact = ElementTree.parse(stream).getroot().findtext("{*}artifactId")
                except ElementTree.ParseError:
                    continue
                if artifact:
                    found.add(artifact.strip())
    except (tarfile.TarError, OSError, EOFError) as error:
        raise RecipeError(f"the source {seed.name} is no tarball: {error}") from error
    return frozenset(found)


def _inside(tree: Path) -> Path:
    """Without a single top folder, as Bigtop strips it."""
    entries = list(tree.iterdir())
    return entries[0] if len(entries) == 1 and entries[0].is_dir() and not entries[0].is_symlink() else tree


def _stem(name: str) -> str:
    ending = next((one for one in ENDINGS if name.endswith(one)), "")
    return name.removesuffix(ending)


def _pack(tree: Path, top: str, into: Path, epoch: int) -> None:
    """The same bytes for the same tree: sorted, of nobody, nothing younger than ``epoch``."""

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
