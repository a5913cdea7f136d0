"""One SSH connection: open it within a time limit, check the host key, and explain failures."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bigtop_builder.adapter.ssh.known_hosts import host_id
from bigtop_builder.model.errors import InterruptedRunError, UnreachableHostError

if TYPE_CHECKING:
    from fabric import Config, Connection
    from paramiko import PKey, Transport

    from bigtop_builder.adapter.ssh.access import Access
    from bigtop_builder.adapter.ssh.known_hosts import KnownHosts

KEEPALIVE = 15
"""Seconds between keep-alive messages, so that firewalls in between do not drop the connection."""
SILENCE = 60
"""Seconds after which a peer that acknowledges nothing counts as dead."""
_KEY_EXCHANGES = ("curve25519-sha256@libssh.org", "ecdh-sha2-nistp256")
"""The cheapest secure ones, because many connections start at once."""
_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
"""Ciphers with built-in authentication: one pass over the data instead of two."""


@dataclass(frozen=True)
class Target:
    """The destination of a connection."""

    address: str
    port: int
    user: str

    def __str__(self) -> str:
        return f"{self.user}@{self.address}:{self.port}"


@dataclass(frozen=True)
class Terms:
    """The settings that all connections of a fleet share."""

    access: Access
    known_hosts: KnownHosts
    timeout: float
    """Seconds for each of: TCP connection, key exchange, log-in, opening a channel."""
    cancelled: threading.Event


class Link:
    """A connection, possibly still being opened: ``abandon`` ends it at any moment, from any thread."""

    def __init__(self, target: Target, terms: Terms, jump: Link | None = None) -> None:
        self.target = target
        self._terms = terms
        self._jump = jump
        self._transport: Transport | None = None
        self._connection: Connection | None = None

    def open(self) -> None:
        """Connect and log in. Raises UnreachableHostError and InterruptedRunError."""
        from fabric import Connection

        _silence_paramiko()
        through = None
        sock = None if self._jump else _connect(self.target, self._terms)
        if self._jump is not None:
            through = self._jump.connection
        connection = Connection(
            self.target.address,
            user=self.target.user,
            port=self.target.port,
            gateway=through,
            config=_fabric_config(),
            forward_agent=False,
            connect_timeout=self._terms.timeout,
            connect_kwargs={
                **({"sock": sock} if sock else {}),
                "transport_factory": self._make_transport,
                "auth_strategy": _LogIn(self._terms.access, self.target.user),
                "banner_timeout": self._terms.timeout,
                "auth_timeout": self._terms.timeout,
                "channel_timeout": self._terms.timeout,
            },
        )
        connection.client.set_missing_host_key_policy(_CheckHostKey(self._check_host_key))
        try:
            connection.open()
        except BaseException as error:
            connection.close()
            self.abandon()
            if sock:
                sock.close()
            if self._terms.cancelled.is_set():
                raise InterruptedRunError(f"{self.target}: stopped while connecting") from error
            if isinstance(error, Exception):
                raise self._explained(error) from error
            raise
        self._connection = connection

    @property
    def connection(self) -> Connection:
        """Fabric's connection; only after ``open``."""
        assert self._connection is not None
        return self._connection

    @property
    def transport(self) -> Transport:
        """Paramiko's transport; only after ``open``."""
        assert self._transport is not None
        return self._transport

    @property
    def alive(self) -> bool:
        """Whether the connection is open and usable."""
        return self._connection is not None and self.transport.is_active()

    def abandon(self) -> None:
        """Cut the connection without waiting for anything."""
        transport = self._transport
        if transport is not None:
            if isinstance(transport.sock, socket.socket):
                # Otherwise paramiko's reader notices only at its next poll.
                with contextlib.suppress(OSError):
                    transport.sock.shutdown(socket.SHUT_RDWR)
            transport.close()

    def _make_transport(self, sock: Any, **options: Any) -> Transport:
        import paramiko

        transport = paramiko.Transport(sock, **options)
        security = transport.get_security_options()
        security.kex = _first(_KEY_EXCHANGES, security.kex)
        security.ciphers = _first(_CIPHERS, security.ciphers)
        known = self._terms.known_hosts.kinds(host_id(self.target.address, self.target.port))
        wanted = [name for kind in known for name in _ALGORITHMS.get(kind, (kind,))]
        security.key_types = _first(wanted, security.key_types)
        transport.set_keepalive(KEEPALIVE)
        self._transport = transport
        return transport

    def _check_host_key(self, key: PKey) -> None:
        name = host_id(self.target.address, self.target.port)
        self._terms.known_hosts.check(name, key.get_name(), key.asbytes())

    def _explained(self, error: Exception) -> Exception:
        """Return an error that explains the cause to the user."""
        import paramiko

        if isinstance(error, UnreachableHostError):
            return UnreachableHostError(f"{self.target}: {error.message}", hint=error.hint)
        if isinstance(error, paramiko.AuthenticationException):
            return UnreachableHostError(
                f"{self.target}: the host rejected {' and '.join(self._terms.access.offered)}",
                hint="Check user, key and password (under ssh, of the group or of the host), and the user's "
                "~/.ssh/authorized_keys on the host.",
            )
        if isinstance(error, paramiko.ChannelException) and self._jump is not None:
            return UnreachableHostError(
                f"{self.target}: the jump host {self._jump.target} cannot connect to it: {error}",
                hint="Check the address, and that the jump host's sshd allows forwarding (AllowTcpForwarding).",
            )
        if isinstance(error, paramiko.SSHException | EOFError | OSError):
            return UnreachableHostError(
                f"{self.target}: the connection was lost during the log-in: {str(error) or 'end of stream'}",
                hint="Check that an SSH server listens on that port and is not overloaded (MaxStartups), and "
                "ssh.connect_timeout.",
            )
        return error


_ALGORITHMS = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}


def _first(wanted: tuple[str, ...] | list[str], known: tuple[str, ...]) -> tuple[str, ...]:
    front = [name for name in dict.fromkeys(wanted) if name in known]
    return (*front, *(name for name in known if name not in front))


class _LogIn:
    """An authentication strategy of paramiko's."""

    def __init__(self, access: Access, user: str) -> None:
        self._access = access
        self._user = user

    def authenticate(self, transport: Transport) -> None:
        """Log in; called by paramiko."""
        self._access.log_in(transport, self._user)


class _CheckHostKey:
    """Paramiko calls this for every host key, because it has no known_hosts file of its own."""

    def __init__(self, check: Callable[[PKey], None]) -> None:
        self._check = check

    def missing_host_key(self, _client: object, _name: str, key: PKey) -> None:
        """Accept the key, or raise UnreachableHostError; called by paramiko."""
        self._check(key)


def _connect(target: Target, terms: Terms) -> socket.socket:
    """Open a TCP connection. Raises UnreachableHostError with the reason."""
    try:
        found = socket.getaddrinfo(target.address, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnreachableHostError(
            f"{target}: the address cannot be resolved: {getattr(error, 'strerror', None) or error}",
            hint="Check the name, this machine's DNS and /etc/hosts, or set hosts.<FQDN>.address in the inventory.",
        ) from error
    reasons = []
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        try:
            _connect_within(sock, address, terms)
            _watch(sock)
            return sock
        except OSError as error:
            sock.close()
            reasons.append(error)
        except InterruptedRunError:
            sock.close()
            raise
    raise _refusal(target, reasons[0], terms.timeout) from reasons[0]


def _refusal(target: Target, reason: OSError, timeout: float) -> UnreachableHostError:
    if isinstance(reason, ConnectionRefusedError):
        return UnreachableHostError(
            f"{target}: the connection was refused", hint="Check that sshd runs there and listens on that port."
        )
    if isinstance(reason, TimeoutError):
        return UnreachableHostError(
            f"{target}: no answer within {timeout:g} s",
            hint="Check the address, that the host is up, and firewalls in between; or raise ssh.connect_timeout.",
        )
    return UnreachableHostError(
        f"{target}: {reason.strerror or reason}", hint="Check the address and the network to it."
    )


def _connect_within(sock: socket.socket, address: Any, terms: Terms) -> None:
    deadline = time.monotonic() + terms.timeout
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        sock.connect(address)
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    while not poll.poll(200):
        if terms.cancelled.is_set():
            raise InterruptedRunError("stopped while connecting")
        if time.monotonic() > deadline:
            raise TimeoutError
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, "")
    sock.settimeout(terms.timeout)


def _watch(sock: socket.socket) -> None:
    """Let the kernel detect a dead peer: keep-alive messages that nobody acknowledges end the connection."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE * 1000)


def _fabric_config() -> Config:
    """Return a configuration of Fabric that reads no files: only the inventory counts.

    Threads must not share one, because a connection writes into it and leaves it empty for a moment.
    """
    from fabric import Config
    from paramiko import SSHConfig

    return Config(lazy=True, ssh_config=SSHConfig())


@lru_cache(maxsize=1)
def _silence_paramiko() -> None:
    """Keep paramiko's log off stderr, where Python prints it by default: our own errors report the causes."""
    logging.getLogger("paramiko").addHandler(logging.NullHandler())
