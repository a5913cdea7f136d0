"""All hosts of an inventory over SSH: one lasting connection per host, and work on many of them at once."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from bigtop_builder.adapter.ssh.access import Access
from bigtop_builder.adapter.ssh.command import Exchange, command_line, stop
from bigtop_builder.adapter.ssh.connection import Link, Target, Terms
from bigtop_builder.adapter.ssh.known_hosts import KnownHosts
from bigtop_builder.adapter.ssh.remote import Output, Remote
from bigtop_builder.model.base import seconds
from bigtop_builder.model.errors import HostError, InterruptedRunError, UnreachableHostError
from bigtop_builder.model.home import expand_home

if TYPE_CHECKING:
    from paramiko import Channel

    from bigtop_builder.adapter.secret import Secrets
    from bigtop_builder.model.login import Jump, Login, Ssh
    from bigtop_builder.recipe.inventory import HostEntry

T = TypeVar("T")
GRACE = 0.9
"""Seconds for workers to end after a cancellation."""
JUMP_PAUSE = 30.0
"""Seconds before an unreachable jump host is tried again: all hosts behind it would time out one after the other."""


class Fleet:
    """The hosts of an inventory. Connections open on first use. Thread-safe; close it only when no work is running."""

    def __init__(self, ssh: Ssh, hosts: Sequence[HostEntry], secrets: Secrets, cancelled: threading.Event) -> None:
        """Raises ConfigurationError for an unusable key or file."""
        known = Path(ssh.known_hosts) if ssh.known_hosts else Path("~/.ssh/known_hosts")
        self._ssh = ssh
        self.cancelled = cancelled
        """Ends all work once it is set."""
        self._known_hosts = KnownHosts(expand_home(known), ssh.host_keys)
        self._lock = threading.Lock()
        self._jumps: list[_JumpHost] = []
        self._logins: dict[Login | None, _Login] = {}
        self._hosts: dict[str, _Host] = {}
        for host in hosts:
            login = self._login(host.login, dict(host.given), secrets)
            self._hosts[host.name] = _Host(self, host.name, Target(host.address, host.port, login.ssh.user), login)
        self.round_trips = 0
        """The number of scripts sent so far."""

    def _login(self, login: Login | None, given: Mapping[str, str], secrets: Secrets) -> _Login:
        """Return how to log in to the hosts with these settings; ``given``: where the inventory has those of ``login``.

        Raises ConfigurationError.
        """
        if login in self._logins:
            return self._logins[login]
        own = login.over(self._ssh) if login is not None else self._ssh

        def place(field: str) -> str:
            return f"{given.get(field, 'ssh')}.{field}"

        access = Access(own, secrets, place)
        terms = Terms(access, self._known_hosts, float(seconds(own.connect_timeout)), self.cancelled)
        sudo = own.sudo_password if own.sudo else None
        password = secrets.value(sudo, place("sudo_password")) if sudo else None
        jump = None
        if own.jump is not None and login is not None and login.jump is None:
            # The jump host of all has the log-in of all, not that of the host behind it.
            jump = self._login(None, {}, secrets).jump
        elif own.jump is not None:
            jump = _JumpHost(own.jump, own.user, terms)
            self._jumps.append(jump)
        self._logins[login] = _Login(own, terms, password, jump)
        return self._logins[login]

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        for host in self._hosts.values():
            host.close()
        for jump in self._jumps:
            jump.close()

    def remote(self, host: str) -> Remote:
        """Return the host with this FQDN. Raises KeyError if it is not in the inventory."""
        return self._hosts[host]

    def each(
        self,
        work: Callable[[Remote], T],
        hosts: Sequence[str] | None = None,
        *,
        done: Callable[[str, T | HostError], None] | None = None,
    ) -> dict[str, T | HostError]:
        """Do ``work`` on every host, at most ``ssh.parallel`` at once; return the results in the order of ``hosts``.

        A HostError becomes the result of its host, and the others go on. ``done`` is called in the calling thread as
        each host ends. Any other error ends the whole call, as does a cancellation (InterruptedRunError).
        """
        names = list(self._hosts) if hosts is None else list(dict.fromkeys(hosts))
        waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
        ended: queue.SimpleQueue[tuple[str, T | BaseException]] = queue.SimpleQueue()
        for name in names:
            waiting.put(name)

        def worker() -> None:
            while not self.cancelled.is_set():
                try:
                    name = waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    ended.put((name, work(self._hosts[name])))
                except BaseException as error:
                    ended.put((name, error))

        # Daemons, because a thread that hangs in a name look-up must not delay the program's exit.
        workers = [threading.Thread(target=worker, daemon=True) for _ in range(min(self._ssh.parallel, len(names)))]
        for thread in workers:
            thread.start()
        results: dict[str, T | HostError] = {}
        with self._stopping(waiting, workers):
            while len(results) < len(names):
                name, result = self._next(ended)
                if isinstance(result, BaseException) and not isinstance(result, HostError):
                    raise result
                results[name] = result
                if done is not None:
                    done(name, result)
        return {name: results[name] for name in names}

    def _next(self, ended: queue.SimpleQueue[tuple[str, T | BaseException]]) -> tuple[str, T | BaseException]:
        while not self.cancelled.is_set():
            try:
                return ended.get(timeout=0.1)
            except queue.Empty:
                continue
        raise InterruptedRunError("stopped during work on hosts")

    @contextmanager
    def _stopping(self, waiting: queue.SimpleQueue[str], workers: list[threading.Thread]) -> Iterator[None]:
        """After an error, stop all work before the caller sees it."""
        try:
            yield
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                self.cancelled.set()
            with suppress(queue.Empty):
                while True:
                    waiting.get_nowait()
            if not self.cancelled.is_set():
                self.close()
            deadline = time.monotonic() + GRACE
            for thread in workers:
                thread.join(max(0.0, deadline - time.monotonic()))
            self.close()
            raise

    def count(self) -> None:
        """Count a round trip."""
        with self._lock:
            self.round_trips += 1


@dataclass(frozen=True)
class _Login:
    """How to log in to the hosts that share these settings."""

    ssh: Ssh
    terms: Terms
    sudo_password: str | None
    jump: _JumpHost | None


class _JumpHost:
    """A jump host, which the connections to all hosts behind it go through."""

    def __init__(self, jump: Jump, user: str, terms: Terms) -> None:
        self._target = Target(jump.host, jump.port, jump.user or user)
        self._terms = terms
        self._lock = threading.Lock()
        self._link: Link | None = None
        self._failed: tuple[float, UnreachableHostError | None] = (0.0, None)

    def link(self) -> Link:
        """Return the connection. Raises UnreachableHostError."""
        with self._lock:
            if self._link is not None and self._link.alive:
                return self._link
            failed_at, error = self._failed
            if error is None or time.monotonic() - failed_at > JUMP_PAUSE:
                link = Link(self._target, self._terms)
                try:
                    link.open()
                except UnreachableHostError as failure:
                    error = UnreachableHostError(f"the jump host {failure.message}", hint=failure.hint)
                    self._failed = (time.monotonic(), error)
                else:
                    self._link = link
                    return link
            raise UnreachableHostError(error.message, hint=error.hint)

    def close(self) -> None:
        """Close the connection."""
        link, self._link = self._link, None
        if link is not None:
            link.abandon()


class _Host:
    """One host of a fleet."""

    def __init__(self, fleet: Fleet, name: str, target: Target, login: _Login) -> None:
        self.name = name
        self._login = login
        self._fleet = fleet
        self._target = target
        self._lock = threading.Lock()
        self._link: Link | None = None

    def run(self, script: str, *, stdin: bytes = b"", timeout: float | None = None, user: str | None = None) -> Output:
        fleet, login = self._fleet, self._login
        command = command_line(login.ssh, user)
        channel = self._start(command)
        exchange = Exchange(channel, script, stdin, login.sudo_password)
        fleet.count()
        limit = timeout if timeout is not None else float(seconds(login.ssh.command_timeout))
        try:
            return exchange.finish(limit, login.terms.cancelled)
        except (InterruptedRunError, HostError) as error:
            if exchange.group is not None and not isinstance(error, UnreachableHostError):
                stop(channel.get_transport(), command_line(login.ssh, None), exchange.group, login.sudo_password)
            raise
        finally:
            channel.close()

    def _start(self, command: str) -> Channel:
        """Open a channel and start the command. A connection that was lost since its last use is reopened once."""
        import paramiko

        for attempt in (1, 2):
            link = self._open()
            try:
                channel = link.transport.open_session(timeout=self._login.terms.timeout)
                channel.settimeout(self._login.terms.timeout)
                channel.exec_command(command)
                return channel
            except (paramiko.SSHException, EOFError, OSError) as error:
                self.close()
                if self._login.terms.cancelled.is_set():
                    raise InterruptedRunError(f"{self._target}: stopped") from error
                if attempt == 2:
                    raise UnreachableHostError(
                        f"{self._target}: no command can be started: {str(error) or 'the connection was lost'}",
                        hint="Check the host's sshd (MaxSessions, ForceCommand) and its log.",
                    ) from error
        raise AssertionError

    def _open(self) -> Link:
        with self._lock:
            if self._link is None or not self._link.alive:
                jump = self._login.jump
                self._link = Link(self._target, self._login.terms, jump.link() if jump is not None else None)
                self._link.open()
            return self._link

    def close(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.abandon()
