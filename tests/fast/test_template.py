"""Templates that only name values are joined without jinja2, and must give what jinja2 gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigtop_builder.model.errors import Location, RecipeError
from bigtop_builder.model.stack import Stack
from bigtop_builder.recipe import template
from bigtop_builder.recipe.plain import plain

CONTEXT: dict[str, Any] = {
    "name": "zookeeper",
    "release": 1,
    "versions": {"spark": "3.2.3", "keys": "the key, not the method"},
    "stack": plain(Stack(name="bigtop", version="3.2.0", epoch=1, components={"spark": "3.2.3"})),
    "nothing": None,
    "braces": "{{ name }}",
}
PIECES = (
    "{{ name }}",
    "{{name}}",
    "{{ versions.spark }}",
    "{{ versions.keys }}",
    "{{ stack.version }}",
    "{{ release }}",
    "{{ nothing }}",
    "{{ braces }}",
    "{{ true }}",
    "{{ none }}",
    "{{ name | upper }}",
    "{{ 'x' }}",
    "{{- name -}}",
    "{% if release %}yes{% endif %}",
    "{## a comment ##}",
    "{# none of ours #}",
    "{",
    "}",
    "}}",
    "${#a[@]}",
    "$",
    " ",
    "\n",
    "\r\n",
    "text",
    "%",
)
HERE = Location(Path("component.yaml"), 3, 1)


def by_jinja(text: str) -> str:
    if not template.is_template(text):
        return text
    return template.environment().from_string(text).render(CONTEXT)


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_what_is_joined_is_what_jinja_gives(text: str) -> None:
    try:
        expected = by_jinja(text)
    except Exception:
        with pytest.raises(RecipeError):
            template.render(text, CONTEXT, HERE)
        return
    assert template.render(text, CONTEXT, HERE) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ nane }}", "undefined name: nane"),
        ("{{ versions.sprak }}", "undefined name: .sprak"),
        ("{{ name.__class__ }}", "something forbidden"),
        ("{{ stack.__init__ }}", "something forbidden"),
        ("{{ stack._private }}", "undefined name: ._private"),
    ],
)
def test_a_name_that_is_unknown_or_private_is_an_error(text: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        template.render(text, CONTEXT, HERE)
    assert message in caught.value.message
    assert caught.value.location == HERE


def test_a_location_is_worked_out_for_a_mistake_alone() -> None:
    calls: list[None] = []

    def place() -> Location:
        calls.append(None)
        return HERE

    assert template.render("{{ name }}", CONTEXT, place) == "zookeeper"
    assert not calls
    with pytest.raises(RecipeError):
        template.render("{{ nane }}", CONTEXT, place)
    assert calls
