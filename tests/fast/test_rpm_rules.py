"""Keys and payloads that a platform's rpm cannot read are refused for it, before anything is signed."""

from __future__ import annotations

import contextlib
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bigtop_builder.adapter.rpm.gnupg import Signer, open_signer
from bigtop_builder.adapter.rpm.openpgp import dearmor, parse_key
from bigtop_builder.flow.publish.publisher import publish
from bigtop_builder.model.errors import PublishError
from bigtop_builder.recipe.catalog import Catalog
from tests.rpmfile import Spec, write_rpm

PLATFORMS = sorted(Catalog().platform_files)
ALL = frozenset(PLATFORMS)


def gpg(home: Path, *arguments: str) -> str:
    command = ["gpg", "--homedir", str(home), "--batch", "--pinentry-mode", "loopback", "--passphrase", "", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def key(home: Path, kind: str, *options: str) -> Path:
    home.mkdir(mode=0o700)
    gpg(home, *options, "--quick-generate-key", "A test <test@example.org>", kind, "sign", "never")
    return home


def rsa_2048(home: Path) -> Path:
    return key(home, "rsa2048")


def rsa_1024(home: Path) -> Path:
    return key(home, "rsa1024")


def dsa(home: Path) -> Path:
    return key(home, "dsa2048")


def ed25519(home: Path) -> Path:
    return key(home, "ed25519")


def nist(home: Path) -> Path:
    return key(home, "nistp256")


def sha1(home: Path) -> Path:
    return key(home, "rsa2048", "--cert-digest-algo", "SHA1")


def sha1_renewed(home: Path) -> Path:
    """A newer signature on itself counts instead of the older one."""
    key(home, "rsa2048", "--cert-digest-algo", "SHA1", "--faked-system-time", "20240101T000000")
    gpg(home, "--cert-digest-algo", "SHA256", "--quick-set-expire", fingerprint(home), "0")
    return home


def short_subkey(home: Path) -> Path:
    """A strong primary key with a weak subkey, which is the one that signs."""
    key(home, "rsa2048")
    gpg(home, "--quick-add-key", fingerprint(home), "rsa1024", "sign", "never")
    return home


def fingerprint(home: Path) -> str:
    listed = gpg(home, "--with-colons", "--list-keys")
    return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))


REFUSED: dict[Callable[[Path], Path], tuple[frozenset[str], str]] = {
    rsa_2048: (frozenset(), ""),
    rsa_1024: (ALL, "1024 bits"),
    dsa: (ALL, "DSA, which is too weak"),
    ed25519: (frozenset({"el7", "el8", "kylin10", "openeuler22"}), "EdDSA"),
    nist: (ALL, "ECDSA"),
    sha1: (frozenset({"el9", "debian-bootstrap"}), "SHA-1"),
    sha1_renewed: (frozenset(), ""),
    short_subkey: (ALL, "1024 bits"),
}


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
def test_unfit_keys_are_refused_for_each_platform(make: Callable[[Path], Path], tmp_path: Path) -> None:
    refused, why = REFUSED[make]
    found = set()
    with open_signer(make(tmp_path / "g")) as signer:
        for name in PLATFORMS:
            platform = Catalog().platform(name)
            rpm = write_rpm(tmp_path / name, Spec(release=f"1{platform.dist}"))
            try:
                publish([rpm], tmp_path / "root", "bigtop-3.2.0", platform, signer)
            except PublishError as error:
                assert why in error.message and platform.title in error.message and error.hint
                assert not (tmp_path / "root/bigtop-3.2.0" / name).exists()
                found.add(name)
    assert found == refused


def test_a_key_is_read_as_gpg_reads_it(signer: Signer) -> None:
    (own,) = parse_key(dearmor(signer.public_key()))
    assert (own.fingerprint, own.algorithm, own.bits) == (signer.fingerprint, "RSA", 3072)
    assert set(own.self_signatures.values()) <= {"SHA-256", "SHA-512"} and own.self_signatures


@pytest.mark.parametrize("data", [b"", b"\x99", b"\x99\x01", b"\xc6\x01\x03", b"text", b"\x88\x02\x04\x00"])
def test_damaged_keys_are_told(data: bytes) -> None:
    with pytest.raises(ValueError):
        parse_key(data)


def test_mutated_keys_give_no_other_error(signer: Signer) -> None:
    chance, armoured = random.Random(12), signer.public_key()
    for number in range(2000):
        data = bytearray(armoured if number % 2 else dearmor(armoured))
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        with contextlib.suppress(ValueError):
            parse_key(dearmor(bytes(data[: chance.randint(1, len(data))])))


@pytest.mark.parametrize(
    ("compressor", "refused"),
    [("gzip", set()), ("xz", set()), ("zstd", {"el7", "kylin10"})],
)
def test_payloads_that_rpm_cannot_unpack_are_refused(
    compressor: str, refused: set[str], signer: Signer, tmp_path: Path
) -> None:
    found = set()
    for name in PLATFORMS:
        platform = Catalog().platform(name)
        rpm = write_rpm(tmp_path / name, Spec(release=f"1{platform.dist}", compressor=compressor))
        try:
            publish([rpm], tmp_path / "root", "bigtop-3.2.0", platform, signer)
        except PublishError as error:
            assert compressor in error.message and rpm.name in error.message and error.hint
            found.add(name)
    assert found == refused


def test_a_platform_of_an_overlay_reads_what_it_says_its_packages_get() -> None:
    el8 = Catalog().platform("el8")
    made = type(el8).model_validate({**el8.model_dump(exclude={"rpm"}), "name": "own", "payload": "w3.zstdio"})
    assert made.readable_payloads == ["gzip", "bzip2", "lzma", "xz", "zstd"]
