"""Pages in a real browser: a build while it runs, one that fails, a deployment; without a word on the console.

With BIGTOP_SCREENSHOTS=docs/images the pictures of the documentation are written.
"""

from __future__ import annotations

from pathlib import Path

from bigtop_builder.adapter.store import Store
from bigtop_builder.model.event import AmbariTask, AnyEvent, Change, PhaseStarted, RequestProgress, RunStarted
from tests import webruns
from tests.real.browser import PATIENCE, Viewer, begun, keep, served
from tests.real.conftest import ROOT, SmallProject, Tool

COPY = 'cp hello.txt "$STAGE/hello.txt"\n'


def test_a_build_fills_its_page_while_it_runs_and_says_why_it_failed(small: SmallProject, browser: Viewer) -> None:
    gate = 'for number in $(seq 1 12); do echo "[INFO] Building module $number  [$number/12]"; sleep 1; done\n'
    small.component("alpha", gate + COPY)
    small.component("beta", gate + COPY, depends="alpha")
    small.component("gamma", "echo '[ERROR] Could not find artifact org.example:missing:jar:1.0'; exit 1\n")
    small.component("delta", COPY, depends="gamma")
    everything = ("build", "--all", "--keep-going", "-j", "2", "--force")
    with served(small.tool) as address, begun(small.tool, "build", *everything) as (build, run):
        page = browser.open(f"{address}/runs/{run}")
        # The node of gamma turns red, and alpha's package appears, without a reload.
        page.evaluate("window.before = true")
        page.wait_for_selector("g.node.failed", timeout=PATIENCE * 1000)
        page.wait_for_selector("#problems .problem", timeout=PATIENCE * 1000)
        page.wait_for_selector("#packages tbody tr", timeout=PATIENCE * 1000)
        assert page.evaluate("window.before"), "the page was not loaded again"
        keep(page, "web-build")
        log = page.locator("a.step.running").first
        log.wait_for(timeout=PATIENCE * 1000)
        following = browser.open(address + (log.get_attribute("href") or ""))
        lines = following.locator("pre.log > .l")
        shown = lines.count()
        lines.nth(shown).wait_for(timeout=PATIENCE * 1000)
        build.communicate(timeout=PATIENCE)
        # When it has ended, the page is shown once more as a whole.
        page.wait_for_selector("#summary .pill.failed", timeout=PATIENCE * 1000)
        assert "Could not find artifact" in page.inner_text("#problems")
        assert "bigtop-builder build gamma" in page.inner_text("#problems")
        keep(page, "web-failure")
        page.click("#problems a[href*='/logs/']")
        page.fill("#find", "artifact")
        page.keyboard.press("Enter")
        page.wait_for_selector("pre.hits a.n")
        keep(page, "web-log")
        plain = browser.open(f"{address}/runs/{run}", script=False)
        assert plain.locator("g.node").count() == 8 and plain.locator("#t-0").count() == 1
        small_screen = browser.open(f"{address}/runs/{run}", width=390, dark=True)
        assert small_screen.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "nothing hangs out"
        page.goto(f"{address}/runs")
        page.select_option("select[name=state]", "failed")
        page.wait_for_selector(f"#found a[href='/runs/{run}']")
        browser.leave()


def test_a_deployment_shows_hosts_and_tasks(fresh: SmallProject, browser: Viewer) -> None:
    store = Store(fresh.tool.store).open()
    tool = Tool(ROOT / "examples" / "demo", fresh.tool.store)
    run = webruns.deployment(store)
    with served(tool) as address:
        page = browser.open(f"{address}/runs/{run}")
        page.wait_for_selector("#p-start table.matrix")
        assert "the port is taken" in page.inner_text("main")
        chinese = browser.open(f"{address}/runs/{run}", locale="zh-CN", dark=True)
        assert "退出码 9" in chinese.inner_text("h1")
        keep(chinese, "web-chinese-dark")
        browser.leave()


def test_what_is_opened_or_closed_stays_so_while_a_phase_goes_on(fresh: SmallProject, browser: Viewer) -> None:
    store = Store(fresh.tool.store).open()
    run = webruns.begin(store)
    with served(fresh.tool) as address:
        about = {
            "command": ["bigtop-builder", "deploy", "x.yaml"],
            "store": str(store.root),
            "project": str(fresh.root),
        }
        start = RunStarted.model_validate({"time": 1, "run": run.id, "kind": "deploy", "phases": ["cluster"], **about})
        webruns.write(run, [start, PhaseStarted(time=2, phase="cluster")])
        page = browser.open(f"{address}/runs/{run.id}")

        def tell(*events: AnyEvent) -> None:
            webruns.write(run, events)

        def task(number: int, status: str) -> AmbariTask:
            about = {"request": 1, "task": number, "host": f"n{number}", "role": "DATANODE", "command": "START"}
            return AmbariTask.model_validate({"time": 4, "phase": "cluster", "status": status, **about})

        tell(Change(time=3, phase="cluster", name="register the version", state="done"))
        page.wait_for_selector("#p-cluster details[data-part=changes]", timeout=PATIENCE * 1000)
        page.click("#p-cluster details[data-part=changes] summary")
        # What comes above the part that somebody opened is as open as a running phase wants it.
        tell(RequestProgress(time=4, phase="cluster", request=1, context="Start", status="IN_PROGRESS", percent=5))
        tell(task(1, "IN_PROGRESS"))
        page.wait_for_selector("#p-cluster .cell.running", state="attached", timeout=PATIENCE * 1000)
        assert page.locator("#p-cluster details[data-part=hosts]").get_attribute("open") is not None
        assert page.locator("#p-cluster details[data-part=changes]").get_attribute("open") is not None
        page.click("#p-cluster details[data-part=hosts] > summary")
        tell(task(2, "COMPLETED"))
        page.wait_for_selector("#p-cluster .cell.done", state="attached", timeout=PATIENCE * 1000)
        assert page.locator("#p-cluster details[data-part=hosts]").get_attribute("open") is None
        browser.leave()
    run.close()


def test_every_page_is_accessible_and_works_by_keyboard(fresh: SmallProject, browser: Viewer) -> None:
    store = Store(fresh.tool.store).open()
    fresh.component("zookeeper", COPY)
    built, deployed = webruns.build(store), webruns.deployment(store)
    log = f"/runs/{built}/logs/spark@el8/compile/compile.log"
    paths = ["/runs", f"/runs/{built}", f"/runs/{deployed}", f"{log}?find=pkix", "/components", "/components/zookeeper"]
    paths += ["/packages?jar=log4j", "/repositories", "/clusters", "/clusters/c1", "/login", "/nowhere"]
    with served(fresh.tool, "--allow-actions", "--token-file", str(token(fresh.root))) as address:
        page = browser.open(f"{address}/login")
        page.fill("input[name=token]", TOKEN)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{address}/runs")
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.name") == "text"
        page.goto(f"{address}/actions")
        page.wait_for_selector("input[name=component]")
        browser.leave()
    with served(fresh.tool) as address:
        found = [
            one for path in paths for dark in (False, True) for one in browser.violations(address + path, dark=dark)
        ]
        assert found == []
        page = browser.open(f"{address}/runs")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        report = fresh.root / "report.html"
        fresh.tool("report", built, "--html", str(report))
        alone = browser.open(report.as_uri())
        assert alone.locator("g.node").count() == 4
        alone.click("#problems a[href^='#log-']")
        browser.leave()


TOKEN = "a-token-for-tests-in-a-file"


def token(folder: Path) -> Path:
    """The file with the token."""
    path = folder / "token"
    path.write_text(TOKEN + "\n", encoding="utf-8")
    return path
