"""What verify finds in repositories that were harmed on purpose."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import zstandard

from bigtop_builder.adapter.rpm.gnupg import Signer, make_key, open_signer
from bigtop_builder.flow.publish.closure import Capability, Member, unmet
from bigtop_builder.flow.publish.publisher import Publication, publish
from bigtop_builder.flow.publish.server import RepositoryServer
from bigtop_builder.flow.publish.verifier import Problem, verify
from bigtop_builder.model.errors import PublishError
from bigtop_builder.model.evr import compare_evr, parse_evr
from bigtop_builder.model.platform import Image, Platform
from bigtop_builder.model.project import ProjectFile
from bigtop_builder.model.version import compare_versions
from tests.fast.misbehaving import Behaviour, File, Server, always, dripping, raw, redirecting
from tests.rpmfile import Spec, write_rpm

PLATFORM = Platform(
    name="el8",
    title="Rocky Linux 8",
    family="rhel",
    dist=".el8",
    architectures=["x86_64"],
    payload="w6.gzdio",
    image=Image(reference="rockylinux:8", template="rhel.j2"),
)
SPECS = (
    Spec(name="utils", version="3.2.0", files={"/usr/lib/utils/run": b"run"}),
    Spec(name="zookeeper", requires=("utils >= 0.7", "/usr/lib/utils/run", "/bin/sh", "chkconfig")),
)
SYSTEM = ("/bin/sh", "chkconfig")


@pytest.fixture(scope="module")
def published(signer: Signer, tmp_path_factory: pytest.TempPathFactory) -> Publication:
    folder = tmp_path_factory.mktemp("published")
    packages = [write_rpm(folder / "in", spec) for spec in SPECS]
    return publish(packages, folder / "repository", "bigtop-3.2.0", PLATFORM, signer)


@pytest.fixture
def harmed(published: Publication, tmp_path: Path) -> Path:
    """A copy to harm."""
    return shutil.copytree(published.folder, tmp_path / "copy")


def test_a_whole_repository_has_no_problems(published: Publication) -> None:
    verdict = verify(str(published.folder), system=SYSTEM)
    assert (verdict.packages, verdict.problems) == (2, ())


def test_the_same_behind_an_address(published: Publication) -> None:
    with RepositoryServer(published.folder.parents[1], port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            assert verify(f"{server.address}/bigtop-3.2.0/el8", system=SYSTEM).problems == ()
            with pytest.raises(PublishError, match="not the address of a repository"):
                verify(server.address)
            with pytest.raises(PublishError, match="no public key"):
                verify(f"{server.address}/bigtop-3.2.0/none")
        finally:
            server.shutdown()
            thread.join()


def test_requirements_that_nothing_answers(published: Publication) -> None:
    assert verify(str(published.folder), system=["/bin/*"]).problems == (
        Problem("requires", "zookeeper-0:1.0-1.el8.noarch", "nothing provides chkconfig"),
    )


def test_another_key_is_not_trusted(published: Publication, tmp_path: Path) -> None:
    make_key(tmp_path, "Another", "another@example.org")
    with open_signer(tmp_path) as other:
        verdict = verify(str(published.folder), key=other.public_key(), system=SYSTEM)
    assert all(problem.detail.endswith("signed with another key") for problem in verdict.problems)
    assert [problem.kind for problem in verdict.problems].count("signature") == 3
    assert [problem.kind for problem in verdict.problems].count("provenance") == 2
    assert [problem.kind for problem in verdict.problems].count("manifest") == 1
    assert len(verdict.problems) == 6


def test_changed_and_missing_packages(harmed: Path) -> None:
    (harmed / "packages" / "utils-3.2.0-1.el8.noarch.rpm").write_bytes(b"changed")
    (harmed / "packages" / "zookeeper-1.0-1.el8.noarch.rpm").unlink()
    problems = verify(str(harmed), system=SYSTEM).problems
    assert [(problem.kind, problem.subject.partition("-")[0]) for problem in problems] == [
        ("digest", "utils"),
        ("missing", "zookeeper"),
    ]


def test_changed_metadata(harmed: Path) -> None:
    repomd = harmed / "repodata" / "repomd.xml"
    repomd.write_text(repomd.read_text() + "<!-- -->")
    other = next((harmed / "repodata").glob("*-other.xml.gz"))
    content = bytearray(other.read_bytes())
    content[9] ^= 1  # The operating system in gzip's header: the content stays readable.
    other.write_bytes(content)
    assert {
        (problem.kind, problem.subject.rpartition("/")[2]) for problem in verify(str(harmed), system=SYSTEM).problems
    } == {
        ("signature", "repomd.xml"),
        ("manifest", "manifest.json"),
        ("digest", other.name),
    }


def test_no_signature_of_the_metadata(harmed: Path) -> None:
    (harmed / "repodata" / "repomd.xml.asc").unlink()
    assert verify(str(harmed), system=SYSTEM).problems == (Problem("signature", "repodata/repomd.xml", "not signed"),)


@pytest.mark.parametrize("content", ["", "<html>", "<repomd/>"])
def test_metadata_that_cannot_be_read(harmed: Path, content: str) -> None:
    (harmed / "repodata" / "repomd.xml").write_text(content)
    with pytest.raises(PublishError, match=r"repomd\.xml"):
        verify(str(harmed))


def test_no_repository(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="no repository"):
        verify(str(tmp_path / "none"))
    with pytest.raises(PublishError, match="no public key"):
        verify(str(tmp_path))


@pytest.mark.parametrize(
    ("provided", "wanted", "holds"),
    [
        ("a = 1.0-1", "a", True),
        ("a", "a = 1.0", False),
        ("a = 1.0-1", "a = 1.0", True),
        ("a = 1.0-1", "a = 1.0-2", False),
        ("a = 1.0-1.el8", "a >= 0.7", True),
        ("a = 1:0.1", "a >= 0.7", True),
        ("a = 0.7", "a > 0.7", False),
        ("a = 0.7~rc1", "a >= 0.7", False),
        ("a < 2", "a > 1", True),
        ("a < 1", "a > 1", False),
        ("a >= 3", "a <= 2", False),
        ("b = 1", "a", False),
    ],
)
def test_versions_of_capabilities(provided: str, wanted: str, holds: bool) -> None:
    assert Capability.parse(provided).satisfies(Capability.parse(wanted)) is holds
    assert str(Capability.parse(wanted)) == wanted


def test_closure_takes_patterns_and_versions_of_the_system() -> None:
    member = Member(
        "a",
        tuple(map(Capability.parse, ("libc.so.6(GLIBC_2.34)(64bit)", "java >= 8", "(x or y)", "rpmlib(A) <= 4"))),
        (),
        (),
    )
    assert unmet([member], ["libc.so.6*", "java = 1:1.8"]) == [("a", "(x or y)")]
    assert unmet([member], ["java"]) == [("a", "(x or y)"), ("a", "libc.so.6(GLIBC_2.34)(64bit)")]


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("1.0", "1.0.1"),
        ("1.9", "1.10"),
        ("1.0~rc1", "1.0"),
        ("1.0", "1.0^git1"),
        ("1.0^git1", "1.0.1"),
        ("1.a", "1.1"),
        ("a", "b"),
        ("1.0a", "1.0.1"),
    ],
)
def test_order_of_versions(lower: str, higher: str) -> None:
    assert (compare_versions(lower, higher), compare_versions(higher, lower)) == (-1, 1)


def test_equal_versions() -> None:
    assert compare_versions("1.05", "1_5") == 0
    assert compare_versions("1." + "9" * 5000, "1.1" + "0" * 5000) == -1
    assert parse_evr("²:1-1") == parse_evr("9" * 5000 + ":1-1") == (0, "1", "1")
    assert compare_evr(parse_evr("1.0"), parse_evr("1.0-3")) == 0
    assert compare_evr(parse_evr("1:1.0"), parse_evr("2.0")) == 1


def test_packages_may_ask_the_system_for_what_it_has() -> None:
    asked = ("/usr/bin/env", "which", "libc.so.6(GLIBC_2.34)(64bit)", "rtld(GNU_HASH)", "ours")
    member = Member("a-0:1-1.noarch", tuple(map(Capability.parse, asked)), (), ())
    assert unmet([member], PLATFORM.system_provides) == [("a-0:1-1.noarch", "ours")]


REPOMD = """<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision>{}</repomd>"""
RECORD = """<data type="{kind}"><checksum type="{type}">{sum}</checksum><location href="{href}"/></data>"""


def listing(content: bytes, *, type: str = "sha256", href: str = "repodata/{kind}.xml.gz") -> bytes:
    """A repomd.xml whose three metadata files have the same content."""
    digest = hashlib.sha256(content).hexdigest()
    records = [
        RECORD.format(kind=kind, type=type, sum=digest, href=href.format(kind=kind))
        for kind in ("primary", "filelists", "other")
    ]
    return REPOMD.format("".join(records)).encode()


ENTITIES = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;">]><x>&b;</x>"""
BOMB = gzip.compress(b"<metadata>" + b" " * (4 << 20))


@pytest.mark.parametrize(
    ("repomd", "content", "expected"),
    [
        (None, BOMB, "unpacks to more than 1048576 bytes"),
        (None, bz2.compress(b" " * (4 << 20)), "unpacks to more than 1048576 bytes"),
        (None, lzma.compress(b" " * (4 << 20)), "unpacks to more than 1048576 bytes"),
        (None, zstandard.compress(b" " * (4 << 20)), "unpacks to more than 1048576 bytes"),
        (None, gzip.compress(ENTITIES), "declares entities"),
        (None, gzip.compress(ENTITIES.decode().encode("utf-16")), "declares entities"),
        (None, BOMB[: len(BOMB) // 2], "cannot be read"),
        (ENTITIES, b"", "declares entities"),
        (gzip.compress(b" " * (4 << 20)), b"", "unpacks to more than 1048576 bytes"),
        (listing(b"", type="md5"), b"", "md5"),
        (listing(b"", type="rot13"), b"", "rot13"),
        (listing(b"", href=".."), b"", "metadata cannot be read|does not match|does not exist"),
        (listing(b"", href=""), b"", "gives no location|lists no primary|does not exist"),
        (b"<repomd>" + b"<data>" * 100_000, b"", "cannot be read|Parse error"),
    ],
    ids=[
        "gzip-bomb",
        "bzip2-bomb",
        "xz-bomb",
        "zstd-bomb",
        "entities",
        "utf-16",
        "cut-short",
        "repomd-entities",
        "repomd-bomb",
        "md5",
        "no-digest",
        "dots",
        "no-location",
        "deep",
    ],
)
def test_hostile_metadata_behind_an_address(
    published: Publication, repomd: bytes | None, content: bytes, expected: str
) -> None:
    key = next(published.folder.glob("RPM-GPG-KEY-*")).read_bytes()
    project = ProjectFile.model_validate({"limits": {"metadata_size": "1m"}})
    with Server() as server:
        server.routes |= {
            "/s/el8/repodata/repomd.xml": File(listing(content) if repomd is None else repomd),
            **{f"/s/el8/repodata/{kind}.xml.gz": File(content) for kind in ("primary", "filelists", "other")},
        }
        with pytest.raises(PublishError, match=expected):
            verify(server.url("/s/el8"), key=key, project=project)


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        (always(206, b"<repomd/>", Content_Range="bytes 0-8/9"), "206 Partial Content"),
        (always(200, b"<repomd/>", length=1000), "too early"),
        (dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x"), "stalled"),
        (dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "no answer within"),
        (raw(b"HTTP/1.1 200 OK\r\n\r\n", then=b"x" * 65536, times=0), "more than 1048576 bytes"),
        (redirecting("file:///etc/passwd"), "redirect from http to file"),
        (redirecting("repomd.xml"), "circular"),
        (raw(b""), "connection was lost"),
    ],
)
def test_a_hostile_server(published: Publication, behaviour: Behaviour, expected: str) -> None:
    key = next(published.folder.glob("RPM-GPG-KEY-*")).read_bytes()
    limits = {"metadata_size": "1m"}
    project = ProjectFile.model_validate(
        {"limits": limits, "network": {"stall_timeout": "1s", "connect_timeout": "1s"}}
    )
    with Server() as server:
        server.routes["/s/el8/repodata/repomd.xml"] = behaviour
        with pytest.raises(PublishError, match=expected):
            verify(server.url("/s/el8"), key=key, project=project)
        assert set(server.paths()) == {"/s/el8/repodata/repomd.xml"}


def test_nothing_is_printed_on_a_machine_without_rpm() -> None:
    """librpm in createrepo-c prints ``error:`` when it is loaded, which those who search logs take for one."""
    code = "import bigtop_builder.adapter.repository.metadata, createrepo_c; createrepo_c.Package()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
