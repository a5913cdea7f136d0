"""The operating system's repository with development packages: recognised, enabled, nothing else touched."""

from __future__ import annotations

import pytest

from bigtop_builder.hosts.operation import Cannot, Operation
from bigtop_builder.hosts.powertools import enable_powertools, powertools
from tests.fast.test_operations import file, host

ROCKY = """# PowerTools
[powertools]
name=Rocky Linux $releasever - PowerTools
enabled=0
countme=1

[powertools-debug]
name=Rocky Linux $releasever - PowerTools - Debug
enabled=0
"""
FOLDER = "/etc/yum.repos.d"


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("Rocky-PowerTools.repo", ROCKY, ("powertools", False)),
        ("CentOS-PowerTools.repo", "[PowerTools]\nname=x\nenabled = 1\n", ("PowerTools", True)),
        ("rocky-devel.repo", "[crb]\nname=x\n", ("crb", True)),
        ("almalinux-crb.repo", "[crb-source]\nname=x\nenabled=0\n[crb]\nenabled=0\n", ("crb", False)),
        (
            "redhat.repo",
            "[codeready-builder-for-rhel-8-x86_64-rpms]\nenabled = 0\n",
            ("codeready-builder-for-rhel-8-x86_64-rpms", False),
        ),
        ("Rocky-BaseOS.repo", "[baseos]\nenabled=1\n", None),
        ("broken.repo", "enabled=1\n", None),
    ],
)
def test_it_is_recognised(path: str, text: str, found: tuple[str, bool] | None) -> None:
    tools = powertools(host(files={f"{FOLDER}/{path}": file(text)}))
    assert (tools and (tools.id, tools.enabled)) == found


def test_it_is_enabled_and_the_rest_of_the_file_stays() -> None:
    path = f"{FOLDER}/Rocky-PowerTools.repo"
    (operation,) = enable_powertools(host(files={path: file(ROCKY, mode="640")}))
    assert isinstance(operation, Operation)
    text = operation.stdin.decode()
    assert text == ROCKY.replace("[powertools]\n", "[powertools]\nenabled=1\n").replace(
        "PowerTools\nenabled=0\nc", "PowerTools\nc"
    )
    assert "chmod 0640" in operation.script
    again = host(files={path: file(text)})
    assert not list(enable_powertools(again))
    assert powertools(again) is not None


def test_red_hat_s_subscriptions_enable_it_themselves() -> None:
    text = "[codeready-builder-for-rhel-9-x86_64-rpms]\nenabled = 0\n"
    (operation,) = enable_powertools(host(files={f"{FOLDER}/redhat.repo": file(text)}))
    assert isinstance(operation, Operation)
    assert operation.script == "subscription-manager repos --enable codeready-builder-for-rhel-9-x86_64-rpms"


def test_a_host_without_it_is_told_of() -> None:
    (cannot,) = enable_powertools(host())
    assert isinstance(cannot, Cannot)
