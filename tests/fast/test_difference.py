"""Two builds compared: each way in which staged trees and packages may differ is named."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from bigtop_builder.adapter.rpm.difference import package_differences, tree_differences
from tests.rpmfile import File, Spec, write_rpm

BASE = Spec(files={"/opt/a": b"a", "/opt/b.jar": b""})


def jar(second: int = 0, **entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, second)), content)
    return buffer.getvalue()


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("one", "two"):
        (tmp_path / name / "lib").mkdir(parents=True)
        (tmp_path / name / "lib" / "a").write_bytes(b"a" * 3_000_000)
        (tmp_path / name / "lib" / "link").symlink_to("a")
        (tmp_path / name / "lib" / "gone").symlink_to("nowhere")
    return tmp_path / "one", tmp_path / "two"


def test_equal_trees(trees: tuple[Path, Path]) -> None:
    (trees[1] / "lib" / "a").touch()
    assert list(tree_differences(*trees)) == []


def test_every_difference_of_trees(trees: tuple[Path, Path]) -> None:
    one, two = trees
    (two / "lib" / "a").write_bytes(b"a" * 2_999_999 + b"b")
    (two / "lib" / "link").unlink()
    (two / "lib" / "link").symlink_to("gone")
    (two / "lib" / "gone").unlink()
    (two / "lib" / "gone").write_text("now a file")
    (two / "only").mkdir()
    (one / "lib" / "first").touch()
    for root, mode in ((one, 0o644), (two, 0o755)):
        (root / "run").touch()
        (root / "run").chmod(mode)
    assert list(tree_differences(one, two)) == [
        "lib/a: other content",
        "lib/first: only the first build has it",
        "lib/gone: another kind of file",
        "lib/link: links to a and to gone",
        "only: only the second build has it",
        "run: -rw-r--r-- and -rwxr-xr-x",
    ]


@pytest.mark.parametrize(
    ("one", "two", "inside"),
    [
        (jar(x=b"1", y=b"1"), jar(x=b"2", y=b"1"), "; inside: x (content)"),
        (jar(x=b"1"), jar(second=2, x=b"1"), "; inside: x (time)"),
        (jar(x=b"1", y=b"1"), jar(x=b"1"), "; inside: y (only in the first)"),
        (jar(x=b"1", y=b"1"), jar(y=b"1", x=b"1"), "; inside: the order of entries"),
        (
            jar(**{f"e{n}": b"1" for n in range(7)}),
            jar(),
            "; inside: " + ", ".join(f"e{n} (only in the first)" for n in range(5)) + " and 2 more",
        ),
        (jar(x=b"1"), b"no archive", ""),
    ],
    ids=["content", "time", "lost", "order", "many", "no archive"],
)
def test_the_entries_of_archives_are_named(
    trees: tuple[Path, Path], tmp_path: Path, one: bytes, two: bytes, inside: str
) -> None:
    (trees[0] / "x.jar").write_bytes(one)
    (trees[1] / "x.jar").write_bytes(two)
    assert list(tree_differences(*trees)) == [f"x.jar: other content{inside}"]
    packages = [
        write_rpm(tmp_path / name, replace(BASE, files={"/opt/x.jar": content}))
        for name, content in (("p1", one), ("p2", two))
    ]
    (told,) = package_differences(*packages)
    assert told.startswith("/opt/x.jar: ")
    assert "other content" in told
    assert told.endswith(inside)


def test_the_same_package(tmp_path: Path) -> None:
    assert list(package_differences(write_rpm(tmp_path / "1", BASE), write_rpm(tmp_path / "2", BASE))) == []


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (replace(BASE, summary="Else"), ["summary: 'A package of a test' and 'Else'"]),
        (replace(BASE, files={"/opt/a": b"a"}), ["/opt/b.jar: only the first build has it"]),
        (
            replace(BASE, files={**BASE.files, "/opt/a": File(b"a", mode=0o100755)}),
            ["/opt/a: mode 33188 and 33261"],
        ),
        (
            replace(BASE, build_time=1),
            [
                "build_time: 1600000000 and 1",
                "/opt/a: mtime 1600000000 and 1",
                "/opt/b.jar: mtime 1600000000 and 1",
            ],
        ),
    ],
    ids=["field", "lost", "mode", "times"],
)
def test_every_difference_of_packages(tmp_path: Path, other: Spec, told: list[str]) -> None:
    assert list(package_differences(write_rpm(tmp_path / "1", BASE), write_rpm(tmp_path / "2", other))) == told


def test_packages_that_differ_in_compression_alone(tmp_path: Path) -> None:
    one = write_rpm(tmp_path / "1", BASE)
    two = write_rpm(tmp_path / "2", BASE)
    two.write_bytes(two.read_bytes() + b"\0")
    (told,) = package_differences(one, two)
    assert "the compression of the payload" in told
