"""Pages by the application's own client: what they show, to whom, and that nothing on them becomes markup."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

pytest.importorskip("starlette")

from starlette.testclient import TestClient

from bigtop_builder.adapter.store import Store
from bigtop_builder.cli.views.html.page_renderer import HERE, texts
from bigtop_builder.cli.views.html.report import report
from bigtop_builder.cli.web import run_index
from bigtop_builder.cli.web.access import Access
from bigtop_builder.cli.web.app import application
from bigtop_builder.cli.web.run_index import RunIndex
from bigtop_builder.cli.web.site import Site
from bigtop_builder.flow.run.records import read_run
from tests import webruns
from tests.fast.conftest import ProjectFolder

TOKEN = "a-token-for-tests"
PLACE = re.compile(r"^(/|#|data:application/xml;base64,|\?)")


class Page(HTMLParser):
    """Finds in a page what a browser would run or fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.wrong: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "script":
            self.scripts.append(given.get("src") or "inline")
        if tag in ("img", "iframe", "object", "embed", "base"):
            self.wrong.append(tag)
        for name, value in attrs:
            if name.startswith(("on", "hx-on")) or name == "style":
                self.wrong.append(f"{tag} {name}={value}")
            if name in ("href", "src", "action", "hx-get", "sse-connect") and not PLACE.match(value or ""):
                self.wrong.append(f"{tag} {name}={value}")
        if given.get("id"):
            self.ids.append(given["id"] or "")
        if tag == "a" and given.get("href"):
            self.links.append(given["href"] or "")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def site(project: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(run_index, "FRESH", 0.0)
    project.component("zookeeper")
    project.stack(zookeeper="1")
    settings = project.settings()
    return Site(Store(settings.store).open(), settings, Access(hosts=frozenset({"testserver"})))


@pytest.fixture
def client(site: Site) -> Iterator[TestClient]:
    with TestClient(application(site)) as made:
        yield made


def page(client: TestClient, path: str, code: int = 200, **headers: str) -> Page:
    answer = client.get(path, headers=headers)
    assert answer.status_code == code, answer.text[:500]
    return Page(answer.text)


def test_the_list_shows_runs_and_filters_them(site: Site, client: TestClient) -> None:
    built, deployed = webruns.build(site.store), webruns.deployment(site.store)
    shown = page(client, "/runs")
    assert f"/runs/{built}" in shown.links and f"/runs/{deployed}" in shown.links
    for query, expected in (
        ("kind=deploy", {deployed}),
        ("state=done", set()),
        ("component=spark", {built}),
        ("text=INVENTORY.yaml", {deployed}),
    ):
        links = page(client, f"/runs?{query}").links
        assert {one for one in (built, deployed) if f"/runs/{one}" in links} == expected, query


def test_the_chart_has_a_column_for_each_run(site: Site, client: TestClient) -> None:
    runs = [webruns.build(site.store), webruns.build(site.store, failed=False)]
    text = client.get("/runs").text
    assert text.count('<rect class="column') == len(runs)
    assert "the longest took 1m31s" in text


def test_a_build_shows_graph_timeline_logs_and_why_it_failed(site: Site, client: TestClient) -> None:
    run = webruns.build(site.store)
    answer = client.get(f"/runs/{run}").text
    shown = Page(answer)
    assert "a TLS certificate is not trusted" in shown.text
    assert "bigtop-builder build spark" in shown.text and "bigtop-builder build --all" in shown.text
    assert f"/runs/{run}/logs/spark@el8/compile/compile.log" in shown.links
    assert answer.count('class="node ') == 4 and answer.count('<path class="edge') == 3
    # spark took longer than zookeeper, and hive waits for both.
    assert re.search(r'id="n-2" class="node failed critical"', answer)
    assert answer.count('<g class="bar ') == 3
    assert "/packages/zookeeper-3.5.9-1.el8.noarch.rpm" in shown.links
    assert len(shown.ids) == len(set(shown.ids))


def test_a_deployment_shows_every_task_of_every_host(site: Site, client: TestClient) -> None:
    run = webruns.deployment(site.store)
    shown = page(client, f"/runs/{run}")
    assert shown.text.count("COMPLETED") == 2
    assert "the port is taken" in shown.text and "no route" in shown.text
    assert f"/runs/{run}/logs/7-1-node1-stdout.log" in shown.links
    assert "write /etc/yum.repos.d/bigtop.repo" in shown.text
    cluster = page(client, "/clusters/c1")
    assert f"/runs/{run}" in cluster.links and "install java" in cluster.text


def test_what_can_be_downloaded(site: Site, client: TestClient) -> None:
    run = webruns.build(site.store)
    assert b'<testsuites name="bigtop-builder"' in client.get(f"/runs/{run}/junit.xml").content
    events = client.get(f"/runs/{run}/events.jsonl")
    assert events.content == (site.store.root / "runs" / run / "events.jsonl").read_bytes()
    assert "attachment" in events.headers["content-disposition"]


def test_a_long_log_opens_at_its_end_and_can_be_searched(site: Site, client: TestClient) -> None:
    run = webruns.build(site.store)
    log = site.store.root / "runs" / run / "logs" / "zookeeper@el8" / "compile" / "compile.log"
    lines = [f"line {number} of the log" for number in range(1, 300_001)]
    lines[200_000] = "the Needle is here"
    log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path = f"/runs/{run}/logs/zookeeper@el8/compile/compile.log"
    end = client.get(path)
    assert "line 300000 of the log" in end.text and "line 1 of the log" not in end.text
    assert len(end.content) < 2 << 20
    assert 'id="L300000"' in end.text
    found = page(client, f"{path}?find=needle")
    hit = next(link for link in found.links if "at=" in link and "#L200001" in link)
    there = client.get(hit).text
    assert 'id="L200001"' in there and "the Needle is here" in there
    assert "line 1 of the log" in client.get(f"{path}?at=0").text


def test_a_log_that_reached_its_limit_is_read_to_its_end(site: Site, client: TestClient) -> None:
    run = webruns.build(site.store)
    log = site.store.root / "runs" / run / "logs" / "zookeeper@el8" / "compile" / "compile.log"
    log.with_name("compile.log.older").write_text("middle words\n", encoding="utf-8")
    log.with_name("compile.log.newer").write_text("last words\n", encoding="utf-8")
    shown = page(client, f"/runs/{run}/logs/zookeeper@el8/compile/compile.log?find=last")
    assert "BUILD SUCCESS" in shown.text and "middle words" in shown.text and "4last words" in shown.text


@pytest.mark.parametrize(
    "path",
    [
        "/runs/../../etc/passwd",
        "/runs/%2e%2e/events.jsonl",
        "/runs/{run}/logs/..%2Fevents.jsonl",
        "/runs/{run}/logs/out/passwd",
        "/runs/none",
        "/packages/..%2F..%2Fetc%2Fpasswd",
        "/components/none",
        "/clusters/none",
        "/nowhere",
        "/static/../page_renderer.py",
        "/runs/{run}/logs/%00",
    ],
)
def test_nothing_else_can_be_read(site: Site, client: TestClient, path: str) -> None:
    run = webruns.build(site.store)
    (site.store.root / "runs" / run / "logs" / "out").symlink_to("/etc")
    answer = client.get(path.format(run=run))
    assert answer.status_code == 404, path
    assert "root:" not in answer.text and "run_started" not in answer.text


def every_page(site: Site, client: TestClient) -> Iterator[tuple[str, str]]:
    """All pages that a store with hostile runs has, found by their links."""
    todo, done = ["/runs", "/components", "/packages", "/repositories", "/clusters", "/runs?text=%3Cscript%3E"], set()
    while todo:
        path = todo.pop()
        if path in done or path.startswith("/static") or path.endswith((".jsonl", ".xml", "raw=1")):
            continue
        done.add(path)
        answer = client.get(path)
        if answer.status_code == 200:
            yield path, answer.text
            todo += [link.partition("#")[0] for link in Page(answer.text).links if link.startswith("/")]
    assert len(done) > 12


def test_what_others_wrote_reaches_no_page_as_markup(site: Site, client: TestClient) -> None:
    webruns.build(site.store, hostile=webruns.HOSTILE)
    run = webruns.deployment(site.store, cluster="c1", hostile=webruns.HOSTILE)
    seen = 0
    for path, text in every_page(site, client):
        found = Page(text)
        assert not found.wrong, path
        own = (
            [] if path.endswith("report.html") else [f"/static/{name}" for name in ("htmx.min.js", "sse.js", "page.js")]
        )
        assert found.scripts == own, path
        assert "\x1b" not in text and "\u202e" not in text, path
        assert "alert(1)</script>" not in text.replace("&lt;", ""), path
        seen += "&lt;script&gt;alert(1)" in text
    assert seen >= 5
    # Nor what is sent while a run goes on.
    followed = site.runs.get(run)
    assert followed is not None
    sent = Page(followed.message(0, "en"))
    assert not sent.wrong and not sent.scripts and "alert(1)" in sent.text


def test_every_answer_has_a_strict_policy(site: Site, client: TestClient) -> None:
    run = webruns.build(site.store)
    for path in ("/runs", f"/runs/{run}", f"/runs/{run}/events.jsonl", "/static/page.js", "/nowhere", "/metrics"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_components_say_what_the_next_build_does(site: Site, client: TestClient) -> None:
    run = webruns.build(site.store)
    shown = page(client, "/components")
    assert "not built yet" in shown.text or "no image" in shown.text or "zookeeper" in shown.text
    assert "/components/zookeeper" in shown.links and f"/runs/{run}" in shown.links
    assert f"/runs/{run}" in page(client, "/components/zookeeper").links


def test_pages_have_two_languages_and_three_themes(site: Site, client: TestClient) -> None:
    assert 'lang="en"' in client.get("/runs").text
    assert "<h1>运行</h1>" in client.get("/runs", headers={"accept-language": "zh-CN,zh;q=0.9"}).text
    answer = client.get("/preferences?language=zh&back=/clusters", follow_redirects=False)
    assert answer.headers["location"] == "/clusters"
    assert "<h1>集群</h1>" in client.get("/clusters").text
    client.get("/preferences?theme=dark&back=/runs")
    assert 'data-theme="dark"' in client.get("/runs").text
    for back in ("//evil.example", "https://evil.example", "/\\evil.example"):
        assert client.get("/preferences", params={"back": back}, follow_redirects=False).headers["location"] == "/runs"


def test_the_catalogues_have_the_same_texts() -> None:
    english, chinese = texts("en"), texts("zh")
    assert english.names == chinese.names
    for name in english.names:
        assert getattr(english, name).count("{}") == getattr(chinese, name).count("{}"), name
    used = set()
    for template in (HERE / "templates").glob("*.html"):
        used |= set(re.findall(r"\bt\.([a-z_]+)\b(?!\()", template.read_text(encoding="utf-8")))
        for name in re.findall(r't\.counted\("([a-z_]+)"', template.read_text(encoding="utf-8")):
            used |= {name, f"{name}_one"}
    used -= {"counted", "language", "state", "phase", "kind"}
    used |= {"not_found", "refused_form", "started_says", "cancelled_says"}
    assert used == {name for name in english.names if not name.startswith(("state_", "phase_", "kind_"))} - {
        "kind_of_run"
    } | {"kind_of_run", "state_"}


# who may read


def closed(site: Site, **access: Any) -> TestClient:
    site.access = Access(**access)
    return TestClient(application(site))


def test_without_a_token_only_requests_by_a_name_of_this_machine_are_answered(site: Site) -> None:
    client = closed(site)
    assert client.get("/runs", headers={"host": "127.0.0.1:8484"}).status_code == 200
    assert client.get("/runs", headers={"host": "evil.example"}).status_code == 421


def test_with_a_token_nothing_is_read_without_it(site: Site) -> None:
    client = closed(site, token=TOKEN)
    run = webruns.build(site.store)
    for path in ("/runs", f"/runs/{run}", f"/runs/{run}/events.jsonl", "/metrics", f"/runs/{run}/stream"):
        assert client.get(path).status_code == 401
    assert client.get("/runs", headers={"authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    to_login = client.get("/runs", headers={"accept": "text/html"}, follow_redirects=False)
    assert to_login.headers["location"] == "/login?back=/runs"
    assert client.post("/login", data={"token": "wrong"}).status_code == 403
    entered = client.post("/login", data={"token": TOKEN, "back": "/runs"}, follow_redirects=False)
    assert entered.status_code == 303
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower() and TOKEN not in cookie
    assert client.get("/runs").status_code == 200


def test_the_user_of_a_proxy_is_believed_from_its_address_alone(site: Site) -> None:
    near = TestClient(application(site_with(site, user_header="x-remote-user", proxies=frozenset({"testclient"}))))
    assert near.get("/runs").status_code == 401
    assert "ada" in near.get("/runs", headers={"x-remote-user": "ada"}).text
    far = TestClient(application(site_with(site, user_header="x-remote-user", proxies=frozenset({"10.0.0.1"}))))
    assert far.get("/runs", headers={"x-remote-user": "ada"}).status_code == 401


def site_with(site: Site, **access: Any) -> Site:
    site.access = Access(**access)
    return site


def test_pages_below_a_path_of_a_proxy_lead_there(site: Site) -> None:
    run = webruns.build(site.store)
    client = closed(site, root="/bigtop", hosts=frozenset({"testserver"}))
    shown = page(client, "/bigtop/runs")
    assert f"/bigtop/runs/{run}" in shown.links
    own = [link for link in page(client, f"/bigtop/runs/{run}").links if link.startswith("/")]
    assert own and all(link.startswith("/bigtop/") for link in own)
    assert client.get("/bigtop/static/style.css").status_code == 200


# one file, one list


def test_a_report_needs_nothing_else(site: Site) -> None:
    for run in (
        webruns.build(site.store, hostile=webruns.HOSTILE),
        webruns.deployment(site.store, hostile=webruns.HOSTILE),
    ):
        text = report(read_run(site.store, site.store.root / "runs" / run, detailed=True))
        found = Page(text)
        assert not found.wrong and not found.scripts
        assert all(link.startswith(("#", "data:")) for link in found.links)
        assert {link[1:] for link in found.links if link.startswith("#")} <= set(found.ids)
        assert "script-src" not in text and "default-src 'none'; style-src 'sha256-" in text
    assert "PKIX path building failed" in report(
        read_run(site.store, site.store.root / "runs" / webruns.build(site.store))
    )


def test_a_run_that_goes_on_is_read_again_and_one_that_ended_is_not(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = webruns.build(site.store)
    run = webruns.begin(site.store)
    plan = [webruns.planned("a@el8/package")]
    webruns.write(run, [webruns.started(run, plan, site.store)])
    index = RunIndex(site.store)
    assert {one.id: one.status for one in index.rows()} == {run.id: "running", ended: "exit 10"}
    (site.store.root / "runs" / ended / "events.jsonl").write_text("")
    run.close()
    assert {one.id: one.status for one in index.rows()} == {run.id: "died", ended: "exit 10"}


def test_figures_for_prometheus(site: Site, client: TestClient) -> None:
    webruns.build(site.store)
    webruns.deployment(site.store)
    text = client.get("/metrics").text
    assert 'bigtop_builder_runs{kind="build",state="failed"} 1.0' in text
    assert 'bigtop_builder_run_duration_seconds_sum{kind="build"} 91.0' in text
    assert 'bigtop_builder_cache_hits_total{cache="maven"} 8.0' in text
    assert 'bigtop_builder_last_run_exit_code{kind="deploy"} 9.0' in text


def test_events_are_written_as_json_lines(site: Site) -> None:
    run = webruns.build(site.store)
    lines = (site.store.root / "runs" / run / "events.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["event"] == "run_started"
