"""Real agents: packages with dnf, configurations, service scripts and checks, in the containers of a test bed."""

from __future__ import annotations

import base64
import io
import shlex
import tarfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from bigtop_builder.ambari_simulator.agents import spark, zookeeper
from bigtop_builder.ambari_simulator.agents.packages import HOOK_PACKAGES, features_missing, pick
from bigtop_builder.ambari_simulator.agents.program import HostFile, Program
from bigtop_builder.ambari_simulator.agents.repository_files import repository_file, section, unreadable
from bigtop_builder.ambari_simulator.agents.tracebacks import NOT_LOADED, failure_text
from bigtop_builder.ambari_simulator.engine.work import Context

if TYPE_CHECKING:
    from docker import DockerClient

PROGRAMS: Mapping[str, Program] = {"ZOOKEEPER": zookeeper.PROGRAM, "SPARK": spark.PROGRAM}
SELECTOR = "/usr/lib/bigtop-select/distro-select"
FOLDER = "/var/lib/ambari-agent/tmp/files"
READ_REPOSITORIES = r"""
for file in /etc/yum.repos.d/*.repo; do
    if [ -e "$file" ]; then printf '%s\t%s\n' "$file" "$(base64 -w0 < "$file")"; fi
done
"""
LIMITS = {"INSTALL": 1800, "STATUS": 15}
LIMIT = 300
ENVIRONMENT = """\
while IFS== read -r name value; do
    value=${value#\\"}; [ -z "$name" ] || export "$name=${value%\\"}"
done 2>/dev/null < /etc/environment
"""
"""The site's proxies, which SSH sessions get from PAM; values are passed through unchanged."""


@dataclass(frozen=True)
class Ran:
    """The result of a script."""

    code: int
    stdout: str
    stderr: str


class Hands(Protocol):
    """An agent's access to its host."""

    def run(self, host: str, script: str, seconds: int) -> Ran:
        """Run a bash script as root; it is killed after the time limit (code 124)."""
        ...

    def put(self, host: str, files: Sequence[HostFile]) -> None:
        """Write files atomically, with owner and mode."""
        ...

    def interrupt(self, host: str) -> None:
        """Kill the script that runs on a host."""
        ...


class ContainerHands:
    """Through the container engine: ``docker exec``. ``containers``: host -> name or id of its container."""

    def __init__(self, client: DockerClient, containers: Mapping[str, str]) -> None:
        self._client = client
        self._containers = containers

    def run(self, host: str, script: str, seconds: int) -> Ran:
        """See ``Hands``."""
        whole = f'{ENVIRONMENT}exec timeout --kill-after=5 "$1" bash -c "set -eo pipefail; $0"'
        if seconds > LIMITS["STATUS"]:
            whole = f"echo $$ > /run/agent-command.pid; {whole}"
        command = ["bash", "-c", whole, script, str(seconds)]
        api = self._client.api
        made = api.exec_create(self._containers[host], command)
        stdout, stderr = api.exec_start(made["Id"], demux=True)
        return Ran(self._code(made["Id"]), _text(stdout), _text(stderr))

    def _code(self, command: str) -> int:
        """Return the exit code, which the engine may report a moment after the output has ended."""
        for _ in range(50):
            code = self._client.api.exec_inspect(command)["ExitCode"]
            if code is not None:
                return int(code)
            time.sleep(0.1)
        return 1

    def put(self, host: str, files: Sequence[HostFile]) -> None:
        """See ``Hands``: through a folder of the agent's, because the target may be behind links."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for number, file in enumerate(files):
                data = file.content.encode()
                info = tarfile.TarInfo(f"{FOLDER.lstrip('/')}/{number}")
                info.size, info.mode = len(data), 0o600
                archive.addfile(info, io.BytesIO(data))
        self._client.api.put_archive(self._containers[host], "/", buffer.getvalue())
        lines = [
            f"install -o {file.owner} -g {file.group} -m {file.mode} {FOLDER}/{number} {shlex.quote(file.path)}"
            for number, file in enumerate(files)
        ]
        ran = self.run(host, "\n".join([*lines, f"rm -rf {FOLDER}"]), LIMIT)
        if ran.code:
            raise CommandFailed(ran.stderr)

    def interrupt(self, host: str) -> None:
        """See ``Hands``."""
        self.run(host, "kill $(cat /run/agent-command.pid)", LIMITS["STATUS"])


class CommandFailed(Exception):  # noqa: N818 - a task's outcome, not a fault of the simulation
    """A command failed; its text ends the task's standard error."""


class ContainerAgent:
    """The agent of every container host."""

    def __init__(self, hands: Hands) -> None:
        self.hands = hands
        self._said = threading.local()

    def execute(
        self, command: str, component: str, host: str, context: Context
    ) -> tuple[bool, str, str, dict[str, Any]]:
        """See ``work.Agent``."""
        self._said.lines = []
        version = {"repository_version_id": context.repository_id, "version": context.repository_version}
        try:
            if command == "STATUS":
                return self._status(component, host, context)
            self._work(command, component, host, context)
        except CommandFailed as failed:
            logged = [said for said in self._said.lines if said.startswith(NOT_LOADED)]
            text = "\n".join([*logged, failure_text(str(failed), context.service, component, command)])
            return False, "\n".join(self._said.lines), text, version if command == "INSTALL" else {}
        return True, "\n".join(self._said.lines), "None", {} if command in {"STOP", "SERVICE_CHECK"} else version

    def interrupt(self, host: str) -> None:
        """Kill what runs on a host."""
        self.hands.interrupt(host)

    def _work(self, command: str, component: str, host: str, context: Context) -> None:
        if lost := features_missing(context.configurations):
            raise CommandFailed(lost)
        program = PROGRAMS.get(context.service)
        if command == "INSTALL":
            self._install(host, context)
        if program is None:
            if command == "INSTALL":
                return
            raise CommandFailed(f"The simulated agent has no commands for {context.service}")
        if command in {"STOP", "RESTART"} and component in _running(program, context, component):
            self._run(host, program.stop(context, component), LIMIT)
        if command in {"INSTALL", "START", "RESTART"}:
            self._run(host, program.prepare(context, component), LIMIT)
            self.hands.put(host, program.files(context, host, component))
        if command in {"START", "RESTART"} and component in _running(program, context, component):
            self._run(host, program.start(context, component), LIMIT)
        if command == "SERVICE_CHECK":
            self._run(host, program.check(context), LIMIT)

    def _status(self, component: str, host: str, context: Context) -> tuple[bool, str, str, dict[str, Any]]:
        program = PROGRAMS.get(context.service)
        if program is None:
            return False, "", "", {}
        ran = self.hands.run(host, program.status(context, component), LIMITS["STATUS"])
        return ran.code == 0, ran.stdout, ran.stderr, {}

    def _install(self, host: str, context: Context) -> None:
        settings = context.configurations.get("cluster-env", {})
        file = repository_file(context)
        if file is not None:
            self.hands.put(host, [file])
        group, tester = settings.get("user_group", "hadoop"), settings.get("smokeuser", "ambari-qa")
        self._run(host, f"groupadd -f {group}; id {tester} >/dev/null 2>&1 || useradd -m -g {group} {tester}", LIMIT)
        lacking = self._run(
            host,
            f"for name in {' '.join(HOOK_PACKAGES)}; do command -v $name || rpm -q $name || echo LACKS $name; done",
            LIMIT,
        )
        for name in HOOK_PACKAGES:
            if f"LACKS {name}" in lacking:
                self._package(host, name)
        available = self._available(host, context)
        picked = pick(context.packages, available, context.repository_version)
        for name in picked.names:
            self._package(host, name)
        if picked.missing:
            raise CommandFailed(picked.missing)
        owner = context.service.lower()
        self._run(
            host,
            f"if id {owner} >/dev/null 2>&1; then usermod -aG {group} {owner}; fi",
            LIMIT,
        )
        for name in context.selected:
            self._select(host, name, context)

    def _available(self, host: str, context: Context) -> set[str]:
        rows = [line.split("\t") for line in self._run(host, READ_REPOSITORIES, LIMIT, quiet=True).splitlines()]
        trouble = unreadable({path: base64.b64decode(text).decode("utf-8", "replace") for path, text in rows})
        if trouble:
            self._said.lines.append(trouble)
            return set()
        enabled = ",".join(section(name, context) for name, _ in context.repositories)
        only = f"--disablerepo='*' --enablerepo={shlex.quote(enabled)}" if enabled else ""
        script = f"dnf -q {only} repoquery --qf '%{{name}}\\n'; rpm --query --all --queryformat '%{{NAME}}\\n'"
        return set(self._run(host, script, LIMITS["INSTALL"], quiet=True).split())

    def _package(self, host: str, name: str) -> None:
        command = f"/usr/bin/yum -y install {shlex.quote(name)}"
        ran = self.hands.run(host, f"rpm --query --quiet {shlex.quote(name)} || {command}", LIMITS["INSTALL"])
        self._said.lines.append(f"Package['{name}'] {{'retry_on_repo_unavailability': False, 'retry_count': 5}}")
        if ran.code:
            raise CommandFailed(
                f"Failed to execute command '{command}', exited with code '{ran.code}', message: '{ran.stderr}'"
            )
        if ran.stdout:
            self._said.lines.append(f"Installing package {name} ('{command}')")

    def _select(self, host: str, name: str, context: Context) -> None:
        version = context.repository_version.partition("-")[0]
        self._run(host, f"{SELECTOR} set {name} {version}", LIMIT)
        self._said.lines.append(f"Execute[('ambari-python-wrap', '{SELECTOR}', 'set', '{name}', '{version}')]")

    def _run(self, host: str, script: str, seconds: int, *, quiet: bool = False) -> str:
        ran = self.hands.run(host, script, seconds)
        if ran.stdout.strip() and not quiet:
            self._said.lines.append(ran.stdout.rstrip())
        if ran.code:
            said = (ran.stderr or ran.stdout).strip()
            raise CommandFailed(f"Execution of '{script.strip().splitlines()[0]}' returned {ran.code}. {said}")
        return ran.stdout


def _running(program: Program, context: Context, component: str) -> tuple[str, ...]:
    """Return ``component`` if it has a process: clients do not."""
    return () if component.endswith("_CLIENT") else (component,)


def _text(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", "replace")
