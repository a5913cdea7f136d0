"""Hosts on paper: scripts run in a real bash, with a yum, an rpm and a selector that only note things."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from bigtop_builder.adapter.ssh import Output
from bigtop_builder.hosts.operation import KEPT, RESTARTS
from bigtop_builder.hosts.upgrade import FORMER
from bigtop_builder.model.errors import HostError
from tests.fast.local_hosts import OneByOne

INIT = "/etc/init.d"
# yum as on EL 7, the stricter one: an older release is installed by downgrade only.
TOOLS = r"""
yum() {
    [ "$1" != -q ] || return 0
    local action=$2 word name; shift 2
    if [ -e "$HOST/broken" ]; then echo "No space left on device"; return 1; fi
    for word in "$@"; do
        grep -qxF -- "$word" "$HOST/offered" || { echo "No match for argument: $word"; return 1; }
    done
    for word in "$@"; do
        name=${word%-*}; name=${name%-*}
        if [ "$action" = install ] && [ -e "$HOST/packages/$name" ] &&
            [ "$(printf '%s\n' "$word" "$(< "$HOST/packages/$name")" | sort -V | tail -n 1)" != "$word" ]; then
            echo "Package matching $word already installed. Checking for update."
            continue
        fi
        printf %s "$word" > "$HOST/packages/$name"
        case $name in *_[0-9]_[0-9]_[0-9]*)
            name=${name%%-*}; name=${name: -5}; mkdir -p "$HOST/bigtop/${name//_/.}";;
        esac
    done
}
rpm() {
    local word found=0 code=0
    if [ "$1" = -qa ]; then ls "$HOST/packages"; return; fi
    shift
    for word in "$@"; do
        found=0
        for file in "$HOST"/packages/*; do
            if [ "$(< "$file")" = "$word" ] || [ "${file##*/}" = "$word" ]; then found=1; fi
        done
        [ "$found" = 1 ] || { echo "package $word is not installed"; code=1; }
    done
    return "$code"
}
hdfs() {
    [ ! -e "$HOST/hdfs-broken" ] || { echo "Call From $HOST failed on connection exception"; return 1; }
    case $3 in
        enter) touch "$HOST/safe";;
        leave) rm -f "$HOST/safe";;
        prepare) [ -e "$HOST/safe" ] || { echo "rollingUpgrade: Safe mode should be turned ON" >&2; return 1; }
                 touch "$HOST/rolling"; echo "Preparing for upgrade. Data is being saved for rollback.";;
        finalize) rm -f "$HOST/rolling"; echo "Rolling upgrade is finalized.";;
        query) if [ -e "$HOST/rolling" ]; then echo "Proceed with rolling upgrade:"
               else echo "There is no rolling upgrade in progress or rolling upgrade has already been finalized."; fi;;
    esac
}
/usr/lib/bigtop-select/distro-select() {
    [ -d "$HOST/bigtop/$3" ] || { echo "there is no version $3"; return 1; }
    printf %s "$3" > "$HOST/current/$2"
}
"""


class PaperHost:
    """One host, kept in a folder. ``packages``: ``version-release`` by name; ``offered``: ``name-version-release``."""

    def __init__(
        self,
        name: str,
        folder: Path,
        packages: Mapping[str, str],
        offered: Sequence[str],
        *,
        selected: Sequence[str] = ("zookeeper-client", "zookeeper-server"),
    ) -> None:
        self.name, self.folder = name, folder
        for part in ("packages", "current", "bigtop/3.2.0", "kept"):
            (folder / part).mkdir(parents=True)
        for package, evr in packages.items():
            (folder / "packages" / package).write_text(f"{package}-{evr}")
        for link in selected:
            (folder / "current" / link).write_text("3.2.0")
        (folder / "offered").write_text("\n".join(offered) + "\n")
        self.cut = False
        """Whether the connection is gone."""
        self.services: tuple[str, ...] = ()
        """Running services with an init script, which notes each call in ``calls``."""

    @property
    def packages(self) -> dict[str, str]:
        return {
            path.name: path.read_text().removeprefix(f"{path.name}-")
            for path in sorted((self.folder / "packages").iterdir())
        }

    @property
    def selected(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in sorted((self.folder / "current").iterdir())}

    @property
    def rolling(self) -> bool:
        """Whether the host's NameNode is in a rolling upgrade."""
        return (self.folder / "rolling").exists()

    @property
    def kept(self) -> list[str]:
        """What deployments have left on the host."""
        return sorted(path.name for path in (self.folder / "kept").iterdir())

    def run(self, script: str, *, stdin: bytes = b"", timeout: float | None = None, user: str | None = None) -> Output:
        if self.cut:
            raise HostError(f"{self.name} is unreachable")
        if "emit facts 1" in script:
            return Output(0, self._facts(), "")
        ran = subprocess.run(
            ["bash", "-c", TOOLS + script.replace(KEPT, f"{self.folder}/kept").replace(INIT, f"{self.folder}/init.d")],
            input=stdin,
            capture_output=True,
            env={**os.environ, "HOST": str(self.folder)},
            timeout=60,
            check=False,
        )
        return Output(ran.returncode, ran.stdout.decode(), ran.stderr.decode())

    def serve(self, *names: str) -> None:
        """Give the host running services."""
        self.services = names
        for name in names:
            script = self.folder / "init.d" / name
            script.parent.mkdir(exist_ok=True)
            script.write_text(f"#!/bin/sh\n[ ! -e {self.folder}/ill ] && echo $1 {name} >> {self.folder}/calls\n")
            script.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        """What init scripts were called for: ``restart NAME``."""
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def close(self) -> None:
        pass

    def _facts(self) -> str:
        rows = ["facts\t1\t1.0", f"machine\t{self.name}\t4.18\tx86_64\t2", "limits\t1024\t1024\t1024\t1024"]
        for name, evr in self.packages.items():
            version, _, release = evr.partition("-")
            rows.append(f"package\t{name}\t0\t{version}\t{release}\tnoarch\t(none)")
        for name, version in self.selected.items():
            rows.append(f"current\t{name}\t/usr/bigtop/{version}/usr/lib/zookeeper")
        rows += [f"script\t{name}\t1\t1\t7" for name in self.services]
        marks = (self.folder / "kept" / "restart").glob("*")
        rows += [f"file\t{RESTARTS}/{mark.name}\tregular empty file\t0\troot\troot\t644" for mark in marks]
        former = self.folder / "kept" / Path(FORMER).name
        if former.exists():
            data = former.read_bytes()
            rows.append(f"file\t{FORMER}\tregular file\t{len(data)}\troot\troot\t600")
            rows.append(f"sha256\t{FORMER}\t{hashlib.sha256(data).hexdigest()}")
            rows.append(f"texts\t{base64.b64encode(data).decode()}\t{FORMER}")
        return "\n".join([*rows, "end\t2.0", ""])


class PaperFleet(OneByOne):
    """The connections to paper hosts, one after the other."""

    def __init__(self, hosts: Sequence[PaperHost]) -> None:
        self.hosts = {host.name: host for host in hosts}
        self.round_trips = 0

    def remote(self, host: str) -> PaperHost:
        return self.hosts[host]

    def close(self) -> None:
        pass
