"""Boolean dependencies, by rpm's documentation."""

from __future__ import annotations

import pytest

from bigtop_builder.cluster.demand_check import OfferedPackage, closure
from bigtop_builder.flow.publish.closure import Member, unmet
from bigtop_builder.model.capability import Capability, Expression, names_in, parse_requirement

OFFERED = {
    "p": ("a = 1", "b = 2"),
    "q": ("a = 3", "c = 1"),
}


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("(bash or zsh)", True),
        ("(none or zsh)", False),
        ("(a >= 2 or none)", True),
        ("(a >= 4 or none)", False),
        ("(a and b and c)", True),
        ("(a and none)", False),
        ("(none if missing)", True),
        ("(none if a)", False),
        ("(a if b else none)", True),
        ("(none if missing else a)", True),
        ("(a if missing else none)", False),
        ("(a unless none)", True),
        ("(a unless b)", True),
        ("(none unless a else b)", True),
        ("(a with b)", True),
        ("(b with c)", False),
        ("(a > 1 with a < 3)", False),
        ("(a >= 3 with c)", True),
        ("(a without b)", True),
        ("(b without a)", False),
        ("((none or b) and (a >= 3 if c))", True),
        ("(config(x) = 1-1 or libx.so.1()(64bit))", True),
        ("(bash)", True),
    ],
)
def test_a_boolean_dependency_is_evaluated(text: str, met: bool) -> None:
    members = [Member(name, (), tuple(map(Capability.parse, given)), ()) for name, given in OFFERED.items()]
    asking = Member("asking", (parse_requirement(text),), (), ())
    system = ["bash", "libx.so.1*"]
    assert unmet([*members, asking], system) == ([] if met else [("asking", text)])


@pytest.mark.parametrize(
    "text", ["(a or b and c)", "(a or)", "(a xor b)", "(a", "(a if b else c else d)", "(" * 200, "()"]
)
def test_what_rpm_cannot_parse_is_met_by_nothing(text: str) -> None:
    assert parse_requirement(text) == Capability(text)
    assert unmet([Member("asking", (parse_requirement(text),), (), ())], ["a", "b", "c"]) == [("asking", text)]


def test_an_expression_is_written_as_it_was_read() -> None:
    text = "((a >= 1:2-3 with config(b)) if (c or d or e) else f)"
    found = parse_requirement(text)
    assert isinstance(found, Expression)
    assert (found.operator, str(found)) == ("if", text)
    assert list(names_in(found)) == ["a", "config(b)", "c", "d", "e", "f"]


@pytest.mark.parametrize(
    ("requires", "expected"),
    [
        (["(none or b)"], {"start", "b"}),
        (["(a and b)"], {"start", "a", "b"}),
        (["(a if b)"], {"start"}),
        (["b", "(a if b)"], {"start", "a", "b"}),
        (["(a if b else c)"], {"start", "c"}),
        (["(a unless none)"], {"start", "a"}),
        (["a >= 2"], {"start"}),
        (["(thing with other)"], {"start", "c"}),
    ],
)
def test_what_yum_installs_with_a_package(requires: list[str], expected: set[str]) -> None:
    packages = [
        OfferedPackage("start", "1-1", requires=tuple(requires)),
        OfferedPackage("a", "1-1", provides=("thing = 1",)),
        OfferedPackage("b", "1-1"),
        OfferedPackage("c", "1-1", provides=("thing = 2", "other")),
    ]
    assert {package.name for package in closure(packages, ["start"])} == expected
