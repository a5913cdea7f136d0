"""Pages of what was published and deployed: a signed repository with snapshots, a cluster of a simulated server."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")

from starlette.testclient import TestClient

from bigtop_builder.adapter.rpm.gnupg import Signer
from bigtop_builder.adapter.store import Store
from bigtop_builder.cli.web.access import Access
from bigtop_builder.cli.web.app import application
from bigtop_builder.cli.web.site import Site
from bigtop_builder.flow.publish.publisher import Rules, publish
from bigtop_builder.recipe.inventory import load_inventory
from tests import webruns
from tests.fast.conftest import ProjectFolder
from tests.fast.deploying import INVENTORY, PASSWORD, Bench
from tests.fast.test_publisher import EL8, STACK
from tests.rpmfile import Spec, write_rpm

HOSTS = frozenset({"testserver"})


def published(project: ProjectFolder, signer: Signer, *specs: Spec, base_url: str | None = None) -> None:
    settings = project.settings()
    packages = [write_rpm(project.root / f"in{spec.name}{spec.version}", spec) for spec in specs]
    rules = Rules(base_url=base_url, only_these=True)
    publish(packages, settings.repository, STACK, EL8, signer, rules, Store(settings.store).open())


def pages(project: ProjectFolder) -> TestClient:
    settings = project.settings()
    return TestClient(application(Site(Store(settings.store).open(), settings, Access(hosts=HOSTS))))


def test_a_repository_has_snapshots_that_can_be_compared(project: ProjectFolder, signer: Signer) -> None:
    kept, gone = Spec(name="kept", files={"/k": b"k"}), Spec(name="gone", files={"/g": b"g"})
    published(project, signer, kept, gone)
    published(project, signer, kept, Spec(name="fresh", files={"/f": b"f"}), base_url="https://repo.example.com")
    client = pages(project)
    listed = client.get("/repositories").text
    assert f"/repositories/{STACK}/el8" in listed and "2 packages" in listed and "metadata signed and whole" in listed
    text = client.get(f"/repositories/{STACK}/el8").text
    assert re.search(r'class="added">\+ fresh-1', text) and re.search(r'class="removed">- gone-1', text)
    assert "~ kept" not in text
    assert "dnf config-manager --add-repo https://repo.example.com/bigtop-3.2.0/el8/bigtop-3.2.0-el8.repo" in text
    assert "gpgcheck=1" in text
    names = re.findall(r"<option[^>]*>(\d+-[0-9a-f]+)</option>", text)
    assert len(set(names)) == 2
    same = client.get(f"/repositories/{STACK}/el8?from={names[0]}&to={names[0]}").text
    assert "The same packages." in same
    assert client.get(f"/repositories/{STACK}/el8?from=../../etc&to=x").status_code == 404
    metrics = client.get("/metrics").text
    age = re.search(r'bigtop_builder_repository_age_seconds\{platform="el8",stack="bigtop-3.2.0"\} ([0-9.]+)', metrics)
    assert age and float(age[1]) < 600
    assert 'bigtop_builder_repository_signed{platform="el8",stack="bigtop-3.2.0"} 1.0' in metrics


def test_a_repository_that_was_tampered_with_is_shown_so(project: ProjectFolder, signer: Signer) -> None:
    published(project, signer, Spec(name="kept", files={"/k": b"k"}))
    repomd = project.settings().repository / STACK / "el8" / "repodata" / "repomd.xml"
    repomd.write_text(repomd.read_text() + "\n")
    client = pages(project)
    assert "problems with signatures" in client.get("/repositories").text
    assert "metadata signed and whole" not in client.get(f"/repositories/{STACK}/el8").text
    assert 'repository_signed{platform="el8",stack="bigtop-3.2.0"} 0.0' in client.get("/metrics").text


def test_a_package_shows_what_is_in_its_header(project: ProjectFolder, signer: Signer) -> None:
    spec = Spec(
        name="demo",
        files={"/opt/<b>demo</b>": b"x"},
        requires=["bash", "other >= 2"],
        scripts={"post": "echo '<script>alert(1)</script>'\n"},
    )
    published(project, signer, spec)
    client = pages(project)
    listed = client.get("/packages").text
    file = re.search(r'href="/packages/(demo-[^"]+\.rpm)"', listed)
    assert file
    text = client.get(f"/packages/{file[1]}").text
    assert "other &gt;= 2" in text and "/opt/&lt;b&gt;demo&lt;/b&gt;" in text
    assert "&lt;script&gt;alert(1)" in text and "<script>alert" not in text
    assert client.get("/packages/none-1.rpm").status_code == 404
    assert "in 0 places" in client.get("/packages?jar=log4j").text


def test_a_cluster_shows_its_state_and_no_secret(
    project: ProjectFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Bench(tmp_path, monkeypatch) as bench:
        execute = bench.agent.execute

        def talkative(command: str, *given: Any) -> tuple[bool, str, str, dict[str, Any]]:
            done, said, errors, more = execute(command, *given)
            return done, f"{said}\nlogged in with {PASSWORD}\n{webruns.HOSTILE}", errors, more

        monkeypatch.setattr(bench.agent, "execute", talkative)
        assert bench.deploy() == 0, bench.events
        settings = project.settings()
        store = Store(settings.store).open()
        webruns.deployment(store, cluster="c1")
        loaded = load_inventory(tmp_path / "inventory.yaml")
        site = Site(store, settings, Access(hosts=HOSTS), {"c1": loaded})
        client = TestClient(application(site))
        deadline = time.monotonic() + 120
        while "ZOOKEEPER" not in (text := client.get("/clusters/c1").text):
            assert time.monotonic() < deadline, text
            time.sleep(0.2)
        assert "node1.x.test" in text and "HEALTHY" in text and "3 / 3" in text
        assert 'bigtop_builder_cluster_reached{cluster="c1"} 1.0' in client.get("/metrics").text
        request = re.findall(r'href="(/clusters/c1/requests/[0-9]+)"', text)[-1]
        shown = client.get(request).text
        assert "ZOOKEEPER_SERVER" in shown and "node1.x.test" in shown and "COMPLETED" in shown
        output = re.search(rf'href="({request}\?task=[0-9]+)"', shown)
        assert output
        printed = client.get(output[1]).text
        assert (
            "logged in with ***" in printed and "&lt;script&gt;alert(1)" in printed and "<script>alert" not in printed
        )
        for path in (
            f"{request}9999",
            f"{request}?task=999999",
            f"{request}?task=x",
            "/clusters/c2/requests/1",
        ):
            assert client.get(path).status_code == 404, path
        for path in ("/runs", "/clusters", "/clusters/c1", "/metrics", request, output[1]):
            answer = client.get(path)
            assert answer.status_code == 200 and PASSWORD not in answer.text
        assert "env:TEST_AMBARI_PASSWORD" in INVENTORY


def test_a_server_that_does_not_answer_holds_up_no_page(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_AMBARI_PASSWORD", PASSWORD)
    file = project.write("inventory.yaml", INVENTORY.replace("URL", "http://127.0.0.1:9"))
    settings = project.settings()
    site = Site(Store(settings.store).open(), settings, Access(hosts=HOSTS), {"c1": load_inventory(file)})
    client = TestClient(application(site))
    assert client.get("/clusters/c1").status_code == 200
    deadline = time.monotonic() + 120
    while "127.0.0.1:9" not in (text := client.get("/clusters/c1").text):
        assert time.monotonic() < deadline, text
        time.sleep(0.2)
    assert PASSWORD not in text
    assert 'bigtop_builder_cluster_reached{cluster="c1"} 0.0' in client.get("/metrics").text
