"""``repo publish`` and ``repo verify`` see what a host would: its rpm, files of two packages, other stacks."""

from __future__ import annotations

import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bigtop_builder.adapter.rpm.gnupg import Signer
from bigtop_builder.flow.publish.publisher import Rules, publish
from bigtop_builder.flow.publish.served_repo_files import reachable, valid_host
from bigtop_builder.flow.publish.server import RepositoryServer
from bigtop_builder.flow.publish.verifier import verify
from bigtop_builder.model.errors import PublishError
from bigtop_builder.model.stack import Stack
from bigtop_builder.recipe.catalog import Catalog
from tests.rpmfile import File, Spec, write_rpm

STACK = Catalog().stack("bigtop-3.2.0")
ROOT = "/usr/bigtop/3.2.0/usr/lib"
PLAIN = Spec(name="tool", release="1")

Publish = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path, signer: Signer) -> Publish:
    def run(*specs: Spec, platform: str = "el8", **rules: object) -> Path:
        packages = [write_rpm(tmp_path / "given", spec) for spec in specs]
        known = Catalog().platform(platform)
        return publish(packages, tmp_path / "root", STACK.name, known, signer, Rules(**rules)).folder  # type: ignore[arg-type]

    return run


@pytest.mark.parametrize(
    ("requires", "platform", "said"),
    [
        ("rpmlib(RichDependencies) <= 4.12.0-1", "el7", "rpm has from 4.13 on; el7 has rpm 4.11.3"),
        ("(bash or zsh)", "el7", "requires rpmlib(RichDependencies)"),
        ("(bash or zsh)", "el8", None),
        ("rpmlib(CaretInVersions) <= 4.15.0-1", "el8", "rpm has from 4.15 on"),
        ("rpmlib(CaretInVersions) <= 4.15.0-1", "el9", None),
        ("rpmlib(TildeInVersions) <= 4.10.0-1", "el7", None),
        ("rpmlib(ShortCircuited) <= 4.9.0-1", "el9", "no rpm is known to have"),
    ],
)
def test_what_the_rpm_of_a_platform_does_not_know(put: Publish, requires: str, platform: str, said: str | None) -> None:
    asking = replace(PLAIN, requires=(requires,))
    if said is None:
        put(asking, platform=platform)
        return
    with pytest.raises(PublishError) as caught:
        put(asking, platform=platform)
    assert said in caught.value.message


def test_verify_tells_what_the_rpm_of_a_platform_cannot_read(put: Publish) -> None:
    """A repository that somebody else published, or for another platform."""
    folder = put(replace(PLAIN, compressor="zstd", requires=("(bash or zsh)",)), platform="el9")
    system = ["bash"]
    assert verify(str(folder), system=system, platform=Catalog().platform("el9")).problems == ()
    found = verify(str(folder), system=system, platform=Catalog().platform("el7")).problems
    assert [(one.kind, one.subject) for one in found] == [("platform", "tool-0:1.0-1.noarch")] * 2
    assert "compressed with zstd" in found[0].detail and "RichDependencies" in found[1].detail


LINK, FOLDER, GHOST = 0o120777, 0o040755, 64


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        (File(b"same"), File(b"same"), True),
        (File(b"one"), File(b"two"), False),
        (File(b"same", mode=0o100755), File(b"same"), False),
        (File(b"same", owner="hdfs"), File(b"same"), False),
        (File(b"one", flags=GHOST), File(b"two"), True),
        (File(mode=LINK, link="a"), File(mode=LINK, link="a"), True),
        (File(mode=LINK, link="a"), File(mode=LINK, link="b"), False),
        (File(mode=FOLDER), File(mode=FOLDER), True),
    ],
)
def test_files_of_two_packages(put: Publish, one: File, other: File, together: bool) -> None:
    folder = put(Spec(name="a", files={"/x": one}), Spec(name="b", files={"/x": other}))
    found = [(problem.kind, problem.subject, problem.detail) for problem in verify(str(folder)).problems]
    text = "rpm would not install it together with b-0:1.0-1.el8.noarch: both have /x, and they differ"
    assert found == ([] if together else [("files", "a-0:1.0-1.el8.noarch", text)])


def test_versions_of_one_package_are_never_installed_together(put: Publish) -> None:
    old, new = (Spec(name="a", version=version, files={"/x": text}) for version, text in (("9", b"9"), ("10", b"10")))
    folder = put(old, new, Spec(name="b", files={"/x": b"10"}))
    assert verify(str(folder)).problems == ()


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (Spec(name="hadoop_3_3_0-hdfs", files={"/x": b""}), "its name has _3_3_0"),
        (Spec(name="spark2_3_2_0_78", files={"/x": b""}), "its name has _3_2_0_78"),
        (Spec(name="bigtop-x", files={"/usr/bigtop/3.3.0/usr/lib/x": b""}), "install below /usr/bigtop/3.2.0"),
        (Spec(name="tez_3_2_0", files={"/usr/odp/3.2.0/usr/lib/tez": b""}), "installs below /usr/odp/3.2.0"),
        (Spec(name="tez_3_2_0", files={f"{ROOT}/tez": b""}), None),
        (Spec(name="java-1_8", files={"/opt/java/3.2.0/bin/java": b""}), None),
        (Spec(name="bigtop-select", files={"/usr/bigtop/current": b""}), None),
    ],
)
def test_a_package_of_another_stack_is_refused(put: Publish, spec: Spec, said: str | None) -> None:
    if said is not None:
        with pytest.raises(PublishError, match=r"is of another stack than bigtop-3\.2\.0") as caught:
            put(spec, stack=STACK)
        assert said in caught.value.message
    assert verify(str(put(spec, stack=STACK, allow_foreign=said is not None))).packages == 1


def test_a_stack_without_this_field_refuses_nothing(put: Publish) -> None:
    assert isinstance(STACK, Stack)
    assert put(Spec(name="hadoop_3_3_0", files={"/x": b""})).is_dir()


@pytest.mark.parametrize("path", ["/bigtop-3.2.0-el8.repo", "/bigtop-3.2.0/el8/bigtop-3.2.0-el8.repo"])
def test_the_server_hands_out_a_repo_file_with_its_own_address(put: Publish, path: str, tmp_path: Path) -> None:
    put(PLAIN)
    with RepositoryServer(tmp_path / "root", "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            text, named = fetch(f"{server.address}{path}"), fetch(f"{server.address}{path}", "repo.example.com:81")
            forged = fetch(f"{server.address}{path}", "x/\u00e4 y".encode().decode("latin-1"))
        finally:
            server.shutdown()
            thread.join()
        address = f"{server.address}/bigtop-3.2.0/el8"
    assert f"baseurl={address}\n" in text and f"gpgkey={address}/RPM-GPG-KEY-bigtop-3.2.0\n" in text
    assert "file:" not in text
    assert "baseurl=http://repo.example.com:81/bigtop-3.2.0/el8\n" in named
    assert forged == text


def fetch(address: str, host: str | None = None) -> str:
    request = urllib.request.Request(address, headers={"Host": host} if host else {})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(answer.read().decode())


def test_the_published_address_stays_beside_that_of_the_server(put: Publish, tmp_path: Path) -> None:
    folder = put(PLAIN, base_url="https://repo.example.com/")
    assert "baseurl=https://repo.example.com/bigtop-3.2.0/el8\n" in (folder / "bigtop-3.2.0-el8.repo").read_text()
    assert verify(str(folder)).problems == ()


@pytest.mark.parametrize("host", ["a b", "a/b", "a\nb", "", None, "[::1", "x" * 300, "a@b"])
def test_what_is_no_host_is_not_written_into_a_repo_file(host: str | None) -> None:
    assert valid_host(host) is None


def test_a_server_on_all_addresses_names_one_of_them() -> None:
    assert reachable("10.0.0.7") == "10.0.0.7"
    assert reachable("0.0.0.0") not in ("0.0.0.0", "")


WITHOUT = """
import sys
sys.modules["createrepo_c"] = None
from bigtop_builder.cli.app import run
sys.exit(run(sys.argv[1:]))
"""


def without_createrepo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WITHOUT, *arguments], capture_output=True, text=True, check=False)


def test_without_createrepo_repositories_are_checked_and_not_published(put: Publish, tmp_path: Path) -> None:
    folder = put(replace(PLAIN, requires=("bash",)))
    (tmp_path / "bigtop-builder.yaml").write_text(f"store: {tmp_path}/store\n")
    checked = without_createrepo("-C", str(tmp_path), "repo", "verify", str(folder), "--platform", "el8")
    assert (checked.returncode, checked.stderr) == (0, "")
    options = (
        "-C",
        str(tmp_path),
        "repo",
        "check-stack",
        str(folder),
        "--services",
        "ZOOKEEPER",
        "--family",
        "redhat8",
    )
    assert "zookeeper_3_2_0" in without_createrepo(*options).stdout
    refused = without_createrepo("-C", str(tmp_path), "repo", "publish", "--make-key", str(tmp_path / "given"))
    assert refused.returncode == 7
    assert "pip install 'bigtop-builder[publish]'" in refused.stderr and "Traceback" not in refused.stderr
