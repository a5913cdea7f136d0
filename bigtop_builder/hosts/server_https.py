"""HTTPS for an Ambari server: certificate, key and keystore in the places where it expects them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING

from bigtop_builder.hosts.ambari_properties import NAME, set_properties
from bigtop_builder.hosts.files import write_file
from bigtop_builder.hosts.operation import Operation

if TYPE_CHECKING:
    from bigtop_builder.hosts.facts import HostFacts

KEYS = "/var/lib/ambari-server/keys"
CERTIFICATE = f"{KEYS}/https.crt"
KEY = f"{KEYS}/https.key"
KEYSTORE = f"{KEYS}/https.keystore.p12"
MADE_FROM = f"{KEYS}/https.keystore.made-from"
"""The digest of what the keystore was made from: a run may end between writing the certificate and the keystore."""
FILES = (CERTIFICATE, KEY, KEYSTORE, MADE_FROM)
"""Files that the facts must include."""


@dataclass(frozen=True)
class Https:
    """A certificate and its key (PEM); ``password``: of an encrypted key."""

    certificate: bytes
    key: bytes
    password: str | None
    port: int


# Ambari's own setup-https needs prompts and takes the key's password as an argument; it creates just these files.
# The keystore's password never leaves the host.
_KEYSTORE = f"""umask 077
cd {KEYS}
key_password=$(mktemp)
trap 'rm -f "$key_password" https.keystore.p12.new' EXIT
cat > "$key_password"
[ -s https.pass.txt ] || openssl rand -hex 25 | tr -d '\\n' > https.pass.txt
if [ -s "$key_password" ]; then set -- -passin "file:$key_password"; else set --; fi
openssl pkcs12 -export -in https.crt -inkey https.key "$@" -out https.keystore.p12.new -passout file:https.pass.txt
chown {{user}} https.keystore.p12.new https.pass.txt
mv -f https.keystore.p12.new https.keystore.p12
cat https.crt https.key | sha256sum | cut -c1-64 > https.keystore.made-from"""


def https_operations(facts: HostFacts, https: Https, now: Mapping[str, str]) -> list[Operation]:
    """Plan the files and properties of HTTPS; the files belong to the user that runs the server."""
    user = now.get("ambari-server.user") or "root"
    operations = [
        *write_file(facts, CERTIFICATE, https.certificate, owner=user, mode="0600", restarts=(NAME,)),
        *write_file(facts, KEY, https.key, owner=user, mode="0600", secret=True, restarts=(NAME,)),
    ]
    made_from = facts.files.get(MADE_FROM)
    digest = hashlib.sha256(https.certificate + https.key).hexdigest()
    if KEYSTORE not in facts.files or made_from is None or (made_from.text or "").strip() != digest:
        stdin = f"{https.password}\n".encode() if https.password else b""
        script = _KEYSTORE.format(user=quote(user))
        operations.append(
            Operation("create the HTTPS keystore", f"{KEYSTORE} from {CERTIFICATE}", script, stdin, restarts=(NAME,))
        )
    return operations + set_properties(
        now,
        {
            "api.ssl": "true",
            "client.api.ssl.port": str(https.port),
            "client.api.ssl.cert_name": "https.crt",
            "client.api.ssl.key_name": "https.key",
        },
    )
