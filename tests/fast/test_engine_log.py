"""The bounded log of a step."""

from __future__ import annotations

from pathlib import Path

import pytest

from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.model.errors import StoreError


class Uppercase:
    """A redactor that holds its last byte back."""

    def __init__(self) -> None:
        self.held = b""

    def feed(self, data: bytes) -> bytes:
        data = self.held + data
        self.held = data[-1:]
        return data[:-1].upper()

    def flush(self) -> bytes:
        held, self.held = self.held, b""
        return held.upper()


def test_a_short_log_is_whole(tmp_path: Path) -> None:
    seen: list[int] = []
    with LogWriter(tmp_path / "a" / "log", 100, progress=seen.append) as log:
        log.write(b"one\n")
        log.note("two")
        log.write(b"x" * 80)
    assert (tmp_path / "a" / "log").read_bytes() == b"one\n==> two\n" + b"x" * 80
    assert seen == [4, 12, 92]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["log"]


@pytest.mark.parametrize("chunk", [1, 7, 250, 10_000])
def test_a_long_log_keeps_its_head_and_its_end(tmp_path: Path, chunk: int) -> None:
    text = b"".join(b"%07d\n" % number for number in range(5000))
    with LogWriter(tmp_path / "log", 1000) as log:
        for start in range(0, len(text), chunk):
            log.write(text[start : start + chunk])
    kept = (tmp_path / "log").read_bytes()
    head, _, rest = kept.partition(b"\n==> ")
    said, _, tail = rest.partition(b" bytes of this log were left out here\n")
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head) == 500
    assert 250 <= len(tail) <= 500
    assert len(head) + int(said) + len(tail) == len(text)
    assert log.written == len(text)


def test_a_killed_writer_leaves_the_end_on_disk(tmp_path: Path) -> None:
    log = LogWriter(tmp_path / "log", 1000)
    log.write(b"x" * 5000 + b"the end")
    on_disk = b"".join(path.read_bytes() for path in sorted(tmp_path.iterdir(), key=lambda path: path.name))
    assert b"the end" in on_disk
    log.close()


def test_what_the_redactor_held_back_is_written_last(tmp_path: Path) -> None:
    with LogWriter(tmp_path / "log", 100, redactor=Uppercase()) as log:
        log.write(b"ab")
        log.write(b"cd")
    assert (tmp_path / "log").read_bytes() == b"ABCD"


def test_a_log_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"the store .* fails"):
        LogWriter(tmp_path / "file" / "log", 100)
