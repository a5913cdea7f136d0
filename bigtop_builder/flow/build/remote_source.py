"""A user's own source that is not on this machine: ``git+URL@REF``, or an archive at an address with its digest."""

from __future__ import annotations

import re
import threading
from urllib.parse import parse_qs, urldefrag, urlsplit

from pydantic import ValidationError

from bigtop_builder.adapter.sources import Fetched, Fetcher
from bigtop_builder.adapter.sources.first_use import commit_of
from bigtop_builder.adapter.store import Store
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.source import GitSource, HttpsSource, Source
from bigtop_builder.recipe.settings import Settings

GIT = re.compile(r"git\+(?P<url>[a-z]+://[^/]*/[^@]+?)(?:@(?P<reference>[^@]+))?$")
COMMIT = re.compile(r"[0-9a-f]{40}")


def fetch_source(settings: Settings, component: str, text: str, *, offline: bool) -> Fetched:
    """Return the archive in the store of what ``--source COMPONENT=TEXT`` names, fetched if need be.

    A branch or tag is the commit that it points to now. Raises ConfigurationError for a text that is not understood,
    SourceError, StoreError.
    """
    try:
        if urlsplit(text.removeprefix("git+")).password:
            raise ConfigurationError(
                f"--source {component}=… has a password in its address, which the record of the run would keep",
                hint="Give it to git's credential helper, or to ~/.netrc.",
            )
        source = _git(settings, text, offline) if text.startswith("git+") else _archive(text)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = f"{problem['loc'][-1]} " if problem["loc"] else ""
        said = "is not a digest of this kind" if problem["type"] == "string_pattern_mismatch" else problem["msg"]
        raise ConfigurationError(f"--source {text!r}: {place}{said}") from None
    except ValueError as error:
        raise ConfigurationError(f"--source {text!r}: {error}") from None
    store = Store(settings.store).open()
    fetcher = Fetcher(store.root, settings.project, offline=offline)
    return fetcher.fetch(Source(name=component, alternatives=[source]), base=settings.root)


def _git(settings: Settings, text: str, offline: bool) -> GitSource:
    found = GIT.match(text)
    if found is None:
        raise ConfigurationError(
            f"--source {text!r} is not git+URL@REF",
            hint="For example: --source spark=git+https://git.corp/spark@v3.2.3",
        )
    url, reference = found["url"], found["reference"] or "HEAD"
    if COMMIT.fullmatch(reference):
        return GitSource(git=url, commit=reference)
    if offline:
        raise ConfigurationError(
            f"--source {text!r}: without a network nobody knows which commit {reference} is", hint="Name the commit."
        )
    commit = commit_of(settings.project, url, reference, threading.Event()).commit
    assert commit is not None
    return GitSource(git=url, commit=commit, tag=None if reference == "HEAD" else reference)


def _archive(text: str) -> HttpsSource:
    address, fragment = urldefrag(text)
    digests = {name: values[0] for name, values in parse_qs(fragment).items() if name in ("sha256", "sha512")}
    if not digests:
        if address.endswith(".git"):
            raise ConfigurationError(
                f"--source {text!r} is a git repository", hint=f"Write git+ before it: git+{address}@REF"
            )
        raise ConfigurationError(
            f"--source {text!r} has no digest",
            hint="Add #sha256=…, from the project's release page or from: curl -L ADDRESS | sha256sum",
        )
    return HttpsSource.model_validate({"https": address, **digests})
