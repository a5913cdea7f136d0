"""Templates of strangers: what escapes the sandbox, changes something, or never ends, is an error with its place.

No time is asserted: a template whose budget did not hold would keep the test from ending.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigtop_builder.model.component import Package
from bigtop_builder.model.errors import Location, RecipeError
from bigtop_builder.model.stack import Stack
from bigtop_builder.recipe import template
from bigtop_builder.recipe.evaluate import evaluate
from bigtop_builder.recipe.meter import BUDGET
from bigtop_builder.recipe.plain import plain

STACK = Stack(name="bigtop", version="3.2.0", epoch=1, components={"spark": "3.2.3"})
HERE = Location(Path("component.yaml"), 3, 1)


def context() -> dict[str, Any]:
    return {
        "name": "zookeeper",
        "stack": plain(STACK),
        "versions": {"spark": "3.2.3"},
        "hosts": ["a", "b"],
        "release": 1,
        "c": {"packages": [plain(Package(name="a", summary="a"))]},
        "model": STACK,
        "function": evaluate,
    }


def repeated(text: str, times: int, before: str = "", after: str = "") -> str:
    return before + "".join(text.replace("#", str(index)) for index in range(times)) + after


def chain(name: str, opening: str = "[", closing: str = "]", last: str = "") -> str:
    """Return 40 assignments, each of the one before, twice."""
    first = f"{{% set {name}0 = {opening}'x', 'x'{closing} %}}"
    rest = (f"{{% set {name}{index + 1} = {opening}{name}{index}, {name}{index}{closing} %}}" for index in range(40))
    return first + "".join(rest) + last


ESCAPES = {
    "class of a text": "{{ ''.__class__ }}",
    "class by item": "{{ ''['__class__'] }}",
    "class by a name that is put together": "{{ ''['__cla' ~ 'ss__'] }}",
    "class by the filter attr": "{{ '' | attr('__class__') }}",
    "class by map": "{{ [''] | map(attribute='__class__') | list }}",
    "class by map and attr": "{{ [''] | map('attr', '__class__') | list }}",
    "class by sort": "{{ ['', 'a'] | sort(attribute='__class__') }}",
    "class by select": "{{ [''] | selectattr('__class__') | list }}",
    "bases": "{{ ().__class__.__base__.__subclasses__() }}",
    "mro of a mapping": "{{ {}.__class__.__mro__[1] }}",
    "class of a number": "{{ (1).__class__ }}",
    "format with attributes": "{{ '{0.__class__}'.format(name) }}",
    "format with items": "{{ '{0[__class__]}'.format(stack) }}",
    "format_map": "{{ '{x.__class__}'.format_map({'x': name}) }}",
    "format of a method": "{{ '{0.__self__}'.format(name.upper) }}",
    "format taken by item": "{{ ''['format'](1) }}",
    "format by map": "{{ ['{0.__class__}'] | map('format', name) | map(attribute='__class__') | list }}",
    "a model": "{{ model }}",
    "a field of a model": "{{ model.version }}",
    "a method of a model": "{{ model.parse_raw('{}') }}",
    "pickle of a model": "{{ model.parse_raw(\"cos\\nsystem\\n(S'id'\\ntR.\", proto='pickle', allow_pickle=True) }}",
    "pickle of the stack": "{{ stack.parse_raw(\"cos\\nsystem\\n(S'id'\\ntR.\", proto='pickle', allow_pickle=True) }}",
    "a file read by the stack": "{{ stack.parse_file('/etc/passwd') }}",
    "a copy of the stack": "{{ stack.model_copy(update={'version': '9'}) }}",
    "a stack that is not checked": "{{ stack.model_construct(version='x') }}",
    "a model in a list": "{{ [model] }}",
    "a model compared": "{{ model == 1 }}",
    "a model as a key": "{{ {model: 1} }}",
    "a model in a loop": "{% for field in model %}{{ field }}{% endfor %}",
    "a model in a filter": "{{ model | string }}",
    "a function": "{{ function() }}",
    "the globals of a function": "{{ function.__globals__ }}",
    "the code of a function": "{{ function.__code__ }}",
    "the class of a method": "{{ name.upper.__self__.__class__ }}",
    "the globals of range": "{{ range.__globals__ }}",
    "the globals of a macro": "{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}",
    "a macro's own": "{% macro m() %}{% endmacro %}{{ m.__class__ }}",
    "the loop's context": "{% for a in hosts %}{{ loop.__class__ }}{% endfor %}",
    "the loop's environment": "{% for a in hosts %}{{ loop._iterable }}{% endfor %}",
    "the template itself": "{{ self }}",
    "the template's context": "{{ self._TemplateReference__context.environment }}",
    "cycler": "{{ cycler.__init__.__globals__ }}",
    "lipsum": "{{ lipsum.__globals__['os'].system('id') }}",
    "joiner": "{{ joiner.__init__.__globals__ }}",
    "the class of a namespace": "{{ namespace().__class__ }}",
    "namespace's own": "{{ namespace.__init__ }}",
    "undefined": "{{ nothing.__class__.__init__.__globals__ }}",
    "undefined by default": "{{ (nothing | default).__class__ }}",
    "builtins": "{{ __builtins__ }}",
    "environment": "{{ environment }}",
    "a list that is changed": "{{ hosts.append('c') }}",
    "a list that is emptied": "{{ hosts.clear() }}",
    "a list that is sorted in place": "{{ hosts.sort() }}",
    "a list that grows": "{{ hosts.extend(['c']) }}",
    "a mapping that is changed": "{{ versions.update({'spark': '9'}) }}",
    "a mapping that loses a key": "{{ versions.pop('spark') }}",
    "a mapping that gains a key": "{{ versions.setdefault('kafka', '9') }}",
    "a mapping changed by item": "{{ versions['update']({'spark': '9'}) }}",
    "a mapping that is assigned to": "{% set versions.spark = '9' %}",
    "a package that is changed": "{{ c.packages.insert(0, {}) }}",
    "another file": "{% include '/etc/passwd' %}",
    "a file imported": "{% import 'x' as x %}",
    "names imported": "{% from 'x' import y %}",
    "a parent": "{% extends '/etc/passwd' %}",
    "a block": "{% block a %}{{ self.a() }}{% endblock %}",
    "marked as safe": "{% autoescape true %}{{ name }}{% endautoescape %}",
    "an unknown tag": "{% do hosts.append('c') %}",
    "bytes": "{{ name.encode() }}",
    "a random choice": "{{ hosts | random }}",
    "a debugger": "{% debug %}",
}

BOMBS = {
    "a power": "{{ 9 ** (9 ** 9) }}",
    "a power of powers": "{{ ((((10 ** 100) ** 100) ** 100) ** 100) }}",
    "a negative power": "{{ 3 ** -(10 ** 30) }}",
    "a product": repeated("{% set x = x * x %}", 40, "{% set x = 10 %}", "{{ x }}"),
    "a long text": "{{ 'a' * 10 ** 10 }}",
    "a long text, the other way round": "{{ 10 ** 10 * 'a' }}",
    "a long list": "{{ [0] * 10 ** 9 }}",
    "a long tuple": "{{ (0, 1) * 10 ** 9 }}",
    "a doubled text": repeated("{% set x = x ~ x %}", 60, "{% set x = 'ab' %}", "{{ x }}"),
    "a doubled text, added": repeated("{% set x = x + x %}", 60, "{% set x = 'ab' %}", "{{ x }}"),
    "a doubled list": repeated("{% set x = x + x %}", 60, "{% set x = [1] %}", "{{ x }}"),
    "a text doubled in a loop": "{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}"
    "{% endfor %}{{ n.x }}",
    "lists of lists, printed": chain("a", last="{{ a40 }}"),
    "lists of lists, unused": chain("a"),
    "lists of lists, compared": chain("a") + chain("b", last="{{ a40 == b40 }}"),
    "tuples of tuples, hashed": chain("a", "(", ")", "{{ {a40: 1} }}"),
    "lists of lists in a namespace": "{% set n = namespace(x=[1, 1]) %}{% for i in range(60) %}"
    "{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
    "mappings of mappings": chain("a", "{'a': ", "}").replace("'x', 'x'", "'x', 'b': 'x'").replace(", a", ", 'b': a"),
    "lists inside each other": "{% set n = namespace(x=[]) %}{% for i in range(99999) %}{% set n.x = [n.x] %}"
    "{% endfor %}{{ n.x }}",
    "a namespace in itself": "{% set n = namespace() %}{% set n.x = n %}{{ n }}",
    "a namespace of namespaces": "{% set n = namespace() %}{% set m = namespace(a=n, b=n) %}{{ m }}",
    "a wide format": "{{ '%1000000000d' % 1 }}",
    "a precise format": "{{ '%.1000000000f' % 1.5 }}",
    "a format whose width is an argument": "{{ '%*d' % (1000000000, 1) }}",
    "a format whose precision is an argument": "{{ '%.*f' % (1000000000, 1.5) }}",
    "a format with a hidden width": "{{ '%((a))1000000000d' % {'(a)': 1} }}",
    "a wide format by filter": "{{ '%1000000000d' | format(1) }}",
    "many wide formats": "{{ ('%999d' * 9999) % ((1,) * 9999) }}",
    "a format of texts": "{{ ('%(x)s' * 9999) % {'x': 'abcdefgh' * 9999} }}",
    "a wide text": "{{ 'a'.center(10 ** 10) }}",
    "a text filled to the right": "{{ 'a'.ljust(10 ** 10) }}",
    "zeros": "{{ 'a'.zfill(10 ** 10) }}",
    "wide tabs": "{{ '\t'.expandtabs(10 ** 10) }}",
    "a wide text by filter": "{{ 'a' | center(10 ** 10) }}",
    "a wide indentation": "{{ 'a\nb' | indent(10 ** 10) }}",
    "a long indentation": "{{ ('a\n' * 9999) | indent('b' * 99999) }}",
    "a replacement": "{{ ('a' * 99999) | replace('a', 'b' * 99999) }}",
    "a replacement by method": "{{ ('a' * 99999).replace('a', 'b' * 99999) }}",
    "a replacement of nothing": "{{ ('a' * 99999).replace('', 'b' * 99999) }}",
    "a replacement by names": "{{ ('a' * 9999) | replace(new='b' * 99999, old='a') }}",
    "an indentation by name": "{{ ('a\n' * 9999) | indent(blank=true, width=999999999) }}",
    "replacements in turn": "{{ 'a'" + " | replace('a', 'aaaaaaaaaa')" * 20 + " }}",
    "long separators": "{{ range(9999) | join('a' * 99999) }}",
    "long separators by method": "{{ ('a' * 99999).join(['b'] * 9999) }}",
    "batches filled up": "{{ [1] | batch(10 ** 9, 'x') | list }}",
    "slices filled up": "{{ [1] | slice(10 ** 9, 'x') | list }}",
    "rounding": "{{ 5 | round(-(10 ** 9)) }}",
    "lorem ipsum": "{{ lipsum(n=10 ** 9) }}",
    "a long range": "{% for i in range(10 ** 12) %}{% endfor %}",
    "a huge range": "{% for i in range(10 ** 400, 10 ** 401) %}{% endfor %}",
    "a range as a list": "{{ range(10 ** 12) | list }}",
    "loops in loops": "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
    "loops over a text": "{% set x = 'a' * 9999 %}{% for a in x %}{% for b in x %}{% endfor %}{% endfor %}",
    "loops whose test is never true": "{% for a in range(9999) %}{% for b in range(9999) if b < 0 %}{% endfor %}"
    "{% endfor %}",
    "loops that write": "{% for a in range(999) %}{% for b in range(999) %}"
    + "text " * 999
    + "{% endfor %}{% endfor %}",
    "many filters in loops": "{% for a in range(9999) %}{{ name" + " | upper" * 500 + " }}{% endfor %}",
    "sorting in loops": "{% set x = range(9999) | list %}{% for a in x %}{{ x | sort | first }}{% endfor %}",
    "sorting by many attributes": "{{ range(9000) | list | sort(attribute='a' ~ ',a' * 9000) }}",
    "a long path of attributes": "{{ range(9000) | map(attribute='a' ~ '.a' * 9000, default=1) | list }}",
    "comparing in loops": "{% set x = 'a' * 9999 ** 1 * 99 %}{% for a in range(99999) %}{{ x == x ~ '' }}{% endfor %}",
    "looking up in loops": "{% set x = range(9999) | list %}{% for a in x %}{{ a in x }}{% endfor %}",
    "slicing in loops": "{% set x = range(9999) | list %}{% for a in x %}{{ x[1:] | length }}{% endfor %}",
    "splitting": "{% set x = 'a ' * 99999 %}{% for a in range(999) %}{{ x.split() | length }}{% endfor %}",
    "a loop that calls itself": "{% for a in [[]] recursive %}{{ loop([a]) }}{% endfor %}",
    "a macro that calls itself": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "macros that double": "{% macro m(x) %}{{ x }}{{ x }}{% endmacro %}{{ " + "m(" * 30 + "'ab'" + ")" * 30 + " }}",
    "a macro that calls itself twice": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}"
    "{{ m(40) }}",
    "a caller that calls": "{% macro m(n) %}{% if n %}{{ caller(n) }}{{ caller(n) }}{% endif %}{% endmacro %}"
    "{% macro k(n) %}{% call(x) m(n) %}{{ k(x - 1) }}{% endcall %}{% endmacro %}{{ k(40) }}",
    "assigned blocks that double": repeated("{% set x %}{{ x }}{{ x }}{% endset %}", 60, "{% set x = 'ab' %}"),
    "a large number": "{{ 0x" + "f" * 99999 + " * 0x" + "f" * 99999 + " }}",
    "large numbers that are compared": "{{ 0x" + "f" * 900_000 + " == 0x" + "f" * 900_000 + " }}",
    "a long number": "{{ " + "9" * 99999 + " }}",
    "brackets": "{{ " + "(" * 200_000 + ")" * 200_000 + " }}",
    "square brackets": "{{ " + "[" * 200_000 + "]" * 200_000 + " }}",
    "brackets that stay open": "{{ " + "(" * 200_000,
    "expressions that stay open": "{{ " * 200_000,
    "tags that stay open": "{% if 1 %}" * 5_000,
    "loops inside each other": "{% for a in hosts %}" * 50 + "{% endfor %}" * 50,
    "signs": "{{ " + "-" * 200_000 + "1 }}",
    "negations": "{{ " + "not " * 200_000 + "1 }}",
    "attributes": "{{ name" + ".a" * 200_000 + " }}",
    "sums": "{{ 1" + " + 1" * 200_000 + " }}",
    "filters": "{{ 1" + " | upper" * 200_000 + " }}",
    "many expressions": "{{ 1 }}" * 200_000,
    "many comparisons": "{{ 1" + " < 2" * 200_000 + " }}",
    "a long name": "{{ " + "a" * 2_000_000 + " }}",
}


@pytest.mark.parametrize("text", ESCAPES.values(), ids=ESCAPES)
def test_what_escapes_or_changes_something_is_refused(text: str) -> None:
    known = context()
    with pytest.raises(RecipeError) as caught:
        template.render(text, known, HERE)
    assert caught.value.location is not None
    assert caught.value.location.file == HERE.file
    assert known == context()


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_what_never_ends_or_grows_is_refused(text: str) -> None:
    with pytest.raises(RecipeError) as caught:
        template.render(text, context(), HERE)
    assert caught.value.location is not None
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "text", ["9 ** (9 ** 9)", "model", "''.__class__", "'a' * 10 ** 10", "(" * 200_000, "function()"]
)
def test_an_expression_is_bounded_as_well(text: str) -> None:
    with pytest.raises(RecipeError):
        template.truth(text, context(), HERE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ hosts | join(', ') }}", "a, b"),
        ("{{ versions.get('spark') }} {{ versions.get('x', '1') }}", "3.2.3 1"),
        ("{{ versions.hadoop | default('3.3.4') }}", "3.3.4"),
        ("{{ stack.version.split('.')[:2] | join('.') }} {{ stack.suffix }}", "3.2 _3_2_0"),
        ("{{ 'yes' if name.startswith('zoo') and release in (1, 2) else 'no' }}", "yes"),
        ("{{ 'java-%s-openjdk' % (8 if release == 1 else 11) }} {{ '%05.1f' % 2.25 }}", "java-8-openjdk 002.2"),
        ("{{ '%s-2.8.20230101' % name }} {{ '100%% of %d' | format(1) }}", "zookeeper-2.8.20230101 100% of 1"),
        ("{% for key, value in versions.items() %}{{ loop.index }} {{ key }}={{ value }}{% endfor %}", "1 spark=3.2.3"),
        ("{% for a in hosts if a != 'a' %}{{ a }}{% else %}none{% endfor %}", "b"),
        ("{% for a in [] %}{{ a }}{% else %}none{% endfor %}", "none"),
        ("{% for a in hosts %}{{ loop.cycle('x', 'y') }}{{ ',' if not loop.last }}{% endfor %}", "x,y"),
        ("{% macro m(x, y=2) %}{{ x }}{{ y }}{% endmacro %}{{ m(1) }}", "12"),
        ("{% set n = namespace(x=0) %}{% for a in hosts %}{% set n.x = n.x + 1 %}{% endfor %}{{ n.x }}", "2"),
        ("{{ ['b', 'a'] | sort | first }}{{ [1, 2] | map('string') | join }}{{ [0, 1] | select | list }}", "a12[1]"),
        ("{{ {'b': 1, 'a': 2} | dictsort }} {{ '<&\"' | e }}", "[('a', 2), ('b', 1)] &lt;&amp;&#34;"),
        ("{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 2 ** 10 }} {{ 7 // 2 }} {{ name ~ 1 }}", "True False 1024 3 zookeeper1"),
        ("{% set x %}a{{ release }}{% endset %}{{ x * 2 }} {{ name[0] }}{{ name[-2:] }}", "a1a1 zer"),
        ("{{ nothing is defined }} {{ name is string }} {{ 3 is odd }}", "False True True"),
        ("{% filter upper %}{{ name }}{% endfilter %}", "ZOOKEEPER"),
    ],
)
def test_what_recipes_need_works(text: str, expected: str) -> None:
    assert template.render(text, context(), HERE) == expected


def test_a_budget_is_for_a_whole_component() -> None:
    from bigtop_builder.recipe.meter import metered

    text = "{{ 'a' * 100000 }}"
    with metered(), pytest.raises(RecipeError, match="takes too long"):
        for _ in range(BUDGET // 100_000 + 1):
            template.render(text, context(), HERE)


def test_names_alone_share_the_budget() -> None:
    from bigtop_builder.recipe.meter import metered

    with metered(), pytest.raises(RecipeError, match="takes too long"):
        for _ in range(BUDGET):
            template.render("{{ long }}", {"long": "a" * 1_000_000}, HERE)


TOKENS = [
    "{{",
    "}}",
    "{%",
    "%}",
    "{##",
    "##}",
    "{%-",
    "-%}",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    ".",
    "|",
    "~",
    "+",
    "-",
    "*",
    "**",
    "/",
    "//",
    "%",
    "==",
    "<",
    "in",
    "not",
    "and",
    "or",
    "is",
    "if",
    "else",
    "elif",
    "endif",
    "for",
    "endfor",
    "set",
    "endset",
    "macro",
    "endmacro",
    "call",
    "endcall",
    "filter",
    "endfilter",
    "with",
    "endwith",
    "raw",
    "endraw",
    "block",
    "include",
    "import",
    "namespace",
    "range",
    "loop",
    "caller",
    "self",
    "name",
    "stack",
    "hosts",
    "versions",
    "release",
    "c",
    "x",
    "y",
    "true",
    "none",
    "0",
    "1",
    "9999999999",
    "1.5",
    "'a'",
    "'%s'",
    "'%99999d'",
    "'{0}'",
    "=",
    "default",
    "join",
    "replace",
    "map",
    "select",
    "list",
    "sort",
    "length",
    "upper",
    "format",
    "indent",
    "dictsort",
    "get",
    "items",
    "split",
    "append",
    "__class__",
    "version",
]


@given(st.lists(st.sampled_from(TOKENS), max_size=30).map(" ".join))
def test_any_template_is_rendered_or_refused(text: str) -> None:
    with suppress(RecipeError):
        assert isinstance(template.render(text, context(), HERE), str)
    with suppress(RecipeError):
        assert isinstance(template.truth(text, context(), HERE), bool)
