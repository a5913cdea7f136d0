"""Real servers for uploads, started for one test: nginx with WebDAV, and sshd."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SBIN = "/usr/sbin:/sbin:" + os.environ.get("PATH", "")


@dataclass
class Nginx:
    """A running nginx: the folder that it serves, and what it was asked."""

    url: str
    served: Path
    log: Path

    def requests(self, *methods: str) -> list[str]:
        """Return method and path of every request so far, oldest first, of these methods or all."""
        time.sleep(0.1)  # The line of a request is written after its answer.
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if not methods or line.split()[0] in methods]

    def sent(self) -> int:
        """Return how many bytes of files it has sent."""
        rows = [line.split() for line in self.requests("GET")]
        return sum(int(row[3]) for row in rows if row[2] in ("200", "206"))

    def forget(self) -> None:
        """Begin a new log."""
        time.sleep(0.1)
        os.truncate(self.log, 0)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def require(name: str) -> str:
    """Return the path of a program, which ``scripts/setup tests`` installs."""
    found = shutil.which(name, path=SBIN)
    assert found, f"{name} is not installed: scripts/setup tests"
    return found


@contextmanager
def nginx(folder: Path, *, rules: str = "", login: str | None = None, port: int | None = None) -> Iterator[Nginx]:
    """Start nginx with WebDAV. ``rules`` are more of its directives; ``login``: USER:PASSWORD that it demands."""
    program = require("nginx")
    served = folder / "served"
    served.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    demand = ""
    if login:
        user, _, password = login.partition(":")
        (folder / "passwords").write_text(f"{user}:{{PLAIN}}{password}\n")
        demand = f'auth_basic "uploads"; auth_basic_user_file {folder}/passwords;'
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    account = "user root;" if os.geteuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(
        f"""{account} worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/errors;
events {{ worker_connections 256; }}
http {{
  log_format asked "$request_method $uri $status $body_bytes_sent"; access_log {folder}/log asked; {temporary}
  server {{
    listen 127.0.0.1:{port}; root {served}; {demand}
    location / {{ dav_methods PUT DELETE MKCOL; create_full_put_path on; client_max_body_size 0; {rules} }}
  }}
}}
""".replace("client_max_body_size 0; client_max", "client_max")
    )
    process = subprocess.Popen([program, "-e", str(folder / "errors"), "-c", str(config)])
    try:
        _await(port)
        yield Nginx(f"http://127.0.0.1:{port}", served, folder / "log")
    finally:
        process.terminate()
        process.wait(20)


@dataclass
class Sshd:
    """A running sshd: its host:port, and what a client needs."""

    host: str
    key: Path
    known_hosts: Path


@contextmanager
def sshd(folder: Path) -> Iterator[Sshd]:
    """Start sshd for one key, for the user who runs the tests."""
    program = require("sshd")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    port = free_port()
    (folder / "config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {folder}/user.pub\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
    )
    known = folder / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} " + (folder / "host.pub").read_text())
    process = subprocess.Popen([program, "-D", "-f", str(folder / "config"), "-E", str(folder / "log")])
    try:
        _await(port)
        yield Sshd(f"127.0.0.1:{port}", folder / "user", known)
    finally:
        process.terminate()
        process.wait(20)


def _await(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5):
                return
        except OSError:
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.05)
