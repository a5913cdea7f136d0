"""Host keys in OpenSSH's ``known_hosts`` format (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT")."""

from __future__ import annotations

import base64
import binascii
import fcntl
import fnmatch
import hashlib
import hmac
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bigtop_builder.model.errors import ConfigurationError, UnreachableHostError


def host_id(address: str, port: int) -> str:
    """Return the name of a host in the file: ``address``, or ``[address]:port``."""
    return address.lower() if port == 22 else f"[{address.lower()}]:{port}"


def fingerprint(key: bytes) -> str:
    """Return the fingerprint of a key as ``ssh-keygen -l`` shows it: ``SHA256:…``."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


@dataclass(frozen=True)
class KnownKey:
    """One line of the file. ``kind``: the type of the key, as in the file (``ssh-ed25519``)."""

    line: int
    names: str
    kind: str
    key: bytes
    revoked: bool

    def is_of(self, name: str) -> bool:
        """Whether this line is about the host; a matching negated pattern excludes it."""
        found = False
        for pattern in self.names.split(","):
            if pattern.startswith("|1|"):
                found |= _hash_matches(pattern, name)
            elif pattern.startswith("!"):
                if _matches(pattern[1:], name):
                    return False
            else:
                found |= _matches(pattern, name)
        return found


def _matches(pattern: str, name: str) -> bool:
    if "*" not in pattern and "?" not in pattern:
        return pattern.lower() == name
    # A bracket is literal here ("[host]:2222"), not a set of characters.
    return fnmatch.fnmatchcase(name, pattern.lower().replace("[", "[[]"))


def _hash_matches(pattern: str, name: str) -> bool:
    try:
        salt, expected = (base64.b64decode(part) for part in pattern.split("|")[2:4])
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(hmac.digest(salt, name.encode(), "sha1"), expected)


def _parse(text: str) -> list[KnownKey]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
        if len(fields) < 3 or fields[0].startswith("#") or marker == "@cert-authority":
            continue
        try:
            key = base64.b64decode(fields[2], validate=True)
        except (ValueError, binascii.Error):
            continue
        found.append(KnownKey(number, fields[0], fields[1], key, marker == "@revoked"))
    return found


class KnownHosts:
    """One file. Thread-safe; other programs may append to the file at the same time."""

    def __init__(self, path: Path, policy: Literal["strict", "accept-new"]) -> None:
        self.path = path
        self._policy = policy
        self._lock = threading.Lock()
        self._keys = _parse(self._read())

    def _read(self) -> str:
        try:
            return self.path.read_text(errors="replace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise ConfigurationError(f"ssh.known_hosts: {self.path} cannot be read: {error.strerror}") from error

    def kinds(self, name: str) -> list[str]:
        """Return the types of a host's known keys: request these from the host."""
        return [known.kind for known in self._of(name) if not known.revoked]

    def _of(self, name: str) -> list[KnownKey]:
        return [known for known in self._keys if known.is_of(name)]

    def check(self, name: str, kind: str, key: bytes) -> None:
        """Accept a host's key, or raise UnreachableHostError. ``accept-new`` records the first key of a host."""
        with self._lock:
            if self._is_known(name, kind, key):
                return
            if self._policy == "strict":
                raise UnreachableHostError(
                    f"its host key ({kind} {fingerprint(key)}) is not in {self.path}",
                    hint=f"Compare the fingerprint on the host (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub), then add "
                    f"the key with ssh-keyscan {_scan_arguments(name)} >> {self.path}, or set ssh.host_keys: "
                    "accept-new.",
                )
            self._note(name, kind, key)

    def _is_known(self, name: str, kind: str, key: bytes) -> bool:
        """Return whether the key is known; False for an unknown host. Raises UnreachableHostError for a wrong key."""
        known = self._of(name)
        for one in known:
            if one.revoked and one.key == key:
                raise UnreachableHostError(
                    f"its host key ({kind} {fingerprint(key)}) is revoked: {self.path}:{one.line}",
                    hint="The key is compromised; give the host a new one.",
                )
        current = [one for one in known if not one.revoked]
        if any(one.key == key for one in current):
            return True
        if not current:
            return False
        place = next((one for one in current if one.kind == kind), current[0])
        raise UnreachableHostError(
            f"its host key has changed: it is {kind} {fingerprint(key)}, but {self.path}:{place.line} has "
            f"{place.kind} {fingerprint(place.key)}",
            hint="Somebody may be intercepting the connection. If the host was reinstalled, remove the old key: "
            f"ssh-keygen -f {self.path} -R '{name}'",
        )

    def _note(self, name: str, kind: str, key: bytes) -> None:
        """Append a line in one write, so that other readers and writers never see half of it."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError(f"ssh.known_hosts: {self.path} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            text = self._read()
            self._keys = _parse(text)
            if not self._is_known(name, kind, key):
                line = f"{name} {kind} {base64.b64encode(key).decode()}\n"
                os.write(file, (line if not text or text.endswith("\n") else "\n" + line).encode())
                self._keys = _parse(self._read())
        finally:
            os.close(file)


def _scan_arguments(name: str) -> str:
    if name.startswith("["):
        address, port = name[1:].split("]:")
        return f"-p {port} {address}"
    return name
