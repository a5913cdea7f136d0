"""Smoke tests that really run: on a clean host, with needs, within limits; and the records of verify-component."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.real.conftest import SmallProject

COPY = 'cp hello.txt "$STAGE/"\n'
TESTS = "overlay/components/{}/tests/{}.sh"


def smoked(project: SmallProject, name: str, smoke: str, start: str = "", **more: object) -> None:
    """A component with a smoke test; the content of its package does not matter."""
    project.component(name, COPY)
    file = project.root / f"overlay/components/{name}/component.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "smoke": more}, sort_keys=False))
    project.write(TESTS.format(name, "smoke"), smoke)
    if start:
        project.write(TESTS.format(name, "start"), start)


SERVER = """
useradd -r served
runuser -u served -- sh -c 'echo $$ > /tmp/pid; exec sleep 1000' &
"""
"""It keeps the output of the script open, as careless services do."""


def test_a_component_runs_on_what_it_needs_and_that_is_recorded(small: SmallProject) -> None:
    smoked(small, "server", "echo 1..0", SERVER)
    smoked(
        small,
        "client",
        """
        set -u
        test -e "$PARENT_DIR/usr/lib/server/hello.txt" -a "$VERSION$SUFFIX$COLOUR" = 1.0_1_0green || exit 5
        cat "$PARENT_DIR/usr/lib/client/hello.txt" | grep -x 'hello from client' && echo "ok 1 - installed"
        # The process of another user.
        kill "$(cat /tmp/pid)" && echo "ok 2 - stops"
        getent hosts "$HOSTNAME" && echo "ok 3 - knows-itself"
        if curl -sm 5 http://192.0.2.1/ || ping -c 1 -W 1 192.0.2.1; then exit 6; fi
        echo "ok 4 - four # SKIP there is no network"
        echo 1..4
        """,
        needs=["server"],
        variables={"COLOUR": "green"},
    )
    done = small.tool("verify-component", "client")
    assert "client: installed, stops, knows-itself -> " in done.stdout
    file = small.root / "overlay/components/client/verified.yaml"
    (record,) = yaml.safe_load(file.read_text())["records"]
    assert record["runs"] == ["installed", "stops", "knows-itself"]
    assert record["skipped"] == ["four: there is no network"]
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", record["source"]) and record["seconds"]["package"] > 0
    assert not (small.root / "overlay/components/server/verified.yaml").exists()

    # Reused packages are tested again; a build does it only for what it makes.
    small.write(TESTS.format("client", "smoke"), 'echo 1..1; echo "ok 1 - again"')
    assert "package: smoke" not in small.tool("build", "client", "server").stderr
    assert "client: again -> " in small.tool("verify-component", "client").stdout
    (small.root / "overlay/components/client/files").mkdir()
    small.write("overlay/components/client/files/a", "a")
    assert "its recipe has changed since" in small.tool("list", "client").stdout


def test_a_build_runs_the_test_unless_it_cannot_or_must_not(fresh_like: SmallProject) -> None:
    smoked(fresh_like, "server", "echo 1..1; echo 'not ok 1 - answers'; exit 1")
    failed = fresh_like.tool("build", "server", code=10)
    assert "the smoke test of server failed: answers" in failed.stderr
    assert not list((fresh_like.root / "output").rglob("*.rpm"))

    fresh_like.write("bigtop-builder.yaml", "stack: small\nplatforms: [el8]\noverlays: [overlay]\nsmoke_tests: false\n")
    assert "package: smoke" not in fresh_like.tool("build", "server").stderr
    failed = fresh_like.tool("verify-component", "server", code=10)
    assert "the smoke test of server failed: answers" in failed.stderr
    assert not (fresh_like.root / "overlay/components/server/verified.yaml").exists()

    fresh_like.write("bigtop-builder.yaml", "stack: small\nplatforms: [el8]\noverlays: [overlay]\n")
    smoked(fresh_like, "client", "echo 1..1; echo 'ok 1 - a'", needs=["other"])
    fresh_like.component("other", COPY)
    note = "the smoke test was skipped: it needs other, not built here or without tests"
    assert note in fresh_like.tool("build", "client").stderr


def test_a_failure_does_not_count_where_packages_lack_what_they_require(fresh_like: SmallProject) -> None:
    smoked(fresh_like, "client", "echo 1..1; echo 'not ok 1 - a'; exit 1")
    file = fresh_like.root / "overlay/components/client/component.yaml"
    component = yaml.safe_load(file.read_text())
    component["packages"][0]["requires"] = ["unheard-of"]
    file.write_text(yaml.safe_dump(component, sort_keys=False))
    note = "the smoke test does not count, because nothing in this build provides unheard-of"
    assert note in " ".join(fresh_like.tool("build", "client").stderr.split())
    assert "client" in fresh_like.tool("verify-component", "client", code=10).stderr
    assert not (file.parent / "verified.yaml").exists()


FORBIDDEN = r"tests/smoke.sh of evil exited with [1-9]"
HOSTILE = {
    "time": ("sleep 300", {"timeout": "3s"}, "exceeded its time limit of 3 s"),
    "memory": ("head -c 2G /dev/zero | tail > /dev/null; exit 9", {"memory": "128m"}, r"exited with \d+"),
    "no report": ("true", {}, "is no TAP: it has no plan"),
    "an endless report": ("echo 1..1; yes 'ok 1 - a' | head -n 3000000", {}, "more than 1000 tests"),
    "the network": ("echo 1..1; curl -sm 3 http://192.0.2.1/ && echo 'ok 1 - a'", {}, FORBIDDEN),
    "the packages": ("echo 1..1; rm -f /rpms/0/*.rpm && echo 'ok 1 - a'", {}, FORBIDDEN),
    "its own script": ("echo 1..1; echo x >> /tests/evil/smoke.sh && echo 'ok 1 - a'", {}, FORBIDDEN),
    "devices": ("echo 1..1; mknod /tmp/sda b 8 0 && echo 'ok 1 - a'", {}, FORBIDDEN),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_test_is_bounded(fresh_like: SmallProject, kind: str) -> None:
    script, smoke, message = HOSTILE[kind]
    smoked(fresh_like, "evil", script, **smoke)
    failed = fresh_like.tool("build", "evil", code=11 if kind == "time" else 10)
    assert re.search(message, failed.stderr)
    assert not list((fresh_like.root / "output").rglob("*.rpm"))
    assert not list(Path(fresh_like.tool.store, "package").glob("*"))
