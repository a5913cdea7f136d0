"""Hands files of this program over to the user of a container, and takes them back, by a rootless engine.

An ordinary account cannot give its files away, but its rootless engine can: the root of the engine's containers is that
account, with the account's subordinate ids at hand. So a short container of our own, with nothing but the folders in
question, changes their owners. It follows no link.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bigtop_builder.adapter.containers.engine import engine_errors
from bigtop_builder.adapter.containers.helper_image import helper_image
from bigtop_builder.model.errors import EngineError

if TYPE_CHECKING:
    from docker import DockerClient

SECONDS = 600
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER")

UNLESS_SHARED = ("!", "(", "-type", "f", "-links", "+1", "-perm", "0444", ")")
"""Hard links into the shared download caches stay ours, so that no build can change them."""


def hand_over(client: DockerClient, folders: Sequence[Path], owner: tuple[int, int], labels: Mapping[str, str]) -> None:
    """Give folders and all that is in them to ``owner``, a uid and gid inside containers. Raises EngineError."""
    _change_owner(client, folders, UNLESS_SHARED, f"{owner[0]}:{owner[1]}", labels)


def take_back(client: DockerClient, folders: Sequence[Path], labels: Mapping[str, str]) -> None:
    """Make folders and all that is in them the caller's again. Raises EngineError."""
    _change_owner(client, folders, (), "0:0", labels)


def _change_owner(
    client: DockerClient, folders: Sequence[Path], chosen: Sequence[str], owner: str, labels: Mapping[str, str]
) -> None:
    if not folders:
        return
    image = helper_image(client)
    places = [f"/lent/{number}" for number in range(len(folders))]
    api = client.api
    with engine_errors("changing the owner of files"):
        created = api.create_container(
            image,
            entrypoint=["find", *places, "-xdev", *chosen, "-exec", "chown", "-h", owner, "{}", "+"],
            user="0:0",
            labels=dict(labels),
            network_disabled=True,
            host_config=api.create_host_config(
                binds=[f"{folder}:{place}:rw" for folder, place in zip(folders, places, strict=True)],
                network_mode="none",
                cap_drop=["ALL"],
                cap_add=list(CAPABILITIES),
                security_opt=["no-new-privileges"],
                read_only=True,
            ),
            use_config_proxy=False,
        )
        try:
            api.start(created["Id"])
            code = api.wait(created["Id"], timeout=SECONDS)["StatusCode"]
            said = api.logs(created["Id"], tail=3) if code else b""
        finally:
            api.remove_container(created["Id"], v=True, force=True)
    if code:
        raise EngineError(
            f"the engine cannot change the owner of {folders[0]}: {said.decode(errors='replace').strip()}",
            hint="The engine needs ranges for your account in /etc/subuid and /etc/subgid.",
        )
