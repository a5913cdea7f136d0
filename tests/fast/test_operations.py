"""Tables of facts and the operations that they ask for; and files, written for real by this machine's bash."""

from __future__ import annotations

import getpass
import grp
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigtop_builder.flow.hosts.operations import apply
from bigtop_builder.hosts.facts import (
    FileFact,
    HostFacts,
    Package,
    ServiceFact,
    User,
    Wanted,
)
from bigtop_builder.hosts.files import block_lines, managed_block, remove_file, write_file
from bigtop_builder.hosts.operation import Cannot, Operation
from bigtop_builder.hosts.packages import RepositoryFile, install_packages, remove_packages, repository
from bigtop_builder.hosts.services import restart_mark, service_running, service_stopped
from bigtop_builder.hosts.system import (
    HOSTS_FILE,
    SELINUX_FILE,
    THP_BOOT,
    hosts_entries,
    make_user,
    selinux,
    sysctl,
    transparent_huge_pages,
)
from tests.fast.local_hosts import LocalFleet


def host(**known: Any) -> HostFacts:
    return HostFacts(name="node1.example.com", clock=0.0, **known)


def file(text: str, *, owner: str = "root", group: str = "root", mode: str = "644") -> FileFact:
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return FileFact(kind="regular file", size=len(text), owner=owner, group=group, mode=mode, sha256=sha256, text=text)


def package(name: str, version: str = "1.0", release: str = "1") -> dict[str, tuple[Package, ...]]:
    return {name: (Package(name=name, epoch=0, version=version, release=release, arch="noarch"),)}


def shown(parts: tuple[Operation | Cannot, ...]) -> list[str]:
    """Operations as ``name: detail``, what cannot be as ``cannot: what``."""
    return [f"{part.name}: {part.detail}" if isinstance(part, Operation) else f"cannot: {part.what}" for part in parts]


THERE, DOWN = ServiceFact(running=True, enabled=True), ServiceFact(running=False, enabled=False)


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [
        ({}, ["install a b-2.0: a, b-2.0"]),
        ({"packages": package("a") | package("b", "2.0")}, []),
        ({"packages": package("a") | package("b", "1.9", "3")}, ["install b-2.0: b 1.9-3 is installed"]),
        ({"packages": package("b", "2.0", "7")}, ["install a: a"]),
    ],
)
def test_packages(facts: dict[str, Any], wanted: list[str]) -> None:
    assert shown(install_packages(host(**facts), ["a", "b", "a"], versions={"b": "2.0"})) == wanted


def test_a_version_may_name_its_release() -> None:
    facts = host(packages=package("a", "1.0", "2"))
    assert install_packages(facts, ["a"], versions={"a": "1.0-2"}) == ()
    assert shown(install_packages(facts, ["a"], versions={"a": "1.0-3"})) == ["install a-1.0-3: a 1.0-2 is installed"]


def test_only_packages_that_are_there_are_removed() -> None:
    (operation,) = remove_packages(host(packages=package("a") | package("c")), ["c", "b"])
    assert operation.script == "rpm --erase --allmatches c"
    assert remove_packages(host(), ["c"]) == ()


@pytest.mark.parametrize(
    ("service", "mark", "changed", "wanted"),
    [
        (None, False, False, ["enable s: start at boot: on", "start s: not running"]),
        (THERE, False, False, []),
        (DOWN, False, True, ["enable s: start at boot: on", "start s: not running"]),
        (THERE, False, True, ["restart s: its packages or files have changed"]),
        (THERE, True, False, ["restart s: its packages or files have changed"]),
    ],
)
def test_services_that_shall_run(service: ServiceFact | None, mark: bool, changed: bool, wanted: list[str]) -> None:
    facts = host(services={"s": service} if service else {}, files={restart_mark("s"): file("")} if mark else {})
    assert shown(service_running(facts, "s", changed=changed)) == wanted


def test_services_that_shall_not_run() -> None:
    assert shown(service_stopped(host(services={"s": THERE}), "s")) == [
        "stop s: running", "disable s: start at boot: off"
    ]  # fmt: skip
    assert service_stopped(host(services={"s": DOWN}), "s") == () == service_stopped(host(), "s")


USER = User(uid=1, gid=1, home="/", shell="/bin/sh")


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [
        (
            {},
            ["create the group x: missing", "create the group y: missing", "create the user u: with groups x, y"],
        ),
        ({"groups": {"x": (), "y": ()}}, ["create the user u: with groups x, y"]),
        ({"groups": {"x": ("u",), "y": ()}, "users": {"u": USER}}, ["groups of u: + y"]),
        ({"groups": {"x": ("u",), "y": ("u",)}, "users": {"u": USER}}, []),
    ],
)
def test_users(facts: dict[str, Any], wanted: list[str]) -> None:
    assert shown(make_user(host(**facts), "u", ["x", "y"])) == wanted


SYSCTL = "# Written by bigtop-builder.\nvm.swappiness = 1\n"


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [
        ({"sysctl": {"vm.swappiness": "60"}}, ["write /etc/sysctl.d/x", "sysctl vm.swappiness"]),
        ({"sysctl": {"vm.swappiness": "1"}}, ["write /etc/sysctl.d/x"]),
        ({"sysctl": {"vm.swappiness": "60"}, "files": {"/etc/sysctl.d/x": file(SYSCTL)}}, ["sysctl vm.swappiness"]),
        ({"sysctl": {"vm.swappiness": "1"}, "files": {"/etc/sysctl.d/x": file(SYSCTL)}}, []),
        ({"sysctl": {"vm.swappiness": "60"}, "container": True}, ["cannot"]),
        ({"sysctl": {"vm.swappiness": "1"}, "container": True}, []),
    ],
)
def test_kernel_settings(facts: dict[str, Any], wanted: list[str]) -> None:
    parts = shown(sysctl(host(**facts), {"vm.swappiness": "1"}, "/etc/sysctl.d/x"))
    assert [part.partition(":")[0] for part in parts] == wanted


@pytest.mark.parametrize(
    ("facts", "goal", "wanted"),
    [
        ({"thp": "always"}, "never", [f"write {THP_BOOT}", "transparent huge pages"]),
        ({"thp": "madvise"}, "never", [f"write {THP_BOOT}", "transparent huge pages"]),
        ({"thp": "never"}, "never", []),
        ({"thp": "never"}, "madvise", []),
        ({"thp": "madvise", "files": {THP_BOOT: file("of another time\n")}}, "madvise", [f"write {THP_BOOT}"]),
        ({"thp": "always", "container": True}, "madvise", ["cannot"]),
        ({"thp": "madvise", "container": True}, "madvise", []),
        ({}, "madvise", []),
    ],
)
def test_transparent_huge_pages(facts: dict[str, Any], goal: str, wanted: list[str]) -> None:
    parts = shown(transparent_huge_pages(host(**facts), goal))
    assert [part.partition(":")[0] for part in parts] == wanted


def selinux_file(mode: str) -> dict[str, FileFact]:
    return {SELINUX_FILE: file(f"# SELINUX= can be one of three\nSELINUX={mode}\nSELINUXTYPE=targeted\n")}


@pytest.mark.parametrize(
    ("now", "configured", "goal", "wanted"),
    [
        ("enforcing", "enforcing", "permissive", [f"write {SELINUX_FILE}", "SELinux mode"]),
        ("permissive", "enforcing", "permissive", [f"write {SELINUX_FILE}"]),
        ("enforcing", "permissive", "permissive", ["SELinux mode"]),
        ("permissive", "permissive", "permissive", []),
        ("disabled", "disabled", "permissive", []),
        ("enforcing", "enforcing", "disabled", [f"write {SELINUX_FILE}", "SELinux mode"]),
        ("permissive", "disabled", "disabled", []),
        ("permissive", "permissive", "enforcing", [f"write {SELINUX_FILE}", "SELinux mode"]),
        ("disabled", "disabled", "enforcing", [f"write {SELINUX_FILE}", "cannot"]),
        ("disabled", None, "permissive", []),
        ("disabled", None, "enforcing", ["cannot"]),
    ],
)
def test_selinux(now: str, configured: str | None, goal: str, wanted: list[str]) -> None:
    facts = host(selinux=now, files=selinux_file(configured) if configured else {})
    assert [part.partition(":")[0] for part in shown(selinux(facts, goal))] == wanted


def test_selinux_changes_the_setting_and_no_comment() -> None:
    (written,) = selinux(host(selinux="permissive", files=selinux_file("enforcing")), "permissive")
    assert isinstance(written, Operation)
    assert written.stdin == b"# SELINUX= can be one of three\nSELINUX=permissive\nSELINUXTYPE=targeted\n"


NAMES = ["node1.example.com", "node2.example.com"]


def test_hosts_entries_take_our_names_from_loopback_lines_and_keep_the_rest() -> None:
    text = (
        "127.0.0.1 localhost node1 # installer's\n127.0.1.1 node1.example.com node1\n::1 localhost\n"
        "10.0.0.9 other.example.com\n"
    )
    addresses = {"node1.example.com": "10.0.0.1", "node2.example.com": "10.0.0.2"}
    (operation,) = hosts_entries(host(files={HOSTS_FILE: file(text)}), addresses, NAMES)
    assert operation.stdin.decode().splitlines() == [
        "127.0.0.1 localhost # installer's",
        "::1 localhost",
        "10.0.0.9 other.example.com",
        "# bigtop-builder hosts: begin",
        "10.0.0.1 node1.example.com node1",
        "10.0.0.2 node2.example.com node2",
        "# bigtop-builder hosts: end",
    ]
    after = host(files={HOSTS_FILE: file(operation.stdin.decode())})
    assert hosts_entries(after, addresses, NAMES) == ()
    assert hosts_entries(after, {"node1.example.com": "10.0.0.1"}, NAMES) == (), "a lost host keeps its line"


@given(st.text(alphabet="ab\n #", max_size=60), st.lists(st.text(alphabet="xy ", min_size=1, max_size=5), max_size=4))
def test_a_managed_block_is_found_again_and_leaves_the_rest_alone(text: str, lines: list[str]) -> None:
    once = managed_block(text, "b", lines)
    assert block_lines(once, "b") == lines
    assert managed_block(once, "b", lines) == once
    assert managed_block(once, "b", []).splitlines() == text.splitlines()


REPOSITORY = RepositoryFile(
    "B-1", "https://repo.example.com/b", "https://repo.example.com/b/key", certificates="/ca.pem"
)


def test_a_repository_trusts_its_key_first_and_checks_everything() -> None:
    trust, write = repository(host(), REPOSITORY)
    assert "--cacert /ca.pem" in trust.script and "rpm --import" in trust.script
    assert write.stdin.decode().splitlines()[1:] == [
        "[B-1]",
        "name=B-1",
        "baseurl=https://repo.example.com/b",
        "enabled=1",
        "gpgcheck=1",
        "repo_gpgcheck=1",
        "metadata_expire=1",
        "gpgkey=https://repo.example.com/b/key",
        "sslcacert=/ca.pem",
    ]
    assert repository(host(files={REPOSITORY.path: file(write.stdin.decode())}), REPOSITORY) == ()


def test_differences_of_files_are_shown_but_for_secrets() -> None:
    facts = host(files={"/etc/x": file("a\nformer\n", mode="600")})
    (operation,) = write_file(facts, "/etc/x", b"a\nnew\n")
    assert operation.detail.splitlines() == ["--- /etc/x", "+++ /etc/x", "@@ -1,2 +1,2 @@", " a", "-former", "+new"]
    (operation,) = write_file(facts, "/etc/x", b"hunter2", secret=True)
    assert "hunter2" not in operation.detail + operation.script + operation.name and "former" not in operation.detail


@pytest.mark.parametrize(
    ("mode", "owner", "wanted"),
    [
        ("0600", "root", []),
        ("600", "root", []),
        ("0644", "root", ["owner and mode of /etc/x: mode 0600 -> 0644"]),
        ("0600", "u", ["owner and mode of /etc/x: owner root:root -> u:root"]),
    ],
)
def test_owner_and_mode_of_a_file(mode: str, owner: str, wanted: list[str]) -> None:
    facts = host(files={"/etc/x": file("a", mode="600")})
    assert shown(write_file(facts, "/etc/x", b"a", owner=owner, mode=mode)) == wanted


def gathered(*paths: Path) -> HostFacts:
    output = LocalFleet.of("a").hosts["a"].run(HostFacts.script(Wanted(files=tuple(map(str, paths)))))
    return HostFacts.parse("a", output.stdout)


def me() -> dict[str, str]:
    return {"owner": getpass.getuser(), "group": grp.getgrgid(os.getgid()).gr_name}


def done(operations: tuple[Operation, ...]) -> None:
    result = apply(LocalFleet.of("a"), {"a": operations}, phase="prepare", emit=lambda event: None, dry_run=False)  # type: ignore[arg-type]
    assert result.error() is None


def test_files_written_for_real_are_there_and_ask_for_nothing_more(tmp_path: Path) -> None:
    contents = {
        tmp_path / "plain": b"text\n",
        tmp_path / "new folder" / "it's $odd": b"\x00\xff binary",
        tmp_path / "empty": b"",
        tmp_path / "large": b"line\n" * 50_000,
        tmp_path / "there": b"new",
    }
    (tmp_path / "there").write_text("old")
    (tmp_path / "there").chmod(0o600)

    def wanted(facts: HostFacts) -> tuple[Operation, ...]:
        each = (write_file(facts, str(path), data, mode="0640", **me()) for path, data in contents.items())
        return tuple(operation for operations in each for operation in operations)

    operations = wanted(gathered(*contents))
    assert len(operations) == len(contents)
    done(operations)
    assert {path: path.read_bytes() for path in contents} == contents
    assert {path.stat().st_mode & 0o777 for path in contents} == {0o640}
    assert wanted(gathered(*contents)) == ()
    assert not list(tmp_path.rglob(".bigtop-builder*")), "no scratch is left"
    assert not shown(remove_file(gathered(tmp_path / "no"), str(tmp_path / "no")))
    done(remove_file(gathered(tmp_path / "large"), str(tmp_path / "large")))
    assert not (tmp_path / "large").exists()


def test_a_folder_in_the_place_of_a_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    operations = write_file(gathered(tmp_path / "x"), str(tmp_path / "x"), b"a", **me())
    result = apply(LocalFleet.of("a"), {"a": operations}, phase="prepare", emit=lambda event: None, dry_run=False)  # type: ignore[arg-type]
    assert result.error() is not None and (tmp_path / "x").is_dir() and list((tmp_path / "x").iterdir()) == []
