"""Trees that a build left: what is taken over, what is refused, and that nothing outside is touched."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from bigtop_builder.adapter.store import remove_tree
from bigtop_builder.adapter.untrusted import (
    DEPTH,
    Budget,
    disk_use,
    is_folder,
    matching,
    open_folder,
    shown,
    take,
    take_folder,
    walk,
)
from bigtop_builder.flow.build.packages import take_packages
from bigtop_builder.flow.build.workbench import Workbench
from bigtop_builder.model.errors import BuildError

PLENTY = 1 << 40


def budget() -> Budget:
    return Budget(files=100_000, size=PLENTY)


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """The folder that a build could write."""
    folder = tmp_path / "box"
    (folder / "stage").mkdir(parents=True)
    return folder


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder of the host."""
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "secret").write_text("secret")
    (folder / "secret").chmod(0o600)
    folder.chmod(0o711)
    return folder


def state(folder: Path) -> list[tuple[str, int, int, int, bytes]]:
    found = []
    for path in sorted([folder, *folder.rglob("*")]):
        status = path.stat()
        content = path.read_bytes() if path.is_file() else b""
        found.append((path.name, status.st_mode, status.st_mtime_ns, status.st_nlink, content))
    return found


def test_a_tree_is_taken_over_with_times_modes_and_links(box: Path, tmp_path: Path) -> None:
    (box / "stage" / "bin").mkdir()
    program = box / "stage" / "bin" / "program"
    program.write_text("run")
    program.chmod(0o750)
    os.utime(program, (1000, 1000))
    (box / "stage" / "bin" / "link").symlink_to("/etc/shadow")
    os.utime(box / "stage" / "bin", (2000, 2000))
    take(box, "stage", tmp_path / "taken", budget())
    taken = tmp_path / "taken" / "bin"
    assert (taken / "program").read_text() == "run"
    assert (taken / "program").stat().st_mode & 0o7777 == 0o755
    assert (taken / "program").stat().st_mtime == 1000
    assert taken.stat().st_mtime == 2000
    assert (taken / "link").readlink() == Path("/etc/shadow")


def test_what_is_to_stay_is_copied(box: Path, tmp_path: Path) -> None:
    (box / "stage" / "file").write_text("text")
    (box / "stage" / "file").chmod(0o600)
    (box / "stage" / "link").symlink_to("/etc/shadow")
    before = [(path.name, path.lstat()) for path in sorted((box / "stage").iterdir())]
    for name in ("once", "twice"):
        take_folder(box, "stage", tmp_path / name, budget(), keep=True)
        assert (tmp_path / name / "file").read_text() == "text"
        assert (tmp_path / name / "file").stat().st_mode & 0o7777 == 0o644
        assert (tmp_path / name / "link").readlink() == Path("/etc/shadow")
    after = [(path.name, path.lstat()) for path in sorted((box / "stage").iterdir())]
    assert [(name, one.st_ino, one.st_mode, one.st_mtime_ns) for name, one in after] == [
        (name, one.st_ino, one.st_mode, one.st_mtime_ns) for name, one in before
    ]


def test_unusual_modes_are_recorded_and_not_kept(box: Path, tmp_path: Path) -> None:
    stage = box / "stage"
    for name, mode in {"closed": 0o700, "open": 0o1777, "plain": 0o755}.items():
        (stage / name).mkdir()
        (stage / name).chmod(mode)
    for name, mode in {"closed/secret": 0o600, "open/setuid": 0o4750, "plain/text": 0o644, "cached": 0o444}.items():
        (stage / name).write_text("x")
        (stage / name).chmod(mode)
    modes: dict[str, int] = {}
    take_folder(box, "stage", tmp_path / "taken", budget(), modes)
    assert modes == {"closed": 0o700, "open": 0o1777, "closed/secret": 0o600, "open/setuid": 0o4750}
    found = {path.stat().st_mode & 0o7777 for path in (tmp_path / "taken").rglob("*")}
    assert found == {0o755, 0o644}


def test_what_is_taken_over_belongs_to_this_user(box: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    (box / "stage" / "file").write_text("x")
    for path in (box / "stage" / "file", box / "stage"):
        os.chown(path, 4321, 4321)
    take(box, "stage", tmp_path / "taken", budget())
    assert {path.stat().st_uid for path in (tmp_path / "taken", tmp_path / "taken" / "file")} == {0}


@pytest.mark.parametrize("place", ["stage", "stage/inner", "stage/inner/deep"])
def test_a_link_in_the_place_of_a_folder_is_refused(box: Path, victim: Path, tmp_path: Path, place: str) -> None:
    (box / "stage").rmdir()
    (box / place).parent.mkdir(parents=True, exist_ok=True)
    (box / place).symlink_to(victim)
    before = state(victim)
    with pytest.raises(BuildError, match=f"a link to .*victim in the place of the folder {place}"):
        take_folder(box, place, tmp_path / "taken", budget())
    with pytest.raises(BuildError, match="a link to"):
        list(walk(box, f"{place}/more"))
    assert not is_folder(box, place)
    assert matching(box, place, "*") == []
    assert state(victim) == before


def test_a_link_to_a_folder_inside_a_tree_stays_a_link(box: Path, victim: Path, tmp_path: Path) -> None:
    (box / "stage" / "out").symlink_to(victim)
    before = state(victim)
    take(box, "stage", tmp_path / "taken", budget())
    assert (tmp_path / "taken" / "out").is_symlink()
    assert [folder.path for folder in walk(tmp_path / "taken")] == [""]
    assert state(victim) == before


def test_a_hard_link_is_copied(box: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.write_text("shared")
    shared.chmod(0o444)
    (box / "stage" / "copy").hardlink_to(shared)
    take(box, "stage", tmp_path / "taken", budget())
    taken = tmp_path / "taken" / "copy"
    assert taken.read_text() == "shared"
    assert taken.stat().st_nlink == 1
    assert not taken.samefile(shared)


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def make_device(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make devices")
    os.mknod(path, 0o666 | 0o020000, os.makedev(1, 3))


def make_setuid(path: Path) -> None:
    path.write_text("x")
    path.chmod(0o4755)


def make_setgid(path: Path) -> None:
    path.write_text("x")
    path.chmod(0o2755)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (make_fifo, "neither a file, a folder nor a link: stage/odd"),
        (make_socket, "neither a file, a folder nor a link: stage/odd"),
        (make_device, "neither a file, a folder nor a link: stage/odd"),
        (make_setuid, "setuid or setgid program: stage/odd"),
        (make_setgid, "setuid or setgid program: stage/odd"),
    ],
)
def test_what_has_no_place_in_a_package_is_refused(
    box: Path, tmp_path: Path, make: Callable[[Path], None], what: str
) -> None:
    make(box / "stage" / "odd")
    with pytest.raises(BuildError, match=what):
        take(box, "stage", tmp_path / "taken", budget())


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (b"new\nline", r"new\\nline"),
        (b"esc\x1b[2J", r"esc\\x1b\[2J"),
        (b"bad\xff", r"bad\\udcff"),
        (b"del\x7f", r"del\\x7f"),
    ],
)
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_name_that_cannot_be_packed_is_told_without_its_control_characters(
    box: Path, tmp_path: Path, name: bytes, told: str, kind: str
) -> None:
    path = os.fsencode(box / "stage") + b"/" + name
    if kind == "file":
        with open(path, "wb"):  # noqa: PTH123
            pass
    else:
        os.mkdir(path)  # noqa: PTH102
    with pytest.raises(BuildError, match=told) as raised:
        take(box, "stage", tmp_path / "taken", budget())
    assert raised.value.message.isprintable()


def nest(folder: Path, depth: int, name: str = "d") -> None:
    """Nest folders deeper than a path could be long."""
    handle = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=handle)
        inner = os.open(name, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=handle))
    os.close(handle)


@pytest.mark.parametrize(("depth", "name"), [(DEPTH + 1, "d"), (1500, "d"), (6000, "d"), (30, "n" * 200)])
def test_deep_trees_are_refused_and_can_be_measured_and_removed(
    box: Path, tmp_path: Path, depth: int, name: str
) -> None:
    nest(box / "stage", depth, name)
    with pytest.raises(BuildError, match="nested folders too deeply: stage/"):
        take(box, "stage", tmp_path / "taken", budget())
    assert disk_use(box) > 0
    remove_tree(box)
    assert not box.exists()


def test_what_a_build_leaves_is_limited_in_number_and_size(box: Path, tmp_path: Path) -> None:
    for number in range(10):
        (box / "stage" / f"{number}").write_bytes(b"x" * 1000)
    with pytest.raises(BuildError, match="more than 5 files"):
        take(box, "stage", tmp_path / "few", Budget(files=5, size=PLENTY))
    with pytest.raises(BuildError, match="does not fit any more"):
        take(box, "stage", tmp_path / "small", Budget(files=100, size=5000))


def test_a_sparse_file_counts_with_its_whole_size(box: Path, tmp_path: Path) -> None:
    with (box / "stage" / "sparse").open("wb") as stream:
        stream.truncate(1 << 38)
    with pytest.raises(BuildError, match="stage/sparse does not fit"):
        take(box, "stage", tmp_path / "taken", Budget(files=100, size=1 << 30))


def test_a_missing_folder_is_the_build_s_failure(box: Path, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="removed the folder gone"):
        take_folder(box, "gone", tmp_path / "taken", budget())
    with pytest.raises(BuildError, match="left no stage/gone"):
        take(box, "stage/gone", tmp_path / "taken", budget())
    (box / "stage" / "file").write_text("x")
    with pytest.raises(BuildError, match="a file in the place of the folder stage/file"):
        take_folder(box, "stage/file", tmp_path / "taken", budget())


def test_a_walk_shows_what_is_in_each_folder(box: Path) -> None:
    (box / "stage" / "b").mkdir()
    (box / "stage" / "b" / "file").write_text("text")
    (box / "stage" / "link").symlink_to("b")
    seen = {}
    for folder in walk(box):
        seen[folder.path] = [entry.name for entry in folder.files]
        for entry in folder.files:
            assert Path(folder.place(entry.name)).read_text() == "text"
            assert entry.stat(follow_symlinks=False).st_size == 4
    assert seen == {"": [], "stage": [], "stage/b": ["file"]}
    assert list(walk(box, "missing")) == []


def test_matching_follows_no_link(box: Path, victim: Path) -> None:
    (box / "stage" / "a").mkdir()
    (box / "stage" / "a" / "x.txt").write_text("")
    (box / "stage" / "b").symlink_to(victim)
    assert matching(box, "stage", "*/*") == ["stage/a/x.txt"]
    assert matching(box, "stage", "*") == ["stage/a", "stage/b"]


def test_the_root_itself_may_not_be_a_link(box: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(box)
    with pytest.raises(OSError, match="Not a directory"):
        open_folder(tmp_path / "link")


def test_disk_use_counts_files_without_content_and_hard_links_once(box: Path) -> None:
    before = disk_use(box)
    (box / "stage" / "empty").touch()
    assert disk_use(box) == before + 4096
    (box / "stage" / "again").hardlink_to(box / "stage" / "empty")
    assert disk_use(box) == before + 4096


def test_a_long_path_is_shown_short() -> None:
    assert len(shown("d/" * 1000)) < 250
    assert shown("a\u202etxt") == "a\\u202etxt"


def test_unreadable_folders_are_removed(tmp_path: Path) -> None:
    locked = tmp_path / "tree" / "locked"
    (locked / "inner").mkdir(parents=True)
    (locked / "inner" / "file").write_text("x")
    (locked / "inner").chmod(0)
    locked.chmod(0)
    remove_tree(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()


def test_removing_a_tree_removes_links_and_not_what_they_lead_to(box: Path, victim: Path) -> None:
    (box / "stage" / "out").symlink_to(victim)
    before = state(victim)
    remove_tree(box)
    assert state(victim) == before
    (victim.parent / "top").symlink_to(victim)
    remove_tree(victim.parent / "top")
    assert state(victim) == before
    assert not (victim.parent / "top").is_symlink()


class Bench:
    """As much of a workbench as packages are taken over with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.box = folder / "box"
        self.budget = budget()

    def private(self, name: str) -> Path:
        (self.folder / name).mkdir(exist_ok=True)
        return self.folder / name


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """The folder of a build container into which rpmbuild writes packages."""
    folder = tmp_path / "box" / "rpm" / "RPMS" / "noarch"
    folder.mkdir(parents=True)
    (folder / "good.rpm").write_text("package")
    return folder


def taken(tmp_path: Path) -> list[Path]:
    return take_packages(cast(Workbench, Bench(tmp_path)), "rpm/RPMS", ".rpm")


def test_packages_are_moved_to_where_no_container_writes(tmp_path: Path, packages: Path) -> None:
    (packages / "said.log").write_text("")
    assert taken(tmp_path) == [tmp_path / "result" / "rpms" / "good.rpm"]
    assert not (packages / "good.rpm").exists()


def test_a_link_in_the_place_of_a_package_is_refused(tmp_path: Path, packages: Path, victim: Path) -> None:
    (packages / "evil.rpm").symlink_to(victim / "secret")
    before = state(victim)
    with pytest.raises(BuildError, match=r"a link in the place of the package noarch/evil\.rpm"):
        taken(tmp_path)
    assert state(victim) == before


def test_a_link_to_a_folder_of_packages_is_not_followed(tmp_path: Path, packages: Path, victim: Path) -> None:
    (victim / "evil.rpm").write_text("of the host")
    (packages.parent / "x86_64").symlink_to(victim)
    assert [path.name for path in taken(tmp_path)] == ["good.rpm"]
    remove_tree(packages.parent)
    packages.parent.symlink_to(victim)
    (tmp_path / "result" / "rpms" / "good.rpm").unlink()
    (tmp_path / "result" / "rpms").rmdir()
    with pytest.raises(BuildError, match="in the place of the folder rpm/RPMS"):
        taken(tmp_path)


def test_two_packages_of_one_name_are_refused(tmp_path: Path, packages: Path) -> None:
    (packages.parent / "x86_64").mkdir()
    (packages.parent / "x86_64" / "good.rpm").write_text("another")
    with pytest.raises(BuildError, match=r"two packages of the name good\.rpm"):
        taken(tmp_path)
