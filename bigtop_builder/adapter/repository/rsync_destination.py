"""Upload to a folder on another machine, by rsync over SSH."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from bigtop_builder.adapter.repository.destination import SMALL, PushedFile, PushError, Sent
from bigtop_builder.model.project import Push

LINE = re.compile(r"^<f\S+ (\d+) (.+)$")
"""What rsync writes of a file that it uploads: ``<f+++++++++ 4096 packages/a.rpm``."""
SOME_MISSING, NOT_WRITTEN, NO_SSH = (23, 24), 11, 255
REMOTE_LACKS_RSYNC = 127
PARTIAL = ".rsync-partial"
"""Where half of a file waits until the upload is continued."""
SSH_OPTIONS = ("BatchMode=yes", "ConnectTimeout=20", "ServerAliveInterval=15", "ServerAliveCountMax=4")


class RsyncDestination:
    """See ``Destination``. rsync renames each file into place, and continues half of one."""

    def __init__(self, push: Push, folder: Path) -> None:
        """``folder`` holds the files under the names that they get there."""
        parts = urlsplit(push.url or "")
        login = f"{parts.username}@{parts.hostname}" if parts.username else str(parts.hostname)
        self._folder = folder
        self._target = f"{login}:{parts.path.rstrip('/')}/"
        ssh = ["ssh", *(part for option in SSH_OPTIONS for part in ("-o", option))]
        ssh += ["-p", str(parts.port)] if parts.port else []
        ssh += ["-i", push.ssh.key, "-o", "IdentitiesOnly=yes"] if push.ssh.key else []
        ssh += ["-o", f"UserKnownHostsFile={push.ssh.known_hosts}"] if push.ssh.known_hosts else []
        self._shell = shlex.join(ssh)
        self.address = str(push.url)

    def read(self, name: str) -> bytes | None:
        """See ``Destination.read``."""
        with tempfile.TemporaryDirectory(prefix="push-") as folder:
            done = self._rsync([f"--max-size={SMALL}", "--", f"{self._target}{name}", f"{folder}/"], ok=SOME_MISSING)
            path = Path(folder) / name.rpartition("/")[2]
            if done.returncode and "No such file" not in done.stderr:
                raise self._failed(done)
            return path.read_bytes() if path.is_file() else None

    def send(self, files: Sequence[PushedFile]) -> Sent:
        """See ``Destination.send``."""
        if not files:
            return Sent()
        sent = self._transfer(files, "--times")
        again = [file for file in files if not file.known or file.name in sent]
        # What has the right size and time is not read at first.
        repaired = self._transfer(again, "--times", "--checksum")
        sent |= repaired
        if repaired and (wrong := self._transfer(again, "--checksum", "--dry-run")):
            raise PushError(
                f"{self.address}/{min(wrong)} has other content after its upload",
                hint="Check the disk there, and that nothing else writes to that folder.",
            )
        return Sent(len(sent), sum(sent.values()))

    def _transfer(self, files: Sequence[PushedFile], *options: str) -> dict[str, int]:
        """Upload what differs, and return the size of each file that did."""
        if not files:
            return {}
        names = "".join(f"{file.name}\0" for file in files)
        done = self._rsync(
            [
                *options,
                "--files-from=-",
                "--from0",
                "--copy-links",
                "--perms",
                "--chmod=D755,F644",
                f"--partial-dir={PARTIAL}",
                "--out-format=%i %l %n",
                "--",
                f"{self._folder}/",
                self._target,
            ],
            names,
        )
        found = [LINE.match(line) for line in done.stdout.splitlines()]
        return {match[2]: int(match[1]) for match in found if match}

    def _rsync(
        self, arguments: list[str], names: str = "", ok: tuple[int, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        command = ["rsync", "--protect-args", "--timeout=300", f"--rsh={self._shell}", *arguments]
        try:
            done = subprocess.run(
                command,
                input=names,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                env={**os.environ, "LC_ALL": "C"},
            )
        except FileNotFoundError as error:
            raise PushError("rsync is not installed here", hint="Install it: dnf or apt-get install rsync") from error
        if done.returncode not in (0, *ok):
            raise self._failed(done)
        return done

    def _failed(self, done: subprocess.CompletedProcess[str]) -> PushError:
        noise = ("rsync error:", "rsync: connection unexpectedly closed", "rsync: [sender] safe_read")
        said = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith(noise)]
        text = said[-1].strip()[:300] if said else f"rsync ended with exit code {done.returncode}"
        hint = "Run it again to continue: what is there already is not sent again."
        if done.returncode == REMOTE_LACKS_RSYNC or "rsync: command not found" in done.stderr:
            hint = "Install rsync there."
        elif done.returncode == NO_SSH or any("Permission denied (" in line or "Host key" in line for line in said):
            hint = "Try: ssh with the same user and host; publish.push.ssh has the settings key and known_hosts."
        elif "No space left" in done.stderr:
            hint = "Free space there, and run it again to continue."
        elif done.returncode == NOT_WRITTEN or any(word in text for word in ("mkdir", "No such file", "change_dir")):
            # Why often gets lost, because the other side ends at once.
            hint = "Create the folder of publish.push.url there, which the user may write: mkdir -p"
        return PushError(f"{self.address}: {text}", hint=hint)
