"""Real builds: a container engine, real sources, and small components for what has to be done many times."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

import pytest
import yaml

from bigtop_builder.adapter.containers import engine
from bigtop_builder.adapter.containers.image import SiteAccess, Workshop, ensure
from bigtop_builder.adapter.containers.image_recipe import image_spec
from bigtop_builder.adapter.containers.image_record import ImageRecord
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.adapter.store import Store
from bigtop_builder.adapter.tools.debian_mirror import debian_mirror
from bigtop_builder.model.digest import of_file
from bigtop_builder.model.project import default_store
from bigtop_builder.model.source import Source
from bigtop_builder.recipe.catalog import Catalog

if TYPE_CHECKING:
    from docker import DockerClient

    from tests.real.browser import Viewer

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 1800


class Tool:
    """The command line, run as a user runs it, in a folder with a project file."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.folder = folder
        self.store = store

    def environment(self) -> dict[str, str]:
        return {**os.environ, "BIGTOP_BUILDER_STORE": str(self.store), "NO_COLOR": "1", "COLUMNS": "200"}

    def argv(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "bigtop_builder", *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.argv(*arguments),
            cwd=self.folder,
            env=self.environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __call__(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.argv(*arguments),
            cwd=self.folder,
            env=self.environment(),
            text=True,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", code=code).stdout)


class SmallProject:
    """A project whose stack is an overlay of small components."""

    def __init__(self, root: Path, store: Path) -> None:
        self.root = root
        self.names: list[str] = []
        self.tool = Tool(root, store)
        self.write("bigtop-builder.yaml", "stack: small\nplatforms: [el8]\noverlays: [overlay]\n")

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def component(self, name: str, script: str, *, depends: str = "", **build: Any) -> None:
        """A component that compiles without network from a file of its own and gives one package."""
        source = self.write(f"overlay/components/{name}/hello.txt", f"hello from {name}\n")
        folder = f"{{{{ parent_dir }}}}/usr/lib/{name}"
        data = {
            "name": name,
            "summary": "A small component",
            "depends": {"build": [depends] if depends else []},
            "versions": {
                "1.0": {
                    "sources": [
                        {"alternatives": [{"file": "hello.txt", "sha256": of_file(source)}], "unpack": "no"},
                    ],
                }
            },
            "build": {"network": False, "memory": "512m", "timeout": "5m", "script": textwrap.dedent(script), **build},
            "install": f'install -D -m 0644 "$STAGE/hello.txt" "$BUILDROOT{folder}/hello.txt"\n',
            "packages": [{"name": name + "{{ suffix }}", "summary": "A small component", "files": [folder]}],
        }
        self.write(f"overlay/components/{name}/component.yaml", yaml.safe_dump(data, sort_keys=False))
        if name not in self.names:
            self.names.append(name)
        stack = {"name": "small", "version": "1.0", "epoch": 1600000000, "components": dict.fromkeys(self.names, "1.0")}
        self.write("overlay/stacks/small.yaml", yaml.safe_dump(stack))


@pytest.fixture(scope="session")
def shared_store() -> Path:
    """The user's own store: what was built before is reused, on a new machine it is built."""
    store = os.environ.get("BIGTOP_BUILDER_STORE")
    return Path(store) if store else default_store(dict(os.environ))


@pytest.fixture
def small(tmp_path: Path, shared_store: Path) -> SmallProject:
    """A small project in the shared store, so that the images are there."""
    return SmallProject(tmp_path, shared_store)


@pytest.fixture
def fresh(tmp_path: Path) -> SmallProject:
    """A small project in a store of its own."""
    return SmallProject(tmp_path, tmp_path / "store")


@pytest.fixture
def fresh_like(tmp_path: Path, shared_store: Path) -> SmallProject:
    """A project in a store of its own that knows the images of the shared store."""
    project = SmallProject(tmp_path, tmp_path / "store")
    (tmp_path / "store").mkdir()
    if (shared_store / "images").is_dir():
        shutil.copytree(shared_store / "images", tmp_path / "store" / "images")
    return project


@pytest.fixture(scope="session")
def client() -> Iterator[DockerClient]:
    connected = engine.connect()
    yield connected
    connected.close()


@pytest.fixture
def browser() -> Iterator[Viewer]:
    """A browser in which nothing may go wrong, and that may ask nobody but this machine."""
    from tests.real.browser import viewer

    with viewer() as made:
        yield made
    assert made.said == [], "the console says nothing"
    hosts = {urlsplit(url).hostname for url in made.asked if not url.startswith("file:")}
    assert hosts <= {"127.0.0.1"}, "no other site is asked"


def no_fetch(_: Source) -> NoReturn:
    raise AssertionError("these images need no source")


@pytest.fixture(scope="session")
def host(client: DockerClient, tmp_path_factory: pytest.TempPathFactory) -> ImageRecord:
    """The image of a host with rpm and dnf."""
    catalog = Catalog()
    spec = image_spec(catalog.platform("debian-bootstrap"), "host", catalog.image_template)
    store = Store(tmp_path_factory.mktemp("store")).open()
    shop = Workshop(client, store, SiteAccess(debian_mirror()), no_fetch, "run", threading.Event())
    with LogWriter(tmp_path_factory.mktemp("log") / "log", 1 << 22) as log:
        return ensure(shop, spec, log)


def run_on_host(client: DockerClient, image: ImageRecord, script: str, folder: Path) -> str:
    """Output of a script in a host that sees ``folder`` at its own path, and this machine's loopback."""
    said: bytes = client.containers.run(
        image.id,
        ["bash", "-c", f"set -e; {script}"],
        remove=True,
        network_mode="host",
        volumes={str(folder): {"bind": str(folder), "mode": "rw"}},
        stderr=True,
    )
    return said.decode()
