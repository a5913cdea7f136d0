"""The tool in its own container image with the socket: it builds, publishes and deploys, or says what is wrong."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.real.conftest import ROOT, SECONDS, Tool

if TYPE_CHECKING:
    from docker import DockerClient

SOCKET = "/var/run/docker.sock"
INVENTORY = """
cluster: contained
ssh: {user: root}
ambari: {url: "http://ambari.contained.test:8080", password: "env:AMBARI_PASSWORD"}
repositories: [{url: "http://repository.contained.test/bigtop-3.2.0/el8"}]
groups:
  all: {hosts: [node1.contained.test], components: [ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT]}
require: {disk: 2, memory: 1, open_files: 1024}
prepare:
  {jdk: null, java_home: /usr/lib/jvm/java, chrony: false, transparent_huge_pages: keep, swappiness: null,
   selinux: keep}
"""


@pytest.fixture(scope="module")
def image(client: DockerClient) -> Iterator[str]:
    if not Path(SOCKET).is_socket():
        pytest.skip(f"no engine listens at {SOCKET}")
    tag = f"bigtop-builder:test-{secrets.token_hex(4)}"
    make = [sys.executable, str(ROOT / "scripts" / "image.py"), "--base", "embedded", "--tag", tag]
    made = subprocess.run(make, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert made.returncode == 0, made.stderr
    yield tag
    client.images.remove(tag)


def contained(image: str, folder: Path, volumes: list[str], *arguments: str, code: int = 0) -> str:
    """Run the tool in its image as docs/engines.md says; return what it printed."""
    mounts = [word for place in (f"{SOCKET}:{SOCKET}", f"{folder}:{folder}", *volumes) for word in ("--volume", place)]
    command = ["docker", "run", "--rm", "--init", "--network", "host", *mounts, "--workdir", str(folder)]
    environment = ["--env", "BIGTOP_BUILDER_STORE", "--env", "NO_COLOR=1"]
    done = subprocess.run(
        [*command, *environment, image, *arguments],
        env={**os.environ, "BIGTOP_BUILDER_STORE": volumes[0].rpartition(":")[2]},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_it_builds_publishes_and_deploys(image: str, shared_store: Path, tmp_path: Path) -> None:
    store = [f"{shared_store}:{shared_store}"]
    contained(image, tmp_path, store, "init", "--platform", "el8")
    assert "createrepo-c   installed" in contained(image, tmp_path, store, "doctor", "--offline")
    # Built anew, since whatever was built before would be reused without a container.
    contained(image, tmp_path, store, "build", "bigtop-select", "--force")
    contained(image, tmp_path, store, "build", "zookeeper", "--with-dependencies")
    contained(image, tmp_path, store, "repo", "publish", "--make-key")
    assert "0 problems" in contained(image, tmp_path, store, "repo", "verify")
    (tmp_path / "cluster.yaml").write_text(INVENTORY, encoding="utf-8")
    name = f"contained-{secrets.token_hex(3)}"
    outside = Tool(tmp_path, shared_store)
    try:
        outside("testbed", "up", "--inventory", "cluster.yaml", "--name", name)
        deployed = contained(image, tmp_path, store, "deploy", "cluster.yaml", "--testbed", name)
        assert "service check of ZOOKEEPER" in deployed
        again = contained(image, tmp_path, store, "deploy", "cluster.yaml", "--testbed", name)
        assert "nothing to change: everything matches the inventory" in again
    finally:
        outside("testbed", "down", name)


def test_a_store_at_another_path_is_told(image: str, tmp_path: Path) -> None:
    for folder in ("project", "store"):
        (tmp_path / folder).mkdir()
    elsewhere = [f"{tmp_path}/store:/var/lib/bigtop-builder"]
    said = contained(image, tmp_path / "project", elsewhere, "doctor", "--offline", code=5)
    assert f"/var/lib/bigtop-builder is mounted into this program's container from {tmp_path}/store" in said
    assert f"--volume {tmp_path}/store:{tmp_path}/store" in said
    refused = contained(image, tmp_path / "project", elsewhere, "build", "bigtop-utils", "--platform", "el8", code=5)
    assert "would see another folder" in refused
    assert not list(tmp_path.rglob(".trial-*"))
