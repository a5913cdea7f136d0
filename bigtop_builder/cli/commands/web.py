"""Commands for looking at runs elsewhere than on a terminal: web, report, mcp."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.model.errors import ConfigurationError

if TYPE_CHECKING:
    from bigtop_builder.cli.web.access import Access
    from bigtop_builder.cli.web.actions import Actions
    from bigtop_builder.cli.web.site import Site
    from bigtop_builder.recipe.inventory import LoadedInventory

TOKEN = "BIGTOP_WEB_TOKEN"
NICE = 10
M_ARENA_MAX, ARENAS = -8, 2
"""The name of the limit in glibc's malloc.h, and how many arenas all threads share."""
READERS = 512
"""The most connections at once; more are told to come back later."""

Inventories = Annotated[
    list[Path] | None,
    typer.Option(
        "--inventory",
        metavar="FILE",
        help="Also show how the cluster of this inventory is now; repeatable.",
        show_default=False,
    ),
]
Testbed = Annotated[
    str | None,
    typer.Option("--testbed", metavar="NAME", help="The inventories are of this test bed.", show_default=False),
]
AllowActions = Annotated[
    bool,
    typer.Option("--allow-actions", help="Permit to start, cancel and repeat builds and deployments."),
]


def web(
    invocation: Invocation,
    host: Annotated[str, typer.Option("--host", help="The address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port; 0 picks a free one.")] = 8484,
    inventory: Inventories = None,
    testbed: Testbed = None,
    allow_actions: AllowActions = False,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            metavar="FILE",
            help=f"Ask readers for the token in this file. Default: that of {TOKEN}; where one is required and none "
            "is given, a new one is printed.",
            show_default=False,
        ),
    ] = None,
    user_header: Annotated[
        str | None,
        typer.Option(
            "--user-header",
            metavar="NAME",
            help="Believe the user that a reverse proxy names in this header.",
            show_default=False,
        ),
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            "--trusted-proxy",
            metavar="ADDRESS",
            help="The address of that proxy; repeatable. Default: this machine.",
            show_default=False,
        ),
    ] = None,
    base_path: Annotated[
        str,
        typer.Option("--base-path", metavar="PATH", help="The path below which a proxy serves the pages."),
    ] = "",
) -> None:
    """Show runs, components, packages, repositories and clusters in a browser, until interrupted. Read-only, unless
    actions are allowed.
    """
    _require("web", "starlette", "uvicorn", "prometheus_client")
    import uvicorn

    from bigtop_builder.cli.web.app import Server, application

    access, fresh = _access(
        invocation, host, allow_actions, token_file, user_header, trusted_proxy or [], base_path.rstrip("/")
    )
    site = _site(invocation, inventory or [], testbed, access)
    config = uvicorn.Config(
        application(site),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=READERS,
        timeout_graceful_shutdown=3,
    )
    listener = _listen(config, host, port)
    name, number = listener.getsockname()[:2]
    address = f"http://{f'[{name}]' if ':' in name else name}:{number}{access.root}/"
    invocation.answer(address, {"address": address, **({"token": access.token} if fresh else {})})
    if fresh and not invocation.json:
        invocation.say(f"token: {access.token}")
    _be_modest()
    Server(config).run(sockets=[listener])


def _be_modest() -> None:
    """Leave the processor to builds that want it too, and keep no memory that was freed."""
    import ctypes
    from contextlib import suppress

    os.nice(NICE)
    # By default glibc keeps what was freed in an arena for each thread, and the server would grow for hours. Other C
    # libraries have no such function.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


def _listen(config: Any, host: str, port: int) -> Any:
    """Take the port now, so that a mistake is one line. Raises ConfigurationError."""
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), port))
        listener.listen(config.backlog)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {error.strerror or error}", hint="Choose another --port or --host."
        ) from error
    return listener


def _require(extra: str, *modules: str) -> None:
    """Raise ConfigurationError if an extra is not installed."""
    from importlib.util import find_spec

    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"this command needs {', '.join(missing)}", hint=f"Install it with: pip install 'bigtop-builder[{extra}]'"
        )


def _access(
    invocation: Invocation,
    host: str,
    actions: bool,
    token_file: Path | None,
    user_header: str | None,
    proxies: list[str],
    root: str,
) -> tuple[Access, bool]:
    """Return who may do what, and whether the token is a new one. Raises ConfigurationError."""
    import secrets

    from bigtop_builder.cli.web.access import SHORTEST, Access, is_loopback

    if root and not root.startswith("/"):
        raise ConfigurationError(f"--base-path {root!r} does not begin with a slash")
    token = _token(invocation, token_file)
    if token is not None and len(token) < SHORTEST:
        raise ConfigurationError(f"the token is shorter than {SHORTEST} characters", hint="openssl rand -hex 32")
    if proxies and user_header is None:
        raise ConfigurationError("--trusted-proxy is given without --user-header")
    fresh = token is None and user_header is None and (actions or not is_loopback(host))
    if fresh:
        token = secrets.token_hex(16)
    believed = frozenset(proxies or ("127.0.0.1", "::1"))
    names = frozenset({"127.0.0.1", "localhost", "[::1]", f"[{host}]" if ":" in host else host})
    return Access(token, user_header, believed, actions, names, root), fresh


def _token(invocation: Invocation, file: Path | None) -> str | None:
    if file is None:
        return invocation.environment.get(TOKEN) or None
    try:
        return (invocation.cwd / file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"--token-file {file} cannot be read: {error}") from error


def _site(invocation: Invocation, inventories: list[Path], testbed: str | None, access: Access) -> Site:
    """Return the site of the project here. Raises ConfigurationError."""
    from bigtop_builder.adapter.store import Store
    from bigtop_builder.cli.commands.deploy import load
    from bigtop_builder.cli.web.site import Site

    settings = invocation.settings()
    loaded: dict[str, LoadedInventory] = {}
    files: dict[str, Path] = {}
    for file in inventories:
        one = load(invocation, file, testbed)
        loaded[one.inventory.cluster], files[one.inventory.cluster] = one, invocation.cwd / file
    actions = _actions(invocation, files, testbed) if access.actions else None
    return Site(Store(settings.store), settings, access, loaded, actions)


def _actions(invocation: Invocation, files: dict[str, Path], testbed: str | None) -> Actions:
    from bigtop_builder.adapter.store import Store
    from bigtop_builder.cli.web.actions import Actions, ClusterFile
    from bigtop_builder.flow.open_project import open_project

    settings = invocation.settings()
    flags = ["--project", str((invocation.cwd / invocation.project).absolute())] if invocation.project else []
    flags += ["--store", str((invocation.cwd / invocation.store).absolute())] if invocation.store else []
    clusters = {name: ClusterFile(path.absolute(), testbed) for name, path in files.items()}
    return Actions(
        Store(settings.store),
        invocation.cwd,
        flags,
        clusters,
        lambda: open_project(invocation.settings()).components(),
    )


def report(
    invocation: Invocation,
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="The run, or how its name begins. Default: the newest of the project."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Where to write the report.", show_default=False)
    ] = None,
    language: Annotated[Literal["en", "zh"], typer.Option("--language", help="The language of the report.")] = "en",
) -> None:
    """Write a run as one HTML file that needs nothing else: graph, timeline, failures, packages, ends of logs."""
    from bigtop_builder.adapter.store import Store
    from bigtop_builder.cli.views.html.report import report as report_of
    from bigtop_builder.flow.run.records import find_run, read_run

    if html is None:
        raise ConfigurationError("no file was given", hint="Name one with --html FILE.")
    settings = invocation.settings()
    store = Store(settings.store)
    found = find_run(store, run, settings.root.absolute(), lambda one: one.state.begun)
    path = invocation.cwd / html
    text = report_of(read_run(store, found.folder, detailed=True), language)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"--html {html}: {error.strerror}") from error
    invocation.answer(str(path), {"run": found.id, "file": str(path)})


def mcp(
    invocation: Invocation,
    inventory: Inventories = None,
    testbed: Testbed = None,
    allow_actions: AllowActions = False,
) -> None:
    """Answer an assistant over the Model Context Protocol on standard input and output: plan, runs, logs of failures,
    packages, provenance, status. Read-only, unless actions are allowed.
    """
    _require("mcp", "mcp")
    _require("web", "starlette")
    from bigtop_builder.cli.web.access import Access
    from bigtop_builder.cli.web.mcp_server import server

    site = _site(invocation, inventory or [], testbed, Access(actions=allow_actions))
    server(site).run("stdio")
