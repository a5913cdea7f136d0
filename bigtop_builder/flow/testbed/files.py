"""The files of a test bed on this machine: keys, its state, and the inventory fragment with its addresses."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from bigtop_builder.adapter.background_process import Process
from bigtop_builder.adapter.ssh.access import keep_key
from bigtop_builder.adapter.store import Store, translated, write_atomically
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.testbed import NAME, TestBed

RECORD, STATE, SIMULATION, PASSWORD = "testbed.yaml", "state.json", "simulation.json", "ambari-password"
HEAD = """\
# The test bed {name}: merged over an inventory by --testbed {name}. `bigtop-builder testbed up` rewrites it.
"""


class Files:
    """The folder of one test bed. Only its owner may enter it."""

    def __init__(self, store: Store, name: str) -> None:
        """Raises ConfigurationError if ``name`` is not a valid name."""
        if not re.fullmatch(NAME, name):
            raise ConfigurationError(
                f"{name!r} cannot be the name of a test bed",
                hint="Use up to 30 lower-case letters, digits and dashes, starting with a letter, for host names.",
            )
        self.folder = (store.root / "testbeds" / name).resolve()
        self.record = self.folder / RECORD
        self.key = self.folder / "key"
        self.known_hosts = self.folder / "known_hosts"
        self.password = self.folder / PASSWORD

    def state(self) -> TestBed | None:
        """Return the last state written; None if there is none yet. Raises ConfigurationError."""
        path = self.folder / STATE
        try:
            return TestBed.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise ConfigurationError(
                f"{path} cannot be read: {error}", hint="Remove the test bed: bigtop-builder testbed down NAME"
            ) from error

    def write(self, name: str, text: str) -> Path:
        """Write a file that only its owner can read."""
        path = self.folder / name
        with translated(self.folder):
            self._make_folder()
            write_atomically(path, text)
            path.chmod(0o600)
        return path

    def _make_folder(self) -> None:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.folder.mkdir(exist_ok=True, mode=0o700)

    def keep(self, bed: TestBed) -> None:
        """Write the state."""
        self.write(STATE, bed.model_dump_json(indent=1) + "\n")

    def public_key(self, name: str) -> str:
        """Return the public key that logs in to the hosts; the pair is created if missing."""
        with translated(self.folder):
            self._make_folder()
            return keep_key(self.key, f"testbed-{name}")

    def host_key(self, host: str) -> tuple[bytes, str]:
        """Return the private and the public key of a host's SSH server, unchanged when its container is recreated."""
        path = self.folder / "hosts" / host
        with translated(self.folder):
            self._make_folder()
            public = keep_key(path, host)
            return path.read_bytes(), public

    def keep_password(self, *, simulated: bool) -> None:
        """Write a password of this test bed's own for Ambari's administrator, unless there is one.

        A simulated server starts with it; a real one is given it when it is set up.
        """
        known = self.password.read_text(encoding="utf-8").strip() if self.password.is_file() else ""
        # Simulated servers of former versions had the password that Ambari ships with.
        if not known or (simulated and known == "admin"):
            self.write(PASSWORD, secrets.token_urlsafe(18) + "\n")

    def simulation(self) -> Process | None:
        """Return the process of the simulated Ambari, as recorded when it was started."""
        data = self._simulation()
        try:
            return Process(int(data["pid"]), str(data["started"]))
        except (ValueError, KeyError, TypeError):
            return None

    def simulation_inputs(self) -> str:
        """Return the digest of what the simulated Ambari was started with; empty if unknown."""
        return str(self._simulation().get("told", ""))

    def _simulation(self) -> dict[str, Any]:
        try:
            data = json.loads((self.folder / SIMULATION).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return data if isinstance(data, dict) else {}

    def keep_simulation(self, process: Process, inputs: str) -> None:
        """Record the process of the simulated Ambari, and the digest of what it was started with."""
        self.write(SIMULATION, json.dumps({"pid": process.pid, "started": process.started, "told": inputs}) + "\n")

    def keep_record(self, bed: TestBed, places: Mapping[str, tuple[str, int]]) -> None:
        """Write the state, the known hosts, and the inventory fragment; SSH reaches each host at ``places``."""
        self.keep(bed)
        lines = []
        for host, (address, port) in places.items():
            key = self.host_key(host)[1]
            where = address if port == 22 else f"[{address}]:{port}"
            lines.append(f"{host},{where} {key}\n")
        self.write(self.known_hosts.name, "".join(lines))
        text = yaml.safe_dump(self._fragment(bed, places), sort_keys=False)
        self.write(RECORD, HEAD.format(name=bed.name) + text)

    def _fragment(self, bed: TestBed, places: Mapping[str, tuple[str, int]]) -> dict[str, object]:
        setup: dict[str, object] | None = None
        if bed.packages is not None:
            setup = {"host": next(iter(bed.hosts)), **bed.packages.model_dump(exclude_none=True)}
        data: dict[str, object] = {
            "ssh": {
                "user": "root",
                "key": str(self.key),
                "agent": False,
                "known_hosts": str(self.known_hosts),
                "host_keys": "strict",
            },
            "ambari": {"url": bed.ambari, "user": "admin", "password": f"file:{self.password}", "setup": setup},
            "hosts": {host: {"address": address, "port": port} for host, (address, port) in places.items()},
        }
        if bed.repositories:
            data["repositories"] = [one.model_dump(exclude_none=True) for one in bed.repositories]
        return data


def recorded(store: Store) -> list[str]:
    """Return the names of the test beds that have files in the store."""
    return sorted(path.name for path in (store.root / "testbeds").glob("*") if path.is_dir())
