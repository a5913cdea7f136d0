"""The three paths of the README, run as they stand there, by the tool as pipx installs it from its wheel.

The checkout gives the wheel and nothing else. What differs from the README is written here: addresses of examples, the
port, and what keeps the second path short.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.real.conftest import ROOT, run_on_host

if TYPE_CHECKING:
    from docker import DockerClient

    from bigtop_builder.adapter.containers.image_record import ImageRecord

SECONDS = 1800
README = (ROOT / "README.md").read_text(encoding="utf-8")
INSTALL, ONE, WHOLE, DEPLOY = (
    "bigtop-builder",
    "One component into my own repository",
    "The whole distribution in CI",
    "Deploy to an existing Ambari",
)
PIPELINES = {"gitlab": ".gitlab-ci.yml", "github": ".github/workflows/distribution.yaml", "jenkins": "Jenkinsfile"}


def blocks(title: str, language: str) -> list[str]:
    """The code blocks of a section of the README."""
    section = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert section, f"the README has no section {title!r}"
    return re.findall(rf"^```{language}\n(.*?)^```$", section[1], re.MULTILINE | re.DOTALL)


def commands(title: str, prompt: str = "$") -> list[str]:
    """The commands of a section without their remarks; those of root on a host have the prompt ``#``."""
    lines = [line for block in blocks(title, "console") for line in block.splitlines() if line.startswith(f"{prompt} ")]
    return [re.split(r"\s{2,}#", line[2:])[0].rstrip() for line in lines]


@dataclass
class Person:
    """Somebody with an empty home, who has pipx and the programs of this machine."""

    home: Path
    store: Path

    def environment(self, **more: str) -> dict[str, str]:
        foreign = ("BIGTOP_", "PYTHON", "VIRTUAL_ENV", "XDG_", "PIPX_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        path = f"{self.home}/.local/bin:{self.home}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        name = {f"GIT_{role}_{what}": "a@b.test" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        ours = {"HOME": str(self.home), "PATH": path, "BIGTOP_BUILDER_STORE": str(self.store), "NO_COLOR": "1"}
        return {**kept, **name, **ours, **more}

    def run(self, folder: Path, lines: list[str], **more: str) -> str:
        """Run lines in one shell, which ends at the first that fails; return what they printed."""
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", "\n".join(lines)],
            cwd=folder,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}"
        assert "Traceback" not in done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory, shared_store: Path) -> Person:
    """Somebody who installed the tool as the README says."""
    home = tmp_path_factory.mktemp("home")
    wheel = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(home), str(ROOT)]
    built = subprocess.run(wheel, capture_output=True, text=True, timeout=SECONDS, check=True)
    assert "warning" not in (built.stdout + built.stderr).lower()
    (home / "bin").mkdir()
    (home / "bin" / "pipx").symlink_to(Path(sys.executable).with_name("pipx"))
    person = Person(home, shared_store)
    person.run(home, commands(INSTALL))
    assert str(ROOT) not in (home / ".local/bin/bigtop-builder").resolve().read_text(encoding="utf-8")
    return person


@pytest.fixture(scope="module")
def published(person: Person) -> Path:
    """The project of the first path, after all that comes before it is served."""
    *before, serve = commands(ONE)
    assert serve.startswith("bigtop-builder repo serve")
    said = person.run(person.home, before)
    assert "0 problems" in said
    return person.home / "my-stack"


def test_one_component_into_my_own_repository(
    person: Person, published: Path, client: DockerClient, host: ImageRecord, tmp_path: Path
) -> None:
    serve = [*shlex.split(commands(ONE)[-1]), "--port", "0"]
    serve[0] = str(person.home / ".local/bin/bigtop-builder")
    with subprocess.Popen(serve, cwd=published, env=person.environment(), stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            address, first = (server.stdout.readline().strip() for _ in range(2))
            add, install = (line.replace("http://BUILD-HOST:8080", address) for line in commands(ONE, "#"))
            assert first == f"on a host: {add}", "the line that the README shows is the one that is printed"
            agreed = "mkdir -p /etc/dnf; echo assumeyes=1 >> /etc/dnf/dnf.conf"
            said = run_on_host(client, host, f"{agreed}; {add}; {install}; rpm -q zookeeper_3_2_0-server", tmp_path)
            assert re.search(r"^zookeeper_3_2_0-server-3\.5\.9-\d+\.el8\.noarch$", said, re.MULTILINE)
        finally:
            server.terminate()


def steps_of(pipeline: str, text: str) -> list[str]:
    """The commands that a pipeline runs, in their order."""
    if pipeline == "jenkins":
        return re.findall(r"sh '(.*)'", text)
    document = yaml.safe_load(text)
    if pipeline == "github":
        return [step["run"] for step in document["jobs"]["distribution"]["steps"] if "run" in step]
    return [line for stage in document["stages"] for line in document[stage]["script"]]


def test_the_whole_distribution_in_ci(person: Person, tmp_path: Path) -> None:
    """The whole stack is planned; what is built is a stack of three components, in the only image that is at hand."""
    overlay = tmp_path / "overlay"
    (overlay / "stacks").mkdir(parents=True)
    stack = yaml.safe_load((ROOT / "templates/stacks/bigtop-3.2.0.yaml").read_text(encoding="utf-8"))
    kept = ("bigtop-utils", "bigtop-select", "zookeeper")
    stack |= {"name": "short", "components": {name: stack["components"][name] for name in kept}}
    (overlay / "stacks" / "short.yaml").write_text(yaml.safe_dump(stack), encoding="utf-8")
    short = {"OVERLAYS": f"[{overlay}]", "STACK": "short", "BUILDER": "embedded"}
    short = {f"BIGTOP_BUILDER_{name}": value for name, value in short.items()}

    lines = commands(WHOLE)
    build = next(number for number, line in enumerate(lines) if line.startswith("bigtop-builder build"))
    said = person.run(tmp_path, lines[:build])
    assert "nothing is missing" in said
    assert re.search(r"^\d+ tasks to build, \d+ to reuse$", said, re.MULTILINE)
    project = tmp_path / "my-distribution"
    assert "0 problems" in person.run(project, lines[build:], **short)
    assert yaml.safe_load((project / "bigtop-builder.yaml").read_text(encoding="utf-8"))["builder"] == "platform"
    for pipeline, file in PIPELINES.items():
        if pipeline != "gitlab":
            person.run(
                project, [f"bigtop-builder init --ci {pipeline}", f"git add {file}", f"git commit -qm {pipeline}"]
            )
        fresh = tmp_path / pipeline
        person.run(tmp_path, [f"git clone --quiet my-distribution {fresh}"])
        steps = steps_of(pipeline, (fresh / file).read_text(encoding="utf-8"))
        assert len(steps) == 4, steps
        variables = {"CI": "true", "REPOSITORY_URL": "https://repo.example.com", **short}
        said = person.run(fresh, steps, BIGTOP_BUILDER_REPOSITORY=str(tmp_path / "repository"), **variables)
        assert "0 problems" in said
        assert len(list((fresh / "output" / "el8").glob("*.rpm"))) == 5
        assert (fresh / "reports" / "build.xml").is_file()


@pytest.fixture
def bed(person: Person, published: Path) -> Iterator[str]:
    """A test bed with the hosts of the README's inventory: container hosts and a simulated Ambari."""
    person.run(published, ["bigtop-builder build bigtop-select", "bigtop-builder repo publish"])
    (inventory,) = blocks(DEPLOY, "yaml")
    # These containers share this machine's memory, disk, clock and kernel.
    inventory += "require: {disk: 2, memory: 1, open_files: 1024}\n"
    inventory += "prepare: {jdk: null, java_home: /usr/lib/jvm/java, chrony: false, transparent_huge_pages: keep, "
    inventory += "swappiness: null, selinux: keep}\n"
    (published / "cluster.yaml").write_text(inventory, encoding="utf-8")
    name = f"readme-{secrets.token_hex(3)}"
    try:
        person.run(published, [f"bigtop-builder testbed up --inventory cluster.yaml --name {name}"])
        yield name
    finally:
        person.run(published, [f"bigtop-builder testbed down {name}"])


def test_deploy_to_an_existing_ambari(person: Person, published: Path, bed: str) -> None:
    # Deploying takes no createrepo-c, which does not exist for every machine.
    person.run(published, ["pipx runpip bigtop-builder uninstall --yes createrepo_c", "! bigtop-builder repo publish"])
    lines = [f"{line} --testbed {bed}" for line in commands(DEPLOY) if line.startswith("bigtop-builder")]
    assert len(lines) == 5, "the commands that name the cluster"
    said = person.run(published, lines)
    assert "nothing is missing" in said
    assert "nothing real was touched" in said
    assert "green: everything matches the inventory" in said
    again = person.run(published, [line for line in lines if " deploy cluster.yaml --testbed" in line])
    assert "nothing to change: everything matches the inventory" in again
