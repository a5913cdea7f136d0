"""An engine that is not there or refuses is an error with something to do; a plan needs none at all."""

from __future__ import annotations

import http.server
import io
import json
import os
import pwd
import shutil
import socketserver
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.adapter.containers.accounts import Account, build_account
from bigtop_builder.adapter.containers.container import Mount, Sandbox, Session, User, ulimits
from bigtop_builder.adapter.containers.engine import connect, facts
from bigtop_builder.adapter.containers.engine_images import import_image, present
from bigtop_builder.adapter.containers.handover import GIVE, TAKE, hand_over, measure, outermost, take_back
from bigtop_builder.adapter.containers.helper_image import PROGRAMS, helper_image
from bigtop_builder.adapter.containers.interactive import engine_command, shell_command
from bigtop_builder.adapter.store import Store, remove_tree
from bigtop_builder.adapter.tools.cache_files import link
from bigtop_builder.flow.build.dead_runs import clear_dead_runs
from bigtop_builder.model.errors import EngineError, ExitCode, LimitError
from tests.fast.engine_double import EngineDouble, with_helper

ROOT = Path(__file__).parents[2]


@pytest.fixture
def old_engine(tmp_path: Path) -> Iterator[str]:
    """A socket that speaks of an API from 2018."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"ApiVersion": "1.37", "Version": "18.05"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self) -> str:
            return "client"

        def log_message(self, *_: object) -> None:
            pass

    path = tmp_path / "docker.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), Answer) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"unix://{path}"
        server.shutdown()
        thread.join()


def test_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(EngineError, match="no container engine responds at unix://") as caught:
        connect()
    assert caught.value.exit_code == ExitCode.ENGINE
    assert caught.value.hint is not None
    assert "make engine" in caught.value.hint


def test_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with pytest.raises(EngineError, match=r"no container engine responds at tcp://127\.0\.0\.1:9"):
        connect()


def test_a_wrong_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "gopher://x")
    with pytest.raises(EngineError, match="gopher"):
        connect()


def test_an_engine_that_is_too_old(old_engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", old_engine)
    with pytest.raises(EngineError, match=r"has API 1\.37; 1\.40 or newer"):
        connect()


@pytest.mark.skipif(os.geteuid() != 0, reason="a socket that refuses is made by becoming another user")
def test_no_permission(tmp_path: Path) -> None:
    program = (
        "import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()\n"
        "os.chmod(sys.argv[1], 0o600); os.environ['DOCKER_HOST'] = 'unix://' + sys.argv[1]\n"
        "import docker, requests, bigtop_builder.adapter.containers.engine as engine\n"
        "from bigtop_builder.model.errors import EngineError\n"
        "os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)\n"
        "try: engine.connect()\n"
        "except EngineError as error: print(error)\n"
    )
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(folder.stat().st_mode | 0o011)
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "s")], capture_output=True, text=True, timeout=60, check=False
    )
    assert "no permission to use the container engine" in done.stdout, done.stderr


def test_the_image_records_need_no_engine_library() -> None:
    program = (
        "import sys; import bigtop_builder.adapter.containers.image, bigtop_builder.adapter.containers.container\n"
        "print([name for name in ('docker', 'requests') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_the_shell_gets_the_container_of_a_session() -> None:
    box = Sandbox(
        image="sha256:1",
        run="r",
        task="t@p/compile",
        store=Path("/s"),
        user=User(1000, 1000, listed=True),
        environment={"TOKEN": "hidden"},
        memory=1 << 30,
        cpus=1.5,
    )
    mounts = [Mount(Path("/a"), "/work", read_only=False), Mount(Path("/b"), "/files")]
    command = shell_command(box, mounts, "/work", {"nofile": 4096})
    line = " ".join(command)
    assert "hidden" not in line
    assert "--env TOKEN" in line
    assert "--cap-drop ALL --security-opt no-new-privileges --user 1000:1000 --network none" in line
    assert "--memory 1073741824 --memory-swap 1073741824" in line
    assert "--volume /a:/work --volume /b:/files:ro" in line
    assert "docker.sock" not in line
    assert "--ulimit nofile=4096" in line
    assert command[-1] == "sha256:1"


@pytest.mark.parametrize(
    ("name", "kind", "rootless", "remapped"),
    [
        ("docker", "Docker", False, False),
        ("docker-rootless", "Docker", True, False),
        ("docker-remapped", "Docker", False, True),
        ("podman", "Podman", False, False),
        ("podman-rootless", "Podman", True, False),
    ],
)
def test_engines_are_told_apart(name: str, kind: str, rootless: bool, remapped: bool) -> None:
    found = facts(EngineDouble(name).client)
    assert (found.kind, found.rootless, found.remapped) == (kind, rootless, remapped)


def be(monkeypatch: pytest.MonkeyPatch, uid: int, gid: int) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(os, "getegid", lambda: gid)


def account(name: str, subids: Path) -> Account:
    return build_account(facts(EngineDouble(name).client), subids=subids)


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_roots_builds_run_as_a_number_that_nobody_has(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    be(monkeypatch, 0, 0)
    found = account(name, tmp_path)
    assert found.apart and not found.user.listed and not found.user.lent
    assert found.owner == (found.user.uid, found.user.gid)
    assert 65536 <= found.user.uid <= 2097150
    with pytest.raises(KeyError):
        pwd.getpwuid(found.user.uid)


def test_the_number_of_builds_is_in_nobodys_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    be(monkeypatch, 0, 0)
    (tmp_path / "subuid").write_text("someone:2031616:65536\n# a remark\nbroken:x:y\n1001:100000:65536\n")
    (tmp_path / "subgid").write_text("someone:2097150:1\n")
    found = account("docker", tmp_path)
    assert found.owner == (2031615, 2097149)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: None if uid == 2031615 else {}[uid])
    assert account("docker", tmp_path).owner == (2031614, 2097149)


def test_a_site_chooses_the_number_of_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    be(monkeypatch, 0, 0)
    for name in ("subuid", "subgid"):
        (tmp_path / name).write_text("someone:100000:65536\nbigtop-builder:700000:1\n")
    assert account("docker", tmp_path).owner == (700000, 700000)
    (tmp_path / "subuid").write_text("bigtop-builder:3000000:1\n")
    assert account("docker", tmp_path).owner == (2097150, 700000), "build tools refuse larger numbers"


def test_a_remapping_engine_gives_builds_a_mapped_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    be(monkeypatch, 0, 0)
    found = account("docker-remapped", tmp_path)
    assert (found.user, found.owner, found.apart) == (User(1000, 1000, listed=True), (101000, 201000), True)
    be(monkeypatch, 1001, 1001)
    with pytest.raises(EngineError, match="userns-remap"):
        account("docker-remapped", tmp_path)


@pytest.mark.parametrize("name", ["docker-rootless", "podman-rootless"])
def test_a_rootless_engine_lends_builds_their_folders(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    be(monkeypatch, 1001, 1002)
    found = account(name, tmp_path)
    assert (found.user, found.owner) == (User(1000, 1000, listed=True, lent=True), (1001, 1002))
    assert found.apart
    be(monkeypatch, 0, 0)
    with pytest.raises(EngineError, match="is rootless"):
        account(name, tmp_path)


def test_an_ordinary_account_and_an_engine_of_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    be(monkeypatch, 1001, 1002)
    found = account("docker", tmp_path)
    assert (found.user, found.apart) == (User(1001, 1002, listed=False), False)


def test_podman_is_given_what_it_may_grant() -> None:
    assert ulimits(EngineDouble("docker").client, 4096) == {"nofile": 4096}
    assert ulimits(EngineDouble("docker").client, None) == {}
    given = ulimits(EngineDouble("podman").client, 4096)
    assert set(given) == {"nofile", "nproc"}
    assert given["nproc"] <= 16384


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_an_imported_image_has_its_tag_on_every_engine(name: str) -> None:
    double = EngineDouble(name)
    assert import_image(double.client, io.BytesIO(b""), "bigtop-builder/base:trixie-1") == "sha256:1"
    assert present(double.client, "bigtop-builder/base:trixie-1") == "sha256:1"
    assert present(double.client, "bigtop-builder/base:latest") is None


def test_the_helper_image_is_made_once_of_this_machines_programs() -> None:
    made: list[bytes] = []

    class Keeping(EngineDouble):
        def import_image(self, src: Any, repository: str | None = None, tag: str | None = None) -> str:
            made.append(src.read())
            return super().import_image(src, repository, tag)

        __hash__ = object.__hash__

    double = Keeping()
    assert helper_image(double.client) == helper_image(double.client)
    assert len(made) == 1
    with tarfile.open(fileobj=io.BytesIO(made[0])) as archive:
        members = {member.name: member for member in archive}
    assert {f"bin/{name}" for name in PROGRAMS} <= set(members)
    assert all(str(parent) in members for name in members for parent in Path(name).parents)
    assert {member.mode for member in members.values()} == {0o755}


def test_files_are_handed_over_without_following_links_and_without_the_shared_caches(tmp_path: Path) -> None:
    double = with_helper(EngineDouble("podman-rootless"))
    hand_over(double.client, [tmp_path], (1000, 1000), {"a": "b"})
    take_back(double.client, [tmp_path], {"a": "b"})
    over, back = double.made
    assert over["entrypoint"] == ["sh", "-ec", GIVE, "sh", "1000:1000", "/lent/0"]
    assert back["entrypoint"] == ["sh", "-ec", TAKE, "sh", "0:0", "1000", "/lent/0"]
    for made in double.made:
        assert made["host_config"]["binds"] == [f"{tmp_path}:/lent/0:rw"]
        assert made["host_config"]["cap_drop"] == ["ALL"]
        assert made["network_disabled"]
    assert double.done == ["create 0", "start 0", "wait 0", "remove 0", "create 1", "start 1", "wait 1", "remove 1"]


def test_an_engine_that_cannot_hand_files_over_says_so(tmp_path: Path) -> None:
    double = with_helper(EngineDouble("podman-rootless", status=1))
    with pytest.raises(EngineError, match=r"cannot change or measure .*: chown: .*not permitted") as caught:
        hand_over(double.client, [tmp_path], (1000, 1000), {})
    assert "/etc/subuid" in str(caught.value.hint)
    assert double.done[-1] == "remove 0"


@pytest.mark.skipif(os.geteuid() != 0, reason="owners are changed by root")
def test_owners_change_and_modes_stay_without_following_links(tmp_path: Path) -> None:
    box, outside, shared = tmp_path / "box", tmp_path / "outside", tmp_path / "shared.jar"
    (box / "a folder\nof two lines").mkdir(parents=True)
    outside.write_text("")
    shared.write_text("")
    link(str(shared), str(box / "linked.jar"))
    (box / "link").symlink_to(outside)
    for name, mode in (("usual", 0o640), ("-rf", 0o600), ("a folder\nof two lines/program", 0o6750)):
        (box / name).write_text("")
        (box / name).chmod(mode)

    def run(script: str, *owners: str) -> dict[str, tuple[int, int]]:
        subprocess.run(["sh", "-ec", script, "sh", *owners, str(box)], check=True, timeout=60)
        paths = [box, *box.rglob("*")]
        return {path.name: (path.lstat().st_uid, path.lstat().st_mode & 0o7777) for path in paths}

    lent = run(GIVE, "4711:4711")
    assert {name for name, (uid, _) in lent.items() if uid != 4711} == {"linked.jar"}
    (box / "a folder\nof two lines" / "program").chmod(0o6750)
    back = run(TAKE, "0:0", "4711")
    assert {uid for uid, _ in back.values()} == {0}
    assert back["program"][1] == 0o6750
    assert back["usual"][1] == 0o640
    assert back["box"][1] == 0o700
    assert outside.stat().st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="owners are changed by root")
def test_folders_nested_beyond_every_path_are_taken_back(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        os.chown("d", 4711, 4711, dir_fd=here)
        above, here = here, os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(above)
    subprocess.run(["sh", "-ec", TAKE, "sh", "0:0", "4711", str(tmp_path)], check=True, timeout=60)
    assert os.fstat(here).st_uid == 0
    os.close(here)
    remove_tree(tmp_path / "d")


@pytest.mark.parametrize("status", [0, 1])
def test_what_is_closed_to_this_account_is_measured_by_the_engine(tmp_path: Path, status: int) -> None:
    double = with_helper(EngineDouble("podman-rootless", status=status))
    assert measure(double.client, tmp_path, {}) == 2 << 20
    assert double.made[0]["host_config"]["cap_add"] == ["DAC_READ_SEARCH"]
    assert double.done[-1] == "remove 0"


def test_folders_in_others_are_lent_with_them(tmp_path: Path) -> None:
    assert outermost([tmp_path, tmp_path / "tmp", tmp_path, tmp_path / "tmp"]) == [tmp_path]
    assert outermost([tmp_path / "a", tmp_path / "ab"]) == [tmp_path / "a", tmp_path / "ab"]


def lent_box(tmp_path: Path) -> Sandbox:
    mounts = [Mount(tmp_path, "/work", read_only=False), Mount(tmp_path, "/files")]
    user = User(1000, 1000, listed=True, lent=True)
    return Sandbox(image="sha256:2", run="r", task="t", store=tmp_path, user=user, mounts=mounts)


def test_a_container_has_its_folders_only_while_it_runs(tmp_path: Path) -> None:
    double = with_helper(EngineDouble("podman-rootless"))
    with Session(double.client, lent_box(tmp_path)):
        assert [made["image"] for made in double.made] == ["sha256:1", "sha256:2"]
    assert [made["image"] for made in double.made] == ["sha256:1", "sha256:2", "sha256:1"]
    assert double.made[0]["host_config"]["binds"] == [f"{tmp_path}:/lent/0:rw"]
    assert double.done.index("remove 1") < double.done.index("create 2")
    assert double.made[2]["labels"]["org.bigtop-builder.run"] == "r", "a run that is killed now leaves no container"


def test_a_container_that_may_still_run_keeps_its_folders(tmp_path: Path) -> None:
    double = with_helper(EngineDouble("podman-rootless", broken=frozenset({"remove 1"})))
    with pytest.raises(EngineError, match="removing a container"), Session(double.client, lent_box(tmp_path)):
        pass
    assert len(double.made) == 2


def test_the_error_of_a_build_wins_over_that_of_taking_back(tmp_path: Path) -> None:
    double = with_helper(EngineDouble("podman-rootless"))
    with pytest.raises(LimitError), Session(double.client, lent_box(tmp_path)):
        double.status = 1
        raise LimitError("too long")


def test_what_a_dead_run_left_to_a_container_is_taken_back_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    double = with_helper(EngineDouble("podman-rootless"))

    class Foreign(Store):
        """Its scratch cannot be removed before it was taken back."""

        def remove_dead_work(self) -> list[str]:
            return super().remove_dead_work() if double.made else []

    store = Foreign(tmp_path / "store")
    store.open()
    assert clear_dead_runs(store, double.client) == []
    assert not double.made, "nothing is taken back when nothing is left"
    left = store.root / "work" / "dead"
    left.mkdir()
    be(monkeypatch, 1001, 1001)
    assert clear_dead_runs(store, double.client) == ["cleared the scratch of the run dead, which died"]
    assert double.made[0]["host_config"]["binds"] == [f"{left}:/lent/0:rw"]
    assert not left.exists()


def test_the_name_of_an_account_is_mounted_from_the_store_and_readable_whatever_the_umask(tmp_path: Path) -> None:
    double = EngineDouble()
    (tmp_path / "work" / "r").mkdir(parents=True)
    box = Sandbox(image="i", run="r", task="t", store=tmp_path, user=User(2097150, 2097150, listed=False))
    former = os.umask(0o077)
    try:
        with Session(double.client, box):
            binds = [Path(bind.split(":")[0]) for bind in double.made[0]["host_config"]["binds"]]
            assert [path.name for path in binds] == ["passwd", "group"]
            assert all(path.is_relative_to(tmp_path / "work" / "r") for path in binds)
            assert {path.stat().st_mode & 0o777 for path in binds} == {0o644}
            assert "builder:x:2097150:2097150:" in binds[0].read_text()
    finally:
        os.umask(former)
    assert not list((tmp_path / "work" / "r").iterdir())


def test_a_shell_is_opened_by_the_engines_own_command(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = {"docker": "/bin/docker", "podman": "/bin/podman"}
    monkeypatch.setattr(shutil, "which", commands.get)
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/p.sock")
    assert engine_command(EngineDouble("docker").client, "i") == ["/bin/docker"]
    assert engine_command(EngineDouble("podman").client, "i") == ["/bin/podman", "--url", "unix:///run/p.sock"]
    del commands["podman"]
    assert engine_command(EngineDouble("podman").client, "i") == ["/bin/docker"]
    commands.clear()
    with pytest.raises(EngineError, match="docker is not on PATH"):
        engine_command(EngineDouble("docker").client, "i")
