"""SBOMs of packages written byte by byte, with jars made here; each is held against CycloneDX's own schema."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import tracemalloc
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from bigtop_builder.adapter.provenance.cyclonedx import HEADER_PROPERTY, sbom
from bigtop_builder.adapter.provenance.maven_cache import MavenCache
from bigtop_builder.adapter.rpm.gnupg import Signer
from bigtop_builder.adapter.rpm.header import read_header
from bigtop_builder.adapter.rpm.signing import sign_package
from tests.rpmfile import File, Spec, write_rpm

LIB = "/usr/lib/demo/lib"
JARS = [f"{LIB}/j{number}-1.0.jar" for number in range(400)]


@pytest.fixture(scope="module")
def validator() -> JsonStrictValidator:
    return JsonStrictValidator(SchemaVersion.V1_6)


def jar(entries: Mapping[str, bytes | str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def pom(group: str, artifact: str, version: str) -> dict[str, str]:
    text = f"# made by a test\r\ngroupId={group}\r\nartifactId={artifact}\r\nversion={version}\r\n"
    return {f"META-INF/maven/{group}/{artifact}/pom.properties": text}


def manifest(**attributes: str) -> dict[str, str]:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in attributes.items()]
    return {"META-INF/MANIFEST.MF": "\r\n".join(["Manifest-Version: 1.0", *lines, "", ""])}


def bill(tmp_path: Path, files: Mapping[str, File | bytes], cache: Path | None = None, **spec: Any) -> dict[str, Any]:
    package = write_rpm(tmp_path, Spec(files=files, **spec))
    data: dict[str, Any] = json.loads(sbom(package, read_header(package), MavenCache(cache)))
    return data


def only(data: dict[str, Any]) -> dict[str, Any]:
    assert len(data["components"]) == 1, data["components"]
    found: dict[str, Any] = data["components"][0]
    return found


def identity(component: dict[str, Any]) -> tuple[str, float]:
    found = component["evidence"]["identity"][0]
    return found["methods"][0]["technique"], found["confidence"]


def test_the_package_itself_is_described(tmp_path: Path, validator: JsonStrictValidator) -> None:
    data = bill(tmp_path, {}, epoch=1, version="3.5.9~rc1", release="2.el8")
    component = data["metadata"]["component"]
    assert component["purl"] == "pkg:rpm/demo@3.5.9~rc1-2.el8?arch=noarch&epoch=1"
    assert component["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert data["metadata"]["timestamp"] == "2020-09-13T12:26:40Z"
    assert data["components"] == []
    assert validator.validate_str(json.dumps(data)) is None


def test_a_jar_is_known_by_its_pom_properties_and_its_bytes(tmp_path: Path) -> None:
    content = jar({**manifest(Bundle_License='"MIT";link=x'), **pom("org.x", "demo-core_2.12", "1.0")})
    files = {f"{LIB}/demo-core_2.12-1.0.jar": content, "/opt/again/renamed.jar": content}
    found = only(bill(tmp_path, files))
    assert found["purl"] == "pkg:maven/org.x/demo-core_2.12@1.0"
    assert (found["group"], found["name"], found["version"]) == ("org.x", "demo-core_2.12", "1.0")
    assert {one["alg"]: one["content"] for one in found["hashes"]} == {
        "SHA-256": hashlib.sha256(content).hexdigest(),
        "SHA-1": hashlib.sha1(content).hexdigest(),
    }
    assert [one["location"] for one in found["evidence"]["occurrences"]] == [
        "/opt/again/renamed.jar",
        f"{LIB}/demo-core_2.12-1.0.jar",
    ]
    assert found["licenses"] == [{"license": {"id": "MIT"}}]


def test_links_are_not_told_as_jars(tmp_path: Path) -> None:
    content = jar(pom("org.x", "a", "1"))
    found = only(bill(tmp_path, {f"{LIB}/a-1.jar": content, f"{LIB}/a.jar": File(link="a-1.jar", mode=0o120777)}))
    assert [one["location"] for one in found["evidence"]["occurrences"]] == [f"{LIB}/a-1.jar"]


def test_shaded_libraries_are_components_of_their_jar(tmp_path: Path, validator: JsonStrictValidator) -> None:
    shaded = {**pom("com.google", "guava", "14.0.1"), **pom("org.x", "x-server", "2.0"), **pom("org.x", "x", "2.0")}
    data = bill(tmp_path, {f"{LIB}/x-server-2.0-shaded.jar": jar(shaded)})
    found = only(data)
    assert found["purl"] == "pkg:maven/org.x/x-server@2.0?classifier=shaded"
    assert [one["purl"] for one in found["components"]] == [
        "pkg:maven/com.google/guava@14.0.1",
        "pkg:maven/org.x/x@2.0",
    ]
    assert validator.validate_str(json.dumps(data)) is None


def test_archives_in_archives_are_told_one_level_deep(tmp_path: Path) -> None:
    deepest = jar(pom("org.x", "deepest", "1"))
    inner = jar({**pom("org.x", "inner", "1"), "lib/deepest-1.jar": deepest})
    war = jar({**pom("org.x", "web", "1"), "WEB-INF/lib/inner-1.jar": inner, "WEB-INF/lib/broken-3.jar": b"no zip"})
    found = only(bill(tmp_path, {f"{LIB}/web-1.war": war}))
    assert found["purl"] == "pkg:maven/org.x/web@1?type=war"
    nested = {one["name"]: one for one in found["components"]}
    assert nested.keys() == {"inner", "broken"}
    assert nested["inner"]["hashes"][0]["content"] == hashlib.sha256(inner).hexdigest()
    assert nested["inner"]["evidence"]["occurrences"] == [{"location": "WEB-INF/lib/inner-1.jar"}]
    assert "components" not in nested["inner"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a zip at all",
        jar({"a": b"a" * 1000})[:200],
        jar(pom("g", "a", "1")).replace(b"groupId", b"\0\0\0\0\0\0\0"),
    ],
    ids=["empty", "text", "cut", "wrong checksum"],
)
def test_a_broken_archive_is_told_by_its_name(tmp_path: Path, content: bytes, validator: JsonStrictValidator) -> None:
    data = bill(tmp_path, {f"{LIB}/a-b-1.2.jar": content})
    found = only(data)
    assert (found["name"], found["version"]) == ("a-b", "1.2")
    assert "purl" not in found
    assert identity(found) == ("filename", 0.3)
    assert found["properties"][0]["name"] == "bigtop-builder:damaged"
    assert validator.validate_str(json.dumps(data)) is None


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6), st.floats(0, 1)
)
def test_no_damage_of_an_archive_ends_the_reading(flips: list[tuple[float, int]], kept: float) -> None:
    data = bytearray(jar({**pom("g", "a", "1"), "lib/x-1.jar": jar(pom("h", "x", "1"))}))
    for place, value in flips:
        data[int(place * len(data))] = value
    content = bytes(data[: int(kept * len(data))])
    with tempfile.TemporaryDirectory() as folder:
        found = only(bill(Path(folder), {f"{LIB}/a-1.jar": content}))
    assert found["hashes"][0]["content"] == hashlib.sha256(content).hexdigest()


def test_a_jar_that_says_nothing_is_found_in_the_maven_cache_by_its_bytes(tmp_path: Path) -> None:
    content, other = jar({"a": b"a"}), jar({"a": b"b"})
    cached = tmp_path / "maven" / "org" / "x" / "silent" / "1.0" / "silent-1.0-tests.jar"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(content)
    data = bill(tmp_path, {f"{LIB}/renamed.jar": content, f"{LIB}/silent-1.0.jar": other}, tmp_path / "maven")
    first, second = data["components"]
    assert (second.get("purl"), identity(second)) == (
        "pkg:maven/org.x/silent@1.0?classifier=tests",
        ("hash-comparison", 1.0),
    )
    assert identity(first) == ("filename", 0.3)


@pytest.mark.parametrize(
    ("name", "attributes", "expected", "confidence"),
    [
        (
            "ivy-2.5.0.jar",
            {"Bundle_SymbolicName": "org.apache.ivy;a=b", "Bundle_Version": "2.5.0.final_2"},
            "2.5.0",
            0.6,
        ),
        ("ivy-2.5.0.jar", {"Implementation_Vendor_Id": "org.apache", "Implementation_Version": "2.5.0"}, "2.5.0", 0.6),
        ("ivy.jar", {"Implementation_Title": "Ivy", "Implementation_Version": "2.5.0"}, "2.5.0", 0.4),
        ("ivy-2.5.0.jar", {"Implementation_Vendor_Id": "org.other", "Implementation_Version": "1.1.1"}, "2.5.0", 0.3),
    ],
    ids=["bundle", "implementation", "no group", "of another library"],
)
def test_a_manifest_is_believed_when_it_speaks_of_the_file(
    tmp_path: Path, name: str, attributes: dict[str, str], expected: str, confidence: float
) -> None:
    found = only(bill(tmp_path, {f"{LIB}/{name}": jar(manifest(**attributes))}))
    assert (found["name"], found["version"]) == ("ivy", expected)
    assert identity(found)[1] == confidence
    assert found.get("group") == ("org.apache" if confidence == 0.6 else None)


def test_the_only_pom_of_another_version_is_shaded_in(tmp_path: Path) -> None:
    content = jar({**manifest(Bundle_Version="2.12.15"), **pom("jline", "jline", "2.14.6")})
    found = only(bill(tmp_path, {f"{LIB}/scala-compiler-2.12.15.jar": content}))
    assert (found["name"], found["version"]) == ("scala-compiler", "2.12.15")
    assert [one["purl"] for one in found["components"]] == ["pkg:maven/jline/jline@2.14.6"]


def test_python_and_npm_packages_are_told(tmp_path: Path, validator: JsonStrictValidator) -> None:
    site, modules = "/usr/lib/python3/site-packages", "/usr/lib/ui/node_modules"
    data = bill(
        tmp_path,
        {
            f"{site}/My_Pkg-1.0.dist-info/METADATA": b"Name: My_Pkg\nVersion: 1.0\nLicense: MIT\n\nT",
            f"{modules}/@scope/a/package.json": b'{"name": "@scope/a", "version": "2.0", "license": "ISC"}',
            f"{modules}/b/package.json": b"{broken",
            f"{modules}/b/lib/package.json": b'{"name": "no", "version": "1"}',
        },
    )
    assert [one["purl"] for one in data["components"]] == ["pkg:npm/%40scope/a@2.0", "pkg:pypi/my-pkg@1.0"]
    assert validator.validate_str(json.dumps(data)) is None


def test_many_jars_and_many_shaded_libraries(tmp_path: Path) -> None:
    shaded: dict[str, str] = {}
    for number in range(2000):
        shaded |= pom("org.many", f"m{number}", "1")
    files = {path: jar({"n": path}) for path in JARS} | {f"{LIB}/all-1.jar": jar(shaded)}
    data = bill(tmp_path, files)
    assert len(data["components"]) == len(JARS) + 1
    assert max(len(one.get("components", ())) for one in data["components"]) == 2000


def test_memory_does_not_grow_with_the_size_of_a_jar(tmp_path: Path) -> None:
    large = jar({**pom("org.x", "large", "1"), "data": bytes(60 << 20)})
    package = write_rpm(tmp_path, Spec(files={f"{LIB}/large-1.jar": large}))
    del large
    header = read_header(package)
    tracemalloc.start()
    try:
        sbom(package, header, MavenCache(None))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 << 20


def test_the_same_package_has_the_same_sbom_whoever_signs_it(tmp_path: Path, signer: Signer) -> None:
    package = write_rpm(tmp_path, Spec(files={f"{LIB}/a-1.jar": jar(pom("org.x", "a", "1"))}))
    sign_package(signer, package, tmp_path / "signed.rpm")
    bills = [sbom(path, read_header(path), MavenCache(None)) for path in (package, package, tmp_path / "signed.rpm")]
    assert bills[0] == bills[1] == bills[2]
    data = json.loads(bills[0])
    assert data["serialNumber"].startswith("urn:uuid:")
    assert data["metadata"]["component"]["properties"] == [
        {"name": HEADER_PROPERTY, "value": read_header(package).sha256}
    ]
    other = write_rpm(tmp_path, Spec(files={f"{LIB}/a-1.jar": jar(pom("org.x", "a", "2"))}))
    assert json.loads(sbom(other, read_header(other), MavenCache(None)))["serialNumber"] != data["serialNumber"]
