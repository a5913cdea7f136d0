"""The main job on real input: compile, package, publish, deploy a cluster from the signed repository, run jobs on it.

Prints what it does, how long each step took and where the packages are. Finished work is reused, including the cluster
as long as the published repository, the hosts' image, the inventory and this program are unchanged; --again deploys it
again. At the end the cluster and its hosts are removed; with --keep, or after a failure, they stay up.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from trial import INVENTORY, PLATFORM, PROJECT, ROOT, Trial, terminate_as_interrupt

from bigtop_builder.adapter.containers.image_recipe import image_key
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.flow.testbed.files import recorded as testbeds
from bigtop_builder.model import digest
from bigtop_builder.model.errors import BigtopBuilderError
from bigtop_builder.recipe.settings import Settings, load_settings

AGAIN = "make demo"


def ingredients(settings: Settings) -> dict[str, str]:
    """Digests of everything that shapes the cluster."""
    project = open_project(settings)
    folder = settings.repository / settings.project.stack / PLATFORM
    return {
        "host": image_key(project.bare_host()),
        "snapshot": folder.resolve().name,
        "repomd": digest.of_file(folder / "repodata" / "repomd.xml"),
        "inventory": digest.of_file(ROOT / INVENTORY),
        "program": digest.of_tree(ROOT / "bigtop_builder", ignore=frozenset({"__pycache__"})),
        "trial": digest.of_tree(Path(__file__).parent, ignore=frozenset({"__pycache__"})),
    }


def deploy_unless_done(trial: Trial, *, again: bool, keep: bool) -> None:
    """Deploy the cluster, unless this program has deployed this very repository before."""
    mark = trial.settings.repository / ".demo.json"
    former = json.loads(mark.read_text()) if mark.is_file() else {}
    now = ingredients(trial.settings)
    up = trial.name in testbeds(open_project(trial.settings).store)
    if former.get("trial") == now and "passed" in former and not (up or again or keep):
        print(f"\n==> this repository has been deployed and verified before ({former['passed']}): reused")
        print("    scripts/demo.py --again deploys again, --keep leaves the cluster up")
        return
    try:
        if up and (again or former.get("trial") != now):
            with trial.step("remove the hosts of another trial"):
                trial.tool("testbed", "down", trial.name)
        mark.write_text(json.dumps({"trial": now}))
        trial.hosts_up()
        trial.deploy()
        passed = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        mark.write_text(json.dumps({"trial": now, "passed": passed}))
        if not keep:
            trial.destroy()
            trial.down()
    except BaseException:
        print("\nFailed. The cluster and its hosts are left as they are:", file=sys.stderr)
        print(trial.ways_on(AGAIN), file=sys.stderr)
        raise
    if keep:
        print(f"\nThe cluster and its hosts are up:\n{trial.ways_on(AGAIN)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true", help="deploy again even if nothing has changed")
    parser.add_argument("--keep", action="store_true", help="leave the cluster and its hosts up")
    given = parser.parse_args()
    terminate_as_interrupt()
    try:
        settings = load_settings(ROOT, {}, project_file=PROJECT)
        trial = Trial(settings, "demo")
        trial.build()
        deploy_unless_done(trial, again=given.again, keep=given.keep)
        trial.report()
    except BigtopBuilderError as error:
        sys.exit(f"{error.message}\n{error.hint or ''}")
    except KeyboardInterrupt:
        sys.exit(130)
    print(f"\nPackages:   {settings.output}/{{el8,debian-bootstrap}}/*.rpm")
    print(f"Repository: {settings.repository}/bigtop-3.2.0/{PLATFORM} (with .repo file and public key)")
    print(f"Serve it:   .venv/bin/bigtop-builder --project {PROJECT.relative_to(ROOT)} repo serve")


if __name__ == "__main__":
    main()
