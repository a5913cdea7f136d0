"""Publish 1,000 packages, then one more, and compare with ``createrepo_c`` on the same folder, in one run.

    python -m benchmarks.publish [--packages 1000] [--size 0]

Ours also signs, verifies and links each package; ``createrepo_c`` only writes metadata.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bigtop_builder.adapter.rpm.gnupg import Signer, make_key, open_signer
from bigtop_builder.flow.publish.publisher import publish
from bigtop_builder.model.platform import Image, Platform
from tests.rpmfile import Spec, write_rpm

PLATFORM = Platform(
    name="el8",
    title="Rocky Linux 8",
    family="rhel",
    dist=".el8",
    architectures=["x86_64"],
    payload="w6.gzdio",
    image=Image(reference="rockylinux:8", template="none"),
)


def spec(number: int, size: int) -> Spec:
    """The spec of a package with a subpackage's file list and ``size`` KiB of incompressible data."""
    files = {f"/usr/bigtop/3.2.0/usr/lib/demo{number}/file{index}": b"%d" % index for index in range(30)}
    files["/usr/bigtop/3.2.0/data"] = os.urandom(size << 10)
    return Spec(name=f"demo{number}_3_2_0", requires=("bigtop-utils >= 0.7", "/bin/sh"), files=files)


def timed(title: str, work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    print(f"{title:58} {seconds:8.2f} s", flush=True)
    return seconds


def createrepo(folder: Path, *options: str) -> Callable[[], object]:
    command = ["createrepo_c", "--quiet", "--no-database", "--compress-type", "gz", *options, str(folder)]
    return lambda: subprocess.run(command, check=True)


def run(work: Path, count: int, size: int, signer: Signer) -> None:
    packages = [write_rpm(work / "in", spec(number, size)) for number in range(count)]
    one = write_rpm(work / "one", spec(count, size))
    root = work / "repository"

    def ours(given: list[Path]) -> Callable[[], object]:
        return lambda: publish(given, root, "bigtop-3.2.0", PLATFORM, signer)

    timed(f"ours: {count} packages, signed and verified", ours(packages))
    added = timed("ours: one more, that one given", ours([one]))
    timed("ours: the same again, all given (nothing changed)", ours([*packages, one]))
    another = write_rpm(work / "one", spec(count + 1, size))
    given = timed("ours: one more, all given", ours([*packages, one, another]))
    if shutil.which("createrepo_c") is None:
        print("createrepo_c is not installed (apt install createrepo-c): nothing to compare with")
        return
    timed(f"createrepo_c: {count} packages", createrepo(work / "in"))
    shutil.copy(one, work / "in")
    update = timed("createrepo_c --update: one more", createrepo(work / "in", "--update"))
    shutil.copy(another, work / "in")
    quick = timed("createrepo_c --update --skip-stat: one more", createrepo(work / "in", "--update", "--skip-stat"))
    plain = timed("createrepo_c: all again", createrepo(work / "in"))
    print(f"one more: ours / createrepo_c {added / plain:.2f}, / --update {added / update:.2f}")
    print(f"one more, all given: ours / --update {given / update:.2f}, / --update --skip-stat {given / quick:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packages", type=int, default=1000)
    parser.add_argument("--size", type=int, default=0, help="KiB of data in each")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="publish-") as folder:
        home = Path(folder) / "gnupg"
        make_key(home, "Benchmark", "benchmark@example.org")
        with open_signer(home) as signer:
            run(Path(folder), options.packages, options.size, signer)


if __name__ == "__main__":
    main()
