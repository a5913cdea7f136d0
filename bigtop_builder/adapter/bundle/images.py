"""Images in a bundle: one archive, compressed with zstd, with equal bytes for equal images."""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast

from bigtop_builder.adapter.archives.compression import DamagedArchiveError, Unpacked
from bigtop_builder.adapter.archives.tar import read_tar
from bigtop_builder.adapter.containers.engine import engine_errors
from bigtop_builder.adapter.containers.engine_images import present
from bigtop_builder.adapter.containers.image_record import ImageRecord, record_path, recorded
from bigtop_builder.adapter.store import Store, translated, write_atomically
from bigtop_builder.model.archive_limits import DEFAULT
from bigtop_builder.model.bundle import BundledImage
from bigtop_builder.model.digest import CHUNK
from bigtop_builder.model.errors import EngineError, SourceError

if TYPE_CHECKING:
    from docker import DockerClient

LEVEL = 3
THREADS = 2
"""Fixed, so that the archive does not depend on the number of processors."""

PACKED = 0.45
"""Compressed size over size, a little more than was measured."""

LISTING = "manifest.json"
"""The file of an archive of images that lists them."""

SILENCE_SECONDS = 900
"""The longest silence of an engine that loads images."""


@dataclass(frozen=True)
class Images:
    """Images to save: their entries in the manifest, and their archive."""

    images: list[BundledImage]
    bases: list[str]
    saved: SavedImages
    expected: int
    """The estimated size of the archive, in bytes."""


def gather(client: DockerClient, records: Sequence[ImageRecord]) -> Images:
    """Prepare to save images and those that they were made from. Raises EngineError."""
    images: list[BundledImage] = []
    for record in records:
        if present(client, record.tag) != record.id:
            with engine_errors(f"tagging {record.tag}"):
                repository, _, tag = record.tag.rpartition(":")
                client.api.tag(record.id, repository, tag, force=True)
        digests = registry_digests(client, record.id)
        images.append(BundledImage(**dataclasses.asdict(record), digests=digests))
    bases = sorted({record.base for record in records if "@" not in record.base and present(client, record.base)})
    names = [record.tag for record in records] + bases
    return Images(images, bases, SavedImages(client, names), int(PACKED * expected_size(client, names)))


def expected_size(client: DockerClient, references: Sequence[str]) -> int:
    """Return the size of all layers of some images, shared layers once, in bytes."""
    layers: dict[tuple[object, ...], int] = {}
    for reference in references:
        with engine_errors(f"reading the size of the image {reference}"):
            for layer in client.images.get(reference).history():
                layers[layer.get("Created"), layer.get("CreatedBy"), layer.get("Size")] = int(layer.get("Size") or 0)
    return sum(layers.values())


def registry_digests(client: DockerClient, reference: str) -> list[str]:
    """Return the digests by which registries know an image."""
    with engine_errors(f"looking for the image {reference}"):
        return sorted(client.images.get(reference).attrs.get("RepoDigests") or [])


class SavedImages:
    """Iterates over the chunks of the archive; afterwards ``size`` is its uncompressed size in bytes."""

    def __init__(self, client: DockerClient, references: Sequence[str]) -> None:
        self.size = 0
        self._client = client
        self._references = sorted(set(references))

    def __iter__(self) -> Iterator[bytes]:
        import zstandard

        compressor = zstandard.ZstdCompressor(level=LEVEL, threads=THREADS).compressobj()
        address = f"{self._client.api.base_url}/v{self._client.api.api_version}/images/get"
        with engine_errors("saving images"):
            answer = self._client.api.get(
                address, params={"names": self._references}, stream=True, timeout=SILENCE_SECONDS
            )
            with answer:
                if answer.status_code != 200:
                    raise EngineError(f"saving images: the engine refused: {answer.text[:500]}")
                try:
                    for piece in _settled(cast("IO[bytes]", answer.raw)):
                        self.size += len(piece)
                        if packed := compressor.compress(piece):
                            yield packed
                except DamagedArchiveError as error:
                    raise EngineError(f"saving images: the engine's archive is damaged: {error}") from error
        yield compressor.flush()


def _settled(stream: IO[bytes]) -> Iterator[bytes]:
    """Remove what differs between two archives of the same images: times, and the order in which images are listed."""
    for info, content in read_tar(Unpacked(stream, "")):
        info.mtime = 0
        listing = b""
        if info.isreg() and info.name == LISTING:
            images = sorted(json.loads(content.read()), key=lambda image: str(image["Config"]))
            listing = json.dumps(images).encode()
            info.size = len(listing)
        yield info.tobuf(tarfile.GNU_FORMAT)
        yield listing
        while piece := content.read(CHUNK):
            yield piece
        yield bytes(-info.size % tarfile.BLOCKSIZE) if info.isreg() else b""
    yield bytes(2 * tarfile.BLOCKSIZE)


def load_images(client: DockerClient, packed: io.RawIOBase) -> None:
    """Load an archive into an engine. Raises EngineError, and SourceError when it is not an archive."""
    import zstandard

    def unpacked() -> Iterator[bytes]:
        decoder = zstandard.ZstdDecompressor(max_window_size=DEFAULT.memory)
        with decoder.stream_reader(cast("IO[bytes]", packed)) as reader:
            while piece := reader.read(CHUNK):
                yield piece

    address = f"{client.api.base_url}/v{client.api.api_version}/images/load"
    try:
        with (
            engine_errors("loading images"),
            client.api.post(address, data=unpacked(), stream=True, timeout=SILENCE_SECONDS) as answer,
        ):
            lines = list(answer.iter_lines())
            if answer.status_code != 200:
                raise EngineError(f"loading images: the engine refused: {answer.text[:500]}")
    except zstandard.ZstdError as error:
        raise SourceError(f"the archive of images is damaged: {error}") from error
    for line in lines:
        message: dict[str, Any] = json.loads(line) if line else {}
        if "error" in message:
            raise EngineError(f"loading images: the engine refused: {message['error']}")


def absent(client: DockerClient, store: Store, images: Sequence[BundledImage]) -> list[BundledImage]:
    """Return the images that are missing from the store or its engine."""
    found = {image.key: recorded(store, image.key) for image in images}
    return [image for image in images if (record := found[image.key]) is None or not present(client, record.id)]


def tags_of(client: DockerClient, images: Sequence[BundledImage]) -> Mapping[str, str | None]:
    """Return the ids that the images' tags have now."""
    return {image.tag: present(client, image.tag) for image in images}


def keep_records(
    client: DockerClient,
    store: Store,
    images: Sequence[BundledImage],
    wanted: Sequence[BundledImage],
    before: Mapping[str, str | None],
) -> None:
    """Write the records of the ``wanted`` among the loaded ``images``; restore the tags of the others.

    This engine may give an image another id than the engine that saved it: the record then has the new one. Build
    keys use the fingerprint, which is the same. Raises EngineError when an image is missing.
    """
    for image in images:
        repository, _, tag = image.tag.rpartition(":")
        if image not in wanted:
            if former := before[image.tag]:
                with engine_errors(f"tagging {image.tag}"):
                    client.api.tag(former, repository, tag, force=True)
            continue
        found = present(client, image.id) or present(client, image.tag)
        if found is None:
            raise EngineError(f"the engine loaded the image {image.tag} but does not have it")
        with engine_errors(f"tagging {image.tag}"):
            client.api.tag(found, repository, tag, force=True)
        record = ImageRecord(**{**image.model_dump(exclude={"digests"}), "id": found})
        with translated(store.root):
            write_atomically(record_path(store, image.key), json.dumps(dataclasses.asdict(record), indent=1))
