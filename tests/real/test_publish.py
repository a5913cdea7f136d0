"""Packages of a real rpmbuild; signatures and repositories under the eyes of real rpm and dnf."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bigtop_builder.adapter.containers.image_record import ImageRecord
from bigtop_builder.adapter.rpm.gnupg import Signer, make_key, open_signer
from bigtop_builder.adapter.rpm.header import read_header
from bigtop_builder.adapter.rpm.payload import find_in_payload, payload_files
from bigtop_builder.flow.publish.key_rotation import KeyChange
from bigtop_builder.flow.publish.publisher import Rules, publish
from bigtop_builder.flow.publish.server import RepositoryServer
from bigtop_builder.recipe.catalog import Catalog
from tests.real.conftest import run_on_host
from tests.rpmfile import File, Spec, write_rpm

if TYPE_CHECKING:
    from docker import DockerClient

CATALOG = Catalog()
PLATFORM = CATALOG.platform("debian-bootstrap")
STACK = "bigtop-3.2.0"
QUERY = (
    r"%{NAME}|%{EPOCH}|%{VERSION}|%{RELEASE}|%{ARCH}|%{SUMMARY}|%{LICENSE}|%{BUILDTIME}|%{PAYLOADCOMPRESSOR}\n"
    r"[%{FILENAMES}|%{FILEMODES:perms}|%{FILEUSERNAME}|%{FILEGROUPNAME}|%{FILEFLAGS:fflags}|%{FILELINKTOS}|"
    r"%{LONGFILESIZES}|%{FILEMTIMES}|%{FILEDIGESTS}\n]"
    r"[R %{REQUIRENAME} %{REQUIREFLAGS:depflags} %{REQUIREVERSION}\n]"
)
TRIAL = """
Name: trial
Epoch: 3
Version: 1.0
Release: 2.deb13
Summary: Every kind of file
License: ASL 2.0
BuildArch: noarch
Requires: /bin/sh, bigtop-utils >= 0.7
Conflicts: other < 2
%description
A trial.
%install
mkdir -p %{buildroot}/etc/trial %{buildroot}/usr/share/doc/trial %{buildroot}/usr/lib/trial
echo a > %{buildroot}/etc/trial/a; echo b > %{buildroot}/usr/share/doc/trial/b
echo /work/src/secret > %{buildroot}/usr/lib/trial/run; touch %{buildroot}/usr/lib/trial/ghost
ln -s /etc/trial %{buildroot}/usr/lib/trial/conf; head -c 500000 /dev/urandom > %{buildroot}/usr/lib/trial/big
%post
echo done
%files
%config(noreplace) /etc/trial
%doc /usr/share/doc/trial/b
%attr(0750,zookeeper,hadoop) /usr/lib/trial/run
/usr/lib/trial/big
/usr/lib/trial/conf
%ghost /usr/lib/trial/ghost
"""


@pytest.fixture(scope="module")
def built(client: DockerClient, host: ImageRecord, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One package for each compression, by rpmbuild."""
    folder = tmp_path_factory.mktemp("rpmbuild")
    (folder / "trial.spec").write_text(TRIAL)
    payloads = {"gzip": "w6.gzdio", "xz": "w2.xzdio", "zstd": "w3.zstdio"}
    for name, payload in payloads.items():
        defines = f"--define '_topdir /tmp/top' --define '_rpmdir {folder}/{name}' --define '_binary_payload {payload}'"
        run_on_host(client, host, f"rpmbuild -bb --quiet {defines} {folder}/trial.spec", folder)
    return {name: folder / name / "noarch" / "trial-1.0-2.deb13.noarch.rpm" for name in payloads}


@pytest.mark.parametrize("compressor", ["gzip", "xz", "zstd"])
def test_headers_read_as_rpm_reads_them(
    client: DockerClient, host: ImageRecord, built: dict[str, Path], compressor: str
) -> None:
    package = built[compressor]
    header = read_header(package)
    ours = [
        f"{header.name}|{header.epoch}|{header.version}|{header.release}|{header.arch}|{header.summary}|"
        f"{header.license}|{header.build_time}|{header.payload_compressor}"
    ]
    ours += [
        f"{file.path}|{file.mode_text}|{file.owner}|{file.group}|{file.flag_letters}|{file.link}|{file.size}|"
        f"{file.mtime}|{file.digest}"
        for file in header.files
    ]
    ours += [f"R {text}" for text in header.requires]
    theirs = run_on_host(client, host, f"rpm --query --package --queryformat '{QUERY}' {package}", package.parent)
    assert [line.rstrip() for line in theirs.splitlines()] == ours


@pytest.mark.parametrize("compressor", ["gzip", "xz", "zstd"])
def test_payloads_of_rpmbuild(built: dict[str, Path], compressor: str) -> None:
    header = read_header(built[compressor])
    sizes = {file.path: file.size for file in header.files if file.flag_letters != "g" and file.mode_text[0] != "d"}
    found = {member.path: member.left for member in payload_files(built[compressor])}
    assert {path: size for path, size in found.items() if size} == sizes
    assert find_in_payload(built[compressor], [b"/work/src"]) == [("/usr/lib/trial/run", b"/work/src")]


def test_rpm_accepts_the_signatures(
    client: DockerClient, host: ImageRecord, built: dict[str, Path], signer: Signer, tmp_path: Path
) -> None:
    from bigtop_builder.adapter.rpm.signing import sign_package

    (tmp_path / "key").write_bytes(signer.public_key())
    for name, package in built.items():
        assert sign_package(signer, package, tmp_path / f"{name}.rpm")
    script = f"rpmkeys --import {tmp_path}/key; rpmkeys --checksig --verbose {tmp_path}/*.rpm"
    said = run_on_host(client, host, script, tmp_path)
    assert said.count("Header V4 RSA/SHA256 Signature") == 3
    assert [line for line in said.splitlines() if ": " in line and not line.endswith(": OK")] == []


DEMO = Spec(
    name="demo_3_2_0",
    release="1.deb13",
    requires=("/bin/sh", "helper_3_2_0 >= 1.0"),
    files={
        "/usr/bigtop": File(mode=0o40755),
        "/usr/bigtop/demo": b"hello\n",
        "/usr/bigtop/link": File(link="demo", mode=0o120777),
    },
    compressor="zstd",
)
HELPER = Spec(name="helper_3_2_0", release="1.deb13", files={"/usr/bigtop/helper": b"help\n"})


def test_dnf_installs_and_upgrades_with_every_check_on(
    client: DockerClient, host: ImageRecord, signer: Signer, tmp_path: Path
) -> None:
    root = tmp_path / "repository"
    with RepositoryServer(_published(root, signer, tmp_path, DEMO, HELPER), port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            repo_file = f"{server.address}/{STACK}-{PLATFORM.name}.repo"
            install = f"curl --fail --silent -o /etc/yum.repos.d/demo.repo {repo_file}; dnf -y -q install demo_3_2_0"
            said = run_on_host(
                client, host, f"{install}; rpm --verify demo_3_2_0; cat /usr/bigtop/link; rpm -q demo_3_2_0", tmp_path
            )
            assert "hello\ndemo_3_2_0-1.0-1.deb13.noarch" in said
            newer = replace(DEMO, version="1.10", files={"/usr/bigtop/demo": b"newer\n"})
            waiting = f"{install}; touch {tmp_path}/installed; until test -e {tmp_path}/newer; do sleep 0.1; done"
            script = f"{waiting}; dnf -y -q --refresh upgrade; cat /usr/bigtop/demo"
            upgrade = threading.Timer(0, _publish_when_installed, (root, signer, tmp_path, newer, Rules()))
            upgrade.start()
            assert run_on_host(client, host, script, tmp_path).endswith("newer\n")
            upgrade.join()
        finally:
            server.shutdown()
            thread.join()


def _published(root: Path, signer: Signer, folder: Path, *specs: Spec) -> Path:
    rules = Rules(base_url=root.as_uri())
    publish([write_rpm(folder, spec) for spec in specs], root, STACK, PLATFORM, signer, rules)
    return root


def _publish_when_installed(root: Path, signer: Signer, folder: Path, spec: Spec, rules: Rules) -> None:
    for _ in range(600):
        if (folder / "installed").exists():
            break
        threading.Event().wait(0.1)
    publish([write_rpm(folder, spec)], root, STACK, PLATFORM, signer, rules)
    (folder / "newer").touch()


@pytest.mark.parametrize("harm", ["repomd.xml", "demo_3_2_0-1.0-1.deb13.noarch.rpm"])
def test_dnf_refuses_what_was_changed(
    client: DockerClient, host: ImageRecord, signer: Signer, tmp_path: Path, harm: str
) -> None:
    root = _published(tmp_path / "repository", signer, tmp_path, DEMO, HELPER)
    visible = root / STACK / PLATFORM.name
    target = next(path for path in visible.resolve().rglob(harm))
    content = bytearray(target.read_bytes())
    content[-10] ^= 1
    target.write_bytes(content)
    copy = f"cp {visible}/{STACK}-{PLATFORM.name}.repo /etc/yum.repos.d/"
    script = f"{copy}; dnf -y -q install demo_3_2_0 && echo installed; true"
    assert "installed\n" not in run_on_host(client, host, script, tmp_path)


def test_dnf_refuses_unsigned_packages_in_signed_metadata(
    client: DockerClient, host: ImageRecord, signer: Signer, tmp_path: Path
) -> None:
    """The metadata is right and signed, so that only the package's own signature is missing."""
    from bigtop_builder.adapter.repository.metadata import package_chunks, write_repodata

    (tmp_path / "packages").mkdir()
    package = write_rpm(tmp_path / "packages", HELPER)
    repomd = write_repodata(tmp_path, [package_chunks(package, package.name)], 1)
    repomd.with_name("repomd.xml.asc").write_bytes(signer.sign_armored(repomd.read_bytes()))
    (tmp_path / "key").write_bytes(signer.public_key())
    options = f"--repofrompath=demo,file://{tmp_path} --setopt=demo.gpgkey=file://{tmp_path}/key"
    checks = "--setopt=demo.gpgcheck=1 --setopt=demo.repo_gpgcheck=1"
    said = run_on_host(
        client, host, f"dnf -y -q {options} {checks} install helper_3_2_0 && echo installed; true", tmp_path
    )
    assert "is not signed" in said
    assert "installed\n" not in said


def test_dnf_follows_a_key_rotation(client: DockerClient, host: ImageRecord, signer: Signer, tmp_path: Path) -> None:
    """A host that learns the new key by the first step installs after each of them, with the .repo file it has."""
    packages = [write_rpm(tmp_path / "in", spec) for spec in (DEMO, HELPER)]
    visible = tmp_path / "repository" / STACK / PLATFORM.name
    repo_file = visible / f"{STACK}-{PLATFORM.name}.repo"
    make_key(tmp_path / "home", "Another", "another@example.org")
    volumes = {str(tmp_path): {"bind": str(tmp_path), "mode": "ro"}}
    machine = client.containers.run(host.id, ["sleep", "600"], detach=True, network_mode="none", volumes=volumes)

    def on_host(script: str) -> None:
        code, said = machine.exec_run(["bash", "-c", f"set -e; {script}"])
        assert code == 0, said.decode()

    def step(by: Signer, change: KeyChange | None) -> None:
        root = tmp_path / "repository"
        publish(packages, root, STACK, PLATFORM, by, Rules(base_url=root.as_uri(), keys=change))

    dnf = "dnf -y -q --setopt=reposdir=/etc/own --refresh"
    try:
        with open_signer(tmp_path / "home") as other:
            step(signer, None)
            on_host(f"mkdir /etc/own; cp {repo_file} /etc/own/; rpm --import {visible}/RPM-GPG-KEY-{STACK}")
            on_host(f"{dnf} install helper_3_2_0")
            step(signer, KeyChange(announce=(other.public_key(),)))
            on_host(f"cp {repo_file} /etc/own/; rpm --import {visible}/repodata/repomd.xml.key; {dnf} makecache")
            step(other, KeyChange(keep_former=True))
            on_host(f"{dnf} install demo_3_2_0; rpmkeys --checksig {visible}/packages/*.rpm")
            step(other, KeyChange(only_signing=True))
            on_host(f"rpm -e gpg-pubkey-{signer.fingerprint[-8:].lower()}; {dnf} reinstall demo_3_2_0 helper_3_2_0")
    finally:
        machine.remove(force=True)
