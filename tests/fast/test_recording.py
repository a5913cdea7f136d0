"""Recorded exchanges: complete, without secrets, and enough to deploy once more without the server."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.adapter.ambari.client import Ambari
from bigtop_builder.adapter.ambari.errors import NotFoundError, UnreachableError
from bigtop_builder.adapter.ambari.recording import Recorder
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.event import Change, PhaseFinished
from tests.fast.ambari_replay import Call, Server
from tests.fast.deploying import PASSWORD, Bench
from tests.transcripts import Transcript, read


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Bench(tmp_path, monkeypatch) as one:
        yield one


def recorded(folder: Path) -> list[Transcript]:
    return [read(file) for file in sorted(folder.iterdir())]


class Replay:
    """Answers as recorded: calls of one kind in their order, the last of them again and again."""

    def __init__(self, folder: Path) -> None:
        self.answers: dict[tuple[str, str], list[Transcript]] = {}
        for one in recorded(folder):
            self.answers.setdefault((one.method, one.uri), []).append(one)

    def __call__(self, call: Call) -> None:
        waiting = self.answers.get((call.command, call.path), [])
        assert waiting, f"not recorded: {call.command} {call.path}"
        call.replay(waiting.pop(0) if len(waiting) > 1 else waiting[0])


def outcome(bench: Bench) -> list[str]:
    found = [event.name for event in bench.events if isinstance(event, Change)]
    return found + [event.phase for event in bench.events if isinstance(event, PhaseFinished) and not event.failure]


def test_a_recorded_deployment_can_be_deployed_again_without_its_server(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "recorded"
    begin = bench.now
    assert bench.deploy(record=folder) == 0, bench.failure
    first = outcome(bench)
    assert {"cluster", "start", "verify"} <= set(first)
    (tmp_path / "verified").unlink()
    with Server(Replay(folder)) as replaying:
        bench.url, bench.now = replaying.url, begin
        assert bench.deploy() == 0, bench.failure
        assert outcome(bench) == first
        assert len(replaying.calls) == len(recorded(folder))


def test_what_fails_is_recorded_too(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "recorded"
    client = Ambari(bench.simulation.url, "admin", PASSWORD, recorder=Recorder(folder, bench.simulation.url, list))
    with client, pytest.raises(NotFoundError):
        client.get("clusters/none/services")
    dead = Ambari("http://127.0.0.1:9", "admin", PASSWORD, pauses=(), recorder=Recorder(folder, "http://a:9", list))
    with dead, pytest.raises(UnreachableError):
        dead.clusters()
    missing, unanswered = (json.loads(file.read_text()) for file in sorted(folder.iterdir()))
    assert missing["response"]["status"] == 404
    assert (unanswered["response"], unanswered["error"]["type"]) == (None, "UnreachableError")
    assert unanswered["request"]["headers"]["Host"] == "a:9"
    assert [file.name[:4] for file in sorted(folder.iterdir())] == ["001-", "002-"]


SECRETS = {
    "Users": {"password": "from-a-body", "user_name": "somebody"},
    "javax.jdo.option.ConnectionPassword": 'with "quotes"',
    "text": "nothing but from-a-body in a text",
    "credentials": [{"alias": "admin.alias", "key": "keystore-entry"}],
    "property": "SECRET:hive-site:3:javax.jdo.option.ConnectionPassword",
    "list": [{"property_name": "ssl.server.keystore.password", "property_value": "changeit-now"}],
    "dfs.block.access.token.enable": "true",
}


def test_no_secret_is_written(tmp_path: Path) -> None:
    own = "Winter-1848"

    def respond(call: Call) -> None:
        body: dict[str, Any] = {**SECRETS, "said": f"the password is {own}"}
        call.reply(200, json.dumps(body), set_cookie="AMBARISESSIONID=node0abc.node0;Path=/")

    folder = tmp_path / "recorded"
    with Server(respond) as server:
        recorder = Recorder(folder, server.url, lambda: [own])
        with Ambari(server.url, "root", own, recorder=recorder) as client:
            client.post("users", SECRETS)
    (file,) = folder.iterdir()
    text = file.read_text()
    for secret in (own, base64.b64encode(f"root:{own}".encode()).decode(), "from-a-body", "quotes", "admin.alias"):
        assert secret not in text
    for secret in ("keystore-entry", "changeit-now", "node0abc", "hive-site:3"):
        assert secret not in text
    body = json.loads(text)["response"]["body"]
    assert body["Users"] == {"password": "***", "user_name": "somebody"}
    assert body["dfs.block.access.token.enable"] == "true"
    assert body["property"] == "SECRET:***"
    assert body["said"] == "the password is ***"


def test_a_folder_that_cannot_be_made_is_a_mistake_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="--record: "):
        Recorder(tmp_path / "file" / "folder", "http://a", list)
