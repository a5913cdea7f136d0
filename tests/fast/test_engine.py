"""An engine that is not there or refuses is an error with something to do; a plan needs none at all."""

from __future__ import annotations

import http.server
import json
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bigtop_builder.adapter.containers.container import Mount, Sandbox, User
from bigtop_builder.adapter.containers.engine import connect
from bigtop_builder.adapter.containers.interactive import shell_command
from bigtop_builder.model.errors import EngineError, ExitCode

ROOT = Path(__file__).parents[2]


@pytest.fixture
def old_engine(tmp_path: Path) -> Iterator[str]:
    """A socket that speaks of an API from 2018."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"ApiVersion": "1.37", "Version": "18.05"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self) -> str:
            return "client"

        def log_message(self, *_: object) -> None:
            pass

    path = tmp_path / "docker.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), Answer) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"unix://{path}"
        server.shutdown()
        thread.join()


def test_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(EngineError, match="no container engine responds at unix://") as caught:
        connect()
    assert caught.value.exit_code == ExitCode.ENGINE
    assert caught.value.hint is not None
    assert "make engine" in caught.value.hint


def test_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with pytest.raises(EngineError, match=r"no container engine responds at tcp://127\.0\.0\.1:9"):
        connect()


def test_a_wrong_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "gopher://x")
    with pytest.raises(EngineError, match="gopher"):
        connect()


def test_an_engine_that_is_too_old(old_engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", old_engine)
    with pytest.raises(EngineError, match=r"has API 1\.37; 1\.40 or newer"):
        connect()


@pytest.mark.skipif(os.geteuid() != 0, reason="a socket that refuses is made by becoming another user")
def test_no_permission(tmp_path: Path) -> None:
    program = (
        "import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()\n"
        "os.chmod(sys.argv[1], 0o600); os.environ['DOCKER_HOST'] = 'unix://' + sys.argv[1]\n"
        "import docker, requests, bigtop_builder.adapter.containers.engine as engine\n"
        "from bigtop_builder.model.errors import EngineError\n"
        "os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)\n"
        "try: engine.connect()\n"
        "except EngineError as error: print(error)\n"
    )
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(folder.stat().st_mode | 0o011)
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "s")], capture_output=True, text=True, timeout=60, check=False
    )
    assert "no permission to use the container engine" in done.stdout, done.stderr


def test_the_image_records_need_no_engine_library() -> None:
    program = (
        "import sys; import bigtop_builder.adapter.containers.image, bigtop_builder.adapter.containers.container\n"
        "print([name for name in ('docker', 'requests') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_the_shell_gets_the_container_of_a_session() -> None:
    box = Sandbox(
        image="sha256:1",
        run="r",
        task="t@p/compile",
        store=Path("/s"),
        user=User(1000, 1000, listed=True),
        environment={"TOKEN": "hidden"},
        memory=1 << 30,
        cpus=1.5,
    )
    mounts = [Mount(Path("/a"), "/work", read_only=False), Mount(Path("/b"), "/files")]
    command = shell_command(box, mounts, "/work", {"nofile": 4096})
    line = " ".join(command)
    assert "hidden" not in line
    assert "--env TOKEN" in line
    assert "--cap-drop ALL --security-opt no-new-privileges --user 1000:1000 --network none" in line
    assert "--memory 1073741824 --memory-swap 1073741824" in line
    assert "--volume /a:/work --volume /b:/files:ro" in line
    assert "docker.sock" not in line
    assert "--ulimit nofile=4096" in line
    assert command[-1] == "sha256:1"
