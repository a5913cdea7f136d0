"""Access to a cluster: certificates, schedulers that are not there, and that a local build loads nothing of it."""

from __future__ import annotations

import socket
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bigtop_builder.adapter.dask_cluster.access import Access, is_loopback
from bigtop_builder.adapter.dask_cluster.certificates import make_certificates
from bigtop_builder.adapter.dask_cluster.client import connected
from bigtop_builder.adapter.dask_cluster.worker import Link
from bigtop_builder.cli.app import run
from bigtop_builder.model.errors import ConfigurationError, EngineError, ExitCode
from tests.fast.paper_cluster import paper_cluster


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls") / "own"
    make_certificates(folder, 10)
    return folder


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_private_keys_are_the_owner_s_alone(certificates: Path) -> None:
    keys = sorted(certificates.glob("*-key.pem"))
    assert [path.name for path in keys] == ["ca-key.pem", "client-key.pem", "scheduler-key.pem", "worker-key.pem"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}
    with pytest.raises(ConfigurationError, match="has certificates already"):
        make_certificates(certificates, 10)


def test_parts_with_certificates_of_one_authority_meet(certificates: Path, tmp_path: Path) -> None:
    with paper_cluster(tmp_path, certificates) as cluster:
        assert cluster.address.startswith("tls://")
        cluster.join("one")
        with connected(Access(cluster.address, "client", certificates)) as client:
            assert [row["name"] for row in client.workers().values()] == ["one"]
        other = tmp_path / "other"
        make_certificates(other, 10)
        with (
            pytest.raises(ConfigurationError, match="do not accept each other's certificates"),
            connected(Access(cluster.address, "client", other)),
        ):
            pass


def test_a_client_without_encryption_meets_no_encrypted_scheduler(certificates: Path, tmp_path: Path) -> None:
    with (
        paper_cluster(tmp_path, certificates) as cluster,
        pytest.raises(EngineError, match="no Dask scheduler responds") as raised,
        connected(Access(cluster.address.replace("tls://", "tcp://"), "client")),
    ):
        pass
    assert "tls://" in (raised.value.hint or "")


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("tcp://127.0.0.1:8786", True),
        ("tcp://127.8.9.1:8786", True),
        ("tcp://[::1]:8786", True),
        ("tcp://localhost:8786", True),
        ("tcp://192.0.2.1:8786", False),
        ("tcp://builds:8786", False),
        ("tcp://127.0.0.1.example.com:8786", False),
    ],
)
def test_only_this_machine_is_reached_without_encryption(address: str, loopback: bool) -> None:
    assert is_loopback(address) == loopback
    if not loopback:
        with pytest.raises(ConfigurationError, match="is not encrypted"):
            Access(address, "client").check()
        Access(address, "client", insecure=True).check()
    else:
        Access(address, "client").check()


def test_mistakes_with_certificates_are_named(certificates: Path, tmp_path: Path) -> None:
    address = "tls://127.0.0.1:8786"
    with pytest.raises(ConfigurationError, match="needs certificates"):
        Access(address, "client").check()
    with pytest.raises(ConfigurationError, match=r"ca\.pem cannot be read: No such file"):
        Access(address, "client", tmp_path).check()
    for name in ("ca.pem", "client.pem", "client-key.pem"):
        (tmp_path / name).write_bytes((certificates / name).read_bytes())
    Access(address, "client", tmp_path).check()
    (tmp_path / "client-key.pem").write_bytes((certificates / "worker-key.pem").read_bytes())
    with pytest.raises(ConfigurationError, match="are not usable"):
        Access(address, "client", tmp_path).check()


def test_a_scheduler_that_is_not_there_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (
        pytest.raises(EngineError, match=r"no Dask scheduler responds at .*: Connection refused"),
        connected(Access(f"tcp://127.0.0.1:{free_port()}", "client")),
    ):
        pass
    assert run(["worker", "--store", str(tmp_path), "--scheduler", "127.0.0.1:1"]) == ExitCode.USAGE
    assert run(["-C", str(tmp_path), "worker", "--store", str(tmp_path)]) == ExitCode.USAGE
    assert "there is no scheduler to join" in capsys.readouterr().err


def test_without_a_cluster_nothing_of_dask_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "bigtop-builder.yaml").write_text("stack: bigtop-3.2.0\n")
    script = f"""
import sys
sys.path.insert(0, {str(Path.cwd())!r})
from bigtop_builder.cli.app import run
run(["-C", {str(tmp_path)!r}, "--store", {str(tmp_path / "store")!r}, "build", "bigtop-utils"])
import bigtop_builder.flow.build.worker, bigtop_builder.flow.executors
wrong = sorted(name for name in sys.modules if name.split(".")[0] in ("dask", "distributed", "tornado", "msgpack"))
assert not wrong, wrong
"""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "DOCKER_HOST": f"unix://{tmp_path}/none"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "no container engine responds" in done.stderr


class SilentWorker:
    """What a link knows of Dask's worker whose scheduler does not respond."""

    address = "tcp://127.0.0.1:1"

    def __init__(self, status: str = "running", state: str = "executing") -> None:
        def refuse(name: str) -> None:
            raise OSError("no route to host")

        self.scheduler = SimpleNamespace(event_is_set=refuse)
        self.status = SimpleNamespace(name=status)
        self.state = SimpleNamespace(tasks={"order": SimpleNamespace(state=state)})


@pytest.mark.parametrize(
    ("worker", "lease", "why"),
    [
        (SilentWorker(), 0.5, "the scheduler is out of reach"),
        (SilentWorker(status="closing"), 600, "the worker stops"),
        (SilentWorker(state="cancelled"), 600, ""),
    ],
    ids=["cut off", "stopping", "cancelled"],
)
def test_what_nobody_waits_for_is_ended(worker: SilentWorker, lease: float, why: str) -> None:
    link = Link(worker, "order", lease)  # type: ignore[arg-type]
    link.watch()
    assert link.cancelled.is_set() and link.lost == why


def test_a_worker_without_an_engine_or_a_key_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    (tmp_path / "shared").mkdir()
    project = tmp_path / "bigtop-builder.yaml"
    project.write_text(f"executor: {{dask: 'tcp://127.0.0.1:{free_port()}'}}\nstore: store\n")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    assert run(["-C", str(tmp_path), "worker"]) == ExitCode.USAGE
    assert "a cluster needs a store of results" in capsys.readouterr().err
    with project.open("a") as more:
        more.write(f"results: {{url: '{tmp_path}/shared'}}\nsigning: {{attestation_key: 'file:{tmp_path}/key.pem'}}\n")
    assert run(["-C", str(tmp_path), "worker"]) == ExitCode.ENGINE
    assert "no container engine responds" in capsys.readouterr().err
