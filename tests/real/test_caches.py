"""Download caches and locks with real containers: hostile builds in a row, and compiles that may ask nobody."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from bigtop_builder.recipe.catalog import shipped_templates
from tests.real.conftest import SmallProject, Tool

COPY = 'cp hello.txt "$STAGE/"\n'
LIBRARY = "org/slf4j/slf4j-api/1.7.30"
FORGED = f"""\
for one in org/apache/zookeeper/poisoned/9.9.9/poisoned-9.9.9 {LIBRARY}/slf4j-api-1.7.30; do
    folder=/work/home/.m2/repository/$(dirname $one)
    mkdir -p $folder
    # Also where a jar was seeded: the folder is the build's own.
    rm -f $folder/$(basename $one).jar
    echo EVIL > $folder/$(basename $one).jar
    printf '%s.jar>central=\\n' $(basename $one) > $folder/_remote.repositories
done
mkdir -p /work/home/.npm/_cacache/index-v5/aa/bb
echo EVIL > /work/home/.npm/_cacache/index-v5/aa/bb/cc
"""


def test_what_a_build_forges_in_its_caches_reaches_no_other(small: SmallProject) -> None:
    for name in ("evil", "wicked"):
        small.component(name, f"# {time.time_ns()}\n{FORGED}{COPY}", caches=["maven", "npm"])
    small.component(
        "victim",
        f"# {time.time_ns()}\n"
        "! grep -r EVIL /work/home/.m2 /work/home/.npm\n"
        f"! test -e /work/home/.m2/repository/org/apache/zookeeper/poisoned\n{COPY}",
        caches=["maven", "npm"],
    )
    own = small.tool.store / "cache" / "maven" / "own"
    try:
        for name in ("evil", "wicked"):
            done = small.tool("build", name)
            # Nothing is told of it where the library is in the cache already, and a forged one is not even taken over.
            shared = small.tool.store / "cache" / "maven" / "shared" / LIBRARY / "slf4j-api-1.7.30.jar"
            assert shared.is_file() or "not what a repository publishes" in done.stdout + done.stderr
        small.tool("build", "victim")
    finally:
        for name in ("evil", "wicked"):
            shutil.rmtree(own / name, ignore_errors=True)
            shutil.rmtree(own.parents[1] / "npm" / "own" / name, ignore_errors=True)


@pytest.mark.parametrize("link", [".m2", ".m2/repository"])
def test_a_cache_that_is_a_link_fails_the_build(small: SmallProject, tmp_path: Path, link: str) -> None:
    victim = tmp_path / "victim"
    (victim / "repository" / "org").mkdir(parents=True)
    (victim / "repository" / "org" / "maven-metadata-x.xml").write_text("secret")
    script = f"# {time.time_ns()}\nrm -rf /work/home/{link}\nln -s {victim} /work/home/{link}\n{COPY}"
    small.component("linker", script, caches=["maven"])
    failed = small.tool("build", "linker", code=10)
    assert f"the build put a link to {victim} in the place of the folder home/{link}" in failed.stderr
    assert not (small.tool.store / "cache" / "maven" / "own" / "linker").exists()
    small.component("linker", f"# {time.time_ns()}\n{COPY}", caches=["maven"])
    small.tool("build", "linker")


def test_a_locked_compile_has_no_network_and_names_what_it_asks_for(small: SmallProject) -> None:
    script = f"# {time.time_ns()}\necho > /dev/tcp/example.org/80\n{COPY}"
    small.component("asking", script, network=True)
    small.component("silent", f"# {time.time_ns()}\n{COPY}", network=True)
    made = {one["component"]: one for one in small.tool.json("lock", "silent")}
    lock = Path(made["silent"]["lock"])
    assert small.tool.json("lock", "silent")[0]["state"] == "unchanged"
    other = small.root / "overlay" / "components" / "asking" / "locks" / lock.name
    other.parent.mkdir()
    other.write_text(lock.read_text().replace('"silent"', '"asking"'))
    failed = small.tool("build", "asking", code=10)
    assert "asks for example.org, which is not in the lock" in failed.stderr
    assert "bigtop-builder lock asking" in failed.stderr
    small.tool("build", "silent", "--locks", "require")


def test_zookeeper_without_one_of_its_locked_plugins_fails_by_its_name(tmp_path: Path, shared_store: Path) -> None:
    """The tool says what it asked for; that the whole lock suffices, the demo shows."""
    (tmp_path / "bigtop-builder.yaml").write_text("platforms: [el8]\noverlays: [overlay]\n")
    folder = tmp_path / "overlay" / "components" / "zookeeper"
    (folder / "locks").mkdir(parents=True)
    (folder / "component.yaml").write_text("name: zookeeper\n")
    [shipped] = (shipped_templates() / "components" / "zookeeper" / "locks").iterdir()
    lock = json.loads(shipped.read_text())
    plugin = "org/apache/maven/plugins/maven-compiler-plugin/"
    gone = [path for path in lock["downloads"]["maven"] if path.startswith(plugin)]
    assert gone
    for path in gone:
        del lock["downloads"]["maven"][path]
    (folder / "locks" / shipped.name).write_text(json.dumps(lock))
    failed = Tool(tmp_path, shared_store)("build", "zookeeper", code=10)
    assert "asks for org.apache.maven.plugins:maven-compiler-plugin:jar:" in failed.stderr
    assert "is not in the lock" in failed.stderr
