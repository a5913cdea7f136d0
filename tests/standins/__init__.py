"""Stand-ins for Ambari's packages: its names, paths, commands, files and log lines, none of its work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docker import DockerClient

HERE = Path(__file__).resolve().parent
SCRIPT = """for version in {versions}; do
    rpmbuild -bb --quiet --define "ambari_version $version" --define 'standins /standins' --define '_rpmdir /out' \
        /standins/ambari.spec
done
chmod -R a+rwX /out
"""


def build(client: DockerClient, image: str, folder: Path, *versions: str) -> list[Path]:
    """The packages in these versions, made with rpmbuild in a container of ``image``."""
    folder.mkdir(parents=True, exist_ok=True)
    client.containers.run(
        image,
        ["bash", "-euc", SCRIPT.format(versions=" ".join(versions))],
        volumes={str(HERE): {"bind": "/standins", "mode": "ro"}, str(folder): {"bind": "/out", "mode": "rw"}},
        remove=True,
        network_disabled=True,
    )
    return sorted((folder / "noarch").glob("*.rpm"))
