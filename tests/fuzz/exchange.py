"""What comes from elsewhere: bundles, answers of web servers, repositories; and the logs that a full disk leaves."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import socket
import threading
from pathlib import Path
from random import Random
from typing import Any

from bigtop_builder.adapter.bundle.cache import pack
from bigtop_builder.adapter.bundle.reader import BundleReader
from bigtop_builder.adapter.bundle.writer import BundleWriter
from bigtop_builder.adapter.repository.metadata import package_chunks, write_repodata
from bigtop_builder.adapter.sources import Fetcher
from bigtop_builder.adapter.store import Store
from bigtop_builder.cluster.stack_data import load_stack
from bigtop_builder.flow.build.result import stored_packages
from bigtop_builder.flow.bundle.loader import Loading
from bigtop_builder.flow.bundle.verifier import verify_bundle
from bigtop_builder.flow.publish.stack_check import read_offer
from bigtop_builder.flow.run.records import newest_runs
from bigtop_builder.model.bundle import MANIFEST
from bigtop_builder.model.project import ProjectFile
from bigtop_builder.model.source import Source
from bigtop_builder.model.tap import read_tap
from tests.fuzz.archives import with_checksums
from tests.fuzz.harness import Target
from tests.fuzz.mutation import changed, mutated
from tests.rpmfile import Spec, write_rpm

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def quiet(*_: object) -> None:
    """Nobody watches."""


class Bundles(Target):
    """Bundles: their bytes, their manifest, the archive of a cache in them."""

    name = "bundle"
    rounds = 120

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._sample = self._write(folder / "sample.tar", dict, bytes)
        self._manifest: Any = json.loads(BundleReader(folder / "sample.tar").manifest_bytes)

    def _write(self, place: Path, manifest: Any, packed: Any) -> bytes:
        place.unlink(missing_ok=True)
        cache = self.folder / "cache" / "org" / "a"
        cache.mkdir(parents=True, exist_ok=True)
        (cache / "a.jar").write_bytes(b"jar")
        with BundleWriter(place) as writer:
            files = [
                writer.add("project/bigtop-builder.yaml", [b"stack: bigtop-3.2.0\n"]),
                writer.add("project/overlay/tool", [b"#!/bin/sh\n"], executable=True),
                writer.add(f"sources/{SHA256}", [CONTENT]),
                writer.add("caches/maven.tar", [packed(b"".join(pack(cache.parents[1], ["org/a/a.jar"])))]),
            ]
            told = {
                "tool": "1",
                "stack": "bigtop-3.2.0",
                "machine": os.uname().machine,
                "platforms": ["el8"],
                "sources": [{"path": f"sources/{SHA256}", "names": [f"sha256:{SHA256}"], "used_by": []}],
                "caches": [{"kind": "maven", "path": "caches/maven.tar", "files": 1, "size": 3}],
                "files": [file.model_dump() for file in files],
            }
            writer.add(MANIFEST, [json.dumps(manifest(told)).encode()])
            writer.finish()
        return place.read_bytes()

    def damaged(self, random: Random) -> bytes:
        """Return a bundle."""
        how = random.random()
        if how < 0.4:
            return with_checksums(mutated(self._sample, random))
        if how < 0.7:
            return self._write(self.folder / "made.tar", lambda told: changed(told, random), bytes)
        return self._write(self.folder / "made.tar", dict, lambda packed: with_checksums(mutated(packed, random)))

    def read(self, data: bytes, scratch: Path) -> None:
        """Verify and load it."""
        place = scratch / "b.tar"
        place.write_bytes(data)
        reader = BundleReader(place)
        verify_bundle(reader, None, quiet)
        reader.expect_all()
        loading = Loading(reader, replace=len(data) % 2 == 0, progress=quiet)
        loading.project(scratch / "site")
        loading.repositories(scratch / "site" / "repository")
        loading.store(Store(scratch / "site" / "store"))


HEADS = (
    b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\nETag: "v1"\r\n\r\n' % len(CONTENT),
    b"HTTP/1.1 206 Partial Content\r\nContent-Length: %d\r\nContent-Range: bytes 0-%d/%d\r\n\r\n"
    % (len(CONTENT), len(CONTENT) - 1, len(CONTENT)),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(CONTENT),
    b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
    b"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */%d\r\n\r\n" % len(CONTENT),
)
PLACES = (b"//", b"http://[", b"file:///etc/passwd", b"ftp://127.0.0.1/", b"\xff", b"http://127.0.0.1:0/", b"x:")


class Answers(Target):
    """Answers to a download, byte by byte; the server closes the connection after each."""

    name = "http"
    rounds = 30

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._answer = b""
        self._server = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    request = b""
                    while b"\r\n\r\n" not in request and (more := connection.recv(65536)):
                        request += more
                    connection.sendall(self._answer)
                except OSError:
                    continue

    def damaged(self, random: Random) -> bytes:
        """Return an answer."""
        head = random.choice(HEADS)
        body = CONTENT + b"\r\n0\r\n\r\n" if b"chunked" in head else CONTENT
        if b"Location" in head and random.random() < 0.7:
            head = head.replace(b"/next", random.choice(PLACES))
        if random.random() < 0.8:
            return mutated(head, random, HEADS) + body
        return mutated(head + body, random)

    def read(self, data: bytes, scratch: Path) -> None:
        """Fetch a source."""
        self._answer = data
        network = {"connect_timeout": "2s", "stall_timeout": "2s", "retries": 0}
        project = ProjectFile.model_validate({"mirrors": {"preset": "none"}, "network": network})
        address = f"http://127.0.0.1:{self._server.getsockname()[1]}/file"
        source = Source.model_validate({"alternatives": [{"https": address, "sha256": SHA256}]})
        found = Fetcher(scratch / "store", project).fetch(source, base=scratch)
        assert found.path.read_bytes() == CONTENT


class Repositories(Target):
    """Metadata of a yum repository: an index, and lists whose digests the index is made to match."""

    name = "repository"
    rounds = 80

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._whole = folder / "whole"
        specs = (Spec(name="a", requires=("b >= 1",), files={"/usr/lib/a": b"a"}), Spec(name="b", epoch=2))
        packages = [write_rpm(self._whole / "packages", spec) for spec in specs]
        repodata = write_repodata(self._whole, [package_chunks(path, path.name) for path in packages], 1)
        self._repomd = (repodata / "repomd.xml").read_bytes() if repodata.is_dir() else repodata.read_bytes()
        self._primary = next(self._whole.glob("repodata/*primary.xml*"))

    def damaged(self, random: Random) -> bytes:
        """Return an index, or a mark and a list."""
        if random.random() < 0.4:
            return mutated(self._repomd, random)
        return b"list:" + mutated(gzip.decompress(self._primary.read_bytes()), random)

    def read(self, data: bytes, scratch: Path) -> None:
        """Read what the repository offers."""
        place = scratch / "repository"
        shutil.copytree(self._whole, place)
        if data.startswith(b"list:"):
            plain = data.removeprefix(b"list:")
            packed = gzip.compress(plain, mtime=0)
            before = self._primary.read_bytes()
            (place / "repodata" / self._primary.name).write_bytes(packed)
            pairs = ((packed, before), (plain, gzip.decompress(before)))
            data = self._repomd
            for new, old in pairs:
                data = data.replace(hashlib.sha256(old).hexdigest().encode(), hashlib.sha256(new).hexdigest().encode())
        (place / "repodata" / "repomd.xml").write_bytes(data)
        read_offer([str(place)], load_stack())


EVENTS: list[dict[str, Any]] = [
    {
        "event": "run_started",
        "run": "r",
        "command": ["build"],
        "store": "/s",
        "tasks": [
            {"task": f"a@el8/{kind}", "component": "a", "platform": "el8", "kind": kind, "action": "build", "key": "k"}
            for kind in ("compile", "package")
        ],
    },
    {"event": "task_started", "task": "a@el8/compile"},
    {"event": "step_started", "task": "a@el8/compile", "step": "compile", "log": "a.log"},
    {"event": "step_progress", "task": "a@el8/compile", "step": "compile", "done": 5, "total": 9},
    {"event": "step_finished", "task": "a@el8/compile", "step": "compile", "ok": True, "seconds": 1.0},
    {"event": "task_finished", "task": "a@el8/compile", "state": "built", "notes": ["x"]},
    {"event": "phase_started", "phase": "check"},
    {"event": "phase_finished", "phase": "check", "state": "changed", "changes": 2, "seconds": 1.0},
    {"event": "run_finished", "exit_code": 0, "seconds": 3.0},
]


class EventLogs(Target):
    """The log of a run, as a full disk or an editor may leave it."""

    name = "events"
    rounds = 150

    def damaged(self, random: Random) -> bytes:
        """Return a log."""
        events = [{"time": 5.0 + number, **event} for number, event in enumerate(EVENTS)]
        if random.random() < 0.6:
            events = changed(events, random)
        lines = events if isinstance(events, list) else [events]
        data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        return mutated(data, random) if random.random() < 0.5 else data

    def read(self, data: bytes, scratch: Path) -> None:
        """List the runs."""
        store = Store(scratch / "store")
        store.open()
        run = store.start_run()
        (run.folder / "events.jsonl").write_bytes(data)
        run.close()
        for found in newest_runs(store, 9):
            assert found.status


class SmokeReports(Target):
    """What a smoke test printed."""

    name = "tap"
    rounds = 300

    def damaged(self, random: Random) -> bytes:
        """Return a report."""
        lines = ["1..4", "ok 1 - put-get", "not ok 2 - pi", "ok 3 - sparkpi # SKIP no YARN", "Bail out! no disk", "ok"]
        random.shuffle(lines)
        data = "\n".join(lines * random.randint(1, 300)).encode()
        return mutated(data, random)

    def read(self, data: bytes, scratch: Path) -> None:
        """Read it; nothing of it may reach a terminal as it is."""
        report = read_tap(data.decode(errors="replace").splitlines())
        for text in (*report.passed, *report.failed, *report.skipped, *report.problems):
            assert text.isprintable() and len(text) < 300


class StoreRecords(Target):
    """The records of results in a store, as a failing disk or an editor may leave them."""

    name = "store"
    rounds = 150
    key = "ab" * 32

    def damaged(self, random: Random) -> bytes:
        """Return a manifest and the record of a last build."""
        rpm = {"a-1.rpm": SHA256}
        manifest: Any = {"key": self.key, "rpms": rpm, "notes": ["x"], "seconds": 1.5, "ingredients": {"a": "b"}}
        last: Any = {"key": self.key, "ingredients": {"a": "b"}, "seconds": 1.0}
        records = [changed(manifest, random), last] if random.random() < 0.5 else [manifest, changed(last, random)]
        texts = [json.dumps(record).encode() for record in records]
        return b"\n----\n".join(mutated(text, random) if random.random() < 0.3 else text for text in texts)

    def read(self, data: bytes, scratch: Path) -> None:
        """Read what a plan and a build read of them."""
        manifest, _, last = data.partition(b"\n----\n")
        store = Store(scratch / "store")
        store.open()
        folder = store.folder("package", self.key)
        (folder / "rpms").mkdir(parents=True)
        (folder / "rpms" / "a-1.rpm").write_bytes(CONTENT)
        (folder / "manifest.json").write_bytes(manifest)
        store.record_last("a@el8/package", self.key, {}, 1.0)
        next((scratch / "store" / "last").iterdir()).write_bytes(last)
        store.last("a@el8/package")
        store.last_ingredients("a@el8/package")
        if store.has("package", self.key):
            stored_packages(store, "package", self.key)
