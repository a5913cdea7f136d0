"""jinja2 for templates of strangers: they see plain data, change nothing, and end within a budget.

jinja2's own sandbox refuses private attributes, but lets templates call what their data has as methods, and bounds
neither time nor memory. Here everything that could take long or grow is paid for first (see ``meter``):

- each pass of a loop and each call of a macro pays for the nodes of its body, since nothing else repeats;
- lists, mappings, results of filters, methods and operators pay for their whole size, so that no value can be larger
  than the budget, and comparing, hashing or printing it is bounded as well;
- what could be large at once (``*``, ``**``, ``%``, ``replace``, ``join``, ``indent``, ``range``) pays before.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from types import BuiltinMethodType, MethodType
from typing import Any

from jinja2 import Undefined, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.lexer import TokenStream
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from bigtop_builder.recipe.meter import LARGEST_INTEGER, BudgetError, meter
from bigtop_builder.recipe.sandbox_filters import (
    FILTERS,
    ORDERED,
    SHORT,
    TESTS,
    bounded_filter,
    bounded_test,
    drop_from_poms,
    each,
    flags,
    formatted,
    in_order,
    settled,
    text_cost,
    words,
)

LONGEST = 10_000
"""The most tokens of one template; the longest that is shipped has a tenth of that."""

_COMPILING = 40
"""What compiling a node costs, beside carrying it out. It is paid for also where compiled code is cached."""

_SEQUENCE = frozenset({"count", "index"})
_METHODS: Mapping[type, frozenset[str]] = {
    str: words(
        "capitalize count endswith find isalnum isalpha isdigit islower isupper join lower lstrip "
        "partition removeprefix removesuffix replace rfind rpartition rsplit rstrip split splitlines "
        "startswith strip title upper"
    ),
    dict: frozenset({"get", "items", "keys", "values"}),
    list: _SEQUENCE,
    tuple: _SEQUENCE,
    LoopContext: words(
        "changed cycle depth depth0 first index index0 last length nextitem previtem revindex revindex0"
    ),
}
"""What templates may take from an object, by its type."""
_DATA = (str, int, float, list, tuple, dict, type(None))
_REFUSED = (
    *(nodes.Block, nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport),
    *(nodes.EvalContextModifier, nodes.ScopedEvalContextModifier),
)
_EACH = " each"
"""A filter that no template can name: what loops go through."""
_OF_JINJA = {"_loop_vars", "_block_vars"}
"""What compiled templates add to a call."""
_COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": in_order(operator.gt),
    "gteq": in_order(operator.ge),
    "lt": in_order(operator.lt),
    "lteq": in_order(operator.le),
    "in": lambda left, right: left in right,
    "notin": lambda left, right: left not in right,
}


class Generator(CodeGenerator):
    """Generates calls of the environment where jinja2 generates operations of Python."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 (as in jinja2)
        """Generate ``a ~ b``."""
        self._call("concatenated", node.nodes, frame)

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:  # noqa: N802 (as in jinja2)
        """Generate ``a < b``, and chains of it."""
        operands = [part for one in node.ops for part in (nodes.Const(one.op), one.expr)]
        self._call("compared", [node.expr, *operands], frame)

    def visit_List(self, node: nodes.List, frame: Frame) -> None:  # noqa: N802 (as in jinja2)
        """Generate ``[a, b]``."""
        self._built(super().visit_List, node, frame)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:  # noqa: N802 (as in jinja2)
        """Generate ``{a: b}``."""
        self._built(super().visit_Dict, node, frame)

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:  # noqa: N802 (as in jinja2)
        """Generate ``(a, b)``, which may also be what a loop assigns to."""
        if node.ctx == "load":
            self._built(super().visit_Tuple, node, frame)
        else:
            super().visit_Tuple(node, frame)

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:  # noqa: N802 (as in jinja2)
        """Generate ``a[b]`` and ``a[b:c]``."""
        if not isinstance(node.arg, nodes.Slice):
            self._call("getitem", [node.node, node.arg], frame)
            return
        none = nodes.Const(None)
        self._call("sliced", [node.node, node.arg.start or none, node.arg.stop or none, node.arg.step or none], frame)

    def _call(self, name: str, arguments: Iterable[nodes.Node], frame: Frame) -> None:
        self.write(f"environment.{name}(")
        for argument in arguments:
            self.visit(argument, frame)
            self.write(", ")
        self.write(")")

    def _built(self, visit: Callable[[Any, Frame], None], node: nodes.Node, frame: Frame) -> None:
        self.write("environment.built(")
        visit(node, frame)
        self.write(")")


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment. ``more`` are further filters, over plain data."""

    code_generator_class = Generator
    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

    def __init__(self, more: Mapping[str, Callable[..., Any]] | None = None, **settings: Any) -> None:
        super().__init__(autoescape=False, optimized=False, finalize=self._shown, **settings)
        self.filters = {name: bounded_filter(name, self.filters[name]) for name in FILTERS}
        own = {"drop_from_poms": drop_from_poms, "flags": flags, **(more or {})}
        self.filters |= {name: bounded_filter(name, function) for name, function in own.items()}
        self.filters[_EACH] = each
        tests: Mapping[str, Any] = self.tests
        self.tests = {name: bounded_test(tests[name]) for name in TESTS}
        self.tests |= {name: bounded_test(in_order(tests[name])) for name in ORDERED}
        self.globals = {"namespace": Namespace, "range": _range}

    def spend(self, units: int) -> bool:
        """Pay for a pass of a loop or a call of a macro; compiled templates call it."""
        return meter().spend(units)

    def concat(self, texts: Iterable[str]) -> str:
        """Join the output of a template or macro, whose parts are paid for."""
        return "".join(texts)

    def concatenated(self, *values: Any) -> str:
        """Carry out ``a ~ b``."""
        return "".join([str(self._shown(value)) for value in values])

    def built(self, value: Any) -> Any:
        """Pay for a list, tuple or mapping that a template wrote down."""
        meter().charge(value)
        return value

    def compared(self, left: Any, *rest: Any) -> bool:
        """Carry out a chain of comparisons."""
        budget = meter()
        for name, right in zip(rest[::2], rest[1::2], strict=True):
            for value in (left, right):
                if type(value) is not str or len(value) > SHORT:
                    budget.charge(value)
            if not _COMPARISONS[name](left, right):
                return False
            left = right
        return True

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return a permitted attribute, or the value of a key."""
        kind = type(obj)
        if attribute in _METHODS.get(kind, ()):
            return getattr(obj, attribute)
        if kind is dict:
            if attribute in obj:
                return obj[attribute]
        elif kind is Namespace and not attribute.startswith("_"):
            return getattr(obj, attribute, None) if hasattr(obj, attribute) else self.undefined(obj=obj, name=attribute)
        elif isinstance(obj, Undefined):
            return obj[attribute]
        if kind not in _DATA or hasattr(obj, attribute):
            return self.unsafe_undefined(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return an item of a list, text or mapping, else an attribute of that name."""
        if isinstance(obj, Undefined):
            return obj[argument]
        if type(obj) in (str, list, tuple, dict):
            if type(argument) not in (str, int):
                meter().charge(argument)
            try:
                return obj[argument]
            except (TypeError, LookupError):
                pass
        return self.getattr(obj, argument) if isinstance(argument, str) else self.undefined(obj=obj, name=argument)

    def sliced(self, obj: Any, start: Any, stop: Any, step: Any) -> Any:
        """Carry out ``a[b:c]``."""
        if type(obj) not in (str, list, tuple):
            return obj[start] if isinstance(obj, Undefined) else self.unsafe_undefined(obj, "a slice")
        taken = obj[start:stop:step]
        meter().charge(taken)
        return taken

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 (as in jinja2)
        """Call a permitted method, a macro, ``range`` or ``namespace``."""
        budget = meter()
        budget.spend(10)
        for value in (*args, *(kwargs[key] for key in kwargs.keys() - _OF_JINJA)):
            if type(value) is not str or len(value) > SHORT:
                budget.charge(value)
        if isinstance(__obj, BuiltinMethodType) and __obj.__name__ in _METHODS.get(type(__obj.__self__), ()):
            budget.spend(text_cost(__obj.__name__, __obj.__self__, args))
            result = settled(__obj(*args, **{key: kwargs[key] for key in kwargs.keys() - _OF_JINJA}))
            budget.charge(result)
            return result
        method = isinstance(__obj, MethodType) and type(__obj.__self__) is LoopContext
        if method or isinstance(__obj, Macro) or __obj in (_range, Namespace):
            return __context.call(__obj, *args, **kwargs)
        if isinstance(__obj, Undefined):
            return __obj()
        raise SecurityError(f"a {type(__obj).__name__} is called")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Carry out an operator on numbers, texts or lists."""
        if isinstance(left, Undefined) or isinstance(right, Undefined):
            return super().call_binop(context, operator, left, right)
        budget = meter()
        budget.charge(left)
        budget.charge(right)
        if operator == "%" and isinstance(left, str):
            return formatted(left, right)
        if operator == "*":
            for one, other in ((left, right), (right, left)):
                if isinstance(one, str | list | tuple) and isinstance(other, int):
                    budget.spend(len(one) * max(other, 0))
        bits = [value.bit_length() for value in (left, right) if isinstance(value, int)]
        # Of x ** y each bit of x is there y times.
        size = bits[0] * abs(right) if operator == "**" and len(bits) == 2 else sum(bits)
        if size > LARGEST_INTEGER:
            raise BudgetError
        result = super().call_binop(context, operator, left, right)
        budget.charge(result)
        return result

    def _tokenize(self, source: str, *arguments: Any, **settings: Any) -> TokenStream:
        stream = super()._tokenize(source, *arguments, **settings)
        return TokenStream(_limited(stream), stream.name, stream.filename)

    def _generate(self, source: nodes.Template, *arguments: Any, **settings: Any) -> str:
        source.body.insert(0, _payment(_weighed(source) * _COMPILING, 1))
        return super()._generate(source, *arguments, **settings)

    def _shown(self, value: Any) -> Any:
        if type(value) is not str:
            meter().charge(value)
        elif len(value) >= 16:
            meter().spend(len(value) >> 4)
        return value


def _limited(stream: TokenStream) -> Iterable[Any]:
    for count, token in enumerate(stream):
        if count >= LONGEST:
            raise TemplateSyntaxError(f"it is longer than {LONGEST} tokens", token.lineno)
        if isinstance(token.value, int) and token.value.bit_length() > LARGEST_INTEGER:
            raise TemplateSyntaxError("a number is too large", token.lineno)
        yield token


def _range(*arguments: int) -> list[int]:
    numbers = range(*arguments)
    if max(abs(numbers.start), abs(numbers.stop)) >> 32:
        raise BudgetError
    meter().spend(len(numbers))
    return list(numbers)


def _payment(units: int, line: int) -> nodes.ExprStmt:
    return nodes.ExprStmt(nodes.EnvironmentAttribute(f"spend({units})"), lineno=line)


def _weighed(node: nodes.Node) -> int:
    """Let loops and macros inside pay for each pass; return the weight: of nodes, and of the text that is written."""
    if isinstance(node, _REFUSED) or (isinstance(node, nodes.For) and node.recursive):
        raise TemplateSyntaxError(f"{type(node).__name__.lower()} is not available in templates", node.lineno)
    weight = 1 + sum(_weighed(child) for child in node.iter_child_nodes())
    if isinstance(node, nodes.TemplateData):
        weight += len(node.data) >> 4
    if isinstance(node, nodes.For):
        # A list has its size, which is paid for, before the loop begins.
        node.iter = nodes.Filter(node.iter, _EACH, [], [], None, None, lineno=node.lineno)
        if node.test is not None:
            node.test = nodes.And(nodes.EnvironmentAttribute(f"spend({weight})"), node.test, lineno=node.lineno)
    if isinstance(node, nodes.For | nodes.Macro | nodes.CallBlock):
        node.body.insert(0, _payment(weight, node.lineno))
    return weight
