"""The project's signing key: open it for commands that sign, and repo rotate-key."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bigtop_builder.cli import options
from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.model.errors import ConfigurationError, PublishError

if TYPE_CHECKING:
    from bigtop_builder.adapter.rpm.gnupg import Signer
    from bigtop_builder.flow.publish.key_rotation import KeyChange
    from bigtop_builder.flow.publish.publisher import Publication
    from bigtop_builder.model.platform import Platform
    from bigtop_builder.model.project import ProjectFile
    from bigtop_builder.recipe.settings import Settings


def rotate_key(
    invocation: Invocation,
    key: Annotated[
        str | None,
        typer.Argument(
            metavar="KEY",
            help="The new key: fingerprint or user id in the project's GnuPG home.",
            show_default=False,
        ),
    ] = None,
    make_key: Annotated[bool, typer.Option("--make-key", help="Generate the new key.")] = False,
    announce: Annotated[
        bool, typer.Option("--announce", help="Name the new key in the .repo file, and go on signing with the old one.")
    ] = False,
    finish: Annotated[bool, typer.Option("--finish", help="Name the project's signing key alone.")] = False,
    platform: options.PublishedPlatforms = None,
    root: options.Root = None,
) -> None:
    """Change the signing key of what is published, step by step: --announce, then KEY alone, then --finish.

    Everything published is signed again with the new key; the .repo file names the old one too until --finish.
    """
    from bigtop_builder.adapter.provenance.dsse import attestation_key
    from bigtop_builder.adapter.store import Store
    from bigtop_builder.flow.open_project import open_packaging
    from bigtop_builder.flow.publish.publisher import Rules, publish
    from bigtop_builder.recipe.catalog import Catalog

    if finish == bool(key or make_key) or (finish and announce) or (key and make_key):
        raise ConfigurationError(
            "name a new key, generate one with --make-key, or end a rotation with --finish",
            hint="See docs/publishing.md for the steps.",
        )
    settings = invocation.settings(repository=str(invocation.cwd / root) if root else None)
    catalog, stack = Catalog(settings.overlays), open_packaging(settings).stack.name
    chosen = [catalog.platform(name) for name in platform or settings.project.platforms]
    new = _new_key(settings, invocation, key, stack) if not finish else None
    with open_signing_key(settings, invocation, key=None if announce else new) as signer:
        change = _change(settings, new if announce else None, finish, chosen)
        valid_for, attestor = valid_seconds(settings.project), attestation_key(settings.project.signing)
        base_url = settings.project.publish.base_url
        rules = Rules(base_url=base_url, valid_for=valid_for, keys=change, attestor=attestor)
        done = {
            one.name: publish([], settings.repository, stack, one, signer, rules, Store(settings.store))
            for one in chosen
        }
        answer_publications(invocation, done, signer.fingerprint)
    if new is not None and not announce and new != settings.project.signing.key:
        invocation.say(f"set signing.key in the project file to {new}: repo publish signs with it from now on")


def _new_key(settings: Settings, invocation: Invocation, key: str | None, stack: str) -> str:
    """Return the fingerprint of the new key; generate it if none is named."""
    from bigtop_builder.adapter.rpm.gnupg import open_signer

    homedir, passphrase = _home(settings)
    if key is None:
        return _make(homedir, stack, passphrase, invocation)
    with open_signer(homedir, key, passphrase) as signer:
        return signer.fingerprint


def _change(settings: Settings, announced: str | None, finish: bool, platforms: Sequence[Platform]) -> KeyChange:
    from bigtop_builder.adapter.rpm.gnupg import open_signer
    from bigtop_builder.flow.publish.key_rotation import KeyChange
    from bigtop_builder.flow.publish.rpm_rules import check_key

    if announced is None:
        return KeyChange(keep_former=not finish, only_signing=finish)
    homedir, passphrase = _home(settings)
    with open_signer(homedir, announced, passphrase) as signer:
        for platform in platforms:
            check_key(signer, platform)
        return KeyChange(announce=(signer.public_key(),))


def _home(settings: Settings) -> tuple[Path, str | None]:
    """Return the GnuPG home and the passphrase of the project's keys."""
    from bigtop_builder.adapter.secret import read_secret

    signing = settings.project.signing
    homedir = Path(signing.homedir) if signing.homedir else settings.store / "gnupg"
    return homedir, read_secret(signing.passphrase, "signing.passphrase") if signing.passphrase else None


def _make(homedir: Path, stack: str, passphrase: str | None, invocation: Invocation) -> str:
    from bigtop_builder.adapter.rpm.gnupg import make_key

    fingerprint = make_key(homedir, f"{stack} packages", "packages@localhost", passphrase)
    invocation.say(f"generated the signing key {fingerprint} in {homedir}; keep that folder safe")
    return fingerprint


@contextlib.contextmanager
def open_signing_key(
    settings: Settings, invocation: Invocation, *, make: bool = False, key: str | None = None
) -> Iterator[Signer]:
    """Open the project's signing key, or another of its home; with ``make`` generate one if there is none.

    Raises PublishError.
    """
    from bigtop_builder.adapter.rpm.gnupg import open_signer

    homedir, passphrase = _home(settings)
    if not any((homedir / "private-keys-v1.d").glob("*.key")):
        if not make:
            raise PublishError(
                f"no signing key in {homedir}",
                hint="Generate one with --make-key, or set signing.key and signing.homedir in the project file.",
            )
        _make(homedir, settings.project.stack, passphrase, invocation)
    with open_signer(homedir, key or settings.project.signing.key, passphrase) as signer:
        yield signer


def valid_seconds(project: ProjectFile) -> int | None:
    """Return after how many seconds a publication expires; None if it does not."""
    from bigtop_builder.model.base import seconds

    return seconds(project.signing.valid_for) if project.signing.valid_for else None


def answer_publications(invocation: Invocation, done: Mapping[str, Publication], key: str) -> None:
    """Report publications by platform; ``key`` is the fingerprint that signed them."""
    text = "\n".join(_publication_text(one) for one in done.values())
    data = {name: {**_plain(asdict(one)), "key": key} for name, one in done.items()}
    invocation.answer(text, data)


def _plain(data: dict[str, object]) -> dict[str, object]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in data.items()}


def _publication_text(done: Publication) -> str:
    from bigtop_builder.cli.text_format import count

    change = f"{len(done.added)} added, {len(done.removed)} removed" if done.changed else "unchanged"
    if done.signed_again:
        change += f", {len(done.signed_again)} signed again because the key is another"
    head = f"{done.folder}: {count(done.packages, 'package')}, {change}"
    known = done.repo_file or "none: give the address with --base-url or publish.base_url, or use repo serve"
    lines = [head, f"  repo file  {known}"]
    if done.local_address:
        lines += [
            f"             names {done.local_address}, which other hosts do not reach: give the address at which they",
            "             reach the root with --base-url or publish.base_url, or use repo serve",
        ]
    lines.append(f"  key        {done.key_file}")
    lines += [f"  and        {done.folder / name}" for name in done.keys[1:]]
    if done.expires is not None:
        lines.append(f"  expires    {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime(done.expires))}")
    if done.not_attested:
        lines.append(
            f"  {count(len(done.not_attested), 'package')} without attestation, because no result in the store has "
            f"the provenance: {', '.join(done.not_attested)}"
        )
    return "\n".join(lines)
