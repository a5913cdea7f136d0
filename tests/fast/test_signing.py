"""Signatures with the host's GnuPG; rpm's own verdict on them is in tests/real."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bigtop_builder.adapter.rpm import gnupg
from bigtop_builder.adapter.rpm.gnupg import Signer, make_key, open_signer
from bigtop_builder.adapter.rpm.header import read_header
from bigtop_builder.adapter.rpm.signing import open_keyring, sign_package, verify_detached, verify_package
from bigtop_builder.model.errors import PublishError
from tests.rpmfile import Spec, write_rpm

SPEC = Spec(files={"/etc/demo": b"demo" * 1000})


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signer]:
    home = tmp_path_factory.mktemp("gnupg")
    fingerprint = make_key(home, "A test", "test@example.org")
    with open_signer(home) as found:
        assert found.fingerprint == fingerprint
        yield found


@pytest.fixture(scope="module")
def keyring(signer: Signer) -> Iterator[Path]:
    with open_keyring(signer.public_key()) as path:
        yield path


@pytest.fixture
def signed(signer: Signer, tmp_path: Path) -> Path:
    target = tmp_path / "signed.rpm"
    assert sign_package(signer, write_rpm(tmp_path, SPEC), target)
    return target


def test_signed_package_verifies_and_keeps_its_content(
    signed: Path, signer: Signer, keyring: Path, tmp_path: Path
) -> None:
    source = write_rpm(tmp_path, SPEC)
    before, after = read_header(source), read_header(signed)
    assert verify_package(signed, keyring) == []
    assert after.signature is not None
    assert after.signature.fingerprint == signer.fingerprint
    assert (after.sha256, after.sigmd5) == (before.sha256, before.sigmd5)
    assert signed.read_bytes()[after.payload_offset :] == source.read_bytes()[before.payload_offset :]


def test_package_signed_with_the_same_key_is_copied(signed: Path, signer: Signer, tmp_path: Path) -> None:
    assert not sign_package(signer, signed, tmp_path / "again.rpm")
    assert (tmp_path / "again.rpm").read_bytes() == signed.read_bytes()


def test_another_keys_signature_is_replaced(signed: Path, keyring: Path, tmp_path: Path) -> None:
    home = tmp_path / "other"
    make_key(home, "Another", "another@example.org")
    with open_signer(home) as other:
        assert sign_package(other, signed, tmp_path / "other.rpm")
    assert verify_package(tmp_path / "other.rpm", keyring) == ["signed with another key"]


def test_unsigned_and_tampered_packages_are_told(signed: Path, keyring: Path, tmp_path: Path) -> None:
    assert verify_package(write_rpm(tmp_path, SPEC), keyring) == ["not signed"]
    content = bytearray(signed.read_bytes())
    content[-20] ^= 1
    signed.write_bytes(content)
    assert verify_package(signed, keyring) == [
        "the payload's digest is wrong",
        "the MD5 of header and payload is wrong",
    ]


def test_changed_header_breaks_the_signature(signed: Path, keyring: Path) -> None:
    signed.write_bytes(signed.read_bytes().replace(b"Made by a test.", b"Made by a thief"))
    assert "the signature does not match the content" in verify_package(signed, keyring)


def test_armored_signature_of_metadata(signer: Signer, keyring: Path) -> None:
    signature = signer.sign_armored(b"<repomd/>")
    assert signature.startswith(b"-----BEGIN PGP SIGNATURE-----")
    assert verify_detached(b"<repomd/>", signature, keyring) is None
    assert verify_detached(b"<repomd />", signature, keyring) == "the signature does not match the content"
    assert verify_detached(b"<repomd/>", b"no signature", keyring) == "the signature cannot be read"


def test_protected_key_in_a_home_with_a_long_path(tmp_path: Path) -> None:
    home = tmp_path / ("deep" * 30)
    make_key(home, "Long", "long@example.org", passphrase="open sesame")
    with open_signer(home, "long@example.org", "open sesame") as signer:
        signature = signer.sign(b"x")
        with open_keyring(signer.public_key()) as keyring:
            assert verify_detached(b"x", signature, keyring) is None
    with open_signer(home) as signer, pytest.raises(PublishError) as caught:
        signer.sign(b"x")
    assert "signing.passphrase" in str(caught.value)
    with open_signer(home, passphrase="wrong") as signer, pytest.raises(PublishError, match="gpg failed"):
        signer.sign(b"x")


def test_agent_is_stopped(tmp_path: Path) -> None:
    make_key(tmp_path / "home", "Agent", "agent@example.org")
    assert not (tmp_path / "home" / "S.gpg-agent").exists()


def test_key_that_is_not_there_or_not_clear(signer: Signer, tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="no secret key 'nobody"), open_signer(signer.homedir, "nobody@example.org"):
        pass
    with pytest.raises(PublishError, match="no GnuPG home"), open_signer(tmp_path / "none"):
        pass
    make_key(tmp_path / "two", "One", "one@example.org")
    make_key(tmp_path / "two", "Two", "two@example.org")
    with pytest.raises(PublishError, match="several secret keys"), open_signer(tmp_path / "two"):
        pass


def test_without_gnupg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PublishError, match="gpg is not installed") as caught:
        make_key(tmp_path, "A", "a@example.org")
    assert "apt install gnupg" in str(caught.value)


def test_damaged_package_is_not_signed(signer: Signer, tmp_path: Path) -> None:
    source = tmp_path / "bad.rpm"
    source.write_bytes(b"no package")
    with pytest.raises(PublishError, match="not an RPM"):
        sign_package(signer, source, tmp_path / "target.rpm")
    assert not (tmp_path / "target.rpm").exists()


def test_an_agent_whose_starter_was_killed_is_stopped(tmp_path: Path) -> None:
    make_key(tmp_path, "A test", "test@example.org")

    def agent_runs() -> bool:
        answer = subprocess.run(
            ["gpg-connect-agent", "--homedir", str(tmp_path), "--no-autostart", "getinfo pid", "/bye"],
            capture_output=True,
            timeout=60,
            check=False,
        )
        return answer.returncode == 0 and answer.stdout.startswith(b"D ")

    def leave_one(starter: int) -> None:
        subprocess.run(["gpgconf", "--homedir", str(tmp_path), "--launch", "gpg-agent"], timeout=60, check=True)
        (tmp_path / gnupg.AGENT_MARK).write_text(f"{starter}\n")

    ended = subprocess.Popen(["true"])
    ended.wait()
    leave_one(ended.pid)
    with open_signer(tmp_path) as signer:
        signer.sign_armored(b"x")
    assert not agent_runs()
    leave_one(os.getpid())
    with open_signer(tmp_path):
        pass
    assert agent_runs(), "another process that lives still needs it"
    (tmp_path / gnupg.AGENT_MARK).write_text(f"{ended.pid}\n")
    with open_signer(tmp_path):
        pass
    assert not agent_runs()
