"""Words that messages about a cluster must show, even if somebody has chosen one of them as a password."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from bigtop_builder.recipe.inventory import LoadedInventory

USUAL = frozenset(
    """admin ambari bigdata bigtop flink hadoop hbase hdfs hive kafka livy oozie password postgres ranger redis root
    secret solr spark sqoop tez yarn zeppelin zookeeper""".split()  # noqa: SIM905 (one a line takes a page)
)
"""Names of what is deployed, and of its users; the first passwords of quick starts are among them."""
NAMES = ("ambari", "cluster", "groups", "hosts", "repositories", "ssh", "stack")
"""Sections of an inventory whose values are names and addresses."""
_WORD = re.compile(r"(?<![A-Za-z0-9])[a-z]{1,20}(?![A-Za-z0-9])")


def everyday_words(loaded: LoadedInventory) -> frozenset[str]:
    """Return the words of lower-case letters in an inventory's keys, its path, and in names and addresses in it."""
    data = loaded.document.data
    texts = [str(loaded.file.absolute()), *_texts({name: data[name] for name in NAMES if name in data})]
    texts += [str(key) for name, value in data.items() for key in (name, *_keys(value))]
    return USUAL | {word for text in texts for word in _WORD.findall(text)}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            # Values of properties may be passwords that should not be there.
            if key != "configurations":
                yield from _texts(item)


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from _keys(item)
