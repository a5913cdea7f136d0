"""Reading a spec with rpm itself, in the package image: its packages and file lists. Answers are cached."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bigtop_builder.adapter.containers.container import Sandbox
from bigtop_builder.adapter.containers.image import ensure
from bigtop_builder.adapter.containers.image_recipe import ImageSpec, image_key
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.adapter.store import write_atomically
from bigtop_builder.flow.build.worker import Worker
from bigtop_builder.model import digest
from bigtop_builder.model.errors import RecipeError
from bigtop_builder.recipe.spec_files import Listed, file_lists

FIELDS = ("name", "version", "release", "arch", "summary", "license", "group", "requires", "provides", "scripts")
SCRIPTS = {
    "PREIN": "preinstall",
    "POSTIN": "postinstall",
    "PREUN": "preuninstall",
    "POSTUN": "postuninstall",
    "PRETRANS": "pretrans",
    "POSTTRANS": "posttrans",
}
QUERY = "\x1f".join(
    [
        *(f"%{{{field.upper()}}}" for field in FIELDS[:7]),
        "[%{REQUIRENEVRS}\x1e]",
        "[%{PROVIDENEVRS}\x1e]",
        "".join(f"%|{tag}?{{{name}\x1e%{{{tag}}}\x1e}}|" for tag, name in SCRIPTS.items()),
    ]
)
SECONDS = 120
LOG_LIMIT = 8 << 20
FORMAT = 2
FOLDER = "specs"
"""The folder of cached answers in the store's ``cache``."""


@dataclass(frozen=True)
class ReadSpec:
    """The packages of a spec: the fields of ``rpmspec -q`` for each, and package → the entries of its file list."""

    headers: tuple[Mapping[str, str], ...]
    files: Mapping[str, list[Listed]]


def read_spec(
    worker: Worker, image: ImageSpec, spec: str, macros: str, defines: tuple[str, ...], sources: tuple[str, ...]
) -> ReadSpec:
    """Have rpm read a spec. ``sources`` are the names of the files that it needs; their content does not matter.

    Raises RecipeError with the message of rpm when it cannot.
    """
    store = worker.store
    key = digest.of_data([FORMAT, image_key(image), spec, macros, list(defines)])
    kept = store.root / "cache" / FOLDER / f"{key}.json"
    with contextlib.suppress(OSError, ValueError):
        return _read(json.loads(kept.read_text(encoding="utf-8")))
    data = _ask(worker, image, key, spec, macros, defines, sources)
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(kept, json.dumps(data))
    return _read(data)


def _read(data: dict[str, Any]) -> ReadSpec:
    lines = [line for line in data["query"].split("\x1d\n") if line]
    headers = tuple(dict(zip(FIELDS, line.split("\x1f"), strict=True)) for line in lines)
    return ReadSpec(headers, file_lists(data["expanded"], headers[0]["name"], headers[0]["version"]))


def _ask(
    worker: Worker,
    image: ImageSpec,
    key: str,
    spec: str,
    macros: str,
    defines: tuple[str, ...],
    sources: tuple[str, ...],
) -> dict[str, str]:
    folder = worker.run.work / f"spec-{key[:12]}"
    for name in ("SPECS", "SOURCES", "home"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "SPECS" / "one.spec").write_text(spec, encoding="utf-8", errors="surrogateescape")
    (folder / "home" / ".rpmmacros").write_text(macros, encoding="utf-8")
    for source in sources:
        (folder / "SOURCES" / source).parent.mkdir(parents=True, exist_ok=True)
        (folder / "SOURCES" / source).touch()
    with LogWriter(worker.run.log("import", "image"), LOG_LIMIT) as log:
        record = ensure(worker.shop, image, log)
    given = [part for define in (*defines, "_topdir /work") for part in ("--define", define)]
    return {
        "query": _run(worker, record.id, folder, "query", ["rpmspec", "-q", *given, "--qf", QUERY + "\x1d\n"]),
        "expanded": _run(worker, record.id, folder, "expanded", ["rpmspec", "-P", *given]),
    }


def _run(worker: Worker, image: str, folder: Path, name: str, command: list[str]) -> str:
    from bigtop_builder.adapter.containers.container import Mount, Session

    box = Sandbox(
        image=image,
        run=worker.run.id,
        task="import",
        store=worker.store.root,
        user=worker.user,
        mounts=[Mount(folder, "/work")],
        environment={"LANG": "C.UTF-8", "TZ": "UTC"},
        lifetime=SECONDS,
        memory=1 << 30,
    )
    path = worker.run.log("import", name)
    with LogWriter(path, LOG_LIMIT) as log, Session(worker.client, box) as session:
        # Warnings of rpm must not be mixed into its answer.
        script = ["bash", "-c", '"$@" 2>/tmp/said || { cat /tmp/said; exit 1; }', "rpmspec", *command]
        code = session.call(
            [*script, "/work/SPECS/one.spec"], log=log, timeout=SECONDS, cancelled=worker.cancelled, cwd="/work"
        )
    said = path.read_text(encoding="utf-8", errors="replace")
    if code != 0:
        raise RecipeError(f"rpm cannot read the spec: {said.strip().splitlines()[0] if said.strip() else 'no reason'}")
    return said
