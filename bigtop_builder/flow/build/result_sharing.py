"""A build and the store of results that its team shares: results are taken from there, and new ones are put there.

Whatever is wrong with that store is told once, and the build goes on without it.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from bigtop_builder.adapter.containers.image_record import ImageRecord
from bigtop_builder.adapter.store import Store, translated, write_atomically
from bigtop_builder.model.errors import BigtopBuilderError, ConfigurationError, InterruptedRunError
from bigtop_builder.plan.task import Kind

if TYPE_CHECKING:
    from bigtop_builder.adapter.results.shared_results import SharedResults
    from bigtop_builder.recipe.settings import Settings

T = TypeVar("T")
LOOKUPS = 16
"""Keys that are looked up at the same time."""
KEY_HINT = (
    "Make a key: openssl genpkey -algorithm ed25519 -out results.pem; set signing.attestation_key: file:results.pem."
)


def open_results(settings: Settings, cancelled: threading.Event | None = None) -> SharedResults | None:
    """Return the shared results that a project names; None if it names none.

    Raises ConfigurationError for keys and credentials that cannot be read, and when nothing is trusted.
    """
    chosen = settings.project.results
    if chosen.url is None:
        return None
    # Loaded only where results are shared: every plan comes by here.
    from bigtop_builder.adapter.provenance.dsse import attestation_key
    from bigtop_builder.adapter.results.folder import FolderPlace
    from bigtop_builder.adapter.results.shared_results import SharedResults
    from bigtop_builder.adapter.secret import read_secret

    place = settings.place("results")
    trusted = [_public_key(Path(path), index, settings) for index, path in enumerate(chosen.trust)]
    signer = attestation_key(settings.project.signing)
    if signer is None and (chosen.push or not trusted):
        need = "results.push puts signed results there" if chosen.push else "no key is trusted: results.trust is empty"
        raise ConfigurationError(f"results: {need}", hint=KEY_HINT, location=place)
    if urlsplit(chosen.url).scheme in ("http", "https"):
        from bigtop_builder.adapter.results.http import HttpPlace
        from bigtop_builder.adapter.sources.web import Web

        auth = None
        if chosen.credentials is not None:
            user = read_secret(chosen.credentials.user, "results.credentials.user")
            auth = user, read_secret(chosen.credentials.password, "results.credentials.password")
        where: Any = HttpPlace(chosen.url, Web(settings.project.network), auth)
    else:
        where = FolderPlace(Path(chosen.url.removeprefix("file://")))
    return SharedResults(where, trusted, signer, limits=settings.project.limits.archives, cancelled=cancelled)


def _public_key(path: Path, index: int, settings: Settings) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        pem = path.read_bytes()
        load_pem_public_key(pem)
    except OSError as error:
        raise ConfigurationError(
            f"results.trust: {path} cannot be read: {error.strerror}",
            location=settings.place("results", "trust", index),
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(
            f"results.trust: {path} is not a public key in PEM",
            hint="Of a private key: openssl pkey -in results.pem -pubout -out results.pub.pem",
            location=settings.place("results", "trust", index),
        ) from error
    return pem


class ResultSharing:
    """What one run shares. Nothing here raises for a store that does not respond: it is told once, and then unused."""

    def __init__(self, results: SharedResults | None, store: Store, *, push: bool) -> None:
        self._results = results
        self._store = store
        self._push = push
        self._offered: dict[tuple[str, str], bool] = {}
        self._told: list[str] = []
        self._tell: Callable[[str], None] = self._told.append
        self._queue: queue.SimpleQueue[Callable[[SharedResults], None] | None] = queue.SimpleQueue()
        self._pusher: threading.Thread | None = None
        self._lock = threading.Lock()

    def tell_to(self, tell: Callable[[str], None]) -> None:
        """Have warnings told, those that were waiting first."""
        waiting, self._told = self._told, []
        self._tell = tell
        for text in waiting:
            tell(text)

    def untold(self) -> list[str]:
        """Return the warnings that nobody was told, and forget them."""
        told, self._told[:] = list(self._told), []
        return told

    def offers(self, kind: Kind, key: str) -> bool:
        """Whether the result of a key can be taken."""
        if self._results is None:
            return False
        if (kind, key) not in self._offered:
            self._offered[kind, key] = bool(self._ask(lambda results: results.has(kind, key)))
        return self._offered[kind, key]

    def expect(self, wanted: Iterable[tuple[Kind, str]]) -> None:
        """Look up many keys at once: one after the other they would cost a round trip each."""
        unknown = [one for one in wanted if one not in self._offered]
        if self._results is not None and len(unknown) > 1:
            with ThreadPoolExecutor(LOOKUPS, thread_name_prefix="results") as pool:
                list(pool.map(lambda one: self.offers(*one), unknown))

    def fingerprint(self, image: str) -> str | None:
        """Return the fingerprint of the image that others made for a key.

        It is kept, because what was taken from them has keys that are made of it.
        """
        kept = self._store.root / "images" / f"{image}.fingerprint"
        record = self._ask(lambda results: results.data("image", image))
        if record and isinstance(record.get("fingerprint"), str):
            with translated(self._store.root):
                kept.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(kept, record["fingerprint"])
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return kept.read_text(encoding="utf-8")
        return None

    def take(self, kind: Kind, key: str) -> bool:
        """Put a result into this machine's store; False, with a warning, if that fails: the plan changes then.

        Raises InterruptedRunError.
        """
        done = bool(self._ask(lambda results: results.fetch(kind, key, self._store)))
        if not done:
            self._offered[kind, key] = False
        return done

    def give(self, kind: Kind, key: str, image: ImageRecord | None, sources: tuple[str, ...] = ()) -> None:
        """Put a new result there, and what others need to find it, while the build goes on. Returns at once."""
        if not self._push or self._results is None:
            return
        if self._pusher is None:
            self._pusher = threading.Thread(target=self._give_all, name="results", daemon=True)
            self._pusher.start()

        def push(results: SharedResults) -> None:
            for digest in sources:
                results.push_source(digest, self._store)
            if image is not None:
                results.push_data("image", image.key, image_data(image))
            results.push(kind, key, self._store)

        self._queue.put(push)

    def take_source(self, digest: str) -> bool:
        """Put a source into this machine's store, if it is there. Raises InterruptedRunError."""
        return bool(self._ask(lambda results: results.fetch_source(digest, self._store)))

    def finish(self, cancelled: threading.Event) -> None:
        """Wait for what is still being put there, unless the run is cancelled."""
        if self._pusher is None:
            return
        self._queue.put(None)
        while self._pusher.is_alive() and not cancelled.is_set():
            self._pusher.join(0.1)

    def _give_all(self) -> None:
        while (push := self._queue.get()) is not None:
            self._ask(push)

    def _ask(self, question: Callable[[SharedResults], T]) -> T | None:
        results = self._results
        if results is None:
            return None
        from bigtop_builder.adapter.results.place import ResultStoreError, UntrustedResultError

        try:
            return question(results)
        except UntrustedResultError as error:
            self._warn(error)
        except ResultStoreError as error:
            with self._lock:
                first, self._results = self._results is not None, None
            if first:
                self._warn(error, "; this build goes on without it")
        except InterruptedRunError:
            raise
        except BigtopBuilderError as error:
            # This machine's own store is full or damaged, which the build itself will find and tell.
            self._warn(error)
        except OSError as error:
            # Of this machine's disk, or of a mount that went away.
            self._tell(f"the result store: {error.filename or ''}: {error.strerror or error}")
        return None

    def _warn(self, error: BigtopBuilderError, more: str = "") -> None:
        hint = f" ({error.hint})" if error.hint else ""
        self._tell(f"{error.message}{more}{hint}")


@dataclass(frozen=True)
class PlannedResults:
    """The results that a plan can reuse: of this machine's own store, and of the one that a team shares."""

    store: Store
    sharing: ResultSharing | None

    def has(self, kind: Kind, key: str) -> bool:
        """See ``planner.Results``."""
        return self.store.has(kind, key)

    def expect(self, wanted: Iterable[tuple[Kind, str]]) -> None:
        """See ``planner.Results``."""
        if self.sharing is not None:
            self.sharing.expect(one for one in wanted if not self.store.has(*one))

    def offers(self, kind: Kind, key: str) -> bool:
        """See ``planner.Results``."""
        return self.sharing is not None and self.sharing.offers(kind, key)

    def last_ingredients(self, task_id: str) -> Mapping[str, str] | None:
        """See ``planner.Results``."""
        return self.store.last_ingredients(task_id)


def image_data(image: ImageRecord) -> Mapping[str, Any]:
    """Return what others need of an image, to have the keys of what was made in it."""
    return {"fingerprint": image.fingerprint, "name": image.name, "base": image.base, "packages": image.packages}
