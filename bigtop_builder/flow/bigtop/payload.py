"""What the steps of Bigtop's packaging need besides the common fields of a work order."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bigtop_builder.flow.build.work_order import WorkOrder
from bigtop_builder.model.platform import Platform
from bigtop_builder.recipe.bigtop.source import Seed
from bigtop_builder.recipe.bigtop.spec import setup_folder
from bigtop_builder.recipe.bigtop.tree import BigtopRecipe

ENDINGS = (".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".zip", ".tar")


@dataclass(frozen=True)
class BigtopPayload:
    """All of it is JSON. The spec and the files in SOURCES are the order's ``files``, by their paths below the topdir.

    The seed is the tarball in SOURCES that the build starts from.
    """

    spec: str
    """Path of the spec below the topdir."""
    topdir: str
    """rpmbuild's topdir inside the container."""
    defines: Sequence[str]
    """The definitions on rpmbuild's command line: ``hadoop_version 3.3.4``."""
    macros: str
    """The content of ``~/.rpmmacros``."""
    suffix: str
    """What the name of every package contains: ``_3_2_0``, or nothing."""
    seed: str
    """The file name of the seed."""
    seed_copied: bool
    """Whether Bigtop takes the download as the seed, as it is."""
    seed_folder: str
    """The top folder of a seed that is packed here."""
    download: str | None
    """What the download is called; None when there is nothing to download."""
    licence: str | None
    """The tree's LICENSE in base64, where the seed is made of it."""

    @property
    def licence_bytes(self) -> bytes:
        """The content of the LICENSE; empty when there is none."""
        return base64.b64decode(self.licence or "")


def describe(packaging: BigtopRecipe, platform: Platform, macros: str) -> BigtopPayload:
    """Describe a component of a tree; ``macros`` are ours, which apply on all platforms."""
    top, seed = topdir(packaging.component.name), packaging.seed
    return BigtopPayload(
        spec=packaging.spec,
        topdir=top,
        defines=list(dict.fromkeys((*packaging.source_defines(top), *packaging.binary_defines(top)))),
        macros=platform_macros(platform) + macros,
        suffix=packaging.suffix,
        seed=seed.name,
        seed_copied=seed.made == "copied",
        seed_folder=_seed_folder(packaging, seed),
        download=packaging.component.download,
        licence=None if packaging.licence is None else base64.b64encode(packaging.licence).decode(),
    )


def to_json(payload: BigtopPayload) -> dict[str, Any]:
    """Return the payload as an order carries it."""
    return asdict(payload)


def payload_of(order: WorkOrder) -> BigtopPayload:
    """Return the payload that an order carries."""
    return BigtopPayload(**order.payload)


def spec_of(order: WorkOrder) -> str:
    """Return the spec of an order, with the patches put in."""
    path = payload_of(order).spec
    content = next(file.content for file in order.files if file.name == path)
    return content.decode("utf-8", "surrogateescape")


def topdir(component: str) -> str:
    """Return the topdir inside the container: some build scripts of Bigtop look for the checkout four folders up."""
    return f"/work/build/{component}/rpm"


def platform_macros(platform: Platform) -> str:
    """What the platform's own rpm defines, and what keeps times, hosts and debugging links out of packages."""
    macros = {
        "dist": platform.dist,
        **platform.macros,
        "_binary_payload": platform.payload,
        "_source_filedigest_algorithm": "8",
        "_binary_filedigest_algorithm": "8",
        "_libdir": "%{_prefix}/lib64",
        "_docdir_fmt": "%%{NAME}-%%{VERSION}",
        "_build_id_links": "none",
        "debug_package": "%{nil}",
        "_buildhost": "bigtop-builder",
        "use_source_date_epoch_as_buildtime": "1",
        "source_date_epoch_from_changelog": "0",
        "clamp_mtime_to_source_date_epoch": "1",
        "build_mtime_policy": "clamp_to_source_date_epoch",
        "_use_weak_usergroup_deps": "1",
        "__requires_exclude": "^(user|group)[(]",
    }
    return "".join(f"%{name} {value}\n" for name, value in macros.items())


def _seed_folder(packaging: BigtopRecipe, seed: Seed) -> str:
    folder = seed.top or setup_folder(packaging.spec_text, packaging.binary_defines(""))
    ending = next((one for one in ENDINGS if seed.name.endswith(one)), "")
    return folder or seed.name.removesuffix(ending)
