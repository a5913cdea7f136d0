"""The credentials for log-ins: key files, the keys of an agent, a password."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.home import expand_home

if TYPE_CHECKING:
    from paramiko import PKey, Transport

    from bigtop_builder.adapter.secret import Secrets
    from bigtop_builder.model.login import Ssh

DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


class LockedKeyError(Exception):
    """A private key is encrypted with a passphrase."""


class Access:
    """The credentials of hosts with the same settings. Key files are read once, not once per host."""

    def __init__(self, ssh: Ssh, secrets: Secrets, place: Callable[[str], str] = "ssh.{}".format) -> None:
        """``place`` returns where a setting is in the inventory: ``hosts.node1.x.test.key``.

        Raises ConfigurationError if a key is unusable, or if there are no credentials at all.
        """
        self._place = place
        self._agent = ssh.agent and bool(os.environ.get("SSH_AUTH_SOCK"))
        self._password = secrets.value(ssh.password, place("password")) if ssh.password else None
        self.offered: list[str] = []
        """The credentials in words, for messages."""
        self._keys: list[PKey] = []
        if ssh.key is not None:
            passphrase = secrets.value(ssh.key_passphrase, place("key_passphrase")) if ssh.key_passphrase else None
            self._add_key(expand_home(ssh.key), passphrase)
        elif self._password is None:
            self._add_default_keys()
        if self._agent:
            self.offered.append("the keys of the SSH agent")
        if self._password is not None:
            self.offered.append("the password")
        if not self.offered:
            raise ConfigurationError(
                "ssh: no key, no running agent and no password to log in with",
                hint="Set ssh.key to a private key, or ssh.password to a reference such as env:SSH_PASSWORD.",
            )

    def _add_key(self, path: Path, passphrase: str | None) -> None:
        try:
            key = _load(path, passphrase)
        except OSError as error:
            raise ConfigurationError(f"{self._place('key')}: {path} cannot be read: {error.strerror}") from error
        except LockedKeyError as error:
            if passphrase is None and self._agent:
                return  # The agent may have it, decrypted.
            raise ConfigurationError(
                f"{self._place('key')}: {path} needs a passphrase",
                hint=f"Set {self._place('key_passphrase')} to a reference such as env:NAME or prompt, or use an agent.",
            ) from error
        except ValueError as error:
            # With a wrong passphrase the error is about the rubbish that it gives.
            doubt = f": {error}" if passphrase is None else ", or the passphrase is wrong"
            raise ConfigurationError(f"{self._place('key')}: {path} is not a usable private key{doubt}") from error
        self._keys.append(key)
        self.offered.append(f"the key {path}")

    def _add_default_keys(self) -> None:
        for path in (Path.home() / ".ssh" / name for name in DEFAULT_KEYS):
            try:
                self._keys.append(_load(path, None))
            except (OSError, ValueError, LockedKeyError):
                continue
            self.offered.append(f"the key {path}")

    def log_in(self, transport: Transport, user: str) -> None:
        """Try one credential after the other. Raises paramiko's AuthenticationException if the host accepts none."""
        import paramiko

        for key in self._keys_to_try():
            try:
                missing = transport.auth_publickey(user, key)
            except paramiko.BadAuthenticationType:
                break
            except paramiko.AuthenticationException:
                continue
            if not missing:
                return
            break  # The host also requires a password.
        if self._password is None:
            raise paramiko.AuthenticationException("none was accepted")
        transport.auth_password(user, self._password)

    def _keys_to_try(self) -> Iterator[PKey]:
        import paramiko

        yield from self._keys
        if self._agent:
            agent = paramiko.Agent()
            try:
                yield from agent.get_keys()
            finally:
                agent.close()


def _load(path: Path, passphrase: str | None) -> PKey:
    import paramiko

    try:
        return paramiko.PKey.from_path(path, passphrase.encode() if passphrase else None)
    except (paramiko.PasswordRequiredException, TypeError) as error:
        if passphrase is not None:
            return _load(path, None)  # The key is not encrypted at all.
        raise LockedKeyError(str(error)) from error
    except paramiko.SSHException as error:
        raise ValueError(str(error)) from error


def keep_key(path: Path, comment: str) -> str:
    """Return the public key (``ssh-ed25519 AAAA… comment``) of the private key at ``path``, created if it is missing.

    The file is in OpenSSH's format and readable by its owner only.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if path.is_file():
        key = serialization.load_ssh_private_key(path.read_bytes(), password=None)
    else:
        key = Ed25519PrivateKey.generate()
        data = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(data)
        new.rename(path)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return f"{public.decode()} {comment}"
