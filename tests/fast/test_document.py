"""Loading: every mistake is one message with file, line and path; nothing else ever comes out."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bigtop_builder.model.component import Component
from bigtop_builder.model.errors import ConfigurationError, ConfigurationErrors
from bigtop_builder.model.stack import Stack
from bigtop_builder.recipe.document import Document, load, parse
from bigtop_builder.recipe.validation import validate

FILE = Path("stack.yaml")
GOOD = """\
name: s
version: "1.0"
epoch: 1
components:
  zookeeper: "3.5.9"
"""


def problem(text: str, model: type = Stack) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        validate(parse(text, FILE), model)
    return caught.value


def test_a_good_file_loads() -> None:
    assert validate(parse(GOOD, FILE), Stack).components == {"zookeeper": "3.5.9"}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("name: [", 2, "not valid YAML"),
        ("- a\n- b\n", 1, "must be a mapping"),
        ("a: 1\na: 2\n", 2, "is repeated"),
        ("a: !!python/object:os.system x\n", 1, "tag"),
        ("a: &x 1\n<<: *x\n", 2, "merge keys"),
        ("name: s\n\tversion: 1\n", 2, "a tab is used"),
        ("name: s\nprefix: [\n  a,\nversion: 1\n", 5, "starting in line 2"),
    ],
)
def test_yaml_that_does_not_parse_names_the_line(text: str, line: int, words: str) -> None:
    error = problem(text)
    assert words in error.message
    assert error.location is not None
    assert error.location.line == line


def test_an_unknown_key_suggests_the_near_one() -> None:
    error = problem(GOOD + "prefx: /usr/x\n")
    assert "unknown key 'prefx'" in error.message
    assert error.hint == "Did you mean prefix?"
    assert error.location is not None
    assert error.location.line == 6


def test_an_unknown_key_deep_inside_is_found() -> None:
    text = """\
name: x
summary: s
versions:
  "1":
    sources:
      - alternatives:
          - maven: a:b:1
            sha521: 00
packages:
  - name: x
    summary: s
"""
    error = problem(text, Component)
    assert "sha521" in str(error)
    assert "stack.yaml:8" in str(error)


def test_a_wrong_type_names_the_path_and_the_cure() -> None:
    error = problem(GOOD.replace('"3.5.9"', "3.5"))
    assert error.location is not None
    assert error.location.path == "components.zookeeper"
    assert error.location.line == 5
    assert error.hint == "Put the value in quotes."


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigurationErrors) as caught:
        validate(parse("name: S\nversion: 1\nepoch: x\ncomponents: {}\n", FILE), Stack)
    assert len(caught.value.errors) == 4


def test_a_merge_keeps_the_place_of_what_it_brought() -> None:
    base = parse(GOOD, Path("base.yaml"))
    over = parse("components:\n  spark: 3.2\n", Path("over.yaml"))
    with pytest.raises(ConfigurationError) as caught:
        validate(base.merged(over), Stack)
    assert str(caught.value.location) == "over.yaml:2:3 (components.spark)"


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(documents)
def test_any_yaml_loads_or_is_a_configuration_error(data: object) -> None:
    text = yaml.safe_dump(data, allow_unicode=True)
    try:
        document = parse(text, FILE)
        validate(document, Component)
    except ConfigurationError as error:
        assert str(error)


@given(st.text(max_size=60))
def test_any_text_loads_or_is_a_configuration_error(text: str) -> None:
    try:
        assert isinstance(parse(text, FILE), Document)
    except ConfigurationError as error:
        assert str(error)


keys = st.sampled_from([*Component.model_fields, "bogus"])


@given(st.dictionaries(keys, documents, max_size=6))
def test_any_component_shaped_file_loads_or_names_a_place(data: dict[str, object]) -> None:
    try:
        validate(parse(yaml.safe_dump(data), FILE), Component)
    except ConfigurationErrors as errors:
        assert all(error.location is not None for error in errors.errors)
    except ConfigurationError as error:
        assert error.location is not None


def levels(text: str, width: int, depth: int) -> str:
    """Return a mapping of ``depth`` anchors, each of which repeats the one before ``width`` times."""
    lines = [f"a0: &a0 {text}", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, depth))]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (levels("[x, x]", 9, 10), "aliases repeat"),
        (levels("{x: 1}", 2, 46), "more than"),
        (levels("[" + "x," * 1000 + "]", 1000, 3), "more than"),
        ("a: &a [*a, *a]", "nested too deeply"),
        ("a: &a {b: *a, c: *a}", "nested too deeply"),
        ("a: " + "[" * 200_000 + "]" * 200_000, "nested too deeply"),
        ("a: " + "[" * 200_000, "nested too deeply"),
        ("a: " + "{a: " * 200_000, "nested too deeply"),
        ("a:\n" + "- " * 200_000 + "x", "nested too deeply"),
        ("? " * 200_000 + "x", "nested too deeply"),
        ("\n".join(" " * depth + "a:" for depth in range(500)), "nested too deeply"),
        ("a: [" + "1," * 200_000 + "]", "more than"),
        ("a: {" + ",".join(f"k{n}: 1" for n in range(60_000)) + "}", "more than"),
        ("--- \n" * 200_000, "more than"),
        ("epoch: " + "9" * 100_000, "too long for a number"),
        ("epoch: 0x" + "f" * 100_000, "too long for a number"),
        ("epoch: 0" + "7" * 100_000, "too long for a number"),
        ("epoch: " + ":".join(["59"] * 50_000), "too long for a number"),
        ("epoch: " + ":".join(["59"] * 50_000) + ".5", "too long for a number"),
        ("a: &a 1\nb: &b\n  <<: *a", "merge keys"),
        ("a: !!python/object/apply:os.system [id]\nb: !!python/name:os.system x", "tag"),
        ("name: a\0b", "not valid YAML"),
        ('name: "\\ud800"', "not valid YAML"),
        ("z" * 100_000 + ": 1", "not valid YAML"),
    ],
)
def test_a_bomb_is_an_error_with_its_place(text: str, words: str) -> None:
    error = problem(text)
    assert words in error.message
    assert error.location is not None
    assert error.location.file == FILE
    assert len(str(error)) < 1000


def test_aliases_that_repeat_little_are_permitted() -> None:
    assert parse("a: &a [1, {b: 2}]\nc: [*a, *a]", FILE).data["c"] == [[1, {"b": 2}], [1, {"b": 2}]]


@pytest.mark.parametrize(
    "alternatives",
    ['"https://example.com/a.tar.gz"', '["https://example.com/a.tar.gz"]', "[1, null, 2.5, true]", "[[]]", "{}"],
)
def test_an_alternative_that_is_no_mapping_names_its_place(alternatives: str) -> None:
    head = "name: a\nsummary: a\npackages: [{name: a, summary: a}]\n"
    text = f'{head}versions: {{"1": {{sources: [{{alternatives: {alternatives}}}]}}}}'
    error = problem(text, Component)
    first = error.errors[0] if isinstance(error, ConfigurationErrors) else error
    assert first.location is not None
    assert first.location.line == 4
    assert "alternatives" in first.location.path


@pytest.mark.parametrize(
    "text",
    [
        "packages: [{name: a, summary: a, files: [" + "[]," * 20_000 + "]}]",
        "".join(f"k{n}: 1\n" for n in range(20_000)),
        "versions: {" + ",".join(f"'!{n}': {{}}" for n in range(12_000)) + "}",
        "? " + "y" * 1_000_000 + "\n: 1",
        "name: " + "y" * 1_000_000,
    ],
)
def test_what_is_told_of_many_mistakes_is_short(text: str) -> None:
    error = problem(text, Component)
    assert len(str(error)) < 20_000


def test_a_file_that_never_ends_is_too_large() -> None:
    with pytest.raises(ConfigurationError, match="larger than"):
        load(Path("/dev/zero"))


@pytest.mark.parametrize("data", ["name: a".encode("utf-16"), b"name: \xff\xfe", b"name: \xed\xa0\x80"])
def test_a_file_that_is_not_utf_8_is_named(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "stack.yaml"
    file.write_bytes(data)
    with pytest.raises(ConfigurationError, match="not UTF-8") as caught:
        load(file)
    assert caught.value.location is not None
    assert caught.value.location.file == file
