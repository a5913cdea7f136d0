"""Commands about repositories: repo publish, serve, verify, compare."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bigtop_builder.cli import options
from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.model.errors import ConfigurationError, ExitCode, NothingSelectedError, PublishError

if TYPE_CHECKING:
    from bigtop_builder.adapter.rpm.gnupg import Signer
    from bigtop_builder.flow.publish.package_compare import Allowance
    from bigtop_builder.flow.publish.publisher import Publication
    from bigtop_builder.recipe.evaluate import Evaluated
    from bigtop_builder.recipe.settings import Settings

Packages = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[RPM]...",
        help="Package files, or folders of them; without any, the project's output of each platform.",
        show_default=False,
    ),
]
Root = Annotated[
    Path | None,
    typer.Option(
        "--root", metavar="DIR", help="The root of repositories, instead of the project's.", show_default=False
    ),
]
Platforms = Annotated[
    list[str] | None,
    typer.Option(
        "--platform",
        "-p",
        metavar="NAME",
        help="A platform, instead of the project's; may be repeated.",
        show_default=False,
        autocompletion=options.complete_platform,
    ),
]


def publish(
    invocation: Invocation,
    packages: Packages = None,
    platform: Platforms = None,
    root: Root = None,
    base_url: Annotated[
        str | None,
        typer.Option(
            "--base-url",
            metavar="URL",
            help="The address below which hosts will see the root; without it file:// of the root.",
            show_default=False,
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="KEY", help="The signing key, instead of the project's.", show_default=False),
    ] = None,
    make_key: Annotated[
        bool, typer.Option("--make-key", help="Make a signing key when there is none in the GnuPG home.")
    ] = False,
    keep_snapshots: Annotated[int, typer.Option("--keep-snapshots", min=2, help="How many publications to keep.")] = 3,
    keep_versions: Annotated[
        int | None,
        typer.Option(
            "--keep-versions", min=1, help="Versions of each package to keep; without it all.", show_default=False
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Let a package take the place of another of the same version.")
    ] = False,
    allow_foreign: Annotated[
        bool, typer.Option("--allow-foreign", help="Take packages that are labelled for another platform.")
    ] = False,
    only_these: Annotated[
        bool, typer.Option("--only-these", help="Leave out what was published before and is not given now.")
    ] = False,
) -> None:
    """Publish packages: signed, as a new snapshot that is switched in whole."""
    from bigtop_builder.adapter.store import Store
    from bigtop_builder.flow.open_project import open_packaging
    from bigtop_builder.flow.publish.publisher import Rules
    from bigtop_builder.flow.publish.publisher import publish as publish_packages
    from bigtop_builder.recipe.catalog import Catalog

    settings = invocation.settings(signing__key=key, repository=_text(invocation, root))
    catalog = Catalog(settings.overlays)
    stack = open_packaging(settings).stack.name
    chosen = platform or settings.project.platforms
    if packages and len(chosen) > 1:
        raise ConfigurationError("packages are given for several platforms", hint="Name one with --platform.")
    rules = Rules(base_url, keep_snapshots, keep_versions, replace, allow_foreign, only_these)
    given = {name: _package_files(invocation, packages, settings.output / name) for name in chosen}
    store = Store(settings.store)
    with _signer(settings, make_key, invocation) as signer:
        done = {
            name: publish_packages(files, settings.repository, stack, catalog.platform(name), signer, rules, store)
            for name, files in given.items()
        }
        fingerprint = signer.fingerprint
    text = "\n".join(_publication_text(one) for one in done.values())
    data = {name: {**_plain(asdict(one)), "key": fingerprint} for name, one in done.items()}
    invocation.answer(text, data)


def _text(invocation: Invocation, path: Path | None) -> str | None:
    return str(invocation.cwd / path) if path else None


def _plain(data: dict[str, object]) -> dict[str, object]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in data.items()}


def _publication_text(done: Publication) -> str:
    from bigtop_builder.cli.text_format import count

    change = f"{len(done.added)} added, {len(done.removed)} removed" if done.changed else "unchanged"
    head = f"{done.folder}: {count(done.packages, 'package')}, {change}"
    lines = [head, f"  repo file  {done.repo_file}", f"  key        {done.key_file}"]
    if done.not_attested:
        lines.append(
            f"  {count(len(done.not_attested), 'package')} without attestation, for no result in the store tells where "
            f"it came from: {', '.join(done.not_attested)}"
        )
    return "\n".join(lines)


def _package_files(invocation: Invocation, given: list[Path] | None, folder: Path) -> list[Path]:
    """The RPM files that are meant. Raises ConfigurationError and NothingSelectedError."""
    files: list[Path] = []
    for path in [invocation.cwd / path for path in given] if given else [folder]:
        if path.is_dir():
            files += sorted(path.glob("*.rpm"))
        elif path.is_file():
            files.append(path)
        elif given:
            raise ConfigurationError(f"there is no {path}")
    if not files:
        place = "in what is given" if given else f"in {folder}"
        raise NothingSelectedError(f"there are no packages {place}", hint="Build some first, or name their files.")
    return files


@contextlib.contextmanager
def _signer(settings: Settings, make: bool, invocation: Invocation) -> Iterator[Signer]:
    """The project's signing key; one that is made when it was asked for and there is none."""
    from bigtop_builder.adapter.rpm.gnupg import make_key, open_signer
    from bigtop_builder.adapter.secret import read_secret

    signing = settings.project.signing
    homedir = Path(signing.homedir) if signing.homedir else settings.store / "gnupg"
    passphrase = read_secret(signing.passphrase, "signing.passphrase") if signing.passphrase else None
    if not any((homedir / "private-keys-v1.d").glob("*.key")):
        if not make:
            raise PublishError(
                f"there is no signing key in {homedir}",
                hint="Use --make-key to have one made, or set signing.key and signing.homedir in the project file.",
            )
        fingerprint = make_key(homedir, f"{settings.project.stack} packages", "packages@localhost", passphrase)
        invocation.say(f"made the signing key {fingerprint} in {homedir}; keep that folder safe")
    with open_signer(homedir, signing.key, passphrase) as signer:
        yield signer


def serve(
    invocation: Invocation,
    root: Root = None,
    host: Annotated[str, typer.Option("--host", help="The address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port; 0 chooses a free one.")] = 8080,
) -> None:
    """Serve the repositories over HTTP, read-only, until interrupted."""
    from bigtop_builder.flow.publish.server import serve as serve_root

    settings = invocation.settings(repository=_text(invocation, root))
    serve_root(
        settings.repository,
        host,
        port,
        log=invocation.say,
        ready=lambda address: invocation.answer(address, {"address": address}),
    )


def verify(
    invocation: Invocation,
    place: Annotated[
        str | None,
        typer.Argument(
            metavar="[PLACE]",
            help="A folder or address of a repository; without it the project's.",
            show_default=False,
        ),
    ] = None,
    platform: Platforms = None,
    root: Root = None,
    key: Annotated[
        Path | None,
        typer.Option(
            "--key",
            metavar="FILE",
            help="The public key to trust; without it the one beside the repository.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Verify a repository: signatures, digests, duplicates, and that every requirement is met."""
    from bigtop_builder.cli.text_format import count
    from bigtop_builder.flow.publish.verifier import verify as verify_repository
    from bigtop_builder.recipe.catalog import Catalog

    settings = invocation.settings(repository=_text(invocation, root))
    catalog = Catalog(settings.overlays)
    trusted = _read_key(invocation.cwd / key) if key else None
    chosen = platform or settings.project.platforms
    if place is not None and len(chosen) > 1:
        raise ConfigurationError("a place is given for several platforms", hint="Name one with --platform.")
    verdicts = {}
    for name in chosen:
        where = place or str(settings.repository / options.stack_name(settings) / name)
        described = catalog.platform(name)
        system = [*described.host_provides, *described.system_provides]
        verdicts[where] = verify_repository(where, key=trusted, system=system)
    lines: list[str] = []
    for where, verdict in verdicts.items():
        lines += [f"{problem.kind}: {problem.subject}: {problem.detail}" for problem in verdict.problems]
        lines.append(f"{where}: {count(verdict.packages, 'package')}, {count(len(verdict.problems), 'problem')}")
    invocation.answer("\n".join(lines), {where: asdict(verdict) for where, verdict in verdicts.items()})
    if any(verdict.problems for verdict in verdicts.values()):
        raise typer.Exit(ExitCode.PUBLISH)


def _read_key(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"--key {path}: {error.strerror}") from error


def compare(
    invocation: Invocation,
    packages: Packages = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option(
            "--reference",
            metavar="FILE",
            help="What packages ought to be: a JSON list of their metadata; may be repeated.",
            show_default=False,
        ),
    ] = None,
    allow: Annotated[
        Path | None,
        typer.Option(
            "--allow",
            metavar="FILE",
            help="YAML with the differences that are meant: allow: [{reason, package, kind, subject}].",
            show_default=False,
        ),
    ] = None,
    platform: Platforms = None,
) -> None:
    """Compare packages with reference metadata; differences that no component file explains fail."""
    from bigtop_builder.adapter.rpm.header import read_header
    from bigtop_builder.flow.publish.package_compare import allowances, as_text, read_reference
    from bigtop_builder.flow.publish.package_compare import compare as compare_packages

    settings = invocation.settings()
    if not reference:
        raise ConfigurationError("no reference is given", hint="Name one with --reference FILE.")
    files = {
        path: None
        for name in platform or settings.project.platforms
        for path in _package_files(invocation, packages, settings.output / name)
    }
    rules = _allowances(invocation.cwd / allow) if allow else []
    rules += allowances(_recipes(settings, platform or settings.project.platforms))
    expected = read_reference(invocation.cwd / path for path in reference)
    differences = compare_packages(map(read_header, files), expected, allow=rules)
    invocation.answer(as_text(differences), [asdict(difference) for difference in differences])
    if any(difference.explained is None for difference in differences):
        raise typer.Exit(ExitCode.PUBLISH)


def _recipes(settings: Settings, platforms: list[str]) -> Iterator[Evaluated]:
    """Every component of the stack, as it would be built: what it says of its differences is among it."""
    from bigtop_builder.flow.open_project import open_project
    from bigtop_builder.plan.task import Refusal

    project = open_project(settings)
    for name in project.components():
        for platform in {*platforms, project.builder_platform or platforms[0]}:
            evaluated = project.evaluate(name, platform)
            if not isinstance(evaluated, Refusal):
                yield evaluated


def _allowances(file: Path) -> list[Allowance]:
    """The rules of an allowance file. Raises ConfigurationError with the place of a mistake."""
    from bigtop_builder.flow.publish.package_compare import Allowance
    from bigtop_builder.recipe.document import load

    document = load(file)
    rules = document.data.get("allow")
    if set(document.data) != {"allow"} or not isinstance(rules, list):
        raise ConfigurationError("must have one key, allow, with a list", location=document.locate(()))
    known = {"reason", "package", "kind", "subject"}
    for number, rule in enumerate(rules):
        if not isinstance(rule, dict) or "reason" not in rule or set(rule) - known:
            message = f"a rule has reason and may have {', '.join(sorted(known - {'reason'}))}"
            raise ConfigurationError(message, location=document.locate(("allow", number)))
    return [Allowance(**{name: str(value) for name, value in rule.items()}) for rule in rules]
