"""Repositories with variables of yum, credentials and proxies: what hosts and Ambari get, and what nobody sees."""

from __future__ import annotations

import configparser
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bigtop_builder.hosts.checks import check, wanted
from bigtop_builder.hosts.facts import HostFacts, UrlFact, Wanted
from bigtop_builder.hosts.operation import Operation
from bigtop_builder.hosts.packages import Access, RepositoryFile, repository
from bigtop_builder.hosts.preparation import prepare
from bigtop_builder.hosts.repository_access import ALL_OPEN, resolve_accesses
from bigtop_builder.hosts.server import ambari_repository
from bigtop_builder.model.errors import ConfigurationError, HostError
from bigtop_builder.model.event import Change
from bigtop_builder.model.inventory import NewServer
from bigtop_builder.model.repository import filled, usual_variables, variable_names
from bigtop_builder.recipe.inventory import LoadedInventory, load_inventory
from tests.fast.deploying import INVENTORY, Bench
from tests.fast.test_facts import gather
from tests.fast.test_operations import file, host

USER, PASSWORD = "mirror-reader", 'q"u\\o-te d'
BARE = "prepare: {jdk: null, chrony: false, limits: false, swappiness: null, transparent_huge_pages: keep}\n"


def inventory(folder: Path, repository: str) -> LoadedInventory:
    path = folder / "inventory.yaml"
    path.write_text(f"cluster: c\ngroups: {{all: {{hosts: [n1.x.org]}}}}\nrepositories: [{repository}]\n{BARE}")
    return load_inventory(path)


def read(reference: str, place: str) -> str:
    return {"env:U": USER, "env:P": PASSWORD}[reference]


PRIVATE = '{id: B, url: "https://repo.x.org/$releasever/$basearch", credentials: {user: "env:U", password: "env:P"}}'
EL8 = {"family": "redhat8", "variables": {"releasever": "8", "basearch": "x86_64"}}


def test_yum_replaces_variables_and_the_key_comes_from_the_hosts_address(tmp_path: Path) -> None:
    operations = prepare(host(**EL8), inventory(tmp_path, '{id: B, url: "http://repo.x.org/$releasever/$basearch"}'))
    trust, written = operations.operations
    assert "https" not in trust.script and " http://repo.x.org/8/x86_64/repodata/repomd.xml.key" in trust.script
    assert b"baseurl=http://repo.x.org/$releasever/$basearch\n" in written.stdin


def test_a_host_without_the_variable_is_named_before_anything_changes(tmp_path: Path) -> None:
    loaded = inventory(tmp_path, '{id: B, url: "http://repo.x.org/$realease"}')
    with pytest.raises(HostError, match=r"yum has no variable \$realease there") as caught:
        prepare(host(**EL8), loaded)
    assert "/etc/yum/vars/realease" in (caught.value.hint or "")
    findings = [one for one in check({"n1.x.org": host(**EL8, rpm=True)}, loaded) if one.check == "repository"]
    assert [(one.level, one.message) for one in findings] == [
        ("error", "yum has no variable $realease, which is in http://repo.x.org/$realease/repodata/repomd.xml")
    ]


def test_names_of_variables() -> None:
    assert variable_names("http://r/$a/$releasever", None, "$releasever_major") == (
        "releasever_major",
        "releasever",
        "a",
    )
    known = {"releasever": "9", "a": "x"}
    assert filled("http://r/$releasever_major/{family}/$releasever", "redhat9", known) == (
        "http://r/$releasever_major/redhat9/9"
    )
    assert usual_variables("redhat9")["releasever"] == "9" and "releasever" not in usual_variables("openeuler22")


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder with an rpm as on Rocky Linux 8.10, and a curl that keeps its configuration."""
    folder = tmp_path / "bin"
    folder.mkdir()
    rpm = '#!/bin/sh\n[ "$3" = "system-release(releasever)" ] || exit 1\n' + (
        "echo 8.10; echo 'system-release 8.10'; echo 'system-release(releasever) 8'\n"
    )
    curl = f"#!/bin/sh\ncat >> {tmp_path}/curl\nprintf '\\t200'\n"
    for name, text in (("rpm", rpm), ("curl", curl)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


def test_a_host_reads_the_repository_with_its_values_and_our_credentials(tmp_path: Path, tools: Path) -> None:
    loaded = inventory(tmp_path, PRIVATE)
    accesses = resolve_accesses(loaded, read)
    needed = wanted(loaded, accesses)
    output = gather(Wanted(urls=needed.urls, url_options=needed.url_options, variables=needed.variables),
                    PATH=f"{tools}:{os.environ['PATH']}")  # fmt: skip
    facts = HostFacts.parse("me", output)
    assert facts.variables == {"releasever": "8", "basearch": "x86_64"}
    assert facts.urls == {
        "https://repo.x.org/$releasever/$basearch/repodata/repomd.xml": UrlFact(code=0, status=200, message="")
    }
    assert (tmp_path / "curl").read_text().splitlines() == [
        'url = "https://repo.x.org/8/x86_64/repodata/repomd.xml"', f'user = "{USER}:q\\"u\\\\o-te d"'
    ]  # fmt: skip
    assert PASSWORD not in output


def test_only_root_reads_a_file_with_a_password_and_nobody_sees_it(tmp_path: Path) -> None:
    loaded = inventory(tmp_path, PRIVATE)
    accesses = resolve_accesses(loaded, read)
    trust, written = prepare(host(**EL8), loaded, accesses=accesses).operations
    assert "chmod 0600" in written.script
    parsed = configparser.RawConfigParser()
    parsed.read_string(written.stdin.decode())
    assert (parsed["B"]["username"], parsed["B"]["password"]) == (USER, PASSWORD)
    for one in (trust, written):
        for text in (one.name, one.detail, one.script, repr(accesses)):
            assert PASSWORD not in text and "o-te d" not in text
    assert trust.stdin.decode() == f'user = "{USER}:q\\"u\\\\o-te d"'
    there = {"/etc/yum.repos.d/bigtop-builder-B.repo": file(written.stdin.decode(), mode="600")}
    assert prepare(host(**EL8, files=there), loaded, accesses=accesses).operations == ()
    # Credentials that are given up: the former ones are no longer known, and may not show in the difference.
    *_, changed = prepare(host(**EL8, files=there), loaded, accesses=ALL_OPEN).operations
    assert "not shown" in changed.detail and "chmod 0644" in changed.script


@pytest.mark.parametrize(
    ("access", "lines", "options"),
    [
        (Access(proxy="http://p.x.org:3128"), ["proxy=http://p.x.org:3128"], ['proxy = "http://p.x.org:3128"']),
        (Access(proxy="none"), ["proxy=_none_"], ['noproxy = "*"']),
        (
            Access(proxy="http://p.x.org:3128", proxy_user="u", proxy_password="p"),
            ["proxy=http://p.x.org:3128", "proxy_username=u", "proxy_password=p"],
            ['proxy = "http://p.x.org:3128"', 'proxy-user = "u:p"'],
        ),
    ],
)
def test_proxies(access: Access, lines: list[str], options: list[str]) -> None:
    assert access.lines() == lines and access.curl().splitlines() == options


def test_credentials_are_for_the_repositorys_own_host(tmp_path: Path) -> None:
    wanted = RepositoryFile("B", "https://repo.x.org/b", "https://keys.elsewhere.org/k", access=Access("u", "p"))
    trust = repository(host(), wanted)[0]
    assert trust.stdin == b""


def curled(operation: Operation, key: Path, folder: Path) -> subprocess.CompletedProcess[bytes]:
    double = f'curl() {{ cat > {folder}/config; echo "$@" > {folder}/words; }}; rpm() {{ :; }}'
    script = f"{double}\n{operation.script}"
    return subprocess.run(["bash", "-euo", "pipefail", "-c", script], input=operation.stdin, check=True)


def test_curl_reads_credentials_from_its_input(tmp_path: Path) -> None:
    loaded = inventory(tmp_path, PRIVATE)
    trust = prepare(host(**EL8), loaded, accesses=resolve_accesses(loaded, read)).operations[0]
    curled(trust, tmp_path / "key", tmp_path)
    assert USER in (tmp_path / "config").read_text() and USER not in (tmp_path / "words").read_text()


def test_ambaris_own_repository_has_all_of_it() -> None:
    setup = NewServer.model_validate(
        {
            "host": "a.x.org",
            "repository": "https://r.x.org/{family}/$basearch",
            "gpg_key": "https://r.x.org/$basearch/k",
        }
    )
    made = ambari_repository(host(**EL8), setup, Access("u", "p"))
    assert (made.url, made.key_source) == ("https://r.x.org/redhat8/$basearch", "https://r.x.org/x86_64/k")
    assert b"password=p\n" in made.content()


def test_a_secret_of_several_lines_is_no_line_of_a_file(tmp_path: Path) -> None:
    loaded = inventory(tmp_path, PRIVATE)
    with pytest.raises(ConfigurationError, match="control character") as caught:
        resolve_accesses(loaded, lambda reference, place: "a\nenabled=0")
    assert str(caught.value.location).endswith("(repositories[0].credentials.user)")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Bench(tmp_path, monkeypatch) as one:
        yield one


ADDRESS = '{url: "http://repository.test/el8"}'


def test_agents_write_no_files_for_private_repositories(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("U", USER)
    monkeypatch.setenv("P", PASSWORD)
    assert ADDRESS in INVENTORY

    def managed() -> set[Any]:
        (version,) = bench.world.versions.values()
        return {system["ambari_managed_repositories"] for system in version.systems.values() if system["repositories"]}

    phases = ("repository",)
    assert bench.deploy(phases=phases) == 0, bench.failure
    assert managed() == {True}
    private = ADDRESS[:-1] + ', credentials: {user: "env:U", password: "env:P"}}'
    assert bench.deploy(INVENTORY.replace(ADDRESS, private), phases=phases) == 0, bench.failure
    assert managed() == {False}
    assert bench.changes
    assert bench.deploy(INVENTORY.replace(ADDRESS, private), phases=phases) == 0, bench.failure
    assert not bench.changes
    assert not any(text in str(event) for event in bench.events for text in (USER, PASSWORD))
    # Without credentials the files are the agents' again.
    assert bench.deploy(phases=phases) == 0, bench.failure
    assert managed() == {True}
    (change,) = (event for event in bench.events if isinstance(event, Change))
    assert change.detail.splitlines()[-1] == "redhat8: agents write their files"
    assert bench.deploy(phases=phases) == 0, bench.failure
    assert not bench.changes
