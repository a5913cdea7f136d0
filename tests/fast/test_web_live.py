"""What pages get while runs go on, what they start and stop, and what assistants get."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")
pytest.importorskip("mcp")

import requests
import uvicorn
from mcp import Client
from starlette.testclient import TestClient

from bigtop_builder.adapter.lock_holder import lock_holder
from bigtop_builder.adapter.store import Store
from bigtop_builder.cli.web import followed_run, run_index, run_pages
from bigtop_builder.cli.web.access import Access
from bigtop_builder.cli.web.actions import Actions, ClusterFile, Started
from bigtop_builder.cli.web.app import application
from bigtop_builder.cli.web.mcp_server import server
from bigtop_builder.cli.web.site import Site
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.event import RunFinished, StepStarted, TaskFinished, TaskStarted
from tests import webruns
from tests.fast.conftest import ProjectFolder

TOKEN = "a-token-for-tests"


@pytest.fixture
def site(project: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> Site:
    for module, name in ((run_index, "FRESH"), (run_pages, "LOOK"), (run_pages, "SHARE")):
        monkeypatch.setattr(module, name, 0.02 if name != "FRESH" else 0.0)
    project.component("zookeeper")
    project.stack(zookeeper="1")
    settings = project.settings()
    return Site(Store(settings.store).open(), settings)


@contextmanager
def served(site: Site) -> Iterator[str]:
    """The site on a port of its own."""
    made = uvicorn.Server(
        uvicorn.Config(
            application(site),
            port=0,
            log_level="error",
            log_config=None,
            timeout_graceful_shutdown=1,
            limit_concurrency=512,
        )
    )
    thread = threading.Thread(target=made.run, daemon=True)
    thread.start()
    try:
        while not made.started:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{made.servers[0].sockets[0].getsockname()[1]}"
    finally:
        made.should_exit = True
        thread.join(10)


def messages(answer: requests.Response) -> Iterator[tuple[str, str, str]]:
    """The name, id and text of each message of a stream."""
    fields: dict[str, list[str]] = {}
    for line in answer.iter_lines(decode_unicode=True, chunk_size=1):
        name, _, value = line.partition(":")
        if line and name:
            fields.setdefault(name, []).append(value[1:])
        elif not line and "event" in fields:
            yield fields["event"][0], fields["id"][0], "\n".join(fields["data"])
            fields = {}
        elif not line:
            fields = {}


def begun(site: Site) -> tuple[Any, str]:
    run = webruns.begin(site.store)
    task = "a@el8/package"
    webruns.write(run, [webruns.started(run, [webruns.planned(task), webruns.planned("b@el8/package")], site.store)])
    return run, task


def test_a_page_gets_the_parts_that_change(site: Site) -> None:
    run, task = begun(site)
    log = run.log(task, "package")
    with served(site) as address:
        shown = requests.get(f"{address}/runs/{run.id}", timeout=120).text
        connect = re.search(r'sse-connect="([^"]+)"', shown)
        assert connect
        with requests.get(address + connect[1].replace("&amp;", "&"), stream=True, timeout=120) as stream:
            found = messages(stream)
            webruns.write(run, [TaskStarted(time=1, task=task)])
            name, number, text = next(found)
            assert (name, number) == ("pieces", "2")
            assert '<template><tr id="t-0" hx-swap-oob="true"' in text and 'id="n-0" class="node running' in text
            assert "t-1" not in text
            webruns.write(run, [StepStarted(time=2, task=task, step="package", log=str(log))])
            _, number, text = next(found)
            assert number == "3" and f"/runs/{run.id}/logs/a@el8/package/package.log" in text and "n-0" not in text
            webruns.write(
                run, [TaskFinished(time=3, task=task, state="done", seconds=2), RunFinished(exit_code=0, seconds=3)]
            )
            *_, last = found
            assert last[0] == "end"
    run.close()


def test_a_page_that_was_opened_late_catches_up(site: Site) -> None:
    run, task = begun(site)
    webruns.write(run, [TaskStarted(time=1, task=task), TaskFinished(time=2, task=task, state="done", seconds=1)])
    with served(site) as address:
        url = f"{address}/runs/{run.id}/stream"
        for headers, parts in (({"Last-Event-ID": "1"}, ["t-0", "n-0", "summary"]), ({"Last-Event-ID": "2"}, ["t-0"])):
            with requests.get(url, headers=headers, stream=True, timeout=120) as stream:
                _, number, text = next(messages(stream))
                assert number == "3" and all(f'id="{part}"' in text for part in parts)
                assert 'id="t-1"' not in text
        run.close()
        # The process is gone without a word.
        with requests.get(url, headers={"Last-Event-ID": "3"}, stream=True, timeout=120) as stream:
            assert [name for name, *_ in messages(stream)] == ["end"]


def test_a_line_that_is_half_written_waits_for_its_end(site: Site) -> None:
    run, task = begun(site)
    followed = site.runs.get(run.id)
    assert followed is not None and followed.number == 1
    line = TaskStarted(time=1, task=task).model_dump_json() + "\n"
    path = run.folder / "events.jsonl"
    with path.open("a") as log:
        log.write(line[:20])
        log.flush()
        followed.look()
        assert followed.number == 1
        log.write(line[20:])
    followed.look()
    assert followed.number == 2
    run.close()


def test_a_log_is_followed_to_the_end_of_the_run(site: Site) -> None:
    run, task = begun(site)
    log = run.log(task, "package")
    log.write_text("first\n", encoding="utf-8")
    with served(site) as address:
        place = f"/runs/{run.id}/logs/{task}/package.log"
        assert "data-follow" in requests.get(address + place, timeout=120).text
        follow = f"{address}/runs/{run.id}/follow/{task}/package.log?after=6&line=1"
        with requests.get(follow, stream=True, timeout=120) as stream:
            found = messages(stream)
            with log.open("a") as writer:
                writer.write("<b>second</b>\nERROR: third\nhalf")
            name, number, text = next(found)
            assert name == "lines" and number == str(6 + len("<b>second</b>\nERROR: third\n"))
            assert (
                '<span class="n">2</span>&lt;b&gt;second&lt;/b&gt;' in text
                and 'class="l bad"' in text
                and "half" not in text
            )
            webruns.write(run, [RunFinished(exit_code=0, seconds=1)])
            run.close()
            assert [name for name, *_ in found][-1] == "end"


def test_a_run_is_read_by_one_however_many_look(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    run, task = begun(site)
    read = 0
    original = followed_run.FollowedRun._read

    def counted(self: followed_run.FollowedRun) -> bool:
        nonlocal read
        read += 1
        return original(self)

    with served(site) as address:
        url = f"{address}/runs/{run.id}/stream?after=1"
        streams = [requests.get(url, stream=True, timeout=120) for _ in range(20)]
        found = [messages(stream) for stream in streams]
        monkeypatch.setattr(followed_run.FollowedRun, "_read", counted)
        webruns.write(run, [TaskStarted(time=1, task=task)])
        texts = {next(one) for one in found}
        assert len(texts) == 1
        # One that looks for all: twenty would have looked twenty times as often.
        before, began = read, time.monotonic()
        time.sleep(0.5)
        assert 0 < read - before <= (time.monotonic() - began) / run_pages.LOOK + 2
        for stream in streams:
            stream.close()
    run.close()


def test_news_that_a_page_has_read_first_reach_the_viewers_too(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_pages, "LOOK", 0.5)
    monkeypatch.setattr(run_pages, "ALIVE", 600.0)
    run, task = begun(site)
    with served(site) as address:
        with requests.get(f"{address}/runs/{run.id}/stream", stream=True, timeout=20) as stream:
            found = messages(stream)
            assert next(found)[1] == "1"
            webruns.write(run, [TaskStarted(time=1, task=task)])
            assert site.runs.get(run.id) is not None
            assert next(found)[1] == "2"
        run.close()


def test_a_viewer_who_leaves_while_the_server_waits_leaves_no_trace(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # The way back of a cancelled wait meets the next look: often enough with forty viewers.
    monkeypatch.setattr(run_pages, "ALIVE", 0.02)
    run, _ = begun(site)
    with served(site) as address:
        for _ in range(2):
            streams = [requests.get(f"{address}/runs/{run.id}/stream", stream=True, timeout=120) for _ in range(20)]
            for stream in streams:
                next(messages(stream))
                stream.close()
        assert requests.get(f"{address}/runs/{run.id}", timeout=120).status_code == 200
    run.close()
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == []


def test_two_hundred_readers_are_answered_and_more_than_the_limit_are_refused(site: Site) -> None:
    run = webruns.build(site.store)
    codes: list[int] = []
    with served(site) as address:
        urls = [f"{address}/runs/{run}", f"{address}/runs", f"{address}/metrics"]

        def read(number: int) -> None:
            codes.append(requests.get(urls[number % 3], timeout=60).status_code)

        threads = [threading.Thread(target=read, args=(number,)) for number in range(200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert codes == [200] * 200
        sites = len(threading.enumerate())
        assert sites < 100, "requests are handled by a bounded number of threads"


def test_the_memory_for_runs_is_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed_run, "KEPT", 3)
    runs = [webruns.build(site.store) for _ in range(5)]
    for run in runs:
        assert site.runs.get(run) is not None
    assert list(site.runs._runs) == runs[2:]
    followed = site.runs.get(runs[0])
    assert followed is not None
    for after in range(50):
        followed.message(after, "en")
    assert len(followed._messages) <= 2 * 3 + 1


# actions


class Child(Actions):
    """Starts a process of the test instead of the program."""

    commands: list[list[str]]

    def _start(self, arguments: Any, cwd: Path, flags: Any = None) -> Any:
        self.commands.append([*(self._flags if flags is None else flags), *arguments])
        return type("Started", (), {"command": " ".join(self.commands[-1])})()


def acting(site: Site) -> tuple[TestClient, Child, str]:
    child = Child(
        site.store, Path("/"), ["--project", "p.yaml"], {"c1": ClusterFile(Path("/i.yaml"))}, lambda: ["zookeeper"]
    )
    child.commands = []
    site.access, site.actions = Access(token=TOKEN, actions=True), child
    client = TestClient(application(site), headers={"authorization": f"Bearer {TOKEN}"})
    csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', client.get("/actions").text)
    assert csrf
    return client, child, csrf[1]


def test_without_the_switch_there_are_no_actions(site: Site) -> None:
    site.access = Access(token=TOKEN)
    client = TestClient(application(site), headers={"authorization": f"Bearer {TOKEN}"})
    assert client.get("/actions").status_code == 404
    assert client.post("/actions", data={"do": "build"}).status_code == 404
    assert "/actions" not in client.get("/runs").text
    run = webruns.build(site.store)
    assert client.post(f"/runs/{run}").status_code == 405


def test_an_action_needs_the_token_and_a_form_of_ours(site: Site) -> None:
    client, child, csrf = acting(site)
    form = {"do": "build", "component": "zookeeper"}
    assert TestClient(application(site)).post("/actions", data={**form, "csrf": csrf}).status_code == 401
    assert client.post("/actions", data=form).status_code == 403
    assert client.post("/actions", data={**form, "csrf": "0" * 64}).status_code == 403
    elsewhere = {"sec-fetch-site": "cross-site"}
    assert client.post("/actions", data={**form, "csrf": csrf}, headers=elsewhere).status_code == 403
    assert child.commands == []
    assert client.post("/actions", data={**form, "csrf": csrf}).status_code == 200
    assert child.commands == [["--project", "p.yaml", "build", "zookeeper"]]


def test_only_what_is_known_is_started(site: Site) -> None:
    client, child, csrf = acting(site)
    for form in (
        {"do": "build", "component": "--force"},
        {"do": "build"},
        {"do": "deploy", "cluster": "c2"},
        {"do": "rerun", "run": "none"},
        {"do": "cancel", "run": "none"},
        {"do": "anything"},
    ):
        assert client.post("/actions", data={**form, "csrf": csrf}).status_code == 400, form
    assert child.commands == []
    client.post("/actions", data={"do": "deploy", "cluster": "c1", "dry_run": "1", "csrf": csrf})
    client.post("/actions", data={"do": "deploy", "cluster": "c1", "agreed": "1", "csrf": csrf})
    assert [one[2:] for one in child.commands] == [["deploy", "/i.yaml", "--dry-run"], ["deploy", "/i.yaml", "--yes"]]


def test_a_run_is_repeated_in_the_folder_of_its_project(site: Site) -> None:
    _, child, _ = acting(site)
    run = webruns.build(site.store)
    with pytest.raises(ConfigurationError, match="the folder of its project is gone"):
        child.rerun(run)
    log = site.store.root / "runs" / run / "events.jsonl"
    log.write_text(log.read_text().replace("/srv/stack", str(site.store.root)))
    child.rerun(run)
    assert child.commands == [["build", "--all"]]


def test_a_run_is_asked_to_stop_like_by_a_signal(site: Site) -> None:
    script = f"""
import signal, sys, time
from pathlib import Path
from bigtop_builder.adapter.store import Store
run = Store(Path({str(site.store.root)!r})).start_run()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print(run.id, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        run = process.stdout.readline().strip()
        assert lock_holder(site.store.root / "runs" / run / "lock") == process.pid
        _, child, _ = acting(site)
        child.cancel(run)
        assert process.wait(120) == 7
    with pytest.raises(ConfigurationError, match="does not go on"):
        child.cancel(run)


def test_a_started_process_goes_on_by_itself_and_says_what_it_printed(site: Site, project: ProjectFolder) -> None:
    actions = Actions(site.store, project.root, [], {}, lambda: ["zookeeper"])

    def build_from_a_modest_thread() -> Started:
        os.nice(5)
        return actions.build(["zookeeper"])

    with ThreadPoolExecutor(1) as server:
        started = server.submit(build_from_a_modest_thread).result()
    if sys.platform == "linux":
        assert os.getpriority(os.PRIO_PROCESS, started.process.pid) == os.getpriority(os.PRIO_PROCESS, 0)
    assert started.process.wait(600) != 0
    assert "error" in started.output and os.getsid(os.getpid()) != started.process.pid
    assert actions.started == [started]
    actions.close()


# assistants


def ask(site: Site, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
    """The names of the tools, then the answer of each call."""

    async def talk() -> list[Any]:
        async with Client(server(site)) as client:
            found: list[Any] = [[tool.name for tool in (await client.list_tools()).tools]]
            for name, arguments in calls:
                found.append(await client.call_tool(name, arguments))
            return found

    return asyncio.run(talk())


def test_an_assistant_can_explain_a_failure(site: Site) -> None:
    run = webruns.build(site.store)
    tools, runs, one, log = ask(
        site,
        ("runs", {"state": "failed"}),
        ("run", {"run": run}),
        ("failure_log", {"run": run, "find": "PKIX"}),
    )
    assert tools == ["plan", "runs", "run", "failure_log", "packages", "provenance", "status"]
    assert run in str(runs.content) and "exit 10" in str(runs.content)
    assert "a TLS certificate is not trusted" in str(one.content)
    assert "PKIX path building failed" in str(log.content) and "Building" not in str(log.content).split("PKIX")[0][-40:]


def test_an_assistant_gets_errors_in_words_and_no_actions(site: Site) -> None:
    tools, wrong, status = ask(site, ("run", {"run": "none"}), ("status", {"cluster": "c9"}))
    assert not {"build", "deploy", "rerun", "cancel"} & set(tools)
    assert wrong.is_error and "no run" in str(wrong.content)
    assert status.is_error and "no inventory of" in str(status.content)


def test_an_assistant_acts_only_with_the_switch(site: Site) -> None:
    _, child, _ = acting(site)
    tools, started = ask(site, ("deploy", {"cluster": "c1"}))
    assert {"build", "deploy", "rerun", "cancel"} < set(tools)
    assert child.commands == [["--project", "p.yaml", "deploy", "/i.yaml", "--dry-run"]]
    assert not started.is_error


def test_the_plan_is_offered_as_pages_show_it(site: Site) -> None:
    (_, plan) = ask(site, ("plan", {}))
    assert "zookeeper" in str(plan.content)


def test_the_server_ends_with_its_signal(project: ProjectFolder, tmp_path: Path) -> None:
    project.component("zookeeper")
    project.stack(zookeeper="1")
    command = [sys.executable, "-m", "bigtop_builder", "-C", str(project.root), "web", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert requests.get(f"{address}runs", timeout=120).status_code == 200
        process.send_signal(signal.SIGTERM)
        process.wait(120)
