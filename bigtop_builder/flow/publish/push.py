"""Upload a publication: packages first, metadata last, and only what is missing there."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.adapter.repository.destination import Destination, PushedFile, PushError, Sent
from bigtop_builder.adapter.repository.listing import read_listing, read_repomd
from bigtop_builder.adapter.repository.metadata import ALL_KEYS, PACKAGES, PROVENANCE
from bigtop_builder.adapter.repository.reader import AddressReader, Login, MissingError
from bigtop_builder.adapter.repository.rsync_destination import RsyncDestination
from bigtop_builder.adapter.repository.seen import Seen
from bigtop_builder.adapter.repository.snapshot import MANIFEST, MANIFEST_SIGNATURE, REPOMD, Publications
from bigtop_builder.adapter.repository.web_destination import WebDestination
from bigtop_builder.adapter.rpm.signing import open_keyring, verify_detached
from bigtop_builder.adapter.secret import read_secret
from bigtop_builder.adapter.sources.web import Web
from bigtop_builder.flow.publish.index_page import INDEX
from bigtop_builder.flow.publish.pushed_pages import write_page, write_root_page
from bigtop_builder.flow.publish.repo_file import is_local, local_address, repo_file_name
from bigtop_builder.flow.publish.verifier import verify_state
from bigtop_builder.model.digest import of_file
from bigtop_builder.model.errors import PublishError
from bigtop_builder.model.project import Network, Push

LISTING_SECONDS, LISTING_PAUSE = 300, 5
"""How long a server may take to list what was uploaded, if it writes its own metadata."""
LAST = ((f"{REPOMD}.asc", REPOMD), (MANIFEST_SIGNATURE, MANIFEST))
"""What is uploaded last, in this order: it makes the new state visible, and then complete."""


@dataclass(frozen=True)
class Pushed:
    """What an upload did. ``size``: the bytes of the ``uploaded`` ones of all ``files``."""

    place: str
    revision: int
    files: int
    uploaded: int
    size: int


@dataclass(frozen=True)
class _State:
    """A publication at a destination, whose signature was checked."""

    revision: int
    digests: Mapping[str, str]
    """Package file → SHA-256."""
    manifest: bytes


def push(
    publications: Publications,
    stack: str,
    platform: str,
    settings: Push,
    *,
    network: Network,
    seen: Seen,
    say: Callable[[str], None],
    accept_older: bool = False,
    base_url: str | None = None,
) -> Pushed:
    """Upload the visible publication of a stack for a platform, and check what is there afterwards.

    ``base_url`` is where hosts reach the root of repositories, for the page that goes with it; by default where a web
    server takes the upload.

    Raises PublishError if there is none, if the place refuses an upload or has a newer publication, or if what is
    there afterwards differs.
    """
    snapshot = publications.current()
    if snapshot is None:
        raise PublishError(f"nothing is published at {publications.visible}", hint="Publish packages first.")
    key = (snapshot / ALL_KEYS).read_bytes()
    _require_sound(str(publications.visible), verify_state(str(publications.visible), key, seen))
    login = _login(settings)
    below = f"{stack}/{platform}"
    with _tree(snapshot, below) as tree:
        destination = _destination(settings, network, login, tree)
        mine = publications.read(snapshot)
        if settings.metadata == "publication":
            _require_reachable(mine.files.get(repo_file_name(stack, platform), ""))
        theirs = _state(destination, below, key) if settings.metadata == "publication" else None
        if theirs is not None and theirs.revision > mine.epoch and not accept_older:
            raise PublishError(
                f"{destination.address}/{below} has revision {theirs.revision}, which is newer than {mine.epoch} here",
                hint="Publish again, which makes a newer one, or replace the one there: --accept-older",
            )
        address = None if str(settings.url).startswith("ssh:") else settings.url
        if base_url and not is_local(base_url):
            address = base_url
        page = write_page(tree / below, stack, platform, address)
        stages = _stages(snapshot, below, theirs, page, packages_only=settings.metadata == "server")
        sent = Sent()
        for title, files in stages:
            step = destination.send(files)
            sent += step
            if len(files) > 1:
                say(f"{title}: {step.files} of {len(files)} files uploaded")
        if settings.metadata == "publication":
            _send_root_page(destination, tree / INDEX, stack, platform, len(mine.packages), address, say)
        place = f"{destination.address}/{below}"
    if settings.url and not settings.url.startswith("ssh:"):
        address = f"{settings.url.rstrip('/')}/{below}"
        if settings.metadata == "publication":
            _require_sound(place, verify_state(address, key, seen, login, network, accept_older=accept_older))
        else:
            packages = {package.file_name: package.sha256 for package in mine.packages}
            _await_listing(AddressReader(address, network, login=login), packages, place, say)
    return Pushed(place, mine.epoch, sum(len(files) for _, files in stages), sent.files, sent.size)


def _require_reachable(repo: str) -> None:
    """Raise PublishError if the ``.repo`` file leads other hosts to themselves."""
    if address := local_address(repo):
        raise PublishError(
            f"the .repo file of this publication names {address}, which other hosts do not reach",
            hint="Set publish.base_url to the address at which hosts reach the root, publish again, and push that.",
        )


def _login(settings: Push) -> Login | None:
    if settings.credentials is None:
        return None
    user = read_secret(settings.credentials.user, "publish.push.credentials.user")
    return user, read_secret(settings.credentials.password, "publish.push.credentials.password")


def _destination(settings: Push, network: Network, login: Login | None, tree: Path) -> Destination:
    assert settings.url is not None
    if settings.url.startswith("ssh:"):
        return RsyncDestination(settings, tree)
    return WebDestination(settings.url, Web(network), login)


@contextmanager
def _tree(snapshot: Path, below: str) -> Iterator[Path]:
    """Yield a folder with links to what the snapshot has, under the names that it gets at the destination.

    They lead to the snapshot itself, since the visible link may be switched to the next one meanwhile.
    """
    with tempfile.TemporaryDirectory(prefix="push-") as folder:
        place = Path(folder) / below
        place.mkdir(parents=True)
        for entry in snapshot.iterdir():
            (place / entry.name).symlink_to(entry)
        yield Path(folder)


def _send_root_page(
    destination: Destination,
    page: Path,
    stack: str,
    platform: str,
    packages: int,
    address: str | None,
    say: Callable[[str], None],
) -> None:
    """Upload the page that lists all repositories there. A publication is whole without it: a refusal ends nothing."""
    try:
        if write_root_page(page, destination.read(INDEX), stack, platform, packages, address):
            destination.send([PushedFile(INDEX, page, of_file(page), page.stat().st_size)])
    except PushError as error:
        say(f"the page of all repositories is not up to date: {error.message}")


def _state(destination: Destination, below: str, key: bytes) -> _State | None:
    """Return the publication that is there; None if there is none that one of our keys signed."""
    manifest = destination.read(f"{below}/{MANIFEST}")
    signature = destination.read(f"{below}/{MANIFEST_SIGNATURE}") if manifest is not None else None
    if manifest is None or signature is None:
        return None
    with open_keyring(key) as keyring:
        if verify_detached(manifest, signature, keyring):
            return None
    contents = json.loads(manifest)
    names = {
        "{name}-{version}-{release}.{arch}.rpm".format(**package): package["sha256"] for package in contents["packages"]
    }
    return _State(contents["epoch"], names, manifest)


def _stages(
    snapshot: Path, below: str, theirs: _State | None, page: Path, *, packages_only: bool
) -> list[tuple[str, list[PushedFile]]]:
    """Return the files in the order of their upload: what others refer to comes before them."""
    complete = theirs is not None and theirs.manifest == (snapshot / MANIFEST).read_bytes()
    ours = {
        "{name}-{version}-{release}.{arch}.rpm".format(**package): str(package["sha256"])
        for package in json.loads((snapshot / MANIFEST).read_bytes())["packages"]
    }

    def file(name: str) -> PushedFile:
        path = snapshot / name
        folder, _, base = name.rpartition("/")
        sha256 = ours[base] if folder == PACKAGES else of_file(path)
        known = complete or (theirs is not None and folder == PACKAGES and theirs.digests.get(base) == sha256)
        return PushedFile(f"{below}/{name}", path, sha256, path.stat().st_size, known)

    packages = [file(f"{PACKAGES}/{name}") for name in sorted(ours)]
    if packages_only:
        return [("packages", packages)]
    last = {name for names in LAST for name in names}
    others = sorted(path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*") if path.is_file())
    documents = [name for name in others if name.startswith(f"{PROVENANCE}/")]
    metadata = [name for name in others if name not in last and not name.startswith((f"{PROVENANCE}/", f"{PACKAGES}/"))]
    return [
        ("packages", packages),
        ("SBOMs and attestations", [file(name) for name in documents]),
        ("keys and lists of packages", [file(name) for name in metadata]),
        ("page", [PushedFile(f"{below}/{INDEX}", page, of_file(page), page.stat().st_size, complete)]),
        *((names[-1], [file(name)]) for names in LAST for name in names),
    ]


def _require_sound(place: str, problems: tuple[object, ...]) -> None:
    if problems:
        text = "; ".join(f"{one.kind}: {one.subject}: {one.detail}" for one in problems)  # type: ignore[attr-defined]
        raise PublishError(f"{place}: {text}", hint="Publish again, or look who else writes there.")


def _await_listing(reader: AddressReader, wanted: Mapping[str, str], place: str, say: Callable[[str], None]) -> None:
    """Wait until the server's own metadata list all packages with their digests. Raises PushError."""
    deadline, told = time.monotonic() + LISTING_SECONDS, False
    while missing := _unlisted(reader, wanted):
        if time.monotonic() > deadline:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise PushError(
                f"{place}: the server does not list {missing[0]}{more}, {LISTING_SECONDS} s after the upload",
                hint="The repodata depth of the repository must lead to STACK/PLATFORM: 2, and 1 more for each further "
                "folder in publish.push.url.",
            )
        if not told:
            say(f"waiting for the server to list {len(missing)} packages")
            told = True
        time.sleep(LISTING_PAUSE)


def _unlisted(reader: AddressReader, wanted: Mapping[str, str]) -> list[str]:
    try:
        with reader.metadata(REPOMD) as path:
            records = read_repomd(path).records
        with (
            reader.metadata(records["primary"].location) as primary,
            reader.metadata(records["filelists"].location) as filelists,
        ):
            listed = {(one.location.rpartition("/")[2], one.checksum) for one in read_listing(primary, filelists)}
    except (MissingError, KeyError):
        return sorted(wanted)
    return [name for name, digest in sorted(wanted.items()) if (name, digest) not in listed]
