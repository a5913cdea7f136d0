"""Commands for package repositories: repo publish, serve, verify, compare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bigtop_builder.cli import options
from bigtop_builder.cli.commands.signing import (
    answer_publications,
    open_signing_key,
    valid_seconds,
)
from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.model.errors import ConfigurationError, ExitCode, NothingSelectedError

if TYPE_CHECKING:
    from bigtop_builder.flow.publish.package_compare import Allowance
    from bigtop_builder.recipe.evaluate import Evaluated
    from bigtop_builder.recipe.settings import Settings

Packages = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="RPM",
        help="Package files, or folders of them. Default: the project's output folder of each platform.",
        show_default=False,
    ),
]

BaseUrl = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        metavar="URL",
        help="The address at which hosts reach the root. Default: the project's, or the former publication's.",
        show_default=False,
    ),
]
ValidFor = Annotated[
    str | None,
    typer.Option(
        "--valid-for",
        metavar="TIME",
        help="Have repo verify report this publication as expired after 12h, 30d or 8w. Default: the project's.",
        show_default=False,
    ),
]


def publish(
    invocation: Invocation,
    packages: Packages = None,
    platform: options.PublishedPlatforms = None,
    root: options.Root = None,
    base_url: BaseUrl = None,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="KEY", help="Sign with this key instead of the project's.", show_default=False),
    ] = None,
    make_key: Annotated[
        bool, typer.Option("--make-key", help="Generate a signing key if the GnuPG home has none.")
    ] = False,
    keep_snapshots: Annotated[int, typer.Option("--keep-snapshots", min=2, help="How many snapshots to keep.")] = 3,
    keep_versions: Annotated[
        int | None,
        typer.Option(
            "--keep-versions",
            min=1,
            help="How many versions of a package to keep. Default: all.",
            show_default=False,
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace a published package of the same version.")
    ] = False,
    allow_foreign: Annotated[
        bool, typer.Option("--allow-foreign", help="Accept packages that are labelled for another platform.")
    ] = False,
    only_these: Annotated[
        bool, typer.Option("--only-these", help="Drop published packages that are not given now.")
    ] = False,
    valid_for: ValidFor = None,
) -> None:
    """Publish packages as a new signed snapshot, which replaces the previous one in one step."""
    from bigtop_builder.adapter.provenance.dsse import attestation_key
    from bigtop_builder.adapter.store import Store
    from bigtop_builder.flow.open_project import open_packaging
    from bigtop_builder.flow.publish.publisher import Rules
    from bigtop_builder.flow.publish.publisher import publish as publish_packages
    from bigtop_builder.recipe.catalog import Catalog

    settings = invocation.settings(
        signing__key=key,
        signing__valid_for=valid_for,
        publish__base_url=base_url,
        repository=_text(invocation, root),
    )
    catalog = Catalog(settings.overlays)
    stack = open_packaging(settings).stack
    chosen = platform or settings.project.platforms
    if packages and len(chosen) > 1:
        raise ConfigurationError("packages are given for several platforms", hint="Name one with --platform.")
    valid, attestor = valid_seconds(settings.project), attestation_key(settings.project.signing)
    rules = Rules(
        base_url=settings.project.publish.base_url,
        stack=stack,
        keep_snapshots=keep_snapshots,
        keep_versions=keep_versions,
        replace=replace,
        allow_foreign=allow_foreign,
        only_these=only_these,
        valid_for=valid,
        attestor=attestor,
    )
    given = {name: _package_files(invocation, packages, settings.output / name) for name in chosen}
    store = Store(settings.store)
    with open_signing_key(settings, invocation, make=make_key) as signer:
        done = {
            name: publish_packages(files, settings.repository, stack.name, catalog.platform(name), signer, rules, store)
            for name, files in given.items()
        }
        fingerprint = signer.fingerprint
    answer_publications(invocation, done, fingerprint)


def _text(invocation: Invocation, path: Path | None) -> str | None:
    return str(invocation.cwd / path) if path else None


def _package_files(invocation: Invocation, given: list[Path] | None, folder: Path) -> list[Path]:
    """Return the RPM files to use. Raises ConfigurationError, NothingSelectedError."""
    files: list[Path] = []
    for path in [invocation.cwd / path for path in given] if given else [folder]:
        if path.is_dir():
            files += sorted(path.glob("*.rpm"))
        elif path.is_file():
            files.append(path)
        elif given:
            raise ConfigurationError(f"{path} does not exist")
    if not files:
        place = "the given folders" if given else str(folder)
        raise NothingSelectedError(f"no packages in {place}", hint="Build some first, or name their files.")
    return files


def _on_a_host(commands: list[str]) -> list[str]:
    return [f"  {'on a host:' if number == 0 else 'or:':>10} {command}" for number, command in enumerate(commands)]


def serve(
    invocation: Invocation,
    root: options.Root = None,
    host: Annotated[str, typer.Option("--host", help="The address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port; 0 picks a free one.")] = 8080,
) -> None:
    """Serve the repositories over HTTP, read-only, until interrupted."""
    from bigtop_builder.flow.publish.repo_file import install_lines
    from bigtop_builder.flow.publish.served_repo_files import publications
    from bigtop_builder.flow.publish.server import serve as serve_root

    settings = invocation.settings(repository=_text(invocation, root))

    def ready(address: str) -> None:
        files = [f"{address}/{one.repo_file}" for one in publications(settings.repository)]
        lines = [line for file in files for line in _on_a_host(install_lines(file))]
        invocation.answer("\n".join([address, *lines]), {"address": address, "repo_files": files})

    serve_root(settings.repository, host, port, log=invocation.say, ready=ready)


def verify(
    invocation: Invocation,
    place: Annotated[
        str | None,
        typer.Argument(
            metavar="PLACE",
            help="A folder or address of a repository. Default: the project's.",
            show_default=False,
        ),
    ] = None,
    platform: options.PublishedPlatforms = None,
    root: options.Root = None,
    key: Annotated[
        Path | None,
        typer.Option(
            "--key",
            metavar="FILE",
            help="The public key to trust. Default: the one beside the repository.",
            show_default=False,
        ),
    ] = None,
    accept_older: Annotated[
        bool,
        typer.Option("--accept-older", help="Accept a state that is older than one seen here before, from now on."),
    ] = False,
) -> None:
    """Verify a repository: signatures, digests, freshness, duplicates, and that all requirements are met."""
    from bigtop_builder.adapter.repository.seen import Seen
    from bigtop_builder.cli.text_format import count
    from bigtop_builder.flow.publish.verifier import verify as verify_repository
    from bigtop_builder.recipe.catalog import Catalog

    settings = invocation.settings(repository=_text(invocation, root))
    catalog = Catalog(settings.overlays)
    trusted = _read_key(invocation.cwd / key) if key else None
    chosen = platform or settings.project.platforms
    if place is not None and len(chosen) > 1:
        raise ConfigurationError("a place is given, but there are several platforms", hint="Name one with --platform.")
    verdicts, seen = {}, Seen(settings.store)
    for name in chosen:
        where = place or str(settings.repository / options.stack_name(settings) / name)
        described = catalog.platform(name)
        system = [*described.host_provides, *described.system_provides]
        verdicts[where] = verify_repository(
            where,
            key=trusted,
            system=system,
            seen=seen,
            accept_older=accept_older,
            project=settings.project,
            platform=described,
        )
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
            help="The expected packages: a JSON list of their metadata; repeatable.",
            show_default=False,
        ),
    ] = None,
    allow: Annotated[
        Path | None,
        typer.Option(
            "--allow",
            metavar="FILE",
            help="YAML with accepted differences: allow: [{reason, package, kind, subject}].",
            show_default=False,
        ),
    ] = None,
    platform: options.PublishedPlatforms = None,
) -> None:
    """Compare packages with reference metadata. Differences that no component file explains fail."""
    from bigtop_builder.adapter.rpm.header import read_header
    from bigtop_builder.flow.publish.package_compare import allowances, as_text, read_reference
    from bigtop_builder.flow.publish.package_compare import compare as compare_packages

    settings = invocation.settings()
    if not reference:
        raise ConfigurationError("no reference was given", hint="Name one with --reference FILE.")
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
    """Yield every component of the stack as it would be built, with its explained differences."""
    from bigtop_builder.flow.open_project import open_project
    from bigtop_builder.plan.task import Refusal

    project = open_project(settings)
    for name in project.components():
        for platform in {*platforms, project.builder_platform or platforms[0]}:
            evaluated = project.evaluate(name, platform)
            if not isinstance(evaluated, Refusal):
                yield evaluated


def _allowances(file: Path) -> list[Allowance]:
    """Read the rules of an allowance file. Raises ConfigurationError with the place of a mistake."""
    from bigtop_builder.flow.publish.package_compare import Allowance
    from bigtop_builder.recipe.document import load

    document = load(file)
    rules = document.data.get("allow")
    if set(document.data) != {"allow"} or not isinstance(rules, list):
        raise ConfigurationError("must have exactly one key, allow, with a list", location=document.locate(()))
    known = {"reason", "package", "kind", "subject"}
    for number, rule in enumerate(rules):
        if not isinstance(rule, dict) or "reason" not in rule or set(rule) - known:
            message = f"a rule needs a reason and may have {', '.join(sorted(known - {'reason'}))}"
            raise ConfigurationError(message, location=document.locate(("allow", number)))
    return [Allowance(**{name: str(value) for name, value in rule.items()}) for rule in rules]
