"""Hands files of this program over to the user of a container, and takes them back, by a rootless engine.

An ordinary account cannot give its files away, but its rootless engine can: the root of the engine's containers is that
account, with the account's subordinate ids at hand. So a short container of our own, with nothing but the folders in
question, changes their owners. It follows no link.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bigtop_builder.adapter.containers.engine import engine_errors
from bigtop_builder.adapter.containers.helper_image import helper_image
from bigtop_builder.model.errors import EngineError

if TYPE_CHECKING:
    from docker import DockerClient

IMAGE_ID = 1000
"""The images' own user ``builder``, to whom folders are lent."""

SECONDS = 600
CHANGING, READING = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"), ("DAC_READ_SEARCH",)
"""The capabilities of the containers that change owners, and that measure."""

GIVE = """
owner=$1; shift
find "$@" -xdev ! \\( -type f -links +1 \\( -perm 0644 -o -perm 0444 \\) \\) -exec chown -h "$owner" {} +
"""
"""Hard links into the shared download caches stay ours, so that no build can change them. Their mode is 0644; older
versions gave them 0444."""

TAKE = """
owner=$1; from=$2; shift 2
chmod 0700 "$@"
find "$@" -xdev -type f -perm /6000 -execdir sh -ec '
    for file; do mode=$(stat -c %a "$file"); chown -h "$0" "$file"; chmod "$mode" "$file"; done' "$owner" {} +
chown -R -h --from="$from" "$owner" "$@"
"""
"""A change of the owner takes setuid bits away, but those of the result are part of it. So that nobody else can run
such a program of ours, the folders are closed first. No path is written out, because a build may nest thousands."""


def outermost(folders: Iterable[Path]) -> list[Path]:
    """Return the folders that are in no other of them, each once."""
    unique = list(dict.fromkeys(folders))
    return [one for one in unique if not any(other in one.parents for other in unique)]


def hand_over(client: DockerClient, folders: Sequence[Path], owner: tuple[int, int], labels: Mapping[str, str]) -> None:
    """Give folders and all that is in them to ``owner``, a uid and gid inside containers. Raises EngineError."""
    _change_owner(client, folders, GIVE, [f"{owner[0]}:{owner[1]}"], labels)


def take_back(client: DockerClient, folders: Sequence[Path], labels: Mapping[str, str]) -> None:
    """Make folders and all that is in them the caller's again. Raises EngineError."""
    _change_owner(client, folders, TAKE, ["0:0", str(IMAGE_ID)], labels)


def measure(client: DockerClient, folder: Path, labels: Mapping[str, str]) -> int:
    """Return the bytes on disk below a folder, whoever may read it. Raises EngineError."""
    # It fails, and counts all the same, when something goes away meanwhile.
    said = _run(client, [folder], ["du", "-skx", "/lent/0"], READING, labels, fine=(0, 1))
    return int(said.split()[0]) * 1024


def _change_owner(
    client: DockerClient, folders: Sequence[Path], script: str, owners: Sequence[str], labels: Mapping[str, str]
) -> None:
    places = [f"/lent/{number}" for number in range(len(folders))]
    if folders:
        _run(client, folders, ["sh", "-ec", script, "sh", *owners, *places], CHANGING, labels)


def _run(
    client: DockerClient,
    folders: Sequence[Path],
    command: list[str],
    capabilities: Sequence[str],
    labels: Mapping[str, str],
    *,
    fine: Sequence[int] = (0,),
) -> bytes:
    """Run a command in a container with the folders at ``/lent/0`` …; return what it said.

    Raises EngineError unless its exit code is one of ``fine``.
    """
    image = helper_image(client)
    api = client.api
    with engine_errors("changing or measuring the files of a build"):
        created = api.create_container(
            image,
            entrypoint=command,
            user="0:0",
            labels=dict(labels),
            network_disabled=True,
            host_config=api.create_host_config(
                binds=[f"{folder}:/lent/{number}:rw" for number, folder in enumerate(folders)],
                network_mode="none",
                cap_drop=["ALL"],
                cap_add=list(capabilities),
                security_opt=["no-new-privileges"],
                read_only=True,
            ),
            use_config_proxy=False,
        )
        try:
            api.start(created["Id"])
            code = api.wait(created["Id"], timeout=SECONDS)["StatusCode"]
            said: bytes = api.logs(created["Id"], stderr=code not in fine, tail=3)
        finally:
            api.remove_container(created["Id"], v=True, force=True)
    if code not in fine:
        raise EngineError(
            f"the engine cannot change or measure {folders[0]}: {said.decode(errors='replace').strip()}",
            hint="The engine needs ranges for your account in /etc/subuid and /etc/subgid.",
        )
    return said
