"""The shipped component files: what each gives for every platform, held against Bigtop 3.2.0's package names."""

from __future__ import annotations

import subprocess
from itertools import product
from pathlib import Path

import pytest

from bigtop_builder.model.project import Choice
from bigtop_builder.model.source import PypiSource
from bigtop_builder.recipe.catalog import Catalog, shipped_templates
from bigtop_builder.recipe.evaluate import Evaluated, Target, evaluate
from bigtop_builder.recipe.spec import render_spec, service_files

CATALOG = Catalog()
STACK = CATALOG.stack("bigtop-3.2.0")
OVERLAY = shipped_templates().parent / "examples" / "overlay"

NAMES = {
    "bigtop-utils": ["bigtop-utils-3.2.0-1"],
    "bigtop-select": ["bigtop-select-3.2.0-1"],
    "bigtop-jsvc": ["bigtop-jsvc-1.2.4-1"],
    "bigtop-groovy": ["bigtop-groovy-2.5.4-1"],
    "zookeeper": [f"zookeeper_3_2_0{part}-3.5.9-2" for part in ("", "-server", "-rest")],
    "zookeeper-native": ["zookeeper_3_2_0-native-3.5.9-2"],
    "spark": [
        f"spark_3_2_0{part}-3.2.3-1"
        for part in (
            "",
            "-core",
            "-master",
            "-worker",
            "-python",
            "-history-server",
            "-thriftserver",
            "-datanucleus",
            "-external",
        )
    ],
    "flink": [f"flink_3_2_0{part}-1.15.3-1" for part in ("", "-jobmanager", "-taskmanager")],
    "redis": [f"redis_3_2_0{part}-7.0.15-1" for part in ("", "-server", "-sentinel")],
    "solr": [f"solr_3_2_0{part}-8.11.2-1" for part in ("", "-server", "-doc")],
    "livy": ["livy_3_2_0-0.7.1-1"],
    "zeppelin": ["zeppelin_3_2_0-0.10.1-1"],
    "sqoop": [f"sqoop_3_2_0{part}-1.4.7-1" for part in ("", "-metastore")],
}
NATIVE = {"bigtop-jsvc", "redis", "zookeeper-native"}


def _evaluated(name: str, platform: str = "el7", catalog: Catalog = CATALOG, **choice: object) -> Evaluated:
    chosen = catalog.platform(platform)
    target = Target(chosen, chosen, chosen.architectures[0])
    return evaluate(catalog, catalog.stack("bigtop-3.2.0"), name, target, Choice.model_validate(choice))


@pytest.mark.parametrize("name", NAMES)
def test_packages_have_bigtops_names(name: str) -> None:
    arch = "x86_64" if name in NATIVE else "noarch"
    assert set(_evaluated(name).package_files()) == {f"{nvr}.el7.{arch}.rpm" for nvr in NAMES[name]}


@pytest.mark.parametrize(("name", "platform"), list(product(CATALOG.component_files, CATALOG.platform_files)))
def test_scripts_are_bash_and_the_spec_is_whole(name: str, platform: str, tmp_path: Path) -> None:
    evaluated = _evaluated(name, platform)
    scripts = [evaluated.build.script, evaluated.install]
    scripts += [text for package in evaluated.packages for text in package.scripts.values()]
    scripts += [file.content.decode() for file in service_files(CATALOG, evaluated)]
    for script in scripts:
        done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
    spec = render_spec(evaluated)
    assert "{{" not in spec and "None" not in spec
    for package in evaluated.packages:
        assert spec.count(f"%files -n {package.name}\n") == (package is not evaluated.packages[0])
        for service in package.services:
            assert f"%attr(0755,root,root) /etc/rc.d/init.d/{service.name}" in spec


def test_sparks_hadoop_is_required_unless_bundled() -> None:
    hadoop = ["hadoop_3_2_0-client", "hadoop_3_2_0-yarn"]
    provided = _evaluated("spark")
    assert [line for line in provided.packages[0].requires if "hadoop" in line] == hadoop
    assert "jars/hadoop-*.jar" in provided.install
    bundled = _evaluated("spark", options={"hadoop": "bundled"})
    assert [line for line in bundled.packages[0].requires if "hadoop" in line] == []
    assert "jars/hadoop-*.jar" not in bundled.install


def test_sparks_variants_differ_in_what_the_pypi_release_lacks() -> None:
    source, binary = _evaluated("spark", variant="source"), _evaluated("spark")
    assert {package.name for package in source.packages} - {package.name for package in binary.packages} == {
        "spark_3_2_0-yarn-shuffle"
    }
    assert binary.lacks and all(left.reason for left in binary.left_out)


def test_spark_of_another_version_comes_from_a_tree(tmp_path: Path) -> None:
    spark = _evaluated("spark", version="3.1.2", variant="source", source=str(tmp_path))
    assert "spark_3_2_0-3.1.2-1.el7.noarch.rpm" in spark.package_files()
    assert "-Dhadoop.version" not in spark.build.script
    with_hadoop = _evaluated("spark", variant="source", options={"hadoop_version": "3.3.4"})
    assert "-Dhadoop.version=3.3.4" in with_hadoop.build.script


def test_sparkr_is_built_on_request() -> None:
    spark = _evaluated("spark", variant="source", options={"sparkr": "yes"})
    assert "spark_3_2_0-sparkr" in {package.name for package in spark.packages}
    assert ",kubernetes,sparkr " in spark.build.script


@pytest.mark.parametrize(("platform", "required"), [("el7", True), ("el8", True), ("el9", False)])
def test_lsb_is_required_where_it_exists(platform: str, required: bool) -> None:
    for name in ("flink", "livy", "solr", "spark", "zeppelin", "zookeeper"):
        lines = [line for package in _evaluated(name, platform).packages for line in package.requires]
        assert ("/lib/lsb/init-functions" in lines) == required


def test_no_path_forgets_the_parent_directory() -> None:
    for name in ("zookeeper", "spark", "flink", "livy", "redis", "solr", "sqoop", "zeppelin"):
        evaluated = _evaluated(name)
        texts = [file.content.decode() for file in (*evaluated.files, *service_files(CATALOG, evaluated))]
        lists = (line for package in evaluated.packages for line in evaluated.format.file_list(package))
        for text in (*texts, evaluated.install, *lists):
            for folder in (f"/usr/lib/{name}", "/usr/lib/spark", "/usr/lib/hadoop"):
                assert text.count(folder) == text.count("/usr/bigtop/3.2.0" + folder)


def test_redis_names_the_licence_of_its_version() -> None:
    assert [_evaluated("redis", version=version).license for version in ("7.0.15", "7.4.0")] == [
        "BSD",
        "RSALv2 or SSPLv1",
    ]


def test_the_published_distributions_are_what_is_built_unless_chosen_otherwise() -> None:
    for name in ("spark", "flink"):
        assert isinstance(_evaluated(name).sources[0].alternatives[0], PypiSource)


def test_the_example_overlay_is_one_short_file() -> None:
    files = list(OVERLAY.glob("components/*/*"))
    assert [file.name for file in files] == ["component.yaml"]
    assert len(files[0].read_text().splitlines()) < 80
    driver = _evaluated("postgresql-jdbc", "el8", Catalog((OVERLAY,)))
    assert {package.name for package in driver.packages} == {"postgresql-jdbc", "hive_3_2_0-postgresql-jdbc"}
    assert "%package -n hive_3_2_0-postgresql-jdbc" in render_spec(driver)
