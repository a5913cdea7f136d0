"""Phoenix, compiled from its Apache source release: several modules, shaded jars, 10 minutes."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

from bigtop_builder.adapter.containers.image_recipe import image_key
from bigtop_builder.adapter.containers.image_record import recorded
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.recipe.evaluate import Evaluated
from bigtop_builder.recipe.settings import load_settings
from tests.golden import Case, described
from tests.real.conftest import Tool

SECONDS = 300


def in_the_builder_image(store: Path, folder: Path, command: str) -> str:
    """What a command prints in the image that compiled Phoenix, which has a JDK; ``folder`` is /work."""
    workspace = open_project(load_settings(folder, {"store": str(store)}))
    evaluated = workspace.evaluate("phoenix", "el8")
    assert isinstance(evaluated, Evaluated)
    record = recorded(workspace.store, image_key(workspace.image_spec(evaluated, "compile")))
    assert record is not None
    done = subprocess.run(
        ["docker", "run", "--rm", "--network=none", f"--volume={folder}:/work", record.id, "bash", "-ec", command],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_phoenix_is_compiled_packaged_and_runs(tmp_path: Path, shared_store: Path) -> None:
    tool = Tool(tmp_path, shared_store)
    # With bigtop-utils, which it requires, the package is also installed on a clean host.
    tool("build", "phoenix", "bigtop-utils", "--platform", "el8")
    package = tmp_path / "output" / "el8" / "phoenix-5.1.2-1.el8.noarch.rpm"
    assert described([package]) == Case("phoenix").packages_file.read_text(encoding="utf-8")

    unpacked = "cd /work; rpm2cpio output/el8/phoenix-*.rpm | cpio -id --quiet './usr/lib/*'; cd usr/lib/phoenix"
    in_the_builder_image(shared_store, tmp_path, unpacked)
    lib = tmp_path / "usr" / "lib" / "phoenix"
    for jar, wanted in {
        "phoenix-client.jar": "org/apache/phoenix/jdbc/PhoenixDriver.class",
        "phoenix-server.jar": "org/apache/phoenix/coprocessor/UngroupedAggregateRegionObserver.class",
    }.items():
        with zipfile.ZipFile(lib / jar) as archive:
            assert wanted in archive.namelist()
            assert "Implementation-Version: 5.1.2" in archive.read("META-INF/MANIFEST.MF").decode()
    usage = in_the_builder_image(
        shared_store,
        tmp_path,
        'java=$JAVA_HOME/bin/java; $java -cp /work/usr/lib/phoenix/phoenix-client.jar sqlline.SqlLine -e "!help"',
    )
    assert "NoSuchMethodError" not in usage
    assert "!tables" in usage
