"""Image recipes and records: keys say what was asked for, records what came of it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from bigtop_builder.adapter.containers.bootstrap import base_tag
from bigtop_builder.adapter.containers.image_recipe import ImageKind, ImageSpec, image_key, image_spec, maven_source
from bigtop_builder.adapter.containers.image_record import ImageRecord, recorded
from bigtop_builder.adapter.store import Store
from bigtop_builder.model.errors import RecipeError
from bigtop_builder.model.source import MavenSource
from bigtop_builder.recipe.catalog import Catalog

CATALOG = Catalog()
KINDS: tuple[ImageKind, ...] = ("package", "toolchain", "host")
NAMES = ("el7", "el8", "el9", "openeuler22", "kylin10", "debian-bootstrap")


def spec(
    name: str = "debian-bootstrap",
    kind: ImageKind = "toolchain",
    *,
    jdk: int | None = 8,
    maven: str | None = "3.6.3",
    packages: tuple[str, ...] = (),
) -> ImageSpec:
    return image_spec(CATALOG.platform(name), kind, CATALOG.image_template, jdk=jdk, maven=maven, packages=packages)


def test_all_platforms_are_there() -> None:
    assert set(NAMES) <= set(CATALOG.platform_files)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_platform_renders_every_kind(name: str, kind: ImageKind) -> None:
    recipe = spec(name, kind, maven=None).recipe
    assert recipe.startswith("ARG BASE\nFROM ${BASE}\n")
    assert "ca.pem" not in recipe
    assert "{{" not in recipe
    assert "{%" not in recipe


@pytest.mark.parametrize("name", ["el8", "debian-bootstrap"])
def test_certificates_stay_in_a_stage_that_is_thrown_away(name: str) -> None:
    recipe = spec(name, "package", jdk=None, maven=None).recipe_with_ca
    made, final = recipe.split("FROM scratch\n")
    assert made.rstrip().endswith("RUN rm /run/site-ca.pem")
    assert "ca.pem" not in final


def test_a_toolchain_has_what_was_asked_for_and_no_more() -> None:
    recipe = spec(packages=("git", "gcc")).recipe
    assert "openjdk-8-jdk-headless gcc git;" in recipe
    assert "ADD apache-maven-3.6.3-bin.tar.gz /opt/" in recipe
    assert "jdk" not in spec(jdk=None, maven=None).recipe
    assert "java-1.8.0-openjdk-devel" in spec("el8").recipe


def test_keys_follow_what_shapes_the_image() -> None:
    keys = [
        image_key(spec()),
        image_key(spec(jdk=11)),
        image_key(spec(maven="3.8.8")),
        image_key(spec(maven=None)),
        image_key(spec(packages=("git",))),
        image_key(spec("el8")),
        image_key(spec(kind="package", jdk=None, maven=None)),
    ]
    assert len(set(keys)) == len(keys)
    assert image_key(spec(packages=("git", "gcc"))) == image_key(spec(packages=("gcc", "git", "gcc")))


def test_a_changed_layer_below_changes_the_key() -> None:
    above = spec()
    assert above.parent is not None
    below = dataclasses.replace(above.parent, recipe=above.parent.recipe + "RUN true\n")
    assert image_key(dataclasses.replace(above, parent=below)) != image_key(above)


def test_a_changed_registry_digest_changes_the_key() -> None:
    platform = CATALOG.platform("el8")
    image = platform.image.model_copy(update={"digest": "sha256:" + "0" * 64})
    other = image_spec(platform.model_copy(update={"image": image}), "package", CATALOG.image_template)
    assert image_key(other) != image_key(spec("el8", "package", jdk=None, maven=None))


@pytest.mark.parametrize("bad", ["gcc; rm -rf /", "$(id)", "-y", "a b", ""])
def test_a_package_is_a_name(bad: str) -> None:
    with pytest.raises(RecipeError, match="is not the name of a package"):
        spec(packages=(bad,))


def test_the_overlay_of_an_image_template_wins(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/debian.Dockerfile.j2").write_text("ARG BASE\nFROM ${BASE}\nRUN echo {{ kind }}\n")
    catalog = Catalog((tmp_path,))
    made = image_spec(catalog.platform("debian-bootstrap"), "package", catalog.image_template)
    assert made.recipe == "ARG BASE\nFROM ${BASE}\nRUN echo package\n"


def test_the_host_knows_what_packages_ask_for() -> None:
    files = spec(kind="host", jdk=None, maven=None).files
    for capability in ("chkconfig", "coreutils", "initscripts", "which", "python", "unzip", "curl"):
        assert f"Provides: {capability}\n" in files["system.spec"]
    assert "Provides: system-release(releasever) = 8\n" in files["system.spec"]


@pytest.mark.parametrize("version", ["3.6.3", "3.8.8"])
def test_maven_comes_by_digest(version: str) -> None:
    first = maven_source(version).alternatives[0]
    assert isinstance(first, MavenSource)
    assert first.maven == f"org.apache.maven:apache-maven:{version}:tar.gz:bin"
    assert first.digest.startswith("sha512:")


def test_another_mirror_is_another_base() -> None:
    assert base_tag("trixie", "http://a/debian", "x86_64") != base_tag("trixie", "http://b/debian", "x86_64")
    assert base_tag("trixie", "http://a/debian", "x86_64") == base_tag("trixie", "http://a/debian", "x86_64")


def test_records(tmp_path: Path) -> None:
    store = Store(tmp_path).open()
    assert recorded(store, "k") is None
    record = ImageRecord("k", "n", "sha256:1", "t:1", "f", "p", "b", 1.0)
    (tmp_path / "images/k.json").write_text(json.dumps(dataclasses.asdict(record)))
    assert recorded(store, "k") == record
    for damaged in ("", "{", "[]", '{"key": "k"}'):
        (tmp_path / "images/k.json").write_text(damaged)
        assert recorded(store, "k") is None
