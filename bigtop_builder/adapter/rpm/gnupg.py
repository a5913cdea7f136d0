"""Creates, finds and uses signing keys in the host's GnuPG."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bigtop_builder.model.errors import PublishError

TIMEOUT = 120
STOP_SECONDS = 5.0
"""How long an agent may take to end."""
AGENT_TRIES, AGENT_PAUSE = 5, 0.2
"""How often to ask again when the agent is just ending, and how many seconds to wait in between."""
KEY_TYPE = "rsa3072"
"""RSA, because rpm 4.11 of EL 7 supports nothing newer; 3072 bits sign three times as fast as 4096."""
SOCKET_LIMIT = 107 - len("/S.gpg-agent.browser")
AGENT_MARK = "bigtop-builder.agent"
"""In a GnuPG home: the process that started the agent and will stop it."""
INSTALL_HINT = "Install GnuPG 2.2 or later: 'apt install gnupg', or 'dnf install gnupg2'."


@dataclass(frozen=True)
class Signer:
    """A secret key that is ready to sign. ``homedir`` may be a short alias of the real one.

    ``fingerprint`` is the primary key's, ``fingerprints`` adds those of its subkeys: 40 upper-case digits each.
    """

    homedir: Path
    fingerprint: str
    fingerprints: frozenset[str]
    passphrase: str | None = None

    def sign(self, data: bytes) -> bytes:
        """Return a binary detached signature with SHA-256. Raises PublishError with gpg's message."""
        return self._signature(data, [])

    def sign_armored(self, data: bytes) -> bytes:
        """Return a detached signature in ASCII armour, as in ``repomd.xml.asc``. Raises PublishError."""
        return self._signature(data, ["--armor"])

    def public_key(self) -> bytes:
        """Return the public key in ASCII armour. Raises PublishError."""
        return _gpg(self.homedir, ["--armor", "--export", self.fingerprint])

    def _signature(self, data: bytes, options: list[str]) -> bytes:
        arguments = [*options, "--digest-algo", "SHA256", "--local-user", self.fingerprint, "--detach-sign"]
        return _gpg(self.homedir, arguments, data=data, passphrase=self.passphrase)


@contextlib.contextmanager
def open_signer(homedir: Path, key: str | None = None, passphrase: str | None = None) -> Iterator[Signer]:
    """Yield a signer with the secret key ``key`` (fingerprint or user id; by default the only one) of a GnuPG home.

    Stops the agent at the end unless it was running before. Raises PublishError when GnuPG is not installed, or
    when no key or several keys match.
    """
    with _gpg_home(homedir) as short:
        primary, fingerprints = _find_key(short, homedir, key)
        yield Signer(short, primary, fingerprints, passphrase)


def make_key(homedir: Path, name: str, email: str, passphrase: str | None = None) -> str:
    """Create a signing key that never expires and return its fingerprint.

    Without a passphrase the key is unprotected. Raises PublishError with gpg's message.
    """
    try:
        homedir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise PublishError(f"cannot create the GnuPG home {homedir}: {error.strerror}") from error
    user = f"{name} <{email}>"
    with _gpg_home(homedir) as short:
        arguments = ["--status-fd", "1", "--quick-generate-key", user, KEY_TYPE, "sign", "never"]
        answer = _gpg(short, arguments, passphrase=passphrase or "")
        for line in answer.decode(errors="replace").splitlines():
            if line.startswith("[GNUPG:] KEY_CREATED "):
                return line.split()[-1]
    raise PublishError(f"gpg created no key for {user} and gave no reason")


@contextlib.contextmanager
def _gpg_home(homedir: Path) -> Iterator[Path]:
    """Yield the home under a name short enough for the agent's socket; leave no agent behind."""
    if shutil.which("gpg") is None:
        raise PublishError("gpg is not installed, so nothing can be signed", hint=INSTALL_HINT)
    if not homedir.is_dir():
        raise PublishError(f"there is no GnuPG home at {homedir}", hint="Create a key first, or name the right home.")
    with contextlib.ExitStack() as stack:
        short = homedir.absolute()
        if len(os.fsencode(short)) > SOCKET_LIMIT:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="gnupg-"))
            (Path(folder) / "h").symlink_to(short)
            short = Path(folder) / "h"
        mark = short / AGENT_MARK
        if not _agent_runs(short) or _abandoned(mark):
            mark.write_text(f"{os.getpid()}\n", encoding="utf-8")
            stack.callback(mark.unlink, missing_ok=True)
            stack.callback(_stop_agent, short)
        yield short


def _stop_agent(homedir: Path) -> None:
    """End the agent, and wait for its end: whoever came next would take it for one that runs, and find no keys."""
    _run(["gpgconf", "--homedir", str(homedir), "--kill", "gpg-agent"])
    deadline = time.monotonic() + STOP_SECONDS
    while _agent_runs(homedir) and time.monotonic() < deadline:
        time.sleep(0.02)


def _abandoned(mark: Path) -> bool:
    """Whether the process that started the agent was killed, so that nobody stops it."""
    try:
        starter = int(mark.read_text(encoding="utf-8"))
        os.kill(starter, 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError):
        pass
    return False


def _agent_runs(homedir: Path) -> bool:
    answer = _run(["gpgconf", "--homedir", str(homedir), "--list-dirs", "agent-socket"])
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        try:
            probe.connect(answer.stdout.strip())
        except OSError:
            return False
    return True


def _find_key(short: Path, homedir: Path, key: str | None) -> tuple[str, frozenset[str]]:
    """Return the primary fingerprint, and all fingerprints of that key."""
    answer = _list_secret_keys(short, key)
    keys: list[list[str]] = []
    for line in answer.stdout.decode(errors="replace").splitlines():
        fields = line.split(":")
        if fields[0] == "sec" and fields[1] not in ("r", "e"):
            keys.append([])
        elif fields[0] == "sec":
            raise PublishError(f"the signing key {fields[4]} in {homedir} is revoked or expired")
        elif fields[0] == "fpr" and keys:
            keys[-1].append(fields[9])
    wanted = f"key {key!r}" if key else "key"
    if not keys:
        raise PublishError(f"no secret {wanted} in {homedir}", hint="List them with: gpg --list-secret-keys")
    if len(keys) > 1:
        listed = ", ".join(found[0] for found in keys)
        raise PublishError(f"several secret keys in {homedir} match", hint=f"Name one by its fingerprint: {listed}")
    return keys[0][0], frozenset(keys[0])


def _list_secret_keys(homedir: Path, key: str | None) -> subprocess.CompletedProcess[bytes]:
    """List secret keys. An agent that was told to end may still answer the first call, and then knows none."""
    command = [*_command(homedir), "--with-colons", "--list-secret-keys", *([key] if key else [])]
    answer = _run(command)
    for _ in range(AGENT_TRIES):
        if answer.stdout or b"agent" not in answer.stderr:
            break
        time.sleep(AGENT_PAUSE)
        answer = _run(command)
    return answer


def _command(homedir: Path) -> list[str]:
    return ["gpg", "--homedir", str(homedir), "--batch", "--no-tty", "--quiet", "--yes"]


def _gpg(homedir: Path, arguments: Sequence[str], *, data: bytes = b"", passphrase: str | None = None) -> bytes:
    """Run gpg and return its output; the passphrase goes through a pipe, never through the arguments."""
    if passphrase is None:
        return _checked(_run([*_command(homedir), "--pinentry-mode", "error", *arguments], data=data))
    reading, writing = os.pipe()
    try:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(passphrase.encode() + b"\n")
        secret = ["--pinentry-mode", "loopback", "--passphrase-fd", str(reading)]
        return _checked(_run([*_command(homedir), *secret, *arguments], data=data, inherited=[reading]))
    finally:
        os.close(reading)


def _checked(answer: subprocess.CompletedProcess[bytes]) -> bytes:
    if answer.returncode == 0:
        return answer.stdout
    said = answer.stderr.decode(errors="replace").strip() or f"exit code {answer.returncode}"
    hint = None
    if "assphrase" in said or "pinentry" in said.lower():
        hint = "The key is protected: reference its passphrase (signing.passphrase: env:NAME or file:PATH)."
    raise PublishError(f"gpg failed: {said}", hint=hint)


def _run(command: list[str], *, data: bytes = b"", inherited: Sequence[int] = ()) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        return subprocess.run(
            command, input=data, capture_output=True, timeout=TIMEOUT, pass_fds=inherited, env=environment
        )
    except FileNotFoundError as error:
        raise PublishError(f"{command[0]} is not installed", hint=INSTALL_HINT) from error
    except subprocess.TimeoutExpired as error:
        raise PublishError(f"{command[0]} did not answer within {TIMEOUT} s") from error
