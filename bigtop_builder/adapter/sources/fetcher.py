"""Fetch a component's source: from the store, else from the first alternative that works."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigtop_builder.adapter.sources.download_store import (
    Part,
    WrongDigestError,
    altered_source,
    claim,
    discard_source,
    origin,
    stored,
)
from bigtop_builder.adapter.tools.addresses import Addresses
from bigtop_builder.model.base import size_in_bytes
from bigtop_builder.model.build_tools import pip
from bigtop_builder.model.errors import BigtopBuilderError, ConfigurationError, InterruptedRunError, SourceError
from bigtop_builder.model.home import expand_home
from bigtop_builder.model.project import ProjectFile
from bigtop_builder.model.source import (
    Alternative,
    ApacheSource,
    DebianSource,
    FileSource,
    GitSource,
    HttpsSource,
    MavenSource,
    PypiSource,
    Source,
)

if TYPE_CHECKING:
    from bigtop_builder.adapter.sources.candidates import Candidate
    from bigtop_builder.adapter.sources.download import Progress
    from bigtop_builder.adapter.sources.web import Web

NO_HINT = "set another mirror under mirrors in bigtop-builder.yaml, or add an alternative to the source in an overlay"
DIGEST_HINT = (
    "compare the digest in the component file with the one on the project's own release page; "
    "if it is right, the server has the wrong file: set another mirror under mirrors in bigtop-builder.yaml"
)
HTML = re.compile(rb"\s*<[^>]*>?[^<]*(<!doctype html|<html)|\s*(<!doctype html|<html)", re.IGNORECASE)


@dataclass(frozen=True)
class Fetched:
    """A fetched source file: path, name, ``sha256:…``, the alternative in words, and why earlier ones failed."""

    path: Path
    name: str
    digest: str
    alternative: str
    notes: list[str] = field(default_factory=list)
    stored: bool = False
    """Whether it was already in the store."""
    used: Alternative | None = None
    """The alternative that it matches."""
    address: str = ""
    """The address of its download, now or earlier; empty if it is unknown."""
    altered: str = ""
    """How the copy that was in the store differed from its digest: it was removed and fetched again."""


class _FailedError(Exception):
    """An alternative failed."""

    def __init__(self, reason: str, hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


class Fetcher:
    """Fetches source files; safe for many threads and processes on one store.

    ``addresses``: default, the project's. ``offline``: never use the network. ``shared`` puts the file of a digest
    into the store, verified, if it can have it from elsewhere than an alternative, and says whether it did.
    """

    def __init__(
        self,
        store: Path,
        project: ProjectFile,
        offline: bool = False,
        *,
        addresses: Addresses | None = None,
        shared: Callable[[str], bool] = lambda digest: False,
    ) -> None:
        self._shared = shared
        self._store = store
        self._network = project.network
        self._largest = size_in_bytes(project.limits.download_size)
        self._offline = offline
        self._addresses = addresses or Addresses(project.mirrors)
        self._web: Web | None = None
        self._lock = threading.Lock()

    def fetch(
        self,
        source: Source,
        *,
        base: Path,
        progress: Progress = lambda done, total, note: None,
        cancelled: threading.Event | None = None,
    ) -> Fetched:
        """Return the file of ``source``; paths of ``file`` alternatives are relative to ``base``.

        Raises SourceError, which lists every alternative with its reason, StoreError, and InterruptedRunError soon
        after ``cancelled`` is set.
        """
        from bigtop_builder.adapter.sources.candidates import describe

        altered = ""
        for alternative in source.alternatives:
            if (path := stored(self._store, alternative.digest)) is not None:
                label = f"store ({describe(alternative)})"
                why = altered_source(self._store, alternative.digest)
                if why is None:
                    return self._fetched(path, alternative, label, stored=True)
                discard_source(self._store, alternative.digest)
                altered = f"source {source.name!r} was altered in the store, and is fetched again: {why}"
        for alternative in () if self._offline else source.alternatives:
            if not isinstance(alternative, FileSource) and self._shared(alternative.digest):
                path = stored(self._store, alternative.digest)
                if path is not None:
                    label = f"shared results ({describe(alternative)})"
                    return replace(self._fetched(path, alternative, label, [altered] * bool(altered)), altered=altered)
        cancelled = cancelled or threading.Event()
        notes: list[str] = [altered] if altered else []
        hints: list[str] = []
        for alternative in source.alternatives:
            if cancelled.is_set():
                raise InterruptedRunError("stopped before a download")
            label = describe(alternative)
            misses: list[str] = []
            path = None
            try:
                path = self._one(alternative, base, progress, cancelled, misses)
            except _FailedError as failed:
                misses += [failed.reason] if failed.reason else []
                hints += [failed.hint] if failed.hint and failed.hint not in hints else []
            notes += [why if why.startswith(label) else f"{label}: {why}" for why in misses]
            if path is not None:
                return replace(self._fetched(path, alternative, label, notes), altered=altered)
        raise SourceError(
            f"source {source.name!r} is unavailable:\n" + "\n".join(f"  - {note}" for note in notes),
            hint="\n".join(hints) or NO_HINT,
        )

    def _fetched(
        self, path: Path, alternative: Alternative, label: str, notes: Sequence[str] = (), *, stored: bool = False
    ) -> Fetched:
        from bigtop_builder.adapter.sources.candidates import file_name

        address = origin(self._store, path.name)
        name = file_name(alternative)
        return Fetched(path, name, f"sha256:{path.name}", label, list(notes), stored, alternative, address)

    def _one(
        self,
        alternative: Alternative,
        base: Path,
        progress: Progress,
        cancelled: threading.Event,
        misses: list[str],
    ) -> Path:
        if isinstance(alternative, FileSource):
            return self._from_file(alternative, base, progress, cancelled)
        if self._offline:
            raise _FailedError("skipped: offline, and not in the store", "run once without --offline")
        note = "waiting for another download of the same file"
        with claim(self._store, alternative.digest, cancelled, lambda: progress(0, None, note)) as part:
            if part is not None:
                return self._from_network(alternative, part, progress, cancelled, misses)
        path = stored(self._store, alternative.digest)
        if path is None:
            raise _FailedError("it disappeared from the store")
        return path

    def _from_network(
        self,
        alternative: Alternative,
        part: Part,
        progress: Progress,
        cancelled: threading.Event,
        misses: list[str],
    ) -> Path:
        """Append to ``misses`` why an address failed, even if a later one works."""
        from bigtop_builder.adapter.sources.errors import TransferError, public

        if isinstance(alternative, GitSource):
            return self._from_git(alternative, part, cancelled)
        try:
            candidates = self._candidates(alternative, cancelled)
        except TransferError as error:
            raise _FailedError(error.reason, error.hint) from error
        except ConfigurationError as error:
            raise _FailedError(error.message, error.hint) from error
        hint = None
        for candidate in candidates:
            try:
                return self._from_address(candidate, alternative, part, progress, cancelled)
            except TransferError as error:
                misses.append(f"{public(candidate.address)}: {error.reason}")
                hint = hint or error.hint
        raise _FailedError("" if candidates else "no mirror is configured for it", hint)

    def _candidates(self, alternative: Alternative, cancelled: threading.Event) -> list[Candidate]:
        from bigtop_builder.adapter.sources import candidates, pypi

        match alternative:
            case HttpsSource():
                return candidates.of_https(alternative, self._addresses)
            case ApacheSource():
                return candidates.of_apache(alternative, self._addresses)
            case MavenSource():
                return candidates.of_maven(alternative, self._addresses)
            case DebianSource():
                return candidates.of_debian(alternative, self._addresses)
            case PypiSource():
                index = candidates.at(pip.index(self._addresses), self._addresses)
                found = pypi.locate(self._the_web(), index.address, alternative, cancelled, auth=index.auth)
                return [candidates.at(found, self._addresses)]
            case _:
                raise AssertionError(f"{alternative} has no address")

    def _from_address(
        self,
        candidate: Candidate,
        alternative: Alternative,
        part: Part,
        progress: Progress,
        cancelled: threading.Event,
    ) -> Path:
        from bigtop_builder.adapter.sources.download import download
        from bigtop_builder.adapter.sources.errors import TransferError, public

        web = self._the_web()
        afresh = False
        while True:
            resumed = download(
                web,
                candidate.address,
                part,
                retries=self._network.retries,
                largest=self._largest,
                progress=progress,
                cancelled=cancelled,
                auth=candidate.auth,
            )
            try:
                return part.accept(_digests(alternative), origin=public(candidate.address))[0]
            except WrongDigestError as error:
                part.clear()
                # Bytes of two responses may belong to two files: one clean try shows.
                if not resumed or afresh:
                    raise TransferError(_wrong(error), hint=DIGEST_HINT) from error
                afresh = True

    def _from_git(self, source: GitSource, part: Part, cancelled: threading.Event) -> Path:
        from bigtop_builder.adapter.sources import git
        from bigtop_builder.adapter.sources.errors import TransferError, public

        part.clear()
        scratch = self._store / "sources" / "partial"
        try:
            with io.BufferedWriter(_Writer(part), 1 << 20) as into:
                git.archive(source, self._network, scratch, into, cancelled)
        except TransferError as error:
            part.clear()
            raise _FailedError(error.reason, error.hint) from error
        except BigtopBuilderError:
            part.clear()
            raise
        return part.accept({}, {"git": source.digest.removeprefix("git:")}, origin=public(source.git))[0]

    def _from_file(self, source: FileSource, base: Path, progress: Progress, cancelled: threading.Event) -> Path:
        path = base / expand_home(source.file)
        try:
            stream = path.open("rb")
        except OSError as error:
            hint = "the path of a file source is relative to the folder of the component file"
            raise _FailedError(f"{path} cannot be read: {error.strerror}", hint) from error
        with stream, claim(self._store, source.digest, cancelled, lambda: None) as part:
            if part is None:
                found = stored(self._store, source.digest)
                assert found is not None
                return found
            part.clear()
            while data := stream.read(1 << 20):
                part.write(data)
            progress(part.size, part.size, path.name)
            try:
                return part.accept(_digests(source))[0]
            except WrongDigestError as error:
                part.clear()
                raise _FailedError(str(error), DIGEST_HINT) from error

    def _the_web(self) -> Web:
        from bigtop_builder.adapter.sources.web import Web

        with self._lock:
            if self._web is None:
                self._web = Web(self._network)
            return self._web


class _Writer(io.RawIOBase):
    """A partial file as a stream."""

    def __init__(self, part: Part) -> None:
        super().__init__()
        self._part = part

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._part.write(data)
        return len(data)

    def tell(self) -> int:
        return self._part.size


def _digests(source: Alternative) -> dict[str, str]:
    found = {"sha256": getattr(source, "sha256", None), "sha512": getattr(source, "sha512", None)}
    return {algorithm: value for algorithm, value in found.items() if value}


def _wrong(error: WrongDigestError) -> str:
    if HTML.match(error.beginning.removeprefix(b"\xef\xbb\xbf")):
        return f"the server sent an HTML page instead of the file ({error})"
    return str(error)
