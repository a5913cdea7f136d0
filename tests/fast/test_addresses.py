"""Where addresses come from: what is configured, a preset, else the host's own clients."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from bigtop_builder.adapter.tools.addresses import Addresses, ThisHost
from bigtop_builder.adapter.tools.debian_mirror import debian_mirror
from bigtop_builder.adapter.tools.maven_central import SUPER_POM, central_in_pom, central_of, maven_central
from bigtop_builder.model.build_tools import apache, debian, maven, pip
from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.model.mirrors import Mirrors

POM = """<project><repositories>
<repository><id>other</id><url>https://other.example</url></repository>
<repository><id>central</id><url> https://central.example/maven/ </url></repository>
</repositories></project>"""


def model_builder(pom: str = POM) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as jar:
        jar.writestr(SUPER_POM, pom)
    return data.getvalue()


def distribution(path: Path) -> Path:
    data = model_builder()
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo("apache-maven-3.8.8/lib/maven-model-builder-3.8.8.jar")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return path


def test_central_out_of_jar_and_distributions(tmp_path: Path) -> None:
    (tmp_path / "maven-model-builder-3.jar").write_bytes(model_builder())
    with zipfile.ZipFile(tmp_path / "maven.zip", "w") as zipped:
        zipped.writestr("apache-maven/lib/maven-model-builder-3.jar", model_builder())
    files = [tmp_path / "maven-model-builder-3.jar", distribution(tmp_path / "m.tar.gz"), tmp_path / "maven.zip"]
    assert [central_of(file) for file in files] == ["https://central.example/maven"] * 3
    (tmp_path / "noise").write_bytes(b"noise")
    assert central_of(tmp_path / "noise") is None
    assert central_of(tmp_path / "none") is None


def test_the_namespace_of_the_super_pom_does_not_matter() -> None:
    named = POM.replace("<project>", '<project xmlns="http://maven.apache.org/POM/4.0.0">')
    assert central_in_pom(named) == central_in_pom(POM)
    with pytest.raises(ConfigurationError, match="has no repository 'central'"):
        central_in_pom("<project/>")
    with pytest.raises(ConfigurationError, match="not valid XML"):
        central_in_pom("no xml")


def test_central_of_maven_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/maven-model-builder-3.jar").write_bytes(model_builder())
    monkeypatch.setenv("MAVEN_HOME", str(tmp_path))
    assert maven_central() == "https://central.example/maven"


def test_central_out_of_an_image_when_the_host_has_no_maven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bigtop_builder.adapter.tools.maven_central._model_builders", lambda: iter(()))
    asked: list[str] = []

    def super_pom() -> str:
        asked.append("image")
        return POM

    addresses = Addresses(Mirrors(), super_pom=super_pom)
    assert [maven.mirrors(addresses)[0].url for _ in range(3)] == ["https://central.example/maven"] * 3
    assert asked == ["image"]
    with pytest.raises(ConfigurationError, match="Maven Central is unknown"):
        maven_central()


def test_pip_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example/simple")
    assert pip.host_index(ThisHost()) == "https://index.example/simple"
    monkeypatch.delenv("PIP_INDEX_URL")
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://file.example/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    assert pip.host_index(ThisHost()) == "https://file.example/simple"
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    assert pip.host_index(ThisHost()).startswith("https://")


def host(root: Path, os_id: str = "debian") -> Path:
    (root / "etc/apt/sources.list.d").mkdir(parents=True)
    (root / "usr/sbin").mkdir(parents=True)
    (root / "etc/os-release").write_text(f'NAME="x"\nID={os_id}\nVERSION_CODENAME=trixie\n')
    return root


def test_debian_mirror_of_deb822_sources(tmp_path: Path) -> None:
    apt = host(tmp_path) / "etc/apt/sources.list.d"
    (apt / "a.sources").write_text(
        "Types: deb\nURIs: https://vendor.example/x\nSuites: trixie\nComponents: stable\n\n"
        "Types: deb\nEnabled: no\nURIs: https://off.example/debian\nSuites: trixie\nComponents: main\n"
    )
    (apt / "debian.sources").write_text(
        "# a comment\nTypes: deb\nURIs: https://secure.example/s\nSuites: trixie-security\nComponents: main\n\n"
        "Types: deb deb-src\nURIs: https://mirror.example/debian/\nSuites: trixie\n trixie-updates\nComponents: main\n"
    )
    assert debian_mirror(tmp_path) == "https://mirror.example/debian"


def test_debian_mirror_of_one_line_sources(tmp_path: Path) -> None:
    (host(tmp_path) / "etc/apt/sources.list").write_text(
        "# deb https://old.example/debian trixie main\n"
        "deb cdrom:[x]/ trixie main\n"
        "deb https://secure.example/s trixie-security main\n"
        "deb [arch=amd64 signed-by=/x] https://mirror.example/debian trixie main contrib # here\n"
    )
    assert debian_mirror(tmp_path) == "https://mirror.example/debian"


def test_debian_mirror_of_debootstrap_on_another_system(tmp_path: Path) -> None:
    host(tmp_path, "rocky")
    (tmp_path / "etc/apt/sources.list").write_text("deb https://mirror.example/debian trixie main\n")
    with pytest.raises(ConfigurationError, match="Debian mirror is unknown"):
        debian_mirror(tmp_path)
    (tmp_path / "usr/sbin/debootstrap").write_text('#!/bin/sh\nDEF_MIRROR="https://deboot.example/debian"\n')
    assert debian_mirror(tmp_path) == "https://deboot.example/debian"


def test_configured_wins_over_preset_wins_over_client() -> None:
    preset = Addresses(Mirrors(preset="aliyun"))
    assert apache.releases(preset)[-1] == apache.ARCHIVE
    assert "aliyun" in apache.releases(preset)[0]
    assert "aliyun" in maven.mirrors(preset)[0].url
    assert "aliyun" in pip.index(preset)
    assert "aliyun" in debian.mirror(preset)
    assert maven.repository(preset, "gradle") == maven.repository(preset, "ivy") == maven.mirrors(preset)[0]
    configured = Addresses(
        Mirrors.model_validate(
            {
                "preset": "aliyun",
                "apache": ["https://a.example/dist/"],
                "maven": [{"url": "https://m.example"}],
                "pip": "https://p.example",
                "npm": "https://n.example",
                "gradle": "https://g.example",
                "debian": "https://d.example/debian/",
            }
        )
    )
    assert apache.releases(configured)[0] == "https://a.example/dist"
    assert [mirror.url for mirror in maven.mirrors(configured)] == ["https://m.example"]
    assert (pip.index(configured), configured.address("npm")) == ("https://p.example", "https://n.example")
    assert debian.mirror(configured) == "https://d.example/debian"
    gradle = maven.repository(configured, "gradle")
    assert gradle is not None and gradle.url == "https://g.example"
    assert apache.releases(Addresses(Mirrors(preset="none"))) == [apache.ARCHIVE]
    assert maven.repository(Addresses(Mirrors()), "gradle") is None
