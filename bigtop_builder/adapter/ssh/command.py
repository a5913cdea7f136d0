"""One script over one SSH channel: send it with its input, and receive its output."""

from __future__ import annotations

import contextlib
import re
import select
import shlex
import threading
import time
from typing import TYPE_CHECKING

from bigtop_builder.adapter.ssh.remote import Output
from bigtop_builder.model.errors import HostError, HostLimitError, InterruptedRunError, UnreachableHostError

if TYPE_CHECKING:
    from paramiko import Channel, Transport

    from bigtop_builder.model.login import Ssh

MARK = "bigtop-builder:"
PROMPT = "bigtop-builder-sudo:"
# Its first line of output shows that it is running, whatever a log-in shell printed before, and its process group. Its
# standard input is a line with the script's length, the script, and the script's own input: ``read`` reads not one byte
# too many, and fails if a lost connection has cut the script short. It is visible in the process list, so it contains
# nothing of the script.
BOOTSTRAP = (
    "read -r _ _ _ _ _bb _ </proc/$$/stat; "
    f"echo {MARK}$_bb; "
    "while IFS= read -r _bb; do case $_bb in "
    f"{MARK}*) break;; esac; done; "
    "export LC_ALL=C; "
    'IFS= read -r -N "${_bb#*:}" _bs || exit 97; '
    "export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin; "
    'eval "$_bs"'
)
MAX_STDOUT = 64 << 20
MAX_STDERR = 1 << 20
CHUNK = 64 << 10
LINGER = 1.0
"""Seconds without output after which processes that an ended script left running are no longer listened to."""
STOPPING = 0.7
"""Seconds for the attempt to end an abandoned script."""

_MARK = re.compile(rb"(?:^|\n)" + MARK.encode() + rb"([0-9]+)\n")


def command_line(ssh: Ssh, user: str | None) -> str:
    """Return the command line for the host's log-in shell."""
    command = ["bash", "-c", BOOTSTRAP]
    if user is not None and user != ("root" if ssh.sudo else ssh.user):
        command = ["runuser", "-s", "/bin/bash", "-l", user, "-c", BOOTSTRAP]
    if ssh.sudo:
        command = ["sudo", *(["-S", "-p", PROMPT] if ssh.sudo_password else ["-n"]), "-H", "--", *command]
    return shlex.join(command)


class Exchange:
    """Sends input and receives output in one loop, so that neither side waits for the other."""

    def __init__(self, channel: Channel, script: str, stdin: bytes, password: str | None) -> None:
        body = script.encode()
        self._channel = channel
        self._password = password
        self._pending = memoryview(f"{MARK}{len(body)}\n".encode() + body + stdin)
        self._prompts = 0
        self._closed_input = False
        self._stdout = bytearray()
        self._stderr = bytearray()
        self._last = time.monotonic()
        self.group: int | None = None
        """The process group of the script on the host, once it is running."""

    def finish(self, timeout: float, cancelled: threading.Event) -> Output:
        """Run until the script ends. ``timeout``: seconds. Raises HostLimitError, InterruptedRunError and HostError."""
        deadline = time.monotonic() + timeout
        poll = select.poll()
        poll.register(self._channel.fileno(), select.POLLIN)
        while not self._ended():
            moved = self._receive()
            moved |= self._send()
            if cancelled.is_set():
                raise InterruptedRunError("stopped while a command was running")
            if time.monotonic() > deadline:
                raise HostLimitError(
                    f"a command did not end within {timeout:g} s{self._tail()}",
                    hint="Raise ssh.command_timeout if the host is merely slow.",
                )
            if moved:
                self._last = time.monotonic()
            else:
                # paramiko does not wake us when there is room to send, so poll for it.
                poll.poll(10 if self._may_send() else 100)
        return self._output()

    def _ended(self) -> bool:
        channel = self._channel
        if channel.recv_ready() or channel.recv_stderr_ready():
            return False
        if channel.closed or (channel.status_event.is_set() and channel.eof_received):
            return True
        return bool(channel.status_event.is_set()) and time.monotonic() - self._last > LINGER

    def _may_send(self) -> bool:
        """Whether sending is safe: while sudo may still prompt, it would read the script as its password."""
        return bool(self._pending) and (self._password is None or self.group is not None)

    def _send(self) -> bool:
        if self._closed_input or self._channel.status_event.is_set():
            return False
        try:
            if self._may_send() and self._channel.send_ready():
                sent = self._channel.send(self._pending[:CHUNK])
                self._pending = self._pending[sent:]
                return bool(sent > 0)
            if not self._pending:
                self._channel.shutdown_write()
                self._closed_input = True
        except OSError:
            # The script ended without reading all of its input; its exit code says whether that is an error.
            self._closed_input = True
        return False

    def _receive(self) -> bool:
        moved = False
        if self._channel.recv_ready():
            self._stdout += self._channel.recv(CHUNK)
            moved = True
            if self.group is None:
                self._look_for_mark()
            if len(self._stdout) > MAX_STDOUT:
                raise HostError(f"a command printed more than {MAX_STDOUT >> 20} MiB")
        if self._channel.recv_stderr_ready():
            self._stderr += self._channel.recv_stderr(CHUNK)
            moved = True
            if self._password is not None and self.group is None:
                self._answer_sudo()
            if len(self._stderr) > 2 * MAX_STDERR:
                del self._stderr[:-MAX_STDERR]
        return moved

    def _look_for_mark(self) -> None:
        found = _MARK.search(self._stdout)
        if found:
            self.group = int(found[1])
            del self._stdout[: found.end()]
            if self._password is not None:
                self._stderr.clear()

    def _answer_sudo(self) -> None:
        prompts = self._stderr.count(PROMPT.encode())
        if prompts > 1:
            raise HostError("sudo rejects the password", hint="Check ssh.sudo_password.")
        if prompts > self._prompts:
            self._prompts = prompts
            self._channel.sendall(f"{self._password}\n".encode())

    def _tail(self) -> str:
        lines = self._text(self._stderr or self._stdout).strip().splitlines()
        return f"; its last line: {lines[-1][:300]}" if lines else ""

    @staticmethod
    def _text(data: bytearray) -> str:
        return data.decode(errors="replace")

    def _output(self) -> Output:
        transport: Transport = self._channel.get_transport()
        code = self._channel.exit_status
        if code == -1 and not transport.is_active():
            raise UnreachableHostError(
                f"the connection was lost while a command was running{self._tail()}",
                hint="Check the host, and run again: finished operations are not repeated.",
            )
        if self.group is None:
            raise self._no_start(code)
        return Output(code, self._text(self._stdout), self._text(self._stderr[-MAX_STDERR:]))

    def _no_start(self, code: int) -> HostError:
        said = " ".join((self._text(self._stderr) or self._text(self._stdout)).replace(PROMPT, "").split())
        hint = "The host needs bash and coreutils, and the user needs a log-in shell."
        if said.startswith("sudo:") or "sudoers" in said:
            hint = (
                "Set ssh.sudo_password, or allow the user in the host's sudoers (NOPASSWD; no requiretty)."
                if self._password is None
                else "Check ssh.sudo_password, and the user's rights in the host's sudoers."
            )
        return HostError(f"no command can be run: {said[-500:] or f'exit code {code}'}", hint=hint)


def stop(transport: Transport, command: str, group: int, password: str | None) -> None:
    """Try briefly to end a script's process group. A package manager finishes its transaction first."""
    import paramiko

    with contextlib.suppress(paramiko.SSHException, OSError, HostError, EOFError):
        channel = transport.open_session(timeout=STOPPING)
        try:
            channel.exec_command(command)
            Exchange(channel, f"kill -TERM -- -{group}", b"", password).finish(STOPPING, threading.Event())
        finally:
            channel.close()
