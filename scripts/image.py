"""The tool's container image: make image BASE=debian:trixie-slim TAG=bigtop-builder.

BASE is an image of Debian 13; "embedded" stands for the one that is made of Debian's packages, which takes no registry
of images. The certificate authorities of this machine are used while it is made, and are not in it.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from bigtop_builder.adapter.containers import engine
from bigtop_builder.adapter.containers.image import SiteAccess, Workshop, ensure
from bigtop_builder.adapter.containers.image_recipe import STAGE_LABEL, image_spec
from bigtop_builder.adapter.sources.web import ca_bundle
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.adapter.store import Store
from bigtop_builder.adapter.tools.debian_mirror import debian_mirror
from bigtop_builder.model.project import Network
from bigtop_builder.model.source import Source
from bigtop_builder.recipe.catalog import Catalog

if TYPE_CHECKING:
    from docker import DockerClient

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("bigtop_builder", "templates", "examples", "inventories", "pyproject.toml", "README.md", "LICENSE")


def make(base: str, tag: str, say: Callable[[str], None]) -> str:
    """Make the image and return its id. Raises EngineError and docker's errors."""
    client = engine.connect()
    try:
        with tempfile.TemporaryDirectory(prefix="bigtop-builder-image-") as folder:
            context = Path(folder) / "context"
            context.mkdir()
            for part in (*PARTS, "Dockerfile"):
                place = ROOT / part
                copy = shutil.copytree if place.is_dir() else shutil.copy
                copy(place, context / part)
            shutil.copy(ca_bundle(Network()), context / "ca.pem")
            if base == "embedded":
                base = embedded(client)
            done = client.api.build(path=str(context), buildargs={"BASE": base}, tag=tag, rm=True, decode=True)
            for line in done:
                say(line.get("stream", line.get("error", "")))
                if "error" in line:
                    raise SystemExit(f"making {tag} failed")
        # The stage that had the source and the certificates.
        client.images.prune({"dangling": True, "label": f"{STAGE_LABEL}=installed"})
        return str(client.images.get(tag).id)
    finally:
        client.close()


def embedded(client: DockerClient) -> str:
    """Return the name of the base image of Debian's packages, on which the image of packaging stands."""
    catalog = Catalog()
    spec = image_spec(catalog.platform("debian-bootstrap"), "package", catalog.image_template)
    site = SiteAccess(debian_mirror(), ca_bundle=ca_bundle(Network()))
    with tempfile.TemporaryDirectory(prefix="bigtop-builder-image-") as folder:
        store = Store(Path(folder) / "store").open()
        shop = Workshop(client, store, site, _no_fetch, "run", threading.Event())
        with LogWriter(Path(folder) / "log", 1 << 22) as log:
            return ensure(shop, spec, log).base


def _no_fetch(_: Source) -> NoReturn:
    raise AssertionError("this image needs no source")


def main() -> None:
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--base", default="debian:trixie-slim", help="an image of Debian 13, or embedded")
    command.add_argument("--tag", default="bigtop-builder", help="the name of the image (default: bigtop-builder)")
    command.add_argument("--print-base", action="store_true", help="only make the embedded base, and print its name")
    options = command.parse_args()
    if options.print_base:
        with contextlib.closing(engine.connect()) as client:
            print(embedded(client))
        return
    image = make(options.base, options.tag, lambda text: print(text, end="", file=sys.stderr))
    print(f"{options.tag} {image}")


if __name__ == "__main__":
    main()
