"""Headers and payloads of packages written byte by byte."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigtop_builder.adapter.rpm.header import read_header
from bigtop_builder.adapter.rpm.payload import find_in_payload, payload_files
from bigtop_builder.model.errors import BigtopBuilderError, PublishError
from tests.rpmfile import File, Spec, write_rpm

DEMO = Spec(
    name="zookeeper_3_2_0",
    version="3.5.9",
    release="2.el8",
    epoch=1,
    requires=("bigtop-utils >= 0.7", "/bin/sh", "config(zookeeper_3_2_0) = 1:3.5.9-2.el8"),
    provides=("zookeeper-client",),
    files={
        "/etc/zookeeper": File(mode=0o40755, flags=16),
        "/etc/zookeeper/zoo.cfg": File(b"tickTime=2000\n", flags=17),
        "/usr/lib/zookeeper/run.sh": File(b"#!/bin/sh\n", mode=0o100750, owner="zookeeper", group="hadoop"),
        "/usr/lib/zookeeper/conf": File(link="/etc/zookeeper/conf", mode=0o120777),
        "/usr/share/doc/zookeeper/README": File(b"read me", flags=2),
    },
    scripts={"post": "echo installed"},
)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rpm(tmp_path_factory.mktemp("packages"), DEMO)


def test_names_versions_and_dependencies(package: Path) -> None:
    header = read_header(package)
    assert header.nevra == "zookeeper_3_2_0-1:3.5.9-2.el8.noarch"
    assert header.file_name == package.name
    assert header.needs == ("/bin/sh", "bigtop-utils >= 0.7", "config(zookeeper_3_2_0) = 1:3.5.9-2.el8")
    assert any(text.startswith("rpmlib(") for text in header.requires)
    assert header.provides == ("zookeeper-client", "zookeeper_3_2_0 = 1:3.5.9-2.el8")
    assert header.scripts["post"].text == "echo installed"
    assert header.scripts["post"].interpreter == "/bin/sh"
    assert header.signature is None


def test_files_with_mode_owner_flags_and_link(package: Path) -> None:
    files = {file.path: file for file in read_header(package).files}
    assert files["/etc/zookeeper"].mode_text == "drwxr-xr-x"
    assert files["/etc/zookeeper"].flag_letters == "n"
    assert files["/etc/zookeeper/zoo.cfg"].flag_letters == "cn"
    assert files["/etc/zookeeper/zoo.cfg"].digest == hashlib.sha256(b"tickTime=2000\n").hexdigest()
    script = files["/usr/lib/zookeeper/run.sh"]
    assert (script.mode_text, script.owner, script.group) == ("-rwxr-x---", "zookeeper", "hadoop")
    assert files["/usr/lib/zookeeper/conf"].link == "/etc/zookeeper/conf"
    assert files["/usr/share/doc/zookeeper/README"].is_documentation


def test_digests_are_those_of_the_bytes(package: Path) -> None:
    header = read_header(package)
    data = package.read_bytes()
    start = data.index(b"\x8e\xad\xe8\x01", 100)
    assert header.sha256 == hashlib.sha256(data[start : header.payload_offset]).hexdigest()
    assert header.sigmd5 == hashlib.md5(data[start:]).hexdigest()


@pytest.mark.parametrize("compressor", ["gzip", "xz", "bzip2", "zstd"])
def test_payload_streams_every_compression(tmp_path: Path, compressor: str) -> None:
    big = bytes(range(256)) * 3000
    spec = Spec(files={"/a": b"one", "/b": big, "/c": File(link="a", mode=0o120777)}, compressor=compressor)
    contents = {member.path: member.read() for member in payload_files(write_rpm(tmp_path, spec))}
    assert contents == {"/a": b"one", "/b": big, "/c": b"a"}


def test_payload_files_may_be_left_unread(tmp_path: Path) -> None:
    package = write_rpm(tmp_path, Spec(files={"/a": b"x" * 1_000_001, "/b": b"y", "/c": b"z"}))
    assert [member.path for member in payload_files(package)] == ["/a", "/b", "/c"]


def test_forbidden_text_is_found_across_chunks(tmp_path: Path) -> None:
    needle = b"/work/src/zookeeper"
    spec = Spec(files={"/clean": b"nothing", "/split": b"x" * ((1 << 18) - 7) + needle + b"y" * 50})
    assert find_in_payload(write_rpm(tmp_path, spec), [needle, b"absent"]) == [("/split", needle)]


def test_truncated_payload_is_an_error(tmp_path: Path) -> None:
    for compressor in ("gzip", "xz", "zstd"):
        package = write_rpm(tmp_path, Spec(files={"/a": bytes(range(256)) * 100}, compressor=compressor))
        package.write_bytes(package.read_bytes()[:-40])
        with pytest.raises(PublishError, match="damaged payload"):
            find_in_payload(package, [b"x"])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not an RPM"),
        (b"<html>404</html>", "not an RPM"),
        (b"\xed\xab\xee\xdb\x03\x00", "truncated"),
        (b"\xed\xab\xee\xdb" + bytes(200), "damaged"),
    ],
)
def test_other_files_are_refused_with_a_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "x.rpm"
    path.write_bytes(content)
    with pytest.raises(PublishError, match=reason):
        read_header(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.rpm", tmp_path):
        with pytest.raises(PublishError, match="cannot read package"):
            read_header(path)


def test_cut_anywhere_in_the_headers_says_truncated(package: Path, tmp_path: Path) -> None:
    data = package.read_bytes()
    target = tmp_path / "cut.rpm"
    for length in range(4, read_header(package).payload_offset, 37):
        target.write_bytes(data[:length])
        with pytest.raises(PublishError, match="truncated"):
            read_header(target)


@given(data=st.data())
def test_corruption_gives_our_error_or_a_header(
    package: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(package.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    target = tmp_path_factory.getbasetemp() / "corrupt.rpm"
    target.write_bytes(content)
    try:
        read_header(target)
        find_in_payload(target, [b"forbidden"])
    except BigtopBuilderError as error:
        assert str(target) in error.message


@given(data=st.data())
def test_corrupt_index_whose_digest_was_removed(
    package: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Without the recorded digest the damage reaches every later check."""
    content = bytearray(
        package.read_bytes().replace(b"\x00\x00\x01\x11\x00\x00\x00\x06", b"\x00\x00\x04\x11\x00\x00\x00\x06")
    )
    start = content.index(b"\x8e\xad\xe8\x01", 100)
    for _ in range(data.draw(st.integers(1, 4))):
        content[start + data.draw(st.integers(8, 1500))] = data.draw(st.integers(0, 255))
    target = tmp_path_factory.getbasetemp() / "corrupt.rpm"
    target.write_bytes(content)
    try:
        read_header(target)
        list(payload_files(target))
    except BigtopBuilderError as error:
        assert str(target) in error.message
