"""Real sources from the registries that the host's own clients use."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bigtop_builder.adapter.sources import Fetched, Fetcher, unpack
from bigtop_builder.adapter.tools.maven_central import maven_central
from bigtop_builder.adapter.tools.site import private_folder, site_files
from bigtop_builder.model.project import ProjectFile
from bigtop_builder.model.source import Source

ZOOKEEPER = (
    "b1a59fcbea432a743f28d49fb7e1d80d3f2f86093aa06f68090d5bdd25eb079e"
    "64943004f7d6ea6f57588274c7f33670da29c77dc0dfd6af16daee109b01e937"
)
SIX = "1e61c37477a1626458e36f7b1d82aa5c9b094fa4802892072e49de9c60c4c926"
HELLO = "31e066137a962676e89f69d1b65382de95a7ef7d914b8cb956f41ea72e0f516b"

TRUST = """
import java.security.KeyStore;
import javax.net.ssl.*;
public class Trust {
    public static void main(String[] arguments) throws Exception {
        TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init((KeyStore) null);
        int trusted = ((X509TrustManager) factory.getTrustManagers()[0]).getAcceptedIssuers().length;
        HttpsURLConnection.setFollowRedirects(false);
        HttpsURLConnection connection =
            (HttpsURLConnection) new java.net.URL(arguments[0]).openConnection();
        System.out.println(trusted > 0 && connection.getResponseCode() > 0 ? "trusted" : "not trusted");
    }
}
"""


def fetch(store: Path, **alternative: str) -> Fetched:
    source = Source.model_validate({"alternatives": [alternative]})
    return Fetcher(store, ProjectFile()).fetch(source, base=store)


def test_zookeeper_from_maven(tmp_path: Path) -> None:
    coordinates = "org.apache.zookeeper:parent:3.5.9:zip:source-release"
    fetched = fetch(tmp_path, maven=coordinates, sha512=ZOOKEEPER)
    unpack(fetched.path, tmp_path / "tree", strip=1, name=fetched.name)
    assert "<artifactId>parent</artifactId>" in (tmp_path / "tree/pom.xml").read_text()
    assert os.access(tmp_path / "tree/bin/zkServer.sh", os.X_OK)


def test_sdist_from_pypi(tmp_path: Path) -> None:
    fetched = fetch(tmp_path, pypi="six==1.16.0", sha256=SIX)
    unpack(fetched.path, tmp_path / "tree", strip=1, name=fetched.name)
    assert (tmp_path / "tree/PKG-INFO").is_file()


def test_file_of_the_debian_pool(tmp_path: Path) -> None:
    fetched = fetch(tmp_path, debian="hello", file="hello_2.10.orig.tar.gz", sha256=HELLO)
    unpack(fetched.path, tmp_path / "tree", strip=1, name=fetched.name)
    assert (tmp_path / "tree/configure").is_file()


@pytest.mark.skipif(shutil.which("java") is None, reason="the host has no Java")
def test_java_trusts_what_the_truststore_holds(tmp_path: Path) -> None:
    (tmp_path / "Trust.java").write_text(TRUST)
    with private_folder() as folder:
        settings = site_files(ProjectFile(), folder)
        store = next(path for path in settings.mounts if path.name == "cacerts")
        command = ["java", f"-Djavax.net.ssl.trustStore={store}", str(tmp_path / "Trust.java"), maven_central()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "trusted", done.stderr
