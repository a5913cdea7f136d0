"""The part of the phase ``check`` that looks whether repositories are what their keys say, and not an old state."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from bigtop_builder.adapter.repository.reader import Login, open_repository
from bigtop_builder.adapter.repository.seen import Seen
from bigtop_builder.flow.deploy.reporter import Reporter
from bigtop_builder.flow.deploy.world import World
from bigtop_builder.model.errors import PublishError
from bigtop_builder.model.event import CheckFinished
from bigtop_builder.model.repository import Repository, filled


def check_repository_states(world: World, reporter: Reporter, family: str) -> None:
    """Report repositories that are unsigned, altered, expired or older than seen before. Raises PublishError for them.

    Hosts check signatures too. None of them knows that a state with a valid signature is an old one.
    """
    if world.seen is None:
        return
    errors = 0
    known, logins = world.variables(family)[0], world.logins(family)
    for entry in world.inventory.repositories:
        if entry.repo_gpg_check:
            place = filled(entry.url, family, known)
            for level, message in _problems(entry, place, filled(entry.key, family, known), logins[place], world.seen):
                errors += level == "error"
                reporter.emit(
                    CheckFinished.model_validate(
                        {
                            "phase": reporter.phase,
                            "check": f"state of {place}",
                            "level": level,
                            "message": message,
                        }
                    )
                )
    if errors:
        error = PublishError(
            f"the repositories of the inventory are not in the state that they should be in: {errors} errors",
            hint="See: bigtop-builder repo verify ADDRESS. If an older state is wanted: repo verify --accept-older.",
        )
        error.location = world.loaded.place("repositories")
        raise error


def _problems(entry: Repository, place: str, key: str, login: Login | None, seen: Seen) -> Iterator[tuple[str, str]]:
    """Yield level and message of each problem. A repository that was not made by us has no manifest."""
    from bigtop_builder.flow.publish.freshness import MISSING, UNSIGNED
    from bigtop_builder.flow.publish.verifier import verify_state

    place = place.removeprefix("file://").rstrip("/")
    folder, _, name = key.removeprefix("file://").rpartition("/")
    own = login if urlsplit(folder).netloc == urlsplit(place).netloc else None
    try:
        with open_repository(folder, login=own).file(name) as path:
            data = path.read_bytes()
        found = verify_state(place, data, seen, login)
    except PublishError as error:
        yield "warning", f"it cannot be checked: {error.message}"
        return
    for problem in found:
        if problem.detail != MISSING:
            level = "warning" if problem.detail == UNSIGNED else "error"
            yield level, f"{problem.subject}: {problem.detail}"
