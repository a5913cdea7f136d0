"""A bill of materials in Bigtop's grammar: what it says, and that every mistake has its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigtop_builder.model.errors import ConfigurationError, RecipeError
from bigtop_builder.model.source import ApacheSource, GitSource, HttpsSource
from bigtop_builder.recipe.bigtop.bom import Bom, parse_bom, read_bom
from bigtop_builder.recipe.bigtop.slurper import Block, slurp
from bigtop_builder.recipe.bigtop.source import Pin, addresses, seed, source
from bigtop_builder.recipe.bigtop.tree import read_tree

FILE = Path(__file__).parent / "data" / "bigtop-tree" / "bigtop.bom"
TEXT = FILE.read_text(encoding="utf-8")
PIN = Pin(sha512="ab" * 64)


def bom(text: str = TEXT, **environment: str) -> Bom:
    return parse_bom(text, FILE, environment)


def values(text: str) -> dict[str, object]:
    return dict(slurp(text, FILE, {}).values)


def problem(text: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        parse_bom(text, FILE, {})
    return caught.value


def test_the_stack() -> None:
    read = read_bom(FILE, {})
    assert (read.version, read.base_version) == ("3.5.1-SNAPSHOT", "3.5.1")
    assert dict(read.stack) == {"jdk": "1.8", "scala": "2.12.13"}
    assert read.archive == "https://archive.example.org/dist"
    assert list(read.components) == ["ferry", "hadoop", "lantern", "harbor-utils", "beacon"]


def test_the_environment_may_choose_the_jdk() -> None:
    assert bom(BIGTOP_JDK="11").stack["jdk"] == "1.11"


def test_a_component_with_everything() -> None:
    ferry = bom().component("ferry")
    assert (ferry.name, ferry.package, ferry.suffix, ferry.notes) == (
        "ferry",
        "ferry",
        "_3_5_1",
        "Ferry: carries things",
    )
    assert (ferry.base_version, ferry.version, ferry.release) == ("1.10.2", "1.10.2", "2")
    assert ferry.tarball == ferry.download == "apache-ferry-1.10.2.tar.gz"
    assert ferry.parallel
    assert ferry.location.line == 22


def test_what_is_left_out_has_bigtops_default() -> None:
    hadoop = bom().component("hadoop")
    assert (hadoop.package, hadoop.version, hadoop.suffix, hadoop.site, hadoop.parallel) == (
        "hadoop",
        "3.3.6",
        None,
        None,
        False,
    )


def test_texts_lose_what_is_taken_from_them() -> None:
    utils = bom().component("harbor-utils")
    assert (utils.base_version, utils.version, utils.packaging) == ("3.5.1-SNAPSHOT", "3.5.1", "rpm")


def test_keys_that_nobody_reads_are_told() -> None:
    assert bom().component("lantern").unknown == ("colour",)
    mistyped = TEXT.replace('"beacon-${version.base}-src.tgz"', '"b.tgz"; sorce = "x"')
    assert bom(mistyped).component("beacon").unknown == ("tarball.sorce",)


def test_dependencies() -> None:
    read = bom()
    assert read.dependencies["harbor-utils"] == ("ferry", "hadoop", "lantern")
    assert read.prerequisites("ferry") == ("harbor-utils", "hadoop")
    assert read.prerequisites("harbor-utils") == ()


def test_a_prerequisite_that_is_no_component_is_an_error_where_it_stands() -> None:
    with pytest.raises(ConfigurationError, match="built after 'lost'") as caught:
        bom().prerequisites("beacon")
    assert caught.value.location is not None
    assert (caught.value.location.line, caught.value.location.column) == (
        TEXT[: TEXT.index("lost:")].count("\n") + 1,
        5,
    )


def test_the_versions_that_build_scripts_read() -> None:
    assert bom().version_lines() == (
        "FERRY_VERSION=1.10.2\nHADOOP_VERSION=3.3.6\nLANTERN_VERSION=0.7\nHARBOR_UTILS_VERSION=3.5.1-SNAPSHOT\n"
        "BEACON_VERSION=2.0\nJDK_VERSION=1.8\nSCALA_VERSION=2.12.13\n"
    )


def test_an_unknown_component_suggests_the_near_one() -> None:
    with pytest.raises(ConfigurationError) as caught:
        bom().component("fery")
    assert caught.value.hint == "Did you mean ferry?"


def test_sources_at_apache_are_paths_below_dist() -> None:
    read = bom()
    found = source(read, read.component("ferry"), PIN)
    assert found is not None
    assert found.unpack == "no"
    assert found.alternatives == [
        ApacheSource(apache="ferry/ferry-1.10.2/apache-ferry-1.10.2.tar.gz", sha512="ab" * 64)
    ]
    assert addresses(read.component("hadoop")) == (
        "https://archive.example.org/dist/hadoop/common/hadoop-3.3.6-src.tar.gz",
    )


def test_sources_elsewhere_are_addresses() -> None:
    read = bom()
    found = source(read, read.component("lantern"), PIN)
    assert found is not None
    assert found.alternatives == [
        HttpsSource(https="https://code.example.org/lantern/archive/0.7.zip", sha512="ab" * 64)
    ]


def test_sources_of_git_need_the_commit() -> None:
    read = bom()
    beacon = read.component("beacon")
    with pytest.raises(RecipeError, match="no commit is known"):
        source(read, beacon, None)
    found = source(read, beacon, Pin(commit="c" * 40))
    assert found is not None
    assert found.alternatives == [GitSource(git="https://code.example.org/beacon.git", tag="v2.0", commit="c" * 40)]


def test_without_a_digest_there_is_no_source() -> None:
    read = bom()
    with pytest.raises(RecipeError, match="no digest is known"):
        source(read, read.component("ferry"), None)
    assert source(read, read.component("harbor-utils"), None) is None


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("https://code.example.org/lantern", "ftp://code.example.org/lantern", "cannot be 'ftp://"),
        (
            'site = "https://code.example.org/lantern/archive/"\n                archive = site',
            "",
            "neither url.site nor",
        ),
    ],
)
def test_addresses_that_cannot_be(old: str, new: str, words: str) -> None:
    assert old in TEXT
    read = bom(TEXT.replace(old, new))
    with pytest.raises(RecipeError, match=words) as caught:
        source(read, read.component("lantern"), PIN)
    assert caught.value.location == read.component("lantern").location


@pytest.mark.parametrize(
    ("component", "name", "made", "top"),
    [
        ("ferry", "apache-ferry-1.10.2.tar.gz", "copied", None),
        ("lantern", "lantern-0.7.zip", "from zip", "lantern-0.7"),
        ("harbor-utils", "harbor-utils-3.5.1-SNAPSHOT.tar.gz", "from the licence", "harbor-utils-3.5.1-SNAPSHOT"),
        ("beacon", "beacon.tar.gz", "from git", "beacon-2.0-src"),
    ],
)
def test_how_the_tarball_is_made(component: str, name: str, made: str, top: str | None) -> None:
    found = seed(bom().component(component))
    assert (found.name, found.made, found.top) == (name, made, top)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a = 'x\\'y$z\\u0041'", "x'y$zA"),
        ('b = "x"; a = "$b-${b}.${ b + 1 }\\$b"', "x-x.x1$b"),
        ('b { c { d = "x" } }; a = "$b.c.d."', "x."),
        ("a = 3.10", "3.10"),
        ("a = 1 +\n 2 - 1", "2"),
        ("a = 'a-b-a' - 'a'", "-b-a"),
        ("a = '' ?: 'y'", "y"),
        ("a = null ?: 'y'", "y"),
        ("a = true ?: 'y'", "True"),
        ("a = 'a.b.c'.replace('.', '_').toUpperCase()", "A_B_C"),
        ("a = 'x1'.takeWhile { c -> c == 'x' }", "x"),
        ("v = 'out'; s { v = 'in'; w = v }; a = s.w", "in"),
        ("v = 'out'; s { w = v; v = 'in' }; a = s.w", "out"),
        ("s { v = 'in' }; s { w = v }; a = s.w", "in"),
        ("s { v = 'in' }; s.v = 'new'; a = s.v", "new"),
        ("m = [k: 'v', 'l-m': 'w',]; a = m.k", "v"),
        ("#!/usr/bin/env groovy\n// c\n/* { */ a /**/ = /* x */ 'y' // z", "y"),
    ],
)
def test_the_grammar(text: str, value: str) -> None:
    assert str(values(text)["a"]) == value


def test_lists_and_empty_maps() -> None:
    read = slurp("a = ['x',\n 'y',\n]; b = [:]; c = []", FILE, {})
    assert read.values["a"] == ["x", "y"]
    assert read.values["c"] == []
    assert not isinstance(read.values["b"], list | Block)


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("bigtop {\n  version = \n}", 3, 1, "expected a value, found '}'"),
        ("bigtop {\n  a = 'x' b = 'y'\n}", 2, 11, "expected the end of the line or ';'"),
        ("bigtop {\n", 2, 1, "found the end"),
        ("bigtop\n{ }", 1, 7, "expected '=' or '{'"),
        ("bigtop {\n  name 'x'\n}", 2, 8, "expected '=' or '{'"),
        ("bigtop {\n  if (x) { a = 1 }\n}", 2, 3, "a keyword of Groovy"),
        ("bigtop {\n  def x = 1\n}", 2, 3, "a keyword of Groovy"),
        ("bigtop {\n  a = x ? 'y' : 'z'\n}", 2, 9, "unexpected character '?'"),
        ("bigtop {\n  a = 'x\n}", 2, 7, "not closed by '"),
        ("bigtop {\n  a = '''x'''\n}", 2, 7, "several lines"),
        ('bigtop {\n  a = "${x"\n}', 2, 11, "not closed"),
        ('bigtop {\n  a = "$-"\n}', 2, 9, "after $"),
        ("bigtop {\n  a = 'x\\q'\n}", 2, 9, "'\\q' is not a valid escape"),
        ("bigtop {\n  a = 3.2.0\n}", 2, 11, "expected a name"),
        ("bigtop {\n  a = 012\n}", 2, 7, "invalid number"),
        ("/* open\n", 1, 1, "not closed"),
        ("bigtop {\n  a = 'x'.eachLine { it == 'x' }\n}", 2, 11, "method 'eachLine' is not supported"),
        ("bigtop {\n  a = 'x'.takeWhile { it }\n}", 2, 26, "'==' or '!='"),
        ("bigtop {\n  a = 'x'.replace('y')\n}", 2, 11, "takes 2 arguments"),
        ("bigtop {\n  a = System.exit(1)\n}", 2, 14, "only getenv"),
        ('bigtop {\n  name = "x"\n  a = "${nme}"\n}', 3, 10, "'nme' is not defined"),
        ('bigtop {\n  v = ""\n  a = "$v"\n}', 3, 9, "is empty here"),
        ('bigtop {\n  v { a = 1 }\n  b = "${v.c}"\n}', 3, 12, "bigtop.v has no 'c'"),
        ('bigtop {\n  v = "x"\n  b = "${v.c}"\n}', 3, 12, "a text has no 'c'"),
        ('bigtop {\n  v { a = 1 }\n  b = "x$v"\n}', 3, 10, "cannot be part of a text"),
        ("bigtop {\n  a = ['x', 'y'\n}", 3, 1, "',' or ']'"),
        ("bigtop {\n  a = [k: 1, k: 2]\n}", 2, 14, "duplicate key 'k'"),
        ("bigtop {\n  environments { x { a = 1 } }\n}", 2, 3, "environments"),
        ("bigtop {\n  a = [1] + [2]\n}", 2, 13, "'+' between a list and a list"),
        ("a = " + "(" * 60 + "1", 1, 55, "nested too deeply"),
        ("a = 'x'\n" + "a = a + a\n" * 40, 18, 9, "longer than 64 KiB"),
    ],
)
def test_an_unsupported_expression_is_reported_with_its_place(text: str, line: int, column: int, words: str) -> None:
    error = problem(text)
    assert words in error.message
    assert error.location is not None
    assert (error.location.line, error.location.column) == (line, column)


def test_a_version_without_quotes_gets_a_hint() -> None:
    assert problem("bigtop {\n  a = 3.2.0\n}").hint == "Put a version in quotes: '3.2.0'."


def test_an_old_tree_is_told_its_version_before_anything_that_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "bigtop.bom").write_text('bigtop {\n  version = "1.6.0-SNAPSHOT"\n  stack { }\n}\n')
    with pytest.raises(ConfigurationError, match=r"Bigtop 1\.6\.0 is not supported, only 3\.2 and later") as caught:
        read_tree(tmp_path, {})
    assert caught.value.location is not None and caught.value.location.line == 2


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("name    = 'ferry'", "name    = 'fery'", 23, "the section is called 'ferry'"),
        ("base = '3.3.6'; release = 1", "base = '3.3.6'", 45, "'release' is missing"),
        ("base  = '1.10.2'", "base  = '1 $(rm)'", 28, "'base' cannot be '1 $(rm)'"),
        ("base  = '1.10.2'", "base  = true", 28, "'base' must be text"),
        ("destination = source", "destination = '../x'", 34, "'destination' cannot be '../x'"),
        ("stack {", "stock {", 2, "'stack' is missing"),
        ("'scala' {", "'skala' {", 5, "'scala' is missing"),
        ("  components {", "  component {", 2, "'components' is missing"),
        ('version = "3.5.1-SNAPSHOT"', 'version = "3.1.1"', 4, "Bigtop 3.1.1 is not supported"),
        ('version = "3.5.1-SNAPSHOT"', 'version = "trunk"', 4, "not a version of Bigtop"),
        ("dependencies = [", "dependencies = ['x']\n  others = [", 14, "must be a map"),
        ("lost:['beacon']", "lost:'beacon'", 18, "must be a list of names"),
        ('source = "beacon-${version.base}-src.tgz"', 'source = "beacon"', 72, "'dir' is missing"),
    ],
)
def test_a_missing_or_invalid_value_is_reported_with_its_place(old: str, new: str, line: int, words: str) -> None:
    assert old in TEXT
    error = problem(TEXT.replace(old, new, 1))
    assert words in error.message
    assert error.location is not None
    assert error.location.line == line


def test_an_unreadable_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_bom(tmp_path / "bigtop.bom", {})
    (tmp_path / "bigtop.bom").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        read_bom(tmp_path / "bigtop.bom", {})


PIECES = [
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "'",
    '"',
    "$",
    "${",
    "=",
    ":",
    ",",
    ".",
    "-",
    "+",
    "?:",
    "\\",
    "/*",
    "//",
    "\n",
    " ",
]
PIECES += ["version", "System", "it", "0", "9" * 30, "é", "\x00", "\u2028", "null", "replace", "\\ud800", "[:]", "->"]


@given(st.data())
def test_a_mutated_file_is_read_or_refused_with_a_line(data: st.DataObject) -> None:
    text = TEXT
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.sampled_from([0, 0, 1, 3, 40])))
        text = text[:start] + data.draw(st.sampled_from(PIECES) | st.text(max_size=3)) + text[end:]
    check(text)


@given(st.lists(st.sampled_from([*PIECES, "bigtop", "a", "'x'", "takeWhile", "true"]), max_size=40))
def test_any_words_are_read_or_refused_with_a_line(words: list[str]) -> None:
    check("".join(words))


def check(text: str) -> None:
    try:
        read = parse_bom(text, FILE, {})
        for name in read.components:
            read.prerequisites(name)
            seed(read.components[name])
            source(read, read.components[name], Pin(sha256="0" * 64, commit="0" * 40))
    except ConfigurationError as error:
        assert error.location is not None
        assert error.location.line is not None


@pytest.mark.parametrize(
    "text",
    [
        "bigtop {\n a = " + "[" * 200_000 + "}\n",
        "bigtop {\n a = " + "(" * 200_000 + "}\n",
        "bigtop {\n a = 1" + "+1" * 200_000 + "\n}",
        "bigtop {\n a = 1" + "?:1" * 200_000 + "\n}",
        "bigtop {\n a" + ".a" * 200_000 + " = 1\n}",
        "a {" * 200_000,
        "bigtop {\n a = " + '"${' * 100_000 + "\n}",
        "bigtop {\n a = " + "9" * 200_000 + "\n}",
        "bigtop {\n a0 = 'xx'\n" + "".join(f' a{n + 1} = "${{a{n}}}${{a{n}}}"\n' for n in range(60)) + "}\n",
        "bigtop {\n a0 = 'xx'\n" + "".join(f" a{n + 1} = a{n}.replace('x', 'xxxxxxxxx')\n" for n in range(60)) + "}\n",
        TEXT.replace("base_version", "base_version = '" + "1" * 300 + "'\n //", 1),
    ],
)
def test_a_bomb_is_an_error_with_its_line(text: str) -> None:
    error = problem(text)
    assert error.location is not None
    assert error.location.line is not None
    assert len(str(error)) < 500
