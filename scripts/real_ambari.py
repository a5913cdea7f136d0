"""The path of the demo on a real Ambari, and the contract suite: make real-ambari SOURCE=PATH.

SOURCE is a tree or an archive of apache/ambari (3.0, or trunk of that line). It is compiled and packaged with the
product; a test bed gets the real server and agents from the packages; then the cluster of the demo is deployed, proved
from its hosts, deployed again without a change, and destroyed; then the contract suite runs against the server. At the
end the hosts are removed; with --keep, or after a failure, they stay up.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from trial import PLATFORM, PROJECT, ROOT, Trial, on_hosts, run, terminate_as_interrupt

from bigtop_builder.flow.open_project import open_project
from bigtop_builder.flow.testbed.files import recorded as testbeds
from bigtop_builder.model.errors import BigtopBuilderError
from bigtop_builder.plan.task import Refusal
from bigtop_builder.recipe.settings import load_settings

NAME = "real-ambari"
DESTROYED = """
! pgrep -af QuorumPeerMain || exit 1
! ls /etc/yum.repos.d/ambari-bigtop-*.repo 2>/dev/null
"""
"""A destroyed cluster leaves neither processes nor repository files of its agents."""
WIPED = """
! pgrep -af 'java|[a]mbari_agent' || exit 1
! rpm --query --all '*3_2_0*' 'ambari-*' | grep .
"""
"""A wiped host has nothing of ours."""


def build_ambari(trial: Trial, source: Path, web: str) -> Path:
    """Compile and package Ambari, and publish it in a repository of its own; return the repository's folder."""
    chosen = ("--platform", PLATFORM, "--source", f"ambari={source}", "--set", f"ambari.web={web}")
    with trial.step("compile and package Ambari"):
        trial.tool("build", "ambari", *chosen)
    settings = trial.settings
    evaluated = open_project(settings).evaluate("ambari", PLATFORM)
    assert not isinstance(evaluated, Refusal)
    files = [str(settings.output / PLATFORM / file) for file in evaluated.package_files()]
    return trial.publish_ambari(files)


def contract(trial: Trial) -> None:
    """Run the contract suite against the server of the test bed."""
    with trial.step("the contract suite against this server"):
        run(sys.executable, "-m", "pytest", "-q", "tests/contract", "--testbed", trial.name)


def prove(trial: Trial, title: str, script: str) -> None:
    """Run a check on every host."""
    with trial.step(title), trial.fleet() as fleet:
        on_hosts(fleet, script, *(host.name for host in trial.loaded().hosts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="a tree or an archive of apache/ambari")
    parser.add_argument("--web", choices=["yes", "no"], default="no", help="build Ambari's web interface too (Node)")
    parser.add_argument("--keep", action="store_true", help="leave the hosts up")
    given = parser.parse_args()
    source = Path(given.source).resolve()
    if not given.source or not source.exists():
        sys.exit(f"{given.source or 'SOURCE'}: no such tree or archive; call make real-ambari SOURCE=PATH-OF-AMBARI")
    terminate_as_interrupt()
    settings = load_settings(ROOT, {}, project_file=PROJECT)
    trial = Trial(settings, NAME)
    again = f"make real-ambari SOURCE={os.path.relpath(source, ROOT)}"
    try:
        trial.build()
        trial.up = ("--ambari-packages", str(build_ambari(trial, source, given.web)))
        if NAME in testbeds(open_project(settings).store):
            with trial.step("remove the hosts of an earlier trial"):
                trial.down()
        try:
            trial.hosts_up()
            trial.deploy()
            trial.destroy()
            prove(trial, "nothing of the cluster runs, and agents' repository files are gone", DESTROYED)
            contract(trial)
            if not given.keep:
                trial.destroy("--wipe-hosts")
                prove(trial, "nothing is left on the hosts", WIPED)
                trial.down()
        except BaseException:
            print("\nFailed. The hosts are left as they are:", file=sys.stderr)
            print(trial.ways_on(again), file=sys.stderr)
            raise
    except BigtopBuilderError as error:
        sys.exit(f"{error.message}\n{error.hint or ''}")
    except KeyboardInterrupt:
        sys.exit(130)
    trial.report()
    if given.keep:
        print(f"\nThe hosts are up:\n{trial.ways_on(again)}")


if __name__ == "__main__":
    main()
