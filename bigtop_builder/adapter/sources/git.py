"""A commit of a git repository as a reproducible tar archive."""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
import tempfile
import threading
import time
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from bigtop_builder.adapter.sources.errors import TransferError
from bigtop_builder.adapter.sources.web import TIME_HINT, ca_bundle, proxies
from bigtop_builder.model.base import seconds, size_in_bytes
from bigtop_builder.model.errors import InterruptedRunError
from bigtop_builder.model.project import Network
from bigtop_builder.model.source import GitSource

POLL = 0.2
LAST_WORDS = 300


def archive(source: GitSource, network: Network, scratch: Path, into: IO[bytes], cancelled: threading.Event) -> None:
    """Write a tar of the commit's tree, with the wanted submodules, below one folder with the repository's name.

    ``scratch``: a folder for the clone. Raises TransferError if the tag does not point to the commit or git fails, and
    InterruptedRunError.
    """
    with tempfile.TemporaryDirectory(dir=scratch, prefix="git-") as folder:
        tree = Path(folder) / "tree"
        quiet = ["-c", "core.autocrlf=false", "-c", "advice.detachedHead=false"]
        if source.tag is None:
            _git(["init", "--quiet", "--template=", str(tree)], network, cancelled)
            fetch = ["fetch", "--quiet", "--depth", "1", "--", source.git, source.commit]
            _git(["-C", str(tree), *fetch], network, cancelled)
            _git(["-C", str(tree), *quiet, "checkout", "--quiet", source.commit], network, cancelled)
        else:
            clone = ["clone", "--quiet", "--depth", "1", "--branch", source.tag, "--template="]
            _git([*quiet, *clone, "--", source.git, str(tree)], network, cancelled)
        found = _git(["-C", str(tree), "rev-parse", "HEAD^{commit}"], network, cancelled).strip()
        if found != source.commit:
            raise TransferError(f"{source.tag} points to {found}, not to the commit {source.commit}")
        if source.submodules and (tree / ".gitmodules").is_file():
            update = ["submodule", "update", "--quiet", "--init", "--recursive", "--depth", "1"]
            _git(["-C", str(tree), *update], network, cancelled)
        date = int(_git(["-C", str(tree), "show", "-s", "--format=%ct", "HEAD"], network, cancelled))
        top = Path(urlsplit(source.git).path).name.removesuffix(".git") or "source"
        with tarfile.open(fileobj=into, mode="w", format=tarfile.PAX_FORMAT) as tar:
            _add(tar, tree, top, date, cancelled)


def resolve(repository: str, reference: str, network: Network, cancelled: threading.Event) -> str:
    """Return the commit that a tag or branch of a repository points to. Raises TransferError."""
    output = _git(["ls-remote", "--", repository, reference, f"{reference}^{{}}"], network, cancelled)
    lines = [line.split("\t") for line in output.splitlines() if "\t" in line]
    if not lines:
        raise TransferError(f"there is no tag or branch {reference}")
    # git lists an annotated tag twice: itself, and with ^{} the commit that it points to.
    return next((commit for commit, name in lines if name.endswith("^{}")), lines[0][0])


def clean_checkout(folder: Path) -> str | None:
    """Return the commit that a folder is a checkout of, or None when it has anything else in it, ignored files too."""
    commit = _asked(folder, "rev-parse", "--verify", "HEAD^{commit}")
    changes = _asked(folder, "status", "--porcelain", "--ignored", "--untracked-files=all")
    return commit.strip() if commit and changes == "" else None


def _asked(folder: Path, *arguments: str) -> str | None:
    # A repository's own settings name programs that git runs; git itself refuses repositories of other users.
    safe = ["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_CEILING_DIRECTORIES": str(folder.resolve().parent)}
    try:
        done = subprocess.run(
            ["git", *safe, "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
            timeout=300,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _add(tar: tarfile.TarFile, path: Path, name: str, date: int, cancelled: threading.Event) -> None:
    if cancelled.is_set():
        raise InterruptedRunError("stopped while packing a git tree")
    info = tar.gettarinfo(str(path), name)
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = date
    info.mode = 0o755 if info.isdir() or info.mode & 0o100 else 0o644
    if info.islnk():
        info.type, info.linkname, info.size = tarfile.REGTYPE, "", path.stat().st_size
    if info.isreg():
        with path.open("rb") as stream:
            tar.addfile(info, stream)
        return
    tar.addfile(info)
    if info.isdir():
        for child in sorted(path.iterdir(), key=lambda child: child.name):
            if child.name != ".git":
                _add(tar, child, f"{name}/{child.name}", date, cancelled)


def _git(arguments: list[str], network: Network, cancelled: threading.Event) -> str:
    """Run git without prompts and return its output. Errors do not contain credentials."""
    known = proxies(network)
    environment = {
        **os.environ,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes"),
        "GIT_HTTP_LOW_SPEED_LIMIT": str(size_in_bytes(network.minimum_rate)),
        "GIT_HTTP_LOW_SPEED_TIME": str(seconds(network.stall_timeout)),
        "GIT_SSL_CAINFO": str(ca_bundle(network)),
        **{f"{name}_proxy": known[name] for name in ("http", "https") if name in known},
        **({"no_proxy": known["no_proxy"]} if "no_proxy" in known else {}),
        "LC_ALL": "C",
    }
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        try:
            # A submodule may not be a folder of this machine; older versions of git allow it.
            command = ["git", "-c", "protocol.file.allow=user", *arguments]
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
        except FileNotFoundError as error:
            raise TransferError("git is not installed", hint="install git") from error
        _wait(process, seconds(network.transfer_timeout), cancelled)
        errors.seek(0)
        if process.returncode:
            words = errors.read().decode(errors="replace").strip()
            for secret in (urlsplit(known.get("http", "")).password, urlsplit(known.get("https", "")).password):
                words = words.replace(secret, "***") if secret else words
            raise TransferError(f"git failed: {_without_userinfo(words)[-LAST_WORDS:]}")
        output.seek(0)
        return output.read().decode(errors="replace")


def _wait(process: subprocess.Popen[bytes], longest: int, cancelled: threading.Event) -> None:
    end = time.monotonic() + longest
    while time.monotonic() < end:
        try:
            process.wait(timeout=POLL)
            return
        except subprocess.TimeoutExpired:
            if cancelled.is_set():
                _stop(process)
                raise InterruptedRunError("stopped during a git clone") from None
    _stop(process)
    raise TransferError(f"git took longer than {longest} s", hint=TIME_HINT)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _without_userinfo(text: str) -> str:
    return re.sub(r"://[^/\s@]+@", "://", text)
