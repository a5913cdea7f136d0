"""A small image of this machine's own shell and a few tools, for trials and for handing files over.

It needs no registry and no mirror, so it can be had wherever an engine runs on this machine.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tarfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bigtop_builder.adapter.containers.engine_images import import_image, present
from bigtop_builder.model import digest
from bigtop_builder.model.errors import EngineError

if TYPE_CHECKING:
    from docker import DockerClient

PROGRAMS = ("sh", "cat", "chmod", "chown", "du", "find", "sleep", "stat")
FOLDERS = ("dev", "etc", "proc", "sys", "tmp", "work")
SEARCHED = "/usr/sbin:/usr/bin:/sbin:/bin"


def helper_image(client: DockerClient) -> str:
    """Return the id of the helper image; make it when the engine does not have it. Raises EngineError."""
    try:
        archive = _archive()
    except OSError as error:
        raise EngineError(f"the programs of the helper image cannot be read: {error}") from error
    tag = f"bigtop-builder/helper:{digest.of_bytes(archive)[:12]}"
    return present(client, tag) or import_image(client, io.BytesIO(archive), tag)


@cache
def _archive() -> bytes:
    """Return the image's files as a tar archive, the same bytes for the same programs."""
    files: dict[str, Path] = {}
    for name in PROGRAMS:
        found = shutil.which(name, path=f"{SEARCHED}:{os.environ.get('PATH', '')}")
        if found is None:
            raise EngineError(f"this machine has no program {name}", hint="Install coreutils, findutils and a shell.")
        files[f"bin/{name}"] = Path(found)
        files |= {library.lstrip("/"): Path(library) for library in _libraries(found)}
    # Folders that are not in the archive get the modes that an engine likes.
    folders = {*FOLDERS, *(str(parent) for name in files for parent in Path(name).parents)}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for folder in sorted(folders):
            member = tarfile.TarInfo(folder)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(member)
        for name, path in sorted(files.items()):
            content = path.read_bytes()
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def _libraries(program: str) -> list[str]:
    """Return the libraries of a program and its loader, as ``ldd`` names them; none for a static program."""
    ldd = shutil.which("ldd")
    if ldd is None:
        return []
    said = subprocess.run(
        [ldd, program], capture_output=True, text=True, timeout=60, check=False, env={"LC_ALL": "C", "PATH": SEARCHED}
    )
    return re.findall(r"(?:^|\s)(/\S+)(?= \(0x)", said.stdout)
