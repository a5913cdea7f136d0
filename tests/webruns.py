"""Made-up runs for tests and benchmarks of pages: a build, a deployment, and strings that try to be markup."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bigtop_builder.adapter.store import Run, Store
from bigtop_builder.model.event import (
    AmbariTask,
    AnyEvent,
    CacheUsed,
    Change,
    CheckFinished,
    ClusterTarget,
    Failure,
    HostFailed,
    Notice,
    PhaseFinished,
    PhaseStarted,
    PlannedTask,
    RequestProgress,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    TaskFinished,
    TaskStarted,
)
from bigtop_builder.model.outcome import Artifact, CacheFigures

SHA = "ab" * 32
BEGAN = 1_795_800_000.0
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}javascript:alert(3)\x1b[31m\u202e"


def begin(store: Store) -> Run:
    """Start a run whose events the caller writes; ``close`` ends it."""
    return store.start_run()


def write(run: Run, events: Sequence[AnyEvent]) -> None:
    """Add events to the log of a run. Times that count from a run's start get a day."""
    events = [one if one.time > BEGAN else one.model_copy(update={"time": one.time + BEGAN}) for one in events]
    with (run.folder / "events.jsonl").open("a", encoding="utf-8") as log:
        log.writelines(event.model_dump_json() + "\n" for event in events)


def planned(
    task: str, waits_for: Sequence[str] = (), action: str = "build", expected: float | None = None
) -> PlannedTask:
    """Return a line of a plan for ``NAME@PLATFORM/KIND``."""
    place, _, kind = task.rpartition("/")
    component, _, platform = place.partition("@")
    return PlannedTask.model_validate(
        {
            "task": task,
            "component": component,
            "platform": platform,
            "kind": kind,
            "action": action,
            "reasons": ["patch 0001 changed"],
            "key": SHA,
            "waits_for": list(waits_for),
            "expected": expected,
        }
    )


def started(run: Run, tasks: Sequence[PlannedTask], store: Store, at: float = 1000.0) -> RunStarted:
    """Return the first event of a build."""
    command = ["bigtop-builder", "build", "--all"]
    return RunStarted(
        time=at, run=run.id, command=command, store=str(store.root), project="/srv/stack", tasks=list(tasks)
    )


def build(store: Store, name: str = "zookeeper", *, hostile: str = "", failed: bool = True) -> str:
    """Record a build: one component is done, one fails, one is blocked by it. Return the run's name."""
    run = begin(store)
    good, bad, last = f"{name}@el8/compile", f"spark{hostile}@el8/compile", "hive@el8/package"
    tasks = [planned(good), planned(f"{name}@el8/package", [good]), planned(bad), planned(last, [bad, good])]
    log, bad_log = run.log(good, "compile"), run.log("spark@el8/compile", "compile")
    log.write_text("[INFO] Building\nBUILD SUCCESS\n", encoding="utf-8")
    text = f"[INFO] Building {hostile}\n[ERROR] PKIX path building failed {hostile}\n"
    bad_log.write_text(text, encoding="utf-8", errors="surrogateescape")
    failure = Failure(
        step="compile",
        message=f"the compile script exited with 1 {hostile}",
        cause=f"a TLS certificate is not trusted {hostile}",
        hint=f"Set network.ca_bundle. {hostile}",
        first_error=["[ERROR] PKIX path building failed", hostile],
        last_lines=["PKIX path building failed", hostile],
        log=str(bad_log),
        rerun=f"bigtop-builder build spark {hostile}",
        shell="bigtop-builder shell spark",
    )
    rpm = Artifact(file=f"{name}{hostile}-3.5.9-1.el8.noarch.rpm", path="/store/z.rpm", size=12 << 20, sha256=SHA)
    events: list[AnyEvent] = [
        started(run, tasks, store),
        Notice(time=1000, level="warning", text=f"an unused choice {hostile}"),
        TaskStarted(time=1001, task=good),
        TaskStarted(time=1001, task=bad),
        StepStarted(time=1001, task=good, step="compile", log=str(log)),
        StepStarted(time=1001, task=bad, step="compile", log=str(bad_log)),
        StepFinished(time=1061, task=good, step="compile", ok=True, seconds=60),
        TaskFinished(time=1061, task=good, state="done", seconds=60),
        CacheUsed(
            time=1061, task=good, cache="maven", figures=CacheFigures(asked=10, hit=8, hit_bytes=4096, new_bytes=512)
        ),
        TaskStarted(time=1061, task=f"{name}@el8/package"),
        TaskFinished(
            time=1070,
            task=f"{name}@el8/package",
            state="done",
            seconds=9,
            artifacts=[rpm],
            notes=[f"left out {hostile}"],
        ),
    ]
    if failed:
        events += [
            StepFinished(time=1090, task=bad, step="compile", ok=False, seconds=89),
            TaskFinished(time=1090, task=bad, state="failed", seconds=89, failure=failure),
            TaskFinished(time=1090, task=last, state="blocked", blocked_by=bad),
            RunFinished(time=1091, exit_code=10, seconds=91),
        ]
    else:
        events += [
            TaskFinished(time=1090, task=bad, state="done", seconds=89),
            TaskFinished(time=1090, task=last, state="reused"),
            RunFinished(time=1091, exit_code=0, seconds=91),
        ]
    write(run, events)
    run.close()
    return run.id


def deployment(store: Store, cluster: str = "c1", *, hostile: str = "") -> str:
    """Record a deployment that failed while services started. Return the run's name."""
    run = begin(store)
    hosts = [f"node{number}.example.com" for number in (1, 2, 3)]
    log = run.folder / "logs" / "7-1-node1-stdout.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(f"Traceback (most recent call last)\n{hostile}\n", encoding="utf-8", errors="surrogateescape")
    target = ClusterTarget(cluster=cluster, hosts=[*hosts, f"node4{hostile}"])
    command = ["bigtop-builder", "deploy", "inventory.yaml"]
    why = Failure(
        step="start", message=f"1 task failed {hostile}", hint=hostile, rerun="bigtop-builder deploy inventory.yaml"
    )
    events: list[AnyEvent] = [
        RunStarted(
            time=2000,
            run=run.id,
            kind="deploy",
            command=command,
            store=str(store.root),
            phases=["check", "prepare", "start"],
            target=target,
        ),
        PhaseStarted(time=2000, phase="check"),
        CheckFinished(time=2001, phase="check", check="hostname", level="ok", message="3 hosts"),
        CheckFinished(
            time=2001,
            phase="check",
            check="memory",
            host=hosts[0],
            level="warning",
            message=f"2 GiB {hostile}",
            hint=hostile,
        ),
        PhaseFinished(time=2002, phase="check", state="unchanged", seconds=2),
        PhaseStarted(time=2002, phase="prepare"),
        *(
            Change(
                time=2003,
                phase="prepare",
                host=host,
                name=name,
                state="done",
                detail=f"--- a\n+++ b\n+{hostile}\n",
                seconds=1,
            )
            for host in hosts
            for name in ("write /etc/yum.repos.d/bigtop.repo", f"install java {hostile}")
        ),
        HostFailed(
            time=2004, phase="prepare", host=f"node4{hostile}", kind="unreachable", message=f"no route {hostile}"
        ),
        PhaseFinished(time=2005, phase="prepare", state="changed", changes=6, seconds=3, note=hostile),
        PhaseStarted(time=2005, phase="start"),
        RequestProgress(
            time=2006, phase="start", request=7, context=f"Start {hostile}", status="IN_PROGRESS", percent=40
        ),
        *(
            AmbariTask(
                time=2007,
                phase="start",
                request=7,
                task=number,
                host=host,
                role="NAMENODE",
                command="START",
                status="COMPLETED",
            )
            for number, host in enumerate(hosts[1:], 2)
        ),
        AmbariTask(
            time=2008,
            phase="start",
            request=7,
            task=1,
            host=hosts[0],
            role="NAMENODE",
            command="START",
            status="FAILED",
            cause=f"the port is taken {hostile}",
            hint=hostile,
            last_lines=[hostile],
            logs=[str(log)],
        ),
        PhaseFinished(time=2009, phase="start", state="failed", seconds=4, failure=why),
        RunFinished(time=2009, exit_code=9, seconds=9),
    ]
    write(run, events)
    run.close()
    return run.id


def large(store: Store, tasks: int = 2000, log: Path | None = None) -> tuple[Run, list[AnyEvent]]:
    """Return a run of many tasks and all its events: components of one compile and one package, in layers of 50."""
    run = begin(store)
    names = [f"component{number:04}" for number in range(tasks // 2)]
    plan = []
    for number, name in enumerate(names):
        above = [f"{names[number - 50 - less]}@el8/package" for less in (0, 3) if number - 50 - less >= 0]
        plan += [planned(f"{name}@el8/compile", above), planned(f"{name}@el8/package", [f"{name}@el8/compile"])]
    events: list[AnyEvent] = [started(run, plan, store)]
    at = 1000.0
    for one in plan:
        path = str(log) if log else str(run.folder / "logs" / one.task / "compile.log")
        step = "compile" if one.kind == "compile" else "package"
        events += [
            TaskStarted(time=at, task=one.task),
            StepStarted.model_validate({"time": at, "task": one.task, "step": step, "log": path}),
            StepFinished.model_validate({"time": at + 3, "task": one.task, "step": step, "ok": True, "seconds": 3}),
            TaskFinished(time=at + 3, task=one.task, state="done", seconds=3),
        ]
        at += 1.0
    return run, events
