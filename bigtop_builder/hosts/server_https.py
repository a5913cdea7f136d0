"""HTTPS for an Ambari server: certificate, key and keystore where it looks for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Https:
    """A certificate and its key, PEM; ``password`` of an encrypted key."""

    certificate: bytes
    key: bytes
    password: str | None
    port: int


# Ambari's own setup-https refuses to work without prompts and takes the key's password as an argument; it makes just
# these files. The keystore's password never leaves the host.
_KEYSTORE = f"""umask 077
cd {KEYS}
key_password=$(mktemp)
trap 'rm -f "$key_password" https.keystore.p12.new' EXIT
cat > "$key_password"
[ -s https.pass.txt ] || openssl rand -hex 25 | tr -d '\\n' > https.pass.txt
if [ -s "$key_password" ]; then set -- -passin "file:$key_password"; else set --; fi
openssl pkcs12 -export -in https.crt -inkey https.key "$@" -out https.keystore.p12.new -passout file:https.pass.txt
mv -f https.keystore.p12.new https.keystore.p12"""


def https_operations(facts: HostFacts, https: Https, now: Mapping[str, str]) -> list[Operation]:
    """The files and properties of HTTPS. The facts must hold them."""
    written = (
        *write_file(facts, CERTIFICATE, https.certificate, mode="0600", restarts=(NAME,)),
        *write_file(facts, KEY, https.key, mode="0600", secret=True, restarts=(NAME,)),
    )
    operations = list(written)
    if written or KEYSTORE not in facts.files:
        stdin = f"{https.password}\n".encode() if https.password else b""
        operations.append(
            Operation("make the HTTPS keystore", f"{KEYSTORE} from {CERTIFICATE}", _KEYSTORE, stdin, restarts=(NAME,))
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
