"""Source files: fetched from alternatives, verified, stored once by digest, unpacked safely."""

from bigtop_builder.adapter.sources.archive import unpack
from bigtop_builder.adapter.sources.download_store import stored
from bigtop_builder.adapter.sources.fetcher import Fetched, Fetcher
from bigtop_builder.adapter.sources.tree import copy_tree, local_digest

__all__ = ["Fetched", "Fetcher", "copy_tree", "local_digest", "stored", "unpack"]
