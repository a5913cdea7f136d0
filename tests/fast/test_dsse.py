"""Attestations as DSSE envelopes: their bytes, their keys, and what repo verify finds."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)

from bigtop_builder.adapter.provenance.dsse import AttestationKey, load_attestation_key, open_envelope
from bigtop_builder.adapter.rpm.gnupg import Signer
from bigtop_builder.adapter.store import Store
from bigtop_builder.cli.app import run as command
from bigtop_builder.flow.publish.publisher import Publication, Rules, publish
from bigtop_builder.flow.publish.verifier import verify
from bigtop_builder.model.errors import ConfigurationError, ExitCode
from bigtop_builder.recipe.catalog import Catalog
from tests.fast.conftest import ProjectFolder
from tests.fast.test_key_rotation import STACK, A, B, keep
from tests.rpmfile import write_rpm

FILE = "a-1.0-1.el8.noarch.rpm"


def pem(key: Any, passphrase: bytes | None = None) -> str:
    protection = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection).decode())


def p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


KINDS = {"ECDSA P-256": p256, "Ed25519": ed25519.Ed25519PrivateKey.generate}


def load(key: Any, passphrase: str | None = None) -> AttestationKey:
    return load_attestation_key(pem(key, passphrase.encode() if passphrase else None), passphrase, "here")


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_an_envelope_is_what_the_specification_says(make: Callable[[], Any]) -> None:
    key = load(make())
    content = json.loads(key.envelope(b"{}"))
    (signature,) = content["signatures"]
    assert (content["payloadType"], content["payload"]) == ("application/vnd.in-toto+json", "e30=")
    signed = b"DSSEv1 28 application/vnd.in-toto+json 2 {}"
    public: Any = load_pem_public_key(key.public.encode())
    given = [ec.ECDSA(SHA256())] if isinstance(public, ec.EllipticCurvePublicKey) else []
    public.verify(base64.b64decode(signature["sig"]), signed, *given)
    assert open_envelope(key.envelope(b'{"a": 1}'), key.public.encode()) == b'{"a": 1}'


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"payload": base64.b64encode(b"{ }").decode()}, "no signature"),
        ({"payloadType": "text/plain"}, "not an in-toto statement"),
        ({"signatures": []}, "no signature"),
        ({"signatures": [{"sig": "e30="}]}, "no signature"),
        ({"signatures": 5}, "not a DSSE envelope"),
        ({"payload": "*"}, "not a DSSE envelope"),
    ],
)
@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_altered_envelopes_are_told(make: Callable[[], Any], change: dict[str, Any], why: str) -> None:
    key = load(make())
    altered = json.dumps({**json.loads(key.envelope(b"{}")), **change}).encode()
    with pytest.raises(ValueError, match=why):
        open_envelope(altered, key.public.encode())


def test_deep_envelopes_are_told() -> None:
    with pytest.raises(ValueError, match="not a DSSE envelope"):
        open_envelope(b"[" * 200_000, load(p256()).public.encode())


def test_another_key_has_not_signed_it() -> None:
    with pytest.raises(ValueError, match="no signature"):
        open_envelope(load(p256()).envelope(b"{}"), load(p256()).public.encode())
    with pytest.raises(ValueError, match="cannot be read"):
        open_envelope(load(p256()).envelope(b"{}"), b"-----BEGIN PUBLIC KEY-----\n")


def test_a_protected_key_needs_its_passphrase() -> None:
    key = p256()
    assert load(key, "secret").key_id == load(key).key_id
    for passphrase in (None, "wrong"):
        with pytest.raises(ConfigurationError, match="passphrase"):
            load_attestation_key(pem(key, b"secret"), passphrase, "here")
    with pytest.raises(ConfigurationError, match="passphrase"):
        load_attestation_key(pem(key), "not needed", "here")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text",
        pem(rsa.generate_private_key(65537, 2048)),
        pem(ec.generate_private_key(ec.SECP384R1())),
        "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\neyJ9\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n",
    ],
    ids=["nothing", "no key", "RSA", "P-384", "cosign's own form"],
)
def test_other_keys_are_refused_with_a_hint(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_attestation_key(text, None, "signing.attestation_key")
    assert "signing.attestation_key" in caught.value.message and "openssl" in (caught.value.hint or "")


# publications


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store").open()


Publish = Callable[..., Publication]


@pytest.fixture
def run(signer: Signer, store: Store, tmp_path: Path) -> Publish:
    def call(*packages: Path, **rules: object) -> Publication:
        el8 = Catalog().platform("el8")
        return publish(packages, tmp_path / "root", STACK, el8, signer, Rules(**rules), store)  # type: ignore[arg-type]

    return call


def envelope(done: Publication) -> Path:
    return done.folder / "provenance" / f"{FILE}.intoto.dsse.json"


def problems(done: Publication) -> list[tuple[str, str]]:
    return [(one.kind, one.detail) for one in verify(str(done.folder), system=["/bin/sh"]).problems]


def test_envelopes_come_beside_the_attestations(run: Publish, store: Store, tmp_path: Path) -> None:
    (a,) = keep(store, A)
    without = run(a)
    assert not envelope(without).exists()
    key = load(p256())
    done = run(a, attestor=key)
    assert done.changed and (done.folder / "attestation-key.pem").read_text() == key.public
    statement = (done.folder / "provenance" / f"{FILE}.intoto.json").read_bytes()
    assert open_envelope(envelope(done).read_bytes(), key.public.encode()) == statement
    assert problems(done) == [] and not run(a, attestor=key).changed
    unattested = run(write_rpm(tmp_path / "in", B), attestor=key)
    assert unattested.not_attested == ("b-1.0-1.el8.noarch.rpm",) and problems(unattested) == []


def test_a_new_attestation_key_replaces_all_envelopes_and_none_keeps_them(run: Publish, store: Store) -> None:
    (a,) = keep(store, A)
    run(a, attestor=load(p256()))
    second = load(ed25519.Ed25519PrivateKey.generate())
    done = run(a, attestor=second)
    assert open_envelope(envelope(done).read_bytes(), second.public.encode()) and problems(done) == []
    later = run(*keep(store, A, B))
    assert envelope(later).read_bytes() == envelope(done).read_bytes()
    assert (later.folder / "attestation-key.pem").read_text() == second.public


def test_harmed_envelopes_are_found(run: Publish, store: Store) -> None:
    (a,) = keep(store, A)
    key, other = load(p256()), load(p256())
    done = run(a, attestor=key)
    file = envelope(done)
    whole = file.read_bytes()
    for content, why in (
        (other.envelope(b"{}"), "no signature is by the key of the attestations"),
        (key.envelope(b"{}"), "holds another attestation"),
        (b"", "not a DSSE envelope"),
    ):
        file.unlink()
        file.write_bytes(content)
        ((kind, detail),) = problems(done)
        assert kind == "provenance" and why in detail
    file.unlink()
    assert [kind for kind, _ in problems(done)] == ["provenance"]
    file.write_bytes(whole)
    (done.folder / "attestation-key.pem").unlink()
    assert [kind for kind, _ in problems(done)] == ["manifest"]


def test_the_settings_name_the_key(
    project: ProjectFolder, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.root)
    project.component("a")
    (a,) = keep(store, A)
    project.write(
        "bigtop-builder.yaml",
        f"stack: small\nstore: {store.root}\nplatforms: [el8]\noverlays: [overlay]\n"
        "signing: {attestation_key: 'env:ATTESTATION_KEY'}\n",
    )
    assert command(["repo", "publish", "--make-key", str(a)]) == ExitCode.USAGE
    assert "ATTESTATION_KEY is not set" in capsys.readouterr().err
    monkeypatch.setenv("ATTESTATION_KEY", pem(p256()))
    assert command(["repo", "publish", "--make-key", str(a)]) == ExitCode.DONE
    assert (project.root / "repository/small/el8/provenance" / f"{FILE}.intoto.dsse.json").is_file()
