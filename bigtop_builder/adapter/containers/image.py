"""Makes images once and finds them again.

A record describes the image that was made. Its fingerprint covers the recipe, the added files and every installed
package with its version, so making the same image again gives the same fingerprint; build keys contain it.
"""

from __future__ import annotations

import dataclasses
import io
import json
import re
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigtop_builder.adapter.containers.bootstrap import base_tag, bootstrap
from bigtop_builder.adapter.containers.container import LABEL, Sandbox, Session, User
from bigtop_builder.adapter.containers.emulation import require_runnable
from bigtop_builder.adapter.containers.engine import engine_errors
from bigtop_builder.adapter.containers.engine_images import present
from bigtop_builder.adapter.containers.image_recipe import (
    STAGE_LABEL,
    ImageSpec,
    image_key,
    ingredients,
    maven_archive,
    maven_source,
)
from bigtop_builder.adapter.containers.image_record import ImageRecord, record_path, recorded
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.adapter.store import Store, translated, write_atomically
from bigtop_builder.model import digest
from bigtop_builder.model.errors import BuildError, InterruptedRunError, RecipeError
from bigtop_builder.model.source import Source

if TYPE_CHECKING:
    from docker import DockerClient

SILENCE_SECONDS = 900
"""How long making an image may print nothing."""

UNKNOWN_PACKAGE = re.compile(rb"(?:Unable to locate package|No match for argument:|No package) ([^\s\x1b]+)")
"""How apt, dnf and yum report an unknown package."""

LIST_PACKAGES = {
    "debian": "dpkg-query --show --showformat '${Package}:${Architecture}=${Version}\\n'",
    "rhel": "rpm --query --all --queryformat '%{NAME}-%{EPOCH}:%{VERSION}-%{RELEASE}.%{ARCH}\\n'",
}


@dataclass(frozen=True)
class SiteAccess:
    """How images reach the network while they are made. Of all this only the mirror's address stays in a layer.

    ``proxies`` has the keys ``http``, ``https`` and ``no_proxy``.
    """

    debian_mirror: str
    proxies: Mapping[str, str] = field(default_factory=dict)
    ca_bundle: Path | None = None
    ca_configured: bool = False
    """Whether the site chose the bundle: only then do images that have certificates of their own use it."""


@dataclass(frozen=True)
class Workshop:
    """What all images of a run are made with. ``fetch`` returns a source's verified file; ``run`` is the run's id."""

    client: DockerClient
    store: Store
    site: SiteAccess
    fetch: Callable[[Source], Path]
    run: str
    cancelled: threading.Event


def ensure(shop: Workshop, spec: ImageSpec, log: LogWriter) -> ImageRecord:
    """Return the image of a spec; make it when the engine does not have it. Concurrent callers make it once.

    When the engine lost its images and the distribution has moved on, the new image may have another fingerprint.
    Raises EngineError, BuildError, SourceError, ConfigurationError, InterruptedRunError.
    """
    key = image_key(spec)
    with shop.store.locked(f"image-{key[:16]}"):
        record = recorded(shop.store, key)
        if record is not None and present(shop.client, record.id):
            return record
        require_runnable(spec.machine)
        if spec.parent is not None:
            below = ensure(shop, spec.parent, log)
            origin, base = below.id, below.base
        else:
            origin, base = _base(shop, spec, log)
        tag = f"bigtop-builder/{spec.name}:{key[:12]}"
        log.note(f"making the image {tag}")
        image_id = _build(shop, spec, origin, tag, key, log)
        packages = digest.of_text(_installed(shop, spec, image_id, log))
        public = base if spec.platform.image.reference else None
        record = ImageRecord(
            key=key,
            name=spec.name,
            id=image_id,
            tag=tag,
            fingerprint=digest.of_data([ingredients(spec), packages, public]),
            packages=packages,
            base=base,
            made_at=time.time(),
        )
        with translated(shop.store.root):
            write_atomically(record_path(shop.store, key), json.dumps(dataclasses.asdict(record), indent=1))
        return record


def _base(shop: Workshop, spec: ImageSpec, log: LogWriter) -> tuple[str, str]:
    """Return the id of the image that a Dockerfile starts from, and the name that the record keeps of it.

    A name would not do for Podman, which looks for it in registries.
    """
    image = spec.platform.image
    if image.debootstrap is not None:
        tag = base_tag(image.debootstrap, shop.site.debian_mirror, spec.machine)
        with shop.store.locked("image-base"):
            found = present(shop.client, tag)
            if not found:
                found = bootstrap(
                    shop.client,
                    image.debootstrap,
                    mirror=shop.site.debian_mirror,
                    machine=spec.machine,
                    proxies=shop.site.proxies,
                    scratch=shop.store.root / "work" / shop.run,
                    log=log,
                    cancelled=shop.cancelled,
                )
        return found, tag
    if image.reference is None:
        raise RecipeError(
            f"{spec.platform.title} has no public image to build in",
            hint=f"Name your own as image.reference (and image.digest) in platforms/{spec.platform.name}.yaml of an "
            "overlay, or build in the embedded image (builder: embedded).",
        )
    return _pinned(shop, spec.platform.name, image.reference, image.digest, log)


def _pinned(shop: Workshop, platform: str, reference: str, wanted: str | None, log: LogWriter) -> tuple[str, str]:
    """Return the id and ``repository@digest``. A reference without a digest keeps the digest of its first pull."""
    pin = shop.store.root / "images" / f"base-{platform}-{digest.of_text(reference)[:8]}"
    if wanted is None and pin.is_file():
        wanted = pin.read_text(encoding="utf-8").strip()
    repository, colon, version = reference.rpartition(":")
    if not colon or "/" in version:
        repository, version = reference, "latest"
    name = f"{repository}@{wanted}" if wanted else f"{repository}:{version}"
    found = present(shop.client, name) if wanted else None
    if found is None:
        log.note(f"pulling {name}")
        with engine_errors(f"pulling {name}"):
            found = str(shop.client.images.pull(repository, tag=wanted or version).id)
    if wanted is None:
        with engine_errors(f"looking for the image {name}"):
            digests: list[str] = shop.client.images.get(found).attrs["RepoDigests"]
        wanted = digests[0].partition("@")[2]
        with translated(shop.store.root):
            write_atomically(pin, wanted + "\n")
    return found, f"{repository}@{wanted}"


def _build(shop: Workshop, spec: ImageSpec, base: str, tag: str, key: str, log: LogWriter) -> str:
    ca = _certificates(shop.site, spec)
    files = {name: text.encode() for name, text in spec.files.items()}
    files["Dockerfile"] = (spec.recipe_with_ca if ca else spec.recipe).encode()
    if ca is not None:
        files["ca.pem"] = ca.read_bytes()
    if spec.maven is not None:
        files[maven_archive(spec.maven)] = shop.fetch(maven_source(spec.maven)).read_bytes()
    # Docker keeps these variables out of layers and history, because it knows them as proxies.
    arguments = {"BASE": base}
    for name, value in shop.site.proxies.items():
        variable = name if name == "no_proxy" else f"{name}_proxy"
        arguments |= {variable: value, variable.upper(): value}
    with engine_errors(f"making the image {tag}"):
        answers = shop.client.api.build(
            fileobj=_context(files),
            custom_context=True,
            tag=tag,
            buildargs=arguments,
            labels={f"{LABEL}.image": key},
            rm=True,
            forcerm=True,
            decode=True,
            timeout=SILENCE_SECONDS,
            use_config_proxy=False,
        )
        for answer in answers:
            _follow(answer, tag, log)
            if shop.cancelled.is_set():
                answers.close()
                raise InterruptedRunError(f"making the image {tag} was interrupted")
        if ca is not None:
            shop.client.images.prune({"dangling": True, "label": f"{STAGE_LABEL}=certificates"})
        return str(shop.client.images.get(tag).id)


def _certificates(site: SiteAccess, spec: ImageSpec) -> Path | None:
    """Return the CA bundle to build with. A bare Debian has none, so a mirror with https needs the host's."""
    if spec.platform.family == "debian":
        return site.ca_bundle if site.debian_mirror.startswith("https:") else None
    return site.ca_bundle if site.ca_configured else None


def _context(files: Mapping[str, bytes]) -> io.BytesIO:
    """Return a build context; the same files give the same bytes, so that the engine's cache hits."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    stream.seek(0)
    return stream


def _follow(answer: dict[str, Any], tag: str, log: LogWriter) -> None:
    if "stream" in answer:
        log.write(str(answer["stream"]).encode())
    if "error" in answer:
        log.note(str(answer["error"]))
        unknown = UNKNOWN_PACKAGE.search(log.path.read_bytes())
        if unknown:
            raise BuildError(
                f"making the image {tag} failed: there is no package {unknown[1].decode(errors='replace')}",
                hint=f"Check build.packages of the component. The full output is in {log.path}.",
            )
        raise BuildError(
            f"making the image {tag} failed: {answer['error']}",
            hint=f"The full output is in {log.path}. If a download failed, check mirrors, network.proxy and "
            "network.ca_bundle in the project file.",
        )


def _installed(shop: Workshop, spec: ImageSpec, image: str, log: LogWriter) -> str:
    """Return the sorted list of installed packages, one a line."""
    script = LIST_PACKAGES["debian" if spec.platform.family == "debian" else "rhel"]
    box = Sandbox(
        image=image, run=shop.run, task=spec.name, store=shop.store.root, user=User(0, 0, listed=True), lifetime=60
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "packages"
        with LogWriter(path, 1 << 24) as listing, Session(shop.client, box) as session:
            code = session.call(script, log=listing, timeout=60, cancelled=shop.cancelled, cwd="/")
        text = path.read_text(encoding="utf-8", errors="replace")
    if code != 0:
        raise BuildError(f"listing the packages of {spec.name} failed: see {log.path}", hint=text[-500:])
    return "\n".join(sorted(text.splitlines()))
