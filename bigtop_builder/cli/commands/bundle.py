"""Commands for bundles, which take builds to sites without internet: bundle create, verify, load."""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from bigtop_builder.cli import options
from bigtop_builder.cli.commands.build import Selection
from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.cli.text_format import printable
from bigtop_builder.model.errors import ConfigurationError, ExitCode

if TYPE_CHECKING:
    from bigtop_builder.adapter.bundle.reader import BundleReader
    from bigtop_builder.adapter.rpm.gnupg import Signer
    from bigtop_builder.flow.bundle.creator import Created
    from bigtop_builder.flow.bundle.loader import Loaded
    from bigtop_builder.model.bundle import Part
    from bigtop_builder.recipe.settings import Settings

SHOW_SECONDS = 0.5

BundlePlace = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle: an archive or a folder.")]
Key = Annotated[
    Path | None,
    typer.Option(
        "--key", metavar="FILE", help="The public key that must have signed the manifest.", show_default=False
    ),
]
KeepGoing = Annotated[bool, typer.Option("--keep-going", "-k", help="Leave out what cannot be built, and exit with 4.")]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PLACE",
        help="An archive if it ends in .tar, else a new folder. Default: bundle-STACK.tar.",
        show_default=False,
    ),
]
Without = Annotated[
    list[str] | None,
    typer.Option(
        "--without",
        metavar="PART",
        help="Leave out this part: sources, caches, images, wheels, repositories or project; repeatable.",
        show_default=False,
    ),
]
PackagesOnly = Annotated[bool, typer.Option("--packages-only", help="Leave out everything that only builds need.")]
Include = Annotated[
    list[Path] | None,
    typer.Option(
        "--include",
        metavar="PATH",
        help="Add a file or folder, such as Ambari's packages; repeatable.",
        show_default=False,
    ),
]


def create(
    invocation: Invocation,
    components: options.Components = None,
    everything: options.All = False,
    platform: options.Platforms = None,
    with_dependencies: options.WithDependencies = False,
    sets: options.Set = None,
    builder: options.Builder = None,
    native: options.Native = None,
    jobs: options.Jobs = None,
    keep_going: KeepGoing = False,
    output: Output = None,
    without: Without = None,
    packages_only: PackagesOnly = False,
    include: Include = None,
) -> None:
    """Collect what a site without internet access needs to build and deploy. What is not built yet is built first."""
    from bigtop_builder.cli.views.watch import Watch
    from bigtop_builder.flow.build.builder import build
    from bigtop_builder.flow.bundle.creator import Wanted, create_bundle
    from bigtop_builder.flow.packagings import PACKAGINGS

    selection = Selection(
        components=components or [],
        everything=everything,
        platforms=platform or [],
        with_dependencies=with_dependencies,
        with_dependants=False,
        sets=sets or [],
        sources=[],
        builder=builder,
        native=native,
        packaging=None,
        locks=None,
        force=False,
    )
    project, request = selection.open(invocation, keep_going=keep_going, limits__jobs=jobs)
    parts = _parts(without or [], packages_only)
    target = invocation.cwd / (output or f"bundle-{project.stack.name}.tar")
    with (
        _signer(project.settings) as signer,
        Watch(invocation) as watch,
        Meter(invocation, "writing") as meter,
    ):
        included = [invocation.cwd / path for path in include or ()]
        wanted = Wanted(parts, included, signer, invocation.say, meter)
        made = create_bundle(project, request, wanted, target, lambda one: build(project, one, watch, PACKAGINGS))
    invocation.answer(_created_text(made), {**asdict(made), "place": str(made.place)})
    for name in made.left_out:
        invocation.say(f"left out because it cannot be built: {name}")
    if made.left_out:
        raise typer.Exit(ExitCode.PART_FAILED)


def _parts(without: list[str], packages_only: bool) -> frozenset[Part]:
    """Return the parts that go in. Raises ConfigurationError for an unknown part."""
    from bigtop_builder.model.bundle import BUILDING, Part
    from bigtop_builder.recipe.document import near

    known: frozenset[Part] = frozenset(get_args(Part))
    for name in without:
        if name not in known:
            raise ConfigurationError(f"--without {name!r} is not a part of a bundle", hint=near(name, known) or None)
    return known - set(without) - (BUILDING if packages_only else frozenset())


def verify(invocation: Invocation, bundle: BundlePlace, key: Key = None) -> None:
    """Verify every file of a bundle against its manifest, and the manifest against a key."""
    from bigtop_builder.cli.text_format import count, size
    from bigtop_builder.flow.bundle.verifier import GOOD, NONE, verify_bundle

    reader = _open(invocation, bundle)
    with Meter(invocation, "reading") as meter:
        verdict = verify_bundle(reader, _key(invocation, key), meter)
    lines = [f"missing: {name}" for name in verdict.missing]
    lines += [f"not in the manifest: {name}" for name in verdict.extra]
    lines += [f"altered: {name} ({why})" for name, why in verdict.altered.items()]
    wrong = len(lines)
    signature = "not signed" if verdict.signature == NONE else f"signature {verdict.signature}"
    by = f" of key {verdict.signed_by}" if verdict.signed_by else ""
    lines.append(f"{reader.place}: {count(verdict.files, 'file')}, {size(verdict.size)}, {count(wrong, 'problem')}")
    lines.append(f"{signature}{by}")
    invocation.answer("\n".join(lines), {**asdict(verdict), "manifest": reader.manifest.model_dump(exclude={"files"})})
    if not verdict.whole:
        raise typer.Exit(ExitCode.SOURCE)
    if key is not None and verdict.signature != GOOD:
        raise typer.Exit(ExitCode.PUBLISH)


def load(
    invocation: Invocation,
    bundle: BundlePlace,
    key: Key = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace existing files that differ from the bundle's.")
    ] = False,
    accept_unsigned: Annotated[
        bool,
        typer.Option("--accept-unsigned", help="Load a bundle although nothing proves who made it and its contents."),
    ] = False,
) -> None:
    """Load a bundle into the store, the container engine and the project's folder, and verify each file.

    Its manifest must be signed by the key that --key names.
    """
    from bigtop_builder.adapter.store import Store
    from bigtop_builder.flow.bundle.loader import Loading
    from bigtop_builder.flow.bundle.verifier import require_signature

    reader = _open(invocation, bundle)
    if key is not None and accept_unsigned:
        raise ConfigurationError("--key and --accept-unsigned exclude each other", hint="Leave one of them out.")
    for text in require_signature(reader, _key(invocation, key), accept_unsigned=accept_unsigned):
        invocation.say(text)
    reader.expect_all()
    with Meter(invocation, "reading") as meter:
        loading = Loading(reader, replace=replace, progress=meter)
        loading.project(invocation.settings().root)
        # The project file that was just loaded may name another store and another root of repositories.
        settings = invocation.settings()
        loading.repositories(settings.repository)
        loading.store(Store(settings.store))
    loaded, commands = loading.loaded, _next_commands(invocation, reader)
    data = {**asdict(loaded), "store": str(settings.store), "root": str(settings.root), "next": commands}
    invocation.answer(_loaded_text(loaded, commands), data)
    for name in loaded.kept:
        invocation.say(f"kept: {name} differs from the bundle; --replace overwrites it")
    if loaded.no_engine:
        invocation.say(f"images not loaded: {', '.join(loaded.waiting)}\n{loaded.no_engine}")
        raise typer.Exit(ExitCode.ENGINE)
    if loaded.kept:
        raise typer.Exit(ExitCode.PART_FAILED)


def _open(invocation: Invocation, bundle: Path) -> BundleReader:
    from bigtop_builder.adapter.bundle.reader import BundleReader

    return BundleReader(invocation.cwd / bundle)


def _key(invocation: Invocation, key: Path | None) -> bytes | None:
    if key is None:
        return None
    try:
        return (invocation.cwd / key).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"--key {key}: {error.strerror}") from error


@contextlib.contextmanager
def _signer(settings: Settings) -> Iterator[Signer | None]:
    """Open the project's signing key; None when it has none."""
    from bigtop_builder.adapter.rpm.gnupg import open_signer
    from bigtop_builder.adapter.secret import read_secret

    signing = settings.project.signing
    homedir = Path(signing.homedir) if signing.homedir else settings.store / "gnupg"
    if not any((homedir / "private-keys-v1.d").glob("*.key")):
        yield None
        return
    passphrase = read_secret(signing.passphrase, "signing.passphrase") if signing.passphrase else None
    with open_signer(homedir, signing.key, passphrase) as signer:
        yield signer


def _created_text(made: Created) -> str:
    from bigtop_builder.cli.text_format import columns, count, size, span

    rows = [(f"  {part}", size(number)) for part, number in sorted(made.parts.items())]
    seconds = ", ".join(f"{stage} {span(number)}" for stage, number in made.seconds.items())
    signed = f"signed by {made.signed_by}" if made.signed_by else "not signed: the project has no signing key"
    head = f"{made.place}: {count(len(made.components), 'component')}, {size(made.size)}"
    return "\n".join([head, columns(rows), f"  {seconds}", f"  {signed}"])


def _loaded_text(loaded: Loaded, commands: list[str]) -> str:
    from bigtop_builder.cli.text_format import columns

    parts = sorted({*loaded.new, *loaded.same})
    rows = [(part, f"{loaded.new.get(part, 0)} new", f"{loaded.same.get(part, 0)} existing") for part in parts]
    return "\n".join([columns(rows), "", "Next:", *(f"  {command}" for command in commands)])


def _next_commands(invocation: Invocation, reader: BundleReader) -> list[str]:
    """Return the commands to run after a load."""
    manifest = reader.manifest
    flags = ["--store", str(invocation.store)] if invocation.store else []
    names = list(dict.fromkeys(component.name for component in manifest.components))
    platforms = [text for platform in manifest.platforms for text in ("--platform", platform)]
    commands = []
    if manifest.python is not None:
        commands.append("pip install --no-index --find-links wheels 'bigtop-builder[publish]'")
    if manifest.images is not None and names:
        commands.append(shlex.join(["bigtop-builder", "build", *names, *platforms, "--offline", *flags]))
    if manifest.repositories:
        commands += [shlex.join(["bigtop-builder", "repo", "verify", *platforms]), "bigtop-builder repo serve"]
    return commands


class Meter:
    """Shows the progress of writing or reading a bundle, in one line on a terminal."""

    def __init__(self, invocation: Invocation, doing: str) -> None:
        self._doing = doing
        self._live = sys.stderr.isatty() and not invocation.quiet and invocation.environment.get("TERM") != "dumb"
        self._done = 0
        self._shown = 0.0

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def __call__(self, name: str, size: int) -> None:
        """Count ``size`` more bytes, of the file ``name``."""
        from bigtop_builder.cli.text_format import size as as_text

        self._done += size
        now = time.monotonic()
        if self._live and now - self._shown >= SHOW_SECONDS:
            self._shown = now
            sys.stderr.write(f"\r\x1b[K{self._doing} {as_text(self._done)}  {printable(name[:60])}")
            sys.stderr.flush()
