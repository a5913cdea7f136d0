"""Maven's super POM for a machine without Maven: it has the address of Maven Central, which is never written down."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bigtop_builder.adapter.containers.container import Mount, Sandbox, Session, User
from bigtop_builder.adapter.containers.image import Workshop
from bigtop_builder.adapter.containers.image_record import ImageRecord
from bigtop_builder.adapter.step_log import LogWriter
from bigtop_builder.adapter.store import translated, write_atomically
from bigtop_builder.model.errors import SourceError

TIME_LIMIT = 300
SCRIPT = """
mkdir -p /tmp/apt/lists/partial /tmp/apt/archives/partial
cd /tmp/apt
fetch="apt-get -o Dir::State::lists=/tmp/apt/lists -o Dir::Cache=/tmp/apt -o Acquire::https::CAInfo=/run/ca.pem"
$fetch update
$fetch download libmaven3-core-java
dpkg-deb --extract libmaven3-core-java_*.deb tree
jar=$(find tree -type f -name 'maven3-model-builder*.jar' | head -n 1)
unzip -p "$jar" org/apache/maven/model/pom-4.0.0.xml > /tmp/pom.xml
"""


def super_pom(shop: Workshop, image: ImageRecord, user: User, log: LogWriter) -> str:
    """Return the text of the super POM in Debian's package of Maven; it is fetched once for a store.

    ``image`` is the package image of a Debian platform, ``user`` who runs in it. Raises SourceError, EngineError,
    StoreError.
    """
    kept = shop.store.root / "images" / "maven-super-pom.xml"
    with shop.store.locked("super-pom"):
        if kept.is_file():
            return kept.read_text(encoding="utf-8")
        text = _fetch(shop, image, user, log)
        with translated(kept):
            write_atomically(kept, text)
        return text


def _fetch(shop: Workshop, image: ImageRecord, user: User, log: LogWriter) -> str:
    proxies = {name if name == "no_proxy" else f"{name}_proxy": value for name, value in shop.site.proxies.items()}
    authorities = shop.site.ca_bundle
    box = Sandbox(
        image=image.id,
        run=shop.run,
        task="super-pom",
        store=shop.store.root,
        user=user,
        mounts=[Mount(authorities, "/run/ca.pem")] if authorities else [],
        environment=proxies,
        network=True,
        lifetime=TIME_LIMIT,
    )
    with tempfile.TemporaryDirectory() as folder, Session(shop.client, box) as session:
        code = session.call(SCRIPT, log=log, timeout=TIME_LIMIT, cancelled=shop.cancelled, cwd="/")
        if code != 0:
            raise SourceError(
                f"the address of Maven Central is unknown: Debian's Maven is unavailable (see {log.path})",
                hint="Install Maven on this machine, or name a mirror under mirrors.maven in the project file.",
            )
        read = Path(folder) / "pom"
        with LogWriter(read, 1 << 20) as copy:
            session.call(["cat", "/tmp/pom.xml"], log=copy, timeout=60, cancelled=shop.cancelled, cwd="/")
        return read.read_text(encoding="utf-8")
