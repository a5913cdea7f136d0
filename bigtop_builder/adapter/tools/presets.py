"""The named sets of public mirrors: for each operator, the addresses that public projects configure for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """None leaves a tool its own default. No field has a default, so that each preset says something of each tool."""

    apache: tuple[str, ...]
    """Mirrors of Apache's ``dist``, tried before the archive."""
    maven: str | None
    """A mirror of ``*`` for Maven, and the Maven-layout repository of ivy, sbt and Gradle."""
    gradle_plugins: str | None
    """Gradle's plugin portal."""
    gradle_distributions: str | None
    """Where ``gradle-8.5-bin.zip`` lies."""
    npm: str | None
    """The registry of npm and yarn."""
    node: str | None
    """Where ``v16.20.2/node-v16.20.2-linux-x64.tar.gz`` lies."""
    bower: str | None
    """The registry of bower: it maps names to git repositories."""
    pip: str | None
    """The simple index."""
    debian: str | None


BOWER = "https://registry.bower.io"
"""Releases of bower before 1.8 ask an address that has been switched off."""

NODE = "https://nodejs.org/dist"
"""Old Maven plugins ask it without TLS."""

PRESETS: Mapping[str, Preset] = {
    "default": Preset(
        apache=("https://dlcdn.apache.org", "https://downloads.apache.org"),
        maven=None,
        gradle_plugins=None,
        gradle_distributions=None,
        npm=None,
        node=NODE,
        bower=BOWER,
        pip=None,
        debian=None,
    ),
    "none": Preset(
        apache=(),
        maven=None,
        gradle_plugins=None,
        gradle_distributions=None,
        npm=None,
        node=None,
        bower=None,
        pip=None,
        debian=None,
    ),
    "aliyun": Preset(
        apache=("https://mirrors.aliyun.com/apache",),
        maven="https://maven.aliyun.com/repository/public",
        gradle_plugins="https://maven.aliyun.com/repository/gradle-plugin",
        # Its mirror has a folder for each version, which no address of a wrapper has.
        gradle_distributions=None,
        npm="https://registry.npmmirror.com",
        node="https://npmmirror.com/mirrors/node",
        bower=BOWER,
        pip="https://mirrors.aliyun.com/pypi/simple",
        debian="https://mirrors.aliyun.com/debian",
    ),
    "huaweicloud": Preset(
        apache=("https://repo.huaweicloud.com/apache",),
        maven="https://repo.huaweicloud.com/repository/maven",
        gradle_plugins=None,
        gradle_distributions="https://repo.huaweicloud.com/gradle",
        npm="https://repo.huaweicloud.com/repository/npm",
        node="https://repo.huaweicloud.com/nodejs",
        bower=BOWER,
        pip="https://repo.huaweicloud.com/repository/pypi/simple",
        debian="https://repo.huaweicloud.com/debian",
    ),
    "tencent": Preset(
        apache=("https://mirrors.cloud.tencent.com/apache",),
        maven="https://mirrors.cloud.tencent.com/nexus/repository/maven-public",
        gradle_plugins="https://mirrors.cloud.tencent.com/nexus/repository/gradle-plugins",
        gradle_distributions="https://mirrors.cloud.tencent.com/gradle",
        npm="https://mirrors.cloud.tencent.com/npm",
        node="https://mirrors.cloud.tencent.com/nodejs-release",
        bower=BOWER,
        pip="https://mirrors.cloud.tencent.com/pypi/simple",
        debian="https://mirrors.cloud.tencent.com/debian",
    ),
}
