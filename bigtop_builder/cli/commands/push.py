"""The command repo push."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from bigtop_builder.cli import options
from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.model.errors import ConfigurationError


def push(
    invocation: Invocation,
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="URL",
            help="Where the root of repositories is uploaded to: https://… or ssh://USER@HOST/FOLDER. "
            "Default: publish.push.url of the project.",
            show_default=False,
        ),
    ] = None,
    platform: options.PublishedPlatforms = None,
    root: options.Root = None,
    accept_older: Annotated[
        bool, typer.Option("--accept-older", help="Replace a newer publication there by this one.")
    ] = False,
) -> None:
    """Upload publications to a web server, or over SSH: packages first, metadata last, and only what is missing."""
    from bigtop_builder.adapter.repository.seen import Seen
    from bigtop_builder.adapter.repository.snapshot import Publications
    from bigtop_builder.cli.text_format import count, size
    from bigtop_builder.flow.publish.push import push as push_publication

    settings = invocation.settings(
        publish__push__url=url, repository=str(invocation.cwd / root) if root is not None else None
    )
    target = settings.project.publish.push
    if target.url is None:
        raise ConfigurationError(
            "there is no place to upload to", hint="Give its address, or set publish.push.url in the project file."
        )
    stack = options.stack_name(settings)
    pushed = [
        push_publication(
            Publications(settings.repository, stack, name),
            stack,
            name,
            target,
            network=settings.project.network,
            seen=Seen(settings.store),
            say=invocation.say,
            accept_older=accept_older,
            base_url=settings.project.publish.base_url,
        )
        for name in platform or settings.project.platforms
    ]
    lines = [
        f"{one.place}: revision {one.revision}, {count(one.files, 'file')}, {one.uploaded} uploaded ({size(one.size)})"
        for one in pushed
    ]
    invocation.answer("\n".join(lines), [asdict(one) for one in pushed])
