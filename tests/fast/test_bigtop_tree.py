"""A tree in Bigtop's layout: what lies before rpmbuild, and with which definitions it runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bigtop_builder.model.errors import ConfigurationError
from bigtop_builder.recipe.bigtop.tree import BigtopRecipe, Layout, read_tree

TREE = Path(__file__).parent / "data" / "bigtop-tree"
PLAIN = Layout(suffix=False, parent=None)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A tree that a test may change."""
    return Path(shutil.copytree(TREE, tmp_path / "tree"))


def packaging(name: str, layout: Layout | None = None, root: Path = TREE) -> BigtopRecipe:
    return read_tree(root, {}).packaging(name, layout)


def content(found: BigtopRecipe, name: str) -> str:
    file = found.file(name)
    assert file is not None, f"{name} is not among {[file.name for file in found.files]}"
    return file.content.decode()


def test_what_is_copied_beside_the_spec() -> None:
    assert [file.name for file in packaging("ferry").files] == [
        "SOURCES/bigtop.bom",
        "SOURCES/conf.dist/ferry.conf",
        "SOURCES/deploy.sh",
        "SOURCES/do-component-build",
        "SOURCES/ferry-server.svc",
        "SOURCES/init.d.tmpl",
        "SOURCES/install_ferry.sh",
        "SOURCES/patch1-first.diff",
        "SOURCES/patch10-third.diff",
        "SOURCES/patch2-second.diff",
        "SOURCES/repository.xml",
        "SPECS/ferry.spec",
    ]


def test_common_files_win_over_those_of_the_spec_folder() -> None:
    assert content(packaging("ferry"), "SOURCES/ferry-server.svc") == "of the common folder\n"


def test_scripts_stay_executable() -> None:
    files = {file.name: file.executable for file in packaging("ferry").files}
    assert files["SOURCES/do-component-build"]
    assert files["SOURCES/deploy.sh"]
    assert not files["SOURCES/install_ferry.sh"]


def test_a_spec_is_written_anew_so_its_executable_bit_is_lost(copy: Path) -> None:
    (copy / "bigtop-packages/src/rpm/ferry/SPECS/ferry.spec").chmod(0o755)
    assert packaging("ferry", root=copy).files == packaging("ferry").files


def test_what_gradle_never_copies_is_left_out(copy: Path) -> None:
    common = copy / "bigtop-packages/src/common/ferry"
    for name in (".gitignore", "install_ferry.sh~", ".#lock"):
        (common / name).write_text("x")
    (common / ".git").mkdir()
    (common / ".git" / "config").write_text("x")
    assert packaging("ferry", root=copy).files == packaging("ferry").files


def test_build_scripts_get_the_versions_of_all_components() -> None:
    assert "HADOOP_VERSION=3.3.6\n" in content(packaging("ferry"), "SOURCES/bigtop.bom")


def test_patches_are_put_into_the_spec_by_number() -> None:
    found = packaging("ferry")
    assert found.patches == ("patch1-first.diff", "patch2-second.diff", "patch10-third.diff")
    spec = content(found, "SPECS/ferry.spec")
    assert "\nPatch0: patch1-first.diff\nPatch1: patch2-second.diff\nPatch2: patch10-third.diff\nRequires" in spec
    assert "\n%patch -P0 -p1\n%patch -P1 -p1\n%patch -P2 -p1\n\n%build" in spec
    assert "BIGTOP_PATCH" not in spec


def test_releases_before_3_5_sort_patches_by_name(copy: Path) -> None:
    (copy / "packages.gradle").write_text("def patches = list.sort()\n")
    assert packaging("ferry", root=copy).patches == ("patch1-first.diff", "patch10-third.diff", "patch2-second.diff")


def test_without_patches_the_marks_are_gone(copy: Path) -> None:
    for patch in (copy / "bigtop-packages/src/common/ferry").glob("*.diff"):
        patch.unlink()
    found = packaging("ferry", root=copy)
    assert found.patches == ()
    assert "atch" not in content(found, "SPECS/ferry.spec")


def test_definitions_of_a_stack_with_suffix_and_parent_directory() -> None:
    found = packaging("ferry")
    assert found.source_defines("/b/rpm/") == (
        "_topdir /b/rpm/",
        "ferry_base_version 1.10.2",
        "ferry_version 1.10.2",
        "ferry_release 2%{?dist}",
        "pkg_name_suffix _3_5_1",
    )
    assert found.binary_defines("/b/rpm/") == (
        "_topdir /b/rpm/",
        "ferry_base_version 1.10.2",
        "hadoop_version 3.3.6",
        "ferry_version 1.10.2",
        "ferry_release 2%{?dist}",
        "do_maven_deploy false",
        "maven_deploy_source false",
        "parent_dir /usr/bigtop/3.5.1",
        "bigtop_base_version 3.5.1",
        "pkg_name_suffix _3_5_1",
    )
    assert found.source_rpm(".el8") == "ferry_3_5_1-1.10.2-2.el8.src.rpm"


def test_definitions_of_packages_below_usr() -> None:
    found = packaging("ferry", PLAIN)
    assert found.binary_defines("/b")[-3:] == (
        "parent_dir %{nil}",
        "bigtop_base_version 3.5.1",
        "pkg_name_suffix %{nil}",
    )
    assert found.source_rpm("") == "ferry-1.10.2-2.src.rpm"


def test_a_component_without_suffix_keeps_its_name_but_not_its_folder() -> None:
    found = packaging("lantern")
    assert (found.suffix, found.parent_dir) == ("", "/usr/bigtop/3.5.1")
    assert "pkg_name_suffix %{nil}" in found.source_defines("/b")


def test_a_stamp_takes_the_place_of_the_release() -> None:
    found = packaging("ferry", Layout(stamp="20260101"))
    assert "ferry_release 20260101%{?dist}" in found.source_defines("/b")
    assert found.source_rpm(".el8") == "ferry_3_5_1-1.10.2-20260101.el8.src.rpm"


def test_dashes_are_underscores_where_bigtop_writes_them_so() -> None:
    found = packaging("harbor-utils")
    assert "harbor_utils_version 3.5.1" in found.source_defines("/b")
    assert "harbor-utils_version 3.5.1" in found.binary_defines("/b")


def test_a_component_without_source_is_made_of_the_licence() -> None:
    found = packaging("harbor-utils")
    assert (found.seed.made, found.licence) == ("from the licence", b"A licence.\n")
    assert packaging("ferry").licence is None


def test_dependencies_are_those_of_the_bill() -> None:
    assert packaging("ferry").depends == ("harbor-utils", "hadoop")


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("bigtop-packages/src/common/ferry/conf.dist/ferry.conf", True),
        ("bigtop-packages/src/rpm/ferry/SPECS/ferry.spec", True),
        ("bigtop-packages/src/scripts/deploy.sh", True),
        ("bigtop-packages/src/common/lantern/do-component-build", False),
        ("LICENSE", False),
    ],
)
def test_the_digest_is_over_what_shapes_the_packages(copy: Path, file: str, changes: bool) -> None:
    before = packaging("ferry", root=copy).digest
    assert before == packaging("ferry").digest
    with (copy / file).open("a") as stream:
        stream.write("# more\n")
    assert (packaging("ferry", root=copy).digest != before) is changes
    assert packaging("ferry", PLAIN, copy).digest != before


def test_an_executable_bit_changes_the_digest(copy: Path) -> None:
    (copy / "bigtop-packages/src/common/ferry/install_ferry.sh").chmod(0o755)
    assert packaging("ferry", root=copy).digest != packaging("ferry").digest


@pytest.mark.parametrize("missing", ["bigtop.bom", "packages.gradle", "bigtop-packages"])
def test_a_folder_that_is_no_tree(copy: Path, missing: str) -> None:
    (copy / missing).rename(copy / "away")
    with pytest.raises(ConfigurationError, match=rf"{missing}\S* is missing.*not a tree of Apache Bigtop"):
        read_tree(copy, {})


def test_a_missing_spec_is_named(copy: Path) -> None:
    (copy / "bigtop-packages/src/rpm/ferry/SPECS/ferry.spec").rename(copy / "x")
    with pytest.raises(ConfigurationError, match=r"bigtop-packages/src/rpm/ferry/SPECS/ferry\.spec.*does not exist"):
        packaging("ferry", root=copy)


@pytest.mark.parametrize("missing", ["do-component-build", "install_ferry.sh"])
def test_a_file_that_the_spec_asks_for_is_named_with_the_line(copy: Path, missing: str) -> None:
    (copy / "bigtop-packages/src/common/ferry" / missing).unlink()
    with pytest.raises(ConfigurationError, match=f"needs {missing}.*bigtop-packages/src/common/ferry") as caught:
        packaging("ferry", root=copy)
    assert caught.value.location is not None
    assert caught.value.location.line == {"do-component-build": 10, "install_ferry.sh": 11}[missing]


def test_a_tarball_that_the_spec_calls_otherwise_is_found_out(copy: Path) -> None:
    bom = copy / "bigtop.bom"
    bom.write_text(bom.read_text().replace("destination = source", 'destination = "ferry.tar.gz"'))
    with pytest.raises(ConfigurationError, match=r"needs apache-ferry-1\.10\.2\.tar\.gz"):
        packaging("ferry", root=copy)


def test_a_file_that_cannot_be_read(copy: Path) -> None:
    (copy / "bigtop-packages/src/common/ferry/broken").symlink_to("nowhere")
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        packaging("ferry", root=copy)
    assert "common/ferry/broken" in str(caught.value.location)
