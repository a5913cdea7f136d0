"""Identify the library that a jar is, and how certain that is.

In this order: Maven's ``pom.properties`` in the jar that matches the file's name; the same bytes in the Maven cache;
the only ``pom.properties``; the manifest; the file name. The confidence values are our own choice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Literal

from bigtop_builder.model.purl import package_url

Technique = Literal["manifest-analysis", "hash-comparison", "filename"]
"""CycloneDX's names for the evidence of an identity."""

_NAME = re.compile(r"(.+?)-(\d[\w.+-]*)$")
_CLASSIFIER = re.compile(r"-([A-Za-z][\w.-]*)$")


@dataclass(frozen=True)
class Coordinates:
    """A library in its ecosystem's own terms; ``group`` is Maven's group, npm's scope, or empty."""

    ecosystem: Literal["maven", "pypi", "npm"]
    group: str
    name: str
    version: str
    classifier: str = ""
    kind: str = "jar"

    @property
    def purl(self) -> str:
        """``pkg:maven/org.apache.zookeeper/zookeeper@3.5.9``; empty if the group of a Maven artifact is unknown."""
        if not self.version or (self.ecosystem == "maven" and not self.group):
            return ""
        kind = self.kind if self.kind != "jar" else ""
        return package_url(
            self.ecosystem, self.name, self.version, group=self.group, classifier=self.classifier, type=kind
        )


@dataclass(frozen=True)
class Identity:
    """Coordinates, the evidence for them (``source``), and a confidence from 0 to 1."""

    coordinates: Coordinates
    technique: Technique
    confidence: float
    source: str = ""


def from_pom_properties(path: str, text: str) -> Coordinates | None:
    """Parse a ``META-INF/maven/GROUP/ARTIFACT/pom.properties``; None if it lacks a version."""
    values = dict(_properties(text))
    *_, group, artifact, _ = ("", "", *PurePosixPath(path).parts)
    version = values.get("version", "")
    if not version:
        return None
    return Coordinates("maven", values.get("groupId") or group, values.get("artifactId") or artifact, version)


def _properties(text: str) -> Iterable[tuple[str, str]]:
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.lstrip().startswith(("#", "!")):
            yield name.strip(), value.strip()


def from_manifest(manifest: Mapping[str, str], file_name: str) -> Identity | None:
    """Return group and version from the main attributes of a jar's manifest, if they describe this file.

    A manifest often belongs to another, shaded library: one whose version differs from the file's is ignored. The
    file's own version is preferred to the manifest's, which OSGi extends (10.14.2.0 becomes 10.14.2000000.1828579).
    """
    named = from_file_name(file_name).coordinates
    versions = [manifest.get(name, "").strip() for name in ("Implementation-Version", "Bundle-Version")]
    version = next((text for text in versions if text and _agree(text, named.version)), "")
    if not version:
        return None
    symbolic = manifest.get("Bundle-SymbolicName", "").partition(";")[0].strip()
    group = manifest.get("Implementation-Vendor-Id", "").strip()
    if not group and symbolic.endswith(f".{named.name}"):
        group = symbolic.removesuffix(f".{named.name}")
    own = replace(named, group=group, version=named.version or version)
    return Identity(own, "manifest-analysis", 0.6 if group else 0.4, "META-INF/MANIFEST.MF")


def _agree(one: str, other: str) -> bool:
    """Whether two versions start with the same two numbers; an empty one agrees with any."""
    return not other or re.findall(r"\d+", one)[:2] == re.findall(r"\d+", other)[:2]


def only_pom(poms: Mapping[str, Coordinates], file_name: str) -> Identity | None:
    """The only ``pom.properties`` of a file whose name differs, if the version is the same or missing."""
    named = from_file_name(file_name).coordinates
    if len(poms) != 1:
        return None
    source, own = next(iter(poms.items()))
    return Identity(own, "manifest-analysis", 0.7, source) if named.version in ("", own.version) else None


def from_file_name(file_name: str) -> Identity:
    """``guava-14.0.1.jar`` → guava 14.0.1, without a group."""
    path = PurePosixPath(file_name)
    found = _NAME.match(path.stem)
    name, version = (found[1], found[2]) if found else (path.stem, "")
    return Identity(
        Coordinates("maven", "", name, version, kind=path.suffix.removeprefix(".").lower()), "filename", 0.3
    )


def best_pom(poms: Mapping[str, Coordinates], file_name: str) -> Identity | None:
    """Of several ``pom.properties``, by path, return the one that the file is named after; the others are shaded in."""
    path = PurePosixPath(file_name)
    fitting = [
        (path.stem.startswith(f"{own.name}-{own.version}"), len(own.name), source, own)
        for source, own in poms.items()
        if path.stem == own.name or path.stem.startswith(f"{own.name}-")
    ]
    if not fitting:
        return None
    exact, _, source, own = max(fitting, key=lambda item: (*item[:2], item[2]))
    rest = path.stem.removeprefix(f"{own.name}-{own.version}") if exact else ""
    classifier = found[1] if (found := _CLASSIFIER.fullmatch(rest)) else ""
    kind = path.suffix.removeprefix(".").lower()
    return Identity(replace(own, classifier=classifier, kind=kind), "manifest-analysis", 1.0 if exact else 0.9, source)


def main_attributes(text: str) -> dict[str, str]:
    """Parse the main section of a jar's manifest; wrapped lines are joined."""
    section = re.split(r"\r?\n\r?\n", text, maxsplit=1)[0]
    lines = re.sub(r"\r?\n ", "", section).splitlines()
    return {name.strip(): value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}
