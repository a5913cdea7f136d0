"""The commands of a machine that builds for others: worker, worker certificates."""

from __future__ import annotations

import getpass
import os
import shlex
import socket
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bigtop_builder import __version__
from bigtop_builder.cli.invocation import Invocation
from bigtop_builder.model.errors import ConfigurationError

if TYPE_CHECKING:
    from bigtop_builder.flow.build.project import Project
    from bigtop_builder.flow.distributed.messages import WorkerFacts


SchedulerOption = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        help="The scheduler to join instead of executor.dask: tls://HOST:PORT.",
        show_default=False,
    ),
]
CertificatesOption = Annotated[
    Path | None,
    typer.Option(
        "--certificates",
        metavar="DIR",
        help="The folder with ca.pem, worker.pem and worker-key.pem instead of executor.certificates.",
        show_default=False,
    ),
]
SlotsOption = Annotated[
    int | None,
    typer.Option(
        "--slots",
        min=1,
        max=256,
        help="How many tasks run in parallel; the default depends on processors and memory.",
        show_default=False,
    ),
]
MemoryOption = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="How much memory tasks may use together. Default: all of the engine's.",
        show_default=False,
    ),
]
PlatformOption = Annotated[
    list[str] | None,
    typer.Option(
        "--platform",
        metavar="NAME",
        help="Take only tasks that run in images of this platform; repeatable.",
        show_default=False,
    ),
]
ArchOption = Annotated[
    Literal["x86_64", "aarch64"] | None,
    typer.Option(
        "--arch",
        help="Build for this architecture instead of the machine's own, by emulation.",
        show_default=False,
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option(
        "--name",
        help="The worker's name, of which a cluster has one. Default: the host's name; with --arch that is added.",
        show_default=False,
    ),
]
SshOption = Annotated[
    str | None,
    typer.Option(
        "--ssh",
        metavar="USER@HOST",
        help="How people reach this machine, for a shell in a failed build. Default: this account and host name.",
        show_default=False,
    ),
]


def worker(
    invocation: Invocation,
    scheduler: SchedulerOption = None,
    certificates: CertificatesOption = None,
    slots: SlotsOption = None,
    memory: MemoryOption = None,
    platform: PlatformOption = None,
    arch: ArchOption = None,
    name: NameOption = None,
    ssh: SshOption = None,
) -> None:
    """Carry out tasks that other machines submit to a Dask cluster, beside a container engine of this machine."""
    from bigtop_builder.adapter.dask_cluster.worker import make_worker, run_worker
    from bigtop_builder.flow.distributed.messages import facts_to_data
    from bigtop_builder.flow.distributed.placement import resources_of
    from bigtop_builder.flow.distributed.worker_host import WorkerHost
    from bigtop_builder.flow.executors import access_of, results_of
    from bigtop_builder.flow.open_project import open_project
    from bigtop_builder.flow.packagings import PACKAGINGS

    project = open_project(
        invocation.settings(
            executor__dask=scheduler,
            executor__certificates=str(invocation.cwd / certificates) if certificates else None,
            limits__jobs=slots,
            architectures=[arch] if arch else None,
        )
    )
    access = access_of(project, "worker")
    if access is None:
        raise ConfigurationError(
            "there is no scheduler to join", hint="Name it with --scheduler, or as executor.dask in the project file."
        )
    access.check()
    results = results_of(project)
    if results.signer is None:
        raise ConfigurationError(
            "what a worker makes is signed, and there is no key for it",
            hint="Set signing.attestation_key, and list its public half in results.trust of the other machines.",
        )
    project.store.open()
    own = _facts(project, memory, platform or [], ssh or f"{getpass.getuser()}@{socket.getfqdn()}")
    shown = name or "-".join(filter(None, (socket.gethostname(), arch)))
    host = WorkerHost(project, PACKAGINGS, results, shown, ("ssh", "-t", own.ssh, *_shell(invocation, project)))

    def joined(_: object) -> None:
        invocation.say(f"{shown} builds for {access.address}: {own.slots} slots on {own.machine}, {own.engine}")

    def make() -> Any:
        return make_worker(access, host, facts_to_data(own), own.slots, resources_of(own), name=shown)

    with closing(host):
        host.open()
        run_worker(make, access, joined)


def _facts(project: Project, memory: str | None, platforms: list[str], ssh: str) -> WorkerFacts:
    """Return what this machine is. Raises EngineError when it has no container engine."""
    from bigtop_builder.adapter.containers.emulation import require_runnable
    from bigtop_builder.adapter.containers.engine import connect, facts
    from bigtop_builder.flow.build.local_executor import default_jobs
    from bigtop_builder.flow.distributed.messages import WorkerFacts
    from bigtop_builder.model.base import size_in_bytes

    require_runnable(project.arch)
    with closing(connect()) as client:
        engine = facts(client)
    return WorkerFacts(
        version=__version__,
        machine=project.arch,
        engine=f"{engine.kind} {engine.version}",
        slots=default_jobs(project),
        memory=size_in_bytes(memory) if memory else engine.memory,
        platforms=tuple(platforms),
        ssh=ssh,
    )


def _shell(invocation: Invocation, project: Project) -> list[str]:
    """Return the command that runs this program on this machine as it runs now."""
    program = Path(sys.argv[0]).absolute()
    command = [str(program)] if os.access(program, os.X_OK) else [sys.executable, "-m", "bigtop_builder"]
    command += ["-C", str(invocation.cwd), "--store", str(project.store.root.absolute())]
    return [
        shlex.quote(part)
        for part in [*command, *(["--project", str(invocation.project)] if invocation.project else [])]
    ]


def make_certificates(
    invocation: Invocation,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder to make.", show_default=False)],
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="How long they are valid.")] = 730,
) -> None:
    """Make certificates for the parts of a cluster: its scheduler, its workers, and whoever builds on it."""
    from bigtop_builder.adapter.dask_cluster import certificates

    place = invocation.cwd / folder
    made = certificates.make_certificates(place, days)
    invocation.answer("\n".join(map(str, made)), [str(path) for path in made])
    invocation.say(
        f"Keep {place}/ca-key.pem where nobody else reads it. Each machine needs ca.pem and the two files of its part. "
        "The scheduler is started with:\n"
        f"  dask scheduler --protocol tls --tls-ca-file {place}/ca.pem "
        f"--tls-cert {place}/scheduler.pem --tls-key {place}/scheduler-key.pem"
    )
