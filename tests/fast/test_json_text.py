"""JSON of strangers is a value or a ValueError, whatever it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from bigtop_builder.adapter.ambari.errors import message_of
from bigtop_builder.adapter.bundle.reader import _manifest
from bigtop_builder.cluster.upgrade import read_former
from bigtop_builder.flow.publish.package_compare import read_reference
from bigtop_builder.model.errors import BigtopBuilderError, ConfigurationError
from bigtop_builder.model.json_text import parse_json

BAD = ["[" * 200_000, '{"a":' * 200_000, "[" * 100_000 + "]" * 100_000, "9" * 100_000, "\x00", "nul", ""]


@pytest.mark.parametrize("text", BAD)
def test_what_cannot_be_read_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


@pytest.mark.parametrize("text", BAD[:4])
def test_readers_of_strangers_json_say_so(text: str, tmp_path: Path) -> None:
    with pytest.raises(BigtopBuilderError):
        _manifest(tmp_path, text.encode())
    (tmp_path / "reference.json").write_text(text)
    with pytest.raises(ConfigurationError):
        read_reference([tmp_path / "reference.json"])
    with pytest.raises(ValueError):
        read_former(text)
    assert message_of(text) == text
